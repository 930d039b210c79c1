package formats

import (
	"slices"
	"strings"

	"hishub/core"
)

var pairsOptions = []Option{
	{Name: "sep", Type: TypeText, Default: ";", About: "between the pairs"},
	{Name: "equals", Type: TypeText, Default: "=", About: "between name and value"},
	{Name: "trailing", Type: TypeFlag, Default: false, About: "sep also stands after the last pair"},
	{Name: "sort", Type: TypeFlag, Default: false, About: "names in byte order instead of as written"},
	{Name: "drop_empty", Type: TypeFlag, Default: false, About: "names without text are left out"},
	{Name: "replace", Type: TypePairs, About: "what is put for a separator, or any other text, inside a value when written"},
	{Name: "escape", Type: TypeText, Default: "", About: "stands before a separator, and before itself, that is part of a value"},
	nilAsOption, nullsOption, lenientOption,
}

// pairsFormat is name=value;name=value and its like: lines of k:v. A list repeats
// its name. Nothing is percent-escaped, that is form. A value may hold equals; the
// first one ends the name. Reading, an empty value is nil and an empty pair is
// skipped. Lenient takes pairs without equals (their value is nil), blanks around
// names and values, a BOM, and the CR of a CR LF.
type pairsFormat struct {
	separators
	sep, equals    string
	trailing, sort bool
	dropEmpty      bool
	nilAs          string
	nulls          nulls
	lenient        bool
}

func newPairs(s settings) (Format, error) {
	f := &pairsFormat{
		sep:       s.text("sep"),
		equals:    s.text("equals"),
		trailing:  s.flag("trailing"),
		sort:      s.flag("sort"),
		dropEmpty: s.flag("drop_empty"),
		nilAs:     s.text("nil_as"),
		nulls:     s.texts("nulls"),
		lenient:   s.flag("lenient"),
	}
	refuse := func(option, reason string) (Format, error) {
		return nil, &OptionError{"pairs", option, reason}
	}
	switch {
	case f.sep == "":
		return refuse("sep", "is at least one character")
	case f.equals == "":
		return refuse("equals", "is at least one character")
	case strings.Contains(f.sep, f.equals) || strings.Contains(f.equals, f.sep):
		return refuse("equals", "and sep must not hold one another")
	}
	var option, reason string
	if f.separators, option, reason = newSeparators(s, f.sep); reason != "" {
		return refuse(option, reason)
	}
	if f.escape != "" && strings.Contains(f.equals, f.escape) {
		return refuse("escape", "must not be a part of equals")
	}
	return f, nil
}

// Write implements Format.
func (f *pairsFormat) Write(v core.Value) (string, error) {
	text, err := f.write(v)
	if err != nil {
		err.Doing = "write pairs"
		return "", err
	}
	return text, nil
}

func (f *pairsFormat) write(v core.Value) (string, *Error) {
	tree, ok := v.(core.Tree)
	if !ok && v != nil {
		return "", wrong("wants a map")
	}
	if f.sort {
		tree = slices.Clone(tree)
		slices.SortStableFunc(tree, func(a, b core.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	var pairs []string
	for _, field := range tree {
		list, ok := field.Value.(core.List)
		if !ok {
			list = core.List{field.Value}
		}
		for i, item := range list {
			if f.dropEmpty && isEmpty(item) {
				continue
			}
			pair, err := f.pair(field.Name, item)
			if err != nil && ok {
				err = err.underItem(i)
			}
			if err != nil {
				return "", err.under(strings.ToValidUTF8(field.Name, "\ufffd"))
			}
			pairs = append(pairs, pair)
		}
	}
	if f.trailing && len(pairs) > 0 {
		pairs = append(pairs, "")
	}
	return strings.Join(pairs, f.sep), nil
}

func (f *pairsFormat) pair(name string, v core.Value) (string, *Error) {
	value, err := leaf(v, f.nilAs)
	if err == nil {
		err = sound(name)
	}
	if err != nil {
		return "", err
	}
	if strings.Index(name+f.equals, f.equals) != len(name) || !f.keepsApart(name, f.sep) || f.escape != "" && strings.Contains(name, f.escape) {
		return "", wrong("is a name that holds a separator")
	}
	if value, err = f.put(value); err != nil {
		return "", err
	}
	pair := name + f.equals + value
	if f.escape == "" && !f.keepsApart(pair, f.sep) {
		return "", wrong("name and value next to each other make a separator")
	}
	return pair, nil
}

// Read implements Format.
func (f *pairsFormat) Read(text string) (core.Value, error) {
	v, _, err := f.ReadForgiving(text)
	return v, err
}

// ReadForgiving implements Format.
func (f *pairsFormat) ReadForgiving(text string) (core.Value, []string, error) {
	const doing = "read pairs"
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
		n, _ := f.index(text[i:])
		pair := text[i : i+n]
		if f.lenient && f.sep == "\n" && !strings.Contains(f.equals, "\r") && strings.HasSuffix(pair, "\r") {
			pair = pair[:len(pair)-1]
			noted.at(i+len(pair), "a CR before the end of the line")
		}
		switch {
		case pair == "":
		case f.lenient && trimmed(pair) == "":
			noted.at(i, "blanks instead of a pair")
		default:
			field, err := f.field(pair, i, &noted)
			if err != nil {
				return nil, nil, err.at(doing, text, i)
			}
			fields = append(fields, field)
		}
		i += n + len(f.sep)
	}
	if len(fields) == 0 {
		return nil, noted.notes, nil
	}
	return core.Tree(gather(fields)), noted.notes, nil
}

func (f *pairsFormat) field(pair string, at int, noted *forgiving) (core.Field, *Error) {
	name, value, found := strings.Cut(pair, f.equals)
	if !found {
		if !f.lenient {
			return core.Field{}, wrong("a pair without anything between name and value") // it may be a value: not named
		}
		noted.at(at, "a pair without "+f.equals)
	}
	var note func(int)
	if f.lenient {
		note = func(int) { noted.at(at, "an escape before what needs none") }
	}
	value, err := f.take(value, note)
	if err != nil {
		return core.Field{}, err.under(name)
	}
	if f.lenient && (trimmed(name) != name || trimmed(value) != value) {
		noted.at(at, "blanks around a name or value")
		name, value = trimmed(name), trimmed(value)
	}
	if value == "" {
		return core.Field{Name: name}, nil
	}
	return core.Field{Name: name, Value: f.nulls.value(value)}, nil
}

// trimmed is without the blanks at both ends, the full-width one included.
func trimmed(s string) string { return strings.Trim(s, " \t\u3000") }
