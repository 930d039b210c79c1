package postgres

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// park parks the head with this class and progress, and gives back the claim.
func (l *ledger) park(id int64, class core.Class, change func(*delivery.Next)) {
	l.tb.Helper()
	d := l.one(id)
	l.sent(d)
	n := next(d, delivery.Parked)
	n.Class = class
	if change != nil {
		change(&n)
	}
	l.settle(d, n)
}

func (l *ledger) state(id int64) delivery.State {
	l.tb.Helper()
	m, _, err := l.Message(l.ctx, id)
	l.must(err)
	return m.State
}

func (l *ledger) refused(err error) {
	l.tb.Helper()
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		l.tb.Errorf("want a refusal, got %v", err)
	}
}

func inDoubt(n *delivery.Next) { n.LastByte = time.Now() }
func asking(n *delivery.Next)  { n.LastByte, n.Phase = time.Now(), delivery.Inquire }
func halfDone(n *delivery.Next) {
	n.Finished, n.Step = []delivery.Finished{{Step: 0, At: time.Now()}}, 1
}

// What Cancel does in each situation.
func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name     string
		prepare  func(l *ledger, id int64)
		done     bool
		refused  bool
		state    delivery.State
		wanted   bool
		laneFree bool
	}{
		{name: "queued", prepare: func(l *ledger, id int64) {}, done: true, state: delivery.Cancelled, laneFree: true},
		{name: "claimed and not sent", prepare: func(l *ledger, id int64) { l.one(id) }, done: true, state: delivery.Cancelled, laneFree: true},
		{name: "sent", prepare: func(l *ledger, id int64) { l.sent(l.one(id)) }, state: delivery.Sending, wanted: true},
		{name: "sent by a process that is gone", prepare: func(l *ledger, id int64) {
			l.sent(l.one(id))
			l.expire("lease_until")
			l.expire("takeover_at")
		}, state: delivery.Queued, wanted: true},
		{name: "waits to inquire", prepare: func(l *ledger, id int64) {
			d := l.one(id)
			l.sent(d)
			n := next(d, delivery.Queued)
			asking(&n)
			n.After = time.Hour
			l.settle(d, n)
		}, state: delivery.Queued, wanted: true},
		{name: "parked, refused", prepare: func(l *ledger, id int64) { l.park(id, core.Rejected, nil) }, done: true, state: delivery.Cancelled, laneFree: true},
		{name: "parked in doubt, can be asked", prepare: func(l *ledger, id int64) { l.park(id, core.InDoubt, asking) }, state: delivery.Queued, wanted: true},
		{name: "parked in doubt, cannot be asked", prepare: func(l *ledger, id int64) { l.park(id, core.InDoubt, inDoubt) }, state: delivery.Parked, wanted: true},
		{name: "parked with a finished step", prepare: func(l *ledger, id int64) { l.park(id, core.Rejected, halfDone) }, state: delivery.Queued, wanted: true},
		{name: "delivered", prepare: func(l *ledger, id int64) { l.deliver(id) }, refused: true, state: delivery.Delivered, laneFree: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger(t)
			id := l.enqueue(payment("A1", "L1"))
			c.prepare(l, id)
			behind := l.enqueue(payment("A2", "L1"))
			done, err := l.Cancel(l.ctx, id, "nurse", "a mistake")
			if c.refused {
				l.refused(err)
			} else {
				l.must(err)
			}
			m, _, err := l.Message(l.ctx, id)
			l.must(err)
			if done != c.done || m.State != c.state || m.CancelWanted != c.wanted {
				t.Errorf("done %v, state %s, wish %v", done, m.State, m.CancelWanted)
			}
			ds := l.claim(10)
			if free := slices.Contains(ids(ds), behind); free != c.laneFree {
				t.Errorf("claimable: %v, want the one behind it %v", ids(ds), c.laneFree)
			}
			for _, d := range ds {
				if d.ID == id && !d.CancelWanted {
					t.Error("the claim does not tell of the wish")
				}
			}
			decisions, err := l.Decisions(l.ctx, id)
			l.must(err)
			if want := 1; !c.refused && (len(decisions) != want || decisions[0].Who != "nurse" || decisions[0].Verb != "cancel") {
				t.Errorf("decisions %+v", decisions)
			}
			types, _ := l.events("")
			if cancelled := slices.Contains(types, fmt.Sprint("message.cancelled ", id)); cancelled != c.done {
				t.Errorf("events %v", types)
			}
		})
	}
}

func TestCancelledWhileClaimedIsNotSent(t *testing.T) {
	l := newLedger(t)
	d := l.one(l.enqueue(payment("A1", "L1")))
	_, err := l.Cancel(l.ctx, d.ID, "nurse", "")
	l.must(err)
	if err := l.Sent(l.ctx, d, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Sent after it was cancelled: %v", err)
	}
	if _, err := l.Settle(l.ctx, d, attempt(d, core.OutcomeUnavailable), next(d, delivery.Queued)); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Settle after it was cancelled: %v", err)
	}
	if s := l.state(d.ID); s != delivery.Cancelled {
		t.Errorf("it is %s", s)
	}
}

func TestRetryAndRelease(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.refused(l.Release(l.ctx, id, "nurse", Again, ""))
	d := l.one(id)
	l.refused(l.Retry(l.ctx, id, "nurse"))
	n := next(d, delivery.Queued)
	n.After, n.Failures, n.Busy, n.Class = time.Hour, 5, 7, core.Unavailable
	l.settle(d, n)
	l.none()
	l.must(l.Retry(l.ctx, id, "nurse"))
	d = l.one(id)
	n = next(d, delivery.Parked)
	n.Class, n.Because, n.Words = core.Invalid, "unmapped code", "测试一 is unknown"
	l.settle(d, n)
	l.refused(l.Retry(l.ctx, id, "nurse"))
	m, attempts, err := l.Message(l.ctx, id)
	l.must(err)
	if m.State != delivery.Parked || m.Class != core.Invalid || m.Reason != "unmapped code" || m.Words != "测试一 is unknown" || m.Attempts != 2 || len(attempts) != 2 {
		t.Errorf("parked: %+v with %d attempts", m, len(attempts))
	}
	l.must(l.Release(l.ctx, id, "nurse", Again, "mended"))
	if m, _, _ := l.Message(l.ctx, id); m.State != delivery.Queued || m.Class != "" || m.Words != "" {
		t.Errorf("released: %+v", m)
	}
	d = l.one(id)
	if d.Failures != 0 || d.Busy != 0 || d.Attempts != 2 {
		t.Errorf("released with %d failures, %d busy and %d attempts", d.Failures, d.Busy, d.Attempts)
	}
	n = next(d, delivery.Parked)
	asking(&n)
	n.Receipt = &core.Receipt{HisNo: "H7"}
	l.settle(d, n)
	l.must(l.Release(l.ctx, id, "nurse", Confirmed, "seen on their screen"))
	m, _, err = l.Message(l.ctx, id)
	l.must(err)
	if m.State != delivery.Delivered || m.Receipt == nil || m.Receipt.HisNo != "H7" || m.DecidedAt == nil {
		t.Errorf("confirmed: %+v", m)
	}
	if err := l.Release(l.ctx, 999, "nurse", Again, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("release of nothing: %v", err)
	}
	var problems core.Problems
	if err := l.Release(l.ctx, id, "nurse", "maybe", ""); !errors.As(err, &problems) {
		t.Errorf("a decision that does not exist: %v", err)
	}
}

func TestReleaseOfOneThatWasPassed(t *testing.T) {
	l := newLedger(t, func(o *Options) { o.PassWhenParked = func(string, core.Kind) bool { return true } })
	first := l.enqueue(voiding("R1", "L1"))
	second := l.enqueue(voiding("R2", "L1"))
	third := l.enqueue(voiding("R3", "L1"))
	l.park(first, core.Invalid, nil)
	d := l.one(second) // passes
	l.must(l.Release(l.ctx, first, "nurse", Again, ""))
	l.none() // never two at once
	l.settle(d, next(d, delivery.Delivered))
	l.deliver(first)
	l.deliver(third)
}

func corrected(order string, amount core.Fen) core.Body {
	b := payment(order, "").Body.(*core.Payment)
	b.Amount = amount
	return b
}

func TestSupersedeKeepsThePlace(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(voiding("R1", "L1"))
	behind := l.enqueue(voiding("R2", "L1"))
	better := voiding("R1", "").Body.(*core.PrescriptionVoiding)
	better.Reason = "another reason"
	_, err := l.Supersede(l.ctx, id, better, "nurse", "")
	l.refused(err)
	l.park(id, core.Rejected, nil)

	other := voiding("R9", "").Body
	var problems core.Problems
	if _, err := l.Supersede(l.ctx, id, other, "nurse", ""); !errors.As(err, &problems) {
		t.Errorf("another key: %v", err)
	}
	a, err := l.Supersede(l.ctx, id, better, "nurse", "typo")
	l.must(err)
	_, err = l.Supersede(l.ctx, id, better, "nurse", "again")
	l.refused(err)
	old, _, err := l.Message(l.ctx, id)
	l.must(err)
	if old.State != delivery.Cancelled || old.SupersededBy != a.ID {
		t.Errorf("the old one: %+v", old)
	}
	d := l.one(a.ID) // before the one behind it
	if d.Body.(*core.PrescriptionVoiding).Reason != "another reason" || d.Lane != "L1" {
		t.Errorf("the new one: %+v", d)
	}
	l.settle(d, next(d, delivery.Delivered))
	l.deliver(behind)
	// The key now belongs to the new one.
	again, err := l.Enqueue(l.ctx, "h1", core.Message{Kind: core.PrescriptionVoid, Lane: "L1", Body: better})
	if err != nil || !again.Duplicate || again.ID != a.ID {
		t.Errorf("the corrected content again: %+v %v", again, err)
	}
	types, _ := l.events("")
	want := []string{fmt.Sprint("message.parked ", id), fmt.Sprint("message.superseded ", id), fmt.Sprint("message.delivered ", a.ID), fmt.Sprint("message.delivered ", behind)}
	if !slices.Equal(types, want) {
		t.Errorf("events %v", types)
	}
	decisions, err := l.Decisions(l.ctx, id)
	l.must(err)
	if len(decisions) != 1 || string(decisions[0].Data) != fmt.Sprintf(`{"by": %d, "fields": ["reason"]}`, a.ID) {
		t.Errorf("decisions %+v %s", decisions, decisions[0].Data)
	}
}

func TestMoneyTakesFourEyes(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.park(id, core.Rejected, nil)
	if _, err := l.Supersede(l.ctx, id, corrected("A1", 1300), "cashier", ""); !errors.Is(err, ErrFourEyes) {
		t.Errorf("one person corrected money: %v", err)
	}
	p, err := l.ProposeCorrection(l.ctx, id, corrected("A1", 1300), "cashier", "wrong amount")
	l.must(err)
	_, err = l.ProposeCorrection(l.ctx, id, corrected("A1", 1400), "other", "")
	l.refused(err)
	if _, err := l.ApproveCorrection(l.ctx, p, "cashier", ""); !errors.Is(err, ErrFourEyes) {
		t.Errorf("approved by who proposed it: %v", err)
	}
	open, err := l.Proposals(l.ctx, []string{"h1"})
	if err != nil || len(open) != 1 || open[0].ProposedBy != "cashier" || !slices.Equal(open[0].Fields, []string{"amount"}) {
		t.Errorf("open: %+v %v", open, err)
	}
	a, err := l.ApproveCorrection(l.ctx, p, "chief", "")
	l.must(err)
	if d := l.one(a.ID); d.Body.(*core.Payment).Amount != 1300 {
		t.Errorf("delivered %+v", d.Body)
	}
	if _, err := l.ApproveCorrection(l.ctx, p, "chief", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("approved twice: %v", err)
	}
	at := payment("A1", "").Body.(*core.Payment).PaidAt
	ours, err := collect(l.Ours(l.ctx, "h1", at, at.Add(time.Second)))
	if err != nil || len(ours) != 1 || ours[0].Message != a.ID || ours[0].Amount != 1300 {
		t.Errorf("our ledger: %+v %v", ours, err)
	}
}

func TestSupersedeOfWhatMayBeThereIsRefused(t *testing.T) {
	l := newLedger(t)
	for i, c := range []struct {
		class  core.Class
		change func(*delivery.Next)
	}{{core.InDoubt, inDoubt}, {core.InDoubt, asking}, {core.Rejected, halfDone}, {core.Unavailable, nil}} {
		id := l.enqueue(payment(fmt.Sprint("A", i), fmt.Sprint("L", i)))
		l.park(id, c.class, c.change)
		_, err := l.ProposeCorrection(l.ctx, id, corrected(fmt.Sprint("A", i), 1300), "cashier", "")
		l.refused(err)
	}
}

func TestSupersedeOfACancelledOne(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(voiding("R1", "L1"))
	current := l.enqueue(voiding("R2", "L1"))
	later := l.enqueue(voiding("R3", "L1"))
	_, err := l.Cancel(l.ctx, id, "nurse", "")
	l.must(err)
	d := l.one(current)
	a, err := l.Supersede(l.ctx, id, voiding("R1", "").Body, "nurse", "")
	l.must(err)
	l.none() // not beside the one in flight
	l.settle(d, next(d, delivery.Delivered))
	l.deliver(a.ID) // its old place is before the later one's
	l.deliver(later)
}

// Two keys of one person are one pair of eyes.
func TestFourEyesAreTwoPeople(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.park(id, core.Rejected, nil)
	p, err := l.ProposeCorrection(l.ctx, id, corrected("A1", 1300), "alice (key 11)", "")
	l.must(err)
	if _, err := l.ApproveCorrection(l.ctx, p, "alice (key 12)", ""); !errors.Is(err, ErrFourEyes) {
		t.Errorf("approved by the same person with another key: %v", err)
	}
	_, err = l.ApproveCorrection(l.ctx, p, "bob (key 11)", "")
	l.must(err)
}

// What the clinic was told to give back is not charged by a correction.
func TestRefundNowIsNotSuperseded(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	n := next(d, delivery.Cancelled)
	n.RefundNow = true
	l.settle(d, n)
	_, err := l.ProposeCorrection(l.ctx, id, corrected("A1", 1300), "cashier", "")
	l.refused(err)
}

// A release is a new decision: the wish to cancel is over.
func TestReleaseWithdrawsTheWishToCancel(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.park(id, core.InDoubt, inDoubt)
	if done, err := l.Cancel(l.ctx, id, "nurse", ""); err != nil || done {
		t.Fatalf("%v, %v", done, err)
	}
	l.must(l.Release(l.ctx, id, "nurse", Again, ""))
	if d := l.one(id); d.CancelWanted {
		t.Error("the wish is still there")
	}
}
