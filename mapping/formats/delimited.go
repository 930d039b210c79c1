package formats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hishub/core"
)

var delimitedOptions = []Option{
	{Name: "sep", Type: TypeText, Default: "|", About: "between the values of a record"},
	{Name: "row", Type: TypeText, Default: "\n", About: "between records"},
	{Name: "trailing", Type: TypeFlag, Default: false, About: "sep also stands after the last value"},
	{Name: "replace", Type: TypePairs, About: "what is put for a separator, or any other text, inside a value when written"},
	{Name: "escape", Type: TypeText, Default: "", About: "stands before a separator, and before itself, that is part of a value"},
	{Name: "quote", Type: TypeText, Default: "", About: "stands around a value with a separator in it, as \" in CSV; two of them are one"},
	{Name: "quote_all", Type: TypeFlag, Default: false, About: "quote stands around every value"},
	{Name: "header", Type: TypeFlag, Default: false, About: "the first row holds the names"},
	{Name: "columns", Type: TypeTexts, About: "the names of the values when read; without them they are 1, 2, …"},
	nilAsOption, nullsOption, lenientOption,
}

// delimitedFormat writes a map as one record, its values in order, and a list
// of maps as records with row between them. It reads no record as nil, one as
// a map, several as a list; an empty value is nil. A row separator at the end
// begins no further record.
//
// With columns or a header every record has exactly as many values; written, all
// records under a header have the names of the first. Lenient takes fewer values
// (the others are nil) and more (named by their position), skips empty rows, a
// BOM and the CR of a CR LF.
type delimitedFormat struct {
	separators
	sep      string
	row      string
	trailing bool
	quote    string
	quoteAll bool
	header   bool
	columns  []string
	nilAs    string
	nulls    nulls
	lenient  bool
}

func newDelimited(s settings) (Format, error) {
	f := &delimitedFormat{
		sep:      s.text("sep"),
		row:      s.text("row"),
		trailing: s.flag("trailing"),
		quote:    s.text("quote"),
		quoteAll: s.flag("quote_all"),
		header:   s.flag("header"),
		columns:  s.texts("columns"),
		nilAs:    s.text("nil_as"),
		nulls:    s.texts("nulls"),
		lenient:  s.flag("lenient"),
	}
	refuse := func(option, reason string) (Format, error) {
		return nil, &OptionError{"delimited", option, reason}
	}
	switch {
	case f.sep == "":
		return refuse("sep", "is at least one character")
	case f.row == "":
		return refuse("row", "is at least one character")
	case strings.Contains(f.sep, f.row) || strings.Contains(f.row, f.sep):
		return refuse("row", "and sep must not hold one another")
	case len(f.quote) > 1 || f.quote != "" && f.quote[0] > '~':
		return refuse("quote", "is one ASCII character")
	case f.quote != "" && strings.Contains(f.sep+f.row, f.quote):
		return refuse("quote", "must not be a part of a separator")
	case f.quote != "" && s.text("escape") != "":
		return refuse("quote", "and escape exclude one another")
	case f.quoteAll && f.quote == "":
		return refuse("quote_all", "needs the option quote")
	case f.header && f.columns != nil:
		return refuse("header", "and columns exclude one another")
	}
	for i, column := range f.columns {
		if slices.Contains(f.columns[:i], column) {
			return refuse("columns", fmt.Sprintf("names %q twice", column))
		}
	}
	var option, reason string
	if f.separators, option, reason = newSeparators(s, f.sep, f.row); reason != "" {
		return refuse(option, reason)
	}
	return f, nil
}

// Write implements Format.
func (f *delimitedFormat) Write(v core.Value) (string, error) {
	var rows []string
	var header core.Tree
	err := eachRecord(v, func(tree core.Tree) *Error {
		if f.header && rows == nil {
			header = make(core.Tree, len(tree))
			for i, field := range tree {
				if tree[:i].Has(field.Name) {
					return wrong("is a column that is given twice").under(field.Name)
				}
				header[i] = core.Field{Name: field.Name, Value: field.Name}
			}
			row, err := f.record(header)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		if f.header && !slices.EqualFunc(header, tree, func(a, b core.Field) bool { return a.Name == b.Name }) {
			return wrong("has other names than the first record, whose names are the header")
		}
		row, err := f.record(tree)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		err.Doing = "write delimited"
		return "", err
	}
	return strings.Join(rows, f.row), nil
}

func (f *delimitedFormat) record(tree core.Tree) (string, *Error) {
	var out strings.Builder
	for i, field := range tree {
		value, err := leaf(field.Value, f.nilAs)
		if err != nil {
			return "", err.under(field.Name)
		}
		if value, err = f.quoted(value); err != nil {
			return "", err.under(field.Name)
		}
		if i > 0 {
			out.WriteString(f.sep)
		}
		out.WriteString(value)
	}
	if f.trailing {
		out.WriteString(f.sep)
	}
	// Each value keeps the separators apart, together they may still not: a
	// value that ends in CR before a row that begins with LF, with row CR LF.
	record := out.String()
	if f.quote == "" && f.escape == "" && !f.keepsApart(record, f.row) {
		return "", wrong("its values next to each other make a row separator")
	}
	if len(f.sep)+len(f.row) > 2 && !f.readsAs(record, len(tree)) {
		return "", wrong("its values next to each other make a separator")
	}
	return record, nil
}

// quoted is the value as it is written.
func (f *delimitedFormat) quoted(value string) (string, *Error) {
	if f.quote == "" {
		return f.put(value)
	}
	value = f.replace.Replace(value)
	if !f.quoteAll && f.keepsApart(value, f.sep) && f.keepsApart(value, f.row) && !strings.HasPrefix(value, f.quote) {
		return value, nil
	}
	return f.quote + strings.ReplaceAll(value, f.quote, f.quote+f.quote) + f.quote, nil
}

// readsAs reports whether a reader finds that many values, and the row's end
// where it is.
func (f *delimitedFormat) readsAs(record string, values int) bool {
	strict := *f
	strict.lenient = false
	r := delimitedReader{delimitedFormat: &strict, text: record + f.row}
	row, err := r.row()
	if f.trailing && len(row) > 0 {
		row = row[:len(row)-1]
	}
	return err == nil && r.i == len(r.text) && len(row) == max(values, 1)
}

// Read implements Format.
func (f *delimitedFormat) Read(text string) (core.Value, error) {
	v, _, err := f.ReadForgiving(text)
	return v, err
}

// ReadForgiving implements Format.
func (f *delimitedFormat) ReadForgiving(text string) (core.Value, []string, error) {
	const doing = "read delimited"
	if err := readable(doing, text); err != nil {
		return nil, nil, err
	}
	r := delimitedReader{delimitedFormat: f, text: text, forgiving: forgiving{text: text}}
	if f.lenient && strings.HasPrefix(text, bom) {
		r.at(0, "a byte order mark")
		r.i = len(bom)
	}
	columns := f.columns
	var list core.List
	for header := f.header; r.i < len(text); {
		begin := r.i
		values, err := r.row()
		switch {
		case err == nil && f.lenient && len(values) == 1 && values[0] == "" && !r.quotedOne:
			r.at(begin, "an empty row")
			continue
		case err == nil && f.trailing:
			values, err = r.untrailed(values, begin)
		}
		var record core.Tree
		if err == nil && header {
			columns, err = r.names(values)
		} else if err == nil {
			record, err = r.record(values, columns, begin)
		}
		if err != nil {
			return nil, nil, err.underItem(len(list)).at(doing, text, begin)
		}
		if !header {
			list = append(list, record)
		}
		header = false
	}
	return records(list), r.notes, nil
}

type delimitedReader struct {
	*delimitedFormat
	forgiving
	text string
	i    int
	// quotedOne: the row has a value in quotes, so that it is not an empty one.
	quotedOne bool
}

// row reads the values up to the end of the row, and moves behind it.
func (r *delimitedReader) row() (values []string, err *Error) {
	r.quotedOne = false
	for {
		value, which, err := r.value()
		if err != nil {
			return nil, err.under(strconv.Itoa(len(values) + 1))
		}
		values = append(values, value)
		if which != 0 {
			return values, nil
		}
	}
}

// value reads one value and the separator behind it: 0 is sep, 1 is row, -1 the
// end of the text.
func (r *delimitedReader) value() (string, int, *Error) {
	if r.quote != "" && strings.HasPrefix(r.text[r.i:], r.quote) {
		return r.quotedValue()
	}
	begin := r.i
	n, which := r.index(r.text[begin:])
	raw := r.text[begin : begin+n]
	r.skip(n, which)
	if r.forgivesCR() && which != 0 && strings.HasSuffix(raw, "\r") {
		raw = raw[:len(raw)-1]
		r.at(begin+len(raw), "a CR before the end of the row")
	}
	var note func(int)
	if r.lenient {
		note = func(i int) { r.at(begin+i, "an escape before what needs none") }
	}
	value, err := r.take(raw, note)
	return value, which, err
}

// forgivesCR: of rows that end with LF, those that end with CR LF.
func (r *delimitedReader) forgivesCR() bool {
	return r.lenient && r.delimitedFormat.row == "\n" && !strings.Contains(r.sep, "\r")
}

func (r *delimitedReader) skip(n, which int) {
	r.i += n
	if which >= 0 {
		r.i += len(r.all[which])
	}
}

func (r *delimitedReader) quotedValue() (string, int, *Error) {
	r.quotedOne = true
	var out []byte
	i := r.i + 1
	for {
		n := strings.Index(r.text[i:], r.quote)
		if n < 0 {
			return "", 0, wrong("the quotes around a value do not end")
		}
		out = append(out, r.text[i:i+n]...)
		i += n + 1
		if !strings.HasPrefix(r.text[i:], r.quote) {
			break
		}
		out = append(out, r.quote...)
		i++
	}
	r.i = i
	if r.forgivesCR() && (r.text[i:] == "\r" || strings.HasPrefix(r.text[i:], "\r\n")) {
		r.at(i, "a CR before the end of the row")
		r.i++
	}
	for which, sep := range r.all {
		if strings.HasPrefix(r.text[r.i:], sep) {
			r.skip(0, which)
			return string(out), which, nil
		}
	}
	if r.i == len(r.text) {
		return string(out), -1, nil
	}
	if !r.lenient {
		return "", 0, wrong("a separator must follow the quotes around a value")
	}
	r.at(r.i, "text after the quotes around a value")
	n, which := r.index(r.text[r.i:])
	out = append(out, strings.TrimSuffix(r.text[r.i:r.i+n], "\r")...)
	r.skip(n, which)
	return string(out), which, nil
}

// untrailed takes away the empty value after the last separator.
func (r *delimitedReader) untrailed(values []string, begin int) ([]string, *Error) {
	last := len(values) - 1
	switch {
	case last > 0 && values[last] == "":
		return values[:last], nil
	case !r.lenient:
		return nil, wrong("the record does not end with a separator")
	}
	r.at(begin, "a record that does not end with a separator")
	return values, nil
}

func (r *delimitedReader) names(values []string) ([]string, *Error) {
	for i, name := range values {
		if name == "" || slices.Contains(values[:i], name) {
			return nil, wrong("the header has a name that is empty or stands twice").under(strconv.Itoa(i + 1))
		}
	}
	return values, nil
}

func (r *delimitedReader) record(values, columns []string, begin int) (core.Tree, *Error) {
	if len(columns) > 0 && len(values) != len(columns) {
		if !r.lenient {
			return nil, wrong(fmt.Sprintf("the record has %d values, there are %d columns", len(values), len(columns)))
		}
		r.at(begin, fmt.Sprintf("a record of %d values for %d columns", len(values), len(columns)))
	}
	record := make(core.Tree, max(len(values), len(columns)))
	for i := range record {
		if i < len(columns) {
			record[i].Name = columns[i]
		} else {
			record[i].Name = strconv.Itoa(i + 1)
		}
		if i < len(values) && values[i] != "" {
			record[i].Value = r.nulls.value(values[i])
		}
	}
	return record, nil
}
