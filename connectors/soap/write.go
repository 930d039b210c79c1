package soap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

const envelopePrefix = "soap"

// style is how names are spelled where a WSDL leaves the choice.
type style struct {
	namespace string
	prefix    string // of the namespace; "" makes it the default one
	qualified bool   // parameters are in the namespace, too (without a WSDL)
}

// writer puts an envelope together, in UTF-8.
type writer struct {
	style
	b       []byte
	version version
	// encoded: every value says its type, as SOAP's encoding wants it.
	encoded bool
	// declared: the element that is open has the prefix of xsi:nil and xsi:type.
	declared bool
	// packed takes binary values out of the envelope; nil leaves them in it.
	packed *attachments
}

// begin writes the envelope down to its body. header is the content of the header.
func (w *writer) begin(v version, charset, header string) {
	w.version = v
	w.b = make([]byte, 0, 1024)
	w.add(`<?xml version="1.0" encoding="`, charset, `"?><`, envelopePrefix, `:Envelope xmlns:`, envelopePrefix, `="`, v.namespace, `">`)
	if header != "" {
		w.add(`<`, envelopePrefix, `:Header>`, header, `</`, envelopePrefix, `:Header>`)
	}
	w.add(`<`, envelopePrefix, `:Body>`)
}

func (w *writer) end() {
	w.add(`</`, envelopePrefix, `:Body></`, envelopePrefix, `:Envelope>`)
}

func (w *writer) add(texts ...string) {
	for _, t := range texts {
		w.b = append(w.b, t...)
	}
}

// call writes the wrapper with its parameters. What a WSDL has in the body
// without a wrapper is written by its own names.
func (w *writer) call(name string, o *operation, wrapper *element, body core.Value) error {
	if o != nil && wrapper != nil && wrapper.typ.takesText() && wrapper.typ.complex {
		if text, ok := core.Text(body); ok {
			if _, isTree := body.(core.Tree); !isTree {
				body = core.Tree{{Name: core.TextName, Value: textOf(body, text)}}
			}
		}
	}
	if bare, ok := wrapper.alone(); ok {
		if _, isTree := body.(core.Tree); !isTree && body != nil {
			body = core.Tree{{Name: bare, Value: body}}
		}
	}
	var parameters core.Tree
	switch body := body.(type) {
	case nil:
	case core.Tree:
		parameters = body
	default:
		return errors.New("a SOAP call carries named parameters, not a text; write send: {parameter: ...}")
	}
	if wrapper != nil && wrapper.name == "" {
		w.prefix = "" // each element of the body brings its own namespace
		return w.described(wrapper.typ, parameters, "", "")
	}
	namespace := w.namespace
	if wrapper != nil {
		name, namespace = wrapper.name, wrapper.namespace
		w.namespace = namespace // what the prefix stands for
	}
	w.encoded = o != nil && o.encoded
	if w.prefix == "" && wrapper != nil && (wrapper.typ.unqualified() || w.encoded) {
		w.prefix = spare // else every parameter would need xmlns=""
	}
	return w.wrapped(name, namespace, wrapper, parameters)
}

// textOf keeps what kind of text it is.
func textOf(v core.Value, text string) core.Value {
	if text == "" {
		return nil
	}
	return v
}

func (t *typ) takesText() bool { return t.text || t.mixed || t.free }

// alone is the only element of a body without a wrapper.
func (e *element) alone() (string, bool) {
	if e == nil || e.name != "" || len(e.typ.all) != 1 {
		return "", false
	}
	return e.typ.all[0].name, true
}

// spare is the prefix of a wrapper whose parameters have no namespace.
const spare = "m"

// wrapped writes one element with its namespace, and what is in it.
func (w *writer) wrapped(name, namespace string, described *element, given core.Tree) error {
	tag, inherited := name, ""
	switch {
	case namespace == "":
		w.add("<", tag)
	case w.prefix == "":
		w.add("<", tag, ` xmlns="`)
		w.attribute(namespace)
		w.add(`"`)
		inherited = namespace
	default:
		tag = w.prefix + ":" + name
		w.add("<", tag, ` xmlns:`, w.prefix, `="`)
		w.attribute(namespace)
		w.add(`"`)
	}
	if described != nil {
		t, err := w.actual(described, given, name)
		if err != nil {
			return err
		}
		w.declared = false
		if w.encoded {
			w.encoding()
		} else if t != described.typ {
			w.add(w.instance())
			w.typeAttribute(t.qname)
		}
		if err = w.declaredAttributes(t, given, name, false); err != nil {
			return err
		}
		w.add(">")
		if err = w.described(t, given, inherited, ""); err != nil {
			return err
		}
		w.add("</", tag, ">")
		return nil
	}
	w.add(">")
	err := w.free(given, inherited, "")
	w.add("</", tag, ">")
	return err
}

// open writes a start tag without its end, and says which default namespace
// holds inside.
func (w *writer) open(name, namespace, inherited string) (tag, inside string) {
	switch {
	case w.prefix != "" && namespace == w.namespace && namespace != "":
		tag = w.prefix + ":" + name
		w.add("<", tag)
	case namespace == inherited:
		tag = name
		w.add("<", tag)
	default:
		tag = name
		w.add("<", tag, ` xmlns="`)
		w.attribute(namespace)
		w.add(`"`)
		inherited = namespace
	}
	return tag, inherited
}

// free writes children as they are given; there is no WSDL to check them.
func (w *writer) free(given core.Tree, inherited, path string) error {
	namespace := ""
	if w.qualified {
		namespace = w.namespace
	}
	for _, f := range given {
		if f.Name == core.TextName {
			if err := w.text(f.Value); err != nil {
				return fmt.Errorf("%s%w", at(path), err)
			}
			continue
		}
		if strings.HasPrefix(f.Name, ".") {
			if path == "" {
				return fmt.Errorf("the wrapper of a call has no attributes (%s)", f.Name)
			}
			continue // written with the start tag
		}
		if !isName(f.Name) {
			return fmt.Errorf("%s%s is not a name that XML allows", path, f.Name)
		}
		values, ok := f.Value.(core.List)
		if !ok {
			values = core.List{f.Value}
		}
		for _, v := range values {
			tag, inside := w.open(f.Name, namespace, inherited)
			if err := w.inside(v, inside, path+f.Name); err != nil {
				return err
			}
			w.add("</", tag, ">")
		}
	}
	return nil
}

func (w *writer) inside(v core.Value, inherited, path string) error {
	t, ok := v.(core.Tree)
	if !ok {
		w.add(">")
		if err := w.text(v); err != nil {
			return fmt.Errorf("%s%w", at(path), err)
		}
		return nil
	}
	if err := w.attributes(t, path); err != nil {
		return err
	}
	w.add(">")
	return w.free(t, inherited, path+".")
}

func (w *writer) attributes(t core.Tree, path string) error {
	for _, f := range t {
		name, ok := strings.CutPrefix(f.Name, ".")
		if !ok {
			continue
		}
		if f.Name == typeName || f.Name == nilName {
			name = f.Name[1:]
			w.add(w.instance())
		}
		text, ok := core.Text(f.Value)
		if !ok || !isName(name) || forbidden(text) {
			return fmt.Errorf("%sattribute %s cannot be written", at(path), name)
		}
		w.add(" ", name, `="`)
		w.attribute(text)
		w.add(`"`)
	}
	return nil
}

var errNotText = errors.New("is a document, not text")

var errForbidden = errors.New("holds a control character, which XML cannot carry")

// text writes a leaf.
func (w *writer) text(v core.Value) error {
	s, ok := core.Text(v)
	if !ok {
		return errors.New("is a list or document inside a list, which a parameter cannot be")
	}
	if forbidden(s) {
		return errForbidden
	}
	switch v.(type) {
	case core.Raw:
		w.add(s)
	case core.CData:
		// A section cannot hold its own end: it is split between the brackets.
		w.add("<![CDATA[", strings.ReplaceAll(s, "]]>", "]]]]><![CDATA[>"), "]]>")
	default:
		w.escape(s, false)
	}
	return nil
}

// simple writes a leaf that the WSDL has a type for.
func (w *writer) simple(x *simple, v core.Value) error {
	if text, ok := core.Text(v); ok && text != "" {
		if _, raw := v.(core.Raw); !raw {
			if err := x.check(text); err != nil {
				return err
			}
		}
		if w.packed != nil && x != nil && x.base == "base64Binary" {
			return w.packed.include(w, text)
		}
	}
	return w.text(v)
}

func (w *writer) attribute(s string) { w.escape(s, true) }

func (w *writer) escape(s string, inAttribute bool) {
	from := 0
	for i := 0; i < len(s); i++ {
		var entity string
		switch c := s[i]; {
		case c == '<':
			entity = "&lt;"
		case c == '>':
			entity = "&gt;"
		case c == '&':
			entity = "&amp;"
		case c == '\r':
			entity = "&#13;" // a reader would make a line feed of it
		case inAttribute && c == '"':
			entity = "&quot;"
		case inAttribute && c == '\n':
			entity = "&#10;"
		case inAttribute && c == '\t':
			entity = "&#9;"
		default:
			continue
		}
		w.b = append(append(w.b, s[from:i]...), entity...)
		from = i + 1
	}
	w.b = append(w.b, s[from:]...)
}

func forbidden(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return true
		}
	}
	return strings.Contains(s, "\uFFFE") || strings.Contains(s, "\uFFFF")
}

// isName is the part of XML's rule that serves: letters, digits, marks, one
// prefix.
func isName(s string) bool {
	if s == "" || strings.Count(s, ":") > 1 || strings.HasPrefix(s, ":") || strings.HasSuffix(s, ":") {
		return false
	}
	for i, r := range s {
		letter := r == '_' || r == ':' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r >= 0xC0 && r != '\uFFFD'
		if !letter && (i == 0 || r != '-' && r != '.' && (r < '0' || r > '9') && r != '·') {
			return false
		}
	}
	return true
}

// isLocalName is a name without a prefix.
func isLocalName(s string) bool { return isName(s) && !strings.Contains(s, ":") }

func at(path string) string {
	if path = strings.TrimSuffix(path, "."); path == "" {
		return ""
	}
	return path + ": "
}

func plainTree(v any) core.Value {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		t := make(core.Tree, len(names))
		for i, name := range names {
			t[i] = core.Field{Name: name, Value: plainTree(v[name])}
		}
		return t
	case []any:
		l := make(core.List, len(v))
		for i := range v {
			l[i] = plainTree(v[i])
		}
		return l
	case int, bool:
		return fmt.Sprint(v)
	}
	return v
}
