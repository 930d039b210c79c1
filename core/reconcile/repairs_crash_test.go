package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/delivery"
)

func TestACrashBetweenApprovalAndCarryingOutIsFinishedOnce(t *testing.T) {
	ctx := context.Background()
	d := newFinance(t)
	c := d.found(Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH2", Amount: 2150, Of: "IH1", Channel: []Entry{paid("IH2", 2150)}})
	killed := errors.New("killed")
	d.store.crash = func(Repair) error { return killed }
	r, err := d.repairs.Approve(ctx, c.Repair.ID, "li", "")
	if !errors.Is(err, killed) || r.State != RepairApproved || len(d.store.messages) != 0 {
		t.Fatalf("%v, %s, %d messages", err, r.State, len(d.store.messages))
	}
	if err := d.repairs.Sweep(ctx, theHospital); !errors.Is(err, killed) {
		t.Errorf("a sweep that crashes says so: %v", err)
	}
	d.store.crash = nil
	for range 3 {
		if err := d.repairs.Sweep(ctx, theHospital); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "messages", len(d.store.messages), 2) // the record of the payment, and its refund
	same(t, "state", d.store.repairs[0].State, RepairSent)

	d.store.messages[1].State = delivery.Delivered
	if err := d.repairs.Sweep(ctx, theHospital); err != nil {
		t.Fatal(err)
	}
	same(t, "followed", d.store.repairs[0].State, RepairDone)
}

// platform records and pays back what it knows.
type platform struct {
	knows    bool
	recorded []string
}

func (p *platform) Record(_ context.Context, _ string, e Entry, _ Params) (int64, bool, error) {
	p.recorded = append(p.recorded, "record "+e.Number)
	return 0, p.knows, nil
}

func (p *platform) PayBack(_ context.Context, _ string, f Finding, _ Params) (int64, bool, error) {
	of := []string{}
	for _, e := range f.Channel {
		of = append(of, e.Number)
	}
	p.recorded = append(p.recorded, fmt.Sprint("pay back ", f.Number, " ", of))
	return 0, p.knows, nil
}

func TestThePlatformComesFirst(t *testing.T) {
	for _, knows := range []bool{true, false} {
		d := newFinance(t)
		d.pay("IH1", "01-05 08:00:00", 2150)
		own := len(d.store.messages)
		p := &platform{knows: knows}
		d.repairs.Platform = p
		record := d.found(Finding{Class: MissingHere, Type: core.EntryPayment, Number: "IH2", Amount: 1, Channel: []Entry{paid("IH2", 1)}})
		window := d.found(Finding{Class: MissingHere, Type: core.EntryRefund, Number: "HR1", Amount: 1, HIS: []Entry{back("HR1", "IH1", 1)}})
		twice := d.found(Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH3", Of: "IH1", Amount: 1, Channel: []Entry{paid("IH3", 1)}})
		// The second night did not find the first case any more: it is open for this test.
		d.store.cases[record.ID-1].State, d.store.cases[window.ID-1].State = CaseOpen, CaseOpen
		r, err := d.decide(record, Record, Params{VisitNo: "V1", PatientNo: "P1", Bill: "B1"})
		if err != nil {
			t.Fatal(err)
		}
		w, err := d.decide(window, PayBack, Params{})
		if err != nil {
			t.Fatal(err)
		}
		back, err := d.decide(twice, PayBack, Params{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "asked", p.recorded, []string{"record IH2", "pay back HR1 []", "pay back IH3 [IH3]"})
		want, messages := RepairDone, 0
		if !knows {
			want, messages = RepairSent, 4 // what we knew nothing of is recorded, too
		}
		same(t, "states", []any{r.State, w.State, back.State, len(d.store.messages) - own}, []any{want, want, want, messages})
	}
}

func TestASilentHISIsNotAskedAboutThousands(t *testing.T) {
	h := newBeishan(t, "01-06 11:00:00")
	h.place.States, h.place.Bills = true, nil
	for i := range 1000 {
		h.store.records[theHospital] = append(h.store.records[theHospital], Prescribed{Type: EntryPrescription, Number: fmt.Sprint("RX", i), At: at("01-05 09:00:00")})
	}
	h.his.answers[core.PrescriptionStatus] = func(core.Body) (any, error) {
		return nil, &core.Fault{Class: core.Unavailable, Op: "soap", Err: errors.New("closed")}
	}
	n := h.done("2026-01-05")
	if asked := len(h.his.took()); asked < silence || asked > silence+askers {
		t.Errorf("asked %d times", asked)
	}
	if !strings.Contains(n.Why, "of 1000 prescriptions and orders the HIS did not answer about 1000") {
		t.Error(n.Why)
	}
}

func TestARefusedPaymentIsProposedToBePaidBack(t *testing.T) {
	e := paid("IH1", 1)
	f := Finding{Class: MissingAtHIS, Type: core.EntryPayment, Ours: []Entry{e}}
	same(t, "told", f.Proposed(), Resend)
	f.Ours[0].Told = delivery.Cancelled
	same(t, "refused", f.Proposed(), PayBack)
}
