package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/connectors/proxy"
	"hishub/core"
)

func field(name string, v core.Value) core.Field { return core.Field{Name: name, Value: v} }

type tree = core.Tree
type list = core.List

// both runs a test on PostgreSQL and on MariaDB.
func both(t *testing.T, run func(t *testing.T, d *database)) {
	t.Run("postgres", func(t *testing.T) { run(t, postgresDatabase(t)) })
	t.Run("mariadb", func(t *testing.T) { run(t, mariaDatabase(t)) })
}

// tables of a middle database: a header, its lines.
func tables(t *testing.T, d *database) {
	engine := ""
	if d.driver == "mysql" {
		engine = " engine=innodb default charset=utf8mb4"
	}
	d.exec(t,
		"create table cf (cfh varchar(20) primary key, xm varchar(20), zje decimal(12,2), kfsj timestamp, n int, csrq date)"+engine,
		"create table cf_mx (cfh varchar(20), xh int, sl decimal(12,4), primary key (cfh, xh))"+engine)
}

func prescription(no string) core.Request {
	return core.Request{Operation: "insert", Body: tree{
		field("cf", tree{field("cfh", no), field("xm", "张三'\\测试"), field("zje", core.Token("46.19")), field("kfsj", "2026-01-05 14:56:01"), field("n", nil), field("csrq", "1990-01-01")}),
		field("cf_mx", list{
			tree{field("cfh", no), field("xh", "1"), field("sl", "2")},
			tree{field("cfh", no), field("xh", "2"), field("sl", "0.5000")},
			tree{field("sl", "3"), field("cfh", no), field("xh", "3")},
		}),
	}}
}

func TestInsertAndSelect(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		tables(t, d)
		c := d.connector(t, d.address)
		r, err := c.Call(t.Context(), prescription("RX1"))
		if err != nil || r.Error != "" {
			t.Fatal(r.Error, err)
		}
		if n := d.count(t, "cf_mx"); n != 3 {
			t.Errorf("%d lines", n)
		}
		r, err = c.Call(t.Context(), core.Request{
			Operation: "select cfh, xm, zje, kfsj, n, csrq from cf where cfh = :no or xm = :no",
			Body:      tree{field("no", "RX1")},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := list{tree{field("cfh", "RX1"), field("xm", "张三'\\测试"), field("zje", "46.19"), field("kfsj", "2026-01-05 14:56:01"), field("n", nil), field("csrq", "1990-01-01")}}
		if diff := cmp.Diff(want, r.Body); diff != "" {
			t.Error(diff)
		}
		r, err = c.Call(t.Context(), core.Request{Operation: "select sl from cf_mx order by xh"})
		if err != nil || fmt.Sprint(r.Body) != "[[{sl 2.0000}] [{sl 0.5000}] [{sl 3.0000}]]" {
			t.Errorf("%v %v", r.Body, err)
		}
		r, err = c.Call(t.Context(), core.Request{Operation: "select * from cf where cfh = :no", Body: tree{field("no", "RX0")}})
		if diff := cmp.Diff(list{}, r.Body); err != nil || diff != "" {
			t.Errorf("no rows are an empty list: %v %s", err, diff)
		}
	})
}

func TestADuplicateIsAnAnswerAndNothingIsLeftBehind(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		tables(t, d)
		c := d.connector(t, d.address)
		q := prescription("RX1")
		// The second line is there already: the header must not stay.
		d.exec(t, "insert into cf_mx values ('RX1', 2, 1)")
		for range 2 {
			r, err := c.Call(t.Context(), q)
			if err != nil || r.Error != "duplicate" {
				t.Fatalf("error %q, %v", r.Error, err)
			}
			if recorded, err := c.Read(q, r.Received); err != nil || recorded.Error != "duplicate" {
				t.Errorf("recorded %s reads as %q, %v", r.Received, recorded.Error, err)
			}
		}
		if n := d.count(t, "cf"); n != 0 {
			t.Errorf("%d headers stayed without their lines", n)
		}
	})
}

func TestRefusals(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		tables(t, d)
		c := d.connector(t, d.address)
		row := func(table, column, value string) core.Request {
			return core.Request{Operation: "insert", Body: tree{field(table, tree{field("cfh", "RX1"), field(column, value)})}}
		}
		for name, x := range map[string]struct {
			q    core.Request
			want string
		}{
			"table":           {row("no_such", "xm", "x"), "no_such"},
			"column":          {row("cf", "no_such", "x"), "no_such"},
			"syntax":          {core.Request{Operation: "selct 1"}, ""},
			"procedure":       {core.Request{Operation: "no_such(a)", Body: tree{field("a", "1")}}, "no_such"},
			"bad amount":      {row("cf", "zje", "秘密4619"), ""},
			"too long":        {row("cf", "xm", strings.Repeat("秘密", 20)), ""},
			"bad identifier":  {row("cf", `xm") values (1); drop table cf; --`, "x"), "is not a name"},
			"bad table":       {row("cf; drop table cf", "xm", "x"), "is not a name"},
			"no value":        {core.Request{Operation: "select :a", Body: tree{}}, "parameter a has no value"},
			"misspelt":        {core.Request{Operation: "select :number", Body: tree{field("nubmer", "1")}}, "did you mean number?"},
			"document":        {row2("cf", field("xm", tree{field("a", "b")})), "is a document"},
			"no rows":         {core.Request{Operation: "insert", Body: tree{field("cf", list{})}}, "no row"},
			"not a parameter": {core.Request{Operation: "p(a b c)"}, "is not a parameter"},
			"headers":         {core.Request{Operation: "select 1", Headers: []core.Field{field("a", "b")}}, "neither headers"},
			"missing NUL":     {row("cf", "xm", "a\x00b"), "NUL"},
		} {
			_, err := c.Call(t.Context(), x.q)
			if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%s: got %v\nmust be invalid and say %q", name, err, x.want)
			}
			if err != nil && strings.Contains(err.Error(), "秘密") {
				t.Errorf("%s: the error shows a value: %v", name, err)
			}
		}
		if n := d.count(t, "cf"); n != 0 {
			t.Errorf("%d rows stayed", n)
		}
	})
}

func row2(table string, fs ...core.Field) core.Request {
	return core.Request{Operation: "insert", Body: tree{field(table, tree(fs))}}
}

func TestProcedures(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		if d.driver == "postgres" {
			d.exec(t,
				`create procedure settle(p_no text, p_je numeric, out p_code text, inout p_n int, out p_je2 numeric) language plpgsql as
				$$ begin p_code := p_no || '/ok'; p_n := p_n + 1; p_je2 := p_je; end $$`,
				`create procedure refuse(p_no text) language plpgsql as $$ begin raise exception '药品库存不足'; end $$`,
				`create procedure nothing() language plpgsql as $$ begin end $$`)
		} else {
			d.exec(t,
				`create procedure settle(p_no varchar(20), p_je decimal(12,2), out p_code varchar(20), inout p_n int, out p_je2 decimal(12,2))
				begin set p_code = concat(p_no, '/ok'); set p_n = p_n + 1; set p_je2 = p_je; end`,
				`create procedure refuse(p_no varchar(20)) begin signal sqlstate '45000' set message_text = '药品库存不足'; end`,
				`create procedure nothing() begin end`)
		}
		c := d.connector(t, d.address)
		call := "settle(p_no, in p_je, out p_code, INOUT p_n, out p_je2)"
		r, err := c.Call(t.Context(), core.Request{Operation: call, Body: tree{field("p_n", "41"), field("p_je", "46.10"), field("p_no", "IH1")}})
		want := tree{field("p_code", "IH1/ok"), field("p_n", "42"), field("p_je2", "46.10")}
		if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
			t.Error(err, diff)
		}
		r, err = c.Call(t.Context(), core.Request{Operation: "refuse(p_no)", Body: tree{field("p_no", nil)}})
		if body, _ := r.Body.(tree); err != nil || r.Error != "fault" || body.Get("message") != "药品库存不足" {
			t.Errorf("%+v %v", r, err)
		}
		if _, err = c.Call(t.Context(), core.Request{Operation: "nothing()"}); err != nil {
			t.Error(err)
		}
	})
}

// Nothing that a procedure says is lost: its results stand beside its out parameters.
func TestProceduresWithResults(t *testing.T) {
	d := mariaDatabase(t)
	d.exec(t,
		`create procedure bills(p_no varchar(20), out p_code varchar(4)) begin select '007' dh, 1.50 je union all select '008', 2.00; select p_no no; set p_code = '0000'; end`,
		`create procedure none(out p_code varchar(4)) begin select 1 a from dual where false; set p_code = '0001'; end`,
		`create procedure two() begin select 1 a; select 2 b; end`,
		`create procedure one() begin select 1 a; end`)
	c := d.connector(t, d.address)
	bills := list{tree{field("dh", "007"), field("je", "1.50")}, tree{field("dh", "008"), field("je", "2.00")}}
	for call, want := range map[string]core.Value{
		"bills(p_no, out p_code)": tree{field("p_code", "0000"), field("rows", bills), field("rows2", list{tree{field("no", "V1")}})},
		"none(out p_code)":        tree{field("p_code", "0001"), field("rows", list{})},
		"two()":                   tree{field("rows", list{tree{field("a", "1")}}), field("rows2", list{tree{field("b", "2")}})},
		"one()":                   list{tree{field("a", "1")}},
	} {
		var given tree
		if strings.Contains(call, "p_no") {
			given = tree{field("p_no", "V1")}
		}
		r, err := c.Call(t.Context(), core.Request{Operation: call, Body: given})
		if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
			t.Errorf("%s: %v %s", call, err, diff)
		}
	}
}

func TestTypesAsText(t *testing.T) {
	c := func(d *database) *Connector { return d.connector(t, d.address) }
	d := postgresDatabase(t)
	r, err := c(d).Call(t.Context(), core.Request{Operation: `select '\x00ff'::bytea a, true b, 1.50::numeric c, timestamp '2026-01-05 14:56:01.25' d, 12.5::float8 e, null f, '007' g`})
	want := list{tree{field("a", "00ff"), field("b", "t"), field("c", "1.50"), field("d", "2026-01-05 14:56:01.25"), field("e", "12.5"), field("f", nil), field("g", "007")}}
	if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	m := mariaDatabase(t)
	m.exec(t, "create table t (a varbinary(9), b bit(9), c decimal(9,2), d datetime(2), e double, f int, g char(3), h bigint unsigned)",
		"insert into t values (x'00ff', b'100000001', 1.5, '2026-01-05 14:56:01.25', 12.5, null, '007', 18446744073709551615)")
	r, err = c(m).Call(t.Context(), core.Request{Operation: `select * from t`})
	want = list{tree{field("a", "00ff"), field("b", "257"), field("c", "1.50"), field("d", "2026-01-05 14:56:01.25"), field("e", "12.5"), field("f", nil), field("g", "007"), field("h", "18446744073709551615")}}
	if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestSchemaOption(t *testing.T) {
	d := postgresDatabase(t)
	d.exec(t, `create schema "Mid"`, `create table "Mid"."T" ("ID" int)`)
	x, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": "postgres", "dsn": d.dsn, "schema": "Mid"}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for _, table := range []string{"T", "Mid.T"} {
		if _, err := x.Call(t.Context(), core.Request{Operation: "insert", Body: tree{field(table, tree{field("ID", "1")})}}); err != nil {
			t.Error(err)
		}
	}
	if n := d.count(t, `"Mid"."T"`); n != 2 {
		t.Error(n)
	}
}

// A transaction dies in three places; only the last leaves doubt.
func TestWhereATransactionDies(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		tables(t, d)
		between, err := proxy.New("tcp", d.address)
		if err != nil {
			t.Fatal(err)
		}
		defer between.Close()
		c := d.connector(t, between.Address())
		warm := func() {
			t.Helper()
			between.Set(proxy.Through)
			if _, err := c.Call(t.Context(), core.Request{Operation: "select 1"}); err != nil {
				t.Fatal(err)
			}
		}
		fails := func(ctx context.Context, no string, want core.Class) {
			t.Helper()
			_, err := c.Call(ctx, prescription(no))
			if err == nil || core.ClassOf(err) != want {
				t.Errorf("%s: got %v, must be %s", no, err, want)
			}
		}

		warm()
		between.Set(proxy.CutAfter) // at the answer to BEGIN
		fails(t.Context(), "RX1", core.Unavailable)

		// The lines wait for a lock until the deadline: COMMIT was never sent.
		warm()
		lock, err := d.sql.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lock.ExecContext(t.Context(), "insert into cf_mx values ('RX2', 2, 1)"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		fails(ctx, "RX2", core.Unavailable)
		cancel()
		if err := lock.Rollback(); err != nil {
			t.Fatal(err)
		}

		// COMMIT is passed on, and its answer is lost.
		warm()
		between.Set(proxy.Through)
		between.At("commit", proxy.CutAfter)
		fails(t.Context(), "RX3", core.InDoubt)
		if n := d.count(t, "cf"); n != 1 {
			t.Errorf("%d headers, only RX3 was committed", n)
		}
	})
}

func TestConcurrencyBoundsTheConnections(t *testing.T) {
	d := postgresDatabase(t)
	x, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": "postgres", "dsn": d.dsn, "concurrency": 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	busy := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := x.Call(ctx, core.Request{Operation: "select pg_sleep(30)"})
		busy <- err
	}()
	for d.running(t, "pg_sleep(30)") == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err = x.Call(short, core.Request{Operation: "select 1"})
	if core.ClassOf(err) != core.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v; nothing was sent", err)
	}
	cancel()
	if err := <-busy; core.ClassOf(err) != core.InDoubt {
		t.Error(err)
	}
	if _, err := x.Call(t.Context(), core.Request{Operation: "select 1"}); err != nil {
		t.Error(err)
	}
}

func (d *database) running(t *testing.T, part string) int {
	t.Helper()
	var n int
	err := d.sql.QueryRowContext(t.Context(), "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' and query like '%"+part+"%'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOffline(t *testing.T) {
	for name, e := range engines(t) {
		c := &Connector{engine: e}
		for _, x := range []struct {
			q    core.Request
			want string
		}{
			{prescription("RX1"), "begin\n" +
				`insert into cf (cfh, xm, zje, kfsj, n, csrq) values (:cfh, :xm, :zje, :kfsj, :n, :csrq) -- {"cfh": "RX1", "xm": "张三'\\测试", "zje": "46.19", "kfsj": "2026-01-05 14:56:01", "n": null, "csrq": "1990-01-01"}` + "\n" +
				`insert into cf_mx (cfh, xh, sl) values (:cfh, :xh, :sl) -- {"cfh": "RX1", "xh": "1", "sl": "2"}` + "\n" +
				`insert into cf_mx (cfh, xh, sl) values (:cfh, :xh, :sl) -- {"cfh": "RX1", "xh": "2", "sl": "0.5000"}` + "\n" +
				`insert into cf_mx (sl, cfh, xh) values (:sl, :cfh, :xh) -- {"sl": "3", "cfh": "RX1", "xh": "3"}` + "\ncommit\n"},
			{core.Request{Operation: "his.settle(a, out b,\n inout c)", Body: tree{field("c", nil), field("a", "1")}}, `his.settle(a, out b, inout c) -- {"a": "1", "c": null}` + "\n"},
			{core.Request{Operation: "select a from t\n where b = :b or c = :b;", Body: tree{field("b", "<1>")}}, `select a from t where b = :b or c = :b -- {"b": "<1>"}` + "\n"},
		} {
			got, err := c.Write(x.q)
			if diff := cmp.Diff(x.want, string(got)); err != nil || diff != "" {
				t.Error(name, err, diff)
			}
		}
	}
	c := &Connector{engine: engines(t)["mysql"]}
	for answer, want := range map[string]core.Response{
		`[{"a": 1, "b": "x"}, {"a": 12.50, "b": null}]`: {Body: list{tree{field("a", "1"), field("b", "x")}, tree{field("a", "12.50"), field("b", nil)}}},
		`{"p_code": "0"}`:                       {Body: tree{field("p_code", "0")}},
		`{"error": "duplicate"}`:                {Body: tree{}, Error: "duplicate"},
		`{"error": "fault", "message": "库存不足"}`: {Body: tree{field("message", "库存不足")}, Error: "fault"},
		`[]`: {Body: list{}},
	} {
		want.Received = []byte(answer)
		got, err := c.Read(core.Request{Operation: "select 1"}, []byte(answer))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(answer, err, diff)
		}
	}
	for _, answer := range []string{"", "[", `[{"a":{"b":{"c":1}}}]`, `[] []`, "rows"} {
		if _, err := c.Read(core.Request{Operation: "select 1"}, []byte(answer)); core.ClassOf(err) != core.InDoubt || err == nil {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

func TestAWrongPasswordIsUnavailableAndNotShown(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		dsn := map[string]string{
			"postgres": "postgres://nobody_here:s3cret@" + d.address + "/postgres?sslmode=disable",
			"mysql":    "nobody_here:s3cret@tcp(" + d.address + ")/x",
		}[d.driver]
		x, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": d.driver, "dsn": dsn}})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		_, err = x.Call(t.Context(), core.Request{Operation: "select 1"})
		if core.ClassOf(err) != core.Unavailable || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "nobody_here") {
			t.Error(err)
		}
	})
}
