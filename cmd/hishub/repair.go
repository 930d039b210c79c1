package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/platform/clinic"
	"hishub/platform/payment"
)

// clinicRepairs makes records that the clinic lacks.
type clinicRepairs struct {
	store     *postgres.Store
	desk      *inbound.Desk
	hospitals *hospitals
	payments  *payment.Service
}

var _ reconcile.Platform = clinicRepairs{}

// Record implements reconcile.Platform: the payment is taken as if the channel
// had called back now.
func (c clinicRepairs) Record(ctx context.Context, hospital string, e reconcile.Entry, p reconcile.Params) (int64, bool, error) {
	bills := split(cmp.Or(p.Bill, e.Bill))
	if e.Type != core.EntryPayment || len(bills) == 0 {
		return 0, false, nil
	}
	_, err := c.payments.Pay(ctx, hospital, payment.Paid{
		OrderID: e.Number, Prescriptions: bills, Amount: e.Amount, Channel: e.Channel, ChannelNo: e.ChannelNo, PaidAt: e.At,
	})
	switch {
	case errors.Is(err, clinic.ErrNotFound):
		return 0, false, nil
	case errors.Is(err, clinic.ErrRule), errors.Is(err, clinic.ErrState):
		return 0, true, core.Problems{{Field: "bill", What: "the clinic refuses it: " + err.Error() + "; pay it back instead"}}
	case err != nil:
		return 0, true, err
	}
	page, _, err := c.store.List(ctx, postgres.Filter{Hospitals: []string{hospital}, Kind: core.PaymentSettle, Key: e.Number}, "", 1)
	if err != nil || len(page) == 0 {
		return 0, true, err
	}
	return page[0].ID, true, nil
}

// PayBack implements reconcile.Platform: a refund at the HIS's window of which
// nobody told us is taken as if the HIS told us now.
func (c clinicRepairs) PayBack(ctx context.Context, hospital string, f reconcile.Finding, p reconcile.Params) (int64, bool, error) {
	if f.Type != core.EntryRefund || len(f.HIS) != 1 || len(f.Ours) > 0 || len(f.Channel) > 0 {
		return 0, false, nil
	}
	h, err := c.hospitals.Hospital(ctx, hospital, 0)
	if err != nil {
		return 0, true, err
	}
	his := f.HIS[0]
	body := &core.WindowRefund{
		HisRefundNo: cmp.Or(his.HisNo, his.Number), OrderID: cmp.Or(p.OrderID, his.OrderID),
		Amount: his.Amount, Reason: "窗口退费，对账补办", At: his.At,
	}
	if err := body.Validate(); err != nil {
		return 0, true, err
	}
	taken := c.desk.Take(ctx, inbound.Fact{Hospital: hospital, Zone: h.Zone, Kind: core.RefundApply, Body: body})
	switch taken.State {
	case core.ResultDone:
		return 0, true, nil
	case core.ResultRefused:
		return 0, true, core.Problems{{Field: "order_id", What: "the clinic refuses to pay it back: " + taken.Message}}
	}
	return 0, true, errors.New("the refund is not decided yet")
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// channels pays back through the accounts that a hospital's folder names, as a
// message of the ledger: once, whatever breaks meanwhile. Where a folder names
// none for a way of paying, no money is moved.
type channels struct {
	store     *postgres.Store
	hospitals *hospitals
}

var _ payment.Channel = channels{}

// PayBack implements payment.Channel.
func (c channels) PayBack(ctx context.Context, b payment.Back) (string, time.Time, error) {
	h, err := c.hospitals.Hospital(ctx, b.Hospital, 0)
	if err != nil {
		return "", time.Time{}, err
	}
	if h.Channels[b.Channel].Kind == "" {
		return payment.StandIn{}.PayBack(ctx, b)
	}
	accepted, err := c.store.Enqueue(ctx, b.Hospital, core.Message{Kind: core.PayBack, Body: &core.ChannelRefund{
		RefundNo: b.RefundNo, OrderID: b.OrderID, Amount: b.Amount, Paid: b.Paid, Channel: b.Channel, ChannelNo: b.ChannelNo,
		Reason: "窗口退费", AskedAt: b.AskedAt,
	}})
	if err != nil {
		return "", time.Time{}, err
	}
	for {
		m, _, err := c.store.Message(ctx, accepted.ID)
		if err != nil {
			return "", time.Time{}, err
		}
		switch {
		case m.State == delivery.Delivered && m.Receipt != nil && m.DecidedAt != nil:
			return m.Receipt.HisNo, *m.DecidedAt, nil
		case m.State == delivery.Cancelled:
			return "", time.Time{}, payment.ErrChannelRefused
		case m.State == delivery.Parked && m.Class == core.Rejected:
			// The cashier is told no: it must not be paid by somebody's release later.
			if _, err := c.store.Cancel(ctx, m.ID, "clinic", "the channel refused, and the HIS was told so"); err != nil {
				return "", time.Time{}, err
			}
		case m.State == delivery.Parked:
			return "", time.Time{}, fmt.Errorf("message %d is parked", m.ID)
		}
		select {
		case <-ctx.Done():
			return "", time.Time{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
