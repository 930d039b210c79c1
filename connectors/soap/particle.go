package soap

import (
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// element is one place in an ordered content model.
type element struct {
	name      string
	namespace string // "" when it is written unqualified
	required  bool
	list      bool
	typ       *typ
}

// typ is text (a simple type), or an ordered content model with attributes.
type typ struct {
	name    string
	complex bool
	// text: a text with attributes beside it.
	text       bool
	content    []particle
	attributes []attribute
	// anyAttribute: others are welcome, too.
	anyAttribute bool
	// all are the elements of content in the order of the wire, and known their
	// names. Those of a choice, and of a group that may be missing, are not
	// required. anyElse is true where others may stand, too.
	all     []element
	known   []string
	anyElse bool
	// unknown names a construct of xs:schema that is not known yet. It is an error
	// where something is to be written in it, and nowhere else: a WSDL has sixty
	// operations of which a folder uses five.
	unknown string
}

type attribute struct {
	name     string
	required bool
}

// particle is a part of a content model: one element, or a group of particles.
type particle struct {
	kind     particleKind
	element  *element
	parts    []particle
	required bool
	// repeated groups are written in the order in which they are given.
	repeated bool
}

type particleKind int

const (
	oneElement particleKind = iota
	sequence
	choice
	anything
)

// complex builds a content model. It is entered in built before its children
// are, because a type may hold itself.
func (s *schemas) complex(n, schema *node, name string) *typ {
	if t, ok := s.built[n]; ok {
		return t
	}
	t := &typ{name: name, complex: true}
	s.built[n] = t
	s.fill(t, n, schema)
	if n.attrs["mixed"] == "true" {
		t.refuse("mixed content")
	}
	return t.complete()
}

// fill takes the children of a complexType or of the extension inside it.
func (s *schemas) fill(t *typ, n, schema *node) {
	for _, child := range n.children {
		switch child.name.Local {
		case "annotation":
		case "sequence", "all", "choice", "group":
			if p, ok := s.particle(t, child, schema); ok {
				t.content = append(t.content, p)
			}
		case "attribute", "attributeGroup", "anyAttribute":
			s.attribute(t, child)
		case "simpleContent", "complexContent":
			s.derived(t, child, schema)
		default:
			t.refuse("xs:" + child.name.Local)
		}
	}
}

// derived takes what an extension has of its base, and then its own.
func (s *schemas) derived(t *typ, content, schema *node) {
	for _, n := range content.children {
		switch {
		case n.name.Local == "annotation":
		case n.name.Local != "extension":
			t.refuse("xs:" + n.name.Local)
		case content.name.Local == "simpleContent":
			base := s.named(n.resolve(n.attrs["base"]))
			t.text = true
			t.inherit(base)
			s.fill(t, n, schema)
		default:
			base := s.named(n.resolve(n.attrs["base"]))
			if base.name != "anyType" {
				t.inherit(base)
			}
			s.fill(t, n, schema)
		}
	}
}

func (t *typ) inherit(base *typ) {
	t.content = append(t.content, base.content...)
	t.attributes = append(t.attributes, base.attributes...)
	t.anyAttribute = t.anyAttribute || base.anyAttribute
	if base.unknown != "" {
		t.refuse(base.unknown)
	}
}

// particle reads a group of elements; ok is false for one that never occurs.
func (s *schemas) particle(t *typ, n, schema *node) (p particle, ok bool) {
	if n.attrs["maxOccurs"] == "0" {
		return p, false
	}
	p.required, p.repeated = n.attrs["minOccurs"] != "0", repeats(n)
	p.kind = sequence
	inside := n
	switch n.name.Local {
	case "choice":
		p.kind = choice
	case "group":
		d, declared := s.groups[n.resolve(n.attrs["ref"])]
		if !declared {
			t.refuse("the group " + local(n.attrs["ref"]) + " that is declared nowhere")
			return p, false
		}
		for _, child := range d.node.children {
			if child.name.Local != "annotation" {
				q, ok := s.particle(t, child, d.schema)
				q.required, q.repeated = q.required && p.required, q.repeated || p.repeated
				return q, ok
			}
		}
		return p, false
	}
	for _, child := range inside.children {
		switch child.name.Local {
		case "annotation":
		case "element":
			if child.attrs["maxOccurs"] != "0" {
				e := s.local(child, schema)
				p.parts = append(p.parts, particle{kind: oneElement, element: e, required: e.required})
			}
		case "any":
			p.parts = append(p.parts, particle{kind: anything})
		case "sequence", "choice", "all", "group":
			if q, ok := s.particle(t, child, schema); ok {
				p.parts = append(p.parts, q)
			}
		default:
			t.refuse("xs:" + child.name.Local)
		}
	}
	if p.repeated && !p.ofElements() && len(p.parts) > 0 {
		t.refuse("a repeated xs:" + n.name.Local)
	}
	return p, true
}

func repeats(n *node) bool {
	most := n.attrs["maxOccurs"]
	return most != "" && most != "1"
}

// ofElements: a choice among elements, or a sequence of one, can be repeated in
// the order in which its children are given.
func (p particle) ofElements() bool {
	for _, q := range p.parts {
		if q.kind != oneElement {
			return false
		}
	}
	return p.kind == choice || len(p.parts) == 1
}

func (s *schemas) attribute(t *typ, n *node) {
	switch n.name.Local {
	case "anyAttribute":
		t.anyAttribute = true
		return
	case "attributeGroup":
		d, ok := s.groups[n.resolve(n.attrs["ref"])]
		if !ok {
			t.refuse("the attributes " + local(n.attrs["ref"]) + " that are declared nowhere")
			return
		}
		for _, child := range d.node.children {
			if child.name.Local != "annotation" {
				s.attribute(t, child)
			}
		}
		return
	}
	required := n.attrs["use"] == "required"
	switch {
	case n.attrs["use"] == "prohibited":
	case n.attrs["name"] != "" && n.attrs["form"] != "qualified":
		t.attributes = append(t.attributes, attribute{n.attrs["name"], required})
	case required:
		t.refuse("an attribute with a namespace")
	}
}

// complete ends the building of a type. What names alone cannot tell apart, the
// same element in two places, is refused.
func (t *typ) complete() *typ {
	t.list(t.content, true)
	for i, name := range t.known {
		if slices.Contains(t.known[:i], name) {
			t.refuse("the element " + name + " in two places")
		}
	}
	return t
}

func (t *typ) refuse(what string) {
	if t.unknown == "" {
		t.unknown = what
	}
}

// list gathers the elements of the content.
func (t *typ) list(ps []particle, required bool) {
	for _, p := range ps {
		from := len(t.all)
		switch p.kind {
		case oneElement:
			e := *p.element
			e.required = e.required && required
			t.all, t.known = append(t.all, e), append(t.known, e.name)
		case anything:
			t.anyElse = true
		default:
			t.list(p.parts, required && p.required && p.kind == sequence)
		}
		for i := from; i < len(t.all) && p.repeated; i++ {
			t.all[i].list = true
		}
	}
}

// parameters describes a type's children, down to a depth that ends recursion.
// Where anything may stand, nothing is described.
func (t *typ) parameters(depth int) []core.Parameter {
	if !t.complex || depth == 0 {
		return nil
	}
	if t.anyElse {
		return nil
	}
	ps := make([]core.Parameter, len(t.all))
	for i, e := range t.all {
		ps[i] = core.Parameter{
			Name: e.name, Type: e.typ.name, Required: e.required, List: e.list,
			Children: e.typ.parameters(depth - 1),
		}
	}
	return ps
}

// unqualified tells a type whose children are all written without a namespace.
func (t *typ) unqualified() bool {
	for _, e := range t.all {
		if e.namespace != "" {
			return false
		}
	}
	return len(t.all) > 0
}

// names lists elements for people.
func names(ps []particle) string {
	var all []string
	for _, p := range ps {
		switch p.kind {
		case oneElement:
			all = append(all, p.element.name)
		case anything:
			all = append(all, "anything")
		default:
			all = append(all, "("+names(p.parts)+")")
		}
	}
	return strings.Join(all, ", ")
}

func (p particle) wanted(path string) error {
	return fmt.Errorf("the WSDL wants one of %s%s; write it, empty if need be", path, names(p.parts))
}
