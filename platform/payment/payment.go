// Package payment is the clinic's money: what the payment channel says was paid
// or given back, told to the HIS.
package payment

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// State of telling the HIS of a payment or refund. The channel has the money in
// every one of them.
type State string

const (
	Telling  State = "telling" // the hub is at it
	Told     State = "told"    // the HIS has it
	Stuck    State = "stuck"   // parked; a person decides
	GoBack   State = "go_back" // the HIS refused for good: the money must go back
	Refunded State = "refunded"
)

// States is the machine of a payment.
var States = clinic.States[State]{
	Telling: {Told, Stuck, GoBack, Refunded},
	Stuck:   {Told, Stuck, GoBack, Telling, Refunded},
	Told:    {Refunded},
	GoBack:  {Refunded},
}

// Paid is what the channel says about a payment.
type Paid struct {
	OrderID       string       `json:"order_id" maxLength:"64"`
	Prescriptions []string     `json:"prescriptions" minItems:"1" maxItems:"20" doc:"numbers of the prescriptions that it pays"`
	Amount        core.Fen     `json:"amount" doc:"fen"`
	Channel       core.Channel `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo     string       `json:"channel_no" maxLength:"64"`
	PaidAt        time.Time    `json:"paid_at"`
}

// Order is a paid order as the clinic sees it.
type Order struct {
	Hospital   string       `json:"hospital"`
	OrderID    string       `json:"order_id"`
	Amount     core.Fen     `json:"amount"`
	Refunded   core.Fen     `json:"refunded"`
	Channel    core.Channel `json:"channel"`
	ChannelNo  string       `json:"channel_no"`
	PaidAt     time.Time    `json:"paid_at"`
	State      State        `json:"state"`
	HisNo      string       `json:"his_no,omitempty"`
	HisProblem string       `json:"his_problem,omitempty"`

	visitNo, patientNo string
}

// Prescriptions is what the module needs of the prescription module.
type Prescriptions interface {
	Pay(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital, no string, at time.Time) (*core.Prescription, error)
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	Prescriptions Prescriptions
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "payment", schema)
}

// Pay takes the channel's word that an order was paid. One transaction saves the
// payment, moves the prescriptions and enqueues both messages, in the lane of
// the visit: the prescription first. The channel may say it again.
func (s *Service) Pay(ctx context.Context, hospital string, paid Paid) (Order, error) {
	var out Order
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) (err error) {
		out, err = s.pay(ctx, tx, outbox, hospital, paid)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("pay: %w", err)
	}
	return out, nil
}

func (s *Service) pay(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital string, paid Paid) (Order, error) {
	switch old, err := s.lock(ctx, tx, hospital, paid.OrderID); {
	case err == nil:
		if old.Amount != paid.Amount || old.ChannelNo != paid.ChannelNo || old.Channel != paid.Channel {
			return Order{}, fmt.Errorf("%w: this order was paid before, otherwise", clinic.ErrRule)
		}
		return old, nil // the channel says it again
	case !errors.Is(err, clinic.ErrNotFound):
		return Order{}, err
	}
	m := &core.Payment{OrderID: paid.OrderID, Amount: paid.Amount, Channel: paid.Channel, ChannelNo: paid.ChannelNo, PaidAt: paid.PaidAt}
	var due core.Fen
	for _, no := range paid.Prescriptions {
		rx, err := s.Prescriptions.Pay(ctx, tx, outbox, hospital, no, paid.PaidAt)
		if err != nil {
			return Order{}, err
		}
		if m.VisitNo == "" {
			m.VisitNo, m.PatientNo, m.PatientName = rx.VisitNo, rx.PatientNo, rx.PatientName
		} else if m.VisitNo != rx.VisitNo || m.PatientNo != rx.PatientNo {
			return Order{}, fmt.Errorf("%w: one payment pays prescriptions of one visit", clinic.ErrRule)
		}
		due += rx.Amount
		m.Bills = append(m.Bills, no)
	}
	if due != paid.Amount {
		return Order{}, core.Problems{{Field: "amount", What: fmt.Sprintf("the prescriptions cost %d fen, %d fen were paid", due, paid.Amount)}}
	}
	if _, err := tx.Exec(ctx, `insert into payment.payment (hospital, order_id, visit_no, patient_no, rx, amount, channel, channel_no, paid_at, state)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		hospital, paid.OrderID, m.VisitNo, m.PatientNo, paid.Prescriptions, paid.Amount, paid.Channel, paid.ChannelNo, paid.PaidAt, Telling); err != nil {
		return Order{}, err
	}
	if _, err := outbox.Enqueue(ctx, hospital, core.Message{Kind: core.PaymentSettle, Body: m}); err != nil {
		return Order{}, err
	}
	return s.lock(ctx, tx, hospital, paid.OrderID)
}

// Refund takes the channel's word that money of an order went back.
func (s *Service) Refund(ctx context.Context, hospital, orderID, refundNo, channelRefundNo string, amount core.Fen, reason string, at time.Time) (Order, error) {
	var out Order
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		p, err := s.lock(ctx, tx, hospital, orderID)
		if err != nil {
			return err
		}
		var known core.Fen
		switch err := tx.QueryRow(ctx, `select amount from payment.refund where hospital = $1 and refund_no = $2`, hospital, refundNo).Scan(&known); {
		case err == nil && known == amount:
			out = p
			return nil // the channel says it again
		case err == nil:
			return fmt.Errorf("%w: this refund was made before, for another amount", clinic.ErrRule)
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		if p.Refunded+amount > p.Amount {
			return core.Problems{{Field: "amount", What: fmt.Sprintf("%d of %d fen were given back before", p.Refunded, p.Amount)}}
		}
		if _, err := tx.Exec(ctx, `insert into payment.refund (hospital, refund_no, order_id, amount, channel_refund_no, reason, state, refunded_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`, hospital, refundNo, orderID, amount, channelRefundNo, reason, Telling, at); err != nil {
			return err
		}
		state := p.State
		if p.Refunded+amount == p.Amount {
			if state, err = States.Move(p.State, Refunded); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `update payment.payment set refunded = refunded + $3, state = $4, updated_at = clock_timestamp() where hospital = $1 and order_id = $2`,
			hospital, orderID, amount, state); err != nil {
			return err
		}
		if _, err := outbox.Enqueue(ctx, hospital, core.Message{Kind: core.RefundCreate, Body: &core.Refund{
			RefundNo: refundNo, OrderID: orderID, VisitNo: p.visitNo, PatientNo: p.patientNo, HisNo: p.HisNo, Amount: amount, Paid: p.Amount,
			Channel: p.Channel, ChannelNo: p.ChannelNo, ChannelRefundNo: channelRefundNo, Reason: reason, RefundedAt: at,
		}}); err != nil {
			return err
		}
		out, err = s.lock(ctx, tx, hospital, orderID)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("refund: %w", err)
	}
	return out, nil
}

// Get returns one payment.
func (s *Service) Get(ctx context.Context, hospital, orderID string) (p Order, err error) {
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		p, err = s.lock(ctx, tx, hospital, orderID)
		return err
	})
	return p, err
}

// Take is the module's side of the inbox.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	table, column := "", ""
	switch e.Kind {
	case core.PaymentSettle:
		table, column = "payment.payment", "order_id"
	case core.RefundCreate:
		table, column = "payment.refund", "refund_no"
	default:
		return nil
	}
	to, no := State(""), ""
	switch e.Type {
	case core.EventDelivered:
		to = Told
		if e.Receipt != nil {
			no = e.Receipt.HisNo
		}
	case core.EventParked, core.EventCancelled:
		to = Stuck
	case core.EventRefundNow:
		to = GoBack
	default:
		return nil
	}
	var from State
	err := tx.QueryRow(ctx, `select state from `+table+` where hospital = $1 and `+column+` = $2 for update`, e.Hospital, e.Key).Scan(&from)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // submitted by somebody else
	} else if err != nil {
		return err
	}
	if to, err = States.Move(from, to); err != nil {
		to = from // given back meanwhile, or told twice
	}
	_, err = tx.Exec(ctx, `update `+table+` set state = $3, his_no = case when $4 = '' then his_no else $4 end, his_problem = $5, updated_at = clock_timestamp()
		where hospital = $1 and `+column+` = $2`, e.Hospital, e.Key, to, no, e.Reason)
	return err
}

func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, orderID string) (Order, error) {
	p := Order{Hospital: hospital, OrderID: orderID}
	err := tx.QueryRow(ctx, `select amount, refunded, channel, channel_no, paid_at, state, his_no, his_problem, visit_no, patient_no
		from payment.payment where hospital = $1 and order_id = $2 for update`, hospital, orderID).
		Scan(&p.Amount, &p.Refunded, &p.Channel, &p.ChannelNo, &p.PaidAt, &p.State, &p.HisNo, &p.HisProblem, &p.visitNo, &p.patientNo)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, clinic.ErrNotFound
	}
	return p, err
}
