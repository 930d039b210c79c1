package pay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// RefundState is how far money on its way back is.
type RefundState string

// The states.
const (
	Requested   RefundState = "requested" // waits for a second person
	Declined    RefundState = "declined"
	Approved    RefundState = "approved"  // decided: the order counts it as gone
	GivingBack  RefundState = "sent"      // the channel is being asked, or at it
	Undefined   RefundState = "unknown"   // asked, and nobody knows what came of it
	Arrived     RefundState = "succeeded" // the channel gave it back
	NotReturned RefundState = "failed"    // the channel refused; a person decides
	Dropped     RefundState = "dropped"   // given up: the order counts it as paid again
)

// RefundStates is the machine.
var RefundStates = clinic.States[RefundState]{
	Requested:   {Approved, Declined},
	Approved:    {GivingBack},
	GivingBack:  {Arrived, NotReturned, Undefined},
	Undefined:   {GivingBack, Arrived, NotReturned},
	NotReturned: {Approved, Dropped, Arrived},
	Dropped:     {},
}

// Origin says who wants money to go back.
type Origin string

// The origins.
const (
	ByPatient Origin = "patient"
	ByDesk    Origin = "desk"
	ByWindow  Origin = "window"  // the HIS started it
	ByModule  Origin = "clinic"  // what was paid for does not take place
	ByStray   Origin = "stray"   // it came for an order that it could not pay
	ByHIS     Origin = "refused" // the HIS refused the payment for good
)

// Refund is money on its way back.
type Refund struct {
	No              string      `json:"no"`
	Hospital        string      `json:"hospital"`
	OrderNo         string      `json:"order_no"`
	Patient         string      `json:"patient" doc:"our number of the patient"`
	Origin          Origin      `json:"origin" enum:"patient,desk,window,clinic,stray,refused"`
	Amount          core.Fen    `json:"amount" doc:"fen"`
	Lines           []int       `json:"lines" doc:"positions in the order's lines; empty: a part of the whole"`
	Reason          string      `json:"reason"`
	State           RefundState `json:"state" enum:"requested,declined,approved,sent,unknown,succeeded,failed,dropped"`
	ChannelRefundNo string      `json:"channel_refund_no,omitempty"`
	ReturnedAt      *time.Time  `json:"returned_at,omitempty"`
	Problem         string      `json:"problem,omitempty"`
	Told            Told        `json:"told,omitempty" doc:"what became of telling the HIS"`
	CreatedAt       time.Time   `json:"created_at"`

	parts       []core.Fen // of each line; empty: all of each
	attempt     int64
	hisRefundNo string
	proposedBy  int64
	asked       int
	sealed      []byte
}

// ofOrder reports whether the order counts the refund; money that never paid it does not
// go back from it.
func (r Refund) ofOrder() bool { return r.Origin != ByStray }

// Back is what somebody wants back.
type Back struct {
	Amount core.Fen `json:"amount,omitempty" minimum:"0" doc:"fen; missing: what the lines cost, or all that is left"`
	Lines  []int    `json:"lines,omitempty" maxItems:"100" doc:"positions in the order's lines"`
	Reason string   `json:"reason" minLength:"1" maxLength:"200"`
}

// defaultAlone is how much goes back without a second person where a hospital says nothing, fen.
const defaultAlone = 50000

// RefundAlone sets how much of an order goes back on the patient's own word, in fen.
func (s *Service) RefundAlone(ctx context.Context, hospital string, upTo core.Fen) error {
	_, err := s.Database.Exec(ctx, `insert into pay.setting (hospital, refund_alone) values ($1, $2) on conflict (hospital) do update set refund_alone = excluded.refund_alone`, hospital, upTo)
	return err
}

// Request asks for money back: the patient for his own order, the desk for any of its
// hospital (hospital then names it). What the patient asks for goes back at once up to the hospital's
// amount, and where the order's subject gives it back by itself; the rest waits for finance.
func (s *Service) Request(ctx context.Context, p clinic.Person, hospital, orderNo string, b Back) (Refund, error) {
	r, err := s.request(ctx, p, hospital, orderNo, b)
	if err != nil {
		return Refund{}, fmt.Errorf("ask for money back: %w", err)
	}
	return r, nil
}

func (s *Service) request(ctx context.Context, p clinic.Person, hospital, orderNo string, b Back) (Refund, error) {
	o, err := s.Orders.Get(ctx, orderNo)
	origin := ByPatient
	if hospital != "" {
		origin = ByDesk
	}
	switch {
	case err != nil:
		return Refund{}, err
	case origin == ByPatient && o.Account != p.Account, origin == ByDesk && o.Hospital != hospital:
		return Refund{}, clinic.ErrNotFound
	}
	wanted := Refund{Origin: origin, Lines: b.Lines, Reason: b.Reason, State: Requested, proposedBy: p.Account}
	r, err := s.propose(ctx, o.Hospital, orderNo, b, wanted)
	// What a subject does not give back by itself, as drugs that were handed out or a visit that
	// is too late to cancel, is finance's to decide.
	if origin == ByPatient && errors.Is(err, clinic.ErrRule) {
		wanted.Problem = cut(err.Error())
		r, err = s.propose(ctx, o.Hospital, orderNo, b, wanted)
	}
	if err == nil && r.State == Approved {
		return s.giveNow(ctx, r)
	}
	return r, err
}

// propose writes down what somebody wants back. What a patient wants is decided at once where
// nothing says otherwise (r.Problem) and it is not too much.
func (s *Service) propose(ctx context.Context, hospital, orderNo string, b Back, wanted Refund) (r Refund, err error) {
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		o, err := s.Orders.Lock(ctx, tx, orderNo)
		if err != nil {
			return err
		}
		if o.State != order.Paid {
			return fmt.Errorf("%w: the order is %s", clinic.ErrState, o.State)
		}
		gone, err := s.Orders.Gone(ctx, tx, o)
		if err != nil {
			return err
		}
		if wanted.Amount, wanted.parts, err = b.of(o, gone); err != nil {
			return err
		}
		var waiting int
		if err := tx.QueryRow(ctx, `select count(*) from pay.refund where order_no = $1 and state = 'requested'`, orderNo).Scan(&waiting); err != nil {
			return err
		}
		if waiting > 0 {
			return fmt.Errorf("%w: a refund of this order waits to be decided", clinic.ErrState)
		}
		if r, err = s.insert(ctx, tx, o, wanted); err != nil || wanted.Origin == ByDesk || wanted.Problem != "" {
			return err
		}
		var alone bool
		if err := tx.QueryRow(ctx, `select $2 <= coalesce((select refund_alone from pay.setting where hospital = $1), $3)`, o.Hospital, o.Refunded+wanted.Amount, defaultAlone).Scan(&alone); err != nil || !alone {
			return err
		}
		return s.approve(ctx, tx, outbox, &r, 0)
	})
	return r, err
}

// of is how much somebody wants back, and of each line: what is left of it.
func (b Back) of(o order.Order, gone map[int]core.Fen) (amount core.Fen, parts []core.Fen, err error) {
	for i, l := range b.Lines {
		rest, err := o.Rest(gone, i, l)
		if err != nil {
			return 0, nil, err
		}
		gone[l] = o.Lines[l].Amount // named once
		parts, amount = append(parts, rest), amount+rest
	}
	switch {
	case len(b.Lines) > 0 && b.Amount != 0 && b.Amount != amount:
		return 0, nil, core.Problems{{Field: "amount", What: fmt.Sprintf("these lines give %s yuan", amount)}}
	case len(b.Lines) == 0 && b.Amount != 0:
		amount = b.Amount
	case len(b.Lines) == 0:
		amount = o.Amount - o.Refunded
	}
	if amount <= 0 || amount > o.Amount-o.Refunded {
		return 0, nil, core.Problems{{Field: "amount", What: fmt.Sprintf("%s of %s yuan went back before", o.Refunded, o.Amount)}}
	}
	return amount, parts, nil
}

// insert writes a refund down; its money is that of the attempt that paid the order.
func (s *Service) insert(ctx context.Context, tx pgx.Tx, o order.Order, r Refund) (Refund, error) {
	if r.attempt == 0 {
		a, err := one(ctx, tx, `order_no = $1 and state = 'succeeded'`, o.No)
		if errors.Is(err, clinic.ErrNotFound) {
			return r, fmt.Errorf("%w: no channel has money of this order", clinic.ErrState)
		} else if err != nil {
			return r, err
		}
		r.attempt = a.id
	}
	if r.No == "" {
		r.No = clinic.NewNumber("RF", time.Now())
	}
	if r.Lines == nil {
		r.Lines = []int{}
	}
	sealed, err := s.Vault.Seal([]byte(r.Reason), "refund", r.No)
	if err != nil {
		return r, err
	}
	_, err = tx.Exec(ctx, `insert into pay.refund (no, hospital, attempt, order_no, patient, origin, amount, lines, reason, state, his_refund_no, proposed_by, problem, parts)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce($14::bigint[], '{}'))`,
		r.No, o.Hospital, r.attempt, o.No, o.Patient, r.Origin, r.Amount, r.Lines, sealed, r.State, r.hisRefundNo, r.proposedBy, r.Problem, r.parts)
	if err != nil {
		return r, err
	}
	return s.refund(ctx, tx, r.No)
}

// approve decides that money goes back: from here on the order counts it as gone, and the
// journal as on its way. by is who decided; 0 is nobody but the rules.
func (s *Service) approve(ctx context.Context, tx pgx.Tx, outbox core.Outbox, r *Refund, by int64) error {
	o, err := s.Orders.Lock(ctx, tx, r.OrderNo)
	if err != nil {
		return err
	}
	if _, err := s.Orders.Refund(ctx, tx, outbox, r.OrderNo, order.Refund{No: r.No, Amount: r.Amount, Lines: r.Lines, Parts: r.parts, Reason: r.Reason, ByWindow: r.Origin == ByWindow || r.Origin == ByHIS,
		ByPatient: r.Origin == ByPatient && by == 0}); err != nil {
		return err
	}
	return s.onItsWay(ctx, tx, r, "revenue:"+string(o.Kind), by)
}

// onItsWay moves a refund to approved, its money coming from an account.
func (s *Service) onItsWay(ctx context.Context, tx pgx.Tx, r *Refund, from string, by int64) (err error) {
	if *r, err = s.moveRefund(ctx, tx, *r, Approved, `next_at = clock_timestamp(), decided_by = case when $3 = 0 then decided_by else $3 end, problem = ''`, by); err != nil {
		return err
	}
	return s.post(ctx, tx, r.Hospital, "refund", r.No, r.OrderNo, entry{from, r.Amount}, entry{onTheWay, -r.Amount})
}

// sendBack gives an attempt's own money back, which never paid its order.
func (s *Service) sendBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, a Attempt, from, reason string) error {
	r, err := s.insert(ctx, tx, order.Order{No: a.OrderNo, Hospital: a.Hospital, Patient: a.Patient},
		Refund{Origin: ByStray, Amount: a.Got, Reason: reason, State: Requested, attempt: a.id})
	if err != nil {
		return err
	}
	if err := s.onItsWay(ctx, tx, &r, from, 0); err != nil {
		return err
	}
	// The HIS never hears of it; the channel's bill has it, and so must our ledger.
	return s.record(ctx, outbox, a.Hospital, &core.LedgerRecord{Type: core.EntryPayment, Number: a.strayNo(), Amount: a.Got, Channel: a.Channel, ChannelNo: a.ChannelNo,
		At: *a.PaidAt, Reason: "the order could not be paid by it"})
}

func (s *Service) record(ctx context.Context, outbox core.Outbox, hospital string, l *core.LedgerRecord) error {
	_, err := outbox.Enqueue(ctx, hospital, core.Message{Kind: core.RecordMoney, Body: l})
	if errors.Is(err, core.ErrCannot) {
		return nil
	}
	return err
}

// GiveBack returns all that is left of an order, within the caller's transaction: what it
// paid for does not take place. The channel is asked once that is committed.
func (s *Service) GiveBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, reason string) error {
	return s.giveRest(ctx, tx, outbox, o.No, ByModule, reason)
}

func (s *Service) giveRest(ctx context.Context, tx pgx.Tx, outbox core.Outbox, orderNo string, origin Origin, reason string) error {
	o, err := s.Orders.Lock(ctx, tx, orderNo)
	if err != nil {
		return err
	}
	if o.State != order.Paid || o.Refunded == o.Amount {
		return nil // all of it is on its way, or there was nothing to pay
	}
	r, err := s.insert(ctx, tx, o, Refund{Origin: origin, Amount: o.Amount - o.Refunded, Reason: reason, State: Requested})
	if err == nil {
		err = s.approve(ctx, tx, outbox, &r, 0)
	}
	if err != nil {
		return fmt.Errorf("give back order %s: %w", orderNo, err)
	}
	return nil
}

func (s *Service) moveRefund(ctx context.Context, tx pgx.Tx, r Refund, to RefundState, set string, args ...any) (Refund, error) {
	if _, err := RefundStates.Move(r.State, to); err != nil {
		return r, fmt.Errorf("refund: %w", err)
	}
	if _, err := tx.Exec(ctx, `update pay.refund set state = $2, updated_at = clock_timestamp(), `+set+` where no = $1`, append([]any{r.No, to}, args...)...); err != nil {
		return r, err
	}
	return s.refund(ctx, tx, r.No)
}

const refundColumns = `no, hospital, attempt, order_no, patient, origin, amount, lines, reason, state, his_refund_no, proposed_by, channel_refund_no, returned_at, asked, problem, told, created_at, parts`

func (s *Service) scanRefund(row pgx.CollectableRow) (r Refund, err error) {
	if err := row.Scan(&r.No, &r.Hospital, &r.attempt, &r.OrderNo, &r.Patient, &r.Origin, &r.Amount, &r.Lines, &r.sealed, &r.State, &r.hisRefundNo, &r.proposedBy,
		&r.ChannelRefundNo, &r.ReturnedAt, &r.asked, &r.Problem, &r.Told, &r.CreatedAt, &r.parts); err != nil {
		return r, err
	}
	reason, err := s.Vault.Open(r.sealed, "refund", r.No)
	r.Reason = string(reason)
	return r, err
}

func (s *Service) refunds(ctx context.Context, q querier, rest string, args ...any) ([]Refund, error) {
	rows, err := q.Query(ctx, `select `+refundColumns+` from pay.refund where `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read refunds: %w", err)
	}
	return pgx.CollectRows(rows, s.scanRefund)
}

func (s *Service) refund(ctx context.Context, q querier, no string) (Refund, error) {
	all, err := s.refunds(ctx, q, `no = $1`, no)
	if err == nil && len(all) == 0 {
		err = clinic.ErrNotFound
	}
	if err != nil {
		return Refund{}, err
	}
	return all[0], nil
}

// RefundsOf are the refunds of an order, the newest first.
func (s *Service) RefundsOf(ctx context.Context, orderNo string) ([]Refund, error) {
	return s.refunds(ctx, s.Database, `order_no = $1 order by created_at desc, no`, orderNo)
}
