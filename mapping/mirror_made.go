package mapping

import (
	"errors"
	"fmt"
	"time"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

// made is the smallest answer that the rules take.
func (mi *Mirror) made(h *Heard, wish Wish) (*Said, string) {
	w := mi.word(h.voice.mapper, h.Input, core.Response{Status: "200"})
	out := &Said{}
	wanted := string(wish.Outcome)
	rule := func(name string) *ruling {
		for i := range w.m.rules {
			if w.m.rules[i].name == name {
				return &w.m.rules[i]
			}
		}
		return nil
	}
	r := rule(wanted)
	if r == nil {
		return nil, "the folder has no rule " + wanted
	}
	for try := 0; try < 6; try++ {
		if err := w.within(r.when, func(n ast.Node) error { return w.hold(n, true) }); err != nil {
			return nil, "the rule " + wanted + " cannot be made to hold: " + err.Error()
		}
		if wish.Words != "" && w.m.words != nil && wish.Outcome != core.OutcomeOK {
			before := w.response
			if w.putTemplate(w.m.words, wish.Words) != nil || !w.holds(r) {
				w.backTo(before)
			}
		}
		if wish.Outcome == core.OutcomeOK {
			w.fill(wish)
			w.number(wish, nil, &out.Trouble)
		}
		w.verify()
		v := w.judge()
		if meets(v, wish) {
			out.Response, out.Verdict = w.response, v
			return out, ""
		}
		first := rule(v.Rule)
		if first == nil || v.Rule == wanted {
			return nil, "what was made is " + describe(v)
		}
		// Another rule comes before: it must not hold.
		if err := w.within(first.when, func(n ast.Node) error { return w.hold(n, false) }); err != nil {
			return nil, fmt.Sprintf("the rule %s holds before %s", first.name, wanted)
		}
	}
	return nil, "the rules before " + wanted + " always hold"
}

func (w *wording) holds(r *ruling) bool {
	ok, err := r.when.holds(w.r)
	return ok && err == nil
}

// fill gives the answer what returns needs.
func (w *wording) fill(wish Wish) {
	t, ok := w.m.answer.(typedAnswer)
	record, isRecord := t.build.(recordBuilder)
	if !ok || !isRecord {
		return
	}
	for _, f := range record {
		leaf, ok := f.of.(*leafBuilder)
		if !ok || !leaf.required && (leaf.name != "at" || wish.At == "") && (leaf.name != "stage" || wish.Stage == "") {
			continue
		}
		var v any = "0"
		switch {
		case leaf.name == "state" && wish.State != "":
			v = string(wish.State)
		case leaf.name == "at":
			v = wish.At
		case leaf.name == "stage" && wish.Stage != "":
			v = string(wish.Stage)
		case len(leaf.values) > 0:
			v = leaf.values[0]
		case leaf.raw != nil && leaf.raw.typ == moneyType:
			v = core.Fen(0)
		case leaf.raw != nil && leaf.raw.typ == timeType:
			v = time.Now()
		}
		before := w.response
		if w.putLeaf(leaf, v) != nil {
			w.backTo(before)
		}
	}
}

// Check reads the bytes of an answer as the hub will.
func (mi *Mirror) Check(h *Heard, answer []byte) (core.Response, core.Verdict) {
	offline, ok := mi.connectors[h.Call.Connector].(core.Offline)
	if !ok {
		return core.Response{}, core.Verdict{Outcome: core.OutcomeInDoubt, Err: errors.New("the connector cannot read a recorded answer")}
	}
	r, err := offline.Read(h.request, answer)
	if err != nil {
		return r, core.Verdict{Outcome: core.Outcome(core.ClassOf(err)), Err: err}
	}
	return r, h.voice.mapper.Decode(h.Input, r)
}

// Login makes what a login is to give: tokens, and the time until when they are
// good in the form in which the folder reads it.
func (mi *Mirror) Login(session, token string, until time.Time) map[string]string {
	values := map[string]string{}
	s := mi.folder.loaded.sessions[session]
	if s == nil {
		return values
	}
	for _, name := range s.names {
		values[name] = token + name
	}
	if s.ends == nil {
		return values
	}
	h := mi.listen(s.until)
	if h.cell(s.ends, until) {
		for _, name := range s.names {
			if v, ok := h.values["session."+name].(string); ok {
				values[name] = v
			}
		}
	}
	works := func() bool {
		t, err := mi.folder.Dialect.Sessions[session].Expires(core.Input{Session: values, Stamp: core.Stamp{At: time.Now(), Time: time.Now()}})
		return err == nil && (t.IsZero() || t.After(time.Now()))
	}
	// What remains is a life in seconds, as OAuth gives it, or the time of the login.
	now := time.Now().In(mi.zone)
	forms := []string{"7200", now.Format("20060102150405"), now.Format(time.DateTime), now.Format(time.RFC3339)}
	var fill func(names []string) bool
	fill = func(names []string) bool {
		if works() || len(names) == 0 {
			return works()
		}
		if fill(names[1:]) {
			return true
		}
		before := values[names[0]]
		for _, form := range forms {
			if values[names[0]] = form; fill(names[1:]) {
				return true
			}
		}
		values[names[0]] = before
		return false
	}
	fill(s.names[:min(len(s.names), 5)])
	return values
}
