package db

import (
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

// The HIS numbers its rows, and a trigger makes the number that the lines refer to.
func TestAKeyThatATriggerMakesIsNotTakenForTheRowsNumber(t *testing.T) {
	d := mariaDatabase(t)
	d.exec(t, "create table cf (id int auto_increment primary key, order_no int, xm varchar(20)) engine=innodb",
		"create trigger cf_no before insert on cf for each row set new.order_no = 900000",
		"create table mx (order_no int, sl int) engine=innodb")
	c := d.connector(t, d.address)
	insert := func(table, column string) (core.Response, error) {
		return c.Call(t.Context(), core.Request{Operation: "insert", Body: tree{
			field(table, tree{field("xm", "测试患者")}),
			field("mx", tree{field("order_no", key(table+"."+column)), field("sl", "1")}),
		}})
	}
	var schema string
	if err := d.sql.QueryRowContext(t.Context(), "select database()").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"cf", schema + ".cf"} {
		for range 2 {
			_, err := insert(table, "order_no")
			if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), table+".order_no") {
				t.Errorf("got %v", err)
			}
		}
		if r, err := insert(table, "id"); err != nil || r.Error != "" {
			t.Errorf("its own number: %q %v", r.Error, err)
		}
	}
	if n := d.count(t, "cf"); n != 2 {
		t.Errorf("%d rows stayed", n)
	}
	if n := d.count(t, "mx where order_no in (select id from cf)"); n != 2 {
		t.Errorf("%d lines have the number of their row", n)
	}
	// The cure that the refusal names.
	r, err := c.Call(t.Context(), core.Request{Operation: "insert", Body: tree{
		field("cf", tree{field("id", key("cf.id")), field("xm", "测试患者")}),
		field("mx", tree{field("order_no", looked("select order_no from cf where id = :id", field("id", key("cf.id")))), field("sl", "1")}),
	}})
	if err != nil || r.Error != "" || d.count(t, "mx where order_no = 900000") != 1 {
		t.Errorf("%q %v", r.Error, err)
	}
}

// The database is asked once for each key.
func TestSQLServerIsAskedWhichColumnItNumbers(t *testing.T) {
	numbered := false
	d := &recorded{answer: func(call string) (*result, error) {
		one := &result{columns: []string{""}, types: []string{"INT"}, values: [][]driver.Value{{int64(7)}}}
		switch {
		case strings.Contains(call, "columnproperty") && !numbered:
			one.values = nil
			return one, nil
		case strings.HasPrefix(call, "select") || strings.Contains(call, "scope_identity"):
			return one, nil
		}
		return nil, nil
	}}
	c := opened(t, "sqlserver", d)
	insert := core.Request{Operation: "insert", Body: tree{
		field("his.cf", tree{field("xm", "测试患者")}),
		field("mx", tree{field("cf_id", key("his.cf.id"))}),
	}}
	if _, err := c.Call(t.Context(), insert); core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "his.cf.id") {
		t.Errorf("got %v", err)
	}
	numbered = true
	for range 2 {
		if _, err := c.Call(t.Context(), insert); err != nil {
			t.Fatal(err)
		}
	}
	asked := "select 1 where isnull(columnproperty(object_id(@p1, 'U'), @p2, 'IsIdentity'), 1) = 1 | [his].[cf] | id"
	rows := []string{"BEGIN", "insert into [his].[cf] ([xm]) values (@p1); select convert(nvarchar(40), scope_identity()) | 测试患者", "insert into [mx] ([cf_id]) values (@p1) | 7", "COMMIT"}
	want := append([]string{asked, asked}, append(rows, rows...)...)
	if diff := cmp.Diff(want, d.calls); diff != "" {
		t.Error(diff)
	}
}
