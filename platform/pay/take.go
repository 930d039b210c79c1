package pay

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// tellStates: what the HIS has, it has. Repeats and late events change nothing.
var tellStates = map[Told][]Told{
	Telling: {HasIt, Stuck, GoBack},
	Stuck:   {HasIt, Stuck, GoBack},
}

// Mine are the events of money that was taken or given back here, and all of other kinds.
func (s *Service) Mine(ctx context.Context, tx pgx.Tx, events []core.Event) ([]core.Event, error) {
	events, err := clinic.Known(ctx, tx, "pay.attempt", "hospital", "order_no", events, core.PaymentSettle, core.AppointmentPay)
	if err != nil {
		return nil, err
	}
	return clinic.Known(ctx, tx, "pay.refund", "hospital", "no", events, core.RefundCreate)
}

// Take is the module's side of the inbox: what became of telling the HIS. A payment that
// the HIS refuses for good goes back to who paid; that of a registration with its
// appointment, which the appointment's module gives up then.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	switch e.Kind {
	case core.PaymentSettle, core.AppointmentPay, core.RefundCreate, core.AppointmentCancel:
	default:
		return nil
	}
	var to Told
	var no, problem string
	switch e.Type {
	case core.EventDelivered:
		to = HasIt
		if e.Receipt != nil {
			no = e.Receipt.HisNo
		}
	case core.EventParked, core.EventCancelled:
		to, problem = Stuck, e.Reason
	case core.EventRefundNow:
		to, problem = GoBack, e.Reason
	default:
		return nil
	}
	switch e.Kind {
	case core.RefundCreate:
		_, err := tx.Exec(ctx, `update pay.refund set told = $3, problem = $4, updated_at = clock_timestamp() where hospital = $1 and no = $2 and told = any($5)`,
			e.Hospital, e.Key, to, cut(problem), from(to))
		return err
	case core.AppointmentCancel: // names the order; it tells of the refund of all of it
		_, err := tx.Exec(ctx, `update pay.refund r set told = $3, problem = $4, updated_at = clock_timestamp() where hospital = $1 and order_no = $2 and state = 'succeeded' and told = any($5)
			and amount = (select got from pay.attempt where id = r.attempt)`, e.Hospital, e.Key, to, cut(problem), from(to))
		return err
	}
	var order string
	err := tx.QueryRow(ctx, `select order_no from pay.attempt where hospital = $1 and order_no = $2 and state = 'succeeded'`, e.Hospital, e.Key).Scan(&order)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // told by somebody else
	} else if err != nil {
		return err
	}
	if _, err := s.Orders.Lock(ctx, tx, order); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `update pay.attempt set told = $3, problem = $4, his_no = coalesce(nullif($5, ''), his_no), updated_at = clock_timestamp()
		where hospital = $1 and order_no = $2 and state = 'succeeded' and told = any($6)`, e.Hospital, order, to, cut(problem), no, from(to))
	if err != nil || to != GoBack || tag.RowsAffected() == 0 || e.Kind == core.AppointmentPay {
		return err
	}
	refused := pgx.BeginFunc(ctx, tx, func(pgx.Tx) error {
		return s.giveRest(ctx, tx, s.Outbox(tx), order, ByHIS, "医院未能入账")
	})
	if errors.Is(refused, clinic.ErrRule) || errors.Is(refused, clinic.ErrState) { // the inbox goes on; finance sees why
		_, err = tx.Exec(ctx, `update pay.attempt set problem = $2 where order_no = $1 and state = 'succeeded'`, order, cut("the HIS refused it for good: "+refused.Error()))
		return err
	}
	return refused
}

// from is what telling may be before it becomes to.
func from(to Told) (all []string) {
	for state, next := range tellStates {
		for _, n := range next {
			if n == to {
				all = append(all, string(state))
			}
		}
	}
	return all
}
