package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/shadow"
	"hishub/mapping"
)

// hospitalRecord makes a case of what the ledger remembers.
type hospitalRecord struct {
	place
	variables
	Folder   string `arg:"" help:"Hospital folder, in whose cases it is written."`
	Message  int64  `required:"" help:"Number of the message, as 'hishub message list' shows it." placeholder:"ID"`
	Attempt  int    `help:"Number of the attempt, as 'hishub message show' shows it; the last answered one if none."`
	Name     string `help:"What the case shows, as paid-twice." placeholder:"NAME"`
	Unmasked bool   `help:"Record a sealed answer although it holds people that cannot be replaced."`
}

func (hospitalRecord) Help() string {
	return "Example:\n  hishub hospital record mapping/hospitals/dongshan --message 4711 --name paid-twice\n\nTurns an exchange of the ledger into a case with made-up people: message, request, answer and what comes of it. The case is run at once; if it does not pass, nothing is written. Exchanges made by hand are recorded by 'hishub hospital try --record'."
}

func (c *hospitalRecord) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	folder, err := loadSample(os.DirFS(c.Folder))
	if err != nil {
		return inFolder(c.Folder, err)
	}
	return c.with(ctx, func(s *postgres.Store) error {
		m, _, err := s.Message(ctx, c.Message)
		if err != nil {
			return err
		}
		if m.Hospital != folder.Dialect.Hospital {
			return fmt.Errorf("message %d is of %s, and %s is the folder of %s", m.ID, m.Hospital, c.Folder, folder.Dialect.Hospital)
		}
		if c.Unmasked {
			err := s.Audit(ctx, postgres.Act{Verb: "unmask", Hospital: m.Hospital, Subject: fmt.Sprintf("message %d", m.ID), Purpose: "recorded as a case with --unmasked"})
			if err != nil {
				return err
			}
		}
		if _, err := s.Body(ctx, m.ID); err != nil {
			return err
		}
		for told, err := range s.Told(ctx, shadow.Query{Hospital: m.Hospital, Only: m.ID, Limit: 1}) {
			if err != nil {
				return err
			}
			past := &past{Message: told, folder: folder, captured: map[string]string{}}
			return past.record(c)
		}
		return fmt.Errorf("nothing is left of message %d", m.ID)
	})
}

// past is a message of the ledger whose exchanges are gone through again.
type past struct {
	shadow.Message
	folder   *mapping.Folder
	captured map[string]string // by the attempts so far
}

func (p *past) record(c *hospitalRecord) error {
	at, err := p.choose(c.Attempt)
	if err != nil {
		return err
	}
	for _, a := range p.Attempts[:at] {
		// What earlier steps captured is not kept by itself; their answers are.
		if x, _, err := p.exchange(a); err == nil {
			shadow.Keep(p.captured, x.verdict)
		}
	}
	x, w, err := p.exchange(p.Attempts[at])
	if err != nil {
		return err
	}
	r, err := newRecording(c.Folder, w.kind, c.Name)
	if err != nil {
		return err
	}
	r.step, r.unmasked, r.live = w.step, c.Unmasked, p.folder.Dialect
	return r.write([]exchanged{*x})
}

// choose finds the attempt of a number, or the last one that was answered.
func (p *past) choose(number int) (int, error) {
	for i, a := range slices.Backward(p.Attempts) {
		switch {
		case number != 0 && a.Number != number:
		case len(a.Answer) > 0:
			return i, nil
		case number != 0:
			return 0, fmt.Errorf("attempt %d of message %d has no answer to record", a.Number, p.ID)
		}
	}
	if number != 0 {
		return 0, fmt.Errorf("message %d has no attempt %d; see 'hishub message show %d'", p.ID, number, p.ID)
	}
	return 0, fmt.Errorf("message %d has no answer of the HIS that could be recorded: nothing came, or it is past its retention", p.ID)
}

// what is said in an attempt.
type what struct {
	kind core.Kind
	step string
	call *core.Call
	body core.Body
}

func (p *past) what(a shadow.Attempt) (what, error) {
	step, call, why := shadow.CallOf(p.folder.Dialect, p.Kind, a)
	if call == nil {
		return what{}, fmt.Errorf("attempt %d (%s of step %s) cannot be gone through with this folder: %s", a.Number, a.Phase, a.Step, why)
	}
	w := what{kind: p.Kind, call: call, body: p.Body}
	if len(p.folder.Dialect.Operations[p.Kind].Steps) > 1 {
		w.step = step.Name
	}
	switch a.Phase {
	case delivery.Inquire:
		w.kind, w.step, w.body = step.Inquire.Kind, "", mapping.Project(p.Body, step.Inquire.Kind)
	case delivery.Undo:
		w.step = strings.TrimSpace(w.step + " undo")
	}
	return w, nil
}

// exchange goes through an attempt again: its answer must be judged as it was.
func (p *past) exchange(a shadow.Attempt) (*exchanged, what, error) {
	w, err := p.what(a)
	if err != nil {
		return nil, w, err
	}
	connector, err := connectors.Open(p.folder.Dialect.Connectors[w.call.Connector])
	if err != nil {
		return nil, w, err
	}
	defer connector.Close()
	offline, ok := connector.(core.Offline)
	if !ok {
		return nil, w, errors.New("this connector cannot read a recorded answer")
	}
	in := core.Input{Body: w.body, Kind: p.Kind, Captured: maps.Clone(p.captured), Session: mapping.MadeUpSession(p.folder.Dialect.Sessions[w.call.Session])}
	var first *exchanged
	for stamp, head := range p.Moments(a) {
		in.Stamp = stamp
		in.Stamp.Key, in.Stamp.At = w.body.Key(), stamp.At.Truncate(time.Second) // as a case has it
		x, err := judge(w.call, in, offline, append([]byte(head), a.Answer...))
		if err != nil {
			return nil, w, err
		}
		if x.verdict.Outcome == a.Outcome && x.verdict.Rule == a.Rule {
			return x, w, nil
		}
		if first == nil {
			first = x
		}
	}
	return nil, w, fmt.Errorf("this folder judges the answer of attempt %d %s by the rule %q, and it was %s by %q: another revision, or other secrets than are set here?",
		a.Number, first.verdict.Outcome, first.verdict.Rule, a.Outcome, a.Rule)
}

func judge(call *core.Call, in core.Input, offline core.Offline, answer []byte) (*exchanged, error) {
	x := &exchanged{call: call, answer: answer}
	x.In, x.Asked = in, mapping.Explain(call.Mapper, in)
	if x.Asked.Err != nil {
		return nil, x.Asked.Err
	}
	r, err := offline.Read(x.Asked.Request, answer)
	if err != nil {
		x.verdict = core.Verdict{Outcome: core.Outcome(core.ClassOf(err)), Err: err}
		return x, nil
	}
	e := mapping.ExplainAnswer(call.Mapper, in, r)
	x.Answer, x.Response, x.verdict = &e, &r, e.Verdict
	return x, nil
}
