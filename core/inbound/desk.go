// Package inbound is what a HIS tells us and asks of us: the desk that takes it
// once and gives the same answer again, and the addresses at which it is taken.
package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hishub/core"
)

// Fact is a valid message of a HIS.
type Fact struct {
	Hospital string
	Zone     *time.Location
	Kind     core.Kind
	Body     core.Body
	// Waits: somebody at the HIS waits for the answer, and nobody looks for it later.
	Waits bool
}

// Stored is a fact as the ledger has it.
type Stored struct {
	ID int64
	// Number counts how often it came.
	Number int
	// Open: nobody has decided yet, and Resolution is empty.
	Open bool
	core.Resolution
	// Other: the key was there with other content, which is not kept.
	Other bool
}

// Store keeps facts, each once.
type Store interface {
	// Arrive keeps a fact with its event in one transaction, decided as r unless r
	// is nil, or finds it. content is what makes it the same. A ledger that was
	// pushed is kept as a statement too, and the same day again with other content
	// takes its place.
	Arrive(ctx context.Context, f Fact, content []byte, r *core.Resolution) (Stored, error)
	// Decide settles an open fact with its event in one transaction, and money with
	// its ledger entry; what was decided before stays, and is returned.
	Decide(ctx context.Context, id int64, f Fact, r core.Resolution) (core.Resolution, error)
	// Look finds a fact; ID is 0 when there is none.
	Look(ctx context.Context, hospital string, kind core.Kind, key string) (Stored, error)
	// Said keeps the bytes of an exchange, with secrets masked.
	Said(ctx context.Context, id int64, number int, request, answer []byte) error
	// Booked is what we booked in a stretch of time.
	Booked(ctx context.Context, hospital string, from, to time.Time) ([]core.LedgerEntry, error)
}

// Decider decides what the platform is asked. It is called again for the same
// body until it gave a Resolution of done or refused, by any process and by two
// at the same moment, and must do what it does once. An error means: not yet.
type Decider func(ctx context.Context, hospital string, body core.Body) (core.Resolution, error)

// ErrElsewhere is a Decider's word that another program decides, over the API. Who
// waits for the answer gets it as soon as it is there.
var ErrElsewhere = errors.New("another program decides it")

// Desk takes what comes in.
type Desk struct {
	Store Store
	// Deciders of the kinds that are not done by being kept. What none decides is
	// decided elsewhere, and open until then.
	Deciders map[core.Kind]Decider
	Log      *slog.Logger
	// Patience is how long a decision may go on after the HIS was told "unknown".
	Patience time.Duration

	mu       sync.Mutex
	deciding map[int64]*decision
	work     sync.WaitGroup
}

// Taken is the answer, and under which number the exchange is to be kept.
type Taken struct {
	ID     int64
	Number int
	core.Resolution
}

// Our words to the people at the hospital.
const (
	wordsLater   = "处理中，请稍后用同一单号重试"
	wordsOther   = "该单号已用于另一笔内容"
	wordsAway    = "平台暂不可用，请稍后用同一单号重试"
	wordsInvalid = "签名或报文不正确"
)

// Take keeps a fact and answers it within ctx, whose deadline is that of the
// HIS. It never fails: what could not be kept or decided is unknown.
func (d *Desk) Take(ctx context.Context, f Fact) Taken {
	t, err := d.take(ctx, f)
	if err != nil {
		d.Log.Error("take what a HIS says", "hospital", f.Hospital, "kind", f.Kind, "error", err)
		return Taken{ID: t.ID, Number: t.Number, Resolution: core.Resolution{State: core.ResultUnknown, Message: wordsAway}}
	}
	return t
}

func (d *Desk) take(ctx context.Context, f Fact) (Taken, error) {
	content, err := contentOf(f.Body)
	if err != nil {
		return Taken{}, err
	}
	// A notice is done by being kept, a question by being answered.
	var r *core.Resolution
	switch f.Kind {
	case core.RefundApply:
	case core.RefundQueried:
		r, err = d.refundState(ctx, f)
	case core.LedgerPulled:
		r, err = d.ledger(ctx, f)
	default:
		r = &core.Resolution{State: core.ResultDone}
	}
	if err != nil {
		return Taken{}, err
	}
	question := f.Kind == core.RefundQueried || f.Kind == core.LedgerPulled
	s, err := d.Store.Arrive(ctx, f, content, r)
	t := Taken{ID: s.ID, Number: s.Number, Resolution: s.Resolution}
	switch {
	case err != nil:
		return t, err
	case question:
		t.Resolution = *r // of now, not of the first time
	case s.Other:
		t.Resolution = core.Resolution{State: core.ResultRefused, Message: wordsOther}
	case s.Open:
		t.Resolution = d.decide(ctx, s.ID, f)
	}
	return t, nil
}

// Said keeps the exchange of what was taken. Failing to is logged: the HIS has
// its answer all the same.
func (d *Desk) Said(ctx context.Context, t Taken, request, answer []byte) {
	if t.ID == 0 {
		return
	}
	if err := d.Store.Said(ctx, t.ID, t.Number, request, answer); err != nil {
		d.Log.Error("keep an exchange", "inbound", t.ID, "error", err)
	}
}

// contentOf is the canonical JSON without the time at which the HIS says that it
// happened, which in some dialects is the time of sending.
func contentOf(b core.Body) ([]byte, error) {
	whole, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("write the content: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(whole, &fields); err != nil {
		return nil, fmt.Errorf("read the content: %w", err)
	}
	delete(fields, "at")
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err = e.Encode(fields) // sorted by name
	return out.Bytes(), err
}

// decision is one that is under way in this process; repeats wait for it.
type decision struct {
	ended chan struct{}
	core.Resolution
	err error
}

// decide asks the platform, and answers unknown when that takes too long. The
// decision goes on then, and the repeat finds it.
func (d *Desk) decide(ctx context.Context, id int64, f Fact) core.Resolution {
	unknown := core.Resolution{State: core.ResultUnknown, Message: wordsLater}
	for {
		x := d.begun(ctx, id, f)
		select {
		case <-x.ended:
			if x.err == nil {
				return x.Resolution
			}
		case <-ctx.Done():
		}
		// Who asked first waits no longer; the repeat does.
		if !f.Waits || ctx.Err() != nil || !errors.Is(x.err, ErrElsewhere) {
			return unknown
		}
	}
}

// begun is the decision that is under way, or begins now.
func (d *Desk) begun(ctx context.Context, id int64, f Fact) *decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.deciding[id]
	if x == nil {
		x = &decision{ended: make(chan struct{})}
		if d.deciding == nil {
			d.deciding = map[int64]*decision{}
		}
		d.deciding[id] = x
		d.work.Go(func() { d.run(ctx, id, f, x) })
	}
	return x
}

// run decides; asked is the time that the first who asks has.
func (d *Desk) run(asked context.Context, id int64, f Fact, x *decision) {
	patience := d.Patience
	if patience == 0 {
		patience = time.Minute
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(asked), patience)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			x.err = fmt.Errorf("%T", p)
		}
		if x.err != nil && !errors.Is(x.err, ErrElsewhere) {
			d.Log.Warn("not decided yet", "inbound", id, "hospital", f.Hospital, "kind", f.Kind, "error", x.err)
		}
		d.mu.Lock()
		delete(d.deciding, id)
		d.mu.Unlock()
		close(x.ended)
	}()
	if decider := d.Deciders[f.Kind]; decider != nil {
		x.Resolution, x.err = decider(ctx, f.Hospital, f.Body)
	} else {
		x.err = ErrElsewhere
	}
	switch {
	case errors.Is(x.err, ErrElsewhere):
		if f.Waits {
			x.Resolution, x.err = d.elsewhere(ctx, asked, f)
		}
	case x.err != nil:
	case x.State != core.ResultDone && x.State != core.ResultRefused:
		x.err = errors.New("the decision is neither done nor refused")
	default:
		x.Resolution, x.err = d.Store.Decide(ctx, id, f, x.Resolution)
	}
}

// lookAgain is how long a decision elsewhere may be there before who waits for it knows.
const lookAgain = 200 * time.Millisecond

// elsewhere waits for what another program decides, as long as who asked does.
func (d *Desk) elsewhere(ctx, asked context.Context, f Fact) (core.Resolution, error) {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		select {
		case <-asked.Done():
			return core.Resolution{}, ErrElsewhere
		case <-ctx.Done():
			return core.Resolution{}, ErrElsewhere
		case <-again.C:
		}
		s, err := d.Store.Look(ctx, f.Hospital, f.Kind, f.Body.Key())
		if err != nil || s.ID != 0 && !s.Open {
			return s.Resolution, err
		}
	}
}

// Close waits for decisions that are under way, until ctx ends: one that is left
// alone is taken up again when the HIS repeats.
func (d *Desk) Close(ctx context.Context) {
	ended := make(chan struct{})
	go func() { d.work.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// refundState answers from what was taken before: the HIS asks about its own
// refund, and we know whether it is decided.
func (d *Desk) refundState(ctx context.Context, f Fact) (*core.Resolution, error) {
	s, err := d.Store.Look(ctx, f.Hospital, core.RefundApply, f.Body.Key())
	if err != nil {
		return nil, err
	}
	status := &core.Status{State: core.StateAbsent}
	switch {
	case s.ID == 0:
	case s.Open:
		status.State = core.StateRunning
	case s.State == core.ResultDone:
		status.State = core.StateDone
	case s.State == core.ResultRefused:
		status.State = core.StateRefused
	}
	if receipt, ok := s.Answer.(*core.Receipt); ok && receipt != nil {
		status.Receipt = *receipt
	}
	status.Message = s.Message
	return &core.Resolution{State: core.ResultDone, Message: s.Message, Answer: status}, nil
}

// ledger is what we booked on a day of the hospital.
func (d *Desk) ledger(ctx context.Context, f Fact) (*core.Resolution, error) {
	from, err := time.ParseInLocation(time.DateOnly, f.Body.(*core.LedgerPull).Day, f.Zone)
	if err != nil {
		return nil, err
	}
	entries, err := d.Store.Booked(ctx, f.Hospital, from, from.AddDate(0, 0, 1))
	if err != nil {
		return nil, err
	}
	return &core.Resolution{State: core.ResultDone, Answer: &core.Ledger{Entries: entries}}, nil
}
