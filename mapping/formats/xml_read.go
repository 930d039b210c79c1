package formats

import (
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

type xmlReader struct {
	forgiving
	format *xmlFormat
	text   string
	i      int

	open   []xmlOpen
	fields []core.Field // of all open elements, the innermost last
	root   []core.Field // the finished root, once it is there; lenient: several
	ahead  []string     // lenient: closed by an outer end tag, their own is still to come

	// The text since the last tag. Most is one piece and stays a part of the
	// document; only what entities and comments cut up is put together.
	piece  string
	pieces []byte

	dots map[string]string // attribute names with their dot: few names, used often
}

// xmlOpen is an element whose end tag has not come yet.
type xmlOpen struct {
	name     string // with its prefix
	first    int    // where its fields begin in xmlReader.fields
	mixed    []byte // its text beside children
	mixedAt  int    // the field this text goes to
	children bool
	null     bool // xsi:nil="true"
}

func (r *xmlReader) document() (core.Value, *Error) {
	if strings.HasPrefix(r.text, bom) {
		r.i = len(bom)
	}
	start := r.i
	for r.i < len(r.text) {
		var err *Error
		rest := r.text[r.i:]
		switch {
		case rest[0] != '<':
			err = r.characters()
		case strings.HasPrefix(rest, "</"):
			err = r.endTag()
		case strings.HasPrefix(rest, "<!--"):
			err = r.skip("<!--", "-->", "a comment")
		case strings.HasPrefix(rest, "<![CDATA["):
			err = r.cdata()
		case strings.HasPrefix(rest, "<?"):
			if err = r.prologAt(start); err == nil {
				err = r.skip("<?", "?>", "a processing instruction")
			}
		case strings.HasPrefix(rest, "<!"):
			err = r.fail(r.i, "document type declarations are refused")
		default:
			err = r.tagOrText()
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case len(r.open) > 0:
		return nil, r.fail(r.i, "the document ends before this element does")
	case r.root == nil:
		return nil, r.fail(r.i, "the document has no root element")
	case len(r.ahead) > 0:
		return nil, r.fail(r.i, "an element has no end tag")
	}
	return core.Tree(gather(r.root)), nil
}

// prologAt refuses a prolog that is not where the document starts.
func (r *xmlReader) prologAt(start int) *Error {
	rest := r.text[r.i+2:]
	if r.i == start || len(rest) < 4 || !strings.EqualFold(rest[:3], "xml") || xmlNameByte[rest[3]] {
		return nil
	}
	if !r.format.lenient {
		return r.fail(r.i, "the prolog must stand at the very start")
	}
	r.at(r.i, "a prolog that is not at the very start")
	return nil
}

// tagOrText reads a start tag; lenient, a < is text where no name follows, or
// where the next < comes before any >.
func (r *xmlReader) tagOrText() *Error {
	rest := r.text[r.i+1:]
	if !r.format.lenient || len(r.open) == 0 {
		return r.startTag()
	}
	if rest != "" && startsXMLName(rest[:1]) {
		if n := strings.IndexAny(rest, "<>"); n >= 0 && rest[n] == '>' {
			return r.startTag()
		}
	}
	r.at(r.i, "a < that is text")
	r.addText("<")
	r.i++
	return nil
}

func (r *xmlReader) startTag() *Error {
	begin := r.i
	if r.root != nil && len(r.open) == 0 {
		if !r.format.lenient {
			return r.fail(begin, "there is more than one root element")
		}
		r.at(begin, "one more root element")
	}
	if len(r.open) == MaxDepth {
		return r.fail(begin, fmt.Sprintf("elements are nested deeper than %d", MaxDepth))
	}
	r.i++
	name := r.name()
	if name == "" {
		return r.fail(begin, "a name must follow <; a < in text is written &lt;")
	}
	if len(r.open) > 0 {
		r.mix()
		r.open[len(r.open)-1].children = true
	}
	r.open = append(r.open, xmlOpen{name: name, first: len(r.fields), mixedAt: -1})
	for {
		blank := r.blanks()
		rest := r.text[r.i:]
		switch {
		case strings.HasPrefix(rest, ">"):
			r.i++
			return nil
		case strings.HasPrefix(rest, "/>"):
			r.i += 2
			r.closeElement()
			return nil
		case rest == "":
			return r.fail(r.i, "the document ends inside a tag")
		case !blank:
			return r.fail(r.i, "the tag is neither closed by > nor followed by an attribute")
		}
		if err := r.attribute(); err != nil {
			return err
		}
	}
}

func (r *xmlReader) attribute() *Error {
	begin := r.i
	name := r.name()
	if name == "" {
		return r.fail(begin, "an attribute or > must stand here")
	}
	r.blanks()
	if !strings.HasPrefix(r.text[r.i:], "=") {
		return r.fail(r.i, "an attribute needs = and a value")
	}
	r.i++
	r.blanks()
	if r.i == len(r.text) || r.text[r.i] != '"' && r.text[r.i] != '\'' {
		return r.fail(r.i, "the value of an attribute stands in quotes")
	}
	quote := r.text[r.i]
	r.i++
	for r.i < len(r.text) && r.text[r.i] != quote {
		var err *Error
		if r.text[r.i] == '&' {
			err = r.entity()
		} else {
			err = r.plain(quote)
		}
		if err != nil {
			return err
		}
	}
	if r.i == len(r.text) {
		return r.fail(r.i, "the document ends inside an attribute")
	}
	r.i++
	value := r.takeText()

	local := localName(name)
	switch {
	case name == "xmlns" || strings.HasPrefix(name, "xmlns:"):
	case local == "nil" && local != name && (value == "true" || value == "1"):
		r.open[len(r.open)-1].null = true
	default:
		r.fields = append(r.fields, core.Field{Name: r.dotted(local), Value: r.format.nulls.value(value)})
	}
	return nil
}

func (r *xmlReader) dotted(name string) string {
	dotted, ok := r.dots[name]
	if !ok {
		if r.dots == nil {
			r.dots = make(map[string]string)
		}
		dotted = "." + name
		r.dots[name] = dotted
	}
	return dotted
}

func (r *xmlReader) endTag() *Error {
	begin := r.i
	r.i += 2
	name := r.name()
	r.blanks()
	if name == "" || !strings.HasPrefix(r.text[r.i:], ">") {
		return r.fail(begin, "an end tag is </name>")
	}
	r.i++
	if len(r.open) > 0 && r.open[len(r.open)-1].name == name {
		r.closeElement()
		return nil
	}
	if !r.format.lenient {
		if len(r.open) == 0 {
			return r.fail(begin, "an end tag without its element")
		}
		return r.fail(begin, "the end tag must be </"+short(r.open[len(r.open)-1].name)+">")
	}
	return r.nearEndTag(begin, localName(name))
}

// nearEndTag closes what an end tag most likely means: the innermost element
// in another case, an element further out while the ones inside cross it (their
// own end tags are then due later), or, when no open element has the name, the
// innermost one.
func (r *xmlReader) nearEndTag(begin int, name string) *Error {
	same := func(open xmlOpen) bool { return strings.EqualFold(localName(open.name), name) }
	last := len(r.open) - 1
	if last >= 0 && same(r.open[last]) {
		r.at(begin, "an end tag that is spelled differently")
		r.closeElement()
		return nil
	}
	if i := slices.IndexFunc(r.ahead, func(ahead string) bool { return strings.EqualFold(ahead, name) }); i >= 0 {
		r.at(begin, "an end tag that comes late")
		r.ahead = slices.Delete(r.ahead, i, i+1)
		return nil
	}
	if last < 0 {
		return r.fail(begin, "an end tag without its element")
	}
	if !slices.ContainsFunc(r.open, same) {
		r.at(begin, "an end tag of another name")
		r.closeElement()
		return nil
	}
	r.at(begin, "an end tag that crosses others")
	for !same(r.open[len(r.open)-1]) {
		if len(r.ahead) == MaxDepth {
			return r.fail(begin, fmt.Sprintf("more than %d end tags are still to come", MaxDepth))
		}
		r.ahead = append(r.ahead, localName(r.open[len(r.open)-1].name))
		r.closeElement()
	}
	r.closeElement()
	return nil
}

// closeElement makes a field of the innermost element and its content.
func (r *xmlReader) closeElement() {
	var text core.Value
	e := &r.open[len(r.open)-1]
	if e.children {
		r.mix()
		if e.mixedAt >= 0 {
			r.fields[e.mixedAt].Value = string(e.mixed)
		}
	} else if s := r.takeText(); s != "" {
		text = r.format.nulls.value(s)
	}
	fields := r.fields[e.first:]
	var v core.Value
	switch {
	case e.null && !e.children && text == nil:
	case len(fields) == 0:
		v = text
	default:
		if text != nil {
			fields = append(fields, core.Field{Name: core.TextName, Value: text})
		}
		fields = gather(fields)
		v = core.Tree(slices.Clone(fields))
	}
	f := core.Field{Name: localName(e.name), Value: v}
	r.fields = r.fields[:e.first]
	r.open = r.open[:len(r.open)-1]
	if len(r.open) == 0 {
		r.root = append(r.root, f)
		return
	}
	r.fields = append(r.fields, f)
}

// mix keeps the text before a tag when it stands beside children and is more
// than the white space that sets them apart.
func (r *xmlReader) mix() {
	text := r.takeText()
	if strings.Trim(text, " \t\r\n") == "" {
		return
	}
	e := &r.open[len(r.open)-1]
	if e.mixedAt < 0 {
		e.mixedAt = len(r.fields)
		r.fields = append(r.fields, core.Field{Name: core.TextName})
	}
	e.mixed = append(e.mixed, text...)
}

// characters reads text up to the next tag.
func (r *xmlReader) characters() *Error {
	if len(r.open) == 0 {
		begin := r.i
		if !r.blanks() {
			return r.fail(begin, "text outside of the root element")
		}
		return nil
	}
	if r.text[r.i] == '&' {
		return r.entity()
	}
	return r.plain('<')
}

// plain reads up to an entity or the character end.
func (r *xmlReader) plain(end byte) *Error {
	text, begin := r.text, r.i
	i := begin
	for ; i < len(text); i++ {
		c := text[i]
		class := xmlClass[c]
		if class == xmlPlain && c != '\'' {
			continue
		}
		if c == end || c == '&' {
			break
		}
		if c == '<' {
			return r.fail(i, "a < in an attribute is written &lt;")
		}
		if (class == xmlForbidden || class == xmlEF) && xmlForbiddenAt(text, i) {
			return r.fail(i, xmlForbiddenReason)
		}
	}
	r.i = i
	r.addText(text[begin:i])
	return nil
}

func (r *xmlReader) cdata() *Error {
	const begin, end = "<![CDATA[", "]]>"
	if len(r.open) == 0 {
		return r.fail(r.i, "text outside of the root element")
	}
	text, _, found := strings.Cut(r.text[r.i+len(begin):], end)
	if !found {
		return r.fail(r.i, "a CDATA section does not end")
	}
	if i := xmlForbiddenIn(text); i >= 0 {
		return r.fail(r.i+len(begin)+i, xmlForbiddenReason)
	}
	r.addText(text)
	r.i += len(begin) + len(text) + len(end)
	return nil
}

func (r *xmlReader) addText(s string) {
	switch {
	case s == "":
	case len(r.pieces) > 0:
		r.pieces = append(r.pieces, s...)
	case r.piece == "":
		r.piece = s
	default:
		r.pieces = append(append(r.pieces, r.piece...), s...)
	}
}

func (r *xmlReader) takeText() string {
	s := r.piece
	r.piece = ""
	if len(r.pieces) > 0 {
		s = string(r.pieces)
		r.pieces = r.pieces[:0]
	}
	return s
}

// name reads a name with its prefix, "" if there is none.
func (r *xmlReader) name() string {
	begin := r.i
	for r.i < len(r.text) && xmlNameByte[r.text[r.i]] {
		r.i++
	}
	name := r.text[begin:r.i]
	if !startsXMLName(name) || !startsXMLName(localName(name)) || xmlForbiddenIn(name) >= 0 {
		r.i = begin
		return ""
	}
	return name
}

// blanks skips white space and reports whether there was any.
func (r *xmlReader) blanks() bool {
	begin := r.i
	for r.i < len(r.text) && (r.text[r.i] == ' ' || r.text[r.i] == '\n' || r.text[r.i] == '\t' || r.text[r.i] == '\r') {
		r.i++
	}
	return r.i > begin
}

func (r *xmlReader) skip(begin, end, what string) *Error {
	n := strings.Index(r.text[r.i+len(begin):], end)
	if n < 0 {
		return r.fail(r.i, what+" does not end")
	}
	r.i += len(begin) + n + len(end)
	return nil
}

// fail is an error at byte offset i, inside the elements that are open.
func (r *xmlReader) fail(i int, reason string) *Error {
	e := wrong(reason)
	for n := len(r.open) - 1; n >= 0; n-- {
		open := r.open[n]
		earlier := 0
		if n > 0 {
			earlier = repetitions(r.fields[r.open[n-1].first:open.first], localName(open.name))
		}
		if earlier > 0 {
			e = e.underItem(earlier)
		}
		e = e.under(localName(open.name))
	}
	return e.at("read xml", r.text, i)
}

func repetitions(fields []core.Field, name string) (n int) {
	for i := range fields {
		if fields[i].Name == name {
			n++
		}
	}
	return n
}
