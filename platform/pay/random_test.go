package pay_test

import (
	"context"
	"errors"
	"slices"
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

// TestRandomCommands: whatever people, the channel and the jobs do in whatever order, no
// attempt and no refund leaves its table, and money is conserved at each step that leaves
// nothing on its way.
func TestRandomCommands(t *testing.T) {
	w := open(t)
	ctx := context.Background()
	legal := func(err error) bool {
		var ps core.Problems
		return err == nil || errors.Is(err, clinic.ErrState) || errors.Is(err, clinic.ErrRule) || errors.As(err, &ps)
	}
	rapid.Check(t, func(t *rapid.T) {
		o := w.order()
		attempts, refunds := map[string]pay.State{}, map[string]pay.RefundState{}
		look := func() {
			all, err := w.pay.OfOrder(ctx, o.No)
			w.ok(err)
			live := 0
			for _, a := range all {
				was, known := attempts[a.No]
				if known && was != a.State && !reaches(pay.States, was, a.State) {
					t.Fatalf("an attempt went from %s to %s", was, a.State)
				}
				attempts[a.No] = a.State
				if a.State == pay.Succeeded {
					live += 10
				}
			}
			if live > 10 {
				t.Fatal("two attempts pay one order")
			}
			back, err := w.pay.RefundsOf(ctx, o.No)
			w.ok(err)
			for _, r := range back {
				was, known := refunds[r.No]
				if known && was != r.State && !reaches(pay.RefundStates, was, r.State) {
					t.Fatalf("a refund went from %s to %s", was, r.State)
				}
				refunds[r.No] = r.State
			}
		}
		do := func(what string, err error) {
			if !legal(err) {
				t.Fatalf("%s: %v", what, err)
			}
			look()
		}
		pick := func(t *rapid.T) (paychannel.Trade, bool) {
			var mine []paychannel.Trade
			for _, trade := range w.channel.Books().Trades() {
				if trade.Number == o.No || len(trade.Number) > len(o.No) && trade.Number[:len(o.No)+1] == o.No+"_" {
					mine = append(mine, trade)
				}
			}
			if len(mine) == 0 {
				return paychannel.Trade{}, false
			}
			return rapid.SampledFrom(mine).Draw(t, "trade"), true
		}
		t.Repeat(map[string]func(*rapid.T){
			"pay": func(t *rapid.T) {
				wish := native
				if rapid.Bool().Draw(t, "h5") {
					wish.Way, wish.Address = pay.H5, "10.0.0.1"
				}
				_, err := w.pay.Pay(ctx, payer, o.No, wish)
				do("pay", err)
			},
			"the payer pays": func(t *rapid.T) {
				if trade, ok := pick(t); ok {
					_, _ = w.channel.PayTrade("wechat", trade.Number, int64(rapid.SampledFrom([]int{0, 0, 0, 7}).Draw(t, "amount")))
				}
				look()
			},
			"a fault": func(t *rapid.T) {
				kind := rapid.SampledFrom([]fault.Kind{fault.CutBefore, fault.CutAfterCommit, fault.Garbled, fault.HTTP500}).Draw(t, "kind")
				operation := rapid.SampledFrom([]string{"prepay", "payment.query", "close", "refund"}).Draw(t, "operation")
				w.fault(kind, operation, "", 1)
			},
			"a fault of notices": func(t *rapid.T) {
				w.fault(rapid.SampledFrom([]fault.Kind{paychannel.NoticeLate, paychannel.NoticeLost, paychannel.NoticeDoubled, paychannel.NoticeForged}).Draw(t, "kind"), "", o.No, 1)
			},
			"notices": func(*rapid.T) { w.channel.SendNotices(); look() },
			"jobs": func(*rapid.T) {
				w.later(o.No)
				do("ask", w.pay.AskAll(ctx))
				do("give", w.pay.GiveAll(ctx))
			},
			"time passes": func(*rapid.T) {
				w.expire(o.No)
				_, err := w.orders.Expire(ctx)
				do("expire", err)
			},
			"give up": func(*rapid.T) {
				if all, _ := w.pay.OfOrder(ctx, o.No); len(all) > 0 {
					_, err := w.pay.End(ctx, all[0])
					do("end", err)
				}
			},
			"ask back": func(t *rapid.T) {
				_, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Amount: core.Fen(rapid.IntRange(0, 1300).Draw(t, "amount")), Reason: "测试"})
				do("request", err)
			},
			"the clinic gives back": func(*rapid.T) {
				do("give back", in0(w, func(tx pgx.Tx, outbox core.Outbox) error {
					return w.pay.GiveBack(ctx, tx, outbox, order.Order{No: o.No}, "测试")
				}))
			},
			"the window": func(t *rapid.T) {
				_, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: o.No + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "no"), OrderID: o.No, Amount: core.Fen(rapid.IntRange(1, 1300).Draw(t, "amount"))})
				do("window", err)
			},
			"the HIS refuses for good": func(*rapid.T) {
				do("take", pgx.BeginFunc(ctx, w.c.Database, func(tx pgx.Tx) error {
					return w.pay.Take(ctx, tx, core.Event{Type: core.EventRefundNow, Kind: core.PaymentSettle, Hospital: "h1", Key: o.No})
				}))
			},
		})
		w.channel.ClearFaults()
		w.settle(o.No)
		w.channel.SendNotices()
		w.decide(o.No)
		look()
		if bad := w.conserved(o.No); bad != "" {
			t.Fatal(bad)
		}
	})
	w.balanced()
}

// reaches reports whether a machine has a way from a state to another, over any number of steps.
func reaches[S ~string](m clinic.States[S], from, to S) bool {
	seen := []S{from}
	for i := 0; i < len(seen); i++ {
		for _, next := range m[seen[i]] {
			if next == to {
				return true
			}
			if !slices.Contains(seen, next) {
				seen = append(seen, next)
			}
		}
	}
	return false
}
