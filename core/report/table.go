package report

import (
	"strings"
	"time"

	"hishub/core"
)

// Table is one list: a sheet of the workbook, one of the CSV files, a section
// of the page.
type Table struct {
	// Name in English, which is also the file's; Title in Chinese.
	Name, Title string
	// Note says how to read it; may be empty.
	Note    string
	Columns []Column
	Rows    []Row
}

// Column of a table. Key is its name in JSON and, with spaces, the English half
// of its heading.
type Column struct {
	Key, Title string
	Kind       Kind
}

// English half of the heading.
func (c Column) English() string { return strings.ReplaceAll(c.Key, "_", " ") }

// Heading is what stands above the column.
func (c Column) Heading() string { return c.Title + " " + c.English() }

// Kind says how wide a column is and how its cells are set.
type Kind int

// Kinds of columns.
const (
	Text Kind = iota
	Long      // sentences
	Number
	Count
	Money
	Moment
)

// Right reports whether cells are set to the right.
func (k Kind) Right() bool { return k == Count || k == Money }

// Row of a table. A cell is a string (text that may come from anywhere), a Word,
// an ID, an int64, a core.Fen, a time.Time in the zone in which it is shown, or nil.
type Row struct {
	Cells []any
	// Total marks a sum over rows above it.
	Total bool
}

// ID is a number that is text: an order's, a channel's. It keeps its leading
// zeros and all its digits.
type ID string

// Word is a code with what people call it.
type Word struct{ Code, Chinese string }

// String is "微信 wechat".
func (w Word) String() string {
	switch {
	case w.Code == "":
		return w.Chinese
	case w.Chinese == "":
		return w.Code
	}
	return w.Chinese + " " + strings.ReplaceAll(w.Code, "_", " ")
}

// text of a cell as people read it; money is yuan with two decimals.
func text(cell any) string {
	switch c := cell.(type) {
	case nil:
		return ""
	case string:
		return c
	case ID:
		return string(c)
	case Word:
		return c.String()
	case int64:
		return countText(c)
	case core.Fen:
		return c.String()
	case time.Time:
		if c.IsZero() {
			return ""
		}
		return c.Format("2006-01-02 15:04:05")
	}
	panic("report: a cell of an unknown type")
}

// column finds a column by its key.
func (t Table) column(key string) int {
	for i, c := range t.Columns {
		if c.Key == key {
			return i
		}
	}
	panic("report: table " + t.Name + " has no column " + key)
}

// add appends a row; cells follow the columns.
func (t *Table) add(cells ...any) { t.Rows = append(t.Rows, Row{Cells: cells}) }

// total appends a sum.
func (t *Table) total(cells ...any) { t.Rows = append(t.Rows, Row{Cells: cells, Total: true}) }

// shown is a time in the day's zone; nil where there is none.
func (d Day) shown(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.In(zoneOf(d.Zone))
}
