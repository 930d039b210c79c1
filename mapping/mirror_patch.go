package mapping

import (
	"encoding/xml"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"hishub/core"
)

// PatchXML puts changed texts and attributes into a document and leaves all else as
// it stands: prefixes, comments, white space. was and is are what the document reads
// as before and after. ok is false where more than that changed.
func PatchXML(document string, was, is core.Value) (text string, ok bool) {
	var all []leafChange
	if !leafChanges("", was, is, &all) {
		return "", false
	}
	spans, err := xmlSpans(document)
	if err != nil {
		return "", false
	}
	turn := map[leafChange]int{}
	var found []xmlSpan
	for _, c := range all {
		n := turn[leafChange{name: c.name, was: c.was}]
		turn[leafChange{name: c.name, was: c.was}]++
		if c.was == c.is {
			continue
		}
		at := slices.IndexFunc(spans, func(s xmlSpan) bool {
			if s.text != c.was || c.name != "" && s.name != c.name || c.name == "" && strings.HasPrefix(s.name, ".") {
				return false
			}
			n--
			return n < 0
		})
		if at < 0 {
			return "", false
		}
		s := spans[at]
		s.text = c.is
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b xmlSpan) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for _, s := range found {
		if s.from < at {
			return "", false
		}
		b.WriteString(document[at:s.from])
		if strings.HasPrefix(strings.TrimSpace(document[s.from:s.to]), "<![CDATA[") {
			b.WriteString("<![CDATA[" + strings.ReplaceAll(s.text, "]]>", "]]]]><![CDATA[>") + "]]>")
		} else {
			_ = xml.EscapeText(&b, []byte(s.text))
		}
		at = s.to
	}
	b.WriteString(document[at:])
	return b.String(), true
}

type leafChange struct{ name, was, is string }

// leafChanges lists all leaves of two values of one shape.
func leafChanges(name string, was, is core.Value, all *[]leafChange) bool {
	switch w := was.(type) {
	case core.Tree:
		i, ok := is.(core.Tree)
		if !ok || len(w) != len(i) {
			return false
		}
		for k := range w {
			if w[k].Name != i[k].Name {
				return false
			}
			inner := w[k].Name
			if inner == core.TextName {
				inner = name
			}
			if !leafChanges(inner, w[k].Value, i[k].Value, all) {
				return false
			}
		}
		return true
	case core.List:
		i, ok := is.(core.List)
		if !ok || len(w) != len(i) {
			return false
		}
		for k := range w {
			if !leafChanges(name, w[k], i[k], all) {
				return false
			}
		}
		return true
	}
	if list, ok := is.(core.List); ok && len(list) == 1 {
		is = list[0]
	}
	switch is.(type) {
	case core.Tree, core.List:
		return false
	}
	a, ok1 := core.Text(was)
	b, ok2 := core.Text(is)
	*all = append(*all, leafChange{name, a, b})
	return ok1 && ok2
}

// xmlSpan is where the text of an element or attribute stands in a document.
type xmlSpan struct {
	name     string // of attributes with a dot before it
	text     string
	from, to int
}

var xmlAttribute = regexp.MustCompile(`([^\s=<>/"']+)\s*=\s*("[^"]*"|'[^']*')`)

// xmlSpans are the attributes, and the elements that hold nothing but text.
func xmlSpans(document string) ([]xmlSpan, error) {
	d := xml.NewDecoder(strings.NewReader(document))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it was decoded
	var spans []xmlSpan
	type open struct {
		span   xmlSpan
		parent bool
	}
	var stack []open
	for {
		before := int(d.InputOffset())
		t, err := d.RawToken()
		if err == io.EOF {
			return spans, nil
		}
		if err != nil {
			return nil, err
		}
		after := int(d.InputOffset())
		switch t := t.(type) {
		case xml.StartElement:
			if len(stack) > 0 {
				stack[len(stack)-1].parent = true
			}
			where := xmlAttribute.FindAllStringSubmatchIndex(document[before:after], -1)
			if len(where) == len(t.Attr) {
				for i, a := range t.Attr {
					if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
						spans = append(spans, xmlSpan{"." + a.Name.Local, a.Value, before + where[i][4] + 1, before + where[i][5] - 1})
					}
				}
			}
			selfClosing := strings.HasSuffix(document[before:after], "/>")
			stack = append(stack, open{span: xmlSpan{name: t.Name.Local, from: after}, parent: selfClosing})
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].span.text += string(t)
			}
		case xml.EndElement:
			if len(stack) == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			o := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if o.span.to = before; !o.parent {
				spans = append(spans, o.span)
			}
		}
	}
}

// patchedBy patches where the result reads as it shall.
func patchedBy(document string, was, is core.Value, read func(string) (core.Value, error)) (string, bool) {
	text, ok := PatchXML(document, was, is)
	if !ok {
		return "", false
	}
	got, err := read(text)
	return text, err == nil && reflect.DeepEqual(single(got), single(is))
}

// single is a value in which a list of one is its item, as readers give it.
func single(v core.Value) core.Value {
	switch v := v.(type) {
	case core.Tree:
		out := make(core.Tree, len(v))
		for i, f := range v {
			out[i] = core.Field{Name: f.Name, Value: single(f.Value)}
		}
		return out
	case core.List:
		if len(v) == 1 {
			return single(v[0])
		}
		out := make(core.List, len(v))
		for i := range v {
			out[i] = single(v[i])
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}
