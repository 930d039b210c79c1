package soap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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
