package soap

import (
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// simple is what a simple type allows. Facets other than enumerations are the
// HIS's to check: it says no in words, and WSDLs that lie about them are common.
type simple struct {
	base    string // of XML Schema
	list    bool
	item    *simple // of a list; nil takes any
	members []*simple
	values  []string // of an enumeration
}

// simple builds a simple type; depth ends those that are made from themselves.
func (s *schemas) simple(n *node, sc *schema, name qname, depth int) *typ {
	key := builtKey{n, sc.target}
	if t, ok := s.built[key]; ok && !t.building {
		return t
	} else if ok || depth > maxDerived {
		return refused(name.local, "a simple type that is made from itself, or from too many others ("+n.place()+")")
	}
	t := &typ{name: name.local, qname: name, building: true, simple: &simple{base: "string"}}
	if name.local == "" {
		t.name = "text"
	}
	s.built[key] = t
	for _, child := range n.children {
		switch child.name.Local {
		case "restriction":
			base := s.simpleOf(child, sc, child.attrs["base"], depth)
			t.unknown = base.unknown
			if base.simple != nil {
				*t.simple = *base.simple
			}
			t.simple.restrict(child)
		case "list":
			item := s.simpleOf(child, sc, child.attrs["itemType"], depth)
			t.unknown = item.unknown
			t.simple.list, t.simple.item = true, item.simple
		case "union":
			for _, m := range strings.Fields(child.attrs["memberTypes"]) {
				t.join(s.simpleOf(child, sc, m, depth))
			}
			for _, m := range child.all(schemaNamespace, "simpleType") {
				t.join(s.simple(m, sc, qname{}, depth+1))
			}
		}
	}
	if name.local == "" {
		t.qname = qname{schemaNamespace, t.simple.base}
	}
	t.building = false
	return t
}

// join takes a member of a union, or the members that this one has itself.
func (t *typ) join(member *typ) {
	if member.unknown != "" || member.simple == nil {
		t.unknown = member.unknown
		return
	}
	joining := []*simple{member.simple}
	if x := member.simple; len(x.members) > 0 && x.values == nil && !x.list {
		joining = x.members
	}
	for _, x := range joining {
		if !slices.Contains(t.simple.members, x) {
			t.simple.members = append(t.simple.members, x)
		}
	}
	if len(t.simple.members) > maxMembers {
		t.unknown = fmt.Sprintf("a union of more than %d types", maxMembers)
	}
}

const maxMembers = 500

// simpleOf is the type of a name, or the one that stands inside.
func (s *schemas) simpleOf(n *node, sc *schema, name string, depth int) *typ {
	if name == "" {
		for _, child := range n.all(schemaNamespace, "simpleType") {
			return s.simple(child, sc, qname{}, depth+1)
		}
		return &typ{simple: &simple{base: "string"}}
	}
	q := sc.resolve(n, name)
	if d, ok := s.types[q]; ok && d.unknown == "" && d.node.name.Local == "simpleType" {
		return s.simple(d.node, d.schema, q, depth+1)
	}
	t := s.named(q, n)
	if t.simple == nil && t.unknown == "" {
		return refused(q.local, "the simple type "+q.local+" that is none ("+n.place()+")")
	}
	return t
}

// restrict takes the enumeration of a restriction, if it has one.
func (x *simple) restrict(n *node) {
	var values []string
	for _, e := range n.all(schemaNamespace, "enumeration") {
		values = append(values, e.attrs["value"])
	}
	if values != nil {
		x.values = values
	}
}

// check says what is wrong with a text, nil if nothing is.
func (x *simple) check(text string) error {
	if x == nil {
		return nil
	}
	switch {
	case x.list && x.values == nil:
		for _, word := range strings.Fields(text) {
			if err := x.item.check(word); err != nil {
				return err
			}
		}
	case x.values != nil:
		if !slices.Contains(x.values, strings.TrimSpace(text)) && !slices.Contains(x.values, text) {
			return fmt.Errorf("the WSDL allows %s only", joinedValues(x.values))
		}
	case len(x.members) > 0:
		var first error
		for _, m := range x.members {
			err := m.check(text)
			if err == nil {
				return nil
			}
			if first == nil {
				first = err
			}
		}
		return first
	}
	return nil
}

func joinedValues(values []string) string {
	if len(values) > 20 {
		return strings.Join(values[:20], ", ") + fmt.Sprintf(" and %d others", len(values)-20)
	}
	return strings.Join(values, ", ")
}

// words makes the text of a list out of its items.
func words(l core.List) (core.Value, bool) {
	texts := make([]string, len(l))
	for i, v := range l {
		text, ok := core.Text(v)
		if !ok {
			return nil, false
		}
		texts[i] = text
	}
	return strings.Join(texts, " "), true
}
