package db

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

// openMRS is the part of an OpenMRS 2.x database that a prescription needs, as its
// MariaDB schema has it: a key of the database's own for everything, a uuid that is
// unique, creator and date_created that may not be missing.
func openMRS(t *testing.T) []string {
	t.Helper()
	file, err := os.ReadFile("../../mapping/testdata/good/openmrs/openmrs.sql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(file), ";\n"), ";\n")
}

func looked(sql string, names ...core.Field) core.Value {
	return append(tree{field(selectName, sql)}, names...)
}

func done(sql string, more ...core.Field) tree {
	return append(tree{field(statementName, sql)}, more...)
}

// openMRSPrescription is a prescription of two lines, with the number of each taken
// from the seed that OpenMRS keeps.
func openMRSPrescription(no, patient string) core.Request {
	with := func(uuid string, more ...core.Field) tree {
		return append(tree{
			field("patient_id", looked("select patient_id from patient_identifier where identifier = :no and identifier_type = 3 and voided = 0", field("no", patient))),
			field("creator", looked("select user_id from users where username = :name", field("name", "hishub"))),
			field("date_created", "2026-01-05 14:56:01"), field("uuid", uuid),
		}, more...)
	}
	body := tree{field("encounter", with(no, field("encounter_type", "1"), field("encounter_datetime", "2026-01-05 14:56:01"),
		field("visit_id", looked("select visit_id from visit where uuid = :v", field("v", "V0000345678")))))}
	for _, drug := range []string{"001207", "003311"} {
		body = append(body,
			field("global_property", done("update global_property set property_value = property_value + 1 where property = :p", field("p", "order.nextOrderNumberSeed"), field(rowsName, "1"))),
			field("orders", with(no+drug, field("order_type_id", "2"), field("order_action", "NEW"), field("care_setting", "1"), field("encounter_id", key("encounter.encounter_id")),
				field("concept_id", looked("select concept_id from concept_reference_term where code = :code", field("code", drug))),
				field("orderer", looked("select provider_id from provider where identifier = :d", field("d", "00731"))),
				field("order_number", looked("select concat('ORD-', property_value) from global_property where property = :p", field("p", "order.nextOrderNumberSeed"))))),
			field("drug_order", tree{field("order_id", key("orders.order_id")), field("dose", "0.50"), field("quantity", "12"), field("dosing_type", "org.openmrs.SimpleDosingInstructions")}))
	}
	return core.Request{Operation: "insert", Body: body}
}

func TestAPrescriptionInOpenMRS(t *testing.T) {
	d := mariaDatabase(t)
	d.exec(t, openMRS(t)...)
	c := d.connector(t, d.address)
	r, err := c.Call(t.Context(), openMRSPrescription("RX1", "0000024772"))
	if diff := cmp.Diff(tree{field("encounter", tree{field("encounter_id", "1")}), field("orders", tree{field("order_id", "2")})}, r.Body); err != nil || r.Error != "" || diff != "" {
		t.Fatal(r.Error, r.Body, err, diff)
	}
	for name, x := range map[string]struct{ no, patient, err, code string }{
		"again":          {"RX1", "0000024772", "duplicate", "error 1062"},
		"no patient":     {"RX2", "0000099999", "unmatched", "encounter.patient_id"},
		"one of several": {"RX3", "9", "unmatched", "encounter.patient_id"},
	} {
		r, err := c.Call(t.Context(), openMRSPrescription(x.no, x.patient))
		body, _ := r.Body.(tree)
		if err != nil || r.Error != x.err || body.Get("code") != x.code {
			t.Errorf("%s: %q %v %v", name, r.Error, r.Body, err)
		}
	}
	lines, err := c.Call(t.Context(), core.Request{Operation: "select o.patient_id, o.creator, o.encounter_id, o.order_number, o.concept_id, e.visit_id, d.dose, g.property_value seed from orders o join drug_order d using (order_id) join encounter e using (encounter_id), global_property g order by order_id"})
	want := list{
		tree{field("patient_id", "1"), field("creator", "7"), field("encounter_id", "1"), field("order_number", "ORD-42"), field("concept_id", "71160"), field("visit_id", "1"), field("dose", "0.5"), field("seed", "43")},
		tree{field("patient_id", "1"), field("creator", "7"), field("encounter_id", "1"), field("order_number", "ORD-43"), field("concept_id", "71589"), field("visit_id", "1"), field("dose", "0.5"), field("seed", "43")},
	}
	if diff := cmp.Diff(want, lines.Body); err != nil || diff != "" {
		t.Errorf("refused ones leave nothing, not even a number of the seed: %v\n%s", err, diff)
	}
	void := core.Request{Operation: "update orders set date_stopped = now(), order_reason_non_coded = :why where encounter_id = (select encounter_id from encounter where uuid = :no) and date_stopped is null", Body: tree{field("why", "停药"), field("no", "RX1")}}
	for _, rows := range []string{"2", "0"} {
		if r, err := c.Call(t.Context(), void); err != nil || cmp.Diff(tree{field("rows", rows)}, r.Body) != "" || string(r.Received) != `{"rows": "`+rows+`"}` {
			t.Errorf("%s: %v %v", rows, r.Body, err)
		}
	}
}

func TestStatementsInATransaction(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		d.exec(t, "create table bill (no varchar(20) primary key, state varchar(9), n int)", "create table paid (no varchar(20) primary key, bill varchar(20), was varchar(9))",
			"insert into bill values ('B1', 'open', 1), ('B2', 'open', 1), ('B3', 'open', 1)")
		c := d.connector(t, d.address)
		pay := func(no, rows string, bills ...string) core.Request {
			st := done("update bill set state = 'paid', n = n + 1 where no in (:a, :b) and state = 'open'", field("a", bills[0]), field("b", bills[1]))
			if rows != "" {
				st = append(st, field(rowsName, core.Token(rows)))
			}
			return core.Request{Operation: "insert", Body: tree{
				field("bill", st),
				field("paid", tree{field("no", no), field("bill", bills[0]), field("was", looked("select state from bill where no = :b", field("b", bills[0])))}),
			}}
		}
		for _, x := range []struct {
			what, answer string
			q            core.Request
			paid         int
		}{
			{"one of two", "unmatched", pay("P1", "2", "B1", "B9"), 0},
			{"both", "", pay("P1", "2", "B1", "B2"), 1},
			{"nothing is open any more", "unmatched", pay("P2", "", "B1", "B2"), 1},
			{"any number will do", "", pay("P2", "any", "B1", "B2"), 2},
			{"the payment is there", "duplicate", pay("P2", "", "B3", "B3"), 2},
		} {
			r, err := c.Call(t.Context(), x.q)
			if err != nil || r.Error != x.answer || d.count(t, "paid") != x.paid {
				t.Errorf("%s: %q %v %v, %d paid", x.what, r.Error, r.Body, err, d.count(t, "paid"))
			}
			if r.Error == "unmatched" {
				if again, err := c.Read(x.q, r.Received); err != nil || again.Error != r.Error {
					t.Errorf("%s: %s reads as %q, %v", x.what, r.Received, again.Error, err)
				}
			}
		}
		if d.count(t, "bill where state = 'open' and n = 1") != 1 || d.count(t, "bill where state = 'paid' and n = 2") != 2 || d.count(t, "paid where was = 'paid'") != 2 {
			t.Error("what was refused left something behind, or a select did not see the statement before it")
		}
		two := pay("P3", "any", "B1", "B2")
		two.Body.(tree)[1].Value.(tree)[2].Value = looked("select state, n from bill where no = 'B1'")
		if _, err := c.Call(t.Context(), two); core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "one column") {
			t.Errorf("two columns: %v", err)
		}
	})
}

// Expressions stand in a column's place, with parameters before and behind them.
func TestExpressionsOfTheDatabase(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		binary, unhex := "bytea", "decode(:u, 'hex')"
		if d.driver == "mysql" {
			binary, unhex = "binary(2)", "unhex(:u)"
		}
		d.exec(t, "create table made (a varchar(9), id "+binary+", n int, b varchar(9))")
		made := func(a, id string) tree {
			return tree{field("a", a), field("id", tree{field(sqlName, unhex), field("u", id)}),
				field("n", tree{field(sqlName, "coalesce((select max(n) from made where a = :x), 0) + cast(:by as "+map[string]string{"mysql": "signed", "postgres": "int"}[d.driver]+")"),
					field("by", "2"), field("x", looked("select min(a) from (select 'k' as a) k"))}),
				field("b", "z")}
		}
		// A row sees the ones before it.
		if d.driver == "mysql" {
			d.exec(t, "insert into made values ('k', x'0000', 5, '')")
		} else {
			d.exec(t, "insert into made values ('k', '\\x0000', 5, '')")
		}
		c := d.connector(t, d.address)
		r, err := c.Call(t.Context(), core.Request{Operation: "insert", Body: tree{field("made", list{made("k", "0a1b"), made("k", "ff00")})}})
		if err != nil || r.Error != "" {
			t.Fatal(r.Error, r.Body, err)
		}
		r, err = c.Call(t.Context(), core.Request{Operation: "select * from made order by n"})
		want := list{
			tree{field("a", "k"), field("id", "0000"), field("n", "5"), field("b", "")},
			tree{field("a", "k"), field("id", "0a1b"), field("n", "7"), field("b", "z")},
			tree{field("a", "k"), field("id", "ff00"), field("n", "9"), field("b", "z")},
		}
		if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
			t.Error(err, diff)
		}
		shown, err := c.Write(core.Request{Operation: "insert", Body: tree{field("made", tree{field("a", "k"), field("id", tree{field(sqlName, "unhex(:u)"), field("u", "0a1b")})})}})
		if diff := cmp.Diff("begin\ninsert into made (a, id) values (:a, unhex(:u) /* {\"u\": \"0a1b\"} */) -- {\"a\": \"k\"}\ncommit\n", string(shown)); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}

func TestTransactionsAsTheyAreShown(t *testing.T) {
	for driver, e := range engines(t) {
		s, err := e.plan(openMRSPrescription("RX1", "P1"))
		if err != nil {
			t.Fatal(driver, err)
		}
		shown := strings.Join(strings.Split(string(s.text()), "\n")[:6], "\n")
		want := `begin
found_1: select patient_id from patient_identifier where identifier = :no and identifier_type = 3 and voided = 0 -- {"no": "P1"}
found_2: select user_id from users where username = :name -- {"name": "hishub"}
found_3: select visit_id from visit where uuid = :v -- {"v": "V0000345678"}
insert into encounter (patient_id, creator, date_created, uuid, encounter_type, encounter_datetime, visit_id) values (:found_1, :found_2, :date_created, :uuid, :encounter_type, :encounter_datetime, :found_3) -- {"date_created": "2026-01-05 14:56:01", "uuid": "RX1", "encounter_type": "1", "encounter_datetime": "2026-01-05 14:56:01"}
update global_property set property_value = property_value + 1 where property = :p -- {"p": "order.nextOrderNumberSeed"}`
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Errorf("%s: %s", driver, diff)
		}
		for what, q := range map[string]core.Value{
			"is not a select":             tree{field("a", tree{field("b", looked("delete from a"))})},
			"more behind the semicolon":   tree{field("a", tree{field("b", looked("select 1; delete from a"))})},
			"there is no parameter c":     tree{field("a", tree{field("b", looked("select 1", field("c", "1")))})},
			"parameter n has no value":    tree{field("a", done("update a set b = :n"))},
			"not a number above 0":        tree{field("a", done("update a set b = 1", field(rowsName, "0")))},
			"touches no rows; leave out":  tree{field("a", done("set x = 1", field(rowsName, "1")))},
			"no row of that table stands": tree{field("a", done("update a set b = :n", field("n", key("x.y"))))},
			".statement is not":           tree{field("a", tree{field(statementName, list{})})},
			"is a document":               tree{field("a", tree{field("b", looked("select :c", field("c", tree{field("d", "e")})))})},
		} {
			if _, err := e.plan(core.Request{Operation: "insert", Body: q}); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: expected %q, got %v", driver, what, err)
			}
		}
	}
}

func TestBlanks(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		text := "char(8)"
		d.exec(t, "create table yp (bm "+text+", mc varchar(20), rq timestamp null, bz varchar(9))", "insert into yp values ('001207', '', null, 'NULL'), ('3', ' 维生素　', '2026-01-05 10:00:00', null)")
		opened, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": d.driver, "dsn": d.dsn, "trim": true, "nulls": []any{"", "NULL", "2026-01-05 10:00:00"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		c := opened.(*Connector)
		q := core.Request{Operation: "select * from yp order by bm"}
		r, err := c.Call(t.Context(), q)
		want := list{
			tree{field("bm", "001207"), field("mc", nil), field("rq", nil), field("bz", nil)},
			tree{field("bm", "3"), field("mc", "维生素"), field("rq", nil), field("bz", nil)},
		}
		if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if !strings.Contains(string(r.Received), `"bz": "NULL"`) {
			t.Errorf("what came is kept as it came, not %s", r.Received)
		}
		if again, err := c.Read(q, r.Received); err != nil || cmp.Diff(want, again.Body) != "" {
			t.Errorf("recorded it reads as %v, %v", again.Body, err)
		}
	})
	_, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": "mysql", "dsn": "u:p@tcp(h:1)/d", "nulls": []any{nil}}})
	if err == nil || !strings.Contains(err.Error(), `write it in quotes, as "NULL"`) {
		t.Error(err)
	}
}

// A middle table whose columns are GBK, as many a HIS in China has them.
func TestGBKColumns(t *testing.T) {
	d := mariaDatabase(t)
	d.exec(t, "create table cf (cfh char(20) primary key, xm varchar(8), zje decimal(12,2) not null) engine=innodb default charset=gbk")
	c := d.connector(t, d.address)
	write := func(no, name string, zje core.Value) error {
		r, err := c.Call(context.Background(), core.Request{Operation: "insert", Body: tree{field("cf", tree{field("cfh", no), field("xm", name), field("zje", zje)})}})
		if err == nil && r.Error != "" {
			t.Errorf("%s: %s", no, r.Error)
		}
		return err
	}
	for no, name := range map[string]string{"1": "张喆镕", "2": "欧阳翀玥", "3": "誠\\'; --"} {
		if err := write(no, name, "46.19"); err != nil {
			t.Error(name, err)
		}
	}
	r, err := c.Call(t.Context(), core.Request{Operation: "select xm, hex(xm) h from cf where xm = :xm", Body: tree{field("xm", "张喆镕")}})
	if diff := cmp.Diff(list{tree{field("xm", "张喆镕"), field("h", "D5C586B4E946")}}, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for name, x := range map[string]struct {
		xm    string
		zje   core.Value
		place string
	}{
		"a character that GBK lacks": {"王𠮷", "1.00", "cf.xm"},
		"too long":                   {strings.Repeat("张", 9), "1.00", "xm"},
		"no amount":                  {"张三", nil, "'zje' cannot be null"},
		"a bad amount":               {"张三", "四十六", "cf.zje"},
	} {
		if err := write("9", x.xm, x.zje); core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), x.place) || strings.ContainsAny(err.Error(), "王张四") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := d.count(t, "cf"); n != 3 {
		t.Errorf("%d rows: what does not fit is not cut", n)
	}
}

// How many rows a statement touched is what the driver says, and it decides.
func TestRowsThatRecordedDriversTouch(t *testing.T) {
	for _, name := range []string{"sqlserver", "oracle"} {
		var calls []string
		d := &recorded{}
		d.touches = func(call string) int64 { calls = append(calls, call); return int64(2 - len(calls)) }
		c := opened(t, name, d)
		q := core.Request{Operation: "update bill set state = 'paid' where no = :no", Body: tree{field("no", "B1")}}
		for _, rows := range []string{"1", "0"} {
			if r, err := c.Call(t.Context(), q); err != nil || cmp.Diff(tree{field("rows", rows)}, r.Body) != "" {
				t.Errorf("%s: %v %v, want %s", name, r.Body, err, rows)
			}
		}
		r, err := c.Call(t.Context(), core.Request{Operation: "insert", Body: tree{field("bill", done("update bill set state = 'x'")), field("pay", tree{field("no", "1")})}})
		if err != nil || r.Error != "unmatched" || d.calls[len(d.calls)-1] != "ROLLBACK" || strings.Contains(strings.Join(d.calls, "\n"), "into") {
			t.Errorf("%s: %q %v %v\n%s", name, r.Error, r.Body, err, strings.Join(d.calls, "\n"))
		}
	}
}
