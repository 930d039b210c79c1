package pay

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// PaymentDecision of a person about a payment.
type PaymentDecision string

// The decisions.
const (
	AskOnce     PaymentDecision = "ask"
	NothingCame PaymentDecision = "nothing_came"
	SendBack    PaymentDecision = "give_back"
)

// Resolve does what a person decides about a payment that is unknown or in review, or that
// the HIS refused for good and whose money did not go back by itself.
func (s *Service) Resolve(ctx context.Context, p clinic.Person, hospital string, c core.Channel, no string, d PaymentDecision, note string) (Attempt, error) {
	a, err := one(ctx, s.Database, `channel = $1 and no = $2 and hospital = $3`, c, no, hospital)
	if err != nil {
		return a, err
	}
	if d == AskOnce || d == NothingCame { // also before nothing came: the channel may have found its voice
		if a, err = s.askAgain(ctx, a); err != nil || d == AskOnce {
			return a, err
		}
	}
	sealed, err := s.Vault.Seal([]byte(note), "payment note", a.No)
	if err != nil {
		return a, err
	}
	err = s.hold(ctx, a, func(tx pgx.Tx, outbox core.Outbox, o order.Order, now Attempt) (err error) {
		a = now
		if _, err := tx.Exec(ctx, `update pay.attempt set decided_by = $2, note = $3 where id = $1`, a.id, p.Account, sealed); err != nil {
			return err
		}
		switch {
		case d == NothingCame && (a.State == Undecided || a.State == Review && a.Got == 0):
			return s.close(ctx, tx, o, &a)
		case d == SendBack && a.State == Review && a.Got > 0:
			if a, err = s.move(ctx, tx, a, Stray, `next_at = null`); err != nil {
				return err
			}
			return s.sendBack(ctx, tx, outbox, a, unallocated, "金额不符，原路退回")
		case d == SendBack && a.State == Succeeded && a.Told == GoBack && o.State == order.Paid:
			return s.giveRest(ctx, tx, outbox, o.No, ByHIS, "医院未能入账")
		}
		return fmt.Errorf("decide payment: %w: it is %s", clinic.ErrState, a.State)
	})
	return a, err
}

// askAgain asks the channel about a payment that a person looks at.
func (s *Service) askAgain(ctx context.Context, a Attempt) (Attempt, error) {
	if a.State != Review || a.Got > 0 {
		return s.Settle(ctx, a)
	}
	channel, err := s.Accounts.Account(ctx, a.Hospital, a.Channel)
	if err != nil {
		return a, err
	}
	if said := channel.Query(ctx, a.No); said.State == Paid {
		return s.Said(ctx, a, said)
	}
	return a, nil
}
