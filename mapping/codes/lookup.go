package codes

import (
	"slices"

	"hishub/core"
)

// Lookup is one direction of a table, towards one column. Each look takes as long
// for 50,000 rows as for five. It serves any number of goroutines.
type Lookup struct {
	table     *Table
	direction core.CodeDirection
	column    int // whose value is given; -1: ours, -2: theirs, as codes

	exact map[string]int32 // code: its first row
	begin map[string]int32 // of rows with *, by what stands before it
	// lengths of those beginnings, longest first: the longest that fits wins.
	lengths []int
	// next is the next row of the same code, by row; 0 if there is none, which the
	// first row can never be.
	next []int32
}

const (
	columnOurs   = -1
	columnTheirs = -2
)

// Lookup makes the lookup of our codes, that gives a column.
func (t *Table) Lookup(column string) *Lookup {
	l := t.lookup(core.CodeOut)
	switch column {
	case Ours:
		l.column = columnOurs
	case Theirs:
		l.column = columnTheirs
	default:
		l.column = slices.Index(t.Columns, column)
	}
	return l
}

// Back makes the lookup of their codes, that gives ours.
func (t *Table) Back() *Lookup {
	l := t.lookup(core.CodeIn)
	l.column = columnOurs
	return l
}

func (t *Table) lookup(d core.CodeDirection) *Lookup {
	l := &Lookup{table: t, direction: d, exact: make(map[string]int32, len(t.Rows)), begin: map[string]int32{}}
	// From the last to the first, so that each is put before those after it.
	for i := len(t.Rows) - 1; i >= 0; i-- {
		code, begin, used := t.Rows[i].key(d)
		if !used {
			continue
		}
		rows := l.exact
		if begin {
			rows = l.begin
			if !slices.Contains(l.lengths, len(code)) {
				l.lengths = append(l.lengths, len(code))
			}
		}
		if after, ok := rows[code]; ok {
			if l.next == nil {
				l.next = make([]int32, len(t.Rows))
			}
			l.next[i] = after
		}
		rows[code] = int32(i)
	}
	slices.Sort(l.lengths)
	slices.Reverse(l.lengths)
	return l
}

// Table is the name of its table.
func (l *Lookup) Table() string { return l.table.Name }

// Direction in which it looks.
func (l *Lookup) Direction() core.CodeDirection { return l.direction }

// Dated reports whether a day matters.
func (l *Lookup) Dated() bool { return l.table.Dated }

// Find maps a code on a day: by its own row, else by the row with the longest
// beginning before its *. defaulted: it was the row "*", which fits every code.
// The error is *core.UnmappedCode, or *core.UnknownCode where its row says that the
// HIS does not have it.
func (l *Lookup) Find(code string, day Day) (value string, defaulted bool, err error) {
	other := false // a row of another day
	row := func(rows map[string]int32, key string) *Row {
		i, ok := rows[key]
		for ok {
			if r := &l.table.Rows[i]; r.holds(day) || !l.table.Dated {
				return r
			}
			other = true
			if l.next == nil {
				break
			}
			i = l.next[i]
			ok = i != 0
		}
		return nil
	}
	if r := row(l.exact, code); r != nil {
		return l.value(r, code, false)
	}
	for _, n := range l.lengths {
		if n > len(code) {
			continue
		}
		if r := row(l.begin, code[:n]); r != nil {
			return l.value(r, code, n == 0)
		}
	}
	out := &core.UnmappedCode{Table: l.table.Name, Direction: l.direction, Code: code}
	if other {
		out.Day = day.String()
	}
	return "", false, out
}

// value is what the row gives, unless the row says that the HIS does not have the code.
func (l *Lookup) value(r *Row, code string, byDefault bool) (value string, defaulted bool, err error) {
	switch {
	case r.Unknown:
		return "", false, &core.UnknownCode{Table: l.table.Name, Code: code, Line: r.Line}
	case l.column == columnOurs:
		return r.Ours, byDefault, nil
	case l.column == columnTheirs:
		return r.Theirs, byDefault, nil
	}
	return r.Values[l.column], byDefault, nil
}
