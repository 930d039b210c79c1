// Package pay is the clinic's money: orders are paid at a payment channel, money goes
// back, and each fact about money is in a journal that balances.
//
// A channel is never called within a transaction. What is about to be asked is written
// down before, so that whatever dies meanwhile leaves something to ask about, and never a
// second charge. Who says that money came (the channel's notice, its answer to a query, or
// to a close), in which order and how often, makes no difference.
//
// Locks: an order before its attempts and refunds.
package pay

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// State of an attempt to pay.
type State string

// The states.
const (
	Created   State = "created"   // the channel is being asked to make the payment
	Sent      State = "sent"      // the payer may pay
	Undecided State = "unknown"   // the channel was asked, and nobody knows what came of it
	Succeeded State = "succeeded" // its money pays the order
	Failed    State = "failed"    // the channel did not take it
	Closed    State = "closed"    // no money came
	Stray     State = "stray"     // its money could not pay the order, and goes back by itself
	Review    State = "review"    // money of another amount came, or the channel never answers: a person decides
)

// States is the machine. Money may come at any time: also for what was closed, where a
// channel says so after all.
var States = clinic.States[State]{
	Created:   {Sent, Undecided, Failed, Closed, Succeeded, Stray, Review},
	Sent:      {Undecided, Closed, Succeeded, Stray, Review},
	Undecided: {Closed, Succeeded, Stray, Review},
	Failed:    {Succeeded, Stray, Review},
	Closed:    {Succeeded, Stray, Review},
	Review:    {Closed, Succeeded, Stray},
}

func (s State) live() bool { return s == Created || s == Sent || s == Undecided }

// Attempt to pay an order at a channel.
type Attempt struct {
	Channel   core.Channel `json:"channel"`
	No        string       `json:"no" doc:"number at the channel"`
	OrderNo   string       `json:"order_no"`
	Hospital  string       `json:"hospital"`
	Patient   string       `json:"patient" doc:"our number of the patient"`
	Way       Way          `json:"way" enum:"jsapi,native,h5"`
	Amount    core.Fen     `json:"amount" doc:"fen"`
	State     State        `json:"state" enum:"created,sent,unknown,succeeded,failed,closed,stray,review"`
	ChannelNo string       `json:"channel_no,omitempty"`
	Got       core.Fen     `json:"got,omitempty" doc:"fen that came"`
	PaidAt    *time.Time   `json:"paid_at,omitempty"`
	ExpiresAt time.Time    `json:"expires_at"`
	Asked     int          `json:"asked" doc:"how often the channel was asked what became of it"`
	Problem   string       `json:"problem,omitempty"`
	Told      Told         `json:"told,omitempty" doc:"what became of telling the HIS"`
	CreatedAt time.Time    `json:"created_at"`
	// Client is what the payer's device needs, for the payer.
	Client map[string]string `json:"client,omitempty"`

	id     int64
	sealed []byte
}

// strayNo is how our ledger calls money that paid nothing. The attempt's own number may be
// that of the order, which other money has paid.
func (a Attempt) strayNo() string { return a.ChannelNo }

// Told is what became of telling the HIS of money.
type Told string

// What became of it.
const (
	Telling Told = "telling" // the hub is at it
	HasIt   Told = "told"
	Stuck   Told = "stuck"   // parked; a person decides
	GoBack  Told = "go_back" // the HIS refused for good: the money goes back
)

// Orders is what the module needs of orders.
type Orders interface {
	Get(ctx context.Context, no string) (order.Order, error)
	Lock(ctx context.Context, tx pgx.Tx, no string) (order.Order, error)
	Reprice(ctx context.Context, no string, seen int) (order.Order, error)
	Begin(ctx context.Context, tx pgx.Tx, no string, version int) (order.Order, error)
	Extend(ctx context.Context, tx pgx.Tx, no string, until time.Time) error
	Free(ctx context.Context, tx pgx.Tx, no string) (order.Order, error)
	MarkPaid(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no string, p order.Payment) (order.Order, error)
	Refund(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no string, r order.Refund) (order.Order, error)
	Returned(ctx context.Context, tx pgx.Tx, outbox core.Outbox, refundNo string, b order.Back) error
	Gone(ctx context.Context, tx pgx.Tx, o order.Order) (map[int]core.Fen, error)
	StartedByWindow(ctx context.Context, tx pgx.Tx, refundNo string, did bool) error
	Undo(ctx context.Context, tx pgx.Tx, refundNo string) error
}

var _ Orders = (*order.Service)(nil)

// Service is the module.
type Service struct {
	*clinic.Clinic
	Orders   Orders
	Accounts Accounts
	// Public is the address at which channels reach us, as https://clinic.example; its
	// notices go to Public + /clinic/v1/notices/{channel}/{hospital}. Without one no notice
	// comes, and channels are asked.
	Public string
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "pay", schema)
}

// Wish is how somebody wants to pay.
type Wish struct {
	Channel core.Channel `json:"channel" enum:"wechat,alipay"`
	Way     Way          `json:"way" enum:"jsapi,native,h5"`
	Version int          `json:"version" minimum:"1" maximum:"2147483647" doc:"of the order that was seen"`
	Payer   string       `json:"payer,omitempty" maxLength:"128" doc:"his id at the channel (openid); jsapi needs it"`
	// Address that the request came from.
	Address string `json:"-"`
}

// asking is how long one question to a channel may take, and be lost with its process,
// before another process asks.
const asking = 45 * time.Second

// Pay begins to pay an order. One that is being paid in the same way goes on; in another
// way, the payment that there is is closed at its channel first. The error is
// *order.PriceChanged when the order costs something else than was seen.
func (s *Service) Pay(ctx context.Context, p clinic.Person, orderNo string, w Wish) (Attempt, error) {
	a, err := s.pay(ctx, p, orderNo, w)
	if err != nil {
		return Attempt{}, fmt.Errorf("pay: %w", err)
	}
	return a, nil
}

func (s *Service) pay(ctx context.Context, p clinic.Person, orderNo string, w Wish) (Attempt, error) {
	o, err := s.own(ctx, p, orderNo)
	if err != nil {
		return Attempt{}, err
	}
	if w.Way == JSAPI && w.Payer == "" {
		return Attempt{}, core.Problems{{Field: "payer", What: "missing: the channel's own app gives it"}}
	}
	channel, err := s.Accounts.Account(ctx, o.Hospital, w.Channel)
	if errors.Is(err, ErrNoAccount) {
		return Attempt{}, core.Problems{{Field: "channel", What: ErrNoAccount.Error()}}
	} else if err != nil {
		return Attempt{}, err
	}
	if o.State == order.Paying {
		a, goesOn, err := s.goOn(ctx, o, w)
		if goesOn || err != nil {
			return a, err
		}
	}
	if _, err := s.Orders.Reprice(ctx, orderNo, w.Version); err != nil {
		return Attempt{}, err
	}
	a, err := s.begin(ctx, orderNo, w)
	if err != nil {
		return Attempt{}, err
	}
	prepaid := channel.Pay(ctx, Charge{No: a.No, Way: w.Way, Amount: a.Amount, Title: titles[o.Kind], Payer: w.Payer, Address: w.Address,
		ExpiresAt: a.ExpiresAt, Notice: s.noticeAddress(a.Channel, a.Hospital)})
	// Whoever asked may be gone: what the channel said is kept all the same.
	return s.prepared(context.WithoutCancel(ctx), a, prepaid)
}

// titles are what a payer reads: nothing that says what he has.
var titles = map[order.Kind]string{order.Registration: "挂号费", order.Consultation: "在线复诊", order.Drugs: "药品费", order.Tests: "检查检验费"}

// goOn returns the payment that is under way when it is the one that is wished, and ends
// it at its channel when it is another.
func (s *Service) goOn(ctx context.Context, o order.Order, w Wish) (a Attempt, goesOn bool, err error) {
	a, err = s.live(ctx, o.No)
	if errors.Is(err, clinic.ErrNotFound) {
		return a, false, nil
	} else if err != nil {
		return a, false, err
	}
	if a.Channel == w.Channel && a.Way == w.Way && a.State == Sent && time.Now().Before(a.ExpiresAt) && o.Version == w.Version {
		return a, true, s.open(&a)
	}
	if a, err = s.End(ctx, a); err != nil {
		return a, false, err
	}
	if a.State.live() {
		return a, false, fmt.Errorf("%w: a payment is on its way, and its channel does not say what becomes of it", clinic.ErrState)
	}
	return a, false, nil
}

// begin holds the order and writes down what the channel is about to be asked.
func (s *Service) begin(ctx context.Context, orderNo string, w Wish) (a Attempt, err error) {
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		o, err := s.Orders.Begin(ctx, tx, orderNo, w.Version)
		if err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `select count(*) from pay.attempt where order_no = $1 and channel = $2`, orderNo, w.Channel).Scan(&n); err != nil {
			return err
		}
		no := orderNo // as the night looks for it; what a channel has closed it does not open again
		if n > 0 {
			no = fmt.Sprintf("%s_%d", orderNo, n+1)
		}
		var until time.Time
		// Channels want a minute at least.
		err = tx.QueryRow(ctx, `insert into pay.attempt (channel, no, order_no, hospital, patient, way, amount, state, expires_at, next_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, greatest($9, clock_timestamp() + interval '90 seconds'), clock_timestamp() + $10::interval) returning expires_at`,
			w.Channel, no, orderNo, o.Hospital, o.Patient, w.Way, o.Amount, Created, o.ExpiresAt, asking).Scan(&until)
		if err != nil {
			return err
		}
		if err := s.Orders.Extend(ctx, tx, orderNo, until); err != nil {
			return err
		}
		a, err = one(ctx, tx, `channel = $1 and no = $2`, w.Channel, no)
		return err
	})
	return a, err
}

// prepared keeps what making the payment came to.
func (s *Service) prepared(ctx context.Context, a Attempt, p Prepaid) (Attempt, error) {
	err := s.hold(ctx, a, func(tx pgx.Tx, _ core.Outbox, o order.Order, now Attempt) (err error) {
		a = now
		if a.State != Created {
			return nil // a notice was faster, or somebody asked meanwhile
		}
		switch p.State {
		case Waiting:
			text, err := json.Marshal(p.Client)
			if err != nil {
				return err
			}
			sealed, err := s.Vault.Seal(text, "payment client", a.No)
			if err != nil {
				return err
			}
			a, err = s.move(ctx, tx, a, Sent, `client = $3, next_at = clock_timestamp() + interval '30 seconds'`, sealed)
			return err
		case Refused:
			if a, err = s.move(ctx, tx, a, Failed, `next_at = null, problem = $3`, cut(p.Words)); err != nil {
				return err
			}
			return s.free(ctx, tx, o)
		}
		a, err = s.move(ctx, tx, a, Undecided, `next_at = clock_timestamp(), problem = $3`, cut(p.Words))
		return err
	})
	if err != nil {
		return a, err
	}
	return a, s.open(&a)
}

// hold locks an attempt's order, then the attempt, and reads both anew.
func (s *Service) hold(ctx context.Context, a Attempt, f func(tx pgx.Tx, outbox core.Outbox, o order.Order, now Attempt) error) error {
	return s.Transact(ctx, a.Hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		o, err := s.Orders.Lock(ctx, tx, a.OrderNo)
		if err != nil {
			return err
		}
		now, err := one(ctx, tx, `id = $1 for update`, a.id)
		if err != nil {
			return err
		}
		return f(tx, outbox, o, now)
	})
}

// free lets an order be paid again, unless it is paid by other money meanwhile.
func (s *Service) free(ctx context.Context, tx pgx.Tx, o order.Order) error {
	if o.State != order.Paying {
		return nil
	}
	_, err := s.Orders.Free(ctx, tx, o.No)
	return err
}

func (s *Service) move(ctx context.Context, tx pgx.Tx, a Attempt, to State, set string, args ...any) (Attempt, error) {
	if _, err := States.Move(a.State, to); err != nil {
		return a, fmt.Errorf("payment: %w", err)
	}
	if _, err := tx.Exec(ctx, `update pay.attempt set state = $2, updated_at = clock_timestamp(), `+set+` where id = $1`, append([]any{a.id, to}, args...)...); err != nil {
		return a, err
	}
	return one(ctx, tx, `id = $1`, a.id)
}

// cut keeps a problem short.
func cut(words string) string {
	if r := []rune(words); len(r) > 200 {
		return string(r[:200])
	}
	return words
}

// own is an order of the person's own; another's does not exist for him.
func (s *Service) own(ctx context.Context, p clinic.Person, no string) (order.Order, error) {
	o, err := s.Orders.Get(ctx, no)
	if err == nil && o.Account != p.Account {
		return order.Order{}, clinic.ErrNotFound
	}
	return o, err
}

const columns = `id, channel, no, order_no, hospital, patient, way, amount, state, client, channel_no, got, paid_at, expires_at, asked, problem, told, created_at`

func scan(row pgx.CollectableRow) (a Attempt, err error) {
	err = row.Scan(&a.id, &a.Channel, &a.No, &a.OrderNo, &a.Hospital, &a.Patient, &a.Way, &a.Amount, &a.State, &a.sealed, &a.ChannelNo, &a.Got, &a.PaidAt, &a.ExpiresAt, &a.Asked, &a.Problem, &a.Told, &a.CreatedAt)
	return a, err
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func one(ctx context.Context, q querier, where string, args ...any) (Attempt, error) {
	rows, err := q.Query(ctx, `select `+columns+` from pay.attempt where `+where, args...)
	if err != nil {
		return Attempt{}, fmt.Errorf("read payment: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, clinic.ErrNotFound
	}
	return a, err
}

func many(ctx context.Context, q querier, rest string, args ...any) ([]Attempt, error) {
	rows, err := q.Query(ctx, `select `+columns+` from pay.attempt where `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// live is the attempt that is under way for an order.
func (s *Service) live(ctx context.Context, orderNo string) (Attempt, error) {
	return one(ctx, s.Database, `order_no = $1 and state in ('created', 'sent', 'unknown')`, orderNo)
}

// open gives the payer what his device needs, while he may pay.
func (s *Service) open(a *Attempt) error {
	if a.State != Sent || a.sealed == nil {
		return nil
	}
	text, err := s.Vault.Open(a.sealed, "payment client", a.No)
	if err != nil {
		return fmt.Errorf("read payment %s: %w", a.No, err)
	}
	return json.Unmarshal(text, &a.Client)
}

// OfOrder are the attempts to pay an order, the newest first.
func (s *Service) OfOrder(ctx context.Context, orderNo string) ([]Attempt, error) {
	all, err := many(ctx, s.Database, `order_no = $1 order by id desc`, orderNo)
	for i := range all {
		err = errors.Join(err, s.open(&all[i]))
	}
	return all, err
}

// HasAccount reports whether a hospital takes payments by a channel.
func (s *Service) HasAccount(ctx context.Context, hospital string, channels ...core.Channel) bool {
	return slices.ContainsFunc(channels, func(c core.Channel) bool {
		_, err := s.Accounts.Account(ctx, hospital, c)
		return err == nil
	})
}

// noticeAddress is where a channel tells us of a hospital's money; "" without a public address.
func (s *Service) noticeAddress(c core.Channel, hospital string) string {
	if s.Public == "" {
		return ""
	}
	return s.Public + noticePath + string(c) + "/" + hospital
}
