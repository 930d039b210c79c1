package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/reconcile"
	"hishub/mapping"
	"hishub/mocks/paychannel"
	"hishub/platform/order"
	"hishub/platform/pay"
)

// paidByFolder is the clinic's money at a hospital whose folder names the accounts, and the
// fake channels behind them.
type paidByFolder struct {
	*window
	money    *pay.Service
	fake     *paychannel.Server
	accounts map[core.Channel]core.ConnectorSpec
}

// Account implements pay.Accounts.
func (p *paidByFolder) Account(_ context.Context, _ string, c core.Channel) (pay.Channel, error) {
	return openAccount(p.accounts[c])
}

const accountsOfPlain = `
channels:
  wechat:
    wechatpay: {base: "${WECHAT_URL}", payments: true, app_id: wx0000000000000001, merchant: "${WECHAT_MERCHANT}", serial: "${WECHAT_SERIAL}", key: "${WECHAT_KEY}",
      public_key: "${WECHAT_PUBLIC_KEY}", public_key_id: "${WECHAT_PUBLIC_KEY_ID}", api_v3_key: "${WECHAT_API_V3_KEY}"}
  alipay: {alipay: {base: "${ALIPAY_URL}", payments: true, app_id: "${ALIPAY_APP}", key: "${ALIPAY_KEY}", public_key: "${ALIPAY_PUBLIC_KEY}"}}
`

func newPaidByFolder(t *testing.T) *paidByFolder {
	t.Helper()
	p := &paidByFolder{window: newWindow(t)}
	var err error
	p.fake, err = paychannel.Start(p.ctx, paychannel.Options{})
	ok(t, err)
	t.Cleanup(func() { _ = p.fake.Close() })
	w, a := p.fake.Keys(), p.fake.AlipayKeys()
	env := map[string]string{
		"WECHAT_URL": p.fake.URL(), "WECHAT_MERCHANT": w.Merchant, "WECHAT_SERIAL": w.Serial, "WECHAT_KEY": w.MerchantKey, "WECHAT_PUBLIC_KEY": w.PublicKey,
		"WECHAT_PUBLIC_KEY_ID": w.PublicKeyID, "WECHAT_API_V3_KEY": w.APIV3Key, "ALIPAY_URL": p.fake.AlipayURL(), "ALIPAY_APP": a.App, "ALIPAY_KEY": a.AppKey, "ALIPAY_PUBLIC_KEY": a.PublicKey,
	}
	files := fstest.MapFS{}
	for name, f := range plainSOAP {
		files[name] = f
	}
	files["hospital.yaml"] = &fstest.MapFile{Data: append(slices.Clone(plainSOAP["hospital.yaml"].Data), accountsOfPlain...)}
	f, err := mapping.Load(files, mapping.Options{Open: connectors.Open, OpenChannel: connectors.OpenChannel, Listen: connectors.Listen, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok }})
	ok(t, err)
	p.accounts = f.Dialect.Channels
	p.money = p.clinicModules.pay
	p.money.Accounts = p
	door := httptest.NewServer(p.money.Notices())
	t.Cleanup(door.Close)
	p.money.Public = door.URL
	return p
}

// pays begins to pay an order, and the payer does.
func (p *paidByFolder) pays(no string, c core.Channel) pay.Attempt {
	p.Helper()
	a, err := p.money.Pay(p.ctx, payer, no, pay.Wish{Channel: c, Way: pay.Native, Version: 1})
	ok(p, err)
	_, err = p.fake.PayTrade(string(c), a.No, 0)
	ok(p, err)
	if o := p.charge(no); o.State != order.Paid || o.Channel != c {
		p.Fatalf("%s is %s by %s", no, o.State, o.Channel)
	}
	return a
}

// begun is a payment that nobody makes, and that is ended at its channel.
func (p *paidByFolder) begun(no string, c core.Channel) pay.Attempt {
	p.Helper()
	a, err := p.money.Pay(p.ctx, payer, no, pay.Wish{Channel: c, Way: pay.Native, Version: 1})
	ok(p, err)
	a, err = p.money.End(p.ctx, a)
	ok(p, err)
	if a.State != pay.Closed {
		p.Fatalf("%s is %s", a.No, a.State)
	}
	return a
}

// late is money that a bank brings after its payment was ended.
func (p *paidByFolder) late(a pay.Attempt) {
	p.Helper()
	booked, err := p.fake.Books().Pay(paychannel.Payment{Channel: string(a.Channel), Number: a.No, AmountFen: int64(a.Amount)})
	ok(p, err)
	got, err := p.money.Said(p.ctx, a, pay.Money{State: pay.Paid, ChannelNo: booked.ChannelNo, Amount: a.Amount, At: booked.PaidAt})
	ok(p, err)
	if got.State != pay.Stray {
		p.Fatalf("%s is %s", got.No, got.State)
	}
}

// TestAFoldersAccountsTakePayments: an account with payments: true takes what patients pay,
// at Alipay as at WeChat Pay, tells by its notices, and gives back.
func TestAFoldersAccountsTakePayments(t *testing.T) {
	p := newPaidByFolder(t)
	for i, c := range []core.Channel{"wechat", "alipay"} {
		no := fmt.Sprint("IH000000", i)
		p.created("plain", no)
		p.pays(no, c)
		r, err := p.money.Request(p.ctx, payer, "", no, pay.Back{Amount: 150, Reason: "测试"})
		ok(t, err)
		ok(t, p.money.GiveAll(p.ctx))
		if booked, found := p.fake.Books().FindRefund(string(c), r.No); !found || booked.AmountFen != 150 {
			t.Errorf("%s gave back %+v", c, booked)
		}
		spec := p.accounts[c]
		spec.Options = map[string]any{"base": spec.Options["base"]}
		if _, err := openAccount(spec); !errors.Is(err, pay.ErrNoAccount) {
			t.Errorf("%s without payments: %v", c, err)
		}
	}
	if _, err := openAccount(core.ConnectorSpec{Kind: "file", Options: map[string]any{"payments": true}}); !errors.Is(err, pay.ErrNoAccount) {
		t.Errorf("a bill's file: %v", err)
	}
}

// TestANightAfterSeveralAttempts: the bill knows a payment by the number of its attempt, our
// ledger by that of its order; and money that came for an attempt that was ended is there,
// too, and went back. No night takes any of it for a difference.
func TestANightAfterSeveralAttempts(t *testing.T) {
	p := newPaidByFolder(t)
	for i, c := range []core.Channel{"wechat", "alipay"} {
		// The second attempt pays.
		no := fmt.Sprint("IH000001", i)
		p.created("plain", no)
		p.begun(no, c)
		if a := p.pays(no, c); a.No != no+"_2" {
			t.Fatalf("the second attempt is %s", a.No)
		}
		// The second one pays, and then the first one's money comes after all.
		no = fmt.Sprint("IH000002", i)
		p.created("plain", no)
		first := p.begun(no, c)
		p.pays(no, c)
		p.late(first)
		// The first one pays, and the second one's money comes.
		no = fmt.Sprint("IH000003", i)
		p.created("plain", no)
		other := p.begun(no, map[core.Channel]core.Channel{"wechat": "alipay", "alipay": "wechat"}[c])
		p.pays(no, c)
		p.late(other)
		// Only money that came too late.
		no = fmt.Sprint("IH000004", i)
		p.created("plain", no)
		first = p.begun(no, c)
		_, err := p.database.Exec(p.ctx, `update clinic_order.orders set expires_at = clock_timestamp() where no = $1`, no)
		ok(t, err)
		_, err = p.orders.Expire(p.ctx)
		ok(t, err)
		p.late(first)
	}
	_, err := p.database.Exec(p.ctx, `update pay.refund set next_at = clock_timestamp() where next_at is not null`)
	ok(t, err)
	ok(t, p.money.GiveAll(p.ctx))

	found := p.night()
	classes := map[reconcile.Class]int{}
	for _, f := range found {
		classes[f.Class]++
		if f.Class.Difference() {
			t.Errorf("%s %s %s: %s; channel %+v, ours %+v", f.Class, f.Type, f.Number, f.Cause, f.Channel, f.Ours)
		}
	}
	// Six paid, six strays, and what went back of these.
	if classes[reconcile.Matched] != 18 {
		t.Errorf("found %v", classes)
	}
	p.balancedAgainst()
}

// night compares the bills of today and our real ledger.
func (p *paidByFolder) night() (found []reconcile.Finding) {
	p.Helper()
	zone := time.FixedZone("CST", 8*3600)
	now := time.Now().In(zone)
	from := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	rules := reconcile.Rules{From: from, To: from.AddDate(0, 0, 1), Now: from.AddDate(0, 0, 2), Billed: map[core.Channel]bool{"wechat": true, "alipay": true},
		NextKnown: map[reconcile.Party]bool{reconcile.Channel: true, reconcile.Ours: true}, NightRules: core.DefaultNight()}
	bills := func(yield func(reconcile.Entry, error) bool) {
		for _, c := range []core.Channel{"wechat", "alipay"} {
			account, err := connectors.OpenChannel(p.accounts[c])
			ok(p, err)
			_, err = account.(core.Biller).Bill(p.ctx, from.Format(time.DateOnly), func(b core.BillEntry) error {
				yield(reconcile.Entry{LedgerEntry: b.LedgerEntry, Fee: b.Fee, Row: int64(b.Line)}, nil)
				return nil
			})
			ok(p, err)
			ok(p, account.Close())
		}
	}
	books := reconcile.Books{Channel: bills, Ours: p.store.Ours(p.ctx, "plain", from, from.AddDate(0, 0, 1))}
	ok(p, reconcile.Compare(p.ctx, books, rules, func(f reconcile.Finding) error { found = append(found, f); return nil }))
	return found
}

// balancedAgainst: the journal has what the channels have.
func (p *paidByFolder) balancedAgainst() {
	p.Helper()
	at := map[string]core.Fen{}
	books := p.fake.Books().Export()
	for _, x := range books.Payments {
		at["channel:"+x.Channel] += core.Fen(x.AmountFen)
	}
	for _, r := range books.Refunds {
		at["channel:"+r.Channel] -= core.Fen(r.AmountFen)
	}
	all, err := p.money.TrialBalance(p.ctx, "plain", time.Now().Add(time.Hour))
	ok(p, err)
	for _, b := range all {
		if strings.HasPrefix(b.Account, "channel:") && b.Balance != at[b.Account] {
			p.Errorf("%s has %s, the journal %s", b.Account, at[b.Account], b.Balance)
		}
	}
}
