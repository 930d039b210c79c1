package reconcile_test

import (
	"context"
	"testing"

	"hishub/core"
	"hishub/core/reconcile"
	"hishub/core/reconcile/reconciletest"
)

// A HIS that keeps no number of ours with a payment, but with what takes it back:
// the channel's number brings them together.
func TestReversalOfANumberlessBooking(t *testing.T) {
	at := reconciletest.Day.Add(10 * 3600e9)
	his := []reconcile.Entry{
		{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, HisNo: "S1", ChannelNo: "4200000099000001", Amount: 1500, At: at}, Row: 1},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, OrderID: "CX00000001", HisNo: "C1", ChannelNo: "4200000099000001", Amount: 1500, At: at, Reversal: true}, Row: 2},
	}
	stream := func(es []reconcile.Entry) reconcile.Stream {
		return func(yield func(reconcile.Entry, error) bool) {
			for _, e := range es {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	var found []reconcile.Finding
	books := reconcile.Books{Channel: stream(nil), Ours: stream(nil), HIS: stream(his)}
	err := reconcile.Compare(context.Background(), books, reconciletest.Shape{}.Rules(), func(f reconcile.Finding) error { found = append(found, f); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Class != reconcile.Excluded || len(found[0].HIS) != 2 {
		t.Errorf("found %+v", found)
	}
}
