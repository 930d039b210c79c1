package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
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
		m, attempts, err := s.Message(ctx, c.Message)
		if err != nil {
			return err
		}
		if m.Hospital != folder.Dialect.Hospital {
			return fmt.Errorf("message %d is of %s, and %s is the folder of %s", m.ID, m.Hospital, c.Folder, folder.Dialect.Hospital)
		}
		body, err := s.Body(ctx, m.ID)
		if err != nil {
			return err
		}
		past := &past{store: s, folder: folder, message: m, body: body, captured: map[string]string{}}
		return past.record(ctx, c, attempts)
	})
}

// past is a message of the ledger whose exchanges are gone through again.
type past struct {
	store    *postgres.Store
	folder   *mapping.Folder
	message  postgres.Message
	body     core.Body
	captured map[string]string // by the attempts so far
}

func (p *past) record(ctx context.Context, c *hospitalRecord, attempts []postgres.Attempt) error {
	at, err := p.choose(ctx, c.Attempt, attempts)
	if err != nil {
		return err
	}
	for _, a := range attempts[:at] {
		// What earlier steps captured is not kept by itself; their answers are.
		if x, _, err := p.exchange(ctx, a); err == nil && (x.verdict.Outcome == core.OutcomeOK || x.verdict.Outcome == core.OutcomeAlready || x.verdict.Outcome == core.OutcomeRunning) {
			maps.Copy(p.captured, x.verdict.Captured)
		}
	}
	x, w, err := p.exchange(ctx, attempts[at])
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
func (p *past) choose(ctx context.Context, number int, attempts []postgres.Attempt) (int, error) {
	for i := len(attempts) - 1; i >= 0; i-- {
		a := attempts[i]
		if number != 0 && a.Number != number || a.Late {
			continue
		}
		_, err := p.answer(ctx, a)
		if err == nil {
			return i, nil
		}
		if number != 0 {
			return 0, err
		}
	}
	if number != 0 {
		return 0, fmt.Errorf("message %d has no attempt %d; see 'hishub message show %d'", p.message.ID, number, p.message.ID)
	}
	return 0, fmt.Errorf("message %d has no answer of the HIS that could be recorded: nothing came, or it is past its retention", p.message.ID)
}

func (p *past) answer(ctx context.Context, a postgres.Attempt) (*postgres.ExchangeBytes, error) {
	all, err := p.store.Exchange(ctx, p.message.ID, a.Number)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Late == a.Late && len(all[i].Response) > 0 {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("attempt %d of message %d has no answer to record", a.Number, p.message.ID)
}

// what is said in an attempt.
type what struct {
	kind core.Kind
	step string
	call *core.Call
	body core.Body
}

func (p *past) what(a postgres.Attempt) (what, error) {
	operation := p.folder.Dialect.Operations[p.message.Kind]
	if operation == nil {
		return what{}, fmt.Errorf("this folder has no %s", p.message.Kind)
	}
	for i := range operation.Steps {
		s := &operation.Steps[i]
		if s.Name != a.Step && len(operation.Steps) > 1 {
			continue
		}
		w := what{kind: p.message.Kind, call: &s.Call, body: p.body}
		if len(operation.Steps) > 1 {
			w.step = s.Name
		}
		switch {
		case a.Phase == delivery.Inquire && s.Inquire != nil:
			return what{kind: s.Inquire.Kind, call: &s.Inquire.Call, body: mapping.Project(p.body, s.Inquire.Kind)}, nil
		case a.Phase == delivery.Undo && s.Undo != nil:
			w.call, w.step = &s.Undo.Call, strings.TrimSpace(w.step+" undo")
			return w, nil
		case a.Phase == delivery.Send:
			return w, nil
		}
	}
	return what{}, fmt.Errorf("this folder has no step %s that attempt %d (%s) made", a.Step, a.Number, a.Phase)
}

// exchange goes through an attempt again, until its answer is judged as it was.
func (p *past) exchange(ctx context.Context, a postgres.Attempt) (*exchanged, what, error) {
	w, err := p.what(a)
	if err != nil {
		return nil, w, err
	}
	bytes, err := p.answer(ctx, a)
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
	in := core.Input{Body: w.body, Kind: p.message.Kind, Captured: maps.Clone(p.captured), Session: mapping.MadeUpSession(p.folder.Dialect.Sessions[w.call.Session])}
	in.Stamp = core.Stamp{Key: w.body.Key(), Time: p.message.AcceptedAt, At: a.At.Add(-a.Duration).Truncate(time.Second), Serial: 1, Number: a.Number}
	var first *exchanged
	for _, id := range identifiers(bytes.Request, bytes.Response) {
		for _, head := range heads {
			in.Stamp.ID = id
			x, err := judge(w.call, in, offline, append([]byte(head), bytes.Response...))
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
	}
	return nil, w, fmt.Errorf("this folder judges the answer of attempt %d %s by the rule %q, and it was %s by %q: another revision, or other secrets than are set here?",
		a.Number, first.verdict.Outcome, first.verdict.Rule, a.Outcome, a.Rule)
}

// heads are what may have stood before an answer over HTTP; the ledger keeps bodies.
var heads = []string{"", "HTTP/1.1 500\n\n"}

var hexRun = regexp.MustCompile(`[0-9A-Fa-f]{8,32}`)

// identifiers are what attempt.id may have been, as far as the bytes tell: the
// ledger does not keep it, and a HIS often gives it back.
func identifiers(texts ...[]byte) []string {
	all, known := []string{strings.Repeat("0", 31) + "1"}, map[string]bool{}
	for _, text := range texts {
		for _, run := range hexRun.FindAll(text, -1) {
			id := strings.ToLower(string(run))
			id += strings.Repeat("0", 32-len(id))
			if !known[id] && len(all) < 500 {
				known[id] = true
				all = append(all, id)
			}
		}
	}
	return all
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
