package mapping

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"hishub/core"
)

// entrance is a compiled inbound operation: the mirror of an exchange. It reads
// first, and its reply is written by the envelope's write.
type entrance struct {
	m      *mapper
	verify *program
	takes  builder
	result *resultType
}

// inboundKeys are what an operation of this kind can say.
var inboundKeys = []string{"envelope", "call", "with", "headers", "let", "read", "outcome", "takes", "reply"}

func (l *loader) checkInbound(o *operation) {
	for _, name := range slices.Sorted(maps.Keys(o.keys)) {
		if !slices.Contains(inboundKeys, name) {
			l.mistake(o.keys[name].pos, "leave it out", "%s is for what we ask, %s comes from the HIS", name, o.t.Kind)
			delete(o.keys, name)
		}
	}
	for _, name := range []string{"call", "takes", "reply"} {
		if o.keys[name] == nil {
			l.mistake(o.at, "write "+name+":", "%s needs the key %q", o.t.Kind, name)
		}
	}
	if n := o.keys["call"]; n != nil {
		if _, isCell := isExpression(n); isCell || n.isEmpty() {
			l.mistake(n.pos, "write the name that the HIS calls", "call is literal text for %s", o.t.Kind)
			delete(o.keys, "call")
		}
	}
}

// arrived is what the HIS sent: body and wire.
func (l *loader) arrived(s *scope, m *mapper) *scope {
	m.came = m.unit.given("body")
	return s.with("body", binding{slot: m.came}).with("wire", binding{members: map[string]member{
		"call":    {typ: textType, eval: func(r *run) (any, error) { return r.arrival.Call, nil }},
		"headers": {typ: treeType, eval: func(r *run) (any, error) { return r.arrival.Headers, nil }},
		"query":   {typ: treeType, eval: func(r *run) (any, error) { return r.arrival.Query, nil }},
	}})
}

// compileEntrance goes the way of the request: the envelope's reading, the
// operation's, the message, then the reply and the envelope around it.
func (l *loader) compileEntrance(o *operation, e *envelope) (*entrance, string) {
	if o.keys["call"] == nil || o.keys["takes"] == nil || o.keys["reply"] == nil {
		return nil, ""
	}
	u := newUnit(l)
	u.layer = LayerRead
	m := &mapper{unit: u, name: string(o.t.Kind), kind: o.t.Kind, noun: o.t.Noun, view: viewOf(o.t.Body()), page: -1}
	x := &entrance{m: m, result: resultOf(o.t.Answer())}

	call := o.keys["call"].text
	m.call = u.add("call", func(*run) (any, error) { return call, nil })
	base := u.base(&o.t, captures{}, sessionChoice{why: "a listener has no session"})
	noun := base.names[o.t.Noun]
	read := l.arrived(base.hiding(o.t.Noun, "it is there once takes has made it"), m).
		with("call", binding{typ: textType, slot: m.call}).lets(e.read["let"])
	read = l.readTree(read, e.read["answer"], m.came)
	u.layer = LayerInner
	read = read.lets(o.keys["let"])
	if n := o.keys["read"]; n != nil {
		r := l.section(n, readTable)
		if c := r["call"]; c != nil {
			l.mistake(c.pos, "write it in the envelope", "read.call is the envelope's")
		}
		read = read.lets(r["let"])
		read = l.readTree(read, r["answer"], -1)
	}
	x.verify = l.verify(o, e, read)
	x.takes = read.record(o.keys["takes"], typeOf(o.t.Body()).Elem(), "the message of "+string(o.t.Kind))

	u.layer = LayerOperation
	reply := read.with(o.t.Noun, noun).with("result", binding{typ: x.result.view, slot: -1})
	l.word(e, reply, m, o.keys)

	if !l.wrong() {
		// Whoever calls us with something forged or broken is answered, too, at some time.
		stamp := core.Stamp{ID: "00000000000000000000000000000001", At: time.Unix(0, 0), Time: time.Unix(0, 0)}
		if _, err := x.answer(core.Opened{Kind: o.t.Kind}, core.Resolution{State: core.ResultInvalid}, stamp, nil); err != nil {
			at := o.keys["reply"].pos
			var cell *cellError
			if errors.As(err, &cell) {
				at, err = cell.at, cell.err
			}
			l.mistake(at, "it is also the answer to a request that cannot be read: nothing of it may be needed", "the reply cannot be written for result.state invalid: %v", err)
		}
	}
	return x, call
}

// word compiles what is answered: the reply of keys in the envelope's write.
func (l *loader) word(e *envelope, s *scope, m *mapper, keys map[string]*node) {
	body, _ := s.document(keys["reply"])
	m.body = m.unit.add("body", func(r *run) (any, error) { return body.value(r) })
	with := map[string]member{}
	for name := range l.withNames {
		with[name] = member{eval: func(*run) (any, error) { return nil, nil }}
	}
	if n := keys["with"]; n != nil {
		for _, f := range n.fields {
			slot, typ := s.let("with."+f.key.text, f.value)
			with[f.key.text] = member{typ: typ, eval: func(r *run) (any, error) { return r.slot(slot) }}
		}
	}
	if n := keys["headers"]; n != nil {
		m.headers = append(m.headers, s.fields(n, "headers"))
	}
	for _, name := range []string{"call", "query"} {
		if n := e.write[name]; n != nil {
			l.mistake(n.pos, "leave it out", "write.%s is for requests, this envelope writes replies", name)
		}
	}
	l.write(e, s.with("body", binding{slot: m.body}).with("with", binding{members: with}), m)
}

// compileStranger goes the way of a request that is none of the calls: there is
// neither an operation nor a message. Its reply may need something of the
// request; what does not have it gets no words.
func (l *loader) compileStranger(e *envelope) *entrance {
	u := newUnit(l)
	m := &mapper{unit: u, name: "listener", page: -1}
	x := &entrance{m: m, result: resultOf(&struct{}{})}
	m.call = u.given("call")
	s := u.base(nil, captures{}, sessionChoice{why: "a listener has no session"})
	for _, noun := range nouns() {
		s.hidden[noun] = "the envelope's reply answers what is no message"
	}
	read := l.arrived(s, m).with("call", binding{typ: textType, slot: m.call}).lets(e.read["let"])
	read = l.readTree(read, e.read["answer"], m.came)
	l.word(e, read.with("result", binding{typ: x.result.view, slot: -1}), m, map[string]*node{"reply": e.keys["reply"]})
	return x
}

// readTree gives the tree called answer.
func (l *loader) readTree(s *scope, n *node, otherwise int) *scope {
	if n != nil {
		slot, typ := s.let("answer", n)
		return s.with("answer", binding{typ: typ, slot: slot})
	}
	if otherwise < 0 {
		return s
	}
	return s.with("answer", binding{slot: otherwise})
}

// verify compiles the one rule that there is for what comes in.
func (l *loader) verify(o *operation, e *envelope, s *scope) *program {
	var rule *node
	for _, n := range []*node{e.keys["outcome"], o.keys["outcome"]} {
		if n == nil {
			continue
		}
		rules := l.section(n, outcomeTable)
		for _, name := range slices.Sorted(maps.Keys(rules)) {
			if name != "verify" {
				l.mistake(rules[name].pos, "leave it out", "%s is for answers; what comes in has the rule verify only", name)
			}
		}
		if rules["verify"] != nil {
			rule = rules["verify"]
		}
	}
	if rule == nil || rule.text == "false" && rule.style == plainWord {
		return nil
	}
	return s.condition(rule)
}

var errForged = errors.New("it does not verify")

// open makes the message, which is valid, with the secrets of now or of before.
func (x *entrance) open(a core.Arrival, s core.Stamp, before bool, e *ear) (body core.Body, codes []core.CodeUse, err error) {
	r := x.m.start(core.Input{Stamp: s})
	r.before, r.ear = before, e
	defer func() {
		if p := recover(); p != nil {
			body, codes, err = nil, nil, fmt.Errorf("%v", p) // the run is not put back: who knows what it holds
			return
		}
		codes = r.codes
		x.m.done(r)
	}()
	r.arrival = a
	r.set(x.m.came, a.Body)
	if x.verify != nil {
		ok, err := x.verify.holds(r)
		if e != nil {
			e.ruled(&ruling{name: "verify"}, ok, err)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("rule verify: %w", err)
		}
		if !ok {
			return nil, nil, errForged
		}
	}
	t, _ := core.Lookup(x.m.kind)
	body = t.Body()
	if err := x.takes.build(r, reflect.ValueOf(body).Elem()); err != nil {
		return nil, nil, fmt.Errorf("takes: %w", err)
	}
	return body, nil, body.Validate()
}

// answer words a resolution; an Opened without body sees an empty message. What
// could not even be read is answered as if nothing had come.
func (x *entrance) answer(o core.Opened, res core.Resolution, s core.Stamp, e *ear) (core.Reply, error) {
	out, err := x.reply(o, res, s, e)
	if err != nil && res.State == core.ResultInvalid {
		out, err = x.reply(core.Opened{Kind: o.Kind, Before: o.Before}, res, s, e)
	}
	return out, err
}

func (x *entrance) reply(o core.Opened, res core.Resolution, s core.Stamp, e *ear) (out core.Reply, err error) {
	body := o.Body
	if t, known := core.Lookup(x.m.kind); known && body == nil {
		body = t.Body()
	}
	if body != nil {
		s.Key = body.Key()
	}
	r := x.m.start(core.Input{Body: body, Stamp: s})
	r.before, r.ear = o.Before, e // whoever does not sign with the new key yet does not verify with it
	defer func() {
		if p := recover(); p != nil {
			out, err = core.Reply{}, fmt.Errorf("%v", p)
			return
		}
		x.m.done(r)
	}()
	r.arrival = o.Arrival
	r.set(x.m.came, o.Arrival.Body)
	r.env["result"] = x.result.of(res)
	if out.Headers, err = fieldsOf(r, x.m.headers); err != nil {
		return core.Reply{}, err
	}
	v, err := x.m.send.value(r)
	if err != nil {
		return core.Reply{}, err
	}
	out.Body, out.Codes = plain(v), r.codes
	out.Status, err = x.m.statusOf(r)
	return out, err
}

// statusOf is 0 where the folder says nothing.
func (m *mapper) statusOf(r *run) (int, error) {
	if m.status == nil {
		return 0, nil
	}
	v, err := m.status.value(r)
	if err != nil {
		return 0, err
	}
	status, ok := httpStatus(v)
	if !ok {
		return 0, errors.New("write.status is no HTTP status from 200 to 599")
	}
	return status, nil
}

func httpStatus(v any) (status int, ok bool) {
	text, _ := core.Text(plain(v))
	status, err := strconv.Atoi(text)
	return status, err == nil && status >= 200 && status <= 599
}

// statusAt checks the HTTP status of what a listener answers, as far as it is known
// before anybody calls.
func (l *loader) statusAt(in *listener, e *envelope) {
	n := e.write["status"]
	if n == nil {
		return
	}
	if in.kind != "rest" {
		l.mistake(n.pos, "leave it out", "only listeners of kind rest have a status, and %q is of kind %s", in.name, in.kind)
	}
	if _, computed := isExpression(n); computed {
		return
	}
	if _, ok := httpStatus(n.text); !ok {
		l.mistake(n.pos, "write a number from 200 to 599, as 422", "%q is no HTTP status", n.text)
	}
}

// resultType shows a resolution to expressions as result.state, result.message
// and result.answer, whose fields are those of the answer, spread as in JSON. An
// answer that is not there has empty fields.
type resultType struct {
	view   reflect.Type // pointer to the struct
	answer reflect.Type // the canonical struct
	fields []resultField
}

type resultField struct {
	index []int // in the canonical struct
}

func resultOf(answer any) *resultType {
	out := &resultType{answer: reflect.TypeOf(answer).Elem()}
	fields := answerFields(out.answer)
	var shown []reflect.StructField
	closed := map[string]core.Enumeration{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		t := fields[name].typ
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if e, ok := reflect.Zero(t).Interface().(core.Enumeration); ok {
			closed[name] = e
		}
		shown = append(shown, namedField(name, viewed(t)))
		out.fields = append(out.fields, resultField{fields[name].index})
	}
	inner := reflect.StructOf(shown)
	whole := reflect.StructOf([]reflect.StructField{
		namedField("state", textType), namedField("message", textType), namedField("answer", reflect.PointerTo(inner)),
	})
	enumerations.Store(enumKey{whole, "state"}, core.ResultState(""))
	for name, e := range closed {
		enumerations.Store(enumKey{inner, name}, e)
	}
	out.view = reflect.PointerTo(whole)
	return out
}

func namedField(name string, t reflect.Type) reflect.StructField {
	return reflect.StructField{Name: "F_" + name, Type: t, Tag: reflect.StructTag(`expr:"` + name + `" json:"` + name + `"`)}
}

func (t *resultType) of(r core.Resolution) any {
	out := reflect.New(t.view.Elem())
	out.Elem().Field(0).SetString(string(r.State))
	out.Elem().Field(1).SetString(r.Message)
	answer := reflect.New(out.Elem().Field(2).Type().Elem())
	out.Elem().Field(2).Set(answer)
	if r.Answer == nil || reflect.TypeOf(r.Answer).Elem() != t.answer {
		return out.Interface()
	}
	from := reflect.ValueOf(r.Answer).Elem()
	for i, f := range t.fields {
		v := from.FieldByIndex(f.index)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		// The same memory under the type that expressions see.
		to := answer.Elem().Field(i)
		to.Set(reflect.NewAt(to.Type(), v.Addr().UnsafePointer()).Elem())
	}
	return out.Interface()
}
