package report

import (
	"fmt"
	"io"
	"time"

	"github.com/xuri/excelize/v2"

	"hishub/core"
)

// rowsOfSheet is how many rows a sheet gets before the table goes on in another;
// Excel takes 1,048,576.
const rowsOfSheet = 1_000_000

// XLSX writes the workbook: a sheet of facts, one for each table, and one of
// charts when there are any. Money is a number with two decimals, order numbers are text.
func XLSX(w io.Writer, d Document) error { return workbook(w, d, rowsOfSheet) }

func workbook(w io.Writer, d Document, rows int) (err error) {
	b := &book{File: excelize.NewFile(), rows: rows, sheets: map[string]string{}}
	defer func() {
		if e := b.Close(); err == nil {
			err = e
		}
	}()
	if err := b.prepare(); err != nil {
		return fmt.Errorf("workbook of %s: %w", d.FileName(), err)
	}
	if err := b.cover(d); err != nil {
		return fmt.Errorf("workbook of %s: first sheet: %w", d.FileName(), err)
	}
	for _, t := range d.Tables {
		if err := b.table(t); err != nil {
			return fmt.Errorf("workbook of %s: %s: %w", d.FileName(), t.Name, err)
		}
	}
	if err := b.charts(d); err != nil {
		return fmt.Errorf("workbook of %s: charts: %w", d.FileName(), err)
	}
	return b.Write(w)
}

type book struct {
	*excelize.File
	rows   int
	sheets map[string]string // a table's first sheet, by its name
	head   int
	styles map[styleOf]int
}

type styleOf struct {
	kind  Kind
	total bool
}

func (b *book) prepare() (err error) {
	thin := []excelize.Border{{Type: "bottom", Color: "BFBFBF", Style: 1}}
	b.head, err = b.NewStyle(&excelize.Style{
		Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E8EEF5"}}, Border: thin,
		Alignment: &excelize.Alignment{WrapText: true, Vertical: "center"},
	})
	if err != nil {
		return err
	}
	yuan, whole, plain, moment := "#,##0.00", "#,##0", "@", "yyyy-mm-dd hh:mm:ss"
	b.styles = map[styleOf]int{}
	for kind, format := range map[Kind]*string{Text: &plain, Long: &plain, Number: &plain, Count: &whole, Money: &yuan, Moment: &moment} {
		for _, total := range []bool{false, true} {
			s := &excelize.Style{CustomNumFmt: format}
			if total {
				s.Font = &excelize.Font{Bold: true}
				s.Border = []excelize.Border{{Type: "top", Color: "7F7F7F", Style: 1}}
			}
			if b.styles[styleOf{kind, total}], err = b.NewStyle(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// cover is the first sheet.
func (b *book) cover(d Document) error {
	const name = "说明 about"
	if err := b.SetSheetName("Sheet1", name); err != nil {
		return err
	}
	rows := [][]any{{d.Title()}, {"医院 hospital", d.Name}, {"生成时间 made", d.Made.Format("2006-01-02 15:04:05 -0700")}, {"金额单位 unit", "人民币元 CNY"}}
	for _, f := range d.Facts {
		rows = append(rows, []any{f.Title, f.Text})
	}
	for _, t := range d.Tables {
		if t.Note != "" {
			rows = append(rows, []any{t.Title + " " + t.Name, t.Note})
		}
	}
	for i, r := range rows {
		if err := b.SetSheetRow(name, fmt.Sprintf("A%d", i+1), &r); err != nil {
			return err
		}
	}
	if err := b.SetCellStyle(name, "A1", "A1", b.head); err != nil {
		return err
	}
	return b.SetColWidth(name, "A", "B", 28)
}

// table fills as many sheets as it takes.
func (b *book) table(t Table) error {
	for part, from := 1, 0; part == 1 || from < len(t.Rows); part, from = part+1, from+b.rows {
		name := sheetName(t, part)
		if part == 1 {
			b.sheets[t.Name] = name
		}
		if err := b.sheet(name, t, t.Rows[from:min(from+b.rows, len(t.Rows))]); err != nil {
			return err
		}
	}
	return nil
}

func sheetName(t Table, part int) string {
	if part == 1 {
		return t.Title + " " + t.Name
	}
	return fmt.Sprintf("%s %s %d", t.Title, t.Name, part)
}

func (b *book) sheet(name string, t Table, rows []Row) error {
	if _, err := b.NewSheet(name); err != nil {
		return err
	}
	s, err := b.NewStreamWriter(name)
	if err != nil {
		return err
	}
	for i, c := range t.Columns {
		if err := s.SetColWidth(i+1, i+1, width(c)); err != nil {
			return err
		}
	}
	if err := s.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	heading := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		heading[i] = excelize.Cell{StyleID: b.head, Value: c.Heading()}
	}
	if err := s.SetRow("A1", heading, excelize.RowOpts{Height: 32}); err != nil {
		return err
	}
	for i, r := range rows {
		cells := make([]any, len(r.Cells))
		for j, c := range r.Cells {
			cells[j] = excelize.Cell{StyleID: b.styles[styleOf{kindOf(t.Columns[j].Kind, c), r.Total}], Value: value(c)}
		}
		if err := s.SetRow(fmt.Sprintf("A%d", i+2), cells); err != nil {
			return err
		}
	}
	return s.Flush()
}

// kindOf a cell: a total may have a count where the column has numbers.
func kindOf(column Kind, cell any) Kind {
	switch cell.(type) {
	case int64:
		return Count
	case core.Fen:
		return Money
	case time.Time:
		return Moment
	}
	return column
}

// value of a cell. A workbook's numbers are floating point; with two decimals
// they are exact as far as Excel shows digits (15 of them).
func value(cell any) any {
	switch c := cell.(type) {
	case nil:
		return nil
	case int64:
		return c
	case core.Fen:
		return float64(c) / 100
	case time.Time:
		return c
	}
	return text(cell)
}

func width(c Column) float64 {
	switch c.Kind {
	case Long:
		return 60
	case Number:
		return 30
	case Moment:
		return 20
	case Money:
		return 15
	case Count:
		return 11
	}
	return 18
}

// charts are Excel's own, over the tables' cells.
func (b *book) charts(d Document) error {
	if len(d.Charts) == 0 {
		return nil
	}
	const name = "图表 charts"
	if _, err := b.NewSheet(name); err != nil {
		return err
	}
	for i, c := range d.Charts {
		t := d.table(c.Table)
		from, to := 2, len(c.points(t))+1
		if to < from {
			continue
		}
		at := func(key string) string {
			letter, _ := excelize.ColumnNumberToName(t.column(key) + 1)
			return fmt.Sprintf("'%s'!$%s$%d:$%s$%d", b.sheets[t.Name], letter, from, letter, to)
		}
		chart := &excelize.Chart{
			Type: excelize.Line, Title: excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: c.Title}}}, Legend: excelize.ChartLegend{Position: "bottom"},
			Dimension: excelize.ChartDimension{Width: 960, Height: 360},
		}
		if c.Columns {
			chart.Type = excelize.Col
		}
		for _, key := range c.Series {
			letter, _ := excelize.ColumnNumberToName(t.column(key) + 1)
			chart.Series = append(chart.Series, excelize.ChartSeries{Name: fmt.Sprintf("'%s'!$%s$1", b.sheets[t.Name], letter), Categories: at(c.Category), Values: at(key)})
		}
		if err := b.AddChart(name, fmt.Sprintf("A%d", 1+i*20), chart); err != nil {
			return err
		}
	}
	return nil
}
