package bill

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"hishub/core"
)

// Column is one that a reader wants. Names are those that the forms of a bill
// give it, the newest first. A Needed one must be there under one of them.
type Column struct {
	Names  []string
	Needed bool
}

// Need is a column that must be there, May one that need not.
func Need(names ...string) Column { return Column{Names: names, Needed: true} }

// May is a column that is read when it is there.
func May(names ...string) Column { return Column{Names: names} }

// Split cuts a line into cells, which still have their padding. It appends to
// cells, whose parts point into the line.
type Split func(line []byte, cells [][]byte) ([][]byte, error)

// On splits at each of a sign, without any quoting.
func On(sign byte) Split {
	return func(line []byte, cells [][]byte) ([][]byte, error) {
		for {
			i := bytes.IndexByte(line, sign)
			if i < 0 {
				return append(cells, line), nil
			}
			cells, line = append(cells, line[:i]), line[i+1:]
		}
	}
}

// Ticked splits a row each of whose cells begins with a back-tick: a comma
// inside a cell (a product's name) is none that separates. A row without
// back-ticks is split at its commas.
func Ticked(line []byte, cells [][]byte) ([][]byte, error) {
	if len(line) == 0 || line[0] != '`' {
		return On(',')(line, cells)
	}
	for {
		i := bytes.Index(line, []byte(",`"))
		if i < 0 {
			return append(cells, line), nil
		}
		cells, line = append(cells, line[:i]), line[i+1:]
	}
}

// Quoted splits at commas, but for those inside "double quotes", in which a
// doubled quote stands for one. Quotes count only at a cell's beginning.
func Quoted(line []byte, cells [][]byte) ([][]byte, error) {
	for {
		if len(line) == 0 || line[0] != '"' {
			i := bytes.IndexByte(line, ',')
			if i < 0 {
				return append(cells, line), nil
			}
			cells, line = append(cells, line[:i]), line[i+1:]
			continue
		}
		cell, rest, ok := quoted(line[1:])
		if !ok {
			return cells, errQuote
		}
		cells = append(cells, cell)
		if rest = bytes.TrimLeft(rest, " \t"); len(rest) == 0 {
			return cells, nil
		}
		if rest[0] != ',' {
			return cells, errQuote
		}
		line = rest[1:]
	}
}

var errQuote = fmt.Errorf("a quoted cell does not end")

func quoted(s []byte) (cell, rest []byte, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return bytes.ReplaceAll(s[:i], []byte(`""`), []byte(`"`)), s[i+1:], true
	}
	return nil, nil, false
}

// Clean takes away what bills put around a cell: a back-tick before it, tabs and
// spaces around it.
func Clean(cell []byte) []byte {
	cell = bytes.Trim(cell, " \t")
	if len(cell) > 0 && cell[0] == '`' {
		cell = bytes.Trim(cell[1:], " \t")
	}
	return cell
}

// Table is a header that was read: where each wanted column stands.
type Table struct {
	file  *File
	split Split
	names []string // of the wanted columns, as the header writes them
	at    []int    // of the wanted columns, -1 for one that is not there
	width int
	cells [][]byte
	row   Row
}

// NewTable reads the header that is the file's present line. Columns that nobody wants
// are ignored, and they may come in any order; a needed one that is missing, or one
// that is there twice, is a *core.BillFault with its name.
func NewTable(f *File, header []byte, split Split, columns []Column) (*Table, error) {
	t := &Table{file: f, split: split, names: make([]string, len(columns)), at: make([]int, len(columns))}
	cells, err := split(header, nil)
	if err != nil {
		return nil, f.Fault("the header cannot be split: "+err.Error(), cureWhole)
	}
	found := make([]string, len(cells))
	for i, c := range cells {
		found[i] = string(Clean(c))
	}
	t.width = len(found)
	for i, c := range columns {
		t.at[i], t.names[i] = -1, c.Names[0]
		for _, name := range c.Names {
			at := slices.Index(found, name)
			if at < 0 {
				continue
			}
			if slices.Contains(found[at+1:], name) {
				return nil, f.Fault("there are two columns "+name, "ask the channel which one counts")
			}
			t.at[i], t.names[i] = at, name
			break
		}
		if t.at[i] < 0 && c.Needed {
			return nil, f.Fault("no column "+strings.Join(c.Names, " or "), "ask for the bill in a form that has it")
		}
	}
	return t, nil
}

// Has reports whether a wanted column is there.
func (t *Table) Has(column int) bool { return t.at[column] >= 0 }

// Name is what the header calls a wanted column.
func (t *Table) Name(column int) string { return t.names[column] }

// Width is how many columns the header has.
func (t *Table) Width() int { return t.width }

// Row reads the file's present line as a row. It is good until the next call. A number of
// cells other than the header's is a *core.BillFault.
func (t *Table) Row(line []byte) (*Row, error) {
	cells, err := t.split(line, t.cells[:0])
	t.cells = cells
	if err != nil {
		return nil, t.file.Fault("the row cannot be split: "+err.Error(), cureWhole)
	}
	if len(cells) != t.width {
		return nil, t.file.Fault(fmt.Sprintf("%d cells, but the header has %d", len(cells), t.width), "it is cut off or damaged: "+cureWhole)
	}
	t.row = Row{table: t}
	return &t.row, nil
}

// Row gives cells by the place of their column among those that the table was
// made for. The first thing that is wrong is kept for Err.
type Row struct {
	table *Table
	err   error
}

// Err is the first thing that was wrong with the row, a *core.BillFault.
func (r *Row) Err() error { return r.err }

// Refuse notes that the cell of a column is not what it must be. what follows
// the column's name: "is not a time like ...".
func (r *Row) Refuse(column int, what string) {
	if r.err == nil {
		r.err = r.table.file.Fault("column "+r.table.names[column]+" "+what, cureWhole)
	}
}

func (r *Row) cell(column int) []byte {
	if at := r.table.at[column]; at >= 0 {
		return Clean(r.table.cells[at])
	}
	return nil
}

// Text of a cell, "" when there is no such column.
func (r *Row) Text(column int) string { return string(r.cell(column)) }

// Is reports whether the cell is that text, without keeping it.
func (r *Row) Is(column int, text string) bool { return string(r.cell(column)) == text }

// Needed is a text that must not be empty.
func (r *Row) Needed(column int) string {
	t := r.Text(column)
	if t == "" {
		r.Refuse(column, "is empty")
	}
	return t
}

// Yuan is an amount of money with at most two decimals, also a negative one.
// Without such a column it is 0.
func (r *Row) Yuan(column int) core.Fen {
	if !r.table.Has(column) {
		return 0
	}
	fen, err := Yuan(r.cell(column))
	if err != nil {
		r.Refuse(column, "is not an amount in yuan: "+err.Error())
	}
	return fen
}

// Fee is an amount of money with at most five decimals, also a negative one.
func (r *Row) Fee(column int) core.Millifen {
	if !r.table.Has(column) {
		return 0
	}
	m, err := Fee(r.cell(column))
	if err != nil {
		r.Refuse(column, "is not an amount in yuan: "+err.Error())
	}
	return m
}

// Count is a whole number, 0 or more.
func (r *Row) Count(column int) int {
	n, ok := whole(r.cell(column))
	if !ok {
		r.Refuse(column, "is not a whole number")
	}
	return n
}

// Time is a time by the channel's clock.
func (r *Row) Time(column int, layout string, zone *time.Location) time.Time {
	t, err := time.ParseInLocation(layout, string(r.cell(column)), zone)
	if err != nil {
		r.Refuse(column, "is not a time like "+layout)
	}
	return t
}
