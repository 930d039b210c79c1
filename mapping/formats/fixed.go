package formats

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"hishub/core"
)

var fixedOptions = []Option{
	{Name: "columns", Type: TypeColumns, About: "the layout: names and widths in their order, as {no: 12, amount: {width: 10, align: right, pad: \"0\"}}"},
	{Name: "records", Type: TypeRecords, About: "several layouts, by the text of their first column, which all have in common"},
	{Name: "counts", Type: TypeText, Values: []string{"bytes", "chars"}, Default: "bytes", About: "what a width counts"},
	{Name: "charset", Type: TypeText, Default: "GB18030", About: "the charset whose bytes are counted"},
	{Name: "row", Type: TypeText, Default: "\n", About: "between records; empty: one follows the other"},
	nilAsOption, nullsOption, lenientOption,
}

// fixedFormat writes a map as one record, each value in the column of its name,
// and a list of maps as records with row between them. A name without a column
// is an error, and so is a value that is wider than its column: nothing is cut.
// It reads no record as nil, one as a map, several as a list; a column that is
// all padding is nil. A row separator at the end begins no further record.
//
// A column with pad 0 holds a number: align right is its default, a sign stays in
// front, nil is blank, and what is read keeps its last digit.
//
// Lenient takes records that end early (their last columns are nil) or go on with
// blanks, skips empty rows, a BOM and the CR of a CR LF.
type fixedFormat struct {
	columns []column
	records map[string][]column // nil: columns is the only layout
	counts  encoding.Encoding   // nil: characters, or bytes of UTF-8
	chars   bool
	row     string
	nilAs   string
	nulls   nulls
	lenient bool
}

// column is one field of a layout.
type column struct {
	name  string
	width int
	right bool
	pad   string // one character of width 1
}

const (
	maxColumns = 1000
	maxWidth   = 1 << 20
)

// readColumns checks a layout as it stands in YAML.
func readColumns(items core.Tree) (columns []column, reason string) {
	if len(items) == 0 || len(items) > maxColumns {
		return nil, fmt.Sprintf("has 1 to %d columns", maxColumns)
	}
	for _, f := range items {
		c := column{name: f.Name, pad: " "}
		if slices.ContainsFunc(columns, func(other column) bool { return other.name == c.name }) {
			return nil, fmt.Sprintf("names %q twice", c.name)
		}
		about, ok := fieldsOf(f.Value)
		if !ok {
			about = core.Tree{{Name: "width", Value: f.Value}}
		}
		align := ""
		for _, a := range about {
			ok := false
			switch a.Name {
			case "width":
				c.width, ok = a.Value.(int)
				ok = ok && c.width >= 1 && c.width <= maxWidth
			case "align":
				align, _ = a.Value.(string)
				ok = align == "left" || align == "right"
			case "pad":
				// A bare 0 can only mean the digit.
				if c.pad, ok = a.Value.(string); !ok && a.Value == 0 {
					c.pad, ok = "0", true
				}
				ok = ok && len(c.pad) == 1 && c.pad[0] >= ' ' && c.pad[0] < 0x7f
			default:
				return nil, fmt.Sprintf("column %q has %q; there are width, align, pad", c.name, a.Name)
			}
			if !ok {
				return nil, fmt.Sprintf("column %q: width is a number from 1 to %d, align is left or right, pad is one ASCII character", c.name, maxWidth)
			}
		}
		if c.width == 0 {
			return nil, fmt.Sprintf("column %q has no width", c.name)
		}
		c.right = align == "right" || align == "" && c.pad == "0"
		columns = append(columns, c)
	}
	return columns, ""
}

func newFixed(s settings) (Format, error) {
	f := &fixedFormat{
		columns: s.columns("columns"),
		records: s.records("records"),
		chars:   s.text("counts") == "chars",
		row:     s.text("row"),
		nilAs:   s.text("nil_as"),
		nulls:   s.texts("nulls"),
		lenient: s.flag("lenient"),
	}
	refuse := func(option, reason string) (Format, error) {
		return nil, &OptionError{"fixed", option, reason}
	}
	if f.columns != nil && f.records != nil {
		return refuse("records", "and columns exclude one another")
	}
	charset, err := htmlindex.Get(s.text("charset"))
	if err != nil {
		return refuse("charset", "is no charset that is known; write GB18030, UTF-8, Big5 …")
	}
	if name, _ := htmlindex.Name(charset); name != "utf-8" && !f.chars {
		f.counts = charset
	}
	var first *column
	for _, kind := range slices.Sorted(maps.Keys(f.records)) {
		c := &f.records[kind][0]
		if first == nil {
			first = c
		}
		if *c != *first {
			return refuse("records", fmt.Sprintf("have one first column in common, but %q begins with another", kind))
		}
		if text, err := f.fill(*c, kind); err != nil || c.value(text) != kind {
			return refuse("records", fmt.Sprintf("%q does not stand in the first column as it is", kind))
		}
	}
	return f, nil
}

// Write implements Format.
func (f *fixedFormat) Write(v core.Value) (string, error) {
	var rows []string
	err := eachRecord(v, func(tree core.Tree) *Error {
		row, err := f.record(tree)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		err.Doing = "write fixed"
		return "", err
	}
	return strings.Join(rows, f.row), nil
}

func (f *fixedFormat) record(tree core.Tree) (string, *Error) {
	columns := f.columns
	if f.records != nil {
		var first core.Value
		name := ""
		for _, layout := range f.records {
			name = layout[0].name
			first = tree.Get(name)
		}
		kind, err := leaf(first, f.nilAs)
		if err != nil {
			return "", err.under(name)
		}
		if columns = f.records[kind]; columns == nil {
			return "", wrong("is not the first column of any of the records").under(name)
		}
	}
	if columns == nil && len(tree) > 0 {
		return "", noLayout().under(tree[0].Name)
	}
	values := make([]string, len(columns))
	given := make([]bool, len(columns))
	for _, field := range tree {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == field.Name })
		value, err := leaf(field.Value, f.nilAs)
		switch {
		case err != nil:
			return "", err.under(field.Name)
		case i < 0:
			return "", wrong("has no column in this layout").under(field.Name)
		case given[i]:
			return "", wrong("is a column that is given twice").under(field.Name)
		}
		values[i], given[i] = value, true
	}
	var out strings.Builder
	for i, c := range columns {
		text, err := f.fill(c, values[i])
		if err != nil {
			return "", err.under(c.name)
		}
		out.WriteString(text)
	}
	record := out.String()
	if f.row != "" && strings.Index(record+f.row, f.row) != len(record) {
		return "", wrong("holds a row separator")
	}
	return record, nil
}

func noLayout() *Error {
	return wrong("there is no layout; give option columns, as in formats: {bill: {fixed: {columns: {no: 12}}}}")
}

// fill is the value in its column.
func (f *fixedFormat) fill(c column, value string) (string, *Error) {
	width, err := f.width(value)
	if err != nil {
		return "", err
	}
	if width > c.width {
		return "", wrong(fmt.Sprintf("is %d wide, its column %d", width, c.width))
	}
	room := c.width - width
	switch {
	case value == "" && c.pad == "0":
		return strings.Repeat(" ", room), nil
	case !c.right:
		// Beyond blanks a reader could not tell the value from its padding.
		if c.pad != " " && strings.HasSuffix(value, c.pad) {
			return "", wrong("ends with the character that pads its column")
		}
		return value + strings.Repeat(c.pad, room), nil
	case c.pad == "0":
		sign := leadingSign(value)
		return value[:sign] + strings.Repeat("0", room) + value[sign:], nil
	case c.pad != " " && strings.HasPrefix(value, c.pad):
		return "", wrong("begins with the character that pads its column")
	}
	return strings.Repeat(c.pad, room) + value, nil
}

func leadingSign(value string) int {
	if value != "" && (value[0] == '-' || value[0] == '+') {
		return 1
	}
	return 0
}

// value is what stands in the column, without the padding.
func (c column) value(text string) string {
	switch {
	case c.pad == "0" && c.right:
		text = strings.Trim(text, " ")
		sign := leadingSign(text)
		number := strings.TrimLeft(text[sign:], "0")
		if number == "" || number[0] < '0' || number[0] > '9' {
			number = text[sign:][max(0, len(text)-sign-len(number)-1):] // the digit before the point stays
		}
		return text[:sign] + number
	case c.right:
		return strings.TrimLeft(text, c.pad)
	}
	text = strings.TrimRight(text, c.pad)
	if c.pad == "0" && strings.Trim(text, " ") == "" {
		return ""
	}
	return text
}

// width is how much of a column the text takes.
func (f *fixedFormat) width(text string) (int, *Error) {
	if f.chars {
		return utf8.RuneCountInString(text), nil
	}
	if f.counts == nil {
		return len(text), nil
	}
	total := 0
	var e *encoding.Encoder
	for _, r := range text {
		if r < utf8.RuneSelf {
			total++
			continue
		}
		if e == nil {
			e = f.counts.NewEncoder()
		}
		b, err := e.Bytes([]byte(string(r)))
		if err != nil {
			return 0, wrong("has a character that the charset lacks")
		}
		total += len(b)
	}
	return total, nil
}

// Read implements Format.
func (f *fixedFormat) Read(text string) (core.Value, error) {
	v, _, err := f.ReadForgiving(text)
	return v, err
}

// ReadForgiving implements Format.
func (f *fixedFormat) ReadForgiving(text string) (core.Value, []string, error) {
	const doing = "read fixed"
	if err := readable(doing, text); err != nil {
		return nil, nil, err
	}
	r := fixedReader{fixedFormat: f, text: text, forgiving: forgiving{text: text}}
	if f.lenient && strings.HasPrefix(text, bom) {
		r.at(0, "a byte order mark")
		r.i = len(bom)
	}
	var list core.List
	for r.i < len(text) {
		end := len(text)
		if f.row != "" {
			if n := strings.Index(text[r.i:], f.row); n >= 0 {
				end = r.i + n
			}
		}
		next := end + len(f.row)
		if f.lenient && f.row == "\n" && strings.HasSuffix(text[r.i:end], "\r") {
			end--
			r.at(end, "a CR before the end of the row")
		}
		if f.lenient && f.row != "" && r.i == end {
			r.at(r.i, "an empty row")
			r.i = next
			continue
		}
		record, err := r.record(end)
		if err != nil {
			return nil, nil, err.underItem(len(list)).at(doing, text, r.i)
		}
		list = append(list, record)
		if f.row != "" {
			r.i = next
		}
	}
	return records(list), r.notes, nil
}

type fixedReader struct {
	*fixedFormat
	forgiving
	text string
	i    int
}

// record reads one record, which ends at the byte offset end at the latest. An
// error leaves i where it was met.
func (r *fixedReader) record(end int) (core.Tree, *Error) {
	columns := r.columns
	if r.records != nil {
		begin := r.i
		for _, layout := range r.records {
			kind, err := r.column(layout[0], end)
			if err != nil {
				return nil, err.under(layout[0].name)
			}
			if columns = r.records[kind]; columns == nil {
				r.i = begin
				return nil, wrong("is not the first column of any of the records").under(layout[0].name)
			}
			break // they all begin alike
		}
		r.i = begin
	}
	if columns == nil {
		return nil, noLayout()
	}
	out := make(core.Tree, len(columns))
	short := false
	for i, c := range columns {
		out[i].Name = c.name
		if r.lenient && i > 0 && r.i == end {
			if !short {
				r.at(end, "a record that ends early")
			}
			short = true
			continue
		}
		value, err := r.column(c, end)
		if err != nil {
			return nil, err.under(c.name)
		}
		if value != "" {
			out[i].Value = r.nulls.value(value)
		}
	}
	switch {
	case r.row == "" || r.i == end:
	case r.lenient && strings.Trim(r.text[r.i:end], " ") == "":
		r.at(r.i, "blanks after the last column")
	default:
		return nil, wrong("the record goes on after its last column; is the width of a column wrong, or what it counts?")
	}
	return out, nil
}

// column reads the value of a column and moves behind it.
func (r *fixedReader) column(c column, end int) (string, *Error) {
	width, i := 0, r.i
	for width < c.width && i < end {
		_, size := utf8.DecodeRuneInString(r.text[i:])
		w, err := r.width(r.text[i : i+size])
		if err != nil {
			return "", err
		}
		width += w
		i += size
	}
	switch {
	case width > c.width:
		return "", wrong("a character stands on the border of this column and the next; is what the width counts wrong?")
	case width < c.width && !r.lenient:
		return "", wrong(fmt.Sprintf("the record ends inside this column of %s", strconv.Itoa(c.width)))
	case width < c.width:
		r.at(i, "a record that ends early")
	}
	text := r.text[r.i:i]
	r.i = i
	return c.value(text), nil
}
