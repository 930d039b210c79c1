package pay

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// GiveAll has every refund that is due given back by its channel, or asks what became of it.
func (s *Service) GiveAll(ctx context.Context) error {
	due, err := s.refunds(ctx, s.Database, `no in (select no from (select r.no, row_number() over (partition by r.hospital, a.channel order by r.next_at) as place
		from pay.refund r join pay.attempt a on a.id = r.attempt where r.next_at <= clock_timestamp()) d where place <= 20) order by next_at`)
	if err != nil {
		return err
	}
	channels := map[int64]core.Channel{}
	for _, r := range due {
		if a, err := one(ctx, s.Database, `id = $1`, r.attempt); err == nil {
			channels[r.attempt] = a.Channel
		}
	}
	return byAccount(due, func(r Refund) account { return account{r.Hospital, channels[r.attempt]} }, func(r Refund) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := s.Give(ctx, r.No); err != nil {
			return fmt.Errorf("refund %s: %w", r.No, err)
		}
		return nil
	})
}

// giveNow gives back at once what is decided; when that cannot be, the job does.
func (s *Service) giveNow(ctx context.Context, r Refund) (Refund, error) {
	now, err := s.Give(ctx, r.No)
	if err != nil {
		s.Log.Warn("give back at once", "refund", r.No, "error", err)
		return r, nil
	}
	return now, nil
}

// Give has a refund that is due given back by its channel once. One that was asked for
// before is asked about first; only one that the channel does not have is asked for again,
// with the same number.
func (s *Service) Give(ctx context.Context, no string) (Refund, error) {
	r, before, err := s.claim(ctx, no)
	if err != nil || before == "" {
		return r, err
	}
	a, err := one(ctx, s.Database, `id = $1`, r.attempt)
	if err != nil {
		return r, err
	}
	channel, err := s.Accounts.Account(ctx, r.Hospital, a.Channel)
	if err != nil {
		return r, err
	}
	g := Giving{No: r.No, Payment: a.No, ChannelNo: a.ChannelNo, Amount: r.Amount, Total: a.Got, Reason: words[r.Origin], Notice: s.noticeAddress(a.Channel, a.Hospital)}
	said := Given{State: Absent}
	if before != Approved {
		said = channel.QueryRefund(ctx, g)
	}
	if said.State == Absent {
		said = channel.Refund(ctx, g)
	}
	return s.GivenSaid(context.WithoutCancel(ctx), r.No, said)
}

// words are what the payer reads: never what somebody wrote about him.
var words = map[Origin]string{ByPatient: "退款", ByDesk: "退款", ByWindow: "窗口退费", ByModule: "服务未进行，退款", ByStray: "订单未能支付，退款", ByHIS: "医院未能入账，退款"}

// claim writes down that the channel is about to be asked. before is the state that it
// was in, "" when there is nothing to do now.
func (s *Service) claim(ctx context.Context, no string) (r Refund, before RefundState, err error) {
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		due, err := s.refunds(ctx, tx, `no = $1 and next_at <= clock_timestamp() for update`, no)
		if err != nil {
			return err
		}
		if len(due) == 0 {
			r, err = s.refund(ctx, tx, no)
			return err
		}
		r, before = due[0], due[0].State
		if r.State == GivingBack {
			_, err = tx.Exec(ctx, `update pay.refund set next_at = clock_timestamp() + $2::interval where no = $1`, no, asking)
			return err
		}
		r, err = s.moveRefund(ctx, tx, r, GivingBack, `next_at = clock_timestamp() + $3::interval`, asking)
		return err
	})
	return r, before, err
}

// GivenSaid takes what a channel says of a refund, whoever asked and however often.
func (s *Service) GivenSaid(ctx context.Context, no string, g Given) (Refund, error) {
	r, err := s.refund(ctx, s.Database, no)
	if err != nil {
		return r, err
	}
	err = s.Transact(ctx, r.Hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		if _, err := s.Orders.Lock(ctx, tx, r.OrderNo); err != nil {
			return err
		}
		all, err := s.refunds(ctx, tx, `no = $1 for update`, no)
		if err != nil || len(all) == 0 {
			return errors.Join(err, clinic.ErrNotFound)
		}
		r = all[0]
		if g.State == Returned && r.State == Dropped {
			s.Log.Error("a channel gave back what it had refused, after it was given up", "refund", no)
			return nil // the night shows the difference
		}
		if g.State == Returned {
			return s.returned(ctx, tx, outbox, &r, g)
		}
		if r.State != GivingBack && r.State != Undefined {
			return nil
		}
		switch g.State {
		case Denied:
			r, err = s.moveRefund(ctx, tx, r, NotReturned, `next_at = null, problem = $3`, cut(g.Words))
			return err
		case Processing:
			_, err = tx.Exec(ctx, `update pay.refund set asked = asked + 1, next_at = `+backoff+` + interval '8 seconds', problem = '' where no = $1`, no)
			return err
		}
		if r.State == Undefined {
			_, err = tx.Exec(ctx, `update pay.refund set asked = asked + 1, next_at = `+backoff+`, problem = $2 where no = $1`, no, cut(g.Words))
			return err
		}
		r, err = s.moveRefund(ctx, tx, r, Undefined, `asked = asked + 1, next_at = `+backoff+`, problem = $3`, cut(g.Words))
		return err
	})
	if err != nil {
		return r, err
	}
	return s.refund(ctx, s.Database, no)
}

// returned ends a refund that the channel gave back; the subject of its order tells the HIS.
func (s *Service) returned(ctx context.Context, tx pgx.Tx, outbox core.Outbox, r *Refund, g Given) (err error) {
	if r.State == Arrived {
		return nil // it says so again
	}
	if g.Amount != 0 && g.Amount != r.Amount {
		return fmt.Errorf("refund %s: the channel says that %s yuan went back, not %s", r.No, g.Amount, r.Amount)
	}
	told := Telling
	if r.Origin == ByStray || r.Origin == ByWindow || r.Origin == ByHIS || r.hisRefundNo != "" {
		told = ""
	}
	if *r, err = s.moveRefund(ctx, tx, *r, Arrived, `next_at = null, channel_refund_no = $3, returned_at = $4, problem = '', told = $5`, g.ChannelNo, g.At, told); err != nil {
		return err
	}
	a, err := one(ctx, tx, `id = $1`, r.attempt)
	if err != nil {
		return err
	}
	if err := s.post(ctx, tx, r.Hospital, "returned", r.No, r.OrderNo, entry{onTheWay, r.Amount}, entry{channelAccount(a.Channel), -r.Amount}); err != nil {
		return err
	}
	if r.ofOrder() {
		back := order.Back{Payment: order.Payment{Channel: a.Channel, ChannelNo: a.ChannelNo, Amount: a.Got, At: *a.PaidAt}, ChannelRefundNo: g.ChannelNo, At: g.At}
		if err := s.Orders.Returned(ctx, tx, outbox, r.No, back); err != nil {
			return err
		}
	}
	if r.Origin != ByStray && r.Origin != ByHIS {
		return nil
	}
	of := r.OrderNo
	if r.Origin == ByStray {
		of = a.strayNo()
	}
	return s.record(ctx, outbox, r.Hospital, &core.LedgerRecord{Type: core.EntryRefund, Number: r.No, OrderID: of, Amount: r.Amount, Channel: a.Channel, ChannelNo: g.ChannelNo,
		At: g.At, Reason: "the HIS does not have the payment"})
}

// Decision of a person about a refund.
type Decision string

// The decisions.
const (
	Approve Decision = "approve"
	Decline Decision = "decline"
	Again   Decision = "again" // one that the channel refused is asked for once more
	Drop    Decision = "drop"  // one that the channel refused is given up
)

// Decide about a refund. Who proposed it does not approve it.
func (s *Service) Decide(ctx context.Context, p clinic.Person, hospital, no string, d Decision) (Refund, error) {
	r, err := s.refund(ctx, s.Database, no)
	if err == nil && r.Hospital != hospital {
		err = clinic.ErrNotFound
	}
	if err == nil && d == Drop {
		err = s.stillRefused(ctx, r)
	}
	if err == nil {
		err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
			o, err := s.Orders.Lock(ctx, tx, r.OrderNo)
			if err != nil {
				return err
			}
			all, err := s.refunds(ctx, tx, `no = $1 for update`, no)
			if err != nil || len(all) == 0 {
				return errors.Join(err, clinic.ErrNotFound)
			}
			r = all[0]
			return s.decide(ctx, tx, outbox, o, &r, p, d)
		})
	}
	if err != nil {
		return Refund{}, fmt.Errorf("%s refund: %w", d, err)
	}
	if r.State == Approved {
		return s.giveNow(ctx, r)
	}
	return r, nil
}

// stillRefused asks the channel before a refund is given up: what it gave back after all
// is not.
func (s *Service) stillRefused(ctx context.Context, r Refund) error {
	a, err := one(ctx, s.Database, `id = $1`, r.attempt)
	if err != nil {
		return err
	}
	channel, err := s.Accounts.Account(ctx, r.Hospital, a.Channel)
	if err != nil {
		return err
	}
	said := channel.QueryRefund(ctx, Giving{No: r.No, Payment: a.No, ChannelNo: a.ChannelNo, Amount: r.Amount, Total: a.Got})
	switch said.State {
	case Absent, Denied:
		return nil
	case Returned:
		if _, err := s.GivenSaid(ctx, r.No, said); err != nil {
			return err
		}
		return fmt.Errorf("%w: the channel has given it back after all", clinic.ErrState)
	}
	return fmt.Errorf("%w: the channel does not say now that it will not give it back", clinic.ErrState)
}

func (s *Service) decide(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, r *Refund, p clinic.Person, d Decision) (err error) {
	const by = `decided_by = $3`
	switch d {
	case Approve:
		if r.proposedBy == p.Account {
			return fmt.Errorf("%w: two persons: who asked for a refund does not approve it", clinic.ErrRule)
		}
		if r.State != Requested {
			_, err = RefundStates.Move(r.State, Approved)
			return errors.Join(err, fmt.Errorf("%w: it is %s", clinic.ErrState, r.State))
		}
		return s.approve(ctx, tx, outbox, r, p.Account)
	case Decline:
		*r, err = s.moveRefund(ctx, tx, *r, Declined, by, p.Account)
		return err
	case Again:
		if r.State != NotReturned {
			return fmt.Errorf("%w: it is %s", clinic.ErrState, r.State)
		}
		*r, err = s.moveRefund(ctx, tx, *r, Approved, by+`, next_at = clock_timestamp(), problem = ''`, p.Account)
		return err
	case Drop:
		if !r.ofOrder() {
			return fmt.Errorf("%w: this money paid nothing; it has to go back", clinic.ErrRule)
		}
		return s.drop(ctx, tx, o, r, p.Account)
	}
	return core.Problems{{Field: "decision", What: "is none of approve, decline, again, drop"}}
}

// drop gives a refund up that the channel refused: the money stays, and the order is paid
// by it again.
func (s *Service) drop(ctx context.Context, tx pgx.Tx, o order.Order, r *Refund, by int64) (err error) {
	if *r, err = s.moveRefund(ctx, tx, *r, Dropped, `decided_by = $3, next_at = null`, by); err != nil {
		return err
	}
	if err := s.Orders.Undo(ctx, tx, r.No); err != nil {
		return err
	}
	return s.post(ctx, tx, r.Hospital, "given_up", r.No, r.OrderNo, entry{onTheWay, r.Amount}, entry{"revenue:" + string(o.Kind), -r.Amount})
}
