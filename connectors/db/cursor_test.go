package db

import (
	"database/sql/driver"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ora "github.com/sijms/go-ora/v2"

	"hishub/core"
)

const bills = "GetBills(p_no, out p_rows cursor, out p_code, out p_lines cursor)"

var visit = tree{field("p_no", "V1")}

// An Oracle procedure gives its rows by cursors, which are read after the call.
func TestCursorsOfOracle(t *testing.T) {
	d := &recorded{}
	d.answer = func(call string) (*result, error) {
		if strings.HasPrefix(call, "begin") {
			return &result{values: [][]driver.Value{{nil, "0000", nil}}}, nil
		}
		return nil, nil
	}
	asked := 0
	reading := error(nil)
	d.open = func(*ora.RefCursor) (driver.Rows, error) {
		asked++
		if asked%2 == 0 {
			// The procedure left this one alone.
			return nil, oraError(24338, "ORA-24338: statement handle not executed")
		}
		return &recordedRows{result: result{
			columns: []string{"DH", "JE"}, types: []string{"VARCHAR2", "NUMBER"}, scales: []int64{0, 2},
			values: [][]driver.Value{{"007", "1.5"}, {"008", nil}}, then: reading,
		}}, nil
	}
	c := opened(t, "oracle", d)
	q := core.Request{Operation: bills, Body: visit}
	r, err := c.Call(t.Context(), q)
	want := tree{
		field("p_rows", list{tree{field("DH", "007"), field("JE", "1.50")}, tree{field("DH", "008"), field("JE", nil)}}),
		field("p_code", "0000"), field("p_lines", list{}),
	}
	if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	call := `begin "GETBILLS"(:1, :2, :3, :4); end; | V1 | out cursor | out(in false, clob false) | out cursor`
	if !slices.Contains(d.calls, call) {
		t.Errorf("called %q", d.calls)
	}
	// What was recorded reads the same.
	if again, err := c.Read(q, r.Received); err != nil || cmp.Diff(r.Body, again.Body) != "" {
		t.Errorf("%s reads as %v, %v", r.Received, again.Body, err)
	}
	// The procedure has run: whatever its cursor says then, it may have acted.
	for name, x := range map[string]error{
		"its own no":  oraError(20001, "ORA-20001: 秘密"),
		"a bad value": oraError(1722, "ORA-01722: 秘密"),
		"no table":    oraError(942, "ORA-00942: table or view does not exist"),
		"cut":         io.ErrUnexpectedEOF,
	} {
		asked, reading = 0, x
		r, err := c.Call(t.Context(), q)
		if r.Error != "" || err == nil || core.ClassOf(err) != core.InDoubt || strings.Contains(err.Error(), "秘密") {
			t.Errorf("%s: %q %v", name, r.Error, err)
		}
	}
}

func TestCursorsOfPostgres(t *testing.T) {
	d := postgresDatabase(t)
	d.exec(t,
		`create table asked (no text)`,
		`create function rows_of(p_no text, n int) returns refcursor language plpgsql as
		$$ declare c refcursor := 'odd "name"'; begin open c for select p_no || '-' || i as dh, (i * 1.5)::numeric(9,2) as je from generate_series(1, n) i; return c; end $$`,
		`create procedure getbills(p_no text, inout p_rows refcursor, out p_code text, inout p_lines refcursor) language plpgsql as
		$$ begin insert into asked values (p_no);
		if p_no = 'bad' then raise exception '没有此人'; end if;
		open p_rows for select p_no as dh union all select null; p_code := '0000';
		if p_no = 'late' then open p_lines for select 1 / (i - 2) x from generate_series(1, 3) i; end if; end $$`,
		`create function both_of(p_no text, out p_rows refcursor, out p_code text) language plpgsql as
		$$ begin open p_rows for select p_no as dh; p_code := '0000'; end $$`,
		`create procedure commits(inout p_rows refcursor) language plpgsql as $$ begin open p_rows for select 1; commit; end $$`)
	c := d.connector(t, d.address)
	two := field("p_rows", list{tree{field("dh", "V1")}, tree{field("dh", nil)}})
	for call, x := range map[string]struct {
		given core.Tree
		want  core.Value
	}{
		strings.ToLower(bills): {visit, tree{two, field("p_code", "0000"), field("p_lines", list{})}},
		"getbills(p_no, inout p_rows cursor, out p_code, inout p_lines cursor)": {append(tree{field("p_rows", "ours"), field("p_lines", nil)}, visit...), tree{two, field("p_code", "0000"), field("p_lines", list{})}},
		// Functions are written alike.
		"rows_of(p_no, n, out rows cursor)":            {append(tree{field("n", "2")}, visit...), tree{field("rows", list{tree{field("dh", "V1-1"), field("je", "1.50")}, tree{field("dh", "V1-2"), field("je", "3.00")}})}},
		"both_of(p_no, out p_rows cursor, out p_code)": {visit, tree{field("p_rows", list{tree{field("dh", "V1")}}), field("p_code", "0000")}},
	} {
		q := core.Request{Operation: call, Body: x.given}
		r, err := c.Call(t.Context(), q)
		if diff := cmp.Diff(x.want, r.Body); err != nil || r.Error != "" || diff != "" {
			t.Errorf("%s: %v %s %s", call, err, r.Error, diff)
		}
		if again, err := c.Read(q, r.Received); err != nil || cmp.Diff(r.Body, again.Body) != "" {
			t.Errorf("%s reads as %v, %v", r.Received, again.Body, err)
		}
	}
	if n := d.count(t, "asked"); n != 2 {
		t.Errorf("%d calls were committed, not 2", n)
	}
	// It says no, or a cursor breaks while it is read: all of it is undone.
	no := core.Request{Operation: strings.ToLower(bills), Body: tree{field("p_no", "bad")}}
	if r, err := c.Call(t.Context(), no); err != nil || r.Error != "fault" || r.Body.(tree).Get("message") != "没有此人" {
		t.Errorf("%+v %v", r, err)
	}
	for call, say := range map[string]string{
		strings.ToLower(bills):             "SQLSTATE 22012",
		"nobody(p_no, out p_rows cursor)":  "nobody",
		"rows_of(p_no, out rows cursor)":   "rows_of",
		"commits(p_no, out rows cursor)":   "commits",
		"both_of(p_no, out p_rows cursor)": "the call names 1 out parameters",
		"rows_of(p_no cursor)":             "write out p_no cursor",
	} {
		r, err := c.Call(t.Context(), core.Request{Operation: call, Body: tree{field("p_no", "late")}})
		if r.Error != "" || core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %q %v", call, r.Error, err)
		}
	}
	if _, err := c.Call(t.Context(), core.Request{Operation: "commits(out rows cursor)"}); core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "commits by itself") {
		t.Error(err)
	}
	if n := d.count(t, "asked"); n != 2 {
		t.Errorf("%d calls stand, two were accepted", n)
	}
	if _, err := c.Call(t.Context(), core.Request{Operation: "select 1"}); err != nil {
		t.Error(err)
	}
}

func TestDatabasesWithoutCursors(t *testing.T) {
	for _, name := range []string{"mysql", "sqlserver"} {
		c := &Connector{engine: engines(t)[name]}
		if _, err := c.Write(core.Request{Operation: bills, Body: visit}); core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "answer.rows") {
			t.Error(name, err)
		}
	}
}
