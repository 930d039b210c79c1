package mapping

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"hishub/core"
)

// unit is one exchange while it is compiled, and the names whose values it
// computes when it runs.
type unit struct {
	folder  *loader
	slots   []slot
	members map[string]int
	noun    string // of the message, "" in a login
	layer   string // of what is compiled now, for people
	// usesSession is set when a cell mentions a value of the session.
	usesSession bool
	// rotates is set when a cell mentions a secret that has a value of before.
	rotates bool
}

// slot computes the value of a name.
type slot struct {
	name  string
	layer string
	eval  func(*run) (any, error)
	of    template // what is computed, where a folder wrote it
}

func newUnit(l *loader) *unit { return &unit{folder: l, members: map[string]int{}} }

func (u *unit) add(name string, eval func(*run) (any, error)) int {
	u.slots = append(u.slots, slot{name: name, layer: u.layer, eval: eval})
	return len(u.slots) - 1
}

// given is a slot whose value is set before the run starts.
func (u *unit) given(name string) int {
	return u.add(name, func(*run) (any, error) { return nil, nil })
}

func (u *unit) memberSlot(root, name string, m member) int {
	switch root {
	case "session":
		u.usesSession = true
	case "secret":
		u.rotates = true // one that does not is no slot, but a constant
	}
	key := root + "." + name
	if i, ok := u.members[key]; ok {
		return i
	}
	i := u.add(key, m.eval)
	u.slots[i].layer = LayerGiven
	u.members[key] = i
	return i
}

// lets defines names one after the other; each sees the ones before it.
func (s *scope) lets(n *node) *scope {
	if n == nil {
		return s
	}
	for i, f := range n.fields {
		// What comes later is not visible yet; saying so is better than "unknown".
		inner := s
		for _, later := range n.fields[i:] {
			inner = inner.hiding(later.key.text, "names of let are visible after the line that defines them")
		}
		ok := s.definable(f.key, f.key.text)
		slot, typ := inner.let(f.key.text, f.value)
		if ok {
			s = s.with(f.key.text, binding{typ: typ, slot: slot})
		}
	}
	return s
}

func (s *scope) let(name string, n *node) (int, reflect.Type) {
	var t template
	var typ reflect.Type
	if n.kind == scalarNode {
		t, typ = s.anyCell(n)
	} else {
		t, typ = s.document(n)
	}
	i := s.unit.letSlot(name, t)
	s.unit.slots[i].of = t
	return i, typ
}

func (u *unit) letSlot(name string, t template) int {
	switch t := t.(type) {
	case cellPart:
		return u.add(name, t.program.value)
	case fixed:
		// In an expression a literal is text, however it is spelled.
		if word, ok := t.v.(core.Token); ok {
			t.v = string(word)
		}
		return u.add(name, func(*run) (any, error) { return t.v, nil })
	}
	return u.add(name, func(r *run) (any, error) { return t.value(r) })
}

// base are the names that are visible everywhere in an exchange.
func (u *unit) base(t *core.Transaction, c captures, se sessionChoice) *scope {
	l := u.folder
	s := newScope(u)
	if t == nil {
		s.hidden[thisMessage] = "a login serves every message"
	} else {
		u.noun = t.Noun
	}
	s.names["const"] = binding{members: l.constants}
	s.names["secret"] = binding{members: l.secrets}
	s.names["message"] = binding{members: map[string]member{
		"key":  {typ: textType, eval: func(r *run) (any, error) { return r.in.Stamp.Key, nil }},
		"kind": {typ: textType, eval: func(r *run) (any, error) { return string(r.in.Kind), nil }},
		"time": {typ: timeType, eval: func(r *run) (any, error) { return r.in.Stamp.Time, nil }},
	}}
	s.names["attempt"] = binding{members: map[string]member{
		"id":     {typ: textType, eval: func(r *run) (any, error) { return r.in.Stamp.ID, nil }},
		"time":   {typ: timeType, eval: func(r *run) (any, error) { return r.in.Stamp.At, nil }},
		"serial": {typ: intType, eval: func(r *run) (any, error) { return int(r.in.Stamp.Serial), nil }},
		"number": {typ: intType, eval: func(r *run) (any, error) { return r.in.Stamp.Number, nil }},
	}}
	kept := map[string]member{}
	for _, name := range c.visible {
		kept[name] = member{eval: func(r *run) (any, error) { return orNil(r.in.Captured, name), nil }}
	}
	s.names["captured"] = binding{members: kept, hidden: c.hidden}
	if se.why != "" {
		s.hidden["session"] = se.why
	} else {
		values := map[string]member{}
		for _, name := range se.names {
			values[name] = member{eval: func(r *run) (any, error) {
				v, ok := r.in.Session[name]
				if !ok {
					return nil, fmt.Errorf("the session has no %q", name)
				}
				return v, nil
			}}
		}
		s.names["session"] = binding{members: values}
	}
	for _, noun := range nouns() {
		if t == nil || t.Noun != noun {
			s.hidden[noun] = "it is the message of another operation"
			if t == nil {
				s.hidden[noun] = "a login serves every message"
			}
		}
	}
	if t != nil {
		s.names[t.Noun] = binding{typ: viewOf(t.Body()).of, slot: -1}
	}
	for name, why := range map[string]string{
		"answer": "there is no answer yet", "body": "it is a name of envelopes", "wire": "there is no answer yet",
		"call": "it is a name of envelopes", "with": "it is a name of envelopes", "page": "the operation has no page", "result": "only the reply to something inbound has one",
	} {
		s.hidden[name] = why
	}
	return s
}

func orNil(values map[string]string, name string) any {
	if v, ok := values[name]; ok {
		return v
	}
	return nil
}

// captures are the captured values that an exchange may use.
type captures struct {
	visible []string
	hidden  map[string]string
}

// sessionChoice is the session that an exchange would use.
type sessionChoice struct {
	name  string
	names []string // what its login captures
	why   string   // why there is none
}

func nouns() []string {
	names := map[string]bool{}
	for _, t := range core.Catalogue {
		if mapped(t) {
			names[t.Noun] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func sortedByName[T any](m map[string]T) []T {
	var out []T
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}
