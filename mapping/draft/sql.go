package draft

import (
	"context"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const maxSchema = 16 << 20 // bytes of a dump

// dump reads the statements of a schema.
type dump struct {
	words []word
	i     int
	file  string
	out   description
}

// readSchema reads the tables, views and procedures of an SQL dump. Whatever it
// does not know is passed over.
func readSchema(ctx context.Context, f File) (description, error) {
	data := f.Data
	if len(data) > maxSchema {
		return description{}, fmt.Errorf("%s:1: larger than %d MiB; export the schema without the data", f.Name, maxSchema>>20)
	}
	if !utf8.Valid(data) {
		decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
		if err != nil || strings.ContainsRune(string(decoded), utf8.RuneError) {
			return description{}, fmt.Errorf("%s:1: the file is text neither in UTF-8 nor in GB18030", f.Name)
		}
		data = decoded
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	if strings.ContainsRune(text, 0) {
		return description{}, fmt.Errorf("%s:1: the file is not text: it has a zero byte; export SQL in UTF-8", f.Name)
	}
	d := &dump{words: scanSQL(text), file: path.Base(strings.ReplaceAll(f.Name, `\`, "/"))}
	for d.i < len(d.words) {
		if err := stopped(ctx); err != nil {
			return description{}, err
		}
		d.statement()
	}
	if len(d.out.tables) == 0 {
		what := "no CREATE TABLE, VIEW or PROCEDURE in it"
		if strings.HasPrefix(strings.TrimSpace(text), "<") {
			what = "it is a page for browsers or XML, no SQL"
		}
		return description{}, fmt.Errorf("%s:1: %s", f.Name, what)
	}
	d.out.driver = driverOf(text)
	return d.out, nil
}

// driverOf guesses whose SQL it is.
func driverOf(text string) string {
	low := strings.ToLower(text)
	has := func(ss ...string) bool {
		for _, s := range ss {
			if strings.Contains(low, s) {
				return true
			}
		}
		return false
	}
	switch {
	case has("auto_increment", "engine=", "`"):
		return "mysql"
	case has("identity", "nvarchar(", "sp_addextendedproperty", "[dbo]", "datetime2"):
		return "sqlserver"
	case has("varchar2", "number(", "xmltype", "create or replace procedure", "sysdate"):
		return "oracle"
	case has("serial", "generated ", "timestamptz", "plpgsql", "::"):
		return "postgres"
	}
	return ""
}

func (d *dump) peek(n int) word {
	if d.i+n < len(d.words) && d.i+n >= 0 {
		return d.words[d.i+n]
	}
	return word{kind: aSign}
}

func (d *dump) take(s string) bool {
	if d.peek(0).is(s) {
		d.i++
		return true
	}
	return false
}

func (d *dump) statement() {
	switch {
	case d.take("CREATE"):
		for range 8 { // OR REPLACE, TEMPORARY, DEFINER=..., FORCE
			w := d.peek(0)
			switch {
			case w.is("TABLE"):
				d.i++
				d.table()
				return
			case w.is("VIEW"):
				d.i++
				d.view()
				return
			case w.is("PROCEDURE"), w.is("PROC"):
				d.i++
				d.procedure()
				return
			case w.is(";") || w.text == "" || w.is("CREATE"):
				return
			}
			d.i++
		}
	case d.take("COMMENT"):
		d.comment()
	case d.peek(0).is("sp_addextendedproperty"):
		d.i++
		d.property()
	default:
		d.i++
	}
}

// name reads a name, of which the last part counts: [dbo].[T], his."T".
func (d *dump) name() string {
	if d.take("IF") {
		d.take("NOT")
		d.take("EXISTS")
	}
	name := ""
	for d.peek(0).kind == aName {
		name = d.peek(0).text
		d.i++
		if !d.take(".") {
			break
		}
	}
	return name
}

// until gives the words up to a comma or the closing bracket of this level.
func (d *dump) until(stop func(word) bool) []word {
	depth := 0
	begin := d.i
	for ; d.i < len(d.words); d.i++ {
		w := d.words[d.i]
		if depth == 0 && (w.is(",") || w.is(")") || w.is(";") || stop != nil && stop(w)) {
			break
		}
		switch {
		case w.is("("):
			depth++
		case w.is(")"):
			depth--
		}
	}
	return d.words[begin:d.i]
}

func (d *dump) table() {
	t := &table{place: placeOf(d.file, d.peek(0).line)}
	t.name = d.name()
	if !d.take("(") || t.name == "" {
		return
	}
	for d.i < len(d.words) {
		item := d.until(nil)
		after := d.peek(0)
		t.item(item, after)
		d.i++
		if !after.is(",") {
			break
		}
	}
	// MySQL says COMMENT='…' behind the bracket.
	for !d.peek(0).is(";") && !d.peek(0).is("CREATE") && !d.peek(0).is("GO") && d.peek(0).text != "" {
		if d.take("COMMENT") {
			d.take("=")
			if d.peek(0).kind == aText {
				t.words = d.peek(0).text
			}
			continue
		}
		d.i++
	}
	if len(t.columns) > 0 {
		d.out.add(t)
	}
}

// item is a column or a constraint.
func (t *table) item(ws []word, after word) {
	if len(ws) == 0 {
		return
	}
	at := func(s string) int {
		for i, w := range ws {
			if w.is(s) {
				return i
			}
		}
		return -1
	}
	if i := at("REFERENCES"); i >= 0 {
		r := reference{column: ws[0].text}
		for j := i + 1; j < len(ws) && ws[j].kind == aName; j += 2 {
			r.table = ws[j].text
			if j+1 >= len(ws) || !ws[j+1].is(".") {
				break
			}
		}
		if f := at("FOREIGN"); f >= 0 {
			r.column = ""
			for j := f; j < i; j++ {
				if ws[j].is("(") && j+1 < i {
					r.column = ws[j+1].text
				}
			}
		}
		t.refers = append(t.refers, r)
	}
	for _, s := range []string{"CONSTRAINT", "PRIMARY", "UNIQUE", "KEY", "INDEX", "FOREIGN", "CHECK", "FULLTEXT", "PERIOD", "EXCLUDE"} {
		if ws[0].is(s) && len(ws) > 2 {
			return
		}
	}
	if ws[0].kind != aName || len(ws) < 2 {
		return
	}
	c := column{name: ws[0].text, typ: typeOf(ws[1:])}
	for i, w := range ws {
		switch {
		case w.is("NOT") && i+1 < len(ws) && ws[i+1].is("NULL"):
			c.required = true
		case w.is("PRIMARY"):
			c.required = true
		case w.is("AUTO_INCREMENT"), w.is("IDENTITY"), w.is("GENERATED"), strings.Contains(strings.ToLower(w.text), "serial") && i == 1:
			c.auto = true
		case w.is("DEFAULT"):
			c.otherwise = true
		case w.is("COMMENT") && i+1 < len(ws) && ws[i+1].kind == aText:
			c.words = ws[i+1].text
		}
	}
	if c.words == "" {
		if c.words = ws[len(ws)-1].comment; c.words == "" && after.line == ws[len(ws)-1].line {
			c.words = after.comment
		}
	}
	t.take(c)
}

// typeOf writes a type with its brackets.
func typeOf(ws []word) string {
	if len(ws) == 0 {
		return ""
	}
	out := strings.ToLower(ws[0].text)
	if len(ws) > 1 && ws[1].is("(") {
		for _, w := range ws[1:] {
			out += w.text
			if w.is(")") {
				break
			}
		}
	}
	return out
}

func (d *dump) view() {
	t := &table{view: true, place: placeOf(d.file, d.peek(0).line)}
	t.name = d.name()
	if d.take("(") {
		for d.i < len(d.words) {
			if item := d.until(nil); len(item) > 0 {
				t.take(column{name: item[0].text, words: item[len(item)-1].comment})
			}
			d.i++
			if !d.peek(-1).is(",") {
				break
			}
		}
	}
	for !d.peek(0).is("SELECT") {
		if d.peek(0).is(";") || d.peek(0).text == "" {
			return
		}
		d.i++
	}
	d.i++
	d.take("DISTINCT")
	named := len(t.columns) > 0
	for d.i < len(d.words) && !named {
		item := d.until(func(w word) bool { return w.is("FROM") })
		if n := len(item); n > 0 && item[n-1].kind == aName {
			words := item[n-1].comment
			if words == "" && d.peek(0).is(",") {
				words = d.peek(0).comment
			}
			t.take(column{name: item[n-1].text, words: words})
		}
		if !d.take(",") {
			break
		}
	}
	if t.name != "" && len(t.columns) > 0 {
		d.out.add(t)
	}
}

func (d *dump) procedure() {
	t := &table{procedure: true, place: placeOf(d.file, d.peek(0).line)}
	t.name = d.name()
	bracket := d.take("(")
	for d.i < len(d.words) {
		item := d.until(func(w word) bool { return w.is("AS") || w.is("IS") || w.is("BEGIN") })
		t.parameter(item, d.peek(0))
		if !d.take(",") {
			break
		}
	}
	if bracket {
		d.take(")")
	}
	if t.name != "" {
		d.out.add(t)
	}
}

func (t *table) parameter(ws []word, after word) {
	c := column{required: true}
	var rest []word
	for _, w := range ws {
		switch {
		case w.is("IN"):
			c.in = true
		case w.is("OUT"), w.is("OUTPUT"):
			c.out = true
		case w.is("INOUT"):
			c.in, c.out = true, true
		case w.is("NOCOPY"):
		default:
			rest = append(rest, w)
		}
	}
	if len(rest) < 2 || rest[0].kind != aName {
		return
	}
	c.name, c.typ = rest[0].text, typeOf(rest[1:])
	if c.words = ws[len(ws)-1].comment; c.words == "" {
		c.words = after.comment
	}
	t.take(c)
}

// comment reads COMMENT ON TABLE t IS '…' and COMMENT ON COLUMN t.c IS '…'.
func (d *dump) comment() {
	if !d.take("ON") {
		return
	}
	column := d.take("COLUMN")
	if !column && !d.take("TABLE") && !d.take("VIEW") {
		return
	}
	var parts []string
	for d.peek(0).kind == aName && !d.peek(0).is("IS") {
		parts = append(parts, d.peek(0).text)
		d.i++
		if !d.take(".") {
			break
		}
	}
	if !d.take("IS") || d.peek(0).kind != aText {
		return
	}
	said := d.peek(0).text
	switch n := len(parts); {
	case column && n > 1:
		d.describe(parts[n-2], parts[n-1], said)
	case !column && n > 0:
		d.describe(parts[n-1], "", said)
	}
}

// property reads SQL Server's way of saying the same:
// sp_addextendedproperty 'MS_Description', '…', 'SCHEMA', 'dbo', 'TABLE', 'T', 'COLUMN', 'C'.
func (d *dump) property() {
	var texts []string
	for d.i < len(d.words) && !d.peek(0).is(";") && !d.peek(0).is("GO") && !d.peek(0).is("EXEC") && !d.peek(0).is("CREATE") {
		if w := d.peek(0); w.kind == aText || w.kind == aName && !strings.HasPrefix(w.text, "@") {
			texts = append(texts, w.text)
		}
		d.i++
	}
	if len(texts) < 6 || !strings.EqualFold(texts[0], "MS_Description") {
		return
	}
	column := ""
	if len(texts) >= 8 {
		column = texts[7]
	}
	d.describe(texts[5], column, texts[1])
}

func (d *dump) describe(name, column, said string) {
	for _, t := range d.out.byName[strings.ToLower(name)] {
		if column == "" {
			t.words = said
		} else if c := t.column(column); c != nil {
			c.words = said
		}
	}
}
