package payment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Back is money that a channel is to pay back.
type Back struct {
	Hospital string
	// OrderID, ChannelNo and Paid are of the payment whose money it is.
	OrderID   string
	Channel   core.Channel
	ChannelNo string
	Paid      core.Fen
	// RefundNo is ours. The same number again is the same refund.
	RefundNo string
	Amount   core.Fen
	// AskedAt is when it was set aside, the same however often it is tried.
	AskedAt time.Time
}

// Channel pays money back.
type Channel interface {
	// PayBack pays back once per RefundNo, however often and by how many it is
	// called, and gives the channel's number and time. ErrChannelRefused is for
	// good; after any other error it is called again.
	PayBack(ctx context.Context, b Back) (channelRefundNo string, at time.Time, err error)
}

// ErrChannelRefused: the channel will not pay this back.
var ErrChannelRefused = errors.New("the payment channel refused")

// StandIn is a channel that pays everything back and moves no money, until a
// real one is connected.
type StandIn struct{}

// PayBack implements Channel.
func (StandIn) PayBack(_ context.Context, b Back) (string, time.Time, error) {
	return "standin-" + b.RefundNo, time.Now(), nil
}

// Words to the cashier at the window.
const (
	wordsUnknown   = "平台查无此支付"
	wordsDifferent = "支付信息与平台不一致"
	wordsTooMuch   = "可退金额不足"
	wordsChannel   = "支付渠道拒绝退款"
)

func refused(words string) *core.Resolution {
	return &core.Resolution{State: core.ResultRefused, Message: words}
}

func done(refundNo string, amount core.Fen) *core.Resolution {
	return &core.Resolution{State: core.ResultDone, Answer: &core.Receipt{Number: refundNo, Amount: &amount}}
}

// WindowRefund decides a refund that a cashier started at the hospital: the
// money is set aside in the payment, paid back by the channel, and then it is
// ours like any other; the HIS need not be told. Again it does nothing new. An
// error means that it is not decided yet.
//
// One that the app has given back already, by the same amount, is that one: no
// more money moves.
func (s *Service) WindowRefund(ctx context.Context, hospital string, r *core.WindowRefund) (core.Resolution, error) {
	var back Back
	var decided *core.Resolution
	err := pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) (err error) {
		back, decided, err = s.setAside(ctx, tx, hospital, r)
		return err
	})
	if err != nil {
		return core.Resolution{}, fmt.Errorf("window refund: %w", err)
	}
	if decided != nil {
		return *decided, nil
	}
	no, at, err := s.Channel.PayBack(ctx, back)
	switch {
	case errors.Is(err, ErrChannelRefused):
		decided, err = refused(wordsChannel), s.putBack(ctx, hospital, back.RefundNo)
	case err == nil:
		decided, err = done(back.RefundNo, back.Amount), s.paidBack(ctx, hospital, back.RefundNo, no, at)
	}
	if err != nil {
		return core.Resolution{}, fmt.Errorf("window refund: %w", err)
	}
	return *decided, nil
}

// setAside holds the payment and takes the amount from what can still be given
// back, or says why there is nothing to do.
func (s *Service) setAside(ctx context.Context, tx pgx.Tx, hospital string, r *core.WindowRefund) (Back, *core.Resolution, error) {
	order, different, err := s.paymentOf(ctx, tx, hospital, r)
	switch {
	case err != nil:
		return Back{}, nil, err
	case different:
		return Back{}, refused(wordsDifferent), nil
	case order == "" && r.Reversal:
		// It takes a booking back that nobody paid: there is nothing to give back.
		return Back{}, &core.Resolution{State: core.ResultDone}, nil
	case order == "":
		return Back{}, refused(wordsUnknown), nil
	}
	p, err := s.lock(ctx, tx, hospital, order)
	if err != nil {
		return Back{}, nil, err
	}
	back := Back{Hospital: hospital, OrderID: order, Channel: p.Channel, ChannelNo: p.ChannelNo, Paid: p.Amount, RefundNo: windowNo(hospital, r.HisRefundNo), Amount: r.Amount}

	var no, of string
	var amount core.Fen
	var state State
	err = tx.QueryRow(ctx, `select refund_no, order_id, amount, state, refunded_at from payment.refund where hospital = $1 and his_refund_no = $2`, hospital, r.HisRefundNo).
		Scan(&no, &of, &amount, &state, &back.AskedAt)
	switch {
	case err == nil && (of != order || amount != r.Amount):
		return Back{}, refused(wordsDifferent), nil
	case err == nil && state == Paying:
		return back, nil, nil // whoever began it may be gone
	case err == nil:
		return Back{}, done(no, amount), nil
	case !errors.Is(err, pgx.ErrNoRows):
		return Back{}, nil, err
	}
	if r.Amount > p.Amount-p.Refunded {
		same, err := s.sameByApp(ctx, tx, hospital, order, r)
		return Back{}, same, err
	}
	err = tx.QueryRow(ctx, `insert into payment.refund (hospital, refund_no, order_id, amount, channel_refund_no, reason, state, refunded_at, his_refund_no)
		values ($1, $2, $3, $4, '', $5, $6, clock_timestamp(), $7) returning refunded_at`, hospital, back.RefundNo, order, r.Amount, r.Reason, Paying, r.HisRefundNo).
		Scan(&back.AskedAt)
	if err == nil {
		_, err = tx.Exec(ctx, `update payment.payment set refunded = refunded + $3, updated_at = clock_timestamp() where hospital = $1 and order_id = $2`, hospital, order, r.Amount)
	}
	return back, nil, err
}

// paymentOf finds the order; different is true when what the HIS says of it does
// not fit together.
func (s *Service) paymentOf(ctx context.Context, tx pgx.Tx, hospital string, r *core.WindowRefund) (order string, different bool, err error) {
	rows, err := tx.Query(ctx, `
		select order_id, ($3 = '' or channel_no = $3) and ($4 = '' or his_no in ('', $4)) from payment.payment
		where hospital = $1 and case when $2 <> '' then order_id = $2 when $3 <> '' then channel_no = $3 else his_no = $4 end limit 2`,
		hospital, r.OrderID, r.ChannelNo, r.HisNo)
	if err != nil {
		return "", false, err
	}
	found := 0
	var fits bool
	_, err = pgx.ForEachRow(rows, []any{&order, &fits}, func() error { found++; return nil })
	return order, found > 1 || found == 1 && !fits, err
}

// sameByApp is the app's refund of just this amount, which the window started,
// too; it is the window's from now on.
func (s *Service) sameByApp(ctx context.Context, tx pgx.Tx, hospital, order string, r *core.WindowRefund) (*core.Resolution, error) {
	var no string
	err := tx.QueryRow(ctx, `
		update payment.refund set his_refund_no = $4, updated_at = clock_timestamp() where hospital = $1 and refund_no = (
			select refund_no from payment.refund where hospital = $1 and order_id = $2 and amount = $3 and his_refund_no = '' order by refunded_at desc limit 1)
		returning refund_no`, hospital, order, r.Amount, r.HisRefundNo).Scan(&no)
	if errors.Is(err, pgx.ErrNoRows) {
		return refused(wordsTooMuch), nil
	}
	if err != nil {
		return nil, err
	}
	return done(no, r.Amount), nil
}

// paidBack ends a refund that the channel paid.
func (s *Service) paidBack(ctx context.Context, hospital, no, channelNo string, at time.Time) error {
	return s.ofRefund(ctx, hospital, no, func(tx pgx.Tx, p Charge, state State, _ core.Fen) error {
		if state != Paying {
			return nil // another process was faster
		}
		to, err := RefundStates.Move(state, Told)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update payment.refund set state = $3, channel_refund_no = $4, refunded_at = $5, updated_at = clock_timestamp()
			where hospital = $1 and refund_no = $2`, hospital, no, to, channelNo, at); err != nil {
			return err
		}
		if p.Refunded < p.Amount || p.State == Refunded {
			return nil
		}
		if to, err = States.Move(p.State, Refunded); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update payment.payment set state = $3, updated_at = clock_timestamp() where hospital = $1 and order_id = $2`, hospital, p.OrderID, to)
		return err
	})
}

// putBack takes back what was set aside for a refund that the channel refused.
func (s *Service) putBack(ctx context.Context, hospital, no string) error {
	return s.ofRefund(ctx, hospital, no, func(tx pgx.Tx, p Charge, state State, amount core.Fen) error {
		if state != Paying {
			return nil
		}
		_, err := tx.Exec(ctx, `delete from payment.refund where hospital = $1 and refund_no = $2`, hospital, no)
		if err == nil {
			// Were the rest given back meanwhile, the payment looked like refunded as a whole.
			_, err = tx.Exec(ctx, `update payment.payment set refunded = refunded - $3, state = case when state = $4 then $5 else state end, updated_at = clock_timestamp()
				where hospital = $1 and order_id = $2`, hospital, p.OrderID, amount, Refunded, Told)
		}
		return err
	})
}

// ofRefund holds a refund's payment, and gives both. A refund that is gone is nothing to do.
func (s *Service) ofRefund(ctx context.Context, hospital, no string, f func(tx pgx.Tx, p Charge, state State, amount core.Fen) error) error {
	return pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		var order string
		err := tx.QueryRow(ctx, `select order_id from payment.refund where hospital = $1 and refund_no = $2`, hospital, no).Scan(&order)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		p, err := s.lock(ctx, tx, hospital, order)
		if err != nil {
			return err
		}
		var state State
		var amount core.Fen
		err = tx.QueryRow(ctx, `select state, amount from payment.refund where hospital = $1 and refund_no = $2`, hospital, no).Scan(&state, &amount)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		return f(tx, p, state, amount)
	})
}

// windowNo is our number of a refund that the window started: the same for the
// same, so that the channel pays it once whoever asks.
func windowNo(hospital, hisRefundNo string) string {
	sum := sha256.Sum256([]byte(hospital + "\x00" + hisRefundNo))
	return "W" + hex.EncodeToString(sum[:10])
}
