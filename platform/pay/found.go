package pay

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// Found is money that a night looks into: a row of the channel's bill, or of our ledger.
type Found struct {
	Channel   core.Channel
	Number    string // of the payment at the channel (out_trade_no), or of its order
	ChannelNo string // the channel's own
	Amount    core.Fen
	At        time.Time
	Bills     []string // what it pays, where the bill says so
}

// Heard takes money that only the channel's bill has, as if the channel had told us now:
// the channel is asked. known is false when it is none of ours.
// After any error it may be called again.
func (s *Service) Heard(ctx context.Context, hospital string, f Found) (a Attempt, known bool, err error) {
	a, known, err = s.ofFound(ctx, hospital, f)
	switch {
	case err != nil:
		return a, false, fmt.Errorf("take money that a night found: %w", err)
	case !known:
		return a, false, nil
	}
	if a, err = s.heard(ctx, a, f); err != nil {
		err = fmt.Errorf("take money that a night found: %w", err)
	}
	return a, true, err
}

func (s *Service) heard(ctx context.Context, a Attempt, f Found) (Attempt, error) {
	if a.Got > 0 {
		return a, nil
	}
	channel, err := s.Accounts.Account(ctx, a.Hospital, a.Channel)
	if err != nil {
		return a, err
	}
	said := channel.Query(ctx, a.No)
	switch {
	case said.State == Unknown:
		return a, fmt.Errorf("the channel does not say now what became of payment %s", a.No)
	case said.State != Paid:
		return a, fmt.Errorf("%w: the channel says that nobody paid %s (%s), and its bill says otherwise", clinic.ErrRule, a.No, said.State)
	case f.ChannelNo != "" && said.ChannelNo != f.ChannelNo:
		return a, fmt.Errorf("%w: the channel has payment %s under another number than its bill", clinic.ErrRule, a.No)
	}
	return s.Said(context.WithoutCancel(ctx), a, said)
}

// Return gives all that is left of a payment back, which a night found that the HIS does not
// have, or that nobody should have made. What paid nothing goes back by itself; one of which
// nobody told us is taken first. known is false when it is none of ours. Again it does
// nothing new; the channel is asked by the job.
func (s *Service) Return(ctx context.Context, hospital string, f Found) (known bool, err error) {
	a, known, err := s.ofFound(ctx, hospital, f)
	if err == nil && known {
		if a, err = s.heard(ctx, a, f); err == nil {
			err = s.returnAll(ctx, a, f)
		}
	}
	if err != nil {
		return known, fmt.Errorf("give back money that a night found: %w", err)
	}
	return known, nil
}

func (s *Service) returnAll(ctx context.Context, a Attempt, f Found) error {
	return s.hold(ctx, a, func(tx pgx.Tx, outbox core.Outbox, o order.Order, now Attempt) (err error) {
		switch {
		case now.State == Stray:
			return nil // it goes back, or finance decides about the refund that the channel refused
		case now.State == Review:
			if now, err = s.move(ctx, tx, now, Stray, `next_at = null`); err != nil {
				return err
			}
			return s.sendBack(ctx, tx, outbox, now, unallocated, "金额不符，原路退回")
		case now.State != Succeeded:
			return fmt.Errorf("%w: the payment is %s", clinic.ErrState, now.State)
		case o.State == order.Refunded:
			return nil
		case o.Amount-o.Refunded != f.Amount:
			return fmt.Errorf("%w: %s of %s yuan of order %s went back before", clinic.ErrRule, o.Refunded, o.Amount, o.No)
		}
		return s.giveRest(ctx, tx, outbox, o.No, ByHIS, "对账退款")
	})
}

// ofFound is the attempt that a night means: by the channel's number, else by ours, which
// must be that of one.
func (s *Service) ofFound(ctx context.Context, hospital string, f Found) (a Attempt, known bool, err error) {
	all, err := many(ctx, s.Database, `hospital = $1 and channel = $2 and (no = $3 or channel_no = $4 and $4 <> '') order by (channel_no = $4) desc limit 1`, hospital, f.Channel, f.Number, f.ChannelNo)
	if err != nil || len(all) == 0 {
		return a, false, err
	}
	a = all[0]
	// Our number of an order that another attempt's money paid says nothing of this money.
	if a.ChannelNo != "" && f.ChannelNo != "" && a.ChannelNo != f.ChannelNo {
		return Attempt{}, false, nil
	}
	return a, true, nil
}
