package formats

import (
	"net/url"
	"slices"
	"strings"

	"hishub/core"
)

var formOptions = []Option{
	{Name: "sort", Type: TypeFlag, Default: false, About: "names in byte order instead of as written"},
	{Name: "drop_empty", Type: TypeFlag, Default: false, About: "names without text are left out"},
	nilAsOption, nullsOption, lenientOption,
}

// formFormat is application/x-www-form-urlencoded: name=value&name=value, a
// list repeats its name. Reading, a name without text is nil, and an empty text
// is nil. Lenient takes a % that escapes nothing as it stands.
type formFormat struct {
	sort      bool
	dropEmpty bool
	nilAs     string
	nulls     nulls
	lenient   bool
}

func newForm(s settings) (Format, error) {
	return &formFormat{
		sort:      s.flag("sort"),
		dropEmpty: s.flag("drop_empty"),
		nilAs:     s.text("nil_as"),
		nulls:     s.texts("nulls"),
		lenient:   s.flag("lenient"),
	}, nil
}

// Write implements Format.
func (f *formFormat) Write(v core.Value) (string, error) {
	text, err := f.write(v)
	if err != nil {
		err.Doing = "write form"
		return "", err
	}
	return text, nil
}

func (f *formFormat) write(v core.Value) (string, *Error) {
	tree, ok := v.(core.Tree)
	if !ok && v != nil {
		return "", wrong("wants a map")
	}
	if f.sort {
		tree = slices.Clone(tree)
		slices.SortStableFunc(tree, func(a, b core.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	var out strings.Builder
	for _, field := range tree {
		list, ok := field.Value.(core.List)
		if !ok {
			if err := f.pair(&out, field.Name, field.Value); err != nil {
				return "", err.under(field.Name)
			}
			continue
		}
		for i, item := range list {
			if err := f.pair(&out, field.Name, item); err != nil {
				return "", err.underItem(i).under(field.Name)
			}
		}
	}
	return out.String(), nil
}

func (f *formFormat) pair(out *strings.Builder, name string, v core.Value) *Error {
	if f.dropEmpty && isEmpty(v) {
		return nil
	}
	value, err := leaf(v, f.nilAs)
	if err == nil {
		err = sound(name)
	}
	if err != nil {
		return err
	}
	if out.Len() > 0 {
		out.WriteByte('&')
	}
	out.WriteString(url.QueryEscape(name))
	out.WriteByte('=')
	out.WriteString(url.QueryEscape(value))
	return nil
}

// Read implements Format.
func (f *formFormat) Read(text string) (core.Value, error) {
	v, _, err := f.ReadForgiving(text)
	return v, err
}

// ReadForgiving implements Format.
func (f *formFormat) ReadForgiving(text string) (core.Value, []string, error) {
	const doing = "read form"
	if err := readable(doing, text); err != nil {
		return nil, nil, err
	}
	noted := forgiving{text: text}
	i := 0
	if f.lenient && strings.HasPrefix(text, bom) {
		noted.at(0, "a byte order mark")
		i = len(bom)
	}
	var fields []core.Field
	for i < len(text) {
		pair, _, _ := strings.Cut(text[i:], "&")
		name, value, _ := strings.Cut(pair, "=")
		field, loose, err := f.field(name, value)
		if err != nil {
			return nil, nil, err.at(doing, text, i)
		}
		if loose {
			noted.at(i, "a % that escapes nothing")
		}
		if pair != "" {
			fields = append(fields, field)
		}
		i += len(pair) + 1
	}
	if len(fields) == 0 {
		return nil, noted.notes, nil
	}
	return core.Tree(gather(fields)), noted.notes, nil
}

func (f *formFormat) field(name, value string) (_ core.Field, loose bool, _ *Error) {
	name, loose1, err := f.unescape(name)
	if err != nil {
		return core.Field{}, false, err
	}
	value, loose2, err := f.unescape(value)
	if err != nil {
		return core.Field{}, false, err.under(name)
	}
	field := core.Field{Name: name}
	if value != "" {
		field.Value = f.nulls.value(value)
	}
	return field, loose1 || loose2, nil
}

func (f *formFormat) unescape(s string) (_ string, loose bool, _ *Error) {
	text, err := url.QueryUnescape(s)
	if err != nil {
		if !f.lenient {
			return "", false, wrong("a % is not followed by two hexadecimal digits")
		}
		text, loose = unescapeLeniently(s), true
	}
	return text, loose, sound(text)
}

func unescapeLeniently(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if char, err := url.QueryUnescape(s[i:min(i+3, len(s))]); err == nil {
				out.WriteString(char)
				i += 2
				continue
			}
		}
		if s[i] == '+' {
			out.WriteByte(' ')
			continue
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
