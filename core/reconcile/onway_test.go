package reconcile

import (
	"context"
	"errors"
	"slices"
	"testing"

	"hishub/core"
	"hishub/core/delivery"
)

// askable is an account that can be asked what became of a refund.
type askable struct {
	*account
	states map[string]string
}

func (a *askable) Call(_ context.Context, q core.Request) (core.Response, error) {
	no, _ := core.Text(q.Body.(core.Tree).Get("refund_no"))
	state, known := a.states[no]
	if q.Operation != core.ChannelOpRefundQuery || !known {
		return core.Response{}, &core.Fault{Class: core.InDoubt, Op: q.Operation, Err: errors.New("no answer")}
	}
	return core.Response{Body: core.Tree{{Name: "state", Value: state}}}, nil
}

func (a *askable) Close() error { return nil }

// A bill is made once. What became of the refunds that were on their way then,
// the channel is asked.
func TestRefundsOnTheirWayAreAskedAbout(t *testing.T) {
	h := newBeishan(t, "01-06 11:00:00")
	h.asksDetail()
	h.all("2026-01-05", h.pay("A1", "01-05 09:00:00", 1000))
	for _, no := range []string{"R1", "R2", "R3"} {
		e := Entry{Told: delivery.Delivered, Business: Outpatient, LedgerEntry: core.LedgerEntry{
			Type: core.EntryRefund, Number: no, OrderID: "A1", ChannelNo: "W" + no, Channel: "wechat", Amount: 100, At: at("01-05 10:00:00")}}
		h.store.ours[theHospital] = append(h.store.ours[theHospital], e)
		h.booked(e)
		e.State = core.EntryProcessing
		h.billed("2026-01-05", e)
	}
	asked := &askable{h.wechat, map[string]string{"R1": "processing", "R2": "processing"}} // of R3 there is no answer
	h.place.Bills = map[core.Channel]core.Biller{"wechat": asked}

	expect := func(want ...string) {
		t.Helper()
		if got := h.findings(h.done("2026-01-05")); !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
	}
	expect("refund_in_transit R1", "refund_in_transit R2", "refund_in_transit R3")
	asked.states = map[string]string{"R1": "done", "R2": "failed"}
	h.clock = at("01-09 11:00:00")
	expect("refund_in_transit R3", "state_differs R2")
	// An account that cannot be asked stands as its bill says.
	h.place.Bills = map[core.Channel]core.Biller{"wechat": h.wechat}
	expect("refund_in_transit R1", "refund_in_transit R2", "refund_in_transit R3")
}
