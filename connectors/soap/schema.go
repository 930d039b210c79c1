package soap

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"hishub/connectors/charset"
)

const schemaNamespace = "http://www.w3.org/2001/XMLSchema"

// qname is a name with its namespace.
type qname struct{ space, local string }

// schemas is every xs:schema of a WSDL.
type schemas struct {
	elements map[qname]*declaration
	types    map[qname]*declaration
	groups   map[qname]*declaration // of elements and of attributes
	built    map[*node]*typ
}

// declaration is a global element or type and the schema that it stands in.
type declaration struct {
	node   *node
	schema *node
}

// node is an element of a schema document as it was written.
type node struct {
	name     xml.Name
	attrs    map[string]string
	prefixes map[string]string
	children []*node
}

func newSchemas() *schemas {
	return &schemas{elements: map[qname]*declaration{}, types: map[qname]*declaration{}, groups: map[qname]*declaration{}, built: map[*node]*typ{}}
}

// read finds every xs:schema of a document and notes its global declarations.
// It returns the locations that are imported or included.
func (s *schemas) read(document []byte) ([]string, error) {
	root, err := parse(document)
	if err != nil {
		return nil, err
	}
	var locations []string
	root.walk(func(n *node) {
		if n.name == (xml.Name{Space: schemaNamespace, Local: "schema"}) {
			locations = append(locations, s.declare(n)...)
		}
	})
	return locations, nil
}

func (s *schemas) declare(schema *node) (locations []string) {
	for _, n := range schema.children {
		at := qname{schema.attrs["targetNamespace"], n.attrs["name"]}
		switch n.name.Local {
		case "element":
			s.elements[at] = &declaration{n, schema}
		case "complexType", "simpleType":
			s.types[at] = &declaration{n, schema}
		case "group", "attributeGroup":
			s.groups[at] = &declaration{n, schema}
		case "import", "include":
			if l := n.attrs["schemaLocation"]; l != "" {
				locations = append(locations, l)
			}
		}
	}
	return locations
}

// global is the element of that name as the root of a message.
func (s *schemas) global(name qname) *element {
	d, ok := s.elements[name]
	if !ok {
		return nil
	}
	return &element{name: name.local, namespace: name.space, required: true, typ: s.elementType(d.node, d.schema)}
}

func (s *schemas) elementType(n, schema *node) *typ {
	if t := n.attrs["type"]; t != "" {
		return s.named(n.resolve(t))
	}
	for _, child := range n.children {
		switch child.name.Local {
		case "complexType":
			return s.complex(child, schema, "")
		case "simpleType":
			return &typ{name: "text"}
		}
	}
	return &typ{name: "anyType", unknown: "an element without a type"}
}

func (s *schemas) named(name qname) *typ {
	if name.space == schemaNamespace {
		if name.local == "anyType" {
			return &typ{name: name.local, unknown: "xs:anyType"}
		}
		return &typ{name: name.local}
	}
	d, ok := s.types[name]
	switch {
	case !ok:
		return &typ{name: name.local, unknown: "the type " + name.local + " that is declared nowhere"}
	case d.node.name.Local == "simpleType":
		return &typ{name: name.local}
	}
	return s.complex(d.node, d.schema, name.local)
}

func (s *schemas) local(n, schema *node) *element {
	e := &element{name: n.attrs["name"]}
	least, most := n.attrs["minOccurs"], n.attrs["maxOccurs"]
	e.required = least != "0"
	e.list = most != "" && most != "1" && most != "0"
	if ref := n.attrs["ref"]; ref != "" {
		name := n.resolve(ref)
		e.name, e.namespace = name.local, name.space
		if d, ok := s.elements[name]; ok {
			e.typ = s.elementType(d.node, d.schema)
		} else {
			e.typ = &typ{name: name.local, unknown: "the element " + name.local + " that is declared nowhere"}
		}
		return e
	}
	form := n.attrs["form"]
	if form == "" {
		form = schema.attrs["elementFormDefault"]
	}
	if form == "qualified" {
		e.namespace = schema.attrs["targetNamespace"]
	}
	e.typ = s.elementType(n, schema)
	return e
}

// parse reads a document as it was written, with the prefixes in force.
func parse(document []byte) (*node, error) {
	d := decoder(document)
	top := &node{}
	open := []*node{top}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return top, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not XML: %w", err)
		}
		parent := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			if len(open) > maxDepth {
				return nil, fmt.Errorf("elements are nested deeper than %d", maxDepth)
			}
			n := &node{name: token.Name, attrs: map[string]string{}, prefixes: parent.prefixes}
			n.readAttributes(token.Attr)
			parent.children = append(parent.children, n)
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

func (n *node) readAttributes(attributes []xml.Attr) {
	own := map[string]string{}
	for _, a := range attributes {
		switch {
		case a.Name.Space == "xmlns":
			own[a.Name.Local] = a.Value
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			own[""] = a.Value
		case a.Name.Space == "":
			n.attrs[a.Name.Local] = a.Value
		}
	}
	if len(own) == 0 {
		return
	}
	for prefix, namespace := range n.prefixes {
		if _, ok := own[prefix]; !ok {
			own[prefix] = namespace
		}
	}
	n.prefixes = own
}

func (n *node) resolve(name string) qname {
	prefix, local, ok := strings.Cut(name, ":")
	if !ok {
		prefix, local = "", name
	}
	return qname{n.prefixes[prefix], local}
}

func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, child := range n.children {
		child.walk(visit)
	}
}

// decoder reads XML whose prolog may name a Chinese charset.
func decoder(document []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(document))
	d.CharsetReader = func(label string, input io.Reader) (io.Reader, error) {
		c, err := charset.New(label, "refuse")
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		text, err := c.Decode(b)
		return strings.NewReader(text), err
	}
	return d
}
