package db

import (
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/connectors/proxy"
	"hishub/core"
)

// leavesOpen is a procedure of a HIS whose programmer trusted the caller to commit.
func leavesOpen(t *testing.T) *database {
	d := mariaDatabase(t)
	d.exec(t, "create table jf (no varchar(20) primary key) engine=innodb",
		"create procedure pay(in a varchar(20), out res int) begin start transaction; insert into jf values (a); set res = 0; end",
		"create procedure quiet(in a varchar(20)) begin set autocommit = 0; insert into jf values (a); end",
		"create procedure no(in a varchar(20)) begin start transaction; insert into jf values (a); signal sqlstate '45000' set message_text = '余额不足'; end")
	return d
}

// What is answered well is there for everybody, and stays.
func TestAProcedureThatLeavesItsTransactionOpen(t *testing.T) {
	d := leavesOpen(t)
	c := d.connector(t, d.address)
	given := func(no string) core.Value { return tree{field("a", no)} }
	for no, operation := range map[string]string{"X1": "pay(a, out res)", "X2": "quiet(a)", "X3": "call quiet(:a)"} {
		r, err := c.Call(t.Context(), core.Request{Operation: operation, Body: given(no)})
		if err != nil || r.Error != "" {
			t.Fatal(operation, r.Error, err)
		}
		if n := d.count(t, "jf where no = '"+no+"'"); n != 1 {
			t.Errorf("%s: others see %d rows", operation, n)
		}
	}
	r, err := c.Call(t.Context(), core.Request{Operation: "no(a)", Body: given("X4")})
	if err != nil || r.Error != "fault" {
		t.Error(r.Error, err)
	}
	r, err = c.Call(t.Context(), core.Request{Operation: "select no from jf where no = 'X4'"})
	if diff := cmp.Diff(list{}, r.Body); err != nil || diff != "" {
		t.Errorf("an inquiry sees what was refused: %v %s", err, diff)
	}
	c.Close()
	if n := d.count(t, "jf"); n != 3 {
		t.Errorf("%d rows stayed", n)
	}
}

// The answer to the call is lost, or that to the commit behind it.
func TestAProcedureWhoseAnswerIsLostIsInDoubt(t *testing.T) {
	maria, postgres := leavesOpen(t), postgresDatabase(t)
	postgres.exec(t, "create table jf (no text)",
		"create procedure pay(a text, out res int) language plpgsql as $$ begin insert into jf values (a); res := 0; end $$")
	for at, d := range map[string]*database{"call `pay`": maria, "\x03commit": maria, `call "pay"`: postgres} {
		between, err := proxy.New("tcp", d.address)
		if err != nil {
			t.Fatal(err)
		}
		defer between.Close()
		c := d.connector(t, between.Address())
		between.At(at, proxy.CutAfter)
		_, err = c.Call(t.Context(), core.Request{Operation: "pay(a, out res)", Body: tree{field("a", "X1")}})
		if core.ClassOf(err) != core.InDoubt {
			t.Errorf("%q: got %v", at, err)
		}
	}
}

func TestAStatementThatLeavesItsTransactionOpen(t *testing.T) {
	d := postgresDatabase(t)
	c := d.connector(t, d.address)
	if r, err := c.Call(t.Context(), core.Request{Operation: "start transaction"}); core.ClassOf(err) != core.InDoubt || r.Body != nil {
		t.Errorf("got %v %v", r.Body, err)
	}
	if len(c.pool.idle) != 0 {
		t.Error("its session is used again")
	}
}

// A dsn may say autocommit=0, as the HIS's own programs have it.
func TestAStatementIsCommittedWhateverTheDSNSays(t *testing.T) {
	d := leavesOpen(t)
	x, err := Open(core.ConnectorSpec{Options: map[string]any{"driver": "mysql", "dsn": d.dsn + "?autocommit=0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if _, err := x.Call(t.Context(), core.Request{Operation: "insert into jf (no) values (:a)", Body: tree{field("a", "X1")}}); err != nil {
		t.Fatal(err)
	}
	if n := d.count(t, "jf"); n != 1 {
		t.Errorf("others see %d rows", n)
	}
}

func TestWhatAProcedureSetsIsGoneWithIt(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		state, id := "select current_setting('search_path') as a, current_user as b", "select pg_backend_pid() as id"
		if d.driver == "mysql" {
			state, id = "select @@time_zone as a, @x as b", "select connection_id() as id"
			d.exec(t, "create procedure q() set time_zone = '+00:00', @x = '测试患者'")
		} else {
			d.exec(t, `create procedure q() language plpgsql as $$ begin
				perform set_config('search_path', 'pg_catalog', false); perform set_config('role', 'pg_monitor', false); end $$`)
		}
		c := d.connector(t, d.address)
		ask := func(operation string) core.Value {
			t.Helper()
			r, err := c.Call(t.Context(), core.Request{Operation: operation})
			if err != nil {
				t.Fatal(operation, err)
			}
			return r.Body
		}
		before, first := ask(state), ask(id)
		if diff := cmp.Diff(first, ask(id)); diff != "" {
			t.Error("plain statements have no session in common", diff)
		}
		for _, call := range []string{"q()", "call q()"} {
			ask(call)
			if diff := cmp.Diff(before, ask(state)); diff != "" {
				t.Errorf("after %s: %s", call, diff)
			}
		}
	})
}

func TestSQLServerCommitsWhatAProcedureLeftOpen(t *testing.T) {
	d := &recorded{}
	c := opened(t, "sqlserver", d)
	call := core.Request{Operation: "settle(a)", Body: tree{field("a", "1")}}
	if _, err := c.Call(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"exec [settle] @p1 | 1", "if @@trancount > 0 commit", "farewell", "close"}, d.calls); diff != "" {
		t.Error(diff)
	}
	for _, failure := range []error{mssqlError(1205), mssqlError(50001), errors.New("cut")} {
		d.answer = func(call string) (*result, error) {
			if strings.HasPrefix(call, "if") {
				return nil, failure
			}
			return &result{values: [][]driver.Value{}}, nil
		}
		if r, err := c.Call(t.Context(), call); core.ClassOf(err) != core.InDoubt || r.Error != "" {
			t.Errorf("%v: got %q %v", failure, r.Error, err)
		}
	}
}
