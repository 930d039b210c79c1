package formats

import (
	"hishub/core"
)

var xmlOptions = []Option{
	{Name: "prolog", Type: TypeText, Default: "", About: "what stands before the root, as given, even when it lies about the charset"},
	{Name: "empty", Type: TypeText, Values: []string{"pair", "self"}, Default: "pair", About: "an empty element is <a></a> or <a/>"},
	{Name: "cdata", Type: TypeFlag, Default: false, About: "all text of elements that is not empty stands in CDATA"},
	{Name: "drop_empty", Type: TypeFlag, Default: false, About: "elements and attributes without text are left out"},
	{Name: "indent", Type: TypeFlag, Default: false, About: "each child on a line of its own"},
	nilAsOption, nullsOption,
	{Name: "lenient", Type: TypeFlag, Default: false, About: "accepts end tags in another case or crossing, undeclared entities, & and < that are text, a prolog after blanks, several roots"},
}

// xmlFormat writes a map with one root: children in order, ".name" an
// attribute, "$text" the text of an element that also has attributes. Names and
// prefixes are written as they stand; xmlns is an attribute like any other.
//
// It reads by local name, so that nothing depends on a prefix, and drops xmlns
// attributes, comments, processing instructions (with the declared encoding:
// the text is decoded already) and blank text between elements. An empty
// element is nil, also one with xsi:nil="true". Line ends are kept as they
// came, unlike XML 1.0 section 2.11 has it: HL7 inside CDATA lives on its CRs.
//
// Written, a CR is &#xD; except in CDATA, which has no escapes.
//
// Lenient takes end tags in another case, crossing or of no element; entities
// that nobody declared, an & and a < that are only text; a prolog that is not at
// the very start, and several roots, which are then children beside one another.
// What a prolog says of a charset is never believed, lenient or not.
//
// There are no entities but the five of XML and numeric ones; a document type
// declaration is refused.
type xmlFormat struct {
	prolog    string
	selfClose bool
	cdata     bool
	dropEmpty bool
	indent    bool
	nilAs     string
	nulls     nulls
	lenient   bool
}

func newXML(s settings) (Format, error) {
	return &xmlFormat{
		prolog:    s.text("prolog"),
		selfClose: s.text("empty") == "self",
		cdata:     s.flag("cdata"),
		dropEmpty: s.flag("drop_empty"),
		indent:    s.flag("indent"),
		nilAs:     s.text("nil_as"),
		nulls:     s.texts("nulls"),
		lenient:   s.flag("lenient"),
	}, nil
}

// Write implements Format.
func (f *xmlFormat) Write(v core.Value) (string, error) {
	w := xmlWriter{format: f, out: make([]byte, 0, 2048)}
	if err := w.document(v); err != nil {
		err.Doing = "write xml"
		return "", err
	}
	return string(w.out), nil
}

// Read implements Format.
func (f *xmlFormat) Read(text string) (core.Value, error) {
	v, _, err := f.ReadForgiving(text)
	return v, err
}

// ReadForgiving implements Format.
func (f *xmlFormat) ReadForgiving(text string) (core.Value, []string, error) {
	if err := readable("read xml", text); err != nil {
		return nil, nil, err
	}
	r := xmlReader{format: f, text: text, forgiving: forgiving{text: text}}
	v, err := r.document()
	if err != nil {
		return nil, nil, err
	}
	return v, r.notes, nil
}

// What a byte means to XML. Bytes of characters beyond ASCII are plain, except
// that 0xEF may begin U+FFFE or U+FFFF, which XML forbids.
const (
	xmlPlain = iota
	xmlForbidden
	xmlMarkup // & < >
	xmlQuote  // " and the blanks that an attribute would lose
	xmlReturn // CR, which a reader would turn into LF
	xmlEF
)

var xmlClass = func() (class [256]uint8) {
	for c := range 0x20 {
		class[c] = xmlForbidden
	}
	class['\t'], class['\n'], class['"'] = xmlQuote, xmlQuote, xmlQuote
	class['\r'] = xmlReturn
	class['&'], class['<'], class['>'] = xmlMarkup, xmlMarkup, xmlMarkup
	class[0xEF] = xmlEF
	return class
}()

// xmlForbiddenAt reports whether the character of s at i, whose class is
// xmlForbidden or xmlEF, is one that XML 1.0 cannot carry.
func xmlForbiddenAt(s string, i int) bool {
	return s[i] != 0xEF || len(s)-i >= 3 && s[i+1] == 0xBF && s[i+2] >= 0xBE
}

// xmlForbiddenIn is the place of the first such character, or -1.
func xmlForbiddenIn(s string) int {
	for i := range len(s) {
		if c := xmlClass[s[i]]; (c == xmlForbidden || c == xmlEF) && xmlForbiddenAt(s, i) {
			return i
		}
	}
	return -1
}

const xmlForbiddenReason = "holds a control character that XML cannot carry"

var xmlNameByte = func() (ok [256]bool) {
	for c := range 256 {
		ok[c] = c >= 0x80 || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	ok['_'], ok['-'], ok['.'], ok[':'] = true, true, true, true
	return ok
}()

// isXMLName is generous with letters beyond ASCII: Chinese names are in use.
func isXMLName(name string) bool {
	for i := range len(name) {
		if !xmlNameByte[name[i]] {
			return false
		}
	}
	return startsXMLName(name) && startsXMLName(localName(name)) && xmlForbiddenIn(name) < 0
}

func startsXMLName(name string) bool {
	return name != "" && xmlNameByte[name[0]] && name[0] != '-' && name[0] != '.' && name[0] != ':' && (name[0] < '0' || name[0] > '9')
}

func localName(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == ':' {
			return name[i+1:]
		}
	}
	return name
}
