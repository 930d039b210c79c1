package pay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// Words to the cashier at the window.
const (
	wordsDifferent = "支付信息与平台不一致"
	wordsTooMuch   = "可退金额不足"
	wordsChannel   = "支付渠道拒绝退款"
	wordsFinance   = "支付渠道拒绝退款，由平台财务处理，请勿重复退费"
	wordsState     = "订单当前状态不可退款"
	wordsUnknown   = "平台查无此支付"
	wordsNoLine    = "退费项目与平台订单不一致"
	wordsLineGone  = "该项目此前已退费"
	wordsLineLess  = "该项目可退金额不足"
)

func refused(words string) *core.Resolution {
	return &core.Resolution{State: core.ResultRefused, Message: words}
}

func done(refundNo string, amount core.Fen) *core.Resolution {
	return &core.Resolution{State: core.ResultDone, Answer: &core.Receipt{Number: refundNo, Amount: &amount}}
}

// WindowRefund decides a refund that a cashier started at the hospital: it is set aside in
// the order, given back by the channel, and then it is ours like any other; the HIS need
// not be told. Again it does nothing new. An error means that it is not decided yet.
//
// One of more than is left, that the app has given back already by the same amount, is that
// one: no more money moves. A line goes back once, whoever names it.
func (s *Service) WindowRefund(ctx context.Context, hospital string, r *core.WindowRefund) (decision core.Resolution, err error) {
	a, different, err := s.paymentOf(ctx, hospital, r)
	switch {
	case err != nil:
		return decision, fmt.Errorf("window refund: %w", err)
	case different:
		return *refused(wordsDifferent), nil
	case a == nil && r.Reversal:
		// It takes a booking back that nobody paid: there is nothing to give back.
		return core.Resolution{State: core.ResultDone}, nil
	case a == nil:
		return *refused(wordsUnknown), nil
	}
	var decided *core.Resolution
	var set Refund
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) (err error) {
		set, decided, err = s.setAside(ctx, tx, outbox, *a, r)
		return err
	})
	if err != nil {
		return decision, fmt.Errorf("window refund: %w", err)
	}
	for decided == nil {
		if set, err = s.Give(ctx, set.No); err != nil {
			return decision, fmt.Errorf("window refund: %w", err)
		}
		switch set.State {
		case Arrived:
			decided = done(set.No, set.Amount)
		case NotReturned:
			if decided, err = s.notReturned(ctx, set); err != nil {
				return decision, fmt.Errorf("window refund: %w", err)
			}
		case Dropped:
			decided = refused(wordsChannel)
		default: // the channel is at it; whoever asks it is the job, or we
			select {
			case <-ctx.Done():
				return decision, fmt.Errorf("window refund: it is %s: %w", set.State, ctx.Err())
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return *decided, nil
}

// Takes reports whether a payment that a window means is one of ours.
func (s *Service) Takes(ctx context.Context, hospital string, r *core.WindowRefund) (bool, error) {
	a, different, err := s.paymentOf(ctx, hospital, r)
	if err != nil {
		return false, fmt.Errorf("look for the payment of a window's refund: %w", err)
	}
	return a != nil || different, nil
}

// setAside holds the order and takes the amount from what can still be given back, or says
// why there is nothing to do.
func (s *Service) setAside(ctx context.Context, tx pgx.Tx, outbox core.Outbox, a Attempt, w *core.WindowRefund) (Refund, *core.Resolution, error) {
	o, err := s.Orders.Lock(ctx, tx, a.OrderNo)
	if err != nil {
		return Refund{}, nil, err
	}
	known, err := s.refunds(ctx, tx, `hospital = $1 and his_refund_no = $2`, a.Hospital, w.HisRefundNo)
	switch {
	case err != nil:
		return Refund{}, nil, err
	case len(known) == 1 && (known[0].OrderNo != a.OrderNo || known[0].Amount != w.Amount):
		return Refund{}, refused(wordsDifferent), nil
	case len(known) == 1:
		return known[0], nil, nil // whoever began it may be gone; it may be the app's, and the window's since
	case o.State != order.Paid && o.State != order.Refunded:
		return Refund{}, refused(wordsState), nil
	}
	lines, parts, no, err := s.linesOf(ctx, tx, o, w)
	if no != nil || err != nil {
		return Refund{}, no, err
	}
	if w.Amount > o.Amount-o.Refunded {
		return s.sameByApp(ctx, tx, a, w)
	}
	r, err := s.insert(ctx, tx, o, Refund{No: windowNo(a.Hospital, w.HisRefundNo), Origin: ByWindow, Amount: w.Amount, Lines: lines, parts: parts, Reason: w.Reason, State: Requested, hisRefundNo: w.HisRefundNo, attempt: a.id})
	if err == nil {
		err = s.approve(ctx, tx, outbox, &r, 0)
	}
	return r, nil, err
}

// linesOf are the positions of the lines that a window names and how much of each, or the words
// by which it is refused.
func (s *Service) linesOf(ctx context.Context, tx pgx.Tx, o order.Order, w *core.WindowRefund) (lines []int, parts []core.Fen, no *core.Resolution, err error) {
	gone, err := s.Orders.Gone(ctx, tx, o)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, named := range w.Lines {
		i := slices.IndexFunc(o.Lines, func(l order.Line) bool {
			return l.LineNo == named.LineNo && (named.BillNo == "" || l.BillNo == "" || l.BillNo == named.BillNo)
		})
		switch {
		case i < 0 || named.Amount > o.Lines[i].Amount || slices.Contains(lines, i):
			return nil, nil, refused(wordsNoLine), nil
		case gone[i] >= o.Lines[i].Amount:
			return nil, nil, refused(wordsLineGone), nil
		case named.Amount > o.Lines[i].Amount-gone[i]:
			return nil, nil, refused(wordsLineLess), nil
		}
		lines, parts = append(lines, i), append(parts, named.Amount)
	}
	return lines, parts, nil, nil
}

// paymentOf finds the payment that a window means; different is true when what the HIS says
// of it does not fit together.
func (s *Service) paymentOf(ctx context.Context, hospital string, w *core.WindowRefund) (a *Attempt, different bool, err error) {
	all, err := many(ctx, s.Database, `hospital = $1 and state = 'succeeded' and
		case when $2 <> '' then order_no = $2 when $3 <> '' then channel_no = $3 else his_no = $4 and his_no <> '' end limit 2`, hospital, w.OrderID, w.ChannelNo, w.HisNo)
	switch {
	case err != nil || len(all) == 0:
		return nil, false, err
	case len(all) > 1:
		return nil, true, nil
	}
	a = &all[0]
	var fits bool
	err = s.Database.QueryRow(ctx, `select ($2 = '' or channel_no = $2) and ($3 = '' or his_no in ('', $3)) from pay.attempt where id = $1`, a.id, w.ChannelNo, w.HisNo).Scan(&fits)
	return a, !fits, err
}

// sameByApp is the app's refund of just this amount, which the window started, too; it is
// the window's from now on, and a HIS that was not told of it yet need not be. One that the
// channel refused stays finance's.
func (s *Service) sameByApp(ctx context.Context, tx pgx.Tx, a Attempt, w *core.WindowRefund) (Refund, *core.Resolution, error) {
	var no string
	err := tx.QueryRow(ctx, `update pay.refund set his_refund_no = $3, updated_at = clock_timestamp() where no = (
			select no from pay.refund where attempt = $1 and amount = $2 and his_refund_no = '' and state not in ('requested', 'declined', 'failed', 'dropped') order by created_at desc limit 1)
		returning no`, a.id, w.Amount, w.HisRefundNo).Scan(&no)
	if errors.Is(err, pgx.ErrNoRows) {
		var failed bool
		err = tx.QueryRow(ctx, `select exists (select from pay.refund where attempt = $1 and amount = $2 and state = 'failed')`, a.id, w.Amount).Scan(&failed)
		if failed {
			return Refund{}, refused(wordsFinance), err
		}
		return Refund{}, refused(wordsTooMuch), err
	} else if err != nil {
		return Refund{}, nil, err
	}
	if err := s.Orders.StartedByWindow(ctx, tx, no, true); err != nil {
		return Refund{}, nil, err
	}
	r, err := s.refund(ctx, tx, no)
	return r, nil, err
}

// notReturned says what a cashier is told of a refund that the channel refused, nil when it
// goes on meanwhile. His own is given up: he is told no, so it must not be paid later. One that
// the app promised, or through which what was paid for ended, is finance's: it is the window's
// no more, and the HIS hears of it once it is paid.
func (s *Service) notReturned(ctx context.Context, r Refund) (decided *core.Resolution, err error) {
	err = s.Transact(ctx, r.Hospital, func(tx pgx.Tx, _ core.Outbox) error {
		o, err := s.Orders.Lock(ctx, tx, r.OrderNo)
		if err != nil {
			return err
		}
		all, err := s.refunds(ctx, tx, `no = $1 for update`, r.No)
		switch {
		case err != nil || len(all) == 0:
			return errors.Join(err, clinic.ErrNotFound)
		case all[0].State != NotReturned:
			return nil
		}
		r := all[0]
		if r.Origin == ByWindow {
			decided = refused(wordsChannel)
			dropped := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return s.drop(ctx, tx, o, &r, 0) })
			if !errors.Is(dropped, order.ErrEnded) {
				return dropped
			}
		}
		decided = refused(wordsFinance)
		if _, err := tx.Exec(ctx, `update pay.refund set his_refund_no = '', origin = case origin when 'window' then 'clinic' else origin end, updated_at = clock_timestamp() where no = $1`, r.No); err != nil {
			return err
		}
		return s.Orders.StartedByWindow(ctx, tx, r.No, r.Origin == ByHIS)
	})
	return decided, err
}

// windowNo is our number of a refund that the window started: the same for the same, so
// that the channel pays it once whoever asks.
func windowNo(hospital, hisRefundNo string) string {
	sum := sha256.Sum256([]byte(hospital + "\x00" + hisRefundNo))
	return "W" + hex.EncodeToString(sum[:10])
}
