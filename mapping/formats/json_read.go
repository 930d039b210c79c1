package formats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"hishub/core"
)

// jsonReader reads one document. An error leaves i where it was met.
type jsonReader struct {
	format  *jsonFormat
	text    string
	i       int
	lenient bool
	fields  []core.Field // of all open objects, the innermost last
	items   []core.Value // of all open lists
}

func (r *jsonReader) document() (core.Value, *Error) {
	r.blanks()
	// A bare word is a whole document only if it is JSON: an error page is not.
	if !r.ahead('{') && !r.ahead('[') {
		if r.i == len(r.text) {
			return nil, wrong("the document is empty")
		}
		v, err := r.scalar(false)
		if err != nil {
			return nil, err
		}
		return v, r.end()
	}
	v, err := r.value(1)
	if err != nil {
		return nil, err
	}
	return v, r.end()
}

func (r *jsonReader) end() *Error {
	r.blanks()
	if r.i < len(r.text) {
		return wrong("something follows the document")
	}
	return nil
}

func (r *jsonReader) value(depth int) (core.Value, *Error) {
	open := r.ahead('{') || r.ahead('[')
	switch {
	case open && depth > MaxDepth:
		return nil, wrong(fmt.Sprintf("objects and lists are nested deeper than %d", MaxDepth))
	case r.take('{'):
		return r.object(depth)
	case r.take('['):
		return r.list(depth)
	}
	return r.scalar(r.lenient)
}

func (r *jsonReader) object(depth int) (core.Value, *Error) {
	first := len(r.fields)
	var names jsonNames
	for {
		r.blanks()
		if r.i == len(r.text) {
			return nil, wrong("the document ends inside an object")
		}
		if r.ahead('}') && (r.lenient || len(r.fields) == first) {
			break
		}
		begin := r.i
		name, err := r.name()
		if err != nil {
			return nil, err
		}
		r.blanks()
		if !r.take(':') && !(r.lenient && r.takeText("：")) {
			// What has no colon may well be a value: the error does not name it.
			return nil, wrong("a colon must follow the name")
		}
		if !names.add(r.fields[first:], name) {
			r.i = begin
			return nil, wrong("is a name that stands twice").under(name)
		}
		v, err := r.member(depth)
		if err != nil {
			return nil, err.under(name)
		}
		r.fields = append(r.fields, core.Field{Name: name, Value: v})
		r.blanks()
		if !r.comma() && !r.lenient {
			break
		}
	}
	if !r.take('}') {
		return nil, wrong("a comma or } must follow")
	}
	tree := core.Tree{}
	if len(r.fields) > first {
		tree = slices.Clone(r.fields[first:])
		r.fields = r.fields[:first]
	}
	return tree, nil
}

// member reads the value after a colon. In a lenient document a value that is
// not there ends with its line: what follows is the next name.
func (r *jsonReader) member(depth int) (core.Value, *Error) {
	if r.lenient {
		for r.take(' ') || r.take('\t') || r.take('\r') {
		}
		if r.ahead('\n') {
			next := r.i
			r.blanks()
			if !r.ahead('{') && !r.ahead('[') {
				r.i = next
				return nil, nil
			}
		}
	}
	r.blanks()
	return r.value(depth + 1)
}

func (r *jsonReader) list(depth int) (core.Value, *Error) {
	first := len(r.items)
	for {
		r.blanks()
		if r.i == len(r.text) {
			return nil, wrong("the document ends inside a list")
		}
		if r.ahead(']') && (r.lenient || len(r.items) == first) {
			break
		}
		begin := r.i
		v, err := r.value(depth + 1)
		if err == nil && r.i == begin {
			err = wrong("a value must stand here")
		}
		if err != nil {
			return nil, err.underItem(len(r.items) - first)
		}
		r.items = append(r.items, v)
		r.blanks()
		if !r.comma() && !r.lenient {
			break
		}
	}
	if !r.take(']') {
		return nil, wrong("a comma or ] must follow")
	}
	list := core.List{}
	if len(r.items) > first {
		list = slices.Clone(r.items[first:])
		r.items = r.items[:first]
	}
	return list, nil
}

func (r *jsonReader) comma() bool {
	return r.take(',') || r.lenient && r.takeText("，")
}

func (r *jsonReader) name() (string, *Error) {
	switch {
	case r.ahead('"'), r.lenient && r.ahead('\''):
		return r.quoted()
	case !r.lenient:
		return "", wrong("a name in quotes must stand here")
	}
	begin := r.i
	n := strings.IndexAny(r.text[begin:], ":：,，{}[]\"'\r\n")
	if n <= 0 {
		return "", wrong("a name must stand here")
	}
	name := strings.TrimRight(r.text[begin:begin+n], looseBlanks)
	r.i += len(name)
	return name, nil
}

// scalar reads a text, number, boolean or null; bare allows what is none of
// these and ends with its line.
func (r *jsonReader) scalar(bare bool) (core.Value, *Error) {
	if r.ahead('"') || r.lenient && r.ahead('\'') {
		text, err := r.quoted()
		if err != nil {
			return nil, err
		}
		return r.format.nulls.value(text), nil
	}
	rest := r.text[r.i:]
	n := strings.IndexAny(rest, ",]} \t\r\n:[{\"")
	if bare {
		n = strings.IndexAny(rest, ",，]}\r\n")
	}
	if n < 0 {
		n = len(rest)
	}
	word := strings.TrimRight(rest[:n], looseBlanks)
	if !bare && !isJSONWord(word) {
		return nil, wrong("a value must stand here: text in quotes, a number, true, false, null, an object or a list")
	}
	r.i += len(word)
	if word == "null" || word == "" {
		return nil, nil
	}
	return r.format.nulls.value(word), nil
}

// quoted reads a text in quotes; most texts have no escapes and stay a part of
// the document.
func (r *jsonReader) quoted() (string, *Error) {
	quote := r.text[r.i]
	r.i++
	begin := r.i
	var out []byte
	for r.i < len(r.text) {
		switch c := r.text[r.i]; {
		case c == quote:
			text := r.text[begin:r.i]
			if out != nil {
				text = string(append(out, text...))
			}
			r.i++
			return text, nil
		case c == '\\':
			out = append(out, r.text[begin:r.i]...)
			var err *Error
			if out, err = r.escaped(out); err != nil {
				return "", err
			}
			begin = r.i
		case c < 0x20:
			return "", wrong("a control character in text must be escaped")
		default:
			r.i++
		}
	}
	return "", wrong("the document ends inside a text")
}

// escaped appends the character that the escape at i stands for.
func (r *jsonReader) escaped(out []byte) ([]byte, *Error) {
	if r.i+1 >= len(r.text) {
		return nil, wrong("the document ends inside a text")
	}
	c := r.text[r.i+1]
	const escapes, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if n := strings.IndexByte(escapes, c); n >= 0 {
		r.i += 2
		return append(out, meanings[n]), nil
	}
	if r.lenient && c == '\'' {
		r.i += 2
		return append(out, c), nil
	}
	char, ok := r.unicode(r.i)
	if !ok {
		return nil, wrong("an escape that JSON does not know")
	}
	size := 6
	if utf16.IsSurrogate(char) {
		low, _ := r.unicode(r.i + size)
		if char = utf16.DecodeRune(char, low); char == utf8.RuneError {
			return nil, wrong("half of a surrogate pair")
		}
		size += 6
	}
	if char == 0 {
		return nil, wrong("the text holds a NUL character")
	}
	r.i += size
	return utf8.AppendRune(out, char), nil
}

// unicode is the \uXXXX at i.
func (r *jsonReader) unicode(i int) (rune, bool) {
	if i+6 > len(r.text) || r.text[i] != '\\' || r.text[i+1] != 'u' {
		return 0, false
	}
	code, err := strconv.ParseUint(r.text[i+2:i+6], 16, 32)
	return rune(code), err == nil
}

// looseBlanks end a bare word. Who types full-width punctuation types the
// full-width blank as well.
const looseBlanks = " \t\u3000"

func (r *jsonReader) ahead(c byte) bool { return r.i < len(r.text) && r.text[r.i] == c }

func (r *jsonReader) take(c byte) bool {
	if !r.ahead(c) {
		return false
	}
	r.i++
	return true
}

func (r *jsonReader) takeText(s string) bool {
	if !strings.HasPrefix(r.text[r.i:], s) {
		return false
	}
	r.i += len(s)
	return true
}

func (r *jsonReader) blanks() {
	for r.i < len(r.text) && (r.text[r.i] == ' ' || r.text[r.i] == '\n' || r.text[r.i] == '\t' || r.text[r.i] == '\r') {
		r.i++
	}
	if r.lenient && r.takeText("\u3000") {
		r.blanks()
	}
}
