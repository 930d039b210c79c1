package pay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
	"hishub/platform/order"
	"hishub/platform/pay"
)

// cell of the fault matrix: what goes wrong where, and when the payer pays.
type cell struct {
	asking fault.Kind // while the payment is made at the channel
	notice fault.Kind // while the channel tells of it
	query  fault.Kind // while the channel is asked what became of it
	giving fault.Kind // while money goes back
	when   string     // the payer pays
}

func (c cell) String() string {
	return fmt.Sprintf("asking %s, notice %s, query %s, giving %s, paid %s", c.asking, c.notice, c.query, c.giving, c.when)
}

var (
	askings = []fault.Kind{"", fault.CommitThenHang, fault.CutBefore, fault.CutAfterCommit, fault.HTTP500, fault.Busy, fault.Garbled, paychannel.PrepayRefused, paychannel.PaidBefore}
	notices = []fault.Kind{"", paychannel.NoticeLost, paychannel.NoticeDoubled, paychannel.NoticeLate, paychannel.NoticeForged, paychannel.PaidOtherAmount}
	queries = []fault.Kind{"", fault.CommitThenHang, fault.Garbled}
	givings = []fault.Kind{"", fault.CommitThenHang, fault.CutBefore, fault.Garbled, paychannel.RefundProcessing, paychannel.RefundRefused, paychannel.RefundClosed}
	whens   = []string{"in time", "never", "at the last moment", "after a second attempt began", "twice"}
)

func cells() (all []cell) {
	for i, asking := range askings {
		for j, notice := range notices {
			for k, when := range whens {
				// Every pair of the three above, and each query and giving with each of them in turn.
				all = append(all, cell{asking, notice, queries[(i+j+k)%len(queries)], givings[(i+2*j+3*k)%len(givings)], when})
			}
		}
	}
	return all
}

// patience with a channel that plays silent.
const patience = 300 * time.Millisecond

// TestFaultMatrix: whatever goes wrong while an order is paid, money is where our books,
// the channel's and the order say that it is.
func TestFaultMatrix(t *testing.T) { openAt(t, "wechat", patience).matrix(cells()) }

// TestFaultMatrixOfAlipay: Alipay has no refund that is given up after it was accepted.
func TestFaultMatrixOfAlipay(t *testing.T) {
	openAt(t, "alipay", patience).matrix(slices.DeleteFunc(cells(), func(c cell) bool { return c.giving == paychannel.RefundClosed }))
}

func (w *world) matrix(todo []cell) {
	t := w.t
	next := make(chan cell)
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			for c := range next {
				w.cell(c)
			}
		})
	}
	for _, c := range todo {
		next <- c
	}
	close(next)
	all.Wait()
	t.Logf("%d cells", len(todo))
	w.balanced()
	var stuck int
	if err := w.c.Database.QueryRow(t.Context(), `select count(*) from pay.attempt where state in ('created', 'sent', 'unknown')`).Scan(&stuck); err != nil || stuck != 0 {
		t.Errorf("%d attempts are not decided, %v", stuck, err)
	}
}

func (w *world) cell(c cell) {
	ctx := context.Background()
	o := w.order()
	fail := func(what string, args ...any) { w.t.Errorf("%s: %s: %s", c, o.No, fmt.Sprintf(what, args...)) }
	operation := "prepay"
	if c.asking == paychannel.PrepayRefused || c.asking == paychannel.PaidBefore {
		operation = ""
	}
	w.fault(c.asking, operation, o.No, 1)
	w.fault(c.notice, "", o.No, 1)
	if _, err := w.pay.Pay(ctx, payer, o.No, w.wish()); err != nil {
		fail("pay: %v", err)
		return
	}
	w.fault(c.query, "payment.query", o.No, 1)
	number := o.No
	pays := func() (core.Fen, bool) {
		p, err := w.channel.PayTrade(string(w.name), number, 0)
		return core.Fen(p.AmountFen), err == nil
	}
	second := func() {
		w.settle(o.No)
		if a, err := w.pay.Pay(ctx, payer, o.No, w.wish()); err == nil {
			number = a.No
		}
	}
	switch c.when {
	case "in time":
		pays()
	case "at the last moment":
		w.expire(o.No)
		pays()
	case "after a second attempt began":
		second()
		pays()
	case "twice": // at the channel's side two attempts are open at once: the first was never closed there
		if a, ok := w.forget(o.No); ok {
			second()
			pays()
			number = a
			pays()
		}
	}
	w.settle(o.No)
	if c.when != "in time" && c.when != "at the last moment" {
		w.expire(o.No)
		w.settle(o.No)
	}
	w.channel.SendNotices()
	w.decide(o.No)
	if bad := w.conserved(o.No); bad != "" {
		fail("%s", bad)
	}
	now := w.get(o.No)
	if now.State == order.Paying {
		fail("it is %s at the end", now.State)
	}
	// Whoever has paid what was asked for has his order paid, if he did so in its time.
	if p, paid := w.channel.Books().Payment(string(w.name), o.No); paid && p.AmountFen == 1255 && now.State != order.Paid && c.when == "in time" {
		fail("he paid and it is %s", now.State)
	}
	if now.State == order.Paid {
		w.giveBack(now, c, fail)
	}
}

// giveBack returns one line and then the rest, with a fault.
func (w *world) giveBack(o order.Order, c cell, fail func(string, ...any)) {
	ctx := context.Background()
	for i, b := range []pay.Back{{Lines: []int{1}, Reason: "测试"}, {Reason: "测试其余"}} {
		r, err := w.pay.Request(ctx, person(5), "h1", o.No, b)
		if err == nil {
			operation := "refund"
			if c.giving == paychannel.RefundProcessing || c.giving == paychannel.RefundRefused || c.giving == paychannel.RefundClosed {
				operation = ""
			}
			w.fault(c.giving, operation, r.No, 1)
			_, err = w.pay.Decide(ctx, person(9), "h1", r.No, pay.Approve)
		}
		if err != nil {
			fail("give back: %v", err)
			return
		}
		w.settle(o.No)
		r, err = w.refundOf(o.No, r.No)
		if err != nil {
			fail("read refund: %v", err)
			return
		}
		if r.State == pay.GivingBack { // the channel takes its time
			if _, err := w.channel.Books().Settle(string(w.name), r.No, paychannel.Done, o.ExpiresAt); err != nil {
				fail("settle at the channel: %v", err)
			}
			w.settle(o.No)
			r, err = w.refundOf(o.No, r.No)
		}
		if r.State == pay.NotReturned {
			if c.giving == paychannel.RefundRefused {
				r, err = w.pay.Decide(ctx, person(9), "h1", r.No, pay.Again)
			} else {
				r, err = w.pay.Decide(ctx, person(9), "h1", r.No, pay.Drop)
			}
		}
		if err != nil || r.State != pay.Arrived && r.State != pay.Dropped {
			fail("refund %d is %s: %s, %v", i, r.State, r.Problem, err)
		}
		if bad := w.conserved(o.No); bad != "" {
			fail("after refund %d: %s", i, bad)
		}
	}
}

// forget makes us believe that the channel has closed the attempt that is under way, and
// gives its number there.
func (w *world) forget(no string) (string, bool) {
	var number string
	err := in0(w, func(tx pgx.Tx, _ core.Outbox) error { // a notice that was held back may come at any moment
		if _, err := w.orders.Lock(context.Background(), tx, no); err != nil {
			return err
		}
		err := tx.QueryRow(context.Background(), `update pay.attempt set state = 'closed' where order_no = $1 and state = 'sent' returning no`, no).Scan(&number)
		if err == nil {
			_, err = tx.Exec(context.Background(), `update clinic_order.orders set state = 'created' where no = $1`, no)
		}
		return err
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		w.ok(err)
	}
	return number, err == nil
}

// decide does what finance does about money of another amount.
func (w *world) decide(no string) {
	ctx := context.Background()
	all, err := w.pay.OfOrder(ctx, no)
	w.ok(err)
	for _, a := range all {
		if a.State == pay.Review {
			_, err := w.pay.Resolve(ctx, person(9), "h1", a.Channel, a.No, pay.SendBack, "多付一分")
			w.ok(err)
		}
	}
	w.settle(no)
}

func (w *world) refundOf(orderNo, no string) (pay.Refund, error) {
	all, err := w.pay.RefundsOf(context.Background(), orderNo)
	for _, r := range all {
		if r.No == no {
			return r, err
		}
	}
	return pay.Refund{}, err
}
