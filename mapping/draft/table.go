package draft

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// table is a table, view or procedure of a database.
type table struct {
	name    string
	words   string
	place   string
	columns []column
	// view: rows to read. procedure: columns are its parameters.
	view, procedure bool
	refers          []reference
	left            int    // columns beyond maxColumns
	ask             bool   // a question for its rows
	lines           *table // of the same object
}

type column struct {
	name, typ, words string
	required         bool
	auto             bool // the database fills it
	otherwise        bool // it has a default
	out, in          bool // of a procedure's parameter
}

type reference struct{ column, table string }

// description is what a database has.
type description struct {
	driver string // "" is unknown
	tables []*table
	byName map[string][]*table // in lower case; of a dump
}

// Database is a live database that ReadDatabase has described.
type Database struct{ description description }

var lineWords = words("detail details dtl mx item items line lines sub list 明细")

// database takes the tables, views and procedures of a database.
func (p *plan) database(ctx context.Context, d description) {
	d.tables = p.chosen(ctx, d.tables)
	e := p.entrance("db")
	examples := map[string]string{"postgres": "postgres://hub:password@127.0.0.1:5432/his", "mysql": "hub:password@tcp(127.0.0.1:3306)/his", "sqlserver": "sqlserver://hub:password@127.0.0.1:1433?database=his", "oracle": "oracle://hub:password@127.0.0.1:1521/his"}
	driver := d.driver
	if driver == "" {
		driver = "postgres"
		p.note("which database the dump is of does not show; change driver in hospital.yaml")
	}
	e.options = []entry{{key: "driver", value: driver}, {key: "dsn", value: p.variable(e, "DSN", examples[driver])}}
	e.rules = []entry{{key: "ok", value: "wire.error == nil", note: "guess: the row was taken"}}
	lines := map[*table]bool{}
	named := map[*table]bool{}
	for _, t := range d.tables {
		named[t] = t.namedLines()
	}
	for _, t := range d.tables {
		if ctx.Err() != nil {
			return
		}
		if l := d.linesOf(t, named); l != nil {
			t.lines = l
			lines[l] = true
		}
	}
	for _, t := range d.tables {
		if ctx.Err() != nil {
			return
		}
		if lines[t] {
			continue
		}
		switch {
		case t.procedure:
			p.procedure(e, t)
		case t.view:
			p.rows(e, t)
		default:
			p.table(e, t)
		}
	}
}

// linesOf finds the table of a header's lines: one that refers to it, or that has
// its name and a word for lines, and a column in common. Those with such a word are
// named.
func (d description) linesOf(head *table, named map[*table]bool) *table {
	if head.view || head.procedure {
		return nil
	}
	for _, t := range d.tables {
		if t == head || t.view || t.procedure || !named[t] {
			continue
		}
		for _, r := range t.refers {
			if strings.EqualFold(r.table, head.name) {
				return t
			}
		}
		if commonStart(t.name, head.name) < 4 {
			continue
		}
		for _, c := range t.columns {
			if !c.auto && head.column(c.name) != nil && !head.column(c.name).auto {
				return t
			}
		}
	}
	return nil
}

func (t *table) namedLines() bool {
	return slices.ContainsFunc(cut(t.name), func(part string) bool { return slices.Contains(lineWords, part) })
}

func commonStart(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func (t *table) column(name string) *column {
	for i := range t.columns {
		if strings.EqualFold(t.columns[i].name, name) {
			return &t.columns[i]
		}
	}
	return nil
}

func (c column) field() Field {
	return Field{Name: c.name, Type: c.typ, Words: c.words, Optional: !c.required}
}

func (t *table) fields() []Field {
	var out []Field
	for _, c := range t.columns {
		out = append(out, c.field())
	}
	return out
}

// table offers an insert, and the question for the row where it can be found again.
func (p *plan) table(e *entrance, t *table) {
	kind, why := guessKind(t.name, t.words)
	transaction, _ := core.Lookup(kind)
	if kind != "" && transaction.Mode != core.Write {
		p.rows(e, t)
		return
	}
	o := &Offer{Call: "insert", Name: t.name, Words: t.words, Place: t.place, Table: t, Sends: true, kind: kind, why: why, envelope: e.sort("insert")}
	o.Send = t.fields()
	e.add(o)
	if kind == "" {
		return
	}
	ask := core.Kind(transaction.Noun + ".status")
	if _, known := core.Lookup(ask); !known || !strings.HasSuffix(string(kind), ".create") && kind != core.PaymentSettle && kind != core.AppointmentBook {
		return
	}
	state, ok := find(canon{name: "state"}, placesOf(t.fields(), "row", 0))
	if !ok {
		return
	}
	q := p.selecting(e, t, ask)
	q.kind, q.why, q.Table = ask, state.Name, &table{name: t.name, ask: true}
	e.add(q)
}

// rows offers a question for the rows of a view.
func (p *plan) rows(e *entrance, t *table) {
	kind, why := guessKind("query "+t.name, t.words)
	if transaction, _ := core.Lookup(kind); kind != "" && transaction.Mode != core.Question {
		kind = ""
	}
	o := p.selecting(e, t, kind)
	o.kind, o.why = kind, why
	o.Answer = []Field{{Name: "", List: true, Children: t.fields()}}
	e.add(o)
}

// selecting offers a SELECT by the columns that a transaction's message has.
func (p *plan) selecting(e *entrance, t *table, kind core.Kind) *Offer {
	var names, where []string
	o := &Offer{Name: t.name, Words: t.words, Place: t.place, Sends: true, Answers: true, Answer: t.fields()}
	own := messageOf(kind)
	taken := map[string]bool{}
	for _, c := range t.columns {
		names = append(names, c.name)
		f, ok := likely(c.field(), own)
		if !ok || taken[f.name] || f.is != isText && f.is != isDay || kind == "" || !f.required {
			continue
		}
		taken[f.name] = true
		where = append(where, c.name+" = :"+strings.ToLower(c.name))
		g := c.field()
		g.Name = strings.ToLower(c.name)
		o.Send = append(o.Send, g)
	}
	o.Call = "select " + strings.Join(names, ", ") + " from " + t.name
	if len(where) > 0 {
		o.Call += " where " + strings.Join(where, " and ")
	}
	return o
}

// procedure offers a call, as NAME(in a, out b).
func (p *plan) procedure(e *entrance, t *table) {
	o := &Offer{Name: t.name, Words: t.words, Place: t.place, Sends: true, Answers: true}
	var ps []string
	for _, c := range t.columns {
		name := strings.TrimPrefix(c.name, "@")
		typ := ""
		switch low := strings.ToLower(c.typ); low {
		case "xmltype", "clob":
			typ = " " + low
		case "sys_refcursor", "refcursor":
			typ = " cursor"
		}
		f := c.field()
		f.Name = name
		if c.out {
			ps = append(ps, "out "+name+typ)
			o.Answer = append(o.Answer, f)
		} else {
			ps = append(ps, "in "+name+typ)
			o.Send = append(o.Send, f)
		}
	}
	o.Call = t.name + "(" + strings.Join(ps, ", ") + ")"
	if t.view = false; len(ps) == 0 {
		o.Call = t.name + "()"
	}
	e.add(o)
}

// insert writes the rows of a header and its lines.
func (s *speaker) insert(o *Offer) []entry {
	if o.Table.ask {
		return s.document(o.Send)
	}
	head := map[string]string{}
	var under []entry
	for _, c := range o.Table.columns {
		e := s.column(c, s.noun, s.among)
		if !e.off && e.value != open {
			head[strings.ToLower(c.name)] = e.value
		}
		under = append(under, e)
	}
	out := []entry{{key: keyOf(o.Table.name), under: under}}
	if o.Table.lines == nil {
		return out
	}
	lists := only(s.among, isMany)
	i := slices.IndexFunc(lists, func(c canon) bool { return c.name == "items" || c.name == "lines" })
	if i < 0 {
		s.note("%s looks like the lines of %s, but %s has none", o.Table.lines.name, o.Table.name, o.kind)
		return out
	}
	rows := []entry{{key: "$each", value: "item, n in " + s.noun + "." + lists[i].name}}
	for _, c := range o.Table.lines.columns {
		if same, ok := head[strings.ToLower(c.name)]; ok && (slices.ContainsFunc(o.Table.lines.refers, func(r reference) bool { return strings.EqualFold(r.column, c.name) }) || keyLike(same)) {
			rows = append(rows, entry{key: keyOf(c.name), value: same, note: join("guess: as in "+o.Table.name, c.words)})
			continue
		}
		if resemblance(c.field(), "", lineNumberWords) >= 80 && !c.auto {
			rows = append(rows, entry{key: keyOf(c.name), value: "= n", note: join("guess", c.typ, c.words)})
			continue
		}
		rows = append(rows, s.column(c, "item", lists[i].fields))
	}
	return append(out, entry{key: keyOf(o.Table.lines.name), under: []entry{{item: true, under: rows}}})
}

// keyLike tells cells of a header that its lines repeat.
func keyLike(cell string) bool {
	return strings.HasSuffix(cell, ".no") || strings.HasPrefix(cell, "= const.") || strings.HasSuffix(cell, "_no") || strings.HasSuffix(cell, ".order_id")
}

// column writes a cell of a row. What the database fills by itself, and what may be
// empty, stands as a comment.
func (s *speaker) column(c column, from string, among []canon) entry {
	f := c.field()
	if c.auto {
		return entry{key: keyOf(c.name), value: open, note: join("the database fills it", c.typ), off: true}
	}
	before := s.open
	all := s.field(f, from, among, "", map[string]bool{})
	if len(all) != 1 {
		return entry{key: keyOf(c.name), value: open, off: true}
	}
	e := all[0]
	if e.value == open && (!c.required || c.otherwise) {
		s.open = before
		e.off = true
	}
	return e
}

func placeOf(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }
