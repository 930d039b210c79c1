// Package payment is the clinic's money: what the payment channel says was paid
// or given back, told to the HIS.
package payment

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
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
	Untold   State = "untold" // a refund that the HIS need not hear of: it never had the payment
	Paying   State = "paying" // a refund that the HIS's window started: the channel is at it
)

// States is the machine of a payment, RefundStates that of a refund.
var (
	States = clinic.States[State]{
		Telling: {Told, Stuck, GoBack, Refunded},
		Stuck:   {Told, Stuck, GoBack, Refunded},
		Told:    {Refunded},
		GoBack:  {Refunded},
	}
	RefundStates = clinic.States[State]{
		Telling: {Told, Stuck},
		Stuck:   {Told, Stuck},
		Paying:  {Told}, // the HIS started it, so it knows
	}
)

// Paid is what the channel says about a payment.
type Paid struct {
	OrderID       string       `json:"order_id" maxLength:"64"`
	Prescriptions []string     `json:"prescriptions" minItems:"1" maxItems:"20" doc:"numbers of the prescriptions that it pays"`
	Amount        core.Fen     `json:"amount" doc:"fen"`
	Channel       core.Channel `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo     string       `json:"channel_no" maxLength:"64"`
	PaidAt        time.Time    `json:"paid_at"`
}

// Charge is a paid order as the clinic sees it.
type Charge struct {
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
	prescriptions      []string
}

// Prescriptions is what the module needs of the prescription module.
type Prescriptions interface {
	// Pay moves them to paid and enqueues them; they are of one visit.
	Pay(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital string, nos []string, at time.Time) ([]*core.Prescription, error)
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	Prescriptions Prescriptions
	// Channel pays back what a HIS's window refunds.
	Channel Channel
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
func (s *Service) Pay(ctx context.Context, hospital string, paid Paid) (Charge, error) {
	var out Charge
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) (err error) {
		out, err = s.pay(ctx, tx, outbox, hospital, paid)
		return err
	})
	if err != nil {
		return Charge{}, fmt.Errorf("pay: %w", err)
	}
	return out, nil
}

func (s *Service) pay(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital string, paid Paid) (Charge, error) {
	if err := paid.check(); err != nil {
		return Charge{}, err
	}
	// The channel may say it twice at once; there is no row yet to hold.
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, "payment "+hospital+"/"+paid.OrderID); err != nil {
		return Charge{}, err
	}
	switch old, err := s.lock(ctx, tx, hospital, paid.OrderID); {
	case err == nil:
		if old.Amount != paid.Amount || old.ChannelNo != paid.ChannelNo || old.Channel != paid.Channel || !slices.Equal(old.prescriptions, paid.Prescriptions) {
			return Charge{}, fmt.Errorf("%w: this order was paid before, otherwise", clinic.ErrRule)
		}
		return old, nil // the channel says it again
	case !errors.Is(err, clinic.ErrNotFound):
		return Charge{}, err
	}
	prescriptions, err := s.Prescriptions.Pay(ctx, tx, outbox, hospital, paid.Prescriptions, paid.PaidAt)
	if err != nil {
		return Charge{}, err
	}
	var due core.Fen
	for _, rx := range prescriptions {
		due += rx.Amount
	}
	if due != paid.Amount {
		return Charge{}, core.Problems{{Field: "amount", What: fmt.Sprintf("the prescriptions cost %d fen, %d fen were paid", due, paid.Amount)}}
	}
	m := &core.Payment{
		OrderID: paid.OrderID, Amount: paid.Amount, Channel: paid.Channel, ChannelNo: paid.ChannelNo, PaidAt: paid.PaidAt, Bills: paid.Prescriptions,
		VisitNo: prescriptions[0].VisitNo, PatientNo: prescriptions[0].PatientNo, PatientName: prescriptions[0].PatientName,
	}
	if err := m.Validate(); err != nil {
		return Charge{}, err
	}
	_, err = tx.Exec(ctx, `insert into payment.payment (hospital, order_id, visit_no, patient_no, rx, amount, channel, channel_no, paid_at, state)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		hospital, paid.OrderID, m.VisitNo, m.PatientNo, paid.Prescriptions, paid.Amount, paid.Channel, paid.ChannelNo, paid.PaidAt, Telling)
	if clinic.Duplicate(err) {
		return Charge{}, fmt.Errorf("%w: this payment of the channel paid another order", clinic.ErrRule)
	} else if err != nil {
		return Charge{}, err
	}
	if _, err := outbox.Enqueue(ctx, hospital, core.Message{Kind: core.PaymentSettle, Body: m}); err != nil {
		return Charge{}, err
	}
	return s.lock(ctx, tx, hospital, paid.OrderID)
}

func (p Paid) check() error {
	if len(p.Prescriptions) == 0 {
		return core.Problems{{Field: "prescriptions", What: "missing"}}
	}
	var ps core.Problems
	for i, no := range p.Prescriptions {
		if slices.Contains(p.Prescriptions[:i], no) {
			ps = append(ps, core.Problem{Field: fmt.Sprintf("prescriptions[%d]", i), What: "is there a second time"})
		}
	}
	return ps.OrNil()
}

// Given is what the channel says about money that went back.
type Given struct {
	RefundNo        string    `json:"refund_no" maxLength:"64"`
	ChannelRefundNo string    `json:"channel_refund_no" maxLength:"64"`
	Amount          core.Fen  `json:"amount" minimum:"1" doc:"fen"`
	Reason          string    `json:"reason" minLength:"1" maxLength:"200"`
	RefundedAt      time.Time `json:"refunded_at"`
}

// Refund takes the channel's word that money of an order went back, and tells
// the HIS; one whose payment the HIS refused for good only goes into the ledger,
// for the night. The channel may say it again.
func (s *Service) Refund(ctx context.Context, hospital, orderID string, given Given) (Charge, error) {
	var out Charge
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) (err error) {
		out, err = s.refund(ctx, tx, outbox, hospital, orderID, given)
		return err
	})
	if err != nil {
		return Charge{}, fmt.Errorf("refund: %w", err)
	}
	return out, nil
}

func (s *Service) refund(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital, orderID string, given Given) (Charge, error) {
	p, err := s.lock(ctx, tx, hospital, orderID)
	if err != nil {
		return p, err
	}
	var order, channelNo string
	var amount core.Fen
	err = tx.QueryRow(ctx, `select order_id, channel_refund_no, amount from payment.refund where hospital = $1 and refund_no = $2`, hospital, given.RefundNo).
		Scan(&order, &channelNo, &amount)
	switch {
	case err == nil && order == orderID && channelNo == given.ChannelRefundNo && amount == given.Amount:
		return p, nil // the channel says it again
	case err == nil:
		return p, fmt.Errorf("%w: this refund was made before, otherwise", clinic.ErrRule)
	case !errors.Is(err, pgx.ErrNoRows):
		return p, err
	}
	m := &core.Refund{
		RefundNo: given.RefundNo, OrderID: orderID, VisitNo: p.visitNo, PatientNo: p.patientNo, HisNo: p.HisNo, Amount: given.Amount, Paid: p.Amount,
		Channel: p.Channel, ChannelNo: p.ChannelNo, ChannelRefundNo: given.ChannelRefundNo, Reason: given.Reason, RefundedAt: given.RefundedAt,
	}
	if p.Refunded+given.Amount > p.Amount {
		return p, core.Problems{{Field: "amount", What: fmt.Sprintf("%d of %d fen were given back before", p.Refunded, p.Amount)}}
	}
	if err := m.Validate(); err != nil {
		return p, err
	}
	told := Telling
	if p.State == GoBack {
		told = Untold
	}
	_, err = tx.Exec(ctx, `insert into payment.refund (hospital, refund_no, order_id, amount, channel_refund_no, reason, state, refunded_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`, hospital, given.RefundNo, orderID, given.Amount, given.ChannelRefundNo, given.Reason, told, given.RefundedAt)
	if clinic.Duplicate(err) {
		return p, fmt.Errorf("%w: this refund of the channel was made before, under another number", clinic.ErrRule)
	} else if err != nil {
		return p, err
	}
	state := p.State
	if p.Refunded+given.Amount == p.Amount {
		if state, err = States.Move(p.State, Refunded); err != nil {
			return p, err
		}
	}
	if _, err := tx.Exec(ctx, `update payment.payment set refunded = refunded + $3, state = $4, updated_at = clock_timestamp() where hospital = $1 and order_id = $2`,
		hospital, orderID, given.Amount, state); err != nil {
		return p, err
	}
	tell := core.Message{Kind: core.RefundCreate, Body: m}
	if told == Untold {
		tell = core.Message{Kind: core.RecordMoney, Body: &core.LedgerRecord{
			Type: core.EntryRefund, Number: given.RefundNo, OrderID: orderID, Amount: given.Amount, Channel: p.Channel, ChannelNo: given.ChannelRefundNo,
			At: given.RefundedAt, Reason: "the HIS refused the payment for good",
		}}
	}
	if _, err := outbox.Enqueue(ctx, hospital, tell); err != nil {
		return p, err
	}
	return s.lock(ctx, tx, hospital, orderID)
}

// Get returns one payment.
func (s *Service) Get(ctx context.Context, hospital, orderID string) (Charge, error) {
	return read(ctx, s.Database, hospital, orderID, "")
}

// Take is the module's side of the inbox.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	var table, column string
	states := States
	switch e.Kind {
	case core.PaymentSettle:
		table, column = "payment.payment", "order_id"
	case core.RefundCreate:
		table, column, states = "payment.refund", "refund_no", RefundStates
	default:
		return nil
	}
	var to State
	var no, problem string
	switch e.Type {
	case core.EventDelivered:
		to = Told
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
	var from State
	err := tx.QueryRow(ctx, `select state from `+table+` where hospital = $1 and `+column+` = $2 for update`, e.Hospital, e.Key).Scan(&from)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // submitted by somebody else
	} else if err != nil {
		return err
	}
	if to, err = states.Move(from, to); err != nil {
		if e.Type != core.EventDelivered {
			return nil // it came late, or twice
		}
		to = from // given back meanwhile, or told twice; the HIS's number counts all the same
	}
	_, err = tx.Exec(ctx, `update `+table+` set state = $3, his_no = coalesce(nullif($4, ''), his_no), his_problem = $5, updated_at = clock_timestamp()
		where hospital = $1 and `+column+` = $2`, e.Hospital, e.Key, to, no, problem)
	return err
}

// lock reads a payment and holds it until tx ends.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, orderID string) (Charge, error) {
	return read(ctx, tx, hospital, orderID, " for update")
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func read(ctx context.Context, q querier, hospital, orderID, suffix string) (Charge, error) {
	p := Charge{Hospital: hospital, OrderID: orderID}
	err := q.QueryRow(ctx, `select amount, refunded, channel, channel_no, paid_at, state, his_no, his_problem, visit_no, patient_no, rx
		from payment.payment where hospital = $1 and order_id = $2`+suffix, hospital, orderID).
		Scan(&p.Amount, &p.Refunded, &p.Channel, &p.ChannelNo, &p.PaidAt, &p.State, &p.HisNo, &p.HisProblem, &p.visitNo, &p.patientNo, &p.prescriptions)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, clinic.ErrNotFound
	}
	return p, err
}
