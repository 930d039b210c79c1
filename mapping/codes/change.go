package codes

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"

	"hishub/core"
)

// Change is what bringing in does to a table.
type Change struct {
	// Table is the table after it.
	Table *Table
	// Added, Changed and Removed rows. Changed ones are as they become, Before as they were.
	Added, Changed, Before, Removed []Row
}

// None reports whether nothing changes.
func (c *Change) None() bool { return len(c.Added)+len(c.Changed)+len(c.Removed) == 0 }

// identity is what makes a row the same row: its code, the day from which it holds
// and whether it is only for what they say.
type identity struct {
	code string
	in   bool
	from Day
}

func (r *Row) identity() identity {
	if !r.Out {
		return identity{r.Values[1], true, r.From}
	}
	return identity{r.Values[0], false, r.From}
}

// Replace makes the table that holds exactly the rows of next, and says what that
// changes. Rows that stay keep their place, new ones follow in order of their
// codes, so that the same content gives the same file. With add, rows that next does
// not have stay. The old table may be nil. Problems are codes that would stand
// there twice.
func Replace(old, next *Table, add bool) (*Change, Problems) {
	if old == nil {
		old = &Table{Name: next.Name, Columns: []string{Ours, Theirs}}
	}
	columns := slices.Clone(next.Columns)
	if add {
		columns = slices.Clone(old.Columns)
		for _, c := range next.Columns {
			if !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		}
	} else if sameColumns(old.Columns, next.Columns) {
		columns = slices.Clone(old.Columns)
	}
	coming := map[identity]*Row{}
	for i := range next.Rows {
		coming[next.Rows[i].identity()] = &next.Rows[i]
	}
	out := &Change{Table: &Table{Name: next.Name, Columns: columns}}
	stays := map[identity]bool{}
	for i := range old.Rows {
		was := old.Rows[i]
		now := coming[was.identity()]
		switch {
		case now == nil && !add:
			out.Removed = append(out.Removed, was)
			continue
		case now == nil || stays[was.identity()]:
			was.Values = under(columns, old.Columns, was.Values, nil)
			out.Table.Rows = append(out.Table.Rows, was)
			continue
		}
		stays[was.identity()] = true
		keep := was.Values
		if !add {
			keep = nil // a column that is gone takes its values along
		}
		row := *now
		row.Values = under(columns, next.Columns, now.Values, under(columns, old.Columns, keep, nil))
		if !slices.Equal(row.Values, under(columns, old.Columns, was.Values, nil)) || !sameColumns(old.Columns, columns) && len(columns) < len(old.Columns) {
			out.Changed, out.Before = append(out.Changed, row), append(out.Before, was)
		}
		out.Table.Rows = append(out.Table.Rows, row)
	}
	for i := range next.Rows {
		row := next.Rows[i]
		if !stays[row.identity()] {
			row.Values = under(columns, next.Columns, row.Values, nil)
			out.Added = append(out.Added, row)
		}
	}
	slices.SortStableFunc(out.Added, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Values[0], b.Values[0]), cmp.Compare(a.From, b.From), strings.Compare(a.Values[1], b.Values[1]))
	})
	out.Table.Rows = append(out.Table.Rows, out.Added...)
	if add {
		return out, out.Table.twice(core.CodeOut)
	}
	return out, nil
}

func sameColumns(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	return !slices.ContainsFunc(a, func(c string) bool { return !slices.Contains(b, c) })
}

// under puts values of some columns under others; what they do not have is as in
// before, or empty.
func under(columns, of, values, before []string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		if j := slices.Index(of, c); j >= 0 && j < len(values) {
			out[i] = values[j]
		} else if i < len(before) {
			out[i] = before[i]
		}
	}
	return out
}

// CSV is the table as a folder holds it.
func (t *Table) CSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(t.Columns) // a buffer takes everything
	for _, r := range t.Rows {
		_ = w.Write(r.Values)
	}
	w.Flush()
	if foreignLine(b.Bytes()) > 0 {
		return slices.Concat(mark, b.Bytes()) // says that these letters are meant
	}
	return b.Bytes()
}

// XLSX writes the table as a workbook of one sheet, every cell text, so that Excel
// leaves leading zeros alone.
func (t *Table) XLSX(w io.Writer) (err error) {
	f := excelize.NewFile()
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	text, err := f.NewStyle(&excelize.Style{NumFmt: 49})
	if err != nil {
		return fmt.Errorf("workbook of %s: %w", t.Name, err)
	}
	sheet := f.GetSheetName(0)
	s, err := f.NewStreamWriter(sheet)
	if err != nil {
		return fmt.Errorf("workbook of %s: %w", t.Name, err)
	}
	if err := s.SetColStyle(1, len(t.Columns), text); err != nil {
		return fmt.Errorf("workbook of %s: %w", t.Name, err)
	}
	row := func(n int, values []string) error {
		cells := make([]any, len(values))
		for i, v := range values {
			cells[i] = excelize.Cell{StyleID: text, Value: v}
		}
		return s.SetRow(fmt.Sprintf("A%d", n), cells)
	}
	if err := row(1, t.Columns); err != nil {
		return fmt.Errorf("workbook of %s: %w", t.Name, err)
	}
	for i, r := range t.Rows {
		if err := row(i+2, r.Values); err != nil {
			return fmt.Errorf("workbook of %s: row %d: %w", t.Name, i+2, err)
		}
	}
	if err := s.Flush(); err != nil {
		return fmt.Errorf("workbook of %s: %w", t.Name, err)
	}
	return f.Write(w)
}
