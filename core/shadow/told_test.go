package shadow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// dialect is one of two steps in which everything is visible: "pre" captures a
// number of the answer, "confirm" says it.
type dialect struct {
	prefix string // that the number gets when it is captured
	needs  string // of the request of "pre" that is not there, so that it cannot be sent
	byID   bool   // an answer is right only when it gives the attempt's id back
}

type step struct {
	dialect
	name string
}

func (s step) Encode(in core.Input) (core.Request, error) {
	if s.needs != "" && s.name == "pre" {
		return core.Request{}, &core.Fault{Class: core.Invalid, Op: s.name, Err: errors.New("no " + s.needs)}
	}
	if _, ok := in.Captured["number"]; !ok && s.name == "confirm" {
		return core.Request{}, &core.Fault{Class: core.Invalid, Op: s.name, Err: errors.New("captured.number is nil")}
	}
	return core.Request{Body: fmt.Sprintf("<%s><Number>%s</Number><Serial>%d</Serial></%[1]s>", s.name, in.Captured["number"], in.Stamp.Serial)}, nil
}

func (s step) Decode(in core.Input, r core.Response) core.Verdict {
	text, _ := core.Text(r.Body)
	number, id, _ := strings.Cut(text, " ")
	switch {
	case r.Status == "500":
		return core.Verdict{Outcome: core.OutcomeRejected, Rule: "rejected"}
	case s.byID && id != in.Stamp.ID:
		return core.Verdict{Outcome: core.OutcomeInDoubt, Rule: "verify"}
	}
	return core.Verdict{Outcome: core.OutcomeOK, Rule: "ok", Captured: map[string]string{"number": s.prefix + number}}
}

// paper is a connector that is never opened.
type paper struct{}

func (paper) Write(q core.Request) ([]byte, error) { return []byte(q.Body.(string)), nil }

func (paper) Read(_ core.Request, answer []byte) (core.Response, error) {
	if body, ok := strings.CutPrefix(string(answer), "HTTP/1.1 500\n\n"); ok {
		return core.Response{Status: "500", Body: body}, nil
	}
	return core.Response{Status: "200", Body: string(answer)}, nil
}

func (d dialect) side() *Side {
	one := func(name string) core.Step { return core.Step{Call: core.Call{Name: name, Mapper: step{d, name}}} }
	return &Side{
		Dialect: &core.Dialect{Hospital: "h1", Operations: map[core.Kind]*core.Operation{
			core.PaymentSettle: {Kind: core.PaymentSettle, Steps: []core.Step{one("pre"), one("confirm")}},
		}},
		Offline: func(string) (core.Offline, error) { return paper{}, nil },
		Session: func(*core.Session) map[string]string { return nil },
	}
}

// past is a ledger with these messages.
type past []Message

func (p past) Told(context.Context, Query) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for _, m := range p {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (past) Heard(context.Context, Query) iter.Seq2[Arrival, error] {
	return func(func(Arrival, error) bool) {}
}

func compare(t *testing.T, old, changed dialect, messages ...Message) *Report {
	t.Helper()
	run := &Run{
		Store: past(messages),
		Old:   func(context.Context, int) (*Side, error) { return old.side(), nil },
		New:   changed.side(),
		Text:  func(b []byte) string { return string(b) },
		Mask:  func(text string, _ core.Body) string { return text },
	}
	r, err := run.Do(t.Context(), Query{Hospital: "h1"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// payment was made in two steps with these answers.
func payment(answers ...string) Message {
	at := time.Date(2026, 1, 5, 15, 0, 0, 0, time.UTC)
	m := Message{ID: 7, Kind: core.PaymentSettle, Accepted: at, Body: &core.Payment{OrderID: "IH1"}}
	for i, answer := range answers {
		m.Attempts = append(m.Attempts, Attempt{
			Number: i + 1, At: at.Add(time.Second), Phase: delivery.Send, Step: []string{"pre", "confirm"}[i],
			Outcome: core.OutcomeOK, Rule: "ok", Answer: []byte(answer),
		})
	}
	return m
}

// told are the differences as lines.
func told(r *Report) (lines []string) {
	for _, g := range r.Groups {
		lines = append(lines, fmt.Sprintf("%s %s %s: %s -> %s", g.Call, g.What, g.Place, g.Old, g.New))
	}
	return lines
}

func expect(t *testing.T, r *Report, want ...string) {
	t.Helper()
	if got := told(r); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What the first step captures is said in the second one, by each folder its own.
func TestCapturedValuesAreCarriedOver(t *testing.T) {
	r := compare(t, dialect{}, dialect{prefix: "X"}, payment("41", "42"))
	expect(t, r,
		"pre captured number: 41 -> X41",
		"confirm bytes Number: <confirm><Number>41</Number><Serial>7</Serial></confirm> -> <confirm><Number>X41</Number><Serial>7</Serial></confirm>",
		"confirm captured number: 42 -> X42")
	if r := compare(t, dialect{prefix: "X"}, dialect{prefix: "X"}, payment("41", "42")); r.Same != 2 || r.Differs() {
		t.Errorf("the same folder: %+v", r)
	}
}

// The old folder goes on from what it captured, even where the new one cannot say
// the step at all.
func TestAStepThatCannotBeSaidTakesNothingFromTheOldFolder(t *testing.T) {
	r := compare(t, dialect{}, dialect{needs: "patient"}, payment("41", "42"))
	expect(t, r,
		"pre invalid pre: invalid: no patient: it could be sent -> pre: invalid: no patient",
		"confirm invalid confirm: invalid: captured.number is nil: it could be sent -> confirm: invalid: captured.number is nil")
}

// An answer that is gone, or cannot be judged any more: until it is decided the
// ledger still has what was captured of it, for both folders.
func TestTheLedgersOwnCapturedValues(t *testing.T) {
	for name, answer := range map[string]string{"gone": "", "judged otherwise": "41"} {
		m := payment(answer, "42")
		m.Attempts[0].ID, m.Attempts[0].Head = "1", "HTTP/1.1 500\n\n"
		m.Captured = map[string]string{"number": "41", "receipt": "R1"}
		r := compare(t, dialect{}, dialect{prefix: "X"}, m)
		expect(t, r, "confirm captured number: 42 -> X42")
		m.Captured = nil
		if r := compare(t, dialect{}, dialect{prefix: "X"}, m); r.Differs() {
			t.Errorf("%s: without them neither folder can say it, and it says %s", name, told(r))
		}
		// Values of a refused answer were never captured.
		m.Attempts[0].Outcome, m.Captured = core.OutcomeRejected, map[string]string{"number": "41"}
		if r := compare(t, dialect{}, dialect{prefix: "X"}, m); r.Differs() {
			t.Errorf("%s: a refused answer captured something: %s", name, told(r))
		}
	}
}

// With the stamp and the head that the ledger kept nothing is guessed.
func TestWhatTheLedgerKeepsIsNotGuessed(t *testing.T) {
	const id, other = "0123456789abcdef0123456789abcdef", "ffffffffffffffffffffffffffffffff"
	kept := payment("41 " + id)
	kept.Attempts[0].ID, kept.Attempts[0].Serial, kept.Attempts[0].Asked = id, 5_000_123, kept.Accepted.Add(time.Minute)
	for stamp, head := range kept.Moments(kept.Attempts[0]) {
		if stamp.ID != id || stamp.Serial != 5_000_123 || !stamp.At.Equal(kept.Accepted.Add(time.Minute)) || stamp.Key != "IH1" || stamp.Number != 1 || head != "" {
			t.Errorf("the moment is %+v after %q", stamp, head)
		}
	}
	r := compare(t, dialect{byID: true}, dialect{byID: true, prefix: "X"}, kept)
	expect(t, r, "pre captured number: 41 -> X41")

	// Of an older row the bytes tell the id, and that it was not a 200.
	old := payment("41 " + id)
	expect(t, compare(t, dialect{byID: true}, dialect{byID: true, prefix: "X"}, old), "pre captured number: 41 -> X41")
	refused := payment("41 " + id)
	refused.Attempts[0].Outcome, refused.Attempts[0].Rule = core.OutcomeRejected, "rejected"
	if r := compare(t, dialect{}, dialect{}, refused); r.Unread != 0 || r.Same != 1 {
		t.Errorf("a refusal of an older row: %+v", r)
	}
	// It is not guessed that a kept 200 was none, nor that it had another id.
	refused.Attempts[0].ID = id
	if r := compare(t, dialect{}, dialect{}, refused); r.Unread != 1 {
		t.Errorf("a kept head is guessed away: %+v", r)
	}
	refused.Attempts[0].Head = "HTTP/1.1 500\n\n"
	if r := compare(t, dialect{}, dialect{}, refused); r.Unread != 0 {
		t.Errorf("the kept head is not used: %+v", r)
	}
	kept.Attempts[0].ID = other
	if r := compare(t, dialect{byID: true}, dialect{byID: true}, kept); r.Unread != 1 {
		t.Errorf("a kept id is guessed away: %+v", r)
	}
}

// What neither folder can say is told apart, with why, and counted by messages: an
// invalid one may have been tried often.
func TestWhatStillCannotBeSaid(t *testing.T) {
	twice := func(id int64) Message {
		m := payment("41")
		m.ID = id
		m.Attempts[0].Answer, m.Attempts[0].Outcome = nil, core.OutcomeInvalid
		again := m.Attempts[0]
		again.Number = 2
		m.Attempts = append(m.Attempts, again)
		return m
	}
	messages := []Message{twice(7), twice(8), twice(9)}
	r := compare(t, dialect{needs: "patient"}, dialect{needs: "doctor"}, messages...)
	if r.Stuck != 3 || r.Differing != 0 || len(r.Groups) != 0 || len(r.Still) != 1 || r.Still[0].Messages != 3 || r.Still[0].Count != 6 || !strings.Contains(r.Still[0].New, "no doctor") || r.Differs() {
		t.Errorf("nothing was mended: %+v", r)
	}
	r = compare(t, dialect{needs: "patient"}, dialect{}, messages...)
	if r.Stuck != 0 || r.Differing != 3 || len(r.Groups) != 1 || r.Groups[0].Messages != 3 || r.Groups[0].What != Valid {
		t.Errorf("mended: %+v", r)
	}
}
