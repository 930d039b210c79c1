package player

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"

	"hishub/connectors/wire"
	"hishub/core"
	"hishub/mapping"
)

const soap12 = "http://www.w3.org/2003/05/soap-envelope"

func envelopeType(body []byte, charset string) string {
	if bytes.Contains(body, []byte(soap12)) {
		return "application/soap+xml; charset=" + charset
	}
	return "text/xml; charset=" + charset
}

// envelope is the answer as an envelope: the recorded one, with what changed put
// into it where it stood, or one that the WSDL describes.
func (e *entrance) envelope(h *mapping.Heard, said *mapping.Said) ([]byte, error) {
	if said.Recorded != nil {
		recorded, err := wire.ReadRecorded(said.Recorded)
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(said.Before.Body, said.Response.Body) {
			return recorded.Body, nil
		}
		if text, err := e.text.Decode(recorded.Body); err == nil {
			if changed, ok := patched(text, said.Before.Body, said.Response.Body); ok {
				return e.text.Encode(nil, changed)
			}
		}
	}
	if said.Response.Error != "" {
		return nil, errors.New("a fault can only be answered as it was recorded")
	}
	out, err := e.wire.Write(core.Arrival{Call: h.Transport()}, core.Reply{Body: said.Response.Body})
	return out.Body, err
}

// leafSpan is the text of an element in a document.
type leafSpan struct {
	name     string
	text     string
	from, to int
}

// change is a leaf that has another text now.
type change struct{ name, was, is string }

// patched puts changed leaves into a document and leaves all else as it stands. ok
// is false where more than texts of leaves changed.
func patched(document string, was, is core.Value) (text string, ok bool) {
	var changes []change
	order := map[change]int{}
	var all []change
	if !compare("", was, is, &all) {
		return "", false
	}
	spans, err := leaves(document)
	if err != nil {
		return "", false
	}
	type replacement struct {
		leafSpan
		is string
	}
	var found []replacement
	for _, c := range all {
		key := change{name: c.name, was: c.was}
		n := order[key]
		order[key]++
		if c.was == c.is {
			continue
		}
		changes = append(changes, c)
		for _, s := range spans {
			if s.text != c.was || c.name != "" && s.name != c.name {
				continue
			}
			if n > 0 {
				n--
				continue
			}
			found = append(found, replacement{s, c.is})
			break
		}
	}
	if len(found) != len(changes) {
		return "", false
	}
	var b strings.Builder
	at := 0
	for _, r := range found {
		if r.from < at {
			return "", false
		}
		b.WriteString(document[at:r.from])
		if strings.HasPrefix(strings.TrimSpace(document[r.from:r.to]), "<![CDATA[") {
			b.WriteString("<![CDATA[" + strings.ReplaceAll(r.is, "]]>", "]]]]><![CDATA[>") + "]]>")
		} else {
			_ = xml.EscapeText(&b, []byte(r.is))
		}
		at = r.to
	}
	b.WriteString(document[at:])
	return b.String(), true
}

// compare lists all leaves of two values of one shape, in their order.
func compare(name string, was, is core.Value, all *[]change) bool {
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
			if strings.HasPrefix(inner, ".") && !reflect.DeepEqual(w[k].Value, i[k].Value) {
				return false
			}
			if !compare(inner, w[k].Value, i[k].Value, all) {
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
			if !compare(name, w[k], i[k], all) {
				return false
			}
		}
		return true
	}
	a, ok1 := core.Text(was)
	b, ok2 := core.Text(is)
	if _, tree := is.(core.Tree); !ok1 || !ok2 || tree || strings.HasPrefix(name, ".") {
		return ok1 && ok2 && a == b
	}
	*all = append(*all, change{name, a, b})
	return true
}

// leaves are the elements of a document that hold nothing but text.
func leaves(document string) ([]leafSpan, error) {
	d := xml.NewDecoder(strings.NewReader(document))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it was decoded
	var spans []leafSpan
	type open struct {
		span   leafSpan
		parent bool
	}
	var stack []open
	for {
		before := int(d.InputOffset())
		t, err := d.Token()
		if err == io.EOF {
			return spans, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(stack) > 0 {
				stack[len(stack)-1].parent = true
			}
			stack = append(stack, open{span: leafSpan{name: t.Name.Local, from: int(d.InputOffset())}})
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].span.text += string(t)
			}
		case xml.EndElement:
			o := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if o.span.to = before; !o.parent && o.span.to > o.span.from {
				spans = append(spans, o.span)
			}
		}
	}
}
