package soap

import (
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// match puts the children that a folder gives, in whatever order, into the
// places of a content model.
type match struct {
	of    *typ
	path  string
	items []item
	out   []placed
}

// item is one child that is given.
type item struct {
	name      string
	namespace string // that it brings itself, for xs:any
	value     core.Value
	field     int // which of the folder's fields it is from
	used      bool
}

// placed is a child in its place; without an element it stands for xs:any.
type placed struct {
	e     *element
	name  string
	value core.Value
}

// items takes lists apart, except where a list is one value: an array, or the
// words of xs:list.
func (t *typ) items(given core.Tree) []item {
	items := make([]item, 0, len(given))
	for i, f := range given {
		if strings.HasPrefix(f.Name, ".") {
			continue
		}
		values, ok := f.Value.(core.List)
		if ok && t.one(f.Name).takesLists() && !t.many[f.Name] {
			ok = false
		}
		if !ok {
			values = core.List{f.Value}
		}
		for _, v := range values {
			x := item{name: f.Name, value: v, field: i}
			if tree, ok := v.(core.Tree); ok && bringsNamespace(tree) {
				x.namespace, _ = core.Text(tree.Get(".xmlns"))
			}
			items = append(items, x)
		}
	}
	return items
}

func (t *typ) takesLists() bool {
	return t != nil && (t.array != nil || t.simple != nil && t.simple.list)
}

// left is the first child that has no place yet, -1 if all have.
func (m *match) left() int {
	return slices.IndexFunc(m.items, func(x item) bool { return !x.used })
}

func (m *match) unplaced(i int) error {
	name := m.items[i].name
	if !m.of.knows(name) {
		return fmt.Errorf("the WSDL has no parameter %s; its xs:any takes no more, or other namespaces, which .xmlns: in it says", noSuch(m.path, name, m.of.names()))
	}
	if n := len(m.of.places[name]); n == 1 && !m.of.many[name] {
		return fmt.Errorf("the WSDL allows one %s%s only", m.path, name)
	}
	return fmt.Errorf("the WSDL has no place for all of %s%s beside the others", m.path, name)
}

func (m *match) all(ps []particle) error {
	for i := range ps {
		if err := m.one(&ps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *match) one(p *particle) error {
	switch {
	case p.kind == oneElement:
		return m.element(p)
	case p.kind == anything:
		return m.anything(p)
	case p.max > 1:
		return m.repeated(p)
	case p.kind == choice:
		return m.choice(p)
	case p.min == 0 && !m.given(p):
		return nil
	}
	return m.all(p.parts)
}

// element takes as many children of its name as it may.
func (m *match) element(p *particle) error {
	e, found := p.element, 0
	for i := range m.items {
		if found == p.max {
			break
		}
		if x := &m.items[i]; !x.used && x.name == e.name {
			found++
			x.used = true
			m.out = append(m.out, placed{e: e, value: x.value})
		}
	}
	switch {
	case found == 0 && p.min > 0 && e.fixed != nil:
		m.out = append(m.out, placed{e: e, value: *e.fixed})
	case found == 0 && p.min > 0 && e.otherwise != nil:
		return fmt.Errorf("the WSDL wants parameter %s%s; write it, empty for its default %q", m.path, e.name, *e.otherwise)
	case found == 0 && p.min > 0:
		return fmt.Errorf("the WSDL wants parameter %s%s; write it, empty if need be", m.path, e.name)
	case found < p.min:
		return fmt.Errorf("the WSDL wants at least %d of %s%s, not %d", p.min, m.path, e.name, found)
	}
	return nil
}

func (m *match) anything(p *particle) error {
	found := 0
	for i := range m.items {
		if found == p.max {
			break
		}
		if x := &m.items[i]; !x.used && m.takes(p, x) {
			found++
			x.used = true
			m.out = append(m.out, placed{name: x.name, value: x.value})
		}
	}
	if found < p.min {
		return fmt.Errorf("the WSDL wants an element of any name in %s", orElse(strings.TrimSuffix(m.path, "."), "the call"))
	}
	return nil
}

func (m *match) takes(p *particle, x *item) bool {
	return !m.of.knows(x.name) && p.admits(x.namespace)
}

// given tells whether anything of a particle is there and has no place yet.
func (m *match) given(p *particle) bool {
	return slices.ContainsFunc(m.items, func(x item) bool { return !x.used && m.belongs(p, &x) })
}

// belongs tells whether a child can stand somewhere in a particle.
func (m *match) belongs(p *particle, x *item) bool {
	switch p.kind {
	case oneElement:
		return p.element.name == x.name
	case anything:
		return m.takes(p, x)
	}
	return slices.ContainsFunc(p.parts, func(q particle) bool { return m.belongs(&q, x) })
}

// choice takes the branch that has a place for all that is given of any branch.
func (m *match) choice(p *particle) error {
	wanted := 0
	for i := range m.items {
		if x := &m.items[i]; !x.used && m.belongs(p, x) {
			wanted++
		}
	}
	if wanted == 0 {
		if p.min == 0 || p.mayBeEmpty() {
			return nil
		}
		for i := range p.parts { // one of a single fixed value needs no words
			if q := &p.parts[i]; len(p.parts) == 1 && q.kind == oneElement && q.element.fixed != nil {
				return m.one(q)
			}
		}
		return p.wanted(m.path)
	}
	var failed error
	branches, best := 0, -1
	var bestOut []placed
	var bestUsed []bool
	before := len(m.out)
	used := m.marks()
	for i := range p.parts {
		q := &p.parts[i]
		if !m.given(q) {
			continue
		}
		branches++
		err := m.one(q)
		taken := 0
		for j := range m.items {
			if m.items[j].used && !used[j] {
				taken++
			}
		}
		if err == nil && taken > best {
			best, bestOut, bestUsed = taken, slices.Clone(m.out[before:]), m.marks()
		}
		if err != nil && failed == nil {
			failed = err
		}
		m.out = m.out[:before]
		m.restore(used)
		if err == nil && taken == wanted {
			break
		}
	}
	switch {
	case best >= 0 && (best == wanted || m.placedElsewhere(p, bestUsed)):
		m.out = append(m.out, bestOut...)
		m.restore(bestUsed)
		return nil
	case branches == 1 && failed != nil:
		return failed
	case branches == 1:
		// One branch, but too much of it: what is left is named at the end.
		m.out = append(m.out, bestOut...)
		m.restore(bestUsed)
		return nil
	}
	return fmt.Errorf("the WSDL allows one of %s%s only", m.path, names(p.parts))
}

// placedElsewhere tells whether all that a branch left over has another place.
func (m *match) placedElsewhere(p *particle, used []bool) bool {
	for i := range m.items {
		if x := &m.items[i]; !used[i] && m.belongs(p, x) && len(m.of.places[x.name]) <= p.countOf(x.name) {
			return false
		}
	}
	return true
}

func (p *particle) countOf(name string) int {
	if p.kind == oneElement {
		if p.element.name == name {
			return 1
		}
		return 0
	}
	n := 0
	for i := range p.parts {
		n += p.parts[i].countOf(name)
	}
	return n
}

func (p *particle) mayBeEmpty() bool {
	empty := func(q particle) bool {
		return q.min == 0 || q.kind != oneElement && q.kind != anything && q.mayBeEmpty()
	}
	if p.kind == choice {
		return len(p.parts) == 0 || slices.ContainsFunc(p.parts, empty)
	}
	return !slices.ContainsFunc(p.parts, func(q particle) bool { return !empty(q) })
}

func (m *match) marks() []bool {
	used := make([]bool, len(m.items))
	for i := range m.items {
		used[i] = m.items[i].used
	}
	return used
}

func (m *match) restore(used []bool) {
	for i := range m.items {
		m.items[i].used = used[i]
	}
}

// repeated takes the children of a group that may stand there several times,
// one round of the group after the other.
func (m *match) repeated(p *particle) error {
	var items []item
	for i := range m.items {
		if x := &m.items[i]; !x.used && m.belongs(p, x) {
			x.used = true
			items = append(items, *x)
			items[len(items)-1].used = false
		}
	}
	if len(items) == 0 {
		if p.min > 0 && !p.mayBeEmpty() {
			return p.wanted(m.path)
		}
		return nil
	}
	once := *p
	once.min, once.max = 1, 1
	rounds, err := m.zipped(&once, items)
	if err != nil {
		return err
	}
	if rounds == nil {
		rounds = m.split(&once, items, true)
	}
	out, err := m.rounds(&once, rounds)
	if err != nil && once.kind != choice {
		// The folder may give the members of a round in another order than the WSDL.
		if again, e := m.rounds(&once, m.split(&once, items, false)); e == nil {
			out, err = again, nil
		}
	}
	if err != nil {
		return err
	}
	if n := len(rounds); n > p.max || n < p.min && !p.mayBeEmpty() {
		return fmt.Errorf("the WSDL wants the group %s%s %s, not %d times", m.path, names(p.parts), times(p), n)
	}
	m.out = append(m.out, out...)
	return nil
}

func times(p *particle) string {
	if p.max == unbounded {
		return fmt.Sprintf("at least %d times", p.min)
	}
	return fmt.Sprintf("%d to %d times", p.min, p.max)
}

func (m *match) rounds(p *particle, rounds [][]item) ([]placed, error) {
	var out []placed
	for _, items := range rounds {
		r := match{of: m.of, path: m.path, items: items}
		for i := range r.items {
			r.items[i].used = false
		}
		if err := r.one(p); err != nil {
			return nil, err
		}
		if i := r.left(); i >= 0 {
			return nil, r.unplaced(i)
		}
		out = append(out, r.out...)
	}
	return out, nil
}

// zipped pairs the members of lists: a: [1, 2] beside b: [x, y] is 1 x 2 y. It is
// nil where the folder gave no such lists.
func (m *match) zipped(p *particle, items []item) ([][]item, error) {
	if p.kind == choice {
		return nil, nil
	}
	fields := map[string]int{}
	count := map[string]int{}
	for _, x := range items {
		if f, ok := fields[x.name]; ok && f != x.field {
			return nil, nil // given one by one, in their order
		}
		fields[x.name] = x.field
		count[x.name]++
	}
	n := 0
	for _, c := range count {
		n = max(n, c)
	}
	if len(count) < 2 || n < 2 {
		return nil, nil
	}
	for i := range p.parts {
		if q := &p.parts[i]; q.kind == oneElement && q.max > 1 && count[q.element.name] > 0 {
			return nil, m.unpaired(p)
		}
	}
	rounds := make([][]item, n)
	at := map[string]int{}
	for _, x := range items {
		if count[x.name] != n {
			return nil, m.unpaired(p)
		}
		rounds[at[x.name]] = append(rounds[at[x.name]], x)
		at[x.name]++
	}
	return rounds, nil
}

func (m *match) unpaired(p *particle) error {
	return fmt.Errorf("which of %s%s belong together cannot be told; write them one after the other ($group: [{$each: ...}])", m.path, names(p.parts))
}

// split begins a new round where a child has no room in the one that is open. In
// order, it also does where the child stands before the last one in the WSDL.
func (m *match) split(p *particle, items []item, inOrder bool) [][]item {
	var rounds [][]item
	var open []item
	count := map[string]int{}
	last := -1
	for _, x := range items {
		part := slices.IndexFunc(p.parts, func(q particle) bool { return m.belongs(&q, &x) })
		q, key := &p.parts[part], x.name
		room := q.room(x.name)
		switch {
		case q.kind == anything:
			key, room = fmt.Sprint(part), q.max
		case p.kind == sequence:
			room = p.room(x.name)
		}
		if len(open) > 0 && (count[key] >= room || inOrder && part < last || p.kind == choice && part != last) {
			rounds, open, count = append(rounds, open), nil, map[string]int{}
		}
		open = append(open, x)
		count[key]++
		last = part
	}
	return append(rounds, open)
}

// room is how many children of a name a particle may have at most.
func (p *particle) room(name string) int {
	n := 0
	if p.kind == oneElement {
		if p.element.name == name {
			n = p.element.max
		}
		return n
	}
	for i := range p.parts {
		n += min(p.parts[i].room(name), unbounded-n)
	}
	if p.max > 1 && n > 0 {
		return unbounded
	}
	return n
}
