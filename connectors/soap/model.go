package soap

import (
	"slices"

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
			p.Children = one.some(depth-1, left) // of the type itself; .xsi:type may name one with more
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
