package codes

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"hishub/core"
)

// MaxSheet bounds a file that is brought in, in bytes; of a workbook also what it
// unpacks to.
const MaxSheet = 32 << 20

// Sheet is what somebody else's file says: rows of text under columns by our names.
type Sheet struct {
	Columns []string
	Rows    []SheetRow
}

// SheetRow is one row; Line is that of the file, from 1.
type SheetRow struct {
	Line   int
	Values []string
}

// headings are what people call the columns, in lower case.
var headings = map[string][]string{
	Ours:      {"ours", "我方", "我方编码", "我方代码", "平台编码", "平台代码", "本方", "our code"},
	Theirs:    {"theirs", "对方", "对方编码", "对方代码", "医院编码", "医院代码", "his编码", "his代码", "their code"},
	Name:      {"name", "名称", "中文名称", "项目名称"},
	From:      {"from", "生效", "生效日期", "开始日期"},
	Until:     {"until", "失效", "失效日期", "停用日期"},
	Direction: {"direction", "方向"},
	"version": {"version", "版本"},
	"spec":    {"spec", "规格"},
}

// directions are how people write the direction.
var directions = map[string]string{"双向": "both", "出": "out", "发送": "out", "入": "in", "接收": "in", "无": "none"}

// ReadSheet reads a .csv or .xlsx as Excel and HIS write them: CSV in UTF-8, UTF-16
// or GB18030, separated by commas, semicolons or tabs; of a workbook the first sheet.
// The error is Problems where rows are to blame.
func ReadSheet(name string, data []byte) (*Sheet, error) {
	if len(data) > MaxSheet {
		return nil, fmt.Errorf("%s: larger than %d MiB", filepath.Base(name), MaxSheet>>20)
	}
	var rows []SheetRow
	var err error
	switch ext := strings.ToLower(filepath.Ext(name)); {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		rows, err = workbookRows(data)
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")) || ext == ".xls":
		return nil, fmt.Errorf("%s: a workbook of the old kind; save it as .xlsx or .csv", filepath.Base(name))
	case ext == ".xlsx":
		return nil, fmt.Errorf("%s: not an .xlsx workbook", filepath.Base(name))
	default:
		rows, err = csvRows(data)
	}
	if err != nil {
		return nil, err
	}
	return sheetOf(rows)
}

// sheetOf takes the headings from the first row that is not empty, and reads what
// Excel made of codes and days.
func sheetOf(rows []SheetRow) (*Sheet, error) {
	rows = slices.DeleteFunc(rows, func(r SheetRow) bool {
		return !slices.ContainsFunc(r.Values, func(v string) bool { return strings.TrimSpace(v) != "" })
	})
	if len(rows) == 0 {
		return nil, errors.New("the file is empty; the first row names the columns: ours,theirs (我方,对方)")
	}
	s := &Sheet{}
	for i, v := range rows[0].Values {
		c := heading(v)
		if c == "" {
			if slices.ContainsFunc(rows[1:], func(r SheetRow) bool { return i < len(r.Values) && strings.TrimSpace(r.Values[i]) != "" }) {
				return nil, Problems{{rows[0].Line, i + 1, fmt.Sprintf("column %d has no heading", i+1), "name it, or delete it"}}
			}
			continue
		}
		if slices.Contains(s.Columns, c) {
			return nil, Problems{{rows[0].Line, i + 1, fmt.Sprintf("two columns are %q", c), "keep one"}}
		}
		s.Columns = append(s.Columns, c)
	}
	for _, c := range []string{Ours, Theirs} {
		if !slices.Contains(s.Columns, c) {
			return nil, Problems{{rows[0].Line, 1, fmt.Sprintf("no column %q among %s", c, strings.Join(s.Columns, ", ")), "the first row names the columns: ours,theirs (我方,对方)"}}
		}
	}
	at := make([]int, 0, len(s.Columns)) // where the columns with headings stand
	for i, v := range rows[0].Values {
		if heading(v) != "" {
			at = append(at, i)
		}
	}
	var wrong Problems
	for _, r := range rows[1:] {
		values := make([]string, len(s.Columns))
		for i, j := range at {
			if j >= len(r.Values) {
				continue
			}
			v, cure := s.cell(s.Columns[i], r.Values[j])
			if cure != "" {
				wrong = append(wrong, Problem{r.Line, j + 1, fmt.Sprintf("%s %q", s.Columns[i], r.Values[j]), cure})
			}
			values[i] = v
		}
		s.Rows = append(s.Rows, SheetRow{r.Line, values})
	}
	if wrong != nil {
		return nil, wrong
	}
	return s, nil
}

func heading(text string) string {
	text = tidy(text)
	for name, words := range headings {
		if slices.Contains(words, strings.ToLower(text)) {
			return name
		}
	}
	return text
}

var (
	// quoted is Excel's spelling of text that looks like a number: ="007".
	quoted = regexp.MustCompile(`^="(.*)"$`)
	// rounded is what Excel makes of a long number; its digits are lost.
	rounded = regexp.MustCompile(`^[0-9](\.[0-9]+)?[Ee]\+[0-9]+$`)
)

// tidy takes off what is not seen: blanks around, also full-width and fixed ones,
// line ends inside, marks of zero width.
func tidy(text string) string {
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\u00a0', '\u3000', '\r', '\n', '\t':
			return ' '
		case '\u200b', '\ufeff', 0:
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// cell reads one cell; cure says what is to be done about one that cannot be used.
func (s *Sheet) cell(column, text string) (value, cure string) {
	text = tidy(text)
	if m := quoted.FindStringSubmatch(text); m != nil {
		text = strings.ReplaceAll(m[1], `""`, `"`)
	}
	if len(text) > 1 && text[0] == '\'' {
		text = text[1:] // Excel's mark of text
	}
	if !utf8.ValidString(text) {
		return "", "is not text"
	}
	switch column {
	case Ours, Theirs:
		if rounded.MatchString(text) {
			return "", "is a number whose digits were lost; format the column as text and enter the code again"
		}
	case From, Until:
		if text == "" {
			return "", ""
		}
		d, ok := readDay(text)
		if !ok {
			return "", "is no date; write yyyy-MM-dd"
		}
		return d.String(), ""
	case Direction:
		if d := directions[text]; d != "" {
			return d, ""
		}
		return strings.ToLower(text), ""
	}
	return text, ""
}

func csvRows(data []byte) ([]SheetRow, error) {
	text, err := decoded(data)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	first, _, _ := strings.Cut(text, "\n")
	for _, comma := range []rune{'\t', ';'} {
		if strings.ContainsRune(first, comma) && !strings.Contains(first, ",") {
			r.Comma = comma
		}
	}
	var rows []SheetRow
	for {
		values, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			return nil, Problems{{parse.Line, max(1, parse.Column), "not CSV: " + parse.Err.Error(), ""}}
		} else if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		rows = append(rows, SheetRow{line, values})
	}
}

// Import makes a table of a sheet. Everything that is wrong names the sheet's row.
func (s *Sheet) Import(name string) (*Table, Problems) {
	columns := []string{Ours, Theirs}
	for _, c := range s.Columns {
		if c != Ours && c != Theirs {
			columns = append(columns, c)
		}
	}
	t := &Table{Name: name, Columns: columns}
	var wrong Problems
	for _, r := range s.Rows {
		values := make([]string, len(columns))
		for i, c := range columns {
			values[i] = r.Values[slices.Index(s.Columns, c)]
		}
		if p := t.add(r.Line, values); p != nil {
			wrong = append(wrong, *p)
		}
	}
	return t, append(wrong, t.twice(core.CodeOut)...)
}

// Without is the sheet without columns that a table does not have, and which they are.
func (s *Sheet) Without(table *Table) (*Sheet, []string) {
	var left []string
	out := &Sheet{}
	var at []int
	for i, c := range s.Columns {
		if c == Ours || c == Theirs || slices.Contains(table.Columns, c) || c == From || c == Until || c == Direction {
			out.Columns, at = append(out.Columns, c), append(at, i)
		} else {
			left = append(left, c)
		}
	}
	for _, r := range s.Rows {
		row := SheetRow{Line: r.Line}
		for _, i := range at {
			row.Values = append(row.Values, r.Values[i])
		}
		out.Rows = append(out.Rows, row)
	}
	return out, left
}
