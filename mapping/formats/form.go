package formats

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"hishub/core"
)

var formOptions = []Option{
	{Name: "sort", Type: TypeFlag, Default: false, About: "names in byte order instead of as written"},
	{Name: "drop_empty", Type: TypeFlag, Default: false, About: "names without text are left out"},
	{Name: "charset", Type: TypeText, Default: "UTF-8", About: "the charset whose bytes are percent-escaped"},
	nilAsOption, nullsOption, lenientOption,
}

// formFormat is application/x-www-form-urlencoded: name=value&name=value, a
// list repeats its name. Reading, a name without text is nil, and an empty text
// is nil. Lenient takes a % that escapes nothing as it stands.
type formFormat struct {
	sort      bool
	dropEmpty bool
	charset   encoding.Encoding // nil for UTF-8
	nilAs     string
	nulls     nulls
	lenient   bool
}

func newForm(s settings) (Format, error) {
	f := &formFormat{
		sort:      s.flag("sort"),
		dropEmpty: s.flag("drop_empty"),
		nilAs:     s.text("nil_as"),
		nulls:     s.texts("nulls"),
		lenient:   s.flag("lenient"),
	}
	charset, err := htmlindex.Get(s.text("charset"))
	if err != nil {
		return nil, &OptionError{"form", "charset", "is no charset that is known; write GB18030, UTF-8, Big5 …"}
	}
	if name, _ := htmlindex.Name(charset); name != "utf-8" {
		f.charset = charset
	}
	if plain, err := f.encoded("%&="); err != nil || plain != "%&=" {
		return nil, &OptionError{"form", "charset", "writes % & = with other bytes than ASCII"}
	}
	return f, nil
}

// encoded is text in the charset's bytes.
func (f *formFormat) encoded(text string) (string, *Error) {
	if f.charset == nil {
		return text, nil
	}
	b, err := f.charset.NewEncoder().String(text)
	// The encoder writes some private-use characters as others, without an error.
	if again, _ := f.charset.NewDecoder().String(b); err != nil || again != text {
		return "", wrong("has a character that the charset lacks")
	}
	return b, nil
}

// decoded is the text of bytes in the charset.
func (f *formFormat) decoded(b string) (string, *Error) {
	if f.charset == nil {
		if !utf8.ValidString(b) {
			return "", wrong("is not valid UTF-8; where the HIS escapes GBK give option charset: GB18030")
		}
		return b, sound(b)
	}
	text, err := f.charset.NewDecoder().String(b)
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", wrong("holds bytes that the charset lacks")
	}
	return text, sound(text)
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
	if name, err = f.encoded(name); err == nil {
		value, err = f.encoded(value)
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

func (f *formFormat) unescape(s string) (text string, loose bool, wrongly *Error) {
	s, wrongly = f.encoded(s) // what was not escaped was read as text already
	if wrongly != nil {
		return "", false, wrongly
	}
	b, err := url.QueryUnescape(s)
	if err != nil {
		if !f.lenient {
			return "", false, wrong("a % is not followed by two hexadecimal digits")
		}
		b, loose = unescapeLeniently(s), true
	}
	text, wrongly = f.decoded(b)
	return text, loose, wrongly
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
