package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// listener is where the HIS calls us, as it is written.
type listener struct {
	name     string
	at       pos
	kind     string
	options  *node
	envelope string
}

var listenerKinds = []string{"soap", "rest", "tcp", tableListener}

// tableListener is looked at by us: whoever can write there knows the password
// of the database, so nothing else has to tell the HIS from anybody.
const tableListener = "table"

func (l *loader) readListeners() {
	l.listeners = map[string]*listener{}
	n := l.hospital["listeners"]
	if n == nil {
		return
	}
	for _, f := range n.fields {
		if !hospitalID.MatchString(f.key.text) {
			l.mistake(f.key.pos, "use lower-case letters, digits and -: it is a part of the address", "%q cannot be a listener's name", f.key.text)
		}
		in := &listener{name: f.key.text, at: f.key.pos, envelope: "default"}
		keys := l.section(f.value, listenerTable)
		for _, kind := range listenerKinds {
			if options := keys[kind]; options != nil {
				if in.kind != "" {
					l.mistake(options.pos, "make two listeners of it", "a listener is either %s or %s", in.kind, kind)
				}
				if options.kind != mapNode && !options.isEmpty() {
					l.mistake(options.pos, "", "%s must be a map of options, not %s", kind, options.describe())
					options = &node{pos: options.pos}
				}
				in.kind, in.options = kind, options
			}
		}
		if in.kind == "" {
			if f.value.kind == mapNode && !f.value.broken {
				l.mistake(f.key.pos, "write soap: {…}, rest: {…}, tcp: {…} or table: {…}", "the listener %q has no kind", in.name)
			}
			continue
		}
		if e := keys["envelope"]; e != nil {
			in.envelope = e.text
			if l.envelopes[e.text] == nil {
				var names []string
				for name := range l.envelopes {
					names = append(names, name)
				}
				l.mistake(e.pos, didYouMean(e.text, names), "there is no envelope %q", e.text)
				continue
			}
		}
		l.listeners[in.name] = in
	}
}

// compileListeners gives each listener the operations of its envelope.
func (l *loader) compileListeners(d *core.Dialect) {
	reached := map[core.Kind]bool{}
	for _, in := range sortedByName(l.listeners) {
		e := l.envelopes[in.envelope]
		e.used = true
		l.statusAt(in, e)
		door := &door{gate: l.gate(e), entrances: map[string]*entrance{}, kinds: map[core.Kind]*entrance{}}
		var calls []string
		var kinds []core.Kind
		signed := true
		for _, t := range core.Catalogue {
			o := l.operations[t.Kind]
			if o == nil || t.Mode != core.Inbound || o.envelopeName() != in.envelope {
				continue
			}
			reached[t.Kind] = true
			x, call := l.compileEntrance(o, e)
			if x == nil {
				continue
			}
			if door.entrances[call] != nil {
				l.mistake(o.keys["call"].pos, "a call is one operation", "%s is called %q, and so is %s", t.Kind, call, door.entrances[call].m.name)
			}
			door.entrances[call], door.kinds[t.Kind] = x, x
			signed = signed && x.verify != nil
			calls, kinds = append(calls, call), append(kinds, t.Kind)
		}
		if len(door.kinds) == 0 {
			l.mistake(in.at, fmt.Sprintf("write an inbound operation with envelope: %s", in.envelope), "nothing can be called at the listener %q", in.name)
			continue
		}
		if e.keys["reply"] != nil {
			door.stranger = l.compileStranger(e)
		}
		out := &core.Listener{Name: in.name, Kind: in.kind, Kinds: kinds, Signed: signed, Door: door}
		if !signed && in.kind != tableListener && in.options.get("allow") == nil && in.options.get("client") == nil {
			l.mistake(in.at, `write the rule verify in its envelope, or allow: ["10.1.0.0/16"] or client: "common name" in its options`, "anybody could call the listener %q", in.name)
		}
		if l.options.Listen != nil {
			l.listen(in, out, calls)
		}
		d.Listeners[in.name] = out
	}
	for name, e := range l.envelopes {
		if n := e.keys["reply"]; n != nil && !slices.ContainsFunc(sortedByName(l.listeners), func(in *listener) bool { return in.envelope == name }) {
			l.mistake(n.pos, "leave it out", "reply is for envelopes of listeners, and none has the envelope %q", name)
		}
	}
	for _, t := range core.Catalogue {
		if o := l.operations[t.Kind]; o != nil && t.Mode == core.Inbound && !reached[t.Kind] {
			var names []string
			for _, in := range l.listeners {
				names = append(names, in.envelope)
			}
			l.mistake(o.at, cmp.Or(didYouMean(o.envelopeName(), names), "write listeners: in hospital.yaml"), "no listener has the envelope %q of %s", o.envelopeName(), t.Kind)
		}
	}
}

func (o *operation) envelopeName() string {
	if n := o.keys["envelope"]; n != nil {
		return n.text
	}
	return "default"
}

func (l *loader) listen(in *listener, out *core.Listener, calls []string) {
	l.secretsInClear(in.options)
	slices.Sort(calls)
	spec := core.ListenerSpec{Name: in.name, Kind: in.kind, Options: plainOptions(in.options, l.expand), Files: l.files, Calls: calls}
	if in.kind == tableListener {
		name, at := "default", in.at
		if n := in.options.get("using"); n != nil {
			name, at = n.text, n.pos
		}
		c := l.connectors[name]
		if c == nil {
			l.mistake(at, "write using: with a connector of kind db", "there is no connector %q", name)
			return
		}
		spec.Using = &c.spec
	}
	opened, err := l.options.Listen(spec)
	if err == nil {
		out.Listening = opened
		for _, p := range opened.Doubts {
			l.warn(in.options.get(p.Field).pos, "", "%s: %s", p.Field, p.What)
		}
		return
	}
	var problems core.Problems
	if !errors.As(err, &problems) {
		l.mistake(in.at, "", "the listener %q cannot be made: %v", in.name, err)
		return
	}
	l.optionMistakes(in.options, in.at, in.kind, problems)
}

// door implements core.Door.
type door struct {
	gate *gate
	// entrances by what they are called on the wire.
	entrances map[string]*entrance
	kinds     map[core.Kind]*entrance
	// stranger words the answer to what is none of them; nil: the folder has no words.
	stranger *entrance
}

// Open implements core.Door.
func (d *door) Open(a core.Arrival, s core.Stamp) core.Opened { return d.heard(a, s, nil) }

// heard opens and tells e how, if somebody listens.
func (d *door) heard(a core.Arrival, s core.Stamp, e *ear) core.Opened {
	o := d.open(a, s, false, e)
	if o.Err == nil || !d.rotates() {
		return o
	}
	var again *ear
	if e != nil {
		again = &ear{}
	}
	if earlier := d.open(a, s, true, again); earlier.Err == nil {
		if e != nil {
			*e = *again
		}
		return earlier
	}
	return o
}

// rotates reports whether a secret that anything here is read with has a value of before.
func (d *door) rotates() bool {
	if d.gate.m.unit.rotates {
		return true
	}
	for _, x := range d.kinds {
		if x.m.unit.rotates {
			return true
		}
	}
	return false
}

func (d *door) open(a core.Arrival, s core.Stamp, before bool, e *ear) core.Opened {
	o := core.Opened{Arrival: a, Before: before}
	call, err := d.gate.callOf(a, s, before, e)
	if err != nil {
		o.Err = fmt.Errorf("open a request: %w", err)
		return o
	}
	x := d.entrances[call]
	if x == nil {
		o.Err = errors.New("open a request: no operation is called like this")
		return o
	}
	o.Kind = x.m.kind
	o.Body, o.Codes, o.Err = x.open(a, s, before, e)
	if o.Err != nil {
		o.Body, o.Err = nil, fmt.Errorf("open %s: %w", o.Kind, o.Err)
	}
	return o
}

// Reply implements core.Door.
func (d *door) Reply(o core.Opened, r core.Resolution, s core.Stamp) (core.Reply, error) {
	return d.reply(o, r, s, nil)
}

func (d *door) reply(o core.Opened, r core.Resolution, s core.Stamp, e *ear) (core.Reply, error) {
	x := d.kinds[o.Kind]
	if x == nil && d.stranger != nil {
		return d.stranger.reply(o, r, s, e)
	}
	if x == nil {
		return core.Reply{}, errors.New("reply: nothing of the request was recognised")
	}
	out, err := x.answer(o, r, s, e)
	if err != nil {
		return core.Reply{}, fmt.Errorf("reply to %s: %w", o.Kind, err)
	}
	return out, nil
}

// gate finds out which call a request is.
type gate struct {
	m    *mapper
	call template
}

func (l *loader) gate(e *envelope) *gate {
	u := newUnit(l)
	u.layer = LayerRead
	m := &mapper{unit: u, name: "listener"}
	s := u.base(nil, captures{}, sessionChoice{why: "a listener has no session"})
	for _, noun := range nouns() {
		s.hidden[noun] = "which message it is is not known yet"
	}
	s = l.arrived(s, m).lets(e.read["let"])
	if n := e.read["call"]; n != nil {
		call, _ := s.cell(n)
		return &gate{m, call}
	}
	return &gate{m, nil}
}

func (g *gate) callOf(a core.Arrival, s core.Stamp, before bool, e *ear) (call string, err error) {
	if g.call == nil {
		return a.Call, nil
	}
	r := g.m.start(core.Input{Stamp: s})
	r.before, r.ear = before, e
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
			return
		}
		g.m.done(r)
	}()
	r.arrival = a
	r.set(g.m.came, a.Body)
	v, err := g.call.value(r)
	if err != nil {
		return "", err
	}
	text, ok := core.Text(plain(v))
	if !ok {
		return "", errors.New("call is no text")
	}
	return strings.TrimSpace(text), nil
}
