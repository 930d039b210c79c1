package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/platform/clinic"
	"hishub/platform/pay"
	"hishub/platform/payment"
)

// thinMoney is what programs take by the thin clinic's API; pay asks it about what is none
// of its own. It goes when that API goes.
type thinMoney struct{ *payment.Service }

var _ pay.Elsewhere = thinMoney{}

// Heard implements pay.Elsewhere: the payment is taken as if the channel had called back now.
func (t thinMoney) Heard(ctx context.Context, hospital string, f pay.Found) (bool, error) {
	if len(f.Bills) == 0 {
		return false, nil
	}
	_, err := t.Pay(ctx, hospital, payment.Paid{OrderID: f.Number, Prescriptions: f.Bills, Amount: f.Amount, Channel: f.Channel, ChannelNo: f.ChannelNo, PaidAt: f.At})
	if errors.Is(err, clinic.ErrNotFound) {
		return false, nil
	}
	return true, err
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
