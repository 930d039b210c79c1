package pay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
)

// refusedRefund is what is left of a refund that the channel refused: the only one of its order.
func (w *world) refusedRefund(no string) pay.Refund {
	w.t.Helper()
	all, err := w.pay.RefundsOf(context.Background(), no)
	w.ok(err)
	if len(all) != 1 {
		w.t.Fatalf("%d refunds: %+v", len(all), all)
	}
	return all[0]
}

// A refund of the app that the channel refused is not the window's to give up, and neither is
// one that it joined: finance decides, and the HIS hears once it is paid.
func TestTheWindowDoesNotDropTheAppsRefund(t *testing.T) {
	w := open(t)
	ctx := context.Background()
	o := w.paidLines()
	window := func() core.Resolution {
		t.Helper()
		d, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: "T" + o.No, OrderID: o.No, Amount: o.Amount, Reason: "测试"})
		w.ok(err)
		return d
	}
	w.fault("refund_refused", "", "", 1)
	if r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Reason: "测试"}); err != nil || r.State != pay.NotReturned {
		t.Fatalf("%+v, %v", r, err)
	}
	for range 2 {
		if d := window(); d.State != core.ResultRefused || d.Message == "" {
			t.Errorf("told %+v", d)
		}
	}
	r := w.refusedRefund(o.No)
	if left, err := w.pay.Undecided(ctx, "h1", 10); err != nil || r.State != pay.NotReturned || len(left.Refunds) != 1 {
		t.Errorf("it is %s, finance sees %+v, %v", r.State, left, err)
	}
	if r, err := w.pay.Decide(ctx, person(9), "h1", r.No, pay.Again); err != nil || r.State != pay.Arrived {
		t.Errorf("again: %+v, %v", r, err)
	}
	if w.goods.back[o.No] != o.Amount {
		t.Errorf("the subject heard of %s", w.goods.back[o.No])
	}

	// Now the window joins it while the channel is at it, which refuses then.
	o = w.paidLines()
	w.ok(w.channel.AddFaults(fault.Rule{Fault: fault.HTTP500, Operation: "refund", Times: 1}, fault.Rule{Fault: "refund_refused", Times: 1}))
	if r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Reason: "测试"}); err != nil || r.State != pay.Undefined {
		t.Fatalf("%+v, %v", r, err)
	}
	w.later(o.No)
	if d := window(); d.State != core.ResultRefused || w.refusedRefund(o.No).State != pay.NotReturned {
		t.Errorf("joined: told %+v, it is %s", d, w.refusedRefund(o.No).State)
	}
	if r, err := w.pay.Decide(ctx, person(9), "h1", w.refusedRefund(o.No).No, pay.Again); err != nil || r.State != pay.Arrived || w.goods.back[o.No] != o.Amount {
		t.Errorf("again: %+v, %v; the subject heard of %s", r, err, w.goods.back[o.No])
	}
	w.balanced()
}

// What was paid for ended by a refund that the channel then refused: nobody keeps the money,
// neither a cashier who is told no nor finance that gives the refund up.
func TestMoneyOfWhatIsOverIsNotKept(t *testing.T) {
	w := open(t)
	ctx := context.Background()
	o := w.paidLines()
	w.goods.over[o.Subject] = true
	w.fault("refund_refused", "", "", 1)
	d, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: "T1", OrderID: o.No, Amount: o.Amount, Reason: "测试"})
	if err != nil || d.State != core.ResultRefused || d.Message == "" {
		t.Errorf("the cashier is told %+v, %v", d, err)
	}
	r := w.refusedRefund(o.No)
	if now := w.get(o.No); r.State != pay.NotReturned || now.State != order.Refunded {
		t.Errorf("the refund is %s, the order %s", r.State, now.State)
	}
	if _, err := w.pay.Decide(ctx, person(9), "h1", r.No, pay.Drop); !errors.Is(err, clinic.ErrRule) || w.refusedRefund(o.No).State != pay.NotReturned {
		t.Errorf("given up: %v", err)
	}
	if bad := w.conserved(o.No); bad != "" {
		t.Error(bad)
	}
	if r, err = w.pay.Decide(ctx, person(9), "h1", r.No, pay.Again); err != nil || r.State != pay.Arrived || w.goods.back[o.No] != o.Amount {
		t.Errorf("again: %+v, %v; the subject, and so the HIS, heard of %s", r, err, w.goods.back[o.No])
	}
	w.balanced()
}

// What a subject does not give back on the patient's own word is finance's to decide, who reads
// why; he does not ask twice meanwhile.
func TestWhatASubjectKeepsFinanceMayGiveBack(t *testing.T) {
	w := open(t)
	ctx := context.Background()
	o := w.paidLines()
	w.goods.refuse["patient "+o.Subject] = fmt.Errorf("%w: too late to cancel", clinic.ErrRule)
	r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Reason: "测试"})
	if err != nil || r.State != pay.Requested || !strings.Contains(r.Problem, "too late to cancel") || w.get(o.No).Refunded != 0 {
		t.Fatalf("on his own word: %+v, %v", r, err)
	}
	if _, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Reason: "测试"}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("asked again: %v", err)
	}
	if r, err = w.pay.Decide(ctx, person(9), "h1", r.No, pay.Approve); err != nil || r.State != pay.Arrived {
		t.Errorf("approved: %+v, %v", r, err)
	}
	w.balanced()
}
