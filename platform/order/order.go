// Package order is what is to be paid and was paid: a registration, a consultation's
// fee, drugs, tests. It knows what an order is for only by a kind and a number; the
// module whose thing that is (its Subject) gives the price and is told what becomes
// of the order, in the transaction in which it becomes so.
//
// Locks: an order before its payment, both before the subject's own rows.
package order

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Kind of thing that an order pays for.
type Kind string

// The kinds.
const (
	Registration Kind = "registration"
	Consultation Kind = "consultation"
	Drugs        Kind = "drugs"
	Tests        Kind = "tests"
)

// Values of Kind.
func (Kind) Values() []string {
	return []string{string(Registration), string(Consultation), string(Drugs), string(Tests)}
}

// State of an order.
type State string

// The states. A part that was given back leaves an order paid.
const (
	Created  State = "created"  // may be paid until it expires
	Paying   State = "paying"   // a payment channel is at it
	Paid     State = "paid"     // the channel has the money, or there is none to pay
	Closed   State = "closed"   // not paid, and cannot be any more
	Refunded State = "refunded" // all of it went back
)

// States is the machine.
var States = clinic.States[State]{
	Created: {Paying, Paid, Closed},
	Paying:  {Created, Paid, Closed},
	Paid:    {Refunded},
}

// Line of an order. Its amount is what the HIS, or the platform's own price list, says;
// the order's amount is the sum of its lines.
type Line struct {
	// LineNo is how the HIS counts it; a refund of the line needs that.
	LineNo    string   `json:"line_no,omitempty"`
	Code      string   `json:"code,omitempty"`
	Name      string   `json:"name"`
	Qty       string   `json:"qty,omitempty" doc:"decimal text"`
	UnitPrice string   `json:"unit_price,omitempty" doc:"yuan, decimal text with up to four decimals"`
	Amount    core.Fen `json:"amount" doc:"fen"`
	// BillNo is the HIS's bill that the line belongs to, where it has one.
	BillNo string `json:"bill_no,omitempty"`
}

// Order as the clinic sees it.
type Order struct {
	No        string     `json:"no"`
	Hospital  string     `json:"hospital"`
	Kind      Kind       `json:"kind"`
	Subject   string     `json:"subject" doc:"number of what it pays for"`
	Account   int64      `json:"-"`
	Patient   string     `json:"patient" doc:"our number of the patient"`
	State     State      `json:"state" enum:"created,paying,paid,closed,refunded"`
	Amount    core.Fen   `json:"amount" doc:"fen"`
	Refunded  core.Fen   `json:"refunded" doc:"fen that went back, or are on their way"`
	Lines     []Line     `json:"lines"`
	Version   int        `json:"version" doc:"of lines and amount; paying names the one that was seen"`
	ExpiresAt time.Time  `json:"expires_at"`
	PaidAt    *time.Time `json:"paid_at,omitempty"`
	// Channel that has the money; "" for an order of nothing.
	Channel core.Channel `json:"channel,omitempty"`
	Why     string       `json:"why,omitempty" doc:"it was closed"`
}

// New is an order to be made.
type New struct {
	Hospital, Subject, Patient string
	Kind                       Kind
	Account                    int64
	Lines                      []Line
	// Within is how long it may be paid.
	Within time.Duration
}

// Payment is money that a channel has.
type Payment struct {
	Channel   core.Channel
	ChannelNo string
	Amount    core.Fen
	At        time.Time
}

// Refund is money that goes back to who paid.
type Refund struct {
	No     string // ours
	Amount core.Fen
	// Lines are positions in the order's lines; empty gives back a part of the whole.
	Lines []int
	// Parts are how much of each of Lines, fen; empty gives back all of each.
	Parts []core.Fen
	// ByWindow: the HIS started it, and need not be told.
	ByWindow bool
	// ByPatient: on the patient's own word, and nobody else's. The subject refuses with ErrRule
	// what it would not give back by itself.
	ByPatient bool
	Reason    string
}

// Subject is the module whose thing an order pays for.
type Subject interface {
	// Price asks what it costs now, at the HIS where that has the price. It is called
	// outside of transactions, right before somebody pays.
	Price(ctx context.Context, o Order) ([]Line, error)
	// Paid, Closed and Refunded are told in the transaction that makes it so; what a HIS
	// must hear of it goes into the outbox. An order of nothing is Paid with no channel.
	Paid(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o Order, p Payment) error
	Closed(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o Order) error
	// Refunded is told of a refund when it is decided, before the channel pays it; it may
	// refuse with ErrRule (the drugs were handed out).
	Refunded(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o Order, r Refund) error
	// Returned is told once the channel has paid a refund: what the HIS must hear of it
	// goes into the outbox. It is not told of one that the HIS's window started.
	Returned(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o Order, r Refund, b Back) error
}

// Ender is a Subject that can be over for good, as a void prescription or a place that was let
// go: the money for it cannot be kept then, whatever the channel says.
type Ender interface {
	Ended(ctx context.Context, tx pgx.Tx, o Order) (bool, error)
}

// ErrEnded: a refund is not taken back once what was paid for is over.
var ErrEnded = fmt.Errorf("%w: what the order paid for is over, so its money has to go back; ask the channel again", clinic.ErrRule)

// Back is money that a channel gave back.
type Back struct {
	Payment         Payment // whose money it was
	ChannelRefundNo string
	At              time.Time
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	// Subjects by the kind of their orders; set before the first call.
	Subjects map[Kind]Subject
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "order", schema)
}

// PriceChanged: what the order cost, or was made up of, when it was seen is not what it
// is now.
type PriceChanged struct{ Was, Is core.Fen }

func (e *PriceChanged) Error() string {
	if e.Was == e.Is {
		return fmt.Sprintf("the order costs %s yuan as before, and its lines are others; look at it again", e.Is)
	}
	return fmt.Sprintf("the price changed from %s to %s yuan", e.Was, e.Is)
}

// Changed is for the API, whose answer has both amounts.
func (e *PriceChanged) Changed() core.AmountChange {
	return core.AmountChange{Field: "amount", Was: e.Was, Is: e.Is}
}

// Create makes an order in the caller's transaction. A thing has one order that may be
// paid or is: another is ErrState. One of nothing is paid at once.
func (s *Service) Create(ctx context.Context, tx pgx.Tx, outbox core.Outbox, n New) (Order, error) {
	if err := n.check(); err != nil {
		return Order{}, err
	}
	no := clinic.NewNumber("OR", time.Now())
	sealed, err := s.seal(no, n.Lines)
	if err != nil {
		return Order{}, err
	}
	_, err = tx.Exec(ctx, `insert into clinic_order.orders (no, hospital, kind, subject, account, patient, state, amount, lines, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp() + $10::interval)`,
		no, n.Hospital, n.Kind, n.Subject, n.Account, n.Patient, Created, sum(n.Lines), sealed, n.Within)
	if clinic.Duplicate(err) {
		return Order{}, fmt.Errorf("create order: %w: %s %s has an order", clinic.ErrState, n.Kind, n.Subject)
	} else if err != nil {
		return Order{}, fmt.Errorf("create order: %w", err)
	}
	if sum(n.Lines) == 0 {
		return s.MarkPaid(ctx, tx, outbox, no, Payment{At: time.Now()})
	}
	return s.Lock(ctx, tx, no)
}

func (n New) check() error {
	var ps core.Problems
	for field, value := range map[string]string{"hospital": n.Hospital, "subject": n.Subject, "patient": n.Patient, "kind": string(n.Kind)} {
		if value == "" {
			ps = append(ps, core.Problem{Field: field, What: "missing"})
		}
	}
	if len(n.Lines) == 0 {
		ps = append(ps, core.Problem{Field: "lines", What: "missing"})
	}
	for i, l := range n.Lines {
		if l.Amount < 0 {
			ps = append(ps, core.Problem{Field: fmt.Sprintf("lines[%d].amount", i), What: "below 0"})
		}
	}
	return ps.OrNil()
}

func sum(lines []Line) (total core.Fen) {
	for _, l := range lines {
		total += l.Amount
	}
	return total
}

// Reprice asks what the order costs now and writes that down. It returns *PriceChanged,
// and the order with its new lines, when these are others than of the version that was
// seen; paying goes on only with what the payer saw. Other numbers of the HIS's own for the
// same lines, or the same in another order, are no change for him.
func (s *Service) Reprice(ctx context.Context, no string, seen int) (Order, error) {
	o, err := s.Get(ctx, no)
	if err != nil {
		return o, err
	}
	if o.State != Created {
		return o, fmt.Errorf("price order: %w: it is %s", clinic.ErrState, o.State)
	}
	lines, err := s.Subjects[o.Kind].Price(ctx, o)
	if err != nil {
		return o, fmt.Errorf("price order: %w", err)
	}
	was := o.Amount
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if o, err = s.Lock(ctx, tx, no); err != nil {
			return err
		}
		if o.State != Created {
			return fmt.Errorf("price order: %w: it is %s meanwhile", clinic.ErrState, o.State)
		}
		if slices.Equal(lines, o.Lines) {
			return nil // the version that was seen stands, unless it was an older one
		}
		sealed, err := s.seal(no, lines)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update clinic_order.orders set lines = $2, amount = $3, version = version + case when $4 then 0 else 1 end, updated_at = clock_timestamp() where no = $1`,
			no, sealed, sum(lines), looksTheSame(lines, o.Lines)); err != nil {
			return err
		}
		o, err = s.Lock(ctx, tx, no)
		return err
	})
	if err == nil && o.Version != seen {
		return o, &PriceChanged{Was: was, Is: o.Amount}
	}
	return o, err
}

// looksTheSame to who pays: the numbers that the HIS has for a line are not his.
func looksTheSame(as, bs []Line) bool {
	seen := func(lines []Line) []Line {
		out := slices.Clone(lines)
		for i := range out {
			out[i].LineNo, out[i].BillNo = "", ""
		}
		slices.SortFunc(out, func(a, b Line) int {
			return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Qty, b.Qty), cmp.Compare(a.UnitPrice, b.UnitPrice), cmp.Compare(a.Amount, b.Amount))
		})
		return out
	}
	return slices.Equal(seen(as), seen(bs))
}

// Begin is called by the payment module when it is about to ask a channel: nobody else
// pays or closes the order until Free, MarkPaid or Close. version is the one that was seen.
func (s *Service) Begin(ctx context.Context, tx pgx.Tx, no string, version int) (Order, error) {
	o, err := s.Lock(ctx, tx, no)
	if err != nil {
		return o, err
	}
	if o.Version != version {
		return o, fmt.Errorf("pay order: %w: its price changed", clinic.ErrState)
	}
	var expired bool
	if err := tx.QueryRow(ctx, `select expires_at <= clock_timestamp() from clinic_order.orders where no = $1`, no).Scan(&expired); err != nil {
		return o, err
	}
	if expired {
		return o, fmt.Errorf("pay order: %w: its time is over", clinic.ErrState)
	}
	return s.move(ctx, tx, o, Paying, "")
}

// Free lets an order be paid again after an attempt that brought no money.
func (s *Service) Free(ctx context.Context, tx pgx.Tx, no string) (Order, error) {
	o, err := s.Lock(ctx, tx, no)
	if err != nil {
		return o, err
	}
	return s.move(ctx, tx, o, Created, "")
}

// MarkPaid is called when a channel has the money. An order that is closed meanwhile is
// ErrState: the money must go back.
func (s *Service) MarkPaid(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no string, p Payment) (Order, error) {
	o, err := s.Lock(ctx, tx, no)
	if err != nil {
		return o, err
	}
	if p.Amount != o.Amount {
		return o, fmt.Errorf("pay order: %w: it costs %s, %s came", clinic.ErrRule, o.Amount, p.Amount)
	}
	if o, err = s.move(ctx, tx, o, Paid, `paid_at = $3, channel = $4`, p.At, p.Channel); err != nil {
		return o, err
	}
	return o, s.Subjects[o.Kind].Paid(ctx, tx, outbox, o, p)
}

// Close ends an order that nobody paid. One that a channel is at is closed by the
// payment module only, once the channel says that no money will come.
func (s *Service) Close(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no, why string, fromPaying bool) (Order, error) {
	o, err := s.Lock(ctx, tx, no)
	if err != nil {
		return o, err
	}
	if o.State == Paying && !fromPaying {
		return o, fmt.Errorf("close order: %w: a payment is on its way", clinic.ErrState)
	}
	if o, err = s.move(ctx, tx, o, Closed, `why = $3`, why); err != nil {
		return o, err
	}
	return o, s.Subjects[o.Kind].Closed(ctx, tx, outbox, o)
}

func (s *Service) move(ctx context.Context, tx pgx.Tx, o Order, to State, set string, args ...any) (Order, error) {
	if _, err := States.Move(o.State, to); err != nil {
		return o, fmt.Errorf("order: %w", err)
	}
	if set != "" {
		set = ", " + set
	}
	if _, err := tx.Exec(ctx, `update clinic_order.orders set state = $2, updated_at = clock_timestamp()`+set+` where no = $1`, append([]any{o.No, to}, args...)...); err != nil {
		return o, err
	}
	return s.Lock(ctx, tx, o.No)
}

func (s *Service) seal(no string, lines []Line) ([]byte, error) {
	text, err := json.Marshal(lines)
	if err != nil {
		return nil, err
	}
	return s.Vault.Seal(text, "order lines", no)
}
