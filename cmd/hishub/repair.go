package main

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/platform/clinic"
	"hishub/platform/pay"
)

// clinicRepairs mends what the clinic's own money is concerned by.
type clinicRepairs struct {
	store     *postgres.Store
	desk      *inbound.Desk
	hospitals *hospitals
	pay       *pay.Service
}

var _ reconcile.Platform = clinicRepairs{}

// Record implements reconcile.Platform: the payment is taken as if the channel had called
// back now. The message is the one that tells the HIS of it, if it is told.
func (c clinicRepairs) Record(ctx context.Context, hospital string, e reconcile.Entry, p reconcile.Params) (int64, bool, error) {
	if e.Type != core.EntryPayment {
		return 0, false, nil
	}
	a, known, err := c.pay.Heard(ctx, hospital, looked(e, p))
	if !known || err != nil {
		return 0, known, ofRepair(err, "bill", "; pay it back instead")
	}
	for _, kind := range []core.Kind{core.PaymentSettle, core.AppointmentPay} {
		page, _, err := c.store.List(ctx, postgres.Filter{Hospitals: []string{hospital}, Kind: kind, Key: cmp.Or(a.OrderNo, e.Number)}, "", 1)
		if err != nil {
			return 0, true, err
		}
		if len(page) > 0 {
			return page[0].ID, true, nil
		}
	}
	return 0, true, nil
}

// PayBack implements reconcile.Platform: a payment of the clinic's goes back as the clinic
// gives money back; a refund at the HIS's window of which nobody told us is taken as if the
// HIS told us now.
func (c clinicRepairs) PayBack(ctx context.Context, hospital string, f reconcile.Finding, p reconcile.Params) (int64, bool, error) {
	if f.Type == core.EntryPayment && len(f.Channel) == 1 {
		known, err := c.pay.Return(ctx, hospital, looked(f.Channel[0], p))
		return 0, known, ofRepair(err, "action", "")
	}
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
	switch mine, err := c.pay.Takes(ctx, hospital, body); {
	case err != nil:
		return 0, true, err
	case !mine: // the hub has the channel pay it back, and tells who handed the payment in
		if told, err := c.store.TellsOf(ctx, hospital, body); told || err != nil {
			return 0, false, err
		}
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

func looked(e reconcile.Entry, p reconcile.Params) pay.Found {
	return pay.Found{Channel: e.Channel, Number: e.Number, ChannelNo: e.ChannelNo, Amount: e.Amount, At: e.At, Bills: split(cmp.Or(p.Bill, e.Bill))}
}

// ofRepair makes the repair a failed one where the clinic refuses it for good.
func ofRepair(err error, field, cure string) error {
	if errors.Is(err, clinic.ErrRule) || errors.Is(err, clinic.ErrState) {
		return core.Problems{{Field: field, What: "the clinic refuses it: " + err.Error() + cure}}
	}
	return err
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
