package demo

import (
	"context"
	"fmt"
	"strings"

	"hishub/core"
	"hishub/core/api"
)

// line is one booking, as both sides must have it.
type line struct {
	kind   core.Kind
	number string
	hisNo  string
}

// compare puts each hospital's books beside the ledger: every delivered message
// is booked once under the reference that we hold, so is every refund at a window
// that we agreed to, and nothing else is booked.
func (t *tale) compare(ctx context.Context) error {
	equal := []string{}
	for _, p := range parties {
		theirs, err := t.theirs(ctx, p.id)
		if err != nil {
			return err
		}
		ours, err := t.ours(ctx, p.id)
		if err != nil {
			return err
		}
		for l, n := range ours {
			if theirs[l] != 1 || n != 1 {
				return fmt.Errorf("%s: %s %s (%s) is %d times in the ledger and %d times in the HIS's books", p.id, l.kind, l.number, l.hisNo, n, theirs[l])
			}
		}
		for l := range theirs {
			if ours[l] == 0 {
				return fmt.Errorf("%s: the HIS booked %s %s (%s), of which the ledger knows nothing", p.id, l.kind, l.number, l.hisNo)
			}
		}
		equal = append(equal, fmt.Sprintf("%s %d", p.id, len(ours)))
	}
	t.held("lines, equal on both sides: %s", strings.Join(equal, ", "))
	return nil
}

// ours are what was delivered, and the refunds that a HIS told us of.
func (t *tale) ours(ctx context.Context, hospital string) (map[line]int, error) {
	messages, err := t.client.all(ctx, hospital)
	if err != nil {
		return nil, err
	}
	all := map[line]int{}
	for _, m := range messages {
		switch {
		case m.Kind == core.PayBack: // in the channel's books, which are looked into at the end
		case m.State == "delivered" && m.Kind == core.PrescriptionVoid:
			all[line{m.Kind, m.Key, ""}]++
		case m.State == "delivered" && m.Receipt != nil:
			all[line{m.Kind, m.Key, m.Receipt.HisNo}]++
		case m.SupersededBy != 0:
		default:
			return nil, fmt.Errorf("%s: message %d is %s", hospital, m.ID, m.State)
		}
	}
	var told struct{ Inbound []api.Inbound }
	if err := t.client.get(ctx, "/v1/inbound?kind=refund.apply&state=done&hospital="+hospital, &told); err != nil {
		return nil, err
	}
	for _, in := range told.Inbound {
		all[line{core.RefundApply, in.Key, ""}]++
	}
	return all, nil
}

func (t *tale) theirs(ctx context.Context, hospital string) (map[line]int, error) {
	b, err := t.his[hospital].books(ctx)
	if err != nil {
		return nil, err
	}
	all := map[line]int{}
	for _, p := range b.Prescriptions {
		all[line{core.PrescriptionCreate, p.No, p.HisNo}]++
	}
	for _, v := range b.Voids {
		all[line{core.PrescriptionVoid, v.No, ""}]++
	}
	for _, p := range b.Settlements {
		all[line{core.PaymentSettle, p.Order, p.HisNo}]++
	}
	for _, r := range b.Refunds {
		if atWindow(r.HisNo) {
			all[line{core.RefundApply, r.HisNo, ""}]++
		} else {
			all[line{core.RefundCreate, r.No, r.HisNo}]++
		}
	}
	return all, nil
}
