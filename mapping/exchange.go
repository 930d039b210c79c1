package mapping

import (
	"reflect"
	"strconv"
	"strings"

	"hishub/core"
)

// envelope is what operations share, as it is written.
type envelope struct {
	name        string
	at          pos
	keys        map[string]*node
	write, read map[string]*node
	used        bool
}

func (l *loader) readEnvelopes() {
	l.envelopes = map[string]*envelope{}
	if n := l.hospital["envelopes"]; n != nil {
		for _, f := range n.fields {
			e := &envelope{name: f.key.text, at: f.key.pos, keys: l.section(f.value, envelopeTable)}
			if w := e.keys["write"]; w != nil {
				e.write = l.section(w, writeTable)
			}
			if r := e.keys["read"]; r != nil {
				e.read = l.section(r, readTable)
			}
			l.envelopes[f.key.text] = e
		}
	}
	if l.envelopes["default"] == nil {
		l.envelopes["default"] = &envelope{name: "default", at: pos{hospitalFile, 1, 1}, used: true}
	}
}

// exchange is one exchange as it is written: the operation and, in later layers,
// the step or undo, whose keys replace or add to the operation's.
type exchange struct {
	name     string // for people: "payment.settle confirm"
	at       pos
	t        *core.Transaction // nil for a login
	layers   []map[string]*node
	captures captures
	returns  *node // nil if this exchange gives no answer of its own
	page     *node
	login    bool
	inquire  bool // somebody can be asked about it
	alone    bool // an envelope that no operation uses
}

func (x *exchange) last(key string) *node {
	for i := len(x.layers) - 1; i >= 0; i-- {
		if n := x.layers[i][key]; n != nil {
			return n
		}
	}
	return nil
}

// compiled is what an exchange becomes: a mapper, and where to send it.
type compiled struct {
	mapper    *mapper
	connector string
	session   string
	maxPages  int
	captures  []string
}

func (c *compiled) call(name string) core.Call {
	return core.Call{Name: name, Connector: c.connector, Session: c.session, Mapper: c.mapper, MaxPages: c.maxPages}
}

// compile turns an exchange into a mapper. It goes the way of the message: the
// operation's own document, the envelope around it, the envelope of the answer,
// the operation's reading, the rules, what is kept.
func (l *loader) compile(x *exchange) *compiled {
	e := l.envelopeOf(x)
	out := &compiled{connector: l.connectorOf(x, e)}
	choice := l.sessionOf(x, e)
	u := newUnit(l)
	u.layer = LayerOperation
	m := &mapper{unit: u, name: x.name}
	out.mapper = m
	if x.t != nil {
		m.kind, m.noun, m.view = x.t.Kind, x.t.Noun, viewOf(x.t.Body())
	}

	base := u.base(x.t, x.captures, choice)
	m.page = -1
	if x.page != nil {
		base = l.page(x, base, m, out)
	}
	own := base
	for _, layer := range x.layers {
		own = own.lets(layer["let"])
	}
	m.call = u.given("call")
	callType := textType
	if n := x.last("call"); n != nil {
		m.call, callType = own.let("call", n)
	}
	with := map[string]member{}
	for name := range l.withNames {
		with[name] = member{eval: func(*run) (any, error) { return nil, nil }}
	}
	for _, layer := range x.layers {
		if n := layer["with"]; n != nil {
			for _, f := range n.fields {
				slot, typ := own.let("with."+f.key.text, f.value)
				with[f.key.text] = member{typ: typ, eval: func(r *run) (any, error) { return r.slot(slot) }}
			}
		}
		for _, key := range []string{"headers", "query"} {
			if n := layer[key]; n != nil {
				t := own.fields(n, key)
				if key == "headers" {
					m.headers = append(m.headers, t)
				} else {
					m.query = append(m.query, t)
				}
			}
		}
	}
	m.body = u.given("body")
	send := x.last("send")
	if send != nil {
		t, _ := own.document(send)
		u.slots[m.body].eval, u.slots[m.body].of = func(r *run) (any, error) { return t.value(r) }, t
	}

	if n := e.write["status"]; n != nil {
		l.mistake(n.pos, "give the listener an envelope of its own", "write.status is for listeners, %s uses this envelope to ask the HIS", x.name)
	}
	wire := base.with("call", binding{typ: callType, slot: m.call}).with("with", binding{members: with})
	l.write(e, wire.with("body", binding{slot: m.body}), m)
	l.readAnswer(x, e, wire, own, m, out)
	if choice.why == "" && u.usesSession {
		out.session = choice.name
	}
	l.describe(x, e, m, send, out)
	return out
}

func (l *loader) envelopeOf(x *exchange) *envelope {
	name, at := "default", x.at
	if n := x.last("envelope"); n != nil {
		name, at = n.text, n.pos
	}
	e := l.envelopes[name]
	if e == nil {
		var names []string
		for n := range l.envelopes {
			names = append(names, n)
		}
		l.mistake(at, didYouMean(name, names), "there is no envelope %q", name)
		e = &envelope{name: name}
	}
	e.used = true
	return e
}

func (l *loader) connectorOf(x *exchange, e *envelope) string {
	name, at := "default", x.at
	if n := x.last("using"); n != nil {
		name, at = n.text, n.pos
	} else if n := e.keys["using"]; n != nil {
		name, at = n.text, n.pos
	}
	if l.connectors[name] == nil && l.hospital["connectors"] != nil {
		var names []string
		for n := range l.connectors {
			names = append(names, n)
		}
		cure := didYouMean(name, names)
		if name == "default" {
			cure = "write using: " + joined(names) + ", or name a connector default"
		}
		l.mistake(at, cure, "there is no connector %q", name)
	}
	return name
}

// sessionOf is the one session of the folder, or the one that is named.
func (l *loader) sessionOf(x *exchange, e *envelope) sessionChoice {
	if x.login {
		return sessionChoice{why: "this is its own login; give the login an envelope of its own"}
	}
	n := x.last("session")
	if n == nil {
		n = e.keys["session"]
	}
	if n != nil {
		s := l.sessions[n.text]
		if s == nil {
			l.mistake(n.pos, "", "there is no session %q", n.text)
			return sessionChoice{why: "it does not exist"}
		}
		return sessionChoice{name: s.name, names: s.names}
	}
	switch len(l.sessions) {
	case 0:
		return sessionChoice{why: "the folder has no sessions"}
	case 1:
		for _, s := range l.sessions {
			return sessionChoice{name: s.name, names: s.names}
		}
	}
	return sessionChoice{why: "the folder has several; say session: <name> in the operation or its envelope"}
}

// fields compiles headers or a query: a map of cells.
func (s *scope) fields(n *node, key string) template {
	if n.kind != mapNode {
		s.unit.folder.mistake(n.pos, "", "%s must be a map, not %s", key, n.describe())
		return fixed{}
	}
	for _, f := range n.fields {
		if f.value.kind != scalarNode && f.key.text != "$group" {
			s.unit.folder.mistake(f.value.pos, "write one cell", "a value of %s cannot be %s", key, f.value.describe())
		}
	}
	t, _ := s.mapDocument(n)
	return t
}

// page makes the page mark visible.
func (l *loader) page(x *exchange, base *scope, m *mapper, out *compiled) *scope {
	s := l.section(x.page, pageTable)
	out.maxPages = 500
	if n := s["max"]; n != nil {
		out.maxPages, _ = strconv.Atoi(n.text)
	}
	if _, ok := x.t.Answer().(core.Paged); !ok {
		l.mistake(x.page.pos, "leave page out", "the answer of %s has no pages", x.t.Kind)
	}
	first := s["first"]
	if first == nil {
		return base
	}
	slot, typ := base.let("page", first)
	number := first.style == plainWord && wholeNumber(first.text) || first.text == "0" && first.style == plainWord
	if number {
		typ = intType
	}
	m.page = m.unit.add("page", func(r *run) (any, error) {
		var mark any
		if r.in.Page != nil {
			mark = *r.in.Page
		} else {
			var err error
			if mark, err = r.slot(slot); err != nil {
				return nil, err
			}
		}
		if text, ok := mark.(string); ok && number {
			return strconv.Atoi(text)
		}
		return mark, nil
	})
	return base.with("page", binding{typ: typ, slot: m.page})
}

// write compiles the envelope around the document.
func (l *loader) write(e *envelope, s *scope, m *mapper) {
	m.unit.layer = LayerWrite
	s = s.lets(e.write["let"])
	m.wireCall = slotPart(m.call)
	if n := e.write["call"]; n != nil {
		m.wireCall, _ = s.cell(n)
	}
	if n := e.write["headers"]; n != nil {
		m.headers = append([]template{s.fields(n, "headers")}, m.headers...)
	}
	if n := e.write["query"]; n != nil {
		m.query = append([]template{s.fields(n, "query")}, m.query...)
	}
	if n := e.write["status"]; n != nil {
		m.status, _ = s.cell(n)
	}
	m.send = slotPart(m.body)
	if n := e.write["send"]; n != nil {
		m.send, _ = s.document(n)
	}
}

// slotPart is a document that is the value of a name.
type slotPart int

func (p slotPart) value(r *run) (any, error) {
	v, err := r.slot(int(p))
	if err != nil {
		return nil, err
	}
	return written(v)
}

// readAnswer compiles the way of the answer, and what is made of it.
func (l *loader) readAnswer(x *exchange, e *envelope, wire, own *scope, m *mapper, out *compiled) {
	u := m.unit
	u.layer = LayerRead
	m.came = u.given("body")
	read := wire.with("body", binding{slot: m.came}).with("wire", binding{members: map[string]member{
		"status":  {typ: nil, eval: func(r *run) (any, error) { return textOrNil(r.response.Status), nil }},
		"error":   {typ: nil, eval: func(r *run) (any, error) { return textOrNil(r.response.Error), nil }},
		"headers": {typ: treeType, eval: func(r *run) (any, error) { return r.response.Headers, nil }},
	}}).lets(e.read["let"])
	answer := m.came
	var typ reflect.Type
	if n := e.read["call"]; n != nil {
		l.mistake(n.pos, "give the listener an envelope of its own", "read.call is for listeners, %s uses this envelope to ask the HIS", x.name)
	}
	if n := e.read["answer"]; n != nil {
		answer, typ = read.let("answer", n)
	}
	envelopeRules := read.with("answer", binding{typ: typ, slot: answer})

	// The operation sees its own names, too.
	u.layer = LayerInner
	inner := envelopeRules
	for name, b := range own.names {
		if _, taken := inner.names[name]; !taken {
			inner = inner.with(name, b)
		} else if b.members == nil && name != m.noun && name != "page" {
			l.mistake(letAt(x, name), "choose another name in one of them", "the name %q is also a let of the envelope %s", name, e.name)
		}
	}
	for _, layer := range x.layers {
		if n := layer["read"]; n != nil {
			r := l.section(n, readTable)
			inner = inner.lets(r["let"])
			if a := r["answer"]; a != nil {
				slot, typ := inner.let("answer", a)
				inner = inner.with("answer", binding{typ: typ, slot: slot})
			}
		}
	}
	l.outcome(x, e, envelopeRules, inner, m)
	for _, layer := range x.layers {
		if n := layer["capture"]; n != nil {
			out.captures = append(out.captures, l.capture(n, inner, m)...)
		}
	}
	if x.t != nil {
		l.answer(x, inner, m)
	}
	if n := x.last("parts"); n != nil {
		l.parts(n, inner, m)
	}
	if x.page != nil {
		if n := x.page.get("next"); n != nil && n.kind == scalarNode {
			m.next, _ = inner.cell(n)
		}
	}
}

func letAt(x *exchange, name string) pos {
	for _, layer := range x.layers {
		if n := layer["let"]; n != nil {
			for _, f := range n.fields {
				if f.key.text == name {
					return f.key.pos
				}
			}
		}
	}
	return x.at
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// capture compiles what is kept. Secrets are not: their keys rotate.
func (l *loader) capture(n *node, s *scope, m *mapper) (names []string) {
	s = s.hiding("secret", "secrets are never captured")
	for _, f := range n.fields {
		if !l.memberName(f.key) {
			continue
		}
		t, _ := s.cell(f.value)
		m.captures = append(m.captures, capture{f.key.text, f.value.pos, t})
		names = append(names, f.key.text)
	}
	return names
}

// describe checks the exchange against what the connector knows of its
// operations.
func (l *loader) describe(x *exchange, e *envelope, m *mapper, send *node, out *compiled) {
	c := l.connectors[out.connector]
	if c == nil || c.opened == nil {
		return
	}
	describer, ok := c.opened.(core.Describer)
	if !ok || x.alone {
		return
	}
	at, operation := x.at, ""
	if n := e.write["call"]; n != nil && n.kind == scalarNode {
		if f, ok := m.wireCall.(fixed); ok {
			at = n.pos
			operation, _ = core.Text(f.v)
		}
		if _, isCell := isExpression(n); isCell && strings.TrimSpace(n.text[1:]) != "call" {
			return
		}
	}
	if n := x.last("call"); n != nil && operation == "" {
		if _, isCell := isExpression(n); isCell {
			return
		}
		at, operation = n.pos, n.text
	}
	if operation == "" {
		if e.write["call"] == nil {
			l.mistake(x.at, "write call: with one of the HIS's operations", "%s does not say what to call", x.name)
		}
		return
	}
	shape, err := describer.Describe(operation)
	if err != nil {
		l.mistake(at, "", "%v", err)
		return
	}
	document := send
	if n := e.write["send"]; n != nil {
		if _, isCell := isExpression(n); isCell && strings.TrimSpace(strings.TrimPrefix(n.text, "=")) == "body" {
			n = send
		}
		document = n
	}
	if document != nil {
		l.parameters(document, shape.Parameters, operation)
	}
}

// parameters checks the names of a typed document. Their order is the
// connector's business, and the children of a type that .xsi:type names, too.
func (l *loader) parameters(n *node, known []core.Parameter, of string) {
	if n.kind != mapNode || len(known) == 0 || n.get(".xsi:type") != nil {
		return
	}
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = p.Name
	}
	given, open := map[string]bool{}, false
	for _, f := range n.fields {
		name := f.key.text
		if strings.HasPrefix(name, "$") && !strings.HasPrefix(name, "$$") {
			open = true
			continue
		}
		if strings.HasPrefix(name, ".") {
			continue
		}
		name = strings.TrimPrefix(name, "$")
		given[name] = true
		found := false
		for _, p := range known {
			if p.Name == name {
				found = true
				if p.Unknown != "" {
					l.mistake(f.key.pos, "leave it out, or the wsdl", "%s.%s uses %s, which is not supported", of, name, p.Unknown)
				}
				l.parameters(f.value, p.Children, of+"."+name)
				for _, item := range f.value.items {
					l.parameters(item, p.Children, of+"."+name)
				}
			}
		}
		if !found {
			l.mistake(f.key.pos, didYouMean(name, names), "%s has no parameter %q", of, name)
		}
	}
	for _, p := range known {
		if p.Required && !given[p.Name] && !open && !n.broken {
			l.mistake(n.pos, "write "+p.Name+":", "%s needs the parameter %q", of, p.Name)
		}
	}
}
