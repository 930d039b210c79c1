package mapping

import (
	"errors"

	"hishub/core"
)

// Layers in which values are computed, outermost last on the way out and first
// on the way back.
const (
	LayerGiven     = "given"          // attempt, captured, session, wire, with
	LayerOperation = "operation"      // the operation's (and step's) own call, let, with and send
	LayerWrite     = "envelope write" // the envelope around it
	LayerRead      = "envelope read"  // the envelope of the answer
	LayerInner     = "operation read" // the operation's own reading
)

// Computed is a named value that an exchange came by.
type Computed struct {
	Layer string
	Name  string
	// Value is nil beside Err, which says why there is none.
	Value any
	Err   error
}

// Ruled is what became of one outcome rule.
type Ruled struct {
	Name    string
	Outcome core.Outcome
	// Asked is false for rules behind the one that decided.
	Asked bool
	Holds bool
	Err   error
}

// Explained is how a request came about.
type Explained struct {
	Values  []Computed
	Request core.Request // empty beside Err
	Err     error
}

// Body is the operation's own document, before the envelope.
func (e Explained) Body() (any, bool) { return find(e.Values, LayerOperation, "body") }

// ExplainedAnswer is how a verdict came about.
type ExplainedAnswer struct {
	Values []Computed
	// Rules in the order in which they are judged; those that the folder does not
	// have are not here.
	Rules   []Ruled
	Verdict core.Verdict
}

// Answer is the tree that the rules saw.
func (e ExplainedAnswer) Answer() (any, bool) {
	if v, ok := find(e.Values, LayerInner, "answer"); ok {
		return v, true
	}
	if v, ok := find(e.Values, LayerRead, "answer"); ok {
		return v, true
	}
	if e.Verdict.Err != nil {
		return nil, false // perhaps it could not be read
	}
	return find(e.Values, LayerRead, "body")
}

func find(values []Computed, layer, name string) (any, bool) {
	for _, c := range values {
		if c.Layer == layer && c.Name == name && c.Err == nil {
			return c.Value, true
		}
	}
	return nil, false
}

// ear hears what a run came by. The run is the one that every exchange makes;
// what nobody used was not computed, and is not heard.
type ear struct {
	values []Computed
	rules  []Ruled
}

// hear takes the values of a run that ends.
func (e *ear) hear(r *run) {
	for i, s := range r.slots {
		of := r.unit.slots[i]
		if !s.done {
			continue
		}
		v := s.value
		if v == absent {
			v = nil
		}
		e.values = append(e.values, Computed{of.layer, of.name, v, s.err})
	}
}

func (e *ear) ruled(rule *ruling, holds bool, err error) {
	e.rules = append(e.rules, Ruled{rule.name, rule.outcome, true, holds, err})
}

// errUnknownMapper says that a mapper was not compiled from a hospital folder.
var errUnknownMapper = errors.New("only what a hospital folder says can be explained")

// Explain encodes and tells how. The request and the error are those of Encode.
func Explain(m core.Mapper, in core.Input) Explained {
	of, ok := m.(*mapper)
	if !ok {
		return Explained{Err: errUnknownMapper}
	}
	r, e := of.start(in), &ear{}
	r.ear = e
	q, err := of.encode(r)
	return Explained{Values: e.values, Request: q, Err: err}
}

// ExplainAnswer decodes and tells how. The verdict is that of Decode.
func ExplainAnswer(m core.Mapper, in core.Input, response core.Response) ExplainedAnswer {
	of, ok := m.(*mapper)
	if !ok {
		return ExplainedAnswer{Verdict: core.Verdict{Outcome: core.OutcomeInDoubt, Err: errUnknownMapper}}
	}
	e := &ear{}
	v := of.heard(in, response, e)
	return ExplainedAnswer{Values: e.values, Rules: of.whole(e.rules), Verdict: v}
}

// Unjudged are the rules of an exchange whose answer never came to them.
func Unjudged(m core.Mapper) []Ruled {
	of, ok := m.(*mapper)
	if !ok {
		return nil
	}
	return of.whole(nil)
}

// whole adds the rules that were not asked.
func (m *mapper) whole(asked []Ruled) []Ruled {
	for i := len(asked); i < len(m.rules); i++ {
		asked = append(asked, Ruled{Name: m.rules[i].name, Outcome: m.rules[i].outcome})
	}
	return asked
}

// Witness is a mapper that remembers how it came to what it said.
type Witness struct {
	core.Mapper
	// Exchanges in the order in which they were encoded. A session that had
	// expired and further pages make more than one.
	Exchanges []Witnessed
}

// Witnessed is one exchange. Answer and Response are nil when nothing was read.
type Witnessed struct {
	In       core.Input
	Asked    Explained
	Answer   *ExplainedAnswer
	Response *core.Response
}

// Watch makes a mapper tell. It serves one goroutine.
func Watch(m core.Mapper) *Witness { return &Witness{Mapper: m} }

// Encode implements core.Mapper.
func (w *Witness) Encode(in core.Input) (core.Request, error) {
	asked := Explain(w.Mapper, in)
	w.Exchanges = append(w.Exchanges, Witnessed{In: in, Asked: asked})
	return asked.Request, asked.Err
}

// Decode implements core.Mapper.
func (w *Witness) Decode(in core.Input, r core.Response) core.Verdict {
	a := ExplainAnswer(w.Mapper, in, r)
	if n := len(w.Exchanges); n > 0 {
		w.Exchanges[n-1].Answer, w.Exchanges[n-1].Response = &a, &r
	}
	return a.Verdict
}
