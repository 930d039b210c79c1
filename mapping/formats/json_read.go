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
	forgiving
	format  *jsonFormat
	text    string
	i       int
	lenient bool
	fields  []core.Field // of all open objects, the innermost last
	items   []core.Value // of all open lists
}

func (r *jsonReader) forgive(i int, what string) { r.forgiving.at(i, what) }

// Punctuation, and what a keyboard in Chinese mode types in its place.
const (
	wideColon, wideComma            = "：", "，"
	wideOpenBrace, wideCloseBrace   = "｛", "｝"
	wideOpenSquare, wideCloseSquare = "［", "］"
	wideOpenQuote, wideCloseQuote   = "“", "”"
)

func (r *jsonReader) document() (core.Value, *Error) {
	if err := r.blanks(); err != nil {
		return nil, err
	}
	// A bare word is a whole document only if it is JSON: an error page is not.
	if !r.opens() {
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
	if err := r.blanks(); err != nil {
		return err
	}
	if r.i < len(r.text) {
		return wrong("something follows the document")
	}
	return nil
}

// opens reports whether an object or a list begins here.
func (r *jsonReader) opens() bool {
	return r.ahead('{', wideOpenBrace) || r.ahead('[', wideOpenSquare)
}

func (r *jsonReader) value(depth int) (core.Value, *Error) {
	switch {
	case r.opens() && depth > MaxDepth:
		return nil, wrong(fmt.Sprintf("objects and lists are nested deeper than %d", MaxDepth))
	case r.take('{', wideOpenBrace):
		return r.object(depth)
	case r.take('[', wideOpenSquare):
		return r.list(depth)
	}
	return r.scalar(r.lenient)
}

func (r *jsonReader) object(depth int) (core.Value, *Error) {
	first := len(r.fields)
	var names jsonNames
	for comma := true; ; {
		if err := r.blanks(); err != nil {
			return nil, err
		}
		if r.i == len(r.text) {
			return nil, wrong("the document ends inside an object")
		}
		if r.looseCommas(comma, len(r.fields) == first, '}', wideCloseBrace) {
			continue
		}
		if r.ahead('}', wideCloseBrace) && (r.lenient || len(r.fields) == first) {
			break
		}
		begin := r.i
		name, err := r.name()
		if err != nil {
			return nil, err
		}
		if err := r.blanks(); err != nil {
			return nil, err
		}
		if !r.take(':', wideColon) {
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
		if err := r.blanks(); err != nil {
			return nil, err
		}
		if comma = r.take(',', wideComma); !comma && !r.lenient {
			break
		}
	}
	if !r.take('}', wideCloseBrace) {
		return nil, wrong("a comma or } must follow")
	}
	tree := core.Tree{}
	if len(r.fields) > first {
		tree = slices.Clone(r.fields[first:])
		r.fields = r.fields[:first]
	}
	return tree, nil
}

// looseCommas is the lenient view of what stands between two members, after the
// comma that was there or not: one comma too many is skipped (again), one that
// is missing or stands before the end is only noted.
func (r *jsonReader) looseCommas(comma, none bool, end byte, wideEnd string) (again bool) {
	if !r.lenient {
		return false
	}
	begin := r.i
	switch {
	case r.ahead(',', wideComma):
		r.take(',', wideComma)
		r.forgive(begin, "a comma too many")
		return true
	case r.ahead(end, wideEnd):
		if comma && !none {
			r.forgive(begin, "a comma before the end")
		}
	case !comma:
		r.forgive(begin, "a comma is missing")
	}
	return false
}

// member reads the value after a colon. In a lenient document a value that is
// not there ends with its line: what follows is the next name.
func (r *jsonReader) member(depth int) (core.Value, *Error) {
	if r.lenient {
		for r.text[r.i:] != "" {
			if r.comments() {
				if err := r.comment(); err != nil {
					return nil, err
				}
			} else if strings.IndexByte(" \t\r", r.text[r.i]) >= 0 {
				r.i++
			} else {
				break
			}
		}
		if r.ahead('\n', "") {
			next := r.i
			if err := r.blanks(); err != nil {
				return nil, err
			}
			if !r.opens() {
				r.i = next
				r.forgive(next, "a value is missing")
				return nil, nil
			}
		}
	}
	if err := r.blanks(); err != nil {
		return nil, err
	}
	return r.value(depth + 1)
}

func (r *jsonReader) list(depth int) (core.Value, *Error) {
	first := len(r.items)
	for comma := true; ; {
		if err := r.blanks(); err != nil {
			return nil, err
		}
		if r.i == len(r.text) {
			return nil, wrong("the document ends inside a list")
		}
		if r.looseCommas(comma, len(r.items) == first, ']', wideCloseSquare) {
			continue
		}
		if r.ahead(']', wideCloseSquare) && (r.lenient || len(r.items) == first) {
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
		if err := r.blanks(); err != nil {
			return nil, err
		}
		if comma = r.take(',', wideComma); !comma && !r.lenient {
			break
		}
	}
	if !r.take(']', wideCloseSquare) {
		return nil, wrong("a comma or ] must follow")
	}
	list := core.List{}
	if len(r.items) > first {
		list = slices.Clone(r.items[first:])
		r.items = r.items[:first]
	}
	return list, nil
}

func (r *jsonReader) name() (string, *Error) {
	switch {
	case r.quotes():
		return r.quoted()
	case !r.lenient:
		return "", wrong("a name in quotes must stand here")
	}
	begin := r.i
	n := strings.IndexAny(r.text[begin:], ":：,，{}[]｛｝［］“”\"'\r\n")
	if n <= 0 {
		return "", wrong("a name must stand here")
	}
	name := strings.TrimRight(r.text[begin:begin+n], looseBlanks)
	if name == "" {
		return "", wrong("a name must stand here")
	}
	r.i += len(name)
	r.forgive(begin, "a name without quotes")
	return name, nil
}

// quotes reports whether a text in quotes begins here.
func (r *jsonReader) quotes() bool {
	return r.ahead('"', wideOpenQuote) || r.lenient && (r.ahead('\'', wideCloseQuote))
}

// scalar reads a text, number, boolean or null; bare allows what is none of
// these and ends with its line, with a comma or before a comment.
func (r *jsonReader) scalar(bare bool) (core.Value, *Error) {
	if r.quotes() {
		text, err := r.quoted()
		if err != nil {
			return nil, err
		}
		return r.format.nulls.value(text), nil
	}
	rest := r.text[r.i:]
	n := strings.IndexAny(rest, ",]} \t\r\n:[{\"")
	if bare {
		n = strings.IndexAny(rest, ",，]}］｝\r\n")
	}
	if n < 0 {
		n = len(rest)
	}
	word := rest[:n]
	if bare {
		for _, comment := range []string{" //", "\t//", " /*", "\t/*"} {
			word, _, _ = strings.Cut(word, comment)
		}
	}
	word = strings.TrimRight(word, looseBlanks)
	switch {
	case isJSONWord(word):
	case !bare:
		return nil, wrong("a value must stand here: text in quotes, a number, true, false, null, an object or a list")
	case word == "":
		r.forgive(r.i, "a value is missing")
	default:
		r.forgive(r.i, "a value without quotes")
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
	open := r.i
	quote, other := `"`, `"`
	switch {
	case r.take('"', ""):
	case r.take('\'', ""):
		r.forgive(open, "single quotes")
		quote, other = "'", "'"
	default:
		// Nobody is careful which of the two is where.
		_, size := utf8.DecodeRuneInString(r.text[r.i:])
		r.i += size
		r.forgive(open, "full-width quotes")
		quote, other = wideCloseQuote, wideOpenQuote
	}
	begin := r.i
	var out []byte
	for r.i < len(r.text) {
		switch c := r.text[r.i]; {
		case (c == quote[0] || c == other[0]) && (strings.HasPrefix(r.text[r.i:], quote) || strings.HasPrefix(r.text[r.i:], other)):
			text := r.text[begin:r.i]
			if out != nil {
				text = string(append(out, text...))
			}
			r.i += len(quote)
			return text, nil
		case c == '\\':
			out = append(out, r.text[begin:r.i]...)
			var err *Error
			if out, err = r.escaped(out); err != nil {
				return "", err
			}
			begin = r.i
		case c < 0x20 && !r.lenient:
			return "", wrong("a control character in text must be escaped")
		case c < 0x20:
			r.forgive(r.i, "a control character in text")
			r.i++
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
		r.forgive(r.i, "an escaped single quote")
		r.i += 2
		return append(out, c), nil
	}
	char, ok := r.unicode(r.i)
	if !ok && r.lenient {
		r.forgive(r.i, "an escape that JSON does not know, taken as it stands")
		r.i++
		return append(out, '\\'), nil
	}
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

// ahead reports whether c stands here, or what is typed in its place.
func (r *jsonReader) ahead(c byte, wide string) bool {
	if r.i < len(r.text) && r.text[r.i] == c {
		return true
	}
	return r.lenient && wide != "" && strings.HasPrefix(r.text[r.i:], wide)
}

func (r *jsonReader) take(c byte, wide string) bool {
	switch {
	case !r.ahead(c, wide):
		return false
	case r.text[r.i] == c:
		r.i++
	default:
		r.forgive(r.i, "full-width punctuation")
		r.i += len(wide)
	}
	return true
}

func (r *jsonReader) takeText(s string) bool {
	if !strings.HasPrefix(r.text[r.i:], s) {
		return false
	}
	r.i += len(s)
	return true
}

// blanks skips white space and, in a lenient document, comments.
func (r *jsonReader) blanks() *Error {
	for r.i < len(r.text) {
		switch c := r.text[r.i]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			r.i++
		case !r.lenient:
			return nil
		case strings.HasPrefix(r.text[r.i:], "\u3000"):
			r.forgive(r.i, "a full-width blank")
			r.i += len("\u3000")
		case r.comments():
			if err := r.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (r *jsonReader) comments() bool {
	return r.lenient && (strings.HasPrefix(r.text[r.i:], "//") || strings.HasPrefix(r.text[r.i:], "/*"))
}

func (r *jsonReader) comment() *Error {
	r.forgive(r.i, "a comment")
	rest := r.text[r.i+2:]
	if r.text[r.i+1] == '*' {
		n := strings.Index(rest, "*/")
		if n < 0 {
			return wrong("a comment does not end")
		}
		r.i += n + 4
		return nil
	}
	n := strings.IndexAny(rest, "\r\n")
	if n < 0 {
		n = len(rest)
	}
	r.i += n + 2
	return nil
}
