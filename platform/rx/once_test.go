package rx

import (
	"errors"
	"sync"
	"testing"

	"hishub/core"
	"hishub/platform/clinic"
)

// atOnce does a thing n times at one moment and returns how often it succeeded; the others
// must have been told that it is not possible any more.
func atOnce(t *testing.T, n int, do func() error) (succeeded int) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { <-start; errs[i] = do() })
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			succeeded++
		case !errors.Is(err, clinic.ErrState):
			t.Errorf("beside another: %v", err)
		}
	}
	return succeeded
}

// Two windows of a doctor sign the same draft, two pharmacists decide about the same
// revision: one of them does it.
func TestSignedAndReviewedOnceAtOnce(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	draft := must(t)(w.Write(ctx, doctor, "h1", "K1", "", some()))
	if n := atOnce(t, 4, func() error { _, err := w.Sign(ctx, doctor, "h1", draft.No, draft.Version); return err }); n != 1 {
		t.Errorf("signed %d times", n)
	}
	signed := must(t)(w.Get(ctx, "h1", draft.No))
	if signed.State != InReview || signed.Revision != 1 {
		t.Fatalf("%+v", signed)
	}
	if n := atOnce(t, 4, func() error {
		_, err := w.Review(ctx, pharmacist, "h1", draft.No, Verdict{Revision: 1, Approve: true, Checks: right})
		return err
	}); n != 1 {
		t.Errorf("approved %d times", n)
	}
	var orders int
	if err := w.Database.QueryRow(ctx, `select count(*) from clinic_order.orders where subject = $1`, draft.No).Scan(&orders); err != nil || orders != 1 {
		t.Errorf("%d orders to pay, %v", orders, err)
	}
}

// Events that come twice, late or of what another program submitted change nothing that
// happened since; one that was tampered with holds up nobody's.
func TestEventsTwiceLateAndOfOthers(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.pay(t, w.approve(t, w.signed(t)))
	event := func(of core.EventType, kind core.Kind, key string) core.Event {
		e := core.Event{Type: of, Kind: kind, Key: key, Reason: string(of)}
		if of == core.EventDelivered {
			e.Receipt = &core.Receipt{HisNo: "HIS1"}
		}
		return e
	}
	w.take(t, event(core.EventParked, core.PrescriptionCreate, rx.No))
	if now := must(t)(w.Get(ctx, "h1", rx.No)); now.State != Paid || now.HisProblem != string(core.EventParked) {
		t.Errorf("parked: %s, problem %q", now.State, now.HisProblem)
	}
	for _, e := range []core.Event{
		event(core.EventDelivered, core.PrescriptionCreate, rx.No),
		event(core.EventDelivered, core.PrescriptionCreate, rx.No),
		event(core.EventParked, core.PrescriptionCreate, rx.No),    // late
		event(core.EventCancelled, core.PrescriptionCreate, rx.No), // late
		event(core.EventAccepted, core.PrescriptionCreate, rx.No),
		event(core.EventParked, core.PrescriptionCreate, "RX9"), // another program's
		event(core.EventDelivered, "bill.paid", rx.No),
	} {
		w.take(t, e)
	}
	if now := must(t)(w.Get(ctx, "h1", rx.No)); now.State != SentHIS || now.HisNo != "HIS1" || now.HisProblem != "" {
		t.Errorf("%s %s, problem %q", now.State, now.HisNo, now.HisProblem)
	}

	tampered := w.pay(t, w.approve(t, w.signed(t)))
	if _, err := w.Database.Exec(ctx, `alter table rx.revision disable trigger immutable; update rx.revision set hash = sha256('x') where no = '`+tampered.No+`'; alter table rx.revision enable trigger immutable`); err != nil {
		t.Fatal(err)
	}
	w.take(t, event(core.EventDelivered, core.PrescriptionCreate, tampered.No))
	var state State
	if err := w.Database.QueryRow(ctx, `select state from rx.prescription where no = $1`, tampered.No).Scan(&state); err != nil || state != SentHIS {
		t.Errorf("%s, %v", state, err)
	}
}
