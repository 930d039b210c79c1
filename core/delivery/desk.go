package delivery

import (
	"context"
	"errors"
	"fmt"
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
	hold        hold      // the HIS asked us to wait
	began       time.Time // this desk did
	quietUntil  time.Time // nothing that goes at any hour is looked for
	retries     retries
	broken      time.Time // since when the breaker is not closed; zero: it is closed
	failing     time.Time // when the first failed of those that only failures have followed
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
	k := &desk{Dispatcher: d, hospital: hospital, woken: make(chan struct{}, 1), closed: make(chan struct{}), began: time.Now()}
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
	n, kinds := k.room(h, time.Now())
	if n <= 0 {
		k.fill(ctx) // the limits may have been raised, for those that wait for a slot
		return nil
	}
	asked := time.Now()
	got, err := k.Store.Claim(ctx, k.Process, k.hospital, n, k.Lease, deadline(h), kinds...)
	if err != nil {
		return err
	}
	had := time.Now()
	k.mu.Lock()
	for i := range got {
		k.ready = append(k.ready, claimed{&got[i], asked, had})
	}
	k.hungry = len(got) == n
	if len(kinds) > 0 && len(got) == 0 {
		k.quietUntil = had.Add(quiet)
	}
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
		case k.held(c.Kind, time.Now()):
			k.wg.Go(func() { k.giveBack(ctx, c.Delivery) })
		case k.inFlight >= k.slots():
			return
		default:
			k.inFlight++
			k.wg.Go(func() {
				deepen()
				k.deliver(ctx, c)
			})
		}
		k.ready = k.ready[1:]
	}
}

// deepen makes the stack of a new goroutine as deep as an exchange needs, while there
// is nothing on it: else it is copied, with more on it each time, four times over.
//
//go:noinline
func deepen() {
	var deep [12 << 10]byte
	deepened(&deep)
}

//go:noinline
func deepened(*[12 << 10]byte) {}

// giveBack returns a claim of which nothing was sent.
func (k *desk) giveBack(ctx context.Context, d *Delivery) {
	_, _ = k.settle(ctx, d, nil, Next{State: Queued, Progress: d.asItStands(d.LeaseUntil.Add(-k.Lease)), Class: core.Unavailable, Because: "the hospital is not called at present"})
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
		if n.State == Queued && n.After < soon {
			time.AfterFunc(n.After+time.Millisecond, k.wake)
		}
		if n.State != Sending {
			return
		}
		d.Progress, d.Interrupted = n.Progress, false
	}
}

// soon is how short a wait must be for the sweep to be too slow for it.
const soon = 2 * time.Second

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
		// A question changes nothing, but it must not be asked in a pause either.
		if err := k.Store.Sent(ctx, d, h.Revision); err != nil {
			return err
		}
		d.Revision = h.Revision
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
	k.record(d.ID, &x)
	a := &Attempt{Number: d.Attempts + 1, Phase: d.Phase, Step: step.Name, Exchange: x, Now: now()}
	a.Waited = k.waited(d, a.Now)
	n := k.Policy.After(d, op, a)
	k.budget(d.ID, x, &n)
	return a, n, nil
}

// budget puts a repeat off where the hospital has had its share of them. What ended is
// not heard of again.
func (k *desk) budget(message int64, x core.Exchange, n *Next) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retries.answered(x.Verdict.Outcome, x.Ended.Sub(x.Started))
	if n.State == Parked || n.State == Cancelled {
		delete(k.hold.apart, message)
	}
	if n.State == Queued && n.Phase == Send {
		n.After = max(n.After, k.retries.wait(time.Now(), k.h.Limits))
	}
}

// asItStands is the progress of a delivery that this process does nothing about.
// That the answer to its last bytes was never read stays known; that to a question is
// no loss.
func (d *Delivery) asItStands(now time.Time) Progress {
	p := d.Progress
	if d.Interrupted && d.Phase != Inquire {
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
	l := Light{Problem: k.problem, InFlight: k.inFlight, Breaker: k.breaker.State().String(), Broken: k.broken, Failing: k.failing, HeldUntil: k.hold.until, LastSuccess: k.lastSuccess, LastFailure: k.lastFailure}
	if k.breaker.IsOpen() {
		l.Probe = time.Now().Add(max(0, k.breaker.RemainingDelay()))
	}
	return l
}
