// Package codes is code tables: reading, checking, looking up, bringing in and
// taking out, and proposing what is missing. It knows neither folders nor cells.
package codes

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hishub/core"
)

// The columns that have a meaning. Any more are free; version and name, a display
// text, are words for people.
const (
	Ours      = "ours"
	Theirs    = "theirs"
	From      = "from"      // yyyy-MM-dd: the first day on which the row holds
	Until     = "until"     // yyyy-MM-dd: the first day on which it does not hold any more
	Direction = "direction" // both, out, in, none
	Name      = "name"
)

// Table is a code table. Rows are as they are written, in their order.
type Table struct {
	Name    string
	Columns []string
	Rows    []Row
	// Dated is true where any row has a bound.
	Dated bool
	// Open are codes of ours that have none of theirs yet, as a draft leaves them.
	Open []string
}

// Row is one line.
type Row struct {
	// Line in the file, from 1; of a workbook, its row.
	Line int
	// Values by column, as they are written.
	Values []string
	// Ours and Theirs as codes: of J06.* it is "J06.", of \* it is "*".
	Ours, Theirs string
	// Any code that begins so is meant; "" is every code.
	OursBegin, TheirsBegin bool
	// From is the first day, Until the first day after; 0 is no bound.
	From, Until Day
	// Out and In tell which ways the row is used.
	Out, In bool
	// Unknown: the HIS does not have our code, by explicit choice. Its Theirs is empty;
	// whoever says it is told so.
	Unknown bool
}

// holds reports whether the row is used on a day.
func (r *Row) holds(d Day) bool { return r.From <= d && (r.Until == 0 || d < r.Until) }

// overlaps reports whether there is a day on which both are used.
func (r *Row) overlaps(o *Row) bool {
	return (r.Until == 0 || o.From < r.Until) && (o.Until == 0 || r.From < o.Until)
}

// Problem is one thing that is wrong with a table.
type Problem struct {
	Line, Column int // from 1
	What, Cure   string
}

func (p Problem) String() string {
	s := fmt.Sprintf("row %d: %s", p.Line, p.What)
	if p.Cure != "" {
		s += "; " + p.Cure
	}
	return s
}

// Problems is all that is wrong, as an error.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unfilled is what is wrong with a row that has our code only.
const Unfilled = "not filled in yet"

// CureUnknown is what is to be done about a code of ours that the HIS does not have.
const CureUnknown = "none under a column direction if this HIS does not know it"

// Read reads a table as a hospital folder holds it: UTF-8, commas, the first line
// ours,theirs and any more columns. The table is nil where nothing of it can be used.
func Read(name string, data []byte) (*Table, Problems) {
	if line := foreignLine(data); line > 0 {
		return nil, Problems{{line, 1, "the table is not UTF-8", CureSpelling}}
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, mark)))
	r.FieldsPerRecord = -1
	t := &Table{Name: name}
	var wrong Problems
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			return nil, append(wrong, Problem{parse.Line, parse.Column, "not CSV: " + parse.Err.Error(), ""})
		}
		line, column := r.FieldPos(0)
		if t.Columns == nil {
			if p := t.head(record); p != nil {
				p.Line, p.Column = line, column
				return nil, append(wrong, *p)
			}
			continue
		}
		if p := t.add(line, record); p != nil {
			p.Column = column
			wrong = append(wrong, *p)
		}
	}
	if t.Columns == nil {
		return nil, append(wrong, Problem{1, 1, "the table is empty", "write ours,theirs and a line for each code"})
	}
	return t, append(wrong, t.twice(core.CodeOut)...)
}

// head takes the names of the columns.
func (t *Table) head(columns []string) *Problem {
	if len(columns) < 2 || columns[0] != Ours || columns[1] != Theirs {
		return &Problem{What: "the first line names the columns", Cure: "write ours,theirs and any more columns"}
	}
	for i, c := range columns {
		if slices.Contains(columns[:i], c) {
			return &Problem{What: fmt.Sprintf("there are two columns %q", c), Cure: "name each column once"}
		}
	}
	t.Columns = columns
	return nil
}

// add takes a row, or says what is wrong with it.
func (t *Table) add(line int, values []string) *Problem {
	wrong := func(cure, what string, args ...any) *Problem {
		return &Problem{Line: line, Column: 1, What: fmt.Sprintf(what, args...), Cure: cure}
	}
	if len(values) != len(t.Columns) {
		return wrong("", "the line has %d columns, the first has %d", len(values), len(t.Columns))
	}
	r := Row{Line: line, Values: values, Out: true, In: true}
	if i := slices.Index(t.Columns, Direction); i > 1 {
		r.Unknown = values[i] == "none"
	}
	switch {
	case values[0] == "":
		return wrong("write both, or leave the line out", "a code is empty")
	case r.Unknown && values[1] != "":
		return wrong("leave theirs empty if this HIS does not know ours; else write another direction", "theirs %q with direction none", values[1])
	case values[1] == "" && !r.Unknown:
		t.Open = append(t.Open, values[0])
		return wrong(fmt.Sprintf("write their code of %q, or %s", values[0], CureUnknown), Unfilled)
	}
	r.Ours, r.OursBegin = pattern(values[0])
	r.Theirs, r.TheirsBegin = pattern(values[1])
	for i, c := range t.Columns[2:] {
		v := values[i+2]
		switch {
		case v == "":
		case c == From || c == Until:
			d, ok := ParseDay(v)
			if !ok {
				return wrong("write yyyy-MM-dd, or nothing for no bound", "%s %q is no date", c, v)
			}
			if c == From {
				r.From = d
			} else {
				r.Until = d
			}
			t.Dated = true
		case c == Direction:
			if !slices.Contains([]string{"both", "out", "in", "none"}, v) {
				return wrong("write both, out (only what we say), in (only what they say) or none (this HIS does not know ours)", "there is no direction %q", v)
			}
			r.Out, r.In = v != "in", v == "both" || v == "in"
		}
	}
	switch {
	case r.Until != 0 && r.Until <= r.From:
		return wrong("until is the first day on which the row does not hold any more", "until %s is not after from %s", r.Until, r.From)
	case r.OursBegin && r.TheirsBegin:
		return wrong(`name one code on the other side; \* at the end is a star`, "* stands on both sides")
	case r.OursBegin && !r.Out:
		return wrong("it stands for our codes, so the row is for what we say: direction out", "ours %q with direction in", values[0])
	case r.TheirsBegin && !r.In:
		return wrong("it stands for their codes, so the row is for what they say: direction in", "theirs %q with direction out", values[1])
	case r.OursBegin:
		r.In = false // no code could be given back
	case r.TheirsBegin:
		r.Out = false
	}
	t.Rows = append(t.Rows, r)
	return nil
}

// pattern takes the star from the end of a code.
func pattern(code string) (text string, begin bool) {
	text, ok := strings.CutSuffix(code, "*")
	if !ok {
		return code, false
	}
	if plain, escaped := strings.CutSuffix(text, `\`); escaped {
		return plain + "*", false
	}
	return text, true
}

// Written is a code as a table has it: a star at its end is not a wildcard.
func Written(code string) string {
	if text, ok := strings.CutSuffix(code, "*"); ok {
		return text + `\*`
	}
	return code
}

// key is what the row is looked up by in a direction.
func (r *Row) key(d core.CodeDirection) (code string, begin, used bool) {
	if d == core.CodeIn {
		return r.Theirs, r.TheirsBegin, r.In
	}
	return r.Ours, r.OursBegin, r.Out
}

type rowKey struct {
	code  string
	begin bool
}

// twice reports codes that two rows have on the same day, one problem for a row.
func (t *Table) twice(d core.CodeDirection) Problems {
	var wrong Problems
	t.pairs(d, func(first, second *Row) {
		code, other := second.Values[0], "in"
		if d == core.CodeIn {
			code, other = second.Values[1], "out"
		}
		p := Problem{second.Line, 1, fmt.Sprintf("%q is here a second time, the first is in line %d", code, first.Line), "keep one of them, or give one the direction " + other}
		if first.From != 0 || first.Until != 0 || second.From != 0 || second.Until != 0 {
			p.What = fmt.Sprintf("%q is valid on %s here and in line %d", code, common(first, second), first.Line)
			p.Cure = "let one end, by until, when the other begins"
		}
		wrong = append(wrong, p)
	})
	return wrong
}

// common is a day on which both rows are used, as text for people.
func common(a, b *Row) string {
	if d := max(a.From, b.From); d != 0 {
		return d.String()
	}
	return "each day before " + min(ends(a.Until), ends(b.Until)).String()
}

// ends makes an open end the last of all days.
func ends(d Day) Day {
	if d == 0 {
		return 99991231
	}
	return d
}

// pairs calls f for each row that has its code on the same day as an earlier row.
func (t *Table) pairs(d core.CodeDirection, f func(first, second *Row)) {
	seen := make(map[rowKey][]int32, len(t.Rows))
	for i := range t.Rows {
		r := &t.Rows[i]
		code, begin, used := r.key(d)
		if !used {
			continue
		}
		k := rowKey{code, begin}
		for _, j := range seen[k] {
			if t.Rows[j].overlaps(r) {
				f(&t.Rows[j], r)
				break
			}
		}
		seen[k] = append(seen[k], int32(i))
	}
}

// Ambiguous calls f for each row whose theirs an earlier one stands for, too, on
// the same day: what the HIS says could not be told.
func (t *Table) Ambiguous(f func(first, second *Row)) { t.pairs(core.CodeIn, f) }

// Gap is a time in which nothing maps one of our codes.
type Gap struct {
	// Never: no row has it at all.
	Never bool
	// From is the first day without a row, Until the first one that has one again; 0: never.
	From, Until Day
}

// Gap finds the first time from today on in which our code cannot be said. There
// is none if ok is false.
func (t *Table) Gap(code string, today Day) (gap Gap, ok bool) {
	var rows []*Row
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.Out && (!r.OursBegin && r.Ours == code || r.OursBegin && strings.HasPrefix(code, r.Ours)) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return Gap{Never: true}, true
	}
	slices.SortFunc(rows, func(a, b *Row) int { return int(a.From) - int(b.From) })
	day := today
	for _, r := range rows {
		if r.From > day {
			return Gap{From: day, Until: r.From}, true
		}
		if r.Until == 0 {
			return Gap{}, false
		}
		day = max(day, r.Until)
	}
	return Gap{From: day}, true
}
