package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/core/delivery"
)

func TestOneMessageFromAcceptanceToDelivery(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	if d.Hospital != "h1" || d.Kind != core.PaymentSettle || d.Lane != "L1" || d.Phase != delivery.Send || d.Interrupted || d.Revision != 0 {
		t.Errorf("claimed %+v", d)
	}
	if diff := cmp.Diff(payment("A1", "L1").Body, d.Body); diff != "" {
		t.Errorf("the body changed: %s", diff)
	}
	l.none()
	l.sent(d)
	if d.Revision != 1 {
		t.Errorf("revision %d after it was sent", d.Revision)
	}
	amount := core.Fen(1200)
	n := next(d, delivery.Delivered)
	n.Receipt = &core.Receipt{HisNo: "HIS9", Amount: &amount}
	n.Because = "the HIS has it"
	l.settle(d, n)
	l.none()
	if left := count[int](l, `select count(*) from hub.queue`); left != 0 {
		t.Errorf("%d rows left in the queue", left)
	}
	l.visible(30 * time.Second)
	events, _, err := l.Read(l.ctx, "", 10)
	l.must(err)
	if len(events) != 1 || events[0].Type != core.EventDelivered || events[0].Key != "A1" || events[0].Receipt.HisNo != "HIS9" || *events[0].Receipt.Amount != 1200 {
		t.Errorf("events %+v", events)
	}
}

func TestProgressIsKept(t *testing.T) {
	l := newLedger(t)
	l.enqueue(payment("A1", "L1"))
	d := &l.claim(1)[0]
	l.sent(d)
	n := next(d, delivery.Queued)
	n.Phase, n.Step, n.Failures = delivery.Inquire, 1, 3
	n.Finished = []delivery.Finished{{Step: 0, At: time.Date(2026, 1, 5, 1, 2, 3, 0, time.UTC)}}
	n.Captured = map[string]string{"lock": "captured-7"}
	n.Words, n.Why = "words of 张三测试", delivery.WhyAlready
	n.LastByte = time.Date(2026, 1, 5, 1, 2, 4, 0, time.UTC)
	l.settle(d, n)
	again := l.claim(1)
	if len(again) != 1 {
		t.Fatal("not claimed again")
	}
	if diff := cmp.Diff(n.Progress, again[0].Progress); diff != "" {
		t.Errorf("progress: %s", diff)
	}
	if again[0].Revision != 1 || again[0].Interrupted || again[0].Fence <= d.Fence {
		t.Errorf("claimed again: %+v", again[0])
	}
	if all := count[string](l, `select q::text || m::text from hub.queue q join hub.message m on m.id = q.message`); strings.Contains(all, "captured-7") || strings.Contains(all, "张三") {
		t.Error("captured values or the HIS's words stand in the open")
	}
}

func TestBackOffIsWaitedFor(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	n := next(d, delivery.Queued)
	n.After = time.Hour
	l.settle(d, n)
	l.none()
	l.exec(`update hub.queue set due = clock_timestamp()`)
	l.one(id)
}

// A lease that ran out is played by moving it into the past.
func (l *ledger) expire(column string) {
	l.tb.Helper()
	l.exec(`update hub.queue set ` + column + ` = clock_timestamp() - interval '1 millisecond'`)
}

func TestLeaseThatRanOutUnsent(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	old := l.one(id)
	l.expire("lease_until")
	if err := l.Sent(l.ctx, old, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Sent after the lease: %v", err)
	}
	d := l.one(id)
	if d.Interrupted || !d.LastByte.IsZero() {
		t.Errorf("nothing was sent, but %+v", d)
	}
	if err := l.Sent(l.ctx, old, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Sent under another's claim: %v", err)
	}
	l.sent(d)
}

func TestLeaseThatRanOutSent(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	old := l.one(id)
	l.sent(old)
	l.expire("lease_until")
	l.none() // its call may still be at work
	l.expire("takeover_at")
	d := l.one(id)
	if !d.Interrupted || d.Revision != 1 || d.LastByte.Before(old.LeaseUntil.Add(-lease-10*time.Millisecond)) { // expire turns the clock back a little
		t.Errorf("bytes may have left, but %+v", d)
	}
	// The second process ends as well, before it settled anything.
	l.expire("takeover_at")
	if d := l.one(id); !d.Interrupted {
		t.Error("the second takeover forgot that bytes may have left")
	}
}

func TestLateSettleIsKeptAndChangesNothing(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	old := l.one(id)
	l.sent(old)
	l.expire("takeover_at")
	l.expire("lease_until")
	d := l.one(id)
	late := attempt(old, core.OutcomeOK)
	if _, err := l.Settle(l.ctx, old, late, next(old, delivery.Delivered)); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Fatalf("a late settle: %v", err)
	}
	if _, err := l.Settle(l.ctx, old, nil, next(old, delivery.Parked)); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Fatalf("a late settle without an exchange: %v", err)
	}
	if n := count[int](l, `select count(*) from hub.attempt where late`); n != 1 {
		t.Errorf("%d late attempts", n)
	}
	if s := count[string](l, `select state from hub.message`); s != "queued" {
		t.Errorf("the message is %s", s)
	}
	l.settle(d, next(d, delivery.Delivered))
}

func TestSettleRepeatedAfterALostAnswer(t *testing.T) {
	l := newLedger(t)
	d := l.one(l.enqueue(payment("A1", "L1")))
	a := attempt(d, core.OutcomeUnavailable)
	for range 2 {
		if _, err := l.Settle(l.ctx, d, a, next(d, delivery.Queued)); err != nil {
			t.Fatal(err)
		}
	}
	if n := count[int](l, `select count(*) from hub.attempt`); n != 1 {
		t.Errorf("%d attempts", n)
	}
}

func TestSendingGoesOnUnderTheSameClaim(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.sent(d)
	l.exec(`update hub.queue set cancel_wanted = true, lease_until = clock_timestamp() + interval '1 second'`)
	before := d.LeaseUntil
	n := next(d, delivery.Sending)
	n.Step = 1
	l.settle(d, n)
	if d.Step != 1 || !d.CancelWanted || !d.LeaseUntil.After(before) {
		t.Errorf("after the step: %+v", d)
	}
	l.none()
	l.expire("lease_until")
	if d := l.one(id); d.Interrupted || d.Step != 1 {
		t.Errorf("the next step was not sent, but %+v", d)
	}
	// The same with bytes that may still be at work.
	d = &l.reclaim()[0]
	l.sent(d)
	n = next(d, delivery.Sending)
	n.Phase, n.LastByte = delivery.Inquire, time.Now()
	l.settle(d, n)
	l.expire("lease_until")
	l.none()
	l.expire("takeover_at")
	if d := l.one(id); !d.Interrupted {
		t.Error("forgot that bytes may have left")
	}
}

func (l *ledger) reclaim() []delivery.Delivery {
	l.expire("lease_until")
	return l.claim(10)
}

func TestOnlyOwnersClaimAndNobodyWhilePaused(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	if ds := l.claimFor("other", 1, lease, deadline); len(ds) != 0 {
		t.Error("claimed by a process that owns nothing")
	}
	l.must(l.Pause(l.ctx, "h1", "tester", "their night"))
	l.none()
	if due, _ := l.Due(l.ctx, "p"); len(due) != 0 {
		t.Errorf("due while paused: %v", due)
	}
	l.must(l.Resume(l.ctx, "h1", "tester", ""))
	if due, _ := l.Due(l.ctx, "p"); !cmp.Equal(due, []string{"h1"}) {
		t.Errorf("due: %v", due)
	}
	l.exec(`update hub.shard set until = clock_timestamp()`)
	l.none()
	l.own("p")
	l.one(id)
	if due, _ := l.Due(l.ctx, "p"); len(due) != 0 {
		t.Errorf("due while claimed: %v", due)
	}
}

func TestWhatCannotBeOpenedIsParked(t *testing.T) {
	l := newLedger(t)
	bad := l.enqueue(payment("A1", "L1"))
	good := l.enqueue(payment("A2", "L2"))
	l.exec(`update hub.body set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) where message = $1`, bad)
	l.one(good)
	if s := count[string](l, `select state || ' ' || class from hub.message where id = $1`, bad); s != "parked invalid" {
		t.Errorf("it is %s", s)
	}
}

// Whatever a HIS answers, what it answered must be kept.
func TestHostileAnswersAreSettled(t *testing.T) {
	l := newLedger(t)
	hostile := "\x00 \\u0000 \xff 张三 " + strings.Repeat("9", 10_000)
	for i, state := range []delivery.State{delivery.Queued, delivery.Sending, delivery.Parked, delivery.Delivered, delivery.Cancelled} {
		lane := string(state)
		l.enqueue(payment("A"+lane, lane))
		d := &l.claim(1)[0]
		l.sent(d)
		a := attempt(d, core.OutcomeOK)
		a.Exchange.Operation, a.Exchange.Verdict.Words, a.Exchange.Verdict.Rule = hostile, hostile, hostile
		a.Exchange.Sent, a.Exchange.Received = []byte(hostile), []byte(hostile)
		n := next(d, state)
		n.Because, n.Reason, n.Words, n.After = hostile, hostile, hostile, time.Hour
		n.Captured = map[string]string{hostile: hostile}
		n.Receipt = &core.Receipt{HisNo: hostile, InvoiceNo: hostile, Number: hostile}
		if _, err := l.Settle(l.ctx, d, a, n); err != nil {
			t.Errorf("%d %s: %v", i, state, err)
		}
		if m, attempts, err := l.Message(l.ctx, d.ID); err != nil || len(attempts) != 1 || len(m.Receipt.HisNo) > maxReference+3 || attempts[0].Words != hostile {
			t.Errorf("%s: read back: %v", state, err)
		}
	}
	if _, _, err := l.Read(l.ctx, "", 10); err != nil {
		t.Error(err)
	}
}
