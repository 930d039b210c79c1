package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"hishub/core"
)

// operation is a transaction as the folder writes it.
type operation struct {
	t    core.Transaction
	at   pos
	keys map[string]*node
	// exchanges in their order; one, unless there are steps.
	steps []*step
	out   *core.Operation
}

type step struct {
	name    string // "" where the operation has no steps
	at      pos
	keys    map[string]*node
	undo    map[string]*node
	inquire *node
	out     *compiled
	undoOut *compiled
}

// readOperations takes the operations out of all files but hospital.yaml.
func (l *loader) readOperations(documents []*node) {
	l.operations = map[core.Kind]*operation{}
	l.withNames = map[string]bool{}
	var kinds []string
	for _, t := range core.Catalogue {
		if mapped(t) {
			kinds = append(kinds, string(t.Kind))
		}
	}
	for _, d := range documents {
		if d.kind != mapNode {
			l.mistake(d.pos, "write payment.settle: and its keys", "a file of operations must be a map, not %s", d.describe())
			continue
		}
		l.use(d)
		for _, f := range d.fields {
			t, ok := core.Lookup(core.Kind(f.key.text))
			if !ok {
				l.mistake(f.key.pos, didYouMean(f.key.text, kinds), "there is no operation %q", f.key.text)
				continue
			}
			if t.Mode == core.ToChannel {
				l.mistake(f.key.pos, "delete it; the account is declared as channels: in hospital.yaml", "%s goes to a payment channel, which no folder maps", t.Kind)
				continue
			}
			if t.Mode == core.Record {
				l.mistake(f.key.pos, "delete it", "%s is kept in our own ledger and told to nobody, so no folder maps it", t.Kind)
				continue
			}
			if before := l.operations[t.Kind]; before != nil {
				l.mistake(f.key.pos, "keep one of them", "%s is here a second time, the first is at %s:%d", t.Kind, before.at.file, before.at.line)
				continue
			}
			l.operations[t.Kind] = l.readOperation(t, f)
		}
	}
	for _, e := range l.envelopes {
		l.collectWith(e.keys)
	}
}

func (l *loader) readOperation(t core.Transaction, f field) *operation {
	o := &operation{t: t, at: f.key.pos, keys: l.section(f.value, operationTable)}
	l.collectWith(o.keys)
	if t.Mode == core.Inbound {
		l.checkInbound(o)
		return o
	}
	for _, key := range []string{"takes", "reply"} {
		if n := o.keys[key]; n != nil {
			l.mistake(n.pos, "leave it out", "%s is for what the HIS asks of us, %s is not", key, t.Kind)
		}
	}
	list := o.keys["steps"]
	if list == nil {
		o.steps = []*step{{at: o.at, keys: map[string]*node{}}}
		return o
	}
	if t.Mode == core.Question {
		l.mistake(list.pos, "leave them out", "a question has one exchange, no steps")
	}
	for _, key := range []string{"send", "capture", "parts"} {
		if n := o.keys[key]; n != nil {
			l.mistake(n.pos, "move it into a step", "%s cannot stand beside steps", key)
			delete(o.keys, key)
		}
	}
	seen := map[string]bool{}
	for _, n := range list.items {
		s := &step{at: n.pos, keys: l.section(n, stepTable)}
		l.collectWith(s.keys)
		if name := s.keys["name"]; name != nil {
			s.name = name.text
			if seen[s.name] {
				l.mistake(name.pos, "give it another name", "there are two steps %q", s.name)
			}
			seen[s.name] = true
		}
		if u := s.keys["undo"]; u != nil {
			s.undo = l.section(u, undoTable)
			l.collectWith(s.undo)
		}
		o.steps = append(o.steps, s)
	}
	if len(o.steps) == 0 {
		l.mistake(list.pos, "write a list of steps", "steps is empty")
		o.steps = []*step{{at: o.at, keys: map[string]*node{}}}
	}
	return o
}

// collectWith gathers the names that envelopes may use as with.x: a name that no
// operation gives is a typing error, one that only others give is nil.
func (l *loader) collectWith(keys map[string]*node) {
	if n := keys["with"]; n != nil {
		for _, f := range n.fields {
			l.withNames[f.key.text] = true
		}
	}
}

// compileOperation compiles the exchanges of an operation. Its inquiries follow
// when all operations are there.
func (l *loader) compileOperation(o *operation) *core.Operation {
	out := &core.Operation{Kind: o.t.Kind}
	o.out = out
	if n := o.keys["when_parked"]; n != nil && n.text == "pass" {
		out.PassWhenParked = true
		if o.t.Money {
			l.mistake(n.pos, "leave it out", "when_parked cannot be pass for money: it always blocks its lane")
		}
	}
	if n := o.keys["any_hour"]; n != nil && n.text == "true" {
		out.AnyHour = true
		if l.hospital["working_hours"] == nil {
			l.mistake(n.pos, "leave it out", "any_hour is for a folder that has working_hours")
		}
	}
	if n := o.keys["page"]; n != nil && o.t.Mode == core.Write {
		l.mistake(n.pos, "leave it out", "page is for questions")
		delete(o.keys, "page")
	}
	if o.t.Mode == core.Question {
		for _, key := range []string{"inquire", "repeat_safe", "settle_after", "when_parked", "capture", "parts"} {
			// A question about a write may find what the write's own answer was to bring.
			if n := o.keys[key]; n != nil && !(key == "capture" && answersState(o.t)) {
				l.mistake(n.pos, "leave it out", "%s is for writes, %s is a question", key, o.t.Kind)
				delete(o.keys, key)
			}
		}
	}
	everything := allCaptures(o)
	visible := l.capturesOfNoun(o)
	for i, s := range o.steps {
		name := string(o.t.Kind)
		if s.name != "" {
			name += " " + s.name
		}
		x := &exchange{
			name: name, at: s.at, t: &o.t, page: o.keys["page"],
			layers:   []map[string]*node{o.keys, s.keys},
			captures: captures{visible: slices.Clone(visible), hidden: o.hiddenCaptures(s.name, everything, visible)},
			returns:  s.keys["returns"],
		}
		s.inquire = s.keys["inquire"]
		if s.inquire == nil {
			s.inquire = o.keys["inquire"]
		}
		x.inquire = s.inquire != nil
		if n := o.keys["returns"]; n != nil && x.returns == nil && i == len(o.steps)-1 {
			x.returns = n
		}
		s.out = l.compile(x)
		cs := core.Step{Call: s.out.call(cmp.Or(s.name, name)), RepeatSafe: isTrue(s.keys["repeat_safe"]) || isTrue(o.keys["repeat_safe"]), Expires: durationOf(s.keys["expires"], 0)}
		if n := s.keys["when"]; n != nil {
			cs.When = l.when(n, x, name)
		}
		if o.t.Mode == core.Write {
			for _, c := range s.out.captures {
				if !slices.Contains(visible, c) {
					visible = append(visible, c)
				}
			}
			l.undo(o, s, visible, everything, &cs)
		}
		out.Steps = append(out.Steps, cs)
	}
	out.SettleAfter = l.settleAfter(o)
	return out
}

func isTrue(n *node) bool { return n != nil && n.text == "true" }

// allCaptures are the names that any step captures.
func allCaptures(o *operation) map[string]string {
	all := map[string]string{}
	for _, s := range o.steps {
		for _, keys := range []map[string]*node{o.keys, s.keys} {
			if n := keys["capture"]; n != nil {
				for _, f := range n.fields {
					all[f.key.text] = s.name
				}
			}
		}
	}
	return all
}

// hiddenCaptures explains the captured values that are not there yet.
func (o *operation) hiddenCaptures(step string, all map[string]string, visible []string) map[string]string {
	hidden := map[string]string{}
	for name, by := range all {
		if slices.Contains(visible, name) {
			continue
		}
		who := fmt.Sprintf("step %q", step)
		if step == "" {
			who = string(o.t.Kind)
		}
		hidden[name] = fmt.Sprintf("is used by %s, but no earlier step captures it", who)
		if by == step {
			hidden[name] = fmt.Sprintf("is captured by %s itself; write the answer's own name", who)
		}
	}
	return hidden
}

// capturesOfNoun are what a question sees: everything that the writes of its
// noun keep. A value that is not there yet is nil.
func (l *loader) capturesOfNoun(o *operation) []string {
	if o.t.Mode != core.Question {
		return nil
	}
	var names []string
	for _, other := range l.operations {
		if other.t.Noun == o.t.Noun && other.t.Mode == core.Write {
			names = slices.AppendSeq(names, maps.Keys(allCaptures(other)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// when compiles the condition of a step.
func (l *loader) when(n *node, x *exchange, name string) func(core.Input) (bool, error) {
	u := newUnit(l)
	m := &mapper{unit: u, name: name, kind: x.t.Kind, noun: x.t.Noun, view: viewOf(x.t.Body())}
	s := u.base(x.t, x.captures, l.sessionOf(x, &envelope{}))
	for _, layer := range x.layers {
		s = s.lets(layer["let"])
	}
	p := s.condition(n)
	return func(in core.Input) (bool, error) {
		r := m.start(in)
		defer m.done(r)
		ok, err := p.holds(r)
		if err != nil {
			return false, &core.Fault{Class: core.Invalid, Op: "when " + name, Err: err}
		}
		return ok, nil
	}
}

func (l *loader) undo(o *operation, s *step, visible []string, everything map[string]string, cs *core.Step) {
	if s.undo == nil {
		return
	}
	name := cs.Name + " undo"
	at := s.keys["undo"].pos
	from := map[string]*node{}
	for _, key := range []string{"using", "envelope", "session"} {
		if n := s.keys[key]; n != nil {
			from[key] = n
		}
	}
	inherited := maps.Clone(o.keys)
	delete(inherited, "call")
	x := &exchange{
		name: name, at: at, t: &o.t,
		layers:   []map[string]*node{inherited, from, s.undo},
		captures: captures{visible: slices.Clone(visible), hidden: o.hiddenCaptures(s.name+" undo", everything, visible)},
		returns:  s.undo["returns"],
		inquire:  s.undo["inquire"] != nil,
	}
	s.undoOut = l.compile(x)
	cs.Undo = &core.Step{Call: s.undoOut.call(name), RepeatSafe: isTrue(s.undo["repeat_safe"])}
	if !cs.Undo.RepeatSafe && s.undo["inquire"] == nil {
		l.mistake(at, "write repeat_safe: true if the HIS takes it twice, or inquire:", "an undo must be repeat_safe or have an inquire")
	}
}

// settleAfter is when "absent" is believed: not before the deadline of the call
// that may still be at work, and for money not before a minute.
func (l *loader) settleAfter(o *operation) time.Duration {
	least := time.Duration(0)
	for _, s := range o.steps {
		if c := l.connectors[s.out.connector]; c != nil {
			least = max(least, c.timeout)
		}
	}
	otherwise := least
	if o.t.Money {
		otherwise = max(least, time.Minute)
	}
	n := o.keys["settle_after"]
	d := durationOf(n, otherwise)
	if d < least {
		l.warn(n.pos, fmt.Sprintf("write at least %s", least), "settle_after is shorter than an exchange may take: absent may be believed too early")
	}
	return d
}

// compileInquiries binds the questions that are asked about writes in doubt.
func (l *loader) compileInquiries(o *operation, d *core.Dialect) {
	if o.t.Mode != core.Write {
		return
	}
	for i, s := range o.steps {
		cs := &o.out.Steps[i]
		if s.inquire != nil {
			cs.Inquire = l.inquiry(s.inquire, o, d)
		} else if !cs.RepeatSafe {
			l.warn(s.at, "", "a write without inquire and without repeat_safe: in doubt will always need a person")
		}
		if s.undo != nil && s.undo["inquire"] != nil {
			cs.Undo.Inquire = l.inquiry(s.undo["inquire"], o, d)
		}
	}
}

func (l *loader) inquiry(n *node, o *operation, d *core.Dialect) *core.Inquiry {
	out := &core.Inquiry{Every: 30 * time.Second, For: 2 * time.Hour}
	ask := n
	if n.kind == mapNode {
		s := l.section(n, inquireTable)
		ask = s["ask"]
		out.Every, out.For = durationOf(s["every"], out.Every), durationOf(s["for"], out.For)
		if out.Every <= 0 {
			l.mistake(s["every"].pos, "write 30s", "every cannot be 0")
		}
		if ask == nil {
			return nil
		}
	}
	out.Kind = core.Kind(ask.text)
	var states []string
	for kind, q := range l.operations {
		if answersState(q.t) {
			states = append(states, string(kind))
		}
	}
	t, known := core.Lookup(out.Kind)
	q := l.operations[out.Kind]
	switch {
	case !known:
		l.mistake(ask.pos, didYouMean(ask.text, states), "there is no operation %q to inquire", ask.text)
		return nil
	case !answersState(t):
		l.mistake(ask.pos, didYouMean(ask.text, states), "%s does not return a state", ask.text)
		return nil
	case q == nil:
		l.mistake(ask.pos, "write the operation "+ask.text, "the folder has no %s to inquire", ask.text)
		return nil
	}
	out.Call = d.Operations[out.Kind].Steps[0].Call
	l.stepsReached(o, q)
	return out
}

// stepsReached checks that a question names steps that there are.
func (l *loader) stepsReached(o, q *operation) {
	var names []string
	for _, s := range o.steps {
		names = append(names, s.name)
	}
	for _, name := range q.steps[0].out.mapper.reached {
		if !slices.Contains(names, name) && len(names) > 1 {
			at := q.at
			if n := q.keys["returns"].get("at"); n != nil {
				at = n.pos
			}
			l.mistake(at, didYouMean(name, names), "%s has no step %q", o.t.Kind, name)
		}
	}
}

func answersState(t core.Transaction) bool {
	_, ok := t.Answer().(*core.Status)
	return ok && t.Mode == core.Question
}

// compileUnused compiles envelopes that no operation uses, so that their
// mistakes do not wait until one does.
func (l *loader) compileUnused() {
	for _, e := range sortedByName(l.envelopes) {
		if e.used {
			continue
		}
		l.compile(&exchange{name: "the envelope " + e.name, at: e.at, alone: true, layers: []map[string]*node{{"envelope": {text: e.name, pos: e.at}}}})
		e.used = false
	}
}

// unused reports what no operation needs.
func (l *loader) unused() {
	for _, e := range sortedByName(l.envelopes) {
		if !e.used {
			l.warn(e.at, "use it or delete it", "no operation uses the envelope %q", e.name)
		}
	}
	for _, t := range sortedByName(l.codes) {
		if !t.used {
			l.mistake(pos{t.file, 1, 1}, fmt.Sprintf("use it with code(%q, ...) or delete it", t.name), "no cell uses this code table")
		}
	}
}
