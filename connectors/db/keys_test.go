package db

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func key(of string) core.Value { return tree{field(generatedName, of)} }

// orders is an entrance of the kind that keeps a key of its own for everything:
// each line is an order, and a drug's order that has the same key.
func orders() core.Request {
	line := func(drug, dose string) tree {
		return tree{
			field("orders", tree{field("encounter_id", key("encounter.encounter_id")), field("concept", drug)}),
			field("drug_order", tree{field("order_id", key("orders.order_id")), field("dose", dose)}),
		}
	}
	body := tree{field("encounter", tree{field("visit", "V1")})}
	body = append(append(body, line("YP1", "0.50")...), line("YP2", "1")...)
	return core.Request{Operation: "insert", Body: body}
}

func TestGeneratedKeys(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		serial := "int generated always as identity primary key"
		if d.driver == "mysql" {
			serial = "int auto_increment primary key"
		}
		d.exec(t, "create table encounter (encounter_id "+serial+", visit varchar(20) unique)",
			"create table orders (order_id "+serial+", encounter_id int not null references encounter(encounter_id), concept varchar(20))",
			"create table drug_order (order_id int primary key references orders(order_id), dose decimal(12,2))",
			"create table plain (a varchar(20), b varchar(20))",
			"insert into orders (encounter_id, concept) select encounter_id, 'other' from encounter") // nothing, but the table is known
		c := d.connector(t, d.address)
		r, err := c.Call(t.Context(), orders())
		if err != nil || r.Error != "" {
			t.Fatal(r.Error, err)
		}
		want := tree{field("encounter", tree{field("encounter_id", "1")}), field("orders", tree{field("order_id", "2")})}
		if diff := cmp.Diff(want, r.Body); diff != "" {
			t.Error(diff)
		}
		if again, err := c.Read(orders(), r.Received); err != nil || cmp.Diff(want, again.Body) != "" {
			t.Errorf("%s reads as %v, %v", r.Received, again.Body, err)
		}
		rows, err := c.Call(t.Context(), core.Request{Operation: "select o.encounter_id, o.concept, d.dose from orders o join drug_order d on d.order_id = o.order_id order by 2"})
		if err != nil || fmt.Sprint(rows.Body) != "[[{encounter_id 1} {concept YP1} {dose 0.50}] [{encounter_id 1} {concept YP2} {dose 1.00}]]" {
			t.Errorf("%v %v", rows.Body, err)
		}
		// The same visit again: nothing of it stays.
		if r, err := c.Call(t.Context(), orders()); err != nil || r.Error != "duplicate" || d.count(t, "orders") != 2 {
			t.Errorf("%q %v, %d orders", r.Error, err, d.count(t, "orders"))
		}
		alone := core.Request{Operation: "insert", Body: tree{field("encounter", tree{field("encounter_id", key("encounter.encounter_id")), field("visit", "V2")})}}
		if r, err := c.Call(t.Context(), alone); err != nil || len(r.Body.(tree)) != 1 || r.Body.(tree)[0].Value.(tree).Get("encounter_id") == nil || d.count(t, "encounter where visit = 'V2'") != 1 {
			t.Errorf("a key that only the answer has: %v, %v", r.Body, err)
		}
		none := core.Request{Operation: "insert", Body: tree{field("plain", tree{field("a", "1")}), field("orders", tree{field("encounter_id", key("plain.b"))})}}
		if _, err := c.Call(t.Context(), none); core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "plain.b") || d.count(t, "plain") != 0 {
			t.Errorf("a column that is not generated: %v", err)
		}
	})
}

func TestGeneratedKeysAsTheyAreShown(t *testing.T) {
	for driver, dsn := range map[string]string{"postgres": "postgres://u@h/d", "mysql": "u:p@tcp(h:1)/d", "sqlserver": "sqlserver://u:p@h", "oracle": "oracle://u:p@h:1/s"} {
		opened, err := Open(core.ConnectorSpec{Name: "default", Kind: "db", Options: map[string]any{"driver": driver, "dsn": dsn}})
		if err != nil {
			t.Fatal(err)
		}
		c := opened.(*Connector)
		defer c.Close()
		shown, err := c.Write(orders())
		want := `begin
insert into encounter (visit) values (:visit) -- {"visit": "V1"}
insert into orders (encounter_id, concept) values (:encounter.encounter_id, :concept) -- {"concept": "YP1"}
insert into drug_order (order_id, dose) values (:orders.order_id, :dose) -- {"dose": "0.50"}
insert into orders (encounter_id, concept) values (:encounter.encounter_id, :concept) -- {"concept": "YP2"}
insert into drug_order (order_id, dose) values (:orders.order_id, :dose) -- {"dose": "1"}
commit
`
		if diff := cmp.Diff(want, string(shown)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", driver, err, diff)
		}
		for what, q := range map[string]core.Value{
			"takes the key orders.order_id":   tree{field("drug_order", tree{field("order_id", key("orders.order_id"))}), field("orders", tree{field("concept", "x")})},
			"write {.generated: TABLE.COLUMN": tree{field("orders", tree{field("concept", key("order_id"))})},
			"not a generated key":             tree{field("orders", tree{field("concept", tree{field(generatedName, "a.b"), field("c", "d")})})},
		} {
			if _, err := c.Write(core.Request{Operation: "insert", Body: q}); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: expected %q, got %v", driver, what, err)
			}
		}
		s, err := c.engine.plan(orders())
		if err != nil {
			t.Fatal(err)
		}
		var sql []string
		for _, st := range s.statements[:strings.Count(written[driver], "\n")+1] {
			sql = append(sql, fmt.Sprint(st.sql, " ", len(st.args), " ", st.gives))
		}
		if got := strings.Join(sql, "\n"); got != written[driver] {
			t.Errorf("%s:\n%s", driver, got)
		}
	}
}

// written are the first statements of orders, with the number of their values.
var written = map[string]string{
	"postgres":  "insert into \"encounter\" (\"visit\") values ($1) returning \"encounter_id\" 1 [encounter.encounter_id]\ninsert into \"orders\" (\"encounter_id\", \"concept\") values ($1, $2) returning \"order_id\" 2 [orders.order_id]",
	"mysql":     "do last_insert_id(0) 0 []\ninsert into `encounter` (`visit`) values (?) 1 []\nselect last_insert_id() 0 [encounter.encounter_id]",
	"sqlserver": "insert into [encounter] ([visit]) values (@p1); select convert(nvarchar(40), scope_identity()) 1 [encounter.encounter_id]\ninsert into [orders] ([encounter_id], [concept]) values (@p1, @p2); select convert(nvarchar(40), scope_identity()) 2 [orders.order_id]",
	"oracle":    "insert into \"ENCOUNTER\" (\"VISIT\") values (:1) returning \"ENCOUNTER_ID\" into :2 2 [encounter.encounter_id]\ninsert into \"ORDERS\" (\"ENCOUNTER_ID\", \"CONCEPT\") values (:1, :2) returning \"ORDER_ID\" into :3 3 [orders.order_id]",
}
