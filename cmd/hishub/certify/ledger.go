package certify

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// ledger is a delivery.Store in memory, for one hospital and one run. Each message
// has a lane of its own, because the run itself decides what waits for what.
type ledger struct {
	hospital string

	mu       sync.Mutex
	last     int64
	messages map[int64]*message
	wake     func(hospital string)
}

// message is one on its way, and all that became of it.
type message struct {
	delivery.Delivery
	due      time.Time
	claimed  bool
	attempts []attempt
	last     delivery.Next
	done     chan struct{}
	watch
}

// attempt is one exchange and what the policy made of it.
type attempt struct {
	delivery.Attempt
	next delivery.Next
}

// watch is told of a message's way, before it goes on. Both may be nil.
type watch struct {
	// sent is called before the first byte of a step or an undo leaves.
	sent func(step int, phase delivery.Phase)
	// settled is called with each attempt after it was kept.
	settled func(attempt)
}

func newLedger(hospital string) *ledger {
	return &ledger{hospital: hospital, messages: map[int64]*message{}}
}

// accept takes a message in and has it delivered.
func (l *ledger) accept(kind core.Kind, body core.Body, w watch) *message {
	l.mu.Lock()
	l.last++
	now := time.Now()
	m := &message{due: now, done: make(chan struct{}), watch: w, Delivery: delivery.Delivery{
		ID: l.last, Hospital: l.hospital, Kind: kind, Lane: fmt.Sprint(l.last), Accepted: now, Body: body,
		Progress: delivery.Progress{Phase: delivery.Send},
	}}
	l.messages[m.ID] = m
	wake := l.wake
	l.mu.Unlock()
	if wake != nil {
		wake(l.hospital)
	}
	return m
}

// cancel is a person's wish.
func (l *ledger) cancel(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.CancelWanted = true
}

// giveUp takes a message off the queue that did not come to an end in time.
func (l *ledger) giveUp(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.messages, m.ID)
}

// Own implements delivery.Store: there is one process, and it has everything.
func (l *ledger) Own(context.Context, string, time.Duration) ([]int, error) { return []int{0}, nil }

// Leave implements delivery.Store.
func (l *ledger) Leave(context.Context, string, []string) error { return nil }

// Now implements delivery.Store.
func (l *ledger) Now(context.Context) (time.Time, error) { return time.Now(), nil }

// Due implements delivery.Store.
func (l *ledger) Due(context.Context, string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.messages {
		if m.waits() {
			return []string{l.hospital}, nil
		}
	}
	return nil, nil
}

func (m *message) waits() bool { return !m.claimed && !time.Now().Before(m.due) }

// Claim implements delivery.Store.
func (l *ledger) Claim(_ context.Context, _, _ string, n int, lease, _ time.Duration, _ ...core.Kind) ([]delivery.Delivery, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var claims []delivery.Delivery
	for id := int64(1); id <= l.last && len(claims) < n; id++ {
		m := l.messages[id]
		if m == nil || !m.waits() {
			continue
		}
		m.claimed = true
		m.Fence++
		m.LeaseUntil = time.Now().Add(lease)
		claims = append(claims, m.Delivery)
	}
	return claims, nil
}

// Sent implements delivery.Store.
func (l *ledger) Sent(_ context.Context, d *delivery.Delivery, revision int) error {
	m, err := l.held(d)
	if err != nil {
		return err
	}
	l.mu.Lock()
	m.Revision = revision
	l.mu.Unlock()
	if m.sent != nil {
		m.sent(d.Step, d.Phase)
	}
	return nil
}

func (l *ledger) held(d *delivery.Delivery) (*message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.messages[d.ID]
	if m == nil || !m.claimed || m.Fence != d.Fence {
		return nil, delivery.ErrLeaseLost
	}
	return m, nil
}

// Settle implements delivery.Store.
func (l *ledger) Settle(_ context.Context, d *delivery.Delivery, a *delivery.Attempt, n delivery.Next) (bool, error) {
	m, err := l.held(d)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	m.Progress, m.last = n.Progress, n
	if a != nil {
		m.attempts = append(m.attempts, attempt{*a, n})
	}
	l.mu.Unlock()
	if a != nil && m.settled != nil {
		m.settled(attempt{*a, n}) // the claim is still held, so nothing goes on meanwhile
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d.CancelWanted = m.CancelWanted
	switch n.State {
	case delivery.Sending:
	case delivery.Queued:
		m.claimed, m.due = false, time.Now().Add(n.After)
	default:
		delete(l.messages, m.ID)
		close(m.done)
	}
	return false, nil
}

// Wake implements delivery.Wakes.
func (l *ledger) Wake(string) {}

// Listen implements delivery.Wakes.
func (l *ledger) Listen(_ context.Context, _ []int, f func(hospital string)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake = f
	return nil
}

// sends are the attempts that carried a step.
func (m *message) sends(step int, op *core.Operation) []attempt {
	var all []attempt
	for _, a := range m.attempts {
		if a.Phase == delivery.Send && a.Step == op.Steps[step].Name {
			all = append(all, a)
		}
	}
	return all
}
