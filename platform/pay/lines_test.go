package pay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
)

// numbered are the lines of an order as the HIS counts them.
var numbered = []order.Line{{LineNo: "1", Name: "甲", Amount: 1000}, {LineNo: "2", Name: "乙", Amount: 250}, {LineNo: "3", Name: "丙", Amount: 250}}

// paidLines is a paid order of those lines.
func (w *world) paidLines() order.Order {
	w.t.Helper()
	ctx := context.Background()
	w.mu.Lock()
	w.n++
	subject := fmt.Sprintf("RX%d", w.n)
	w.mu.Unlock()
	o, err := in(w, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
		return w.orders.Create(ctx, tx, outbox, order.New{Hospital: "h1", Subject: subject, Patient: "PT1", Kind: order.Drugs, Account: 7, Lines: numbered, Within: 3600e9})
	})
	w.ok(err)
	a, err := w.pay.Pay(ctx, payer, o.No, native)
	w.ok(err)
	_, err = w.channel.PayTrade("wechat", a.No, 0)
	w.ok(err)
	return w.get(o.No)
}

// wish of one who wants lines back: the app's, or the window's.
type wish struct {
	window bool
	lines  []int
}

func (x wish) amount() (sum core.Fen) {
	for _, l := range x.lines {
		sum += numbered[l].Amount
	}
	return sum
}

// became is what one was told.
type became struct {
	err      error
	decision core.Resolution
	refund   pay.Refund
}

func (b became) done(x wish) bool {
	if x.window {
		return b.err == nil && b.decision.State == core.ResultDone
	}
	return b.err == nil
}

// clear: a no that says why.
func (b became) clear(x wish) bool {
	var ps core.Problems
	if x.window {
		return b.err == nil && b.decision.State == core.ResultRefused && b.decision.Message != ""
	}
	return errors.As(b.err, &ps) || errors.Is(b.err, clinic.ErrState) || errors.Is(b.err, clinic.ErrRule)
}

func (w *world) want(o order.Order, i int, x wish) (b became) {
	ctx := context.Background()
	if !x.window {
		b.refund, b.err = w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: x.lines, Reason: "测试"})
		return b
	}
	r := &core.WindowRefund{HisRefundNo: fmt.Sprintf("T%s-%d", o.No, i), OrderID: o.No, Amount: x.amount(), Reason: "测试"}
	for _, l := range x.lines {
		r.Lines = append(r.Lines, core.RefundLine{LineNo: numbered[l].LineNo, Amount: numbered[l].Amount})
	}
	b.decision, b.err = w.pay.WindowRefund(ctx, "h1", r)
	return b
}

// TestAppAndWindowGiveLinesBack: the app and the HIS's window want lines of one order back
// at the same moment, with a channel that fails; whoever is first, a line goes back once, the
// other one is told no and why, the channel gives back just what was agreed to, and the
// journal balances.
func TestAppAndWindowGiveLinesBack(t *testing.T) {
	w := open(t)
	w.ok(w.pay.RefundAlone(context.Background(), "h1", 1e6))
	both, firstApp, firstWindow := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SliceOfNDistinct(rapid.IntRange(0, 2), 1, 2, rapid.ID[int])
		wishes := []wish{{false, line.Draw(t, "app")}, {true, line.Draw(t, "window")}}
		if rapid.Bool().Draw(t, "a third") {
			wishes = append(wishes, wish{rapid.Bool().Draw(t, "at the window"), line.Draw(t, "third")})
		}
		w.channel.ClearFaults()
		if kind := rapid.SampledFrom([]fault.Kind{"", "", fault.CutBefore, fault.CutAfterCommit, fault.HTTP500}).Draw(t, "fault"); kind != "" {
			w.ok(w.channel.AddFaults(fault.Rule{Fault: kind, Operation: "refund", Times: rapid.IntRange(1, 2).Draw(t, "times")}))
		}
		o := w.paidLines()
		got := make([]became, len(wishes))
		start, stop := make(chan struct{}), make(chan struct{})
		var all, jobs sync.WaitGroup
		for i, x := range wishes {
			all.Go(func() { <-start; got[i] = w.want(o, i, x) })
		}
		jobs.Go(func() { // the jobs of two processes; nobody waits for the clock
			for {
				select {
				case <-stop:
					return
				default:
					w.later(o.No)
					w.ok(w.pay.GiveAll(context.Background()))
				}
			}
		})
		close(start)
		all.Wait()
		close(stop)
		jobs.Wait()
		w.channel.ClearFaults()
		w.settle(o.No)

		// Who was told yes has it, and nobody else.
		var agreed core.Fen
		times := map[int]int{}
		for i, x := range wishes {
			switch {
			case got[i].done(x):
				agreed += x.amount()
				for _, l := range x.lines {
					times[l]++
				}
			case !got[i].clear(x):
				t.Fatalf("%+v was told neither yes nor a clear no: %+v", x, got[i])
			}
		}
		for l, n := range times {
			if n > 1 {
				t.Fatalf("line %d went back %d times: %+v, %+v", l, n, wishes, got)
			}
		}
		if len(wishes) == 2 {
			app, window := got[0].done(wishes[0]), got[1].done(wishes[1])
			same := false
			for _, l := range wishes[0].lines {
				same = same || contains(wishes[1].lines, l)
			}
			switch {
			case same && app == window:
				t.Fatalf("of one line, app %v and window %v: %+v", app, window, got)
			case !same && (!app || !window):
				t.Fatalf("of two lines, app %v and window %v: %+v", app, window, got)
			case same && app:
				firstApp++
			case same:
				firstWindow++
			default:
				both++
			}
		}
		var back core.Fen
		for _, r := range w.channel.Books().Export().Refunds {
			if (r.Payment == o.No || strings.HasPrefix(r.Payment, o.No+"_")) && r.State == paychannel.Done {
				back += core.Fen(r.AmountFen)
			}
		}
		if now := w.get(o.No); back != agreed || now.Refunded != agreed || back > now.Amount {
			t.Fatalf("agreed to %s, the channel gave back %s, the order says %s of %s", agreed, back, now.Refunded, now.Amount)
		}
		if bad := w.conserved(o.No); bad != "" {
			t.Fatal(bad)
		}
		// A cashier who asks again is told the same, and no money moves.
		for i, x := range wishes {
			if again := w.want(o, i, x); x.window && again.decision.State != got[i].decision.State {
				t.Fatalf("asked again: %+v, before %+v", again, got[i])
			}
		}
	})
	w.balanced()
	t.Logf("two lines %d times; of one line the app was first %d times, the window %d times", both, firstApp, firstWindow)
}

func contains(lines []int, l int) bool {
	for _, x := range lines {
		if x == l {
			return true
		}
	}
	return false
}

// Some of a line goes back at the window, again and again, then the rest by the app: never
// more than the line.
func TestPartsOfALineAreCounted(t *testing.T) {
	w := open(t)
	ctx := context.Background()
	o := w.paidLines()
	var refusals []string
	for i := range 3 {
		d, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: fmt.Sprint("T", i), OrderID: o.No, Amount: 100, Reason: "测试",
			Lines: []core.RefundLine{{LineNo: "2", Amount: 100}}})
		w.ok(err)
		if d.State != core.ResultDone {
			refusals = append(refusals, d.Message)
		}
	}
	if len(refusals) != 1 || !strings.Contains(refusals[0], "可退金额不足") {
		t.Errorf("three times 1.00 of 2.50 yuan: %q", refusals)
	}
	if r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: []int{1, 2}, Reason: "测试"}); err != nil || r.Amount != 50+250 {
		t.Errorf("the rest and another line: %s, %v", r.Amount, err)
	}
	var ps core.Problems
	if r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: []int{1}, Reason: "测试"}); !errors.As(err, &ps) {
		t.Errorf("again: %+v, %v", r, err)
	}
	if r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: []int{0, 0}, Reason: "测试"}); !errors.As(err, &ps) {
		t.Errorf("a line twice: %+v, %v", r, err)
	}
	if now := w.get(o.No); now.Refunded != 500 {
		t.Errorf("%s went back", now.Refunded)
	}
	w.balanced()
}
