package soap

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"hishub/core"
)

// maxDepth bounds how deep an answer's elements may be nested.
const maxDepth = 100

type reader struct {
	s string
	i int
}

func (r *reader) fail(what string) error { return fmt.Errorf("%s at character %d", what, r.i) }

// skipMisc passes white space, comments and processing instructions.
func (r *reader) skipMisc() error {
	for {
		r.blanks()
		rest := r.s[r.i:]
		switch {
		case strings.HasPrefix(rest, "<?"):
			if !r.past("?>") {
				return r.fail("a processing instruction does not end")
			}
		case strings.HasPrefix(rest, "<!--"):
			if !r.past("-->") {
				return r.fail("a comment does not end")
			}
		case strings.HasPrefix(rest, "<!"):
			return r.fail("a document type declaration is refused")
		default:
			return nil
		}
	}
}

func (r *reader) past(end string) bool {
	n := strings.Index(r.s[r.i:], end)
	if n < 0 {
		return false
	}
	r.i += n + len(end)
	return true
}

func (r *reader) blanks() {
	for r.i < len(r.s) && blank(r.s[r.i]) {
		r.i++
	}
}

func blank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// element reads the element that begins here.
func (r *reader) element(depth int) (core.Field, error) {
	var none core.Field
	if depth == maxDepth {
		return none, r.fail("elements are nested too deep")
	}
	if r.i >= len(r.s) || r.s[r.i] != '<' {
		return none, r.fail("no element")
	}
	r.i++
	name := r.name()
	if name == "" {
		return none, r.fail("a tag without a name")
	}
	c := content{}
	for {
		r.blanks()
		if r.i >= len(r.s) {
			return none, r.fail("a tag does not end")
		}
		if r.s[r.i] == '>' {
			r.i++
			break
		}
		if strings.HasPrefix(r.s[r.i:], "/>") {
			r.i += 2
			return core.Field{Name: local(name), Value: c.value()}, nil
		}
		if err := r.attribute(&c); err != nil {
			return none, err
		}
	}
	for {
		n := strings.IndexByte(r.s[r.i:], '<')
		if n < 0 {
			return none, r.fail("the document ends inside an element")
		}
		if n > 0 {
			text, err := r.unescape(r.s[r.i : r.i+n])
			if err != nil {
				return none, err
			}
			c.addText(text)
			r.i += n
		}
		rest := r.s[r.i:]
		switch {
		case strings.HasPrefix(rest, "</"):
			r.i += 2
			if r.name() != name {
				return none, r.fail("an end tag is not that of its element")
			}
			r.blanks()
			if r.i >= len(r.s) || r.s[r.i] != '>' {
				return none, r.fail("an end tag does not end")
			}
			r.i++
			return core.Field{Name: local(name), Value: c.value()}, nil
		case strings.HasPrefix(rest, "<![CDATA["):
			text, _, ok := strings.Cut(rest[len("<![CDATA["):], "]]>")
			if !ok {
				return none, r.fail("a CDATA section does not end")
			}
			c.addText(text)
			r.i += len("<![CDATA[") + len(text) + len("]]>")
		case strings.HasPrefix(rest, "<!--"), strings.HasPrefix(rest, "<?"), strings.HasPrefix(rest, "<!"):
			if err := r.skipOne(rest); err != nil {
				return none, err
			}
		default:
			child, err := r.element(depth + 1)
			if err != nil {
				return none, err
			}
			c.addChild(child)
		}
	}
}

func (r *reader) skipOne(rest string) error {
	switch {
	case strings.HasPrefix(rest, "<!--") && r.past("-->"), strings.HasPrefix(rest, "<?") && r.past("?>"):
		return nil
	}
	return r.fail("a declaration is refused, or a comment does not end")
}

func (r *reader) attribute(c *content) error {
	name := r.name()
	if name == "" {
		return r.fail("neither an attribute nor the end of the tag")
	}
	r.blanks()
	if r.i >= len(r.s) || r.s[r.i] != '=' {
		return r.fail("an attribute without a value")
	}
	r.i++
	r.blanks()
	if r.i >= len(r.s) || r.s[r.i] != '"' && r.s[r.i] != '\'' {
		return r.fail("an attribute's value is not in quotes")
	}
	quote := r.s[r.i]
	r.i++
	n := strings.IndexByte(r.s[r.i:], quote)
	if n < 0 {
		return r.fail("an attribute does not end")
	}
	value, err := r.unescape(r.s[r.i : r.i+n])
	if err != nil {
		return err
	}
	r.i += n + 1
	switch {
	case name == "xmlns", strings.HasPrefix(name, "xmlns:"):
	case local(name) == "nil" && local(name) != name:
		c.null = value == "true" || value == "1"
	default:
		c.fields = append(c.fields, core.Field{Name: "." + local(name), Value: orNil(value)})
	}
	return nil
}

func orNil(s string) core.Value {
	if s == "" {
		return nil
	}
	return s
}

// name reads a name with its prefix, "" if there is none.
func (r *reader) name() string {
	begin := r.i
	for r.i < len(r.s) {
		switch c := r.s[r.i]; {
		case blank(c), c == '>', c == '/', c == '=', c == '<', c == '"', c == '\'', c == '&', c < ' ':
			return r.s[begin:r.i]
		}
		r.i++
	}
	return r.s[begin:r.i]
}

func local(name string) string { return name[strings.LastIndexByte(name, ':')+1:] }

var entities = map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`, "apos": "'"}

func (r *reader) unescape(s string) (string, error) {
	n := strings.IndexByte(s, '&')
	if n < 0 {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for n >= 0 {
		b = append(b, s[:n]...)
		name, _, ok := strings.Cut(s[n+1:min(len(s), n+12)], ";")
		if !ok {
			return "", r.fail("an & that begins no entity, after this character")
		}
		if text, ok := entities[name]; ok {
			b = append(b, text...)
		} else if c, ok := number(name); ok {
			b = utf8.AppendRune(b, c)
		} else {
			return "", r.fail("an entity that is not one of XML's own, after this character")
		}
		s = s[n+1+len(name)+1:]
		n = strings.IndexByte(s, '&')
	}
	return string(append(b, s...)), nil
}

func number(name string) (rune, bool) {
	digits, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, is := strings.CutPrefix(digits, "x"); is {
		digits, base = hex, 16
	}
	code, err := strconv.ParseUint(digits, base, 32)
	c := rune(code)
	return c, ok && err == nil && code <= utf8.MaxRune && utf8.ValidRune(c) && c != 0
}

// content gathers what stands in one element.
type content struct {
	fields []core.Field
	first  string // the text, most often one piece, which stays a part of the document
	more   []byte // all of the text, once there is a second piece
	parent bool   // has child elements
	null   bool   // xsi:nil
	index  map[string]int
}

func (c *content) addText(s string) {
	switch {
	case c.first == "":
		c.first = s
	case c.more == nil:
		c.more = append([]byte(c.first), s...)
	default:
		c.more = append(c.more, s...)
	}
}

func (c *content) text() string {
	if c.more != nil {
		return string(c.more)
	}
	return c.first
}

// addChild puts a child behind the others, or to its namesakes.
func (c *content) addChild(f core.Field) {
	c.parent = true
	i, ok := c.find(f.Name)
	if !ok {
		c.fields = append(c.fields, f)
		return
	}
	if list, ok := c.fields[i].Value.(repeated); ok {
		c.fields[i].Value = append(list, f.Value)
	} else {
		c.fields[i].Value = repeated{c.fields[i].Value, f.Value}
	}
}

// repeated is a List in the making, told apart from one that a child already is.
type repeated core.List

func (c *content) find(name string) (int, bool) {
	if len(c.fields) < 16 {
		for i := range c.fields {
			if c.fields[i].Name == name {
				return i, true
			}
		}
		return 0, false
	}
	if c.index == nil {
		c.index = make(map[string]int, 2*len(c.fields))
	}
	for i := len(c.index); i < len(c.fields); i++ {
		c.index[c.fields[i].Name] = i
	}
	i, ok := c.index[name]
	return i, ok
}

// value is nil for an empty element, text for a leaf, else a Tree. White space
// between children means nothing.
func (c *content) value() core.Value {
	for i := range c.fields {
		if list, ok := c.fields[i].Value.(repeated); ok {
			c.fields[i].Value = core.List(list)
		}
	}
	text := c.text()
	blankText := text == "" || c.parent && strings.Trim(text, " \t\r\n") == ""
	switch {
	case len(c.fields) == 0 && (c.null || text == ""):
		return nil
	case len(c.fields) == 0:
		return text
	case !blankText:
		c.fields = append(c.fields, core.Field{Name: core.TextName, Value: text})
	}
	return core.Tree(c.fields)
}
