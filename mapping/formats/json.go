package formats

import (
	"fmt"
	"strings"

	"hishub/core"
)

var jsonOptions = []Option{
	{Name: "lenient", Type: TypeFlag, Default: false, About: "accepts names without quotes, full-width ，：｛｝［］“”, missing, doubled and trailing commas, bare values to the line end, single quotes, comments, line ends in text, unknown escapes, a BOM"},
	nilAsOption, nullsOption,
}

// jsonFormat keeps the order of names. Text is written as a string, a Token
// bare, nil as null; numbers and booleans are read as text with their wire
// spelling. A name that stands twice in an object is an error both ways: which
// of the two a HIS takes is anybody's guess. <, > and & stay as they are,
// because signatures are made over the spelling.
type jsonFormat struct {
	nilAs   string // with its quotes, or null
	nulls   nulls
	lenient bool
}

func newJSON(s settings) (Format, error) {
	f := &jsonFormat{nilAs: "null", nulls: s.texts("nulls"), lenient: s.flag("lenient")}
	if word, ok := s.given("nil_as"); ok {
		f.nilAs = string(appendJSONText(nil, word))
	}
	return f, nil
}

// Write implements Format.
func (f *jsonFormat) Write(v core.Value) (string, error) {
	w := jsonWriter{format: f, out: make([]byte, 0, 2048)}
	if err := w.value(v, 1); err != nil {
		err.Doing = "write json"
		return "", err
	}
	return string(w.out), nil
}

// Read implements Format.
func (f *jsonFormat) Read(text string) (core.Value, error) {
	v, _, err := f.ReadForgiving(text)
	return v, err
}

// ReadForgiving implements Format.
func (f *jsonFormat) ReadForgiving(text string) (core.Value, []string, error) {
	if err := readable("read json", text); err != nil {
		return nil, nil, err
	}
	r := jsonReader{format: f, text: text}
	v, err := r.document()
	if err != nil && f.lenient {
		// Only now: what is JSON reads the same, lenient or not.
		r = jsonReader{format: f, text: text, lenient: true, forgiving: forgiving{text: text}}
		if r.takeText(bom) {
			r.forgive(0, "a byte order mark")
		}
		v, err = r.document()
	}
	if err != nil {
		return nil, nil, err.at("read json", r.text, r.i)
	}
	return v, r.notes, nil
}

type jsonWriter struct {
	format *jsonFormat
	out    []byte
}

func (w *jsonWriter) value(v core.Value, depth int) *Error {
	switch v := v.(type) {
	case nil:
		w.out = append(w.out, w.format.nilAs...)
		return nil
	case core.Tree:
		return w.object(v, depth)
	case core.List:
		return w.list(v, depth)
	case core.Token:
		if !isJSONWord(string(v)) {
			return wrong("is a bare word that JSON does not know: it must be a number, true, false or null")
		}
		w.out = append(w.out, v...)
		return nil
	}
	text, err := leaf(v, "")
	if err != nil {
		return err
	}
	w.out = appendJSONText(w.out, text)
	return nil
}

func (w *jsonWriter) object(tree core.Tree, depth int) *Error {
	if depth > MaxDepth {
		return wrong(fmt.Sprintf("is nested deeper than %d", MaxDepth))
	}
	var names jsonNames
	w.out = append(w.out, '{')
	for i, f := range tree {
		if err := sound(f.Name); err != nil {
			return err.under(strings.ToValidUTF8(f.Name, "\ufffd"))
		}
		if !names.add(tree[:i], f.Name) {
			return wrong("is a name that stands twice").under(f.Name)
		}
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = append(appendJSONText(w.out, f.Name), ':')
		if err := w.value(f.Value, depth+1); err != nil {
			return err.under(f.Name)
		}
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *jsonWriter) list(list core.List, depth int) *Error {
	if depth > MaxDepth {
		return wrong(fmt.Sprintf("is nested deeper than %d", MaxDepth))
	}
	w.out = append(w.out, '[')
	for i, item := range list {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.value(item, depth+1); err != nil {
			return err.underItem(i)
		}
	}
	w.out = append(w.out, ']')
	return nil
}

func appendJSONText(out []byte, text string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	done := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		out = append(out, text[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		case '\b':
			out = append(out, `\b`...)
		case '\f':
			out = append(out, `\f`...)
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(out, text[done:]...), '"')
}

// jsonNames finds a name that stands twice without looking through a long
// object again and again.
type jsonNames map[string]struct{}

func (n *jsonNames) add(earlier core.Tree, name string) bool {
	const few = 16
	if len(earlier) <= few {
		return !earlier.Has(name)
	}
	if *n == nil {
		*n = make(jsonNames, 2*few)
		for i := range earlier {
			(*n)[earlier[i].Name] = struct{}{}
		}
	}
	if _, twice := (*n)[name]; twice {
		return false
	}
	(*n)[name] = struct{}{}
	return true
}

// isJSONWord reports whether s may stand in JSON without quotes.
func isJSONWord(s string) bool {
	switch s {
	case "true", "false", "null":
		return true
	}
	s = strings.TrimPrefix(s, "-")
	whole := leadingDigits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if strings.HasPrefix(s, ".") {
		n := leadingDigits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := leadingDigits(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return s == ""
}

func leadingDigits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}
