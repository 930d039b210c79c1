package main

import (
	"fmt"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// ways in which a transaction may go.
var ways = []struct {
	name   string
	fault  fault.Kind
	again  bool
	state  delivery.State
	booked int
}{
	{"forward", "", false, delivery.Delivered, 1},
	{"repeated", "", true, delivery.Delivered, 1},
	{"busy", fault.Busy, false, delivery.Delivered, 1},
	{"lost on the way", fault.CutBefore, false, delivery.Delivered, 1},
	{"answer lost", fault.CutAfterCommit, false, delivery.Delivered, 1},
	{"answer never comes", fault.CommitThenHang, false, delivery.Delivered, 1},
	{"answer garbled", fault.Garbled, false, delivery.Delivered, 1},
	{"refused", fault.Reject, false, delivery.Parked, 0},
}

func TestTransactions(t *testing.T) {
	for name := range mockedHospitals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, name)
			for k, w := range deeds {
				operation := r.operations[w.kind]
				if operation == "" {
					if r.Operations[w.kind] != nil {
						t.Errorf("the folder has %s, but this test does not know it", w.kind)
					}
					continue
				}
				for i, way := range ways {
					t.Run(string(w.kind)+"/"+way.name, func(t *testing.T) {
						t.Parallel()
						id := fmt.Sprintf("T%02d%d", k, i)
						body := w.body(t, r, id)
						if way.fault != "" {
							if err := r.his.Script().Add(fault.Rule{Fault: way.fault, Operation: operation, Key: id, Times: 1}); err != nil {
								t.Fatal(err)
							}
						}
						n := r.deliver(t, w.kind, body)
						if way.again && n.State == delivery.Delivered {
							first := n.Receipt
							if n = r.deliver(t, w.kind, body); first != nil && n.Receipt != nil && first.HisNo != n.Receipt.HisNo {
								t.Errorf("told again, it has another number: %s, then %s", first.HisNo, n.Receipt.HisNo)
							}
						}
						if n.State != way.state {
							t.Errorf("%s, %s (%s), want %s", n.State, n.Because, n.Words, way.state)
						}
						if way.fault == fault.Reject && n.Words != fault.RejectWords {
							t.Errorf("the HIS's words are %q, want %q", n.Words, fault.RejectWords)
						}
						b := r.his.Books()
						if booked := w.booked(b, id); booked != way.booked {
							t.Errorf("the books have it %d times, want %d", booked, way.booked)
						}
						if way.fault != "" && !struck(b.Journal, way.fault, operation, id) {
							t.Errorf("the fault %s did not strike", way.fault)
						}
					})
				}
			}
		})
	}
}

func struck(journal []books.Entry, kind fault.Kind, operation, id string) bool {
	return count(journal, func(e books.Entry) bool {
		return e.Fault == string(kind) && e.Operation == operation && strings.Contains(e.Key, id)
	}) > 0
}

// What a hospital holds under our number with another amount is a person's
// business, whichever way that comes out.
func TestHeldWithAnotherAmount(t *testing.T) {
	for name, m := range mockedHospitals {
		if m.operations[core.PaymentSettle] == "" {
			continue // it has no part in money
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, name)
			p := paymentOf(t, r, "OTHER").(*core.Payment)
			r.must(t, core.PaymentSettle, p)
			for _, kind := range []fault.Kind{"", fault.CutAfterCommit} {
				if kind != "" {
					if err := r.his.Script().Add(fault.Rule{Fault: kind, Operation: r.operations[core.PaymentSettle], Times: 1}); err != nil {
						t.Fatal(err)
					}
				}
				other := *p
				other.Amount++
				if n := r.deliver(t, core.PaymentSettle, &other); n.State != delivery.Parked {
					t.Errorf("%q: %s, %s, want parked", kind, n.State, n.Because)
				}
			}
			if booked := settled(r.his.Books(), "OTHER"); booked != 1 {
				t.Errorf("the books have it %d times", booked)
			}
		})
	}
}
