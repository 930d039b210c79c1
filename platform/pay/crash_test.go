package pay_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
)

// dying is a channel during whose question our process dies: before the channel has heard
// of it, or after.
type dying struct {
	pay.Channel
	after bool
}

type died struct{}

func (d dying) Pay(ctx context.Context, c pay.Charge) pay.Prepaid {
	if d.after {
		d.Channel.Pay(ctx, c)
	}
	panic(died{})
}

func (d dying) Refund(ctx context.Context, g pay.Giving) pay.Given {
	if d.after {
		d.Channel.Refund(ctx, g)
	}
	panic(died{})
}

func dies(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if _, ok := recover().(died); !ok {
			t.Fatal("it did not die")
		}
	}()
	f()
}

// TestDyingWhileTheChannelIsAsked: what is lost between the mark and the answer is asked
// about, and charged and given back once.
func TestDyingWhileTheChannelIsAsked(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	for _, after := range []bool{false, true} {
		o := w.order()
		w.pay.Accounts = accounts{dying{w.account, after}}
		dies(t, func() { _, _ = w.pay.Pay(ctx, payer, o.No, native) })
		w.pay.Accounts = accounts{w.account}
		if o = w.get(o.No); o.State != order.Paying {
			t.Fatalf("it is %s", o.State)
		}
		if _, err := w.pay.Pay(ctx, payer, o.No, native); !errors.Is(err, clinic.ErrState) {
			t.Fatalf("a second payment while nobody knows of the first: %v", err)
		}
		w.later(o.No)
		w.ok(w.pay.AskAll(ctx))
		if o = w.get(o.No); o.State != order.Created {
			t.Fatalf("asked about, it is %s", o.State)
		}
		a, err := w.pay.Pay(ctx, payer, o.No, native)
		if err != nil || a.No != o.No+"_2" {
			t.Fatalf("%+v, %v", a, err)
		}
		if _, err := w.channel.PayTrade("wechat", a.No, 0); err != nil {
			t.Fatal(err)
		}
		w.ok(in0(w, func(tx pgx.Tx, outbox core.Outbox) error { return w.pay.GiveBack(ctx, tx, outbox, o, "测试") }))
		w.pay.Accounts = accounts{dying{w.account, after}}
		refunds, err := w.pay.RefundsOf(ctx, o.No)
		if err != nil || len(refunds) != 1 || refunds[0].State != pay.Approved {
			t.Fatalf("%+v, %v", refunds, err)
		}
		dies(t, func() { _, _ = w.pay.Give(ctx, refunds[0].No) })
		w.pay.Accounts = accounts{w.account}
		w.later(o.No)
		w.ok(w.pay.GiveAll(ctx))
		if r, err := w.refundOf(o.No, refunds[0].No); err != nil || r.State != pay.Arrived {
			t.Errorf("%+v, %v", r, err)
		}
		if bad := w.conserved(o.No); bad != "" {
			t.Error(bad)
		}
	}
	if n := len(w.channel.Books().Export().Refunds); n != 2 {
		t.Errorf("%d refunds at the channel", n)
	}
	w.balanced()
}

func in0(w *world, f func(tx pgx.Tx, outbox core.Outbox) error) error {
	return w.c.Transact(context.Background(), "h1", f)
}

// TestTwoProcessesAtOnce: jobs, notices and payers of two processes work on the same
// orders; each is charged once and given back once.
func TestTwoProcessesAtOnce(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	other := *w.pay
	both := []*pay.Service{w.pay, &other}
	var orders []order.Order
	for range 12 {
		orders = append(orders, w.order())
	}
	var all sync.WaitGroup
	for _, o := range orders {
		for _, s := range both {
			all.Go(func() {
				if _, err := s.Pay(ctx, payer, o.No, native); err != nil && !errors.Is(err, clinic.ErrState) {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	w.ok(w.channel.AddFaults(fault.Rule{Fault: paychannel.NoticeDoubled}))
	for _, o := range orders {
		all.Go(func() {
			for _, trade := range w.channel.Books().Trades() {
				if trade.Number == o.No && !trade.Closed {
					_, _ = w.channel.PayTrade("wechat", trade.Number, 0)
				}
			}
		})
		for _, s := range both {
			all.Go(func() {
				w.later(o.No)
				w.ok(s.AskAll(ctx))
			})
		}
	}
	all.Wait()
	for _, o := range orders {
		w.settle(o.No)
		if w.get(o.No).State != order.Paid {
			continue
		}
		for range 2 {
			all.Go(func() {
				w.ok(in0(w, func(tx pgx.Tx, outbox core.Outbox) error { return w.pay.GiveBack(ctx, tx, outbox, o, "测试") }))
			})
		}
		for _, s := range both {
			all.Go(func() { w.ok(s.GiveAll(ctx)) })
		}
	}
	all.Wait()
	paid := 0
	for _, o := range orders {
		w.settle(o.No)
		if bad := w.conserved(o.No); bad != "" {
			t.Error(bad)
		}
		if w.get(o.No).State == order.Refunded {
			paid++
		}
	}
	if paid == 0 {
		t.Error("nothing was paid")
	}
	w.balanced()
}

// TestWindowAndAppGiveBackAtOnce: the cashier and the patient give the same order back at
// the same moment; what each is told holds, and no fen goes back twice.
func TestWindowAndAppGiveBackAtOnce(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	for i := range 8 {
		o := w.paid()
		var window core.Resolution
		var all sync.WaitGroup
		all.Go(func() {
			var err error
			window, err = w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: "T" + o.No, OrderID: o.No, Amount: 250, Reason: "测试"})
			w.ok(err)
		})
		all.Go(func() {
			if i%2 == 0 {
				_, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: []int{0}, Reason: "测试"})
				w.ok(err)
				return
			}
			_, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Amount: 1255, Reason: "测试"})
			var ps core.Problems
			if err != nil && !errors.As(err, &ps) && !errors.Is(err, clinic.ErrState) {
				t.Error(err)
			}
		})
		all.Wait()
		again, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: "T" + o.No, OrderID: o.No, Amount: 250, Reason: "测试"})
		if err != nil || again.State != window.State {
			t.Errorf("asked again: %s, before %s, %v", again.State, window.State, err)
		}
		if bad := w.conserved(o.No); bad != "" {
			t.Error(bad)
		}
	}
	other, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: "X1", OrderID: "IH1", Amount: 250})
	if other.State != core.ResultRefused || other.Message == "" || err != nil {
		t.Errorf("a payment of somebody else: %+v, %v", other, err)
	}
	o := w.paid()
	w.ok(w.channel.AddFaults(fault.Rule{Fault: paychannel.RefundRefused, Times: 1}))
	no, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: "X2", OrderID: o.No, Amount: 1255})
	if err != nil || no.State != core.ResultRefused || w.get(o.No).State != order.Paid || w.get(o.No).Refunded != 0 {
		t.Errorf("the channel refuses: %+v, %v", no, err)
	}
	w.balanced()
}

// paid is an order that somebody has paid.
func (w *world) paid() order.Order {
	w.t.Helper()
	o := w.order()
	a, err := w.pay.Pay(context.Background(), payer, o.No, native)
	w.ok(err)
	_, err = w.channel.PayTrade("wechat", a.No, 0)
	w.ok(err)
	return w.get(o.No)
}

func TestTheJournalCannotLie(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	w.paid()
	for name, sql := range map[string]string{
		"one side only":      `with p as (insert into pay.posting (hospital, fact, key, order_no) values ('h1', 'x', 'x', 'x') returning id) insert into pay.entry select id, 'a', 5 from p`,
		"not to 0":           `with p as (insert into pay.posting (hospital, fact, key, order_no) values ('h1', 'x', 'x', 'x') returning id) insert into pay.entry select id, unnest(array['a', 'b']), unnest(array[5, -4]) from p`,
		"nothing":            `insert into pay.posting (hospital, fact, key, order_no) values ('h1', 'x', 'x', 'x')`,
		"more of an old one": `insert into pay.entry select min(id), 'a', 5 from pay.posting`,
		"changed":            `update pay.entry set amount = amount + 1`,
		"taken out":          `delete from pay.entry`,
		"said twice":         `insert into pay.posting (hospital, fact, key, order_no) select hospital, fact, key, order_no from pay.posting`,
	} {
		if _, err := w.c.Database.Exec(ctx, sql); err == nil {
			t.Errorf("%s: the database takes it", name)
		}
	}
	w.balanced()
}

// What the HIS refuses for good goes back to who paid, and the HIS is not told of that.
func TestWhatTheHISRefusesForGoodGoesBack(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	o := w.paid()
	event := func(e core.EventType) {
		t.Helper()
		for range 2 { // events come again
			w.ok(pgx.BeginFunc(ctx, w.c.Database, func(tx pgx.Tx) error {
				return w.pay.Take(ctx, tx, core.Event{Type: e, Kind: core.PaymentSettle, Hospital: "h1", Key: o.No, Reason: "重复缴费"})
			}))
		}
	}
	told := func() pay.Told {
		all, err := w.pay.OfOrder(ctx, o.No)
		w.ok(err)
		return all[0].Told
	}
	event(core.EventParked)
	if told() != pay.Stuck {
		t.Errorf("parked: %s", told())
	}
	event(core.EventRefundNow)
	event(core.EventDelivered) // late: it is refused for good
	w.settle(o.No)
	if o = w.get(o.No); told() != pay.GoBack || o.State != order.Refunded || w.goods.back[o.No] != 0 {
		t.Errorf("%s, %s, the subject was told of %s", told(), o.State, w.goods.back[o.No])
	}
	if bad := w.conserved(o.No); bad != "" {
		t.Error(bad)
	}
	w.balanced()
}

// Rule two persons: who proposed a refund does not approve it; above the hospital's amount,
// and for what was handed out, nothing goes back on the patient's word alone.
func TestRefundRules(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	w.ok(w.pay.RefundAlone(ctx, "h1", 500))
	o := w.paid()
	r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: []int{0}, Reason: "测试"})
	if err != nil || r.State != pay.Requested {
		t.Fatalf("above the amount: %+v, %v", r, err)
	}
	if _, err := w.pay.Decide(ctx, person(9), "h2", r.No, pay.Approve); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another hospital's: %v", err)
	}
	if _, err := w.pay.Decide(ctx, payer, "h1", r.No, pay.Approve); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("approved by who asked: %v", err)
	}
	if r, err = w.pay.Decide(ctx, person(9), "h1", r.No, pay.Decline); err != nil || r.State != pay.Declined || w.get(o.No).Refunded != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: []int{1}, Reason: "测试"}); err != nil || r.State != pay.Arrived {
		t.Errorf("below the amount: %+v, %v", r, err)
	}
	handed := w.paid()
	w.goods.refuse["refund "+handed.Subject] = clinic.ErrRule
	if r, err = w.pay.Request(ctx, payer, "", handed.No, pay.Back{Lines: []int{2}, Reason: "测试"}); err != nil || r.State != pay.Requested || r.Problem == "" {
		t.Errorf("handed out: %+v, %v", r, err)
	}
	if _, err := w.pay.Decide(ctx, person(9), "h1", r.No, pay.Approve); !errors.Is(err, clinic.ErrRule) || w.get(handed.No).Refunded != 0 {
		t.Errorf("handed out, and approved: %v", err)
	}
	if _, err := w.pay.Request(ctx, person(5), "h2", o.No, pay.Back{Reason: "测试"}); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("the desk of another hospital: %v", err)
	}
	w.balanced()
}

// A notice to another hospital's address, or of a payment that is not ours, changes nothing.
func TestNoticesOfOthers(t *testing.T) {
	w := open(t)
	o := w.order()
	a, err := w.pay.Pay(t.Context(), payer, o.No, native)
	if err != nil {
		t.Fatal(err)
	}
	w.sql(`update pay.attempt set hospital = 'h2' where no = $1`, a.No)
	if _, err := w.channel.PayTrade("wechat", a.No, 0); err != nil {
		t.Fatal(err)
	}
	if o = w.get(o.No); o.State != order.Paying {
		t.Errorf("it is %s", o.State)
	}
	for path, status := range map[string]int{"/clinic/v1/notices/wechat/h3": 404, "/clinic/v1/notices/alipay/h1": 404, "/clinic/v1/notices/wechat/h1": 500} {
		r, err := http.Post(w.pay.Public+path, "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != status {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}

// A channel that never answers is a person's matter at last; the order stays held until then.
func TestAChannelThatNeverAnswers(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	o := w.order()
	w.fault(fault.CutAfterCommit, "prepay", o.No, 1)
	a, err := w.pay.Pay(ctx, payer, o.No, native)
	if err != nil || a.State != pay.Undecided {
		t.Fatalf("%+v, %v", a, err)
	}
	w.fault(fault.CutBefore, "payment.query", o.No, 0)
	w.sql(`update pay.attempt set asked = 59`)
	w.later(o.No)
	w.ok(w.pay.AskAll(ctx))
	u, err := w.pay.Undecided(ctx, "h1", 10)
	if err != nil || len(u.Attempts) != 1 || u.Attempts[0].State != pay.Review || w.get(o.No).State != order.Paying {
		t.Fatalf("%+v, %v", u, err)
	}
	if _, err := w.pay.Resolve(ctx, person(9), "h1", "wechat", a.No, pay.SendBack, "测试"); !errors.Is(err, clinic.ErrState) {
		t.Errorf("nothing to give back: %v", err)
	}
	if a, err = w.pay.Resolve(ctx, person(9), "h1", "wechat", a.No, pay.NothingCame, "渠道客服确认"); err != nil || a.State != pay.Closed || w.get(o.No).State != order.Created {
		t.Errorf("%+v, %v", a, err)
	}
	// And yet it came: it pays the order after all.
	w.channel.ClearFaults()
	if _, err := w.channel.PayTrade("wechat", a.No, 0); err != nil {
		t.Fatal(err)
	}
	if o = w.get(o.No); o.State != order.Paid {
		t.Errorf("it is %s", o.State)
	}
	w.balanced()
}

// Money of another amount than was asked for pays nothing, and goes back when a person says so.
func TestAnotherAmountIsReviewed(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	o := w.order()
	a, err := w.pay.Pay(ctx, payer, o.No, native)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.channel.PayTrade("wechat", a.No, 1200); err != nil {
		t.Fatal(err)
	}
	u, err := w.pay.Undecided(ctx, "h1", 10)
	if err != nil || len(u.Attempts) != 1 || u.Attempts[0].State != pay.Review || u.Attempts[0].Got != 1200 || w.get(o.No).State != order.Created {
		t.Fatalf("%+v, %v", u, err)
	}
	w.settle(o.No)
	if len(w.channel.Books().Export().Refunds) != 0 {
		t.Error("it went back by itself")
	}
	// Meanwhile the order can be paid with what it costs.
	if a, err = w.pay.Pay(ctx, payer, o.No, native); err != nil {
		t.Fatal(err)
	}
	if _, err := w.channel.PayTrade("wechat", a.No, 0); err != nil || w.get(o.No).State != order.Paid {
		t.Fatalf("%s, %v", w.get(o.No).State, err)
	}
	if _, err := w.pay.Resolve(ctx, person(9), "h2", "wechat", u.Attempts[0].No, pay.SendBack, "多付"); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another hospital's: %v", err)
	}
	w.decide(o.No)
	if bad := w.conserved(o.No); bad != "" {
		t.Error(bad)
	}
	if n := len(w.channel.Books().Export().Refunds); n != 1 {
		t.Errorf("%d refunds", n)
	}
	w.balanced()
}
