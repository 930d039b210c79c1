package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"hishub/core"
)

// Questions asks hospitals at once, without the queue.
type Questions struct {
	Hospitals Hospitals
	// Answers keeps answers for the kinds that may be served again for a while; nil
	// asks every time.
	Answers Answers
	// Codes is told of codes that the hospital's tables do not have, or have only by a
	// default; nil: nobody is told. It must not block.
	Codes func(hospital string, uses []core.CodeUse)

	mu    sync.Mutex
	slots map[string]*asked
}

// Answers caches answers by key. Its fetch runs once for callers that come
// together; asOf is when the answer was given.
type Answers interface {
	Fetch(ctx context.Context, key string, ttl time.Duration, fetch func(context.Context) ([]byte, error)) (answer []byte, asOf time.Time, err error)
}

// Question implements reconcile.Asker: it asks now, whatever was answered before.
func (q *Questions) Question(ctx context.Context, hospital string, kind core.Kind, body core.Body) (any, error) {
	if err := body.Validate(); err != nil {
		return nil, err
	}
	h, err := q.Hospitals.Hospital(ctx, hospital, 0)
	if err != nil {
		return nil, err
	}
	op := h.Operations[kind]
	t, ok := core.Lookup(kind)
	if op == nil || !ok || t.Mode != core.Question {
		return nil, core.ErrCannot
	}
	now := time.Now()
	if closed := Rest(h.Dialect, kind, now); closed != nil {
		return nil, resting(closed, kind, now)
	}
	free, err := q.slot(ctx, h)
	if err != nil {
		return nil, &core.Fault{Class: core.Unavailable, Op: string(kind), Err: errors.New("all of the hospital's slots for questions are taken")}
	}
	defer free()
	x := h.Ask(ctx, &op.Steps[0].Call, core.Input{Body: body, Kind: kind, Stamp: h.Stamp(body.Key(), time.Now(), 1)}, nil)
	if q.Codes != nil && len(x.Codes) > 0 {
		q.Codes(hospital, x.Codes)
	}
	switch v := x.Verdict; v.Outcome {
	case core.OutcomeOK:
		if v.Answer == nil {
			return t.Answer(), nil
		}
		return v.Answer, nil
	case core.OutcomeNoData:
		return empty(t), nil
	case core.OutcomeRejected, core.OutcomeRefundNow:
		return nil, &Refusal{Words: v.Words, ShowPatient: v.ShowPatient}
	case core.OutcomeInvalid:
		return nil, &core.Fault{Class: core.Invalid, Op: string(kind), Err: v.Err}
	default:
		err := v.Err
		if err == nil {
			err = fmt.Errorf("the HIS answered %s", v.Outcome)
		}
		// A question that was not answered may simply be asked again.
		return nil, &core.Fault{Class: core.Unavailable, Op: string(kind), Err: err, RetryAfter: x.RetryAfter}
	}
}

// Closed: the HIS is not called now, in a maintenance window or outside its working hours.
type Closed struct {
	// Opens is when it can be asked again, in the hospital's zone; zero: not within a week.
	Opens time.Time
	// Maintenance: a window of its folder, not its working hours.
	Maintenance bool
}

func (c *Closed) Error() string {
	what := "the hospital is closed"
	if c.Maintenance {
		what = "the hospital is in maintenance"
	}
	if c.Opens.IsZero() {
		return what + ", and its folder names no time at which it opens"
	}
	return what + " until " + c.Opens.Format(time.RFC3339)
}

func (c *Closed) kind() WaitKind {
	if c.Maintenance {
		return WaitMaintenance
	}
	return WaitClosed
}

// Rest says whether and until when a HIS is not called for this kind; nil: it is. A
// nil dialect is not known to rest.
func Rest(d *core.Dialect, kind core.Kind, now time.Time) *Closed {
	if d == nil || !d.Rests(kind, now) {
		return nil
	}
	closed := &Closed{Maintenance: d.Maintained(now)}
	if opens, ok := d.Opens(kind, now); ok {
		closed.Opens = opens
	}
	return closed
}

func resting(closed *Closed, kind core.Kind, now time.Time) error {
	fault := &core.Fault{Class: core.Unavailable, Op: string(kind), Err: closed}
	if !closed.Opens.IsZero() {
		fault.RetryAfter = closed.Opens.Sub(now)
	}
	return fault
}

// Refusal is the HIS's no to a question.
type Refusal struct {
	// Words of the HIS; they may name a patient.
	Words       string
	ShowPatient bool
}

func (*Refusal) Error() string { return "the HIS refused to answer" }

// Fresh asks unless the same question was answered within the time that the
// catalogue allows for its kind. The answer is canonical JSON.
func (q *Questions) Fresh(ctx context.Context, hospital string, kind core.Kind, body core.Body) (json.RawMessage, time.Time, error) {
	ask := func(ctx context.Context) ([]byte, error) {
		answer, err := q.Question(ctx, hospital, kind, body)
		if err != nil {
			return nil, err
		}
		return json.Marshal(answer)
	}
	t, _ := core.Lookup(kind)
	if q.Answers == nil || t.Keep == 0 {
		answer, err := ask(ctx)
		return answer, time.Now(), err
	}
	question, err := json.Marshal(body)
	if err != nil {
		return nil, time.Time{}, err
	}
	return q.Answers.Fetch(ctx, hospital+" "+string(kind)+" "+string(question), t.Keep, ask)
}

// empty is the answer when the HIS says that there is nothing.
func empty(t core.Transaction) any {
	answer := t.Answer()
	if s, ok := answer.(*core.Status); ok {
		s.State = core.StateAbsent
	}
	return answer
}

// asked are a hospital's slots for questions, and how many wait for one.
type asked struct {
	slots   chan struct{}
	waiting int
}

// crowd is how many may wait for each slot. Where the HIS hangs, whoever comes then
// hears so at once, in place of holding a request of ours until it gives up.
const crowd = 16

// slot waits for one of the hospital's slots for questions: half as many as it
// has for deliveries, so that a night or a busy clinic never starves the queue.
func (q *Questions) slot(ctx context.Context, h *core.Hospital) (free func(), err error) {
	q.mu.Lock()
	if q.slots == nil {
		q.slots = map[string]*asked{}
	}
	n := max(1, h.Limits.Concurrency/2)
	s := q.slots[h.ID()]
	if s == nil || cap(s.slots) != n {
		s = &asked{slots: make(chan struct{}, n)}
		q.slots[h.ID()] = s
	}
	if s.waiting >= crowd*n {
		q.mu.Unlock()
		return nil, errors.New("too many wait for an answer")
	}
	s.waiting++
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		s.waiting--
		q.mu.Unlock()
	}()
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
