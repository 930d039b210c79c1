package v3his

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// element is XML as it came; names are local ones.
type element struct {
	name  string
	space string
	attrs map[string]string
	kids  []*element
	text  string
}

// parse reads one document, which is not deep.
func parse(text string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	top := &element{}
	path := []*element{top}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("not XML")
		}
		here := path[len(path)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if len(path) > 100 {
				return nil, errors.New("too deep")
			}
			e := &element{name: t.Name.Local, space: t.Name.Space, attrs: map[string]string{}}
			for _, a := range t.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			here.kids = append(here.kids, e)
			path = append(path, e)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			here.text += string(t)
		}
	}
	if len(top.kids) != 1 {
		return nil, errors.New("not one root")
	}
	return top.kids[0], nil
}

// all children of that name.
func (e *element) all(name string) (found []*element) {
	if e == nil {
		return nil
	}
	for _, k := range e.kids {
		if k.name == name {
			found = append(found, k)
		}
	}
	return found
}

// at walks down by first children; nil if there is none.
func (e *element) at(path ...string) *element {
	for _, name := range path {
		found := e.all(name)
		if len(found) == 0 {
			return nil
		}
		e = found[0]
	}
	return e
}

// attr is "" if the element or the attribute is not there.
func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	return e.attrs[name]
}

// value of the element at the path: its attribute value.
func (e *element) value(path ...string) string { return e.at(path...).attr("value") }

// id is the extension of the item with that OID, or of the element itself.
func (e *element) id(oid string) string {
	for _, item := range append(e.all("item"), e) {
		if item.attr("root") == oid {
			return item.attr("extension")
		}
	}
	return ""
}

// document is XML that is written.
type document struct{ strings.Builder }

// open writes a start tag with attributes, name and value in turn; the empty ones
// too, as this hospital does.
func (d *document) open(name string, attrs ...string) *document {
	d.tag(name, attrs)
	d.WriteString(">")
	return d
}

func (d *document) put(name string, attrs ...string) *document {
	d.tag(name, attrs)
	d.WriteString("/>")
	return d
}

func (d *document) tag(name string, attrs []string) {
	d.WriteString("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		d.WriteString(" " + attrs[i] + `="`)
		_ = xml.EscapeText(d, []byte(attrs[i+1]))
		d.WriteString(`"`)
	}
}

func (d *document) close(names ...string) *document {
	for _, name := range names {
		d.WriteString("</" + name + ">")
	}
	return d
}
