package mapping

import (
	"hishub/core"
)

// ruling is one compiled rule.
type ruling struct {
	name    string
	outcome core.Outcome
	when    *program
}

// outcome compiles the rules: those of the envelope, each replaced by the
// operation's or step's of the same name, in the one order in which they are
// judged.
func (l *loader) outcome(x *exchange, e *envelope, envelopeScope, own *scope, m *mapper) {
	type written struct {
		n     *node
		scope *scope
	}
	all := map[string]written{}
	take := func(n *node, s *scope) {
		if n == nil {
			return
		}
		for name, v := range l.section(n, outcomeTable) {
			all[name] = written{v, s}
		}
	}
	take(e.keys["outcome"], envelopeScope)
	for _, layer := range x.layers {
		take(layer["outcome"], own)
	}
	off := func(w written) bool { return w.n.text == "false" && w.n.style == plainWord }
	for _, r := range rules {
		w, ok := all[r.name]
		if !ok || off(w) {
			continue
		}
		// Compiled even where it does not apply, so that its mistakes are found.
		p := w.scope.condition(w.n)
		m.rules = append(m.rules, ruling{r.name, r.outcome, p})
	}
	if w, ok := all["message"]; ok && !off(w) {
		m.words, _ = w.scope.cell(w.n)
	}
	if w, ok := all["show_patient"]; ok && !off(w) {
		m.showPatient = w.scope.condition(w.n)
	}
	if !x.alone {
		l.checkRules(x, e, m)
	}
}

// checkRules reports rules that do not go together with the transaction.
func (l *loader) checkRules(x *exchange, e *envelope, m *mapper) {
	has := func(name string) bool {
		for _, r := range m.rules {
			if r.name == name {
				return true
			}
		}
		return false
	}
	at := func(name string) pos {
		for i := len(x.layers) - 1; i >= 0; i-- {
			if o := x.layers[i]["outcome"]; o != nil && o.get(name) != nil {
				return o.get(name).pos
			}
		}
		if n := e.keys["outcome"].get(name); n != nil {
			return n.pos
		}
		return x.at
	}
	question := x.t != nil && x.t.Mode == core.Question
	switch {
	case x.login || question:
		if !has("ok") {
			l.mistake(x.at, "write outcome: {ok: ...}", "%s has no rule ok, so it can never be answered", x.name)
		}
	case !has("ok") && !has("running"):
		l.mistake(x.at, "write outcome: {ok: ...}", "%s has no rule ok or running, so it can never be done", x.name)
	}
	if has("no_data") {
		if !question {
			l.mistake(at("no_data"), "leave it out, or write no_data: false in the operation", "no_data is for questions, %s is none", x.name)
		} else if _, status := x.t.Answer().(*core.Status); status {
			l.mistake(at("no_data"), `return state "absent" instead`, "%s asks for a state, so nothing is an answer too", x.name)
		}
	}
	if has("running") && !question && !x.login && !x.inquire {
		l.mistake(at("running"), "write inquire: with a question that returns state", "%s can be running, but nobody can be asked what became of it", x.name)
	}
}
