package soap

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Namespaces whose names have a meaning of their own here.
const (
	schemaNamespace = "http://www.w3.org/2001/XMLSchema"
	instance        = "http://www.w3.org/2001/XMLSchema-instance"
	wsdlNamespace   = "http://schemas.xmlsoap.org/wsdl/"
	encoding11      = "http://schemas.xmlsoap.org/soap/encoding/"
	encoding12      = "http://www.w3.org/2003/05/soap-encoding"
	xmlMime         = "http://www.w3.org/2005/05/xmlmime"
)

// Bounds of what types may be made of: groups in groups and types on types can
// be written that describe more than a machine holds.
const (
	maxDerived   = 100       // types that a type extends, one upon the other
	maxParticles = 1_000_000 // of all types
	maxGroups    = 50        // groups in groups
)

// qname is a name with its namespace.
type qname struct{ space, local string }

func (q qname) String() string {
	if q.space == "" {
		return q.local
	}
	return "{" + q.space + "}" + q.local
}

// schema is one xs:schema, with the target that it has here: a schema without
// one takes that of the schema which includes it.
type schema struct {
	node   *node
	target string
	// adopted: the target is the includer's, and names without one have it too.
	adopted bool
}

func (s *schema) resolve(n *node, name string) qname {
	q := n.resolve(name)
	if q.space == "" && s.adopted {
		q.space = s.target
	}
	return q
}

// declaration is something global and the schema that it stands in.
type declaration struct {
	node   *node
	schema *schema
	// unknown says why it cannot be used: two declarations differ, or it is redefined.
	unknown string
}

type declarations map[qname]*declaration

// schemas is every xs:schema of a WSDL.
type schemas struct {
	elements, types, groups, attributes, attributeGroups declarations
	// members are the elements that may stand in for one.
	members map[qname][]qname
	// derived are the types that are made from one.
	derived   map[qname][]qname
	built     map[builtKey]*typ
	pending   []func()
	depth     int
	particles int
	mu        sync.Mutex // held where a type is built after the WSDL was read
}

type builtKey struct {
	node   *node
	target string
}

func newSchemas() *schemas {
	return &schemas{
		elements: declarations{}, types: declarations{}, groups: declarations{}, attributes: declarations{}, attributeGroups: declarations{},
		members: map[qname][]qname{}, derived: map[qname][]qname{}, built: map[builtKey]*typ{},
	}
}

// declare notes the global declarations of a schema.
func (s *schemas) declare(sc *schema) {
	for _, n := range sc.node.children {
		if n.name.Space == schemaNamespace {
			s.declareOne(n, sc, "")
			if n.name.Local == "redefine" || n.name.Local == "override" {
				for _, child := range n.children {
					s.declareOne(child, sc, "xs:"+n.name.Local+" ("+n.place()+")")
				}
			}
		}
	}
}

func (s *schemas) declareOne(n *node, sc *schema, unknown string) {
	var into declarations
	switch n.name.Local {
	case "element":
		into = s.elements
	case "complexType", "simpleType":
		into = s.types
	case "group":
		into = s.groups
	case "attribute":
		into = s.attributes
	case "attributeGroup":
		into = s.attributeGroups
	default:
		return
	}
	at := qname{sc.target, n.attrs["name"]}
	if !isLocalName(at.local) {
		return // what has no name, or none that XML allows, cannot be asked for
	}
	if first, ok := into[at]; ok {
		switch {
		case first.unknown != "":
		case unknown != "":
			first.unknown = unknown
		case !first.node.same(n):
			first.unknown = fmt.Sprintf("%s, which is declared in two ways (%s and %s)", at.local, first.node.place(), n.place())
		}
		return
	}
	into[at] = &declaration{n, sc, unknown}
	if head := n.attrs["substitutionGroup"]; head != "" && n.name.Local == "element" {
		for _, h := range strings.Fields(head) {
			s.members[sc.resolve(n, h)] = append(s.members[sc.resolve(n, h)], at)
		}
	}
	for _, child := range n.children {
		if child.name.Local != "complexContent" && child.name.Local != "simpleContent" {
			continue
		}
		for _, d := range child.children {
			if base := d.attrs["base"]; base != "" {
				s.derived[sc.resolve(d, base)] = append(s.derived[sc.resolve(d, base)], at)
			}
		}
	}
}

// finish builds what was put off: the types of elements, which may hold themselves.
func (s *schemas) finish() {
	for len(s.pending) > 0 {
		next := s.pending[len(s.pending)-1]
		s.pending = s.pending[:len(s.pending)-1]
		next()
	}
}

// global is the element of that name as the root of a message.
func (s *schemas) global(name qname) *element {
	d, ok := s.elements[name]
	if !ok {
		if name == (qname{schemaNamespace, "schema"}) {
			return &element{name: name.local, namespace: name.space, min: 1, max: 1, typ: anyType()}
		}
		return nil
	}
	e := &element{name: name.local, namespace: name.space, min: 1, max: 1, at: d.node.place()}
	s.describe(e, d.node, d.schema)
	if d.unknown != "" {
		e.typ = refused(name.local, d.unknown)
	}
	s.finish()
	return e
}

// describe takes what an element says of itself beside name and place.
func (s *schemas) describe(e *element, n *node, sc *schema) {
	e.nillable = isTrue(n.attrs["nillable"])
	e.abstract = isTrue(n.attrs["abstract"])
	if v, ok := n.attrs["fixed"]; ok {
		e.fixed = &v
	}
	if v, ok := n.attrs["default"]; ok {
		e.otherwise = &v
	}
	e.mime = n.others[qname{xmlMime, "expectedContentTypes"}]
	s.pending = append(s.pending, func() {
		if e.typ == nil {
			e.typ = s.elementType(n, sc, 0)
		}
	})
}

func isTrue(s string) bool { return s == "true" || s == "1" }

func (s *schemas) elementType(n *node, sc *schema, heads int) *typ {
	if alternative := n.one(schemaNamespace, "alternative"); !alternative.missing() {
		return refused(n.attrs["name"], "xs:alternative ("+alternative.place()+")")
	}
	if t, ok := n.attrs["type"]; ok {
		return s.named(sc.resolve(n, t), n)
	}
	for _, child := range n.children {
		switch child.name.Local {
		case "complexType":
			return s.complex(child, sc, qname{})
		case "simpleType":
			return s.simple(child, sc, qname{}, 0)
		}
	}
	if head := n.attrs["substitutionGroup"]; head != "" && heads < maxDerived {
		if d, ok := s.elements[sc.resolve(n, head)]; ok {
			return s.elementType(d.node, d.schema, heads+1)
		}
	}
	return anyType()
}

func anyType() *typ {
	return &typ{name: "anyType", qname: qname{schemaNamespace, "anyType"}, complex: true, free: true}
}

func refused(name, what string) *typ { return &typ{name: name, complex: true, unknown: what} }

// named is the type of a name; from says where it is asked for.
func (s *schemas) named(name qname, from *node) *typ {
	if d, ok := s.types[name]; ok {
		switch {
		case d.unknown != "":
			return refused(name.local, d.unknown)
		case d.node.name.Local == "simpleType":
			return s.simple(d.node, d.schema, name, 0)
		}
		return s.complex(d.node, d.schema, name)
	}
	if t := builtin(name); t != nil {
		t.schemas = s
		return t
	}
	where := name.local
	if name.space == "" || name.space != from.prefixes[""] {
		where = name.String()
	}
	return refused(name.local, "the type "+where+" that is declared nowhere ("+from.place()+")")
}

// builtin are the types that no file declares.
func builtin(name qname) *typ {
	t := &typ{name: name.local, qname: name}
	switch name.space {
	case schemaNamespace:
		if name.local == "anyType" || name.local == "any" {
			return anyType()
		}
		if !slices.Contains(primitives, name.local) {
			return nil
		}
		t.simple = &simple{base: name.local, list: name.local == "NMTOKENS" || name.local == "IDREFS" || name.local == "ENTITIES"}
		if name.local == "anySimpleType" {
			t.simple.base = "string"
		}
	case encoding11, encoding12:
		switch name.local {
		case "Array":
			t.complex, t.array = true, &array{item: &element{name: "item", max: unbounded, nillable: true, typ: anyType()}, of: anyType(), dimensions: "[]"}
		case "Struct":
			t.complex, t.free = true, true
		case "base64":
			t.simple = &simple{base: "base64Binary"}
		default:
			if !slices.Contains(primitives, name.local) {
				return nil
			}
			t.simple = &simple{base: name.local}
		}
	case xmlMime:
		switch name.local {
		case "base64Binary", "hexBinary":
			t.complex, t.text, t.simple = true, true, &simple{base: name.local}
			t.attributes = []attribute{{name: "contentType", namespace: xmlMime}}
		default:
			return nil
		}
	case "http://schemas.microsoft.com/2003/10/Serialization/":
		base, ok := map[string]string{"char": "int", "duration": "duration", "guid": "string"}[name.local]
		if !ok {
			return nil
		}
		t.simple = &simple{base: base}
	case "http://ws-i.org/profiles/basic/1.1/xsd":
		if name.local != "swaRef" {
			return nil
		}
		t.simple = &simple{base: "anyURI"}
	case "http://xml.apache.org/xml-soap":
		switch name.local {
		case "Element", "Document":
			t.complex, t.free = true, true
		default:
			return nil
		}
	default:
		return nil
	}
	return t
}

// primitives are the simple types of XML Schema 1.0, and those that 1.1 adds.
var primitives = strings.Fields(`string boolean decimal float double duration dateTime time date gYearMonth gYear gMonthDay gDay gMonth
	hexBinary base64Binary anyURI QName NOTATION normalizedString token language NMTOKEN NMTOKENS Name NCName ID IDREF IDREFS ENTITY
	ENTITIES integer nonPositiveInteger negativeInteger long int short byte nonNegativeInteger unsignedLong unsignedInt unsignedShort
	unsignedByte positiveInteger anySimpleType dateTimeStamp dayTimeDuration yearMonthDuration anyAtomicType`)

// local is an element inside a type: one of its own, or a reference. A
// reference to an element that others may stand in for is a choice.
func (s *schemas) local(n *node, sc *schema) (particle, bool) {
	p := particle{kind: oneElement}
	var ok bool
	if p.min, p.max, ok = occurs(n); !ok || p.max == 0 {
		return p, false
	}
	ref := n.attrs["ref"]
	if ref == "" {
		e := &element{name: n.attrs["name"], min: p.min, max: p.max, at: n.place()}
		form := n.attrs["form"]
		if form == "" {
			form = sc.node.attrs["elementFormDefault"]
		}
		if form == "qualified" {
			e.namespace = sc.target
		}
		if !isLocalName(e.name) {
			e.typ = refused(e.name, "an element whose name is none, "+bounded(e.name)+" ("+n.place()+")")
		}
		s.describe(e, n, sc)
		p.element = e
		return p, true
	}
	name := sc.resolve(n, ref)
	p.element = s.reference(name, n, p.min, p.max)
	stand := s.standIns(name)
	if len(stand) == 0 {
		return p, true
	}
	c := particle{kind: choice, min: p.min, max: p.max}
	one := func(q qname) {
		if e := s.reference(q, n, 1, 1); !e.abstract {
			c.parts = append(c.parts, particle{kind: oneElement, min: 1, max: 1, element: e})
		}
	}
	one(name)
	for _, q := range stand {
		one(q)
	}
	return c, true
}

func (s *schemas) reference(name qname, from *node, least, most int) *element {
	e := &element{name: name.local, namespace: name.space, min: least, max: most, at: from.place()}
	switch d, ok := s.elements[name]; {
	case ok && d.unknown != "":
		e.typ = refused(name.local, d.unknown)
	case ok:
		e.at = d.node.place()
		s.describe(e, d.node, d.schema)
	case name == qname{schemaNamespace, "schema"}:
		e.typ = anyType() // a .NET DataSet brings its own schema
	default:
		e.typ = refused(name.local, "the element "+name.String()+" that is declared nowhere ("+from.place()+")")
	}
	return e
}

// standIns are the members of an element's substitution group, and theirs.
func (s *schemas) standIns(head qname) []qname {
	var all []qname
	for next := []qname{head}; len(next) > 0; next = next[1:] {
		for _, m := range s.members[next[0]] {
			if m != head && !slices.Contains(all, m) {
				all, next = append(all, m), append(next, m)
			}
		}
	}
	return all
}
