package demo

import (
	"context"
	"fmt"

	"hishub/core"
	"hishub/mocks/books"
)

// line is one booking, as both sides must have it.
type line struct {
	kind   core.Kind
	number string
	hisNo  string
}

// compare puts each hospital's books beside the ledger: every delivered message
// is booked once under the reference that we hold, and nothing else is booked.
func (t *tale) compare(ctx context.Context) error {
	for _, hospital := range names {
		books, err := t.his[hospital].books(ctx)
		if err != nil {
			return err
		}
		messages, err := t.client.all(ctx, hospital)
		if err != nil {
			return err
		}
		theirs, ours := linesOf(books), map[line]int{}
		for _, m := range messages {
			switch {
			case m.State == "delivered" && m.Receipt != nil:
				ours[line{m.Kind, m.Key, m.Receipt.HisNo}]++
			case m.SupersededBy != 0:
			default:
				return fmt.Errorf("%s: message %d is %s", hospital, m.ID, m.State)
			}
		}
		for l, n := range ours {
			if theirs[l] != 1 || n != 1 {
				return fmt.Errorf("%s: %s %s (%s) is %d times in the ledger and %d times in the HIS's books", hospital, l.kind, l.number, l.hisNo, n, theirs[l])
			}
		}
		for l := range theirs {
			if ours[l] == 0 {
				return fmt.Errorf("%s: the HIS booked %s %s, of which the ledger knows nothing", hospital, l.kind, l.number)
			}
		}
		t.held("%-9s %d messages, %d prescriptions and %d settlements: equal", hospital, len(ours), len(books.Prescriptions), len(books.Settlements))
	}
	return nil
}

func linesOf(b books.Export) map[line]int {
	all := map[line]int{}
	for _, p := range b.Prescriptions {
		all[line{core.PrescriptionCreate, p.No, p.HisNo}]++
	}
	for _, p := range b.Settlements {
		all[line{core.PaymentSettle, p.Order, p.HisNo}]++
	}
	for _, r := range b.Refunds {
		all[line{core.RefundCreate, r.No, r.HisNo}]++
	}
	return all
}
