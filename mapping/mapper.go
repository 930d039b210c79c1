package mapping

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"hishub/core"
	"hishub/mapping/functions"
)

// mapper is a compiled exchange. It implements core.Mapper and serves any number
// of goroutines.
type mapper struct {
	unit *unit
	name string
	kind core.Kind
	noun string // "" for a login
	view view

	// slots that are set from outside or have a special use
	call, body, came, page int

	wireCall       template
	headers, query []template
	send           template
	status         template // HTTP's of a reply; nil: 200

	rules       []ruling
	words       template
	showPatient *program
	captures    []capture
	answer      answerer
	parts       []partRuling
	empty       func() any // the empty answer of a question
	next        template
	reached     []string // the steps that a status question can say were reached

	pool sync.Pool
}

type capture struct {
	name  string
	at    pos
	value template
}

func (m *mapper) start(in core.Input) *run {
	r, _ := m.pool.Get().(*run)
	if r == nil {
		r = &run{unit: m.unit, env: map[string]any{}}
		r.env[runName] = r
	}
	r.in = in
	if len(r.slots) != len(m.unit.slots) {
		r.slots = make([]slotState, len(m.unit.slots))
	}
	if m.noun != "" && in.Body != nil {
		body := in.Body
		if m.view.from != typeOf(body) {
			// The question about a write: it sees the fields that both have.
			body = Project(body, m.kind)
		}
		r.env[m.noun] = m.view.show(body)
	}
	return r
}

func (m *mapper) done(r *run) {
	if r.ear != nil {
		r.ear.hear(r)
		r.ear = nil
	}
	clear(r.slots)
	clear(r.env)
	r.env[runName] = r
	r.in, r.response, r.arrival, r.depth, r.forgave, r.before = core.Input{}, core.Response{}, core.Arrival{}, 0, nil, false
	r.answered, r.codes = false, nil
	m.pool.Put(r)
}

// Encode implements core.Mapper.
func (m *mapper) Encode(in core.Input) (core.Request, error) { return m.encode(m.start(in)) }

func (m *mapper) encode(r *run) (q core.Request, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p) // the run is not put back: who knows what it holds
		} else {
			m.done(r)
		}
		if err != nil {
			q, err = core.Request{}, &core.Fault{Class: core.Invalid, Op: "encode " + m.name, Err: err}
		}
	}()
	operation, err := m.wireCall.value(r)
	if err != nil {
		return q, err
	}
	if q.Operation, err = functions.Text(plain(operation)); err != nil {
		return q, fmt.Errorf("call: %w", err)
	}
	if q.Headers, err = fieldsOf(r, m.headers); err != nil {
		return q, err
	}
	if q.Query, err = fieldsOf(r, m.query); err != nil {
		return q, err
	}
	body, err := m.send.value(r)
	if err != nil {
		return q, err
	}
	q.Body, q.Codes = plain(body), r.codes
	return q, nil
}

// plain is a document as a connector takes it: absent is none, a bare word text.
func plain(v any) core.Value {
	switch v := v.(type) {
	case absence:
		return nil
	case core.Token:
		return string(v)
	}
	return v
}

func fieldsOf(r *run, parts []template) ([]core.Field, error) {
	var out []core.Field
	for _, p := range parts {
		earlier := len(out)
		v, err := p.value(r)
		if err != nil {
			return nil, err
		}
		tree, _ := v.(core.Tree)
		for _, f := range tree {
			text, err := functions.Text(f.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			// A later one of the same name replaces: the operation's the envelope's.
			replaced := false
			for i := range out[:earlier] {
				if out[i].Name == f.Name {
					out[i].Value, replaced = text, true
				}
			}
			if !replaced {
				out = append(out, core.Field{Name: f.Name, Value: text})
			}
		}
	}
	return out, nil
}

// decode reads an answer with the secrets of now, or of before.
func (m *mapper) decode(in core.Input, response core.Response, before bool, e *ear) (v core.Verdict) {
	r := m.start(in)
	r.before, r.ear = before, e
	defer func() {
		if p := recover(); p != nil {
			v = core.Verdict{Outcome: core.OutcomeInDoubt, Err: fmt.Errorf("decode %s: %v", m.name, p)}
		} else {
			m.done(r)
		}
	}()
	r.response, r.answered = response, true
	r.set(m.came, response.Body)
	v = m.judge(r)
	v.Forgave, v.Codes = r.forgave, r.codes
	return v
}

// judge goes through the rules in their one order. When none holds, or one
// fails, the outcome is in doubt.
func (m *mapper) judge(r *run) core.Verdict {
	for i := range m.rules {
		rule := &m.rules[i]
		holds, err := rule.when.holds(r)
		if r.ear != nil {
			r.ear.ruled(rule, holds, err)
		}
		if err != nil {
			return m.doubt(r, "", fmt.Errorf("decode %s: rule %s: %w", m.name, rule.name, err))
		}
		if rule.name == "verify" {
			if !holds {
				return m.doubt(r, rule.name, fmt.Errorf("decode %s: the answer does not verify", m.name))
			}
			continue
		}
		if holds {
			return m.verdict(r, rule)
		}
	}
	return m.doubt(r, "", fmt.Errorf("decode %s: no outcome rule holds", m.name))
}

func (m *mapper) doubt(r *run, rule string, err error) core.Verdict {
	return core.Verdict{Outcome: core.OutcomeInDoubt, Rule: rule, Words: m.wordsOf(r), Err: err}
}

// verdict takes what the answer holds, as far as the outcome lets one believe it.
func (m *mapper) verdict(r *run, rule *ruling) core.Verdict {
	v := core.Verdict{Outcome: rule.outcome, Rule: rule.name, Words: m.wordsOf(r)}
	if m.showPatient != nil && v.Words != "" {
		v.ShowPatient, _ = m.showPatient.holds(r) // failing to say yes is no
	}
	var err error
	switch rule.outcome {
	case core.OutcomeOK:
		if v.Captured, err = m.captured(r, true); err == nil && m.answer != nil {
			v.Answer, err = m.answer.answer(r, v.Captured)
		}
		if err == nil {
			v.Parts, err = m.judgeParts(r)
		}
		if err == nil && m.next != nil {
			v.Next, err = m.nextPage(r)
		}
		if err != nil {
			return m.doubt(r, rule.name, fmt.Errorf("decode %s: %w", m.name, err))
		}
	case core.OutcomeAlready, core.OutcomeRunning:
		// What is there is kept; these answers often hold less than an ok.
		v.Captured, _ = m.captured(r, false)
		if m.answer != nil && rule.outcome == core.OutcomeAlready {
			if a, err := m.answer.answer(r, v.Captured); err == nil {
				v.Answer = a
			}
		}
	case core.OutcomeNoData:
		if m.empty != nil {
			v.Answer = m.empty()
		}
	}
	return v
}

// maxWords bounds what is kept of the HIS's words, in characters.
const maxWords = 1000

func (m *mapper) wordsOf(r *run) string {
	if m.words == nil {
		return ""
	}
	v, err := m.words.value(r)
	if err != nil {
		return "" // an answer that cannot be read has no words
	}
	text, err := functions.Text(v)
	if err != nil {
		return ""
	}
	return boundedWords(text)
}

func boundedWords(text string) string {
	text = strings.TrimSpace(text)
	if runes := []rune(text); len(runes) > maxWords {
		text = string(runes[:maxWords])
	}
	return text
}

func (m *mapper) captured(r *run, strict bool) (map[string]string, error) {
	var kept map[string]string
	for _, c := range m.captures {
		v, err := c.value.value(r)
		text := ""
		if err == nil {
			if text, err = functions.Text(plain(v)); err != nil {
				err = failedAt(c.at, err)
			}
		}
		if err != nil {
			if strict {
				return nil, fmt.Errorf("capture %s: %w", c.name, err)
			}
			continue
		}
		if text == "" {
			continue // nothing is not worth keeping
		}
		if kept == nil {
			kept = make(map[string]string, len(m.captures))
		}
		kept[c.name] = text
	}
	return kept, nil
}

func (m *mapper) nextPage(r *run) (*string, error) {
	v, err := m.next.value(r)
	if err != nil {
		return nil, err
	}
	switch n := plain(v).(type) {
	case nil:
		return nil, nil
	case int:
		text := strconv.Itoa(n)
		return &text, nil
	default:
		text, err := functions.Text(n)
		if err != nil || text == "" {
			return nil, err
		}
		return &text, nil
	}
}

var errNoReceipt = errors.New("the captured amount is not yuan")
