package reconcile

import (
	"context"
	"fmt"
	"time"

	"hishub/core"
)

// payBack has the channel pay money back.
func (a *act) payBack(ctx context.Context) (int64, error) {
	switch {
	case a.f.Type == core.EntryPayment:
		return a.payBackPayment(ctx)
	case a.f.Type != core.EntryRefund:
		return 0, lacks("action", "it is no money that could be paid back")
	case len(a.f.Ours) > 0:
		return a.payBackOurs(ctx)
	case len(a.f.Channel) > 0:
		return 0, lacks("action", "the channel has paid it back already; record it")
	}
	return a.payBackWindow(ctx)
}

// payBackPayment gives a patient back what the channel took.
func (a *act) payBackPayment(ctx context.Context) (int64, error) {
	var paid []Entry
	for _, e := range a.f.Channel {
		// The payment that counts stays where it is.
		if e.Type == core.EntryPayment && e.State != core.EntryFailed && (a.f.Of == "" || e.Number != a.f.Of || len(a.f.Channel) == 1) {
			paid = append(paid, e)
		}
	}
	if len(a.f.Channel) == 0 && a.f.Class == MissingAtHIS {
		paid = a.f.Ours // no bill speaks of that way of paying, and nobody doubts the money
	}
	switch {
	case len(paid) == 0:
		return 0, lacks("action", "the channel has no money of it that could go back")
	case len(paid) > 1:
		return 0, lacks("action", fmt.Sprintf("the channel has %d payments of it: pay back at the channel which of them are too many, and record the refunds", len(paid)))
	}
	// What is parked may be released one day, and would tell the HIS of money that
	// the patient has back; no later night looks at so old a day.
	if len(a.f.Ours) > 0 && a.f.Ours[0].Message != 0 {
		switch undecided, err := a.do.Undecided(ctx, a.f.Ours[0].Message); {
		case err != nil:
			return 0, err
		case undecided:
			return 0, lacks("action", fmt.Sprintf("message %d may still tell the HIS of the payment: cancel it first, then pay back", a.f.Ours[0].Message))
		}
	}
	e := paid[0]
	if e.ChannelNo == "" {
		return 0, lacks("channel_no", "the channel's bill has no number of the payment; pay it back at the channel and record the refund")
	}
	if e.Amount > a.r.Amount {
		return 0, a.tooMuch(e.Amount)
	}
	if a.Platform != nil {
		one := *a.f
		one.Channel, one.Ours, one.HIS = []Entry{e}, nil, nil
		message, done, err := a.Platform.PayBack(ctx, a.c.Hospital, one, a.r.Params)
		if err != nil || done {
			return message, err
		}
	}
	order := or(e.Number, a.f.Number)
	if len(a.f.Ours) == 0 {
		number := order
		if number == a.f.Of {
			number = e.ChannelNo // one order was paid twice, and its own number is taken
		}
		_, err := a.enqueue(ctx, core.RecordMoney, &core.LedgerRecord{
			Type: core.EntryPayment, Number: number, Amount: e.Amount, Channel: e.Channel, ChannelNo: e.ChannelNo,
			At: e.At, Reason: a.reason() + ": paid back",
		})
		if err != nil {
			return 0, err
		}
	}
	return a.enqueue(ctx, core.PayBack, &core.ChannelRefund{
		RefundNo: a.number("PB", e.ChannelNo), OrderID: order, Amount: e.Amount, Paid: e.Amount,
		Channel: e.Channel, ChannelNo: e.ChannelNo, Reason: a.reason(), AskedAt: a.at(),
	})
}

// payBackOurs has the channel do the refund that we believe in and it does not have.
func (a *act) payBackOurs(ctx context.Context) (int64, error) {
	ours := a.f.Ours[0]
	refund := &core.ChannelRefund{
		RefundNo: ours.Number, OrderID: or(ours.OrderID, a.r.Params.OrderID), Amount: ours.Amount,
		Channel: ours.Channel, Reason: a.reason(), AskedAt: a.at(),
	}
	switch b := a.body(ctx).(type) {
	case *core.ChannelRefund:
		// The channel was asked and forgot: the same question again.
		return a.do.Resend(ctx, ours.Message, a.r.ApprovedBy, a.r.Note)
	case *core.Refund:
		refund.OrderID, refund.Paid, refund.Channel, refund.ChannelNo = b.OrderID, b.Paid, b.Channel, b.ChannelNo
	}
	if refund.Paid == 0 || refund.ChannelNo == "" || refund.ChannelNo == "-" {
		if err := a.ofPayment(ctx, refund, ours.At); err != nil {
			return 0, err
		}
	}
	return a.enqueue(ctx, core.PayBack, refund)
}

// payBackWindow gives out what a cashier of the HIS promised.
func (a *act) payBackWindow(ctx context.Context) (int64, error) {
	if len(a.f.HIS) == 0 {
		return 0, lacks("action", "nobody has a refund of it")
	}
	if amount := a.f.HIS[0].Amount; amount > a.r.Amount {
		return 0, a.tooMuch(amount)
	}
	if a.Platform != nil {
		message, done, err := a.Platform.PayBack(ctx, a.c.Hospital, *a.f, a.r.Params)
		if err != nil || done {
			return message, err
		}
	}
	his := a.f.HIS[0]
	refund := &core.ChannelRefund{
		RefundNo: a.number("PB", his.HisNo), OrderID: or(a.r.Params.OrderID, his.OrderID), Amount: his.Amount,
		Channel: his.Channel, Reason: a.reason(), AskedAt: a.at(),
	}
	if his.Number != "" && his.Number != refund.OrderID {
		refund.RefundNo = his.Number // so that both books have one number
	}
	if err := a.ofPayment(ctx, refund, his.At); err != nil {
		return 0, err
	}
	return a.enqueue(ctx, core.PayBack, refund)
}

// paymentAge is how old a payment may be that goes back: channels keep bills for
// three months.
const paymentAge = 92

// ofPayment adds to a refund what our ledger has of its payment.
func (a *act) ofPayment(ctx context.Context, refund *core.ChannelRefund, at time.Time) error {
	if refund.OrderID == "" {
		return lacks("order_id", "missing: of which payment does the money go back? propose the repair again with it")
	}
	if at.IsZero() {
		at = a.at()
	}
	// Backwards day by day: most money goes back within days.
	for to := at.AddDate(0, 0, 1); at.Sub(to) < paymentAge*24*time.Hour; to = to.AddDate(0, 0, -1) {
		for e, err := range a.Store.Ours(ctx, a.c.Hospital, to.AddDate(0, 0, -1), to) {
			switch {
			case err != nil:
				return fmt.Errorf("look for the payment: %w", err)
			case e.Type != core.EntryPayment || e.Number != refund.OrderID:
				continue
			case e.NoChannel || e.ChannelNo == "":
				return lacks("order_id", "no money moved for that payment, so that none can go back")
			case e.Amount < refund.Amount:
				return lacks("amount", fmt.Sprintf("%d fen are to go back of a payment of %d fen", refund.Amount, e.Amount))
			}
			refund.Paid, refund.Channel, refund.ChannelNo = e.Amount, e.Channel, e.ChannelNo
			return nil
		}
	}
	return lacks("order_id", fmt.Sprintf("our ledger has no payment of that number in the %d days before the refund", paymentAge))
}
