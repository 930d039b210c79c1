package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"golang.org/x/time/rate"

	"hishub/core"
)

// desk works the queue of one hospital: it claims what has a free slot, and a few
// more so that a slot does not stand empty for the time of a claim, and carries
// each claim through its exchanges.
type desk struct {
	*Dispatcher
	hospital string
	woken    chan struct{}
	closed   chan struct{}
	once     sync.Once
	breaker  circuitbreaker.CircuitBreaker[any]

	mu          sync.Mutex
	h           *core.Hospital // as it was at the last claim
	limiter     *rate.Limiter
	ramp        int       // slots after an outage, one more with each answer; 0: all of them
	broken      time.Time // since when the breaker is not closed; zero: it is closed
	inFlight    int       // claims that hold a slot
	ready       []claimed // claims that wait for a slot; nothing of them is sent
	settling    int       // exchanges that are over but not yet settled
	hungry      bool
	problem     string
	lastSuccess time.Time
	lastFailure time.Time
}

// claimed is a claim and when it was asked for and had, by this process's own clock.
type claimed struct {
	*Delivery
	asked, had time.Time
}

func newDesk(d *Dispatcher, hospital string) *desk {
	k := &desk{Dispatcher: d, hospital: hospital, woken: make(chan struct{}, 1), closed: make(chan struct{})}
	// Opens after five failures in a row, then lets one probe through at a time.
	k.breaker = circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(5).WithSuccessThreshold(1).
		WithDelay(2 * time.Second).Build()
	return k
}

func (k *desk) wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

// close ends the claiming; under the lock, so that fill starts nothing after it.
func (k *desk) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.once.Do(func() { close(k.closed) })
}

func (k *desk) isClosed() bool {
	select {
	case <-k.closed:
		return true
	default:
		return false
	}
}

// run claims whenever it is woken, until the desk is closed.
func (k *desk) run(ctx context.Context) {
	for {
		select {
		case <-k.closed:
			return
		case <-k.woken:
			if err := k.claim(ctx); err != nil {
				k.Log.Error("claim", "hospital", k.hospital, "error", err)
			}
		}
	}
}

// claim fills the free slots. While it runs, more slots may become free and more
// messages due: the next claim takes them all at once.
func (k *desk) claim(ctx context.Context) error {
	h, err := k.Hospitals.Hospital(ctx, k.hospital, 0)
	k.note(err)
	if err != nil {
		return err
	}
	n := k.room(h, time.Now())
	if n <= 0 {
		k.fill(ctx) // the limits may have been raised, for those that wait for a slot
		return nil
	}
	asked := time.Now()
	got, err := k.Store.Claim(ctx, k.Process, k.hospital, n, k.Lease, deadline(h))
	if err != nil {
		return err
	}
	had := time.Now()
	k.mu.Lock()
	for i := range got {
		k.ready = append(k.ready, claimed{&got[i], asked, had})
	}
	k.hungry = len(got) == n
	if k.limiter != nil {
		k.limiter.AllowN(time.Now(), len(got))
	}
	k.mu.Unlock()
	k.fill(ctx)
	if len(got) == n {
		k.wake()
	}
	return nil
}

// fill gives the free slots to claims that wait for one. When the hospital may
// not be called now after all, they go back to the queue.
func (k *desk) fill(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.ready) > 0 && !k.isClosed() { // Leave gives up what is left at the end
		c := k.ready[0]
		switch {
		case k.breaker.IsOpen() || closedFor(k.h, time.Now()):
			k.wg.Go(func() { k.giveBack(ctx, c.Delivery) })
		case k.inFlight >= k.slots():
			return
		default:
			k.inFlight++
			k.wg.Go(func() { k.deliver(ctx, c) })
		}
		k.ready = k.ready[1:]
	}
}

// giveBack returns a claim of which nothing was sent.
func (k *desk) giveBack(ctx context.Context, d *Delivery) {
	_, _ = k.settle(ctx, d, nil, Next{State: Queued, Progress: d.asItStands(d.LeaseUntil.Add(-k.Lease)), Class: core.Unavailable, Because: "the hospital is not called at present"})
}

// slots is how many exchanges may be in flight now. k.mu is held.
func (k *desk) slots() int {
	n := max(k.h.Limits.Concurrency, 1)
	if k.ramp > 0 {
		n = min(n, k.ramp)
	}
	return n
}

// spare is how many claims may wait for a slot. A hospital that takes few at
// once gets none: there a claim could wait for long, and be sent after a pause.
func (k *desk) spare() int {
	if n := k.slots(); n >= 4 {
		return n / 2
	}
	return 0
}

// closedFor reports whether a maintenance window is open.
func closedFor(h *core.Hospital, now time.Time) bool {
	local := now.In(h.Zone)
	return slices.ContainsFunc(h.Maintenance, func(w core.Window) bool { return w.Contains(local) })
}

// room is how many more claims the hospital may have now. Breaker, rate and
// maintenance windows hold claims back, so waiting in them spends no attempt.
func (k *desk) room(h *core.Hospital, now time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.h = h
	if closedFor(h, now) {
		return 0
	}
	n := k.slots() + k.spare() - k.inFlight - len(k.ready)
	n = min(n, 4*k.slots()+16-k.inFlight-k.settling)
	if k.breaker.IsOpen() {
		if k.breaker.RemainingDelay() > 0 {
			return 0 // the sweep comes back
		}
		k.breaker.HalfOpen()
	}
	if k.breaker.IsHalfOpen() {
		// One probe at a time. The slots count it, not the breaker's permits: a
		// permit taken for a claim that finds nothing would never come back.
		n = min(n, 1-k.inFlight-len(k.ready))
	}
	if n <= 0 {
		k.hungry = true
		return 0
	}
	if h.Limits.Rate > 0 {
		if k.limiter == nil || float64(k.limiter.Limit()) != h.Limits.Rate {
			k.limiter = rate.NewLimiter(rate.Limit(h.Limits.Rate), max(1, int(h.Limits.Rate)))
		}
		if n = min(n, int(k.limiter.TokensAt(now))); n == 0 {
			time.AfterFunc(time.Duration(float64(time.Second)/h.Limits.Rate), k.wake)
			return 0
		}
	}
	return n
}

// deadline is the longest that a call to this hospital may take.
func deadline(h *core.Hospital) time.Duration {
	longest := time.Second
	for name := range h.Connectors {
		longest = max(longest, h.Timeout(name))
	}
	return longest
}

// deliver carries one claim through its exchanges until it waits, ends or is
// lost.
func (k *desk) deliver(ctx context.Context, c claimed) {
	d, held := c.Delivery, c.asked
	slot := true
	release := func() {
		if !slot {
			return
		}
		slot = false
		k.mu.Lock()
		k.inFlight--
		k.mu.Unlock()
		k.fill(ctx)
		k.mu.Lock()
		low := k.hungry && len(k.ready) <= k.spare()/2
		k.mu.Unlock()
		if low {
			k.wake()
		}
	}
	defer release()
	// The ledger's clock, carried forward by ours.
	claimedAt := d.LeaseUntil.Add(-k.Lease)
	began := held
	now := func() time.Time { return claimedAt.Add(time.Since(began)) }

	for first := true; ; first = false {
		round := Round{Begun: time.Now()}
		if k.Traced != nil {
			round.Before = *d
			if first {
				round.Waited, round.Asked, round.Claimed = claimedAt.Sub(d.Accepted), c.asked, c.had
			}
		}
		a, n, err := k.exchange(ctx, d, held, now)
		if err != nil {
			return // lost: whoever holds the claim now decides
		}
		if n.State != Sending {
			release()
		}
		held = time.Now()
		promoted, err := k.settle(ctx, d, a, n)
		if err != nil {
			return
		}
		if k.Ended != nil {
			k.Ended(k.hospital, n)
		}
		if k.Traced != nil {
			round.Attempt, round.Next, round.Settling, round.Settled = a, n, held, time.Now()
			k.Traced(round)
		}
		if promoted {
			k.wake()
		}
		if n.State != Sending {
			return
		}
		d.Progress, d.Interrupted = n.Progress, false
	}
}

// exchange makes the next exchange of a delivery and decides what follows. The
// attempt is nil when it was decided without one.
func (k *desk) exchange(ctx context.Context, d *Delivery, held time.Time, now func() time.Time) (*Attempt, Next, error) {
	h, err := k.Hospitals.Hospital(ctx, d.Hospital, d.Revision)
	if err != nil {
		k.Log.Error("open hospital", "hospital", d.Hospital, "revision", d.Revision, "error", err)
		return nil, Next{State: Queued, After: 5 * time.Second, Progress: d.asItStands(now()), Class: core.Unavailable, Because: "the hospital's configuration cannot be opened"}, nil
	}
	op := h.Operations[d.Kind]
	if op == nil {
		return nil, Next{State: Parked, Progress: d.asItStands(now()), Class: core.Invalid, Because: fmt.Sprintf("revision %d of the hospital's folder has no %s", h.Revision, d.Kind)}, nil
	}
	if d.Step >= len(op.Steps) {
		return nil, Next{State: Parked, Progress: d.asItStands(now()), Class: core.Invalid, Because: fmt.Sprintf("revision %d of the hospital's folder has fewer steps than were done", h.Revision)}, nil
	}
	if instead, ok := k.Policy.Before(d, op, now()); !ok {
		return nil, instead, nil
	}
	step := &op.Steps[d.Step]
	in := core.Input{Body: d.Body, Kind: d.Kind, Captured: d.Captured, Stamp: h.Stamp(d.Body.Key(), d.Accepted, d.Attempts+1)}
	in.Stamp.At = now() // the ledger's clock, as the message's other time: this process's may be wrong
	if d.Phase == Send && d.LastByte.IsZero() && step.When != nil {
		switch applies, err := step.When(in); {
		case err != nil:
			n := Next{State: Parked, Progress: d.Progress, Class: core.Invalid, Because: "step " + step.Name + ": when: " + err.Error()}
			var code *core.UnmappedCode
			if errors.As(err, &code) {
				n.Codes = []core.CodeUse{code.Use()}
			}
			return nil, n, nil
		case !applies:
			return nil, k.Policy.Skip(d, op), nil
		}
	}

	call := &step.Call
	switch {
	case d.Phase == Inquire && step.Inquire == nil:
		return nil, Next{State: Parked, Progress: d.Progress, Class: core.InDoubt, Because: "it may have happened and the HIS cannot be asked"}, nil
	case d.Phase == Inquire:
		call = &step.Inquire.Call
	case d.Phase == Undo && step.Undo == nil:
		return nil, Next{State: Parked, Progress: d.Progress, Class: core.Rejected, Because: "a finished step cannot be taken back"}, nil
	case d.Phase == Undo:
		call = &step.Undo.Call
	}
	before := func(ctx context.Context) error {
		if d.Phase != Inquire { // a question changes nothing, so nothing need be known of it after a crash
			if err := k.Store.Sent(ctx, d, h.Revision); err != nil {
				return err
			}
			d.Revision = h.Revision
		}
		// The last act before the first byte: this process may have stood still.
		if time.Since(held) > k.Lease-k.Lease/10 {
			return ErrLeaseLost
		}
		return nil
	}
	x := h.Ask(ctx, call, in, before)
	if lost(x.Verdict.Err) {
		return nil, Next{}, ErrLeaseLost
	}
	k.record(x.Verdict.Outcome)
	a := &Attempt{Number: d.Attempts + 1, Phase: d.Phase, Step: step.Name, Exchange: x, Now: now()}
	return a, k.Policy.After(d, op, a), nil
}

// asItStands is the progress of a delivery that this process does nothing about.
// That the answer to its last bytes was never read stays known.
func (d *Delivery) asItStands(now time.Time) Progress {
	p := d.Progress
	if d.Interrupted {
		p.Unanswered, p.LastByte = true, now
	}
	return p
}

// settle saves what happened. While the database is away it keeps trying: only
// this process knows the answer, and the fence keeps a late one harmless.
func (k *desk) settle(ctx context.Context, d *Delivery, a *Attempt, n Next) (promoted bool, err error) {
	k.mu.Lock()
	k.settling++
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.settling--
		// Where settling held the claims back, no slot is left whose release would wake.
		starved := k.hungry && k.inFlight == 0
		k.mu.Unlock()
		if starved {
			k.wake()
		}
	}()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		promoted, err = k.Store.Settle(ctx, d, a, n)
		switch {
		case err == nil:
			return promoted, nil
		case lost(err):
			k.Log.Warn("an answer came after the lease was over; kept as late", "hospital", d.Hospital, "message", d.ID)
			return false, err
		}
		k.Log.Error("settle; trying again", "hospital", d.Hospital, "message", d.ID, "error", err)
		if !sleep(ctx, wait) {
			return false, ctx.Err()
		}
	}
}

// record tells the breaker. After an outage the slots come back one with each
// answer, so their number doubles in the time of one answer: a HIS that has just
// started meets first one request, then two, four, eight.
func (k *desk) record(o core.Outcome) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch o {
	case core.OutcomeUnavailable, core.OutcomeInDoubt:
		k.breaker.RecordFailure()
		k.lastFailure = time.Now()
		if k.broken.IsZero() && !k.breaker.IsClosed() {
			k.broken = time.Now()
		}
		switch {
		case !k.broken.IsZero():
			k.ramp = 1
		case k.ramp > 0:
			k.ramp = max(1, k.ramp/2)
		}
	case core.OutcomeInvalid: // says nothing about the HIS
	default:
		k.breaker.RecordSuccess()
		k.lastSuccess = time.Now()
		if !k.breaker.IsClosed() {
			return // it was sent before the outage
		}
		k.broken = time.Time{}
		if k.ramp > 0 && o != core.OutcomeBusy {
			k.ramp++
		}
		if k.ramp > k.h.Limits.Concurrency {
			k.ramp = 0
		}
	}
}

// note keeps why the hospital cannot be worked for at all.
func (k *desk) note(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.problem = ""
	if err != nil {
		k.problem = err.Error()
	}
}

func (k *desk) light() Light {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Light{Problem: k.problem, InFlight: k.inFlight, Breaker: k.breaker.State().String(), Broken: k.broken, LastSuccess: k.lastSuccess, LastFailure: k.lastFailure}
}
