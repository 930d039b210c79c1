package pay_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/order"
	"hishub/platform/pay"
	"hishub/platform/pay/alipay"
	"hishub/platform/pay/wechat"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// goods are what orders pay for: they note what they are told.
type goods struct {
	mu     sync.Mutex
	price  core.Fen // above 0: what it costs now
	refuse map[string]error
	paid   map[string]core.Fen
	back   map[string]core.Fen
	over   map[string]bool // ended by subject, not to be kept
}

func (g *goods) Price(_ context.Context, o order.Order) ([]order.Line, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.price > 0 {
		return []order.Line{{Name: "甲", Amount: g.price}}, nil
	}
	return o.Lines, nil
}

func (g *goods) note(o order.Order, into map[string]core.Fen, amount core.Fen) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.refuse[o.Subject]; err != nil {
		return err
	}
	into[o.No] += amount
	return nil
}

func (g *goods) Paid(_ context.Context, _ pgx.Tx, _ core.Outbox, o order.Order, p order.Payment) error {
	return g.note(o, g.paid, p.Amount)
}

func (g *goods) Closed(context.Context, pgx.Tx, core.Outbox, order.Order) error { return nil }

func (g *goods) Refunded(_ context.Context, _ pgx.Tx, _ core.Outbox, o order.Order, r order.Refund) error {
	if r.ByWindow {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.ByPatient && g.refuse["patient "+o.Subject] != nil {
		return g.refuse["patient "+o.Subject]
	}
	return g.refuse["refund "+o.Subject]
}

func (g *goods) Ended(_ context.Context, _ pgx.Tx, o order.Order) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.over[o.Subject], nil
}

func (g *goods) Returned(_ context.Context, _ pgx.Tx, _ core.Outbox, o order.Order, r order.Refund, _ order.Back) error {
	return g.note(o, g.back, r.Amount)
}

// world is a clinic whose hospitals have an account at the fake WeChat Pay.
type world struct {
	t       *testing.T
	c       *clinictest.Clinic
	goods   *goods
	orders  *order.Service
	pay     *pay.Service
	channel *paychannel.Server
	account pay.Channel
	name    core.Channel
	n       int
	mu      sync.Mutex
}

type accounts struct{ of pay.Channel }

func (a accounts) Account(_ context.Context, hospital string, c core.Channel) (pay.Channel, error) {
	_, isAlipay := a.of.(*alipay.Channel)
	if isAlipay != (c == "alipay") || c == "bank" || hospital == "h3" {
		return nil, pay.ErrNoAccount
	}
	return a.of, nil
}

// keysOnce: making keys takes a second, so that all channels of these tests have the same.
var keysOnce = sync.OnceValue(func() (o paychannel.Options) {
	var err error
	if o.Keys, err = paychannel.GenerateKeys("1900000001"); err == nil {
		o.Alipay, err = paychannel.GenerateAlipayKeys()
	}
	if err != nil {
		panic(err)
	}
	return o
})

func open(t *testing.T) *world { return openAt(t, "wechat", 5*time.Second) }

// openAt has the account at one of the channels, which is waited for so long.
func openAt(t *testing.T, name core.Channel, timeout time.Duration) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, name: name, c: clinictest.New(t), goods: &goods{refuse: map[string]error{}, paid: map[string]core.Fen{}, back: map[string]core.Fen{}, over: map[string]bool{}}}
	w.c.Cannot[core.RecordMoney] = false
	w.orders = &order.Service{Clinic: w.c.Clinic, Subjects: map[order.Kind]order.Subject{order.Drugs: w.goods}}
	var err error
	if w.channel, err = paychannel.Start(t.Context(), keysOnce()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.channel.Close() })
	keys := w.channel.Keys()
	if w.account, err = wechat.Open(wechat.Options{Base: w.channel.URL(), App: "wx0000000000000001", Merchant: keys.Merchant, Serial: keys.Serial, Key: keys.MerchantKey,
		PublicKey: keys.PublicKey, PublicKeyID: keys.PublicKeyID, APIV3Key: keys.APIV3Key, Timeout: timeout}); err != nil {
		t.Fatal(err)
	}
	if a := w.channel.AlipayKeys(); name == "alipay" {
		if w.account, err = alipay.Open(alipay.Options{Base: w.channel.AlipayURL(), App: a.App, Key: a.AppKey, PublicKey: a.PublicKey, Timeout: timeout}); err != nil {
			t.Fatal(err)
		}
	}
	w.pay = &pay.Service{Clinic: w.c.Clinic, Orders: w.orders, Accounts: accounts{w.account}}
	door := httptest.NewServer(w.pay.Notices())
	t.Cleanup(door.Close)
	w.pay.Public = door.URL
	for _, m := range []func(context.Context) error{w.orders.Migrate, w.pay.Migrate} {
		if err := m(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func person(account int64) clinic.Person { return clinic.Person{Account: account} }

var payer = clinic.Person{Account: 7, Grants: []clinic.Grant{{Role: clinic.Patient}}}

var three = []order.Line{{Name: "甲", Amount: 1000}, {Name: "乙", Amount: 250}, {Name: "丙", Amount: 5}}

func (w *world) order() order.Order {
	w.mu.Lock()
	w.n++
	subject := fmt.Sprintf("RX%d", w.n)
	w.mu.Unlock()
	o, err := in(w, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
		return w.orders.Create(context.Background(), tx, outbox, order.New{Hospital: "h1", Subject: subject, Patient: "PT1", Kind: order.Drugs, Account: 7, Lines: three, Within: time.Hour})
	})
	w.ok(err)
	return o
}

func in[T any](w *world, f func(tx pgx.Tx, outbox core.Outbox) (T, error)) (out T, err error) {
	err = w.c.Transact(context.Background(), "h1", func(tx pgx.Tx, outbox core.Outbox) error {
		out, err = f(tx, outbox)
		return err
	})
	return out, err
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

var native = pay.Wish{Channel: "wechat", Way: pay.Native, Version: 1}

func (w *world) wish() pay.Wish {
	wish := native
	wish.Channel = w.name
	return wish
}

func (w *world) fault(kind fault.Kind, operation, key string, times int) {
	w.t.Helper()
	if kind == "" {
		return
	}
	w.ok(w.channel.AddFaults(fault.Rule{Fault: kind, Operation: operation, Key: key, Times: times}))
}

func (w *world) get(no string) order.Order {
	w.t.Helper()
	o, err := w.orders.Get(context.Background(), no)
	w.ok(err)
	return o
}

func (w *world) sql(text string, args ...any) {
	w.t.Helper()
	_, err := w.c.Database.Exec(context.Background(), text, args...)
	w.ok(err)
}

// later lets all waiting be over for an order.
func (w *world) later(no string) {
	w.sql(`update pay.attempt set next_at = clock_timestamp() where order_no = $1 and next_at is not null`, no)
	w.sql(`update pay.refund set next_at = clock_timestamp() where order_no = $1 and next_at is not null`, no)
}

// expire lets the order's time be over, and that of its attempts.
func (w *world) expire(no string) {
	w.sql(`update clinic_order.orders set expires_at = clock_timestamp() where no = $1`, no)
	w.sql(`update pay.attempt set expires_at = clock_timestamp(), next_at = clock_timestamp() where order_no = $1 and next_at is not null`, no)
}

// settle does for one order what the jobs do, until nothing is left to ask.
func (w *world) settle(no string) {
	w.t.Helper()
	ctx := context.Background()
	for range 12 {
		w.later(no)
		left := false
		all, err := w.pay.OfOrder(ctx, no)
		w.ok(err)
		for _, a := range all {
			if a.State == pay.Created || a.State == pay.Sent || a.State == pay.Undecided {
				left = true
				_, err := w.pay.Settle(ctx, a)
				w.ok(err)
			}
		}
		refunds, err := w.pay.RefundsOf(ctx, no)
		w.ok(err)
		for _, r := range refunds {
			if r.State == pay.Approved || r.State == pay.GivingBack || r.State == pay.Undefined {
				left = true
				_, err := w.pay.Give(ctx, r.No)
				w.ok(err)
			}
		}
		if left {
			continue
		}
		for _, a := range all { // the last look
			if a.State == pay.Closed {
				now, err := w.pay.Settle(ctx, a)
				w.ok(err)
				left = left || now.State != pay.Closed
			}
		}
		if !left {
			return
		}
	}
}

// conserved checks one order: what the channel's books have of it is what our attempts
// have, and what the order says.
func (w *world) conserved(no string) string {
	books := w.channel.Books().Export()
	var at int64
	for _, p := range books.Payments {
		if p.Number == no || strings.HasPrefix(p.Number, no+"_") {
			at += p.AmountFen
			for _, r := range books.Refunds {
				if r.Payment == p.Number && r.State == paychannel.Done {
					at -= r.AmountFen
				}
			}
		}
	}
	o := w.get(no)
	want := core.Fen(0)
	if o.State == order.Paid || o.State == order.Refunded {
		want = o.Amount - o.Refunded
	}
	var review, onWay core.Fen
	w.ok(w.c.Database.QueryRow(context.Background(), `select coalesce(sum(got), 0) from pay.attempt where order_no = $1 and state = 'review'`, no).Scan(&review))
	w.ok(w.c.Database.QueryRow(context.Background(), `select coalesce(sum(amount), 0) from pay.refund where order_no = $1 and state in ('approved', 'sent', 'unknown', 'failed')`, no).Scan(&onWay))
	w.goods.mu.Lock()
	told := w.goods.paid[no]
	w.goods.mu.Unlock()
	switch {
	case core.Fen(at) != want+review+onWay:
		return fmt.Sprintf("the channel has %s, the order keeps %s, in review %s, on its way %s", core.Fen(at), want, review, onWay)
	case (told != 0) != (o.State == order.Paid || o.State == order.Refunded), told != 0 && told != o.Amount:
		return fmt.Sprintf("the order is %s, its subject was told of %s", o.State, told)
	}
	return ""
}

// balanced checks all of it: journal against channel, accounts against orders.
func (w *world) balanced() {
	w.t.Helper()
	ctx := context.Background()
	var at int64
	books := w.channel.Books().Export()
	for _, p := range books.Payments {
		at += p.AmountFen
	}
	for _, r := range books.Refunds {
		if r.State == paychannel.Done {
			at -= r.AmountFen
		}
	}
	all, err := w.pay.TrialBalance(ctx, "h1", time.Now().Add(time.Hour))
	w.ok(err)
	by := map[string]core.Fen{}
	var total core.Fen
	for _, b := range all {
		by[b.Account], total = b.Balance, total+b.Balance
	}
	var revenue core.Fen
	w.ok(w.c.Database.QueryRow(ctx, `select coalesce(sum(amount - refunded), 0) from clinic_order.orders where state in ('paid', 'refunded')`).Scan(&revenue))
	switch {
	case total != 0:
		w.t.Errorf("the journal sums to %s: %v", total, by)
	case by["channel:"+string(w.name)] != core.Fen(at):
		w.t.Errorf("the journal says that the channel has %s, its books %s; %v", by["channel:"+string(w.name)], core.Fen(at), by)
	case by["revenue:drugs"] != -revenue:
		w.t.Errorf("the journal has revenue of %s, orders %s", -by["revenue:drugs"], revenue)
	case by["patients"] != 0:
		w.t.Errorf("patients owe %s", by["patients"])
	}
}
