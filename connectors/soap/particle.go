package soap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hishub/core"
)

// element is one place in an ordered content model.
type element struct {
	name      string
	namespace string // "" when it is written unqualified
	min, max  int    // how often it stands there
	nillable  bool
	abstract  bool
	fixed     *string
	otherwise *string // its default
	mime      string  // of what it carries outside of the envelope
	typ       *typ
	at        string
}

// unbounded is a max without a bound.
const unbounded = 1<<31 - 1

func (e *element) list() bool { return e.max > 1 }

// typ is text (a simple type), or an ordered content model with attributes.
type typ struct {
	name    string
	qname   qname // the name by which xsi:type names it
	complex bool
	simple  *simple // of the text
	// text: a text with attributes beside it. mixed: text or children.
	text, mixed bool
	// free: anything goes (xs:anyType).
	free       bool
	abstract   bool
	array      *array // of SOAP's encoding
	base       *typ
	content    []particle
	attributes []attribute
	// anyAttribute: others are welcome, too.
	anyAttribute bool
	// all are the elements of content in the order of the wire, and places every
	// place of a name. needed tells which of them every document has: those of a
	// choice, and of a group that may be missing, are not. anyElse is true where
	// others may stand, too.
	all     []*element
	places  map[string][]*element
	needed  map[string]bool
	many    map[string]bool
	anyElse bool
	// schemas finds the types that may stand in for this one.
	schemas *schemas
	// unknown names a construct that is not supported, and its place. It is an error
	// where something is to be written in it, and nowhere else: a WSDL has sixty
	// operations of which a folder uses five.
	unknown  string
	building bool
}

type attribute struct {
	name      string
	namespace string
	required  bool
	fixed     *string
	simple    *simple
}

// array is an array of SOAP's encoding: what its items are called, what they
// are, and the brackets that stand before the last pair.
type array struct {
	item       *element
	of         *typ
	dimensions string
}

// particle is a part of a content model: one element, or a group of particles.
type particle struct {
	kind     particleKind
	element  *element
	parts    []particle
	min, max int
	// of xs:any: the namespaces that may stand here, and the one that is the target's.
	namespaces []string
	target     string
}

type particleKind int

const (
	oneElement particleKind = iota
	sequence
	choice
	anything
)

// occurs reads how often something stands somewhere.
func occurs(n *node) (least, most int, ok bool) {
	least, most = 1, 1
	if text, is := n.attrs["minOccurs"]; is {
		v, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return 0, 0, false
		}
		least = int(v)
	}
	switch text, is := n.attrs["maxOccurs"]; {
	case text == "unbounded":
		most = unbounded
	case is:
		v, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return 0, 0, false
		}
		most = int(v)
	}
	return least, max(most, min(least, most)), true
}

// complex builds a content model. It is entered in built before its children
// are, because a type may hold itself.
func (s *schemas) complex(n *node, sc *schema, name qname) *typ {
	key := builtKey{n, sc.target}
	if t, ok := s.built[key]; ok {
		return t
	}
	t := &typ{name: name.local, qname: name, complex: true, building: true, schemas: s}
	t.abstract = isTrue(n.attrs["abstract"])
	t.mixed = isTrue(n.attrs["mixed"])
	s.built[key] = t
	if s.depth++; s.depth > maxDerived {
		t.refuse(fmt.Sprintf("more than %d types, one upon the other", maxDerived), n)
	} else {
		s.fill(t, n, sc)
	}
	s.depth--
	t.building = false
	return t.complete()
}

// fill takes the children of a complexType or of the extension inside it.
func (s *schemas) fill(t *typ, n *node, sc *schema) {
	for _, child := range n.children {
		switch child.name.Local {
		case "annotation", "assert", "simpleType", "enumeration", "pattern", "length", "minLength", "maxLength", "minInclusive",
			"maxInclusive", "minExclusive", "maxExclusive", "totalDigits", "fractionDigits", "whiteSpace": // facets of a simpleContent
		case "sequence", "all", "choice", "group":
			if p, ok := s.particle(t, child, sc, 0); ok {
				t.content = append(t.content, p)
			}
		case "attribute", "attributeGroup", "anyAttribute":
			s.attribute(t, child, sc, 0)
		case "simpleContent", "complexContent":
			t.mixed = t.mixed || isTrue(child.attrs["mixed"])
			s.derive(t, child, sc)
		default:
			t.refuse("xs:"+child.name.Local, child)
		}
	}
}

// derive takes what an extension has of its base and then its own, or what a
// restriction leaves of it.
func (s *schemas) derive(t *typ, content *node, sc *schema) {
	for _, n := range content.children {
		if n.name.Local == "annotation" {
			continue
		}
		extends := n.name.Local == "extension"
		if !extends && n.name.Local != "restriction" {
			t.refuse("xs:"+n.name.Local, n)
			continue
		}
		name := sc.resolve(n, n.attrs["base"])
		base := s.named(name, n)
		switch {
		case base.unknown != "":
			t.unknown = orElse(t.unknown, base.unknown)
			continue
		case base.building:
			t.refuse("a type that is made from itself", n)
			continue
		}
		t.base = base
		switch {
		case content.name.Local == "simpleContent":
			t.text, t.simple = true, base.simple
			t.attributes = slices.Clone(base.attributes)
			t.anyAttribute = base.anyAttribute
			if !extends && base.simple != nil {
				x := *base.simple
				x.restrict(n)
				t.simple = &x
			}
			if !base.text && base.simple == nil && !base.mixed {
				t.refuse("text that is made from a document", n)
			}
		case base.array != nil && extends:
			t.array = base.array
			continue
		case base.array != nil:
			s.arrayOf(t, n, sc)
			continue
		case base.free:
			if extends && len(n.children) == 0 {
				t.free = true
			}
		case extends:
			t.content = append(t.content, base.content...)
			t.attributes = append(t.attributes, base.attributes...)
			t.anyAttribute, t.mixed = base.anyAttribute, t.mixed || base.mixed
			t.text, t.simple = base.text, base.simple
		default:
			t.attributes = append(t.attributes, base.attributes...)
		}
		s.fill(t, n, sc)
	}
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// arrayOf is a restriction of SOAP's array: by wsdl:arrayType, by an element
// inside, or by both.
func (s *schemas) arrayOf(t *typ, n *node, sc *schema) {
	a := &array{item: &element{name: "item", max: unbounded, nillable: true}, dimensions: "[]"}
	t.array = a
	inside := &typ{complex: true, schemas: s}
	s.fill(inside, n, sc)
	if inside.unknown != "" {
		t.unknown = orElse(t.unknown, inside.unknown)
	}
	n.walk(func(m *node) {
		if m.name.Local == "element" && a.item.at == "" && m.attrs["name"] != "" {
			if p, ok := s.local(m, sc); ok {
				a.item = p.element
				a.item.min, a.item.max = 0, unbounded
			}
		}
		if m.name.Local != "attribute" {
			return
		}
		of, ok := m.others[qname{wsdlNamespace, "arrayType"}]
		if !ok {
			return
		}
		name, brackets := of, ""
		if i := strings.IndexByte(of, '['); i >= 0 {
			name, brackets = of[:i], of[i:]
		}
		if strings.Contains(brackets, ",") {
			t.refuse("an array of several dimensions, "+bounded(of), m)
			return
		}
		if strings.Trim(brackets, "[]0123456789") != "" || brackets != "" && !strings.HasSuffix(brackets, "]") {
			t.refuse("the array type "+bounded(of)+" that is none", m)
			return
		}
		a.of = s.named(sc.resolve(m, name), m)
		a.dimensions = brackets
	})
	if a.of == nil && a.item.at == "" {
		a.of = anyType()
	}
	// Arrays of arrays: the items of the outer are arrays themselves.
	if last := strings.LastIndexByte(a.dimensions, '['); last > 0 && a.of != nil {
		inner := &typ{complex: true, array: &array{item: &element{name: "item", max: unbounded, nillable: true, typ: a.of}, of: a.of, dimensions: "[]"}}
		if strings.Count(a.dimensions, "[") > 2 {
			t.refuse("an array of arrays of arrays", n)
		}
		a.item.typ = inner
	} else if a.item.at == "" {
		a.item.typ = a.of
	}
	s.pending = append(s.pending, func() {
		if a.of == nil {
			a.of = a.item.typ
		}
	})
}

// particle reads a group of elements; ok is false for one that never occurs.
func (s *schemas) particle(t *typ, n *node, sc *schema, groups int) (p particle, ok bool) {
	if p.min, p.max, ok = occurs(n); !ok {
		t.refuse("an occurrence that is no number", n)
		return p, false
	}
	if s.particles++; s.particles > maxParticles {
		t.refuse("more elements than can be read", n)
		return p, false
	}
	if p.max == 0 {
		return p, false
	}
	p.kind = sequence
	switch n.name.Local {
	case "choice":
		p.kind = choice
	case "group":
		name := sc.resolve(n, n.attrs["ref"])
		d, declared := s.groups[name]
		switch {
		case !declared:
			t.refuse("the group "+name.local+" that is declared nowhere", n)
			return p, false
		case d.unknown != "":
			t.unknown = orElse(t.unknown, d.unknown)
			return p, false
		case groups == maxGroups:
			t.refuse("a group that holds itself, or too many others", n)
			return p, false
		}
		for _, child := range d.node.children {
			if q, ok := s.particle(t, child, d.schema, groups+1); ok && child.name.Local != "annotation" {
				p.parts = append(p.parts, q)
			}
		}
		return p, len(p.parts) > 0
	case "sequence", "all":
	default:
		return p, false
	}
	for _, child := range n.children {
		switch child.name.Local {
		case "annotation":
		case "element":
			if s.particles++; s.particles > maxParticles {
				t.refuse("more elements than can be read", child)
				return p, false
			}
			if _, _, ok := occurs(child); !ok {
				t.refuse("an occurrence that is no number", child)
			} else if q, ok := s.local(child, sc); ok {
				p.parts = append(p.parts, q)
			}
		case "any":
			q := particle{kind: anything, target: sc.target, namespaces: strings.Fields(child.attrs["namespace"])}
			if q.min, q.max, ok = occurs(child); ok && q.max > 0 {
				p.parts = append(p.parts, q)
			}
		case "sequence", "choice", "all", "group":
			if q, ok := s.particle(t, child, sc, groups); ok {
				p.parts = append(p.parts, q)
			}
		default:
			t.refuse("xs:"+child.name.Local, child)
		}
	}
	return p, true
}

func (s *schemas) attribute(t *typ, n *node, sc *schema, groups int) {
	switch n.name.Local {
	case "anyAttribute":
		t.anyAttribute = true
		return
	case "attributeGroup":
		name := sc.resolve(n, n.attrs["ref"])
		d, ok := s.attributeGroups[name]
		switch {
		case !ok:
			t.refuse("the attributes "+name.local+" that are declared nowhere", n)
			return
		case d.unknown != "":
			t.unknown = orElse(t.unknown, d.unknown)
			return
		case groups == maxGroups:
			t.refuse("an attributeGroup that holds itself, or too many others", n)
			return
		}
		for _, child := range d.node.children {
			if s.particles++; s.particles > maxParticles {
				t.refuse("more attributes than can be read", n)
				return
			}
			if child.name.Local != "annotation" {
				s.attribute(t, child, d.schema, groups+1)
			}
		}
		return
	case "attribute":
	default:
		return
	}
	a := attribute{name: n.attrs["name"], required: n.attrs["use"] == "required"}
	said, at := n, sc
	if ref := n.attrs["ref"]; ref != "" {
		name := sc.resolve(n, ref)
		a.name, a.namespace = name.local, name.space
		switch d, ok := s.attributes[name]; {
		case ok:
			said, at = d.node, d.schema
		case name.space == encoding11 || name.space == encoding12 || known[name.space]:
		case a.required:
			t.refuse("the attribute "+name.local+" that is declared nowhere", n)
		}
	} else if form := n.attrs["form"]; form == "qualified" || form == "" && sc.node.attrs["attributeFormDefault"] == "qualified" {
		a.namespace = sc.target
	}
	if !isLocalName(a.name) {
		t.refuse("an attribute whose name is none, "+bounded(a.name), n)
		return
	}
	if v, ok := n.attrs["fixed"]; ok {
		a.fixed = &v
	} else if v, ok := said.attrs["fixed"]; ok {
		a.fixed = &v
	}
	if said.attrs["type"] != "" {
		a.simple = s.simpleOf(said, at, said.attrs["type"], 0).simple
	} else if len(said.all(schemaNamespace, "simpleType")) > 0 {
		a.simple = s.simpleOf(said, at, "", 0).simple
	}
	t.attributes = slices.DeleteFunc(t.attributes, func(b attribute) bool { return b.name == a.name && b.namespace == a.namespace })
	if n.attrs["use"] != "prohibited" {
		t.attributes = append(t.attributes, a)
	}
}

// complete ends the building of a type.
func (t *typ) complete() *typ {
	t.places, t.needed, t.many = map[string][]*element{}, map[string]bool{}, map[string]bool{}
	t.list(t.content, true, false)
	return t
}

// refuse notes the first construct that is not supported.
func (t *typ) refuse(what string, n *node) {
	if t.unknown == "" {
		t.unknown = what + " (" + n.place() + ")"
	}
}

// list gathers the elements of the content.
func (t *typ) list(ps []particle, required, many bool) {
	for _, p := range ps {
		switch p.kind {
		case oneElement:
			e := p.element
			if t.schemas != nil {
				if t.schemas.particles++; t.schemas.particles > maxParticles {
					t.unknown = orElse(t.unknown, "more elements than can be read ("+e.at+")")
					return
				}
			}
			t.many[e.name] = t.many[e.name] || many || e.list() || t.knows(e.name) && required
			t.needed[e.name] = t.needed[e.name] || required && e.min > 0
			if !t.knows(e.name) {
				t.all = append(t.all, e)
			}
			t.places[e.name] = append(t.places[e.name], e)
		case anything:
			t.anyElse = true
		default:
			t.list(p.parts, required && p.min > 0 && (p.kind == sequence || len(p.parts) == 1), many || p.max > 1)
		}
	}
}

func (t *typ) knows(name string) bool { return len(t.places[name]) > 0 }

// one is the type that a name has wherever it stands; nil where it has several.
func (t *typ) one(name string) *typ {
	var found *typ
	for _, e := range t.places[name] {
		if found != nil && found != e.typ {
			return nil
		}
		found = e.typ
	}
	return found
}

// parameters describes a type's children, down to a depth that ends recursion.
// Where anything may stand, nothing is described.
func (t *typ) parameters(depth int) []core.Parameter {
	left := maxDescribed
	return t.some(depth, &left)
}

// maxDescribed bounds a description: types in types have no end.
const maxDescribed = 20_000

func (t *typ) some(depth int, left *int) []core.Parameter {
	if t.array != nil && t.array.item.typ != nil && depth > 0 {
		item := t.array.item
		return []core.Parameter{{Name: item.name, Type: item.typ.name, List: true, Children: item.typ.some(depth-1, left)}}
	}
	if !t.complex || depth == 0 || t.anyElse || t.free || t.text {
		return nil
	}
	ps := make([]core.Parameter, 0, len(t.all))
	for _, e := range t.all {
		if *left--; *left < 0 {
			return nil
		}
		p := core.Parameter{Name: e.name, Required: t.needed[e.name] && e.fixed == nil, List: t.many[e.name]}
		if one := t.one(e.name); one != nil {
			p.Type, p.Unknown = one.name, one.unknown
			if len(one.derivations()) == 0 { // else what stands there may have other children
				p.Children = one.some(depth-1, left)
			}
		}
		ps = append(ps, p)
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
		if len(all) == 30 {
			all = append(all, "...")
			break
		}
	}
	return strings.Join(all, ", ")
}

func (p particle) wanted(path string) error {
	return fmt.Errorf("the WSDL wants one of %s%s; write it, empty if need be", path, names(p.parts))
}

// admits tells whether xs:any takes an element of that namespace.
func (p particle) admits(namespace string) bool {
	if len(p.namespaces) == 0 {
		return true
	}
	for _, n := range p.namespaces {
		switch n {
		case "##any":
			return true
		case "##other":
			if namespace != "" && namespace != p.target {
				return true
			}
		case "##local":
			if namespace == "" {
				return true
			}
		case "##targetNamespace":
			if namespace == p.target {
				return true
			}
		default:
			if namespace == n {
				return true
			}
		}
	}
	return false
}

// derivations are the types that may stand in for one, abstract ones aside.
func (t *typ) derivations() []qname {
	if t.schemas == nil {
		return nil
	}
	var all []qname
	for next := []qname{t.qname}; len(next) > 0 && len(all) < maxParticles; next = next[1:] {
		for _, d := range t.schemas.derived[next[0]] {
			if !slices.Contains(all, d) {
				all, next = append(all, d), append(next, d)
			}
		}
	}
	return all
}
