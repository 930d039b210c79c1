package formats

import (
	"cmp"
	"fmt"
	"maps"
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
	{Name: "columns", Type: TypeTexts, About: "the names of the values when read; without them they are 1, 2, …"},
	nilAsOption, nullsOption, lenientOption,
}

// delimitedFormat writes a map as one record, its values in order, and a list
// of maps as records with row between them. It reads no record as nil, one as
// a map, several as a list; an empty value is nil. A row separator at the end
// begins no further record.
//
// With columns every record has exactly as many values. Lenient takes fewer (the
// others are nil) and more (named by their position), skips empty rows, a BOM
// and the CR of a CR LF.
type delimitedFormat struct {
	sep      string
	row      string
	trailing bool
	replace  *strings.Replacer
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
	}
	for i, column := range f.columns {
		if slices.Contains(f.columns[:i], column) {
			return refuse("columns", fmt.Sprintf("names %q twice", column))
		}
	}
	// The longest first: with "|" and "||" both replaced, "||" is one of its own.
	pairs := s.pairs("replace")
	old := slices.SortedFunc(maps.Keys(pairs), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	var replacements []string
	for _, o := range old {
		if o == "" {
			return refuse("replace", "cannot replace an empty text")
		}
		replacements = append(replacements, o, pairs[o])
	}
	f.replace = strings.NewReplacer(replacements...)
	return f, nil
}

func (f *delimitedFormat) Write(v core.Value) (string, error) {
	text, err := f.write(v)
	if err != nil {
		err.Doing = "write delimited"
		return "", err
	}
	return text, nil
}

func (f *delimitedFormat) write(v core.Value) (string, *Error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case core.Tree:
		return f.record(v)
	case core.List:
		rows := make([]string, len(v))
		for i, item := range v {
			tree, ok := item.(core.Tree)
			if !ok {
				return "", wrong("wants a map").underItem(i)
			}
			row, err := f.record(tree)
			if err != nil {
				return "", err.underItem(i)
			}
			rows[i] = row
		}
		return strings.Join(rows, f.row), nil
	}
	return "", wrong("wants a map or a list of maps")
}

func (f *delimitedFormat) record(tree core.Tree) (string, *Error) {
	var out strings.Builder
	for i, field := range tree {
		value, err := leaf(field.Value, f.nilAs)
		if err != nil {
			return "", err.under(field.Name)
		}
		value = f.replace.Replace(value)
		if !f.keepsApart(value, f.sep) || !f.keepsApart(value, f.row) {
			return "", wrong("holds a separator; give option replace what shall stand for it").under(field.Name)
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
	if !f.keepsApart(record, f.row) {
		return "", wrong("its values next to each other make a row separator")
	}
	return record, nil
}

// keepsApart reports whether a reader finds the separator that follows value
// where it is: "a|" before "||" would be cut one character early.
func (f *delimitedFormat) keepsApart(value, separator string) bool {
	if len(separator) == 1 {
		return !strings.Contains(value, separator)
	}
	return strings.Index(value+separator, separator) == len(value)
}

func (f *delimitedFormat) Read(text string) (core.Value, error) {
	const doing = "read delimited"
	if err := readable(doing, text); err != nil {
		return nil, err
	}
	if f.lenient {
		text = strings.TrimPrefix(text, bom)
	}
	var records core.List
	for i := 0; i < len(text); {
		row, _, _ := strings.Cut(text[i:], f.row)
		next := i + len(row) + len(f.row)
		if f.lenient && f.row == "\n" {
			row = strings.TrimSuffix(row, "\r")
		}
		if row != "" || !f.lenient {
			record, err := f.readRecord(row)
			if err != nil {
				return nil, err.underItem(len(records)).at(doing, text, i)
			}
			records = append(records, record)
		}
		i = next
	}
	switch len(records) {
	case 0:
		return nil, nil
	case 1:
		return records[0], nil
	}
	return records, nil
}

func (f *delimitedFormat) readRecord(row string) (core.Tree, *Error) {
	if f.trailing {
		var found bool
		row, found = strings.CutSuffix(row, f.sep)
		if !found && !f.lenient {
			return nil, wrong("the record does not end with a separator")
		}
	}
	values := strings.Split(row, f.sep)
	width := max(len(values), len(f.columns))
	if len(f.columns) > 0 && len(values) != len(f.columns) && !f.lenient {
		return nil, wrong(fmt.Sprintf("the record has %d values, there are %d columns", len(values), len(f.columns)))
	}
	record := make(core.Tree, width)
	for i := range record {
		if i < len(f.columns) {
			record[i].Name = f.columns[i]
		} else {
			record[i].Name = strconv.Itoa(i + 1)
		}
		if i < len(values) && values[i] != "" {
			record[i].Value = f.nulls.value(values[i])
		}
	}
	return record, nil
}
