package db

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func TestSQLServerStatements(t *testing.T) {
	d := &recorded{}
	c := opened(t, "sqlserver", d)
	if _, err := c.Call(t.Context(), prescription("RX1")); err != nil {
		t.Fatal(err)
	}
	d.answer = func(string) (*result, error) {
		return &result{columns: []string{"", "", ""}, types: []string{"NVARCHAR", "NVARCHAR", "NVARCHAR"}, values: [][]driver.Value{{"RX1/ok", nil, "46.1000"}}}, nil
	}
	r, err := c.Call(t.Context(), core.Request{
		Operation: "his.settle(p_no, in p_je, out p_code, inout p_n, out p_je2 money)",
		Body:      tree{field("p_n", "41"), field("p_je", nil), field("p_no", "RX1")},
	})
	want := tree{field("p_code", "RX1/ok"), field("p_n", nil), field("p_je2", "46.1000")}
	if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	d.answer = func(string) (*result, error) {
		return &result{
			columns: []string{"a", "b", "c", "d", "e", "f", "g", "h"}, types: []string{"DECIMAL", "BIT", "VARBINARY", "DATETIME", "DATE", "NVARCHAR", "BIGINT", "UNIQUEIDENTIFIER"},
			values: [][]driver.Value{{[]byte("46.10"), true, []byte{0, 255}, clockOf("2026-01-05 14:56:01.25"), clockOf("2026-01-05 00:00:00"), nil, int64(7),
				[]byte{0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8}}},
		}, nil
	}
	r, err = c.Call(t.Context(), core.Request{Operation: "select * from [a:b] where n = :n or m = :n or o = N':x'", Body: tree{field("n", "1")}})
	rows := list{tree{field("a", "46.10"), field("b", "1"), field("c", "00ff"), field("d", "2026-01-05 14:56:01.25"), field("e", "2026-01-05"), field("f", nil), field("g", "7"),
		field("h", "01234567-89AB-CDEF-0102-030405060708")}}
	if diff := cmp.Diff(rows, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if diff := cmp.Diff([]string{
		"BEGIN",
		"insert into [cf] ([cfh], [xm], [zje], [kfsj], [n], [csrq]) values (@p1, @p2, @p3, @p4, @p5, @p6) | RX1 | 张三'\\测试 | 46.19 | 2026-01-05 14:56:01 | NULL | 1990-01-01",
		"insert into [cf_mx] ([cfh], [xh], [sl]) values (@p1, @p2, @p3), (@p4, @p5, @p6) | RX1 | 1 | 2 | RX1 | 2 | 0.5000",
		"insert into [cf_mx] ([sl], [cfh], [xh]) values (@p1, @p2, @p3) | 3 | RX1 | 3",
		"COMMIT",
		batch + " | RX1 | NULL | 41", "if @@trancount > 0 commit", "farewell", "close",
		"select * from [a:b] where n = @p1 or m = @p1 or o = N':x' | 1",
	}, d.calls); diff != "" {
		t.Error(diff)
	}
}

func TestOracleStatements(t *testing.T) {
	d := &recorded{}
	c := opened(t, "oracle", d)
	if _, err := c.Call(t.Context(), prescription("RX1")); err != nil {
		t.Fatal(err)
	}
	d.answer = func(string) (*result, error) {
		return &result{values: [][]driver.Value{{"42", nil, "<OUTPUT/>"}}}, nil
	}
	r, err := c.Call(t.Context(), core.Request{
		Operation: "zlhis.pkg.Zl_Third_Payment(xml_in xmltype, inout p_n, out p_msg, none xmltype, out xml_out xmltype, note clob)",
		Body:      tree{field("note", "n"), field("p_n", "41"), field("xml_in", core.Raw("<IN/>")), field("none", nil)},
	})
	want := tree{field("p_n", "42"), field("p_msg", nil), field("xml_out", "<OUTPUT/>")}
	if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	d.answer = func(string) (*result, error) {
		return &result{
			columns: []string{"A", "B", "C", "D", "E"}, types: []string{"NUMBER", "NUMBER", "DATE", "RAW", "NCHAR"}, scales: []int64{2, 255, 0, 0, 0},
			values: [][]driver.Value{{"46.1", "46.1", clockOf("2026-01-05 00:00:00"), []byte{0, 255}, nil}},
		}, nil
	}
	r, err = c.Call(t.Context(), core.Request{Operation: `select q'[it's :x]' from "T:x" where a = :n or b = :n`, Body: tree{field("n", "1")}})
	rows := list{tree{field("A", "46.10"), field("B", "46.1"), field("C", "2026-01-05 00:00:00"), field("D", "00ff"), field("E", nil)}}
	if diff := cmp.Diff(rows, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := c.Call(t.Context(), core.Request{Operation: "update t set a = :a", Body: tree{field("a", strings.Repeat("x", 20000))}}); err != nil {
		t.Error(err)
	}
	calls := d.calls[oracleLogin:]
	if !strings.HasPrefix(calls[len(calls)-1], "update t set a = :1 | clob xxx") {
		t.Error("a long text is no CLOB")
	}
	if diff := cmp.Diff([]string{
		"BEGIN",
		`insert into "CF" ("CFH", "XM", "ZJE", "KFSJ", "N", "CSRQ") values (:1, :2, :3, :4, :5, :6) | RX1 | 张三'\测试 | 46.19 | 2026-01-05 14:56:01 | NULL | 1990-01-01`,
		`insert into "CF_MX" ("CFH", "XH", "SL") values (:1, :2, :3) | RX1 | 1 | 2`,
		`insert into "CF_MX" ("CFH", "XH", "SL") values (:1, :2, :3) | RX1 | 2 | 0.5000`,
		`insert into "CF_MX" ("SL", "CFH", "XH") values (:1, :2, :3) | 3 | RX1 | 3`,
		"COMMIT",
		`declare x5 sys.xmltype; begin "ZLHIS"."PKG"."ZL_THIRD_PAYMENT"(sys.xmltype.createxml(:1), :2, :3, null, x5, :4); ` +
			`if x5 is not null then :5 := x5.getclobval(); end if; end; | clob <IN/> | out(in true, clob false) | out(in false, clob false) | clob n | out(in false, clob true)`,
		"farewell", "close", settings, "select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'",
		`select q'[it's :x]' from "T:x" where a = :1 or b = :2 | 1 | 1`,
	}, calls[:len(calls)-1]); diff != "" {
		t.Error(diff)
	}
}

func TestLargeInsertsFitTheBounds(t *testing.T) {
	var row tree
	for i := range 30 {
		row = append(row, field(fmt.Sprintf("c%d", i), "x"))
	}
	rows := make(list, 150)
	for i := range rows {
		rows[i] = row
	}
	for name, want := range map[string][]int{"postgres": {100, 50}, "mysql": {100, 50}, "sqlserver": {66, 66, 18}} {
		s, err := engines(t)[name].plan(core.Request{Operation: "insert", Body: tree{field("t", rows)}})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, st := range s.statements {
			got = append(got, len(st.args)/len(row))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(name, diff)
		}
	}
}

func TestDescribe(t *testing.T) {
	c := &Connector{engine: engines(t)["oracle"]}
	for operation, want := range map[string]core.Shape{
		"insert": {Operation: "insert"},
		"select a from t where b = :no and c = :no or d = :day": {Operation: "select", Parameters: []core.Parameter{{Name: "no", Required: true}, {Name: "day", Required: true}}},
		"P(a xmltype, out b, inout c)": {Operation: "P",
			Parameters: []core.Parameter{{Name: "a", Type: "xmltype", Required: true}, {Name: "c", Required: true}},
			Results:    []core.Parameter{{Name: "b"}, {Name: "c"}}},
	} {
		got, err := c.Describe(operation)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(operation, err, diff)
		}
	}
	for _, operation := range []string{"", "select 'a", "P(a b c d)", "P(out)"} {
		if _, err := c.Describe(operation); err == nil {
			t.Errorf("%q is no operation", operation)
		}
	}
}

func TestTypesOfParameters(t *testing.T) {
	for name, operation := range map[string]string{"postgres": "p(a xmltype)", "mysql": "p(out a clob)", "oracle": "p(a number)"} {
		if _, err := engines(t)[name].plan(core.Request{Operation: operation, Body: tree{field("a", "1")}}); err == nil {
			t.Errorf("%s takes %s", name, operation)
		}
	}
}
