package wechatpay_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

func refundOf(number, order string, fen, paid string) core.Request {
	return core.Request{Operation: core.ChannelOpRefund, Body: core.Tree{
		{Name: "refund_no", Value: number}, {Name: "order_id", Value: order}, {Name: "channel_no", Value: ""},
		{Name: "amount", Value: fen}, {Name: "paid", Value: paid}, {Name: "reason", Value: "缺药"},
	}}
}

func query(number string) core.Request {
	return core.Request{Operation: core.ChannelOpRefundQuery, Body: core.Tree{{Name: "refund_no", Value: number}}}
}

func (a *account) call(q core.Request) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 10*time.Second)
	defer cancel()
	r, err := a.Call(ctx, q)
	said := map[string]string{}
	tree, _ := r.Body.(core.Tree)
	for _, f := range tree {
		said[f.Name], _ = core.Text(f.Value)
	}
	return said, err
}

func TestRefund(t *testing.T) {
	a := open(t, nil)
	a.fifthOfJanuary()
	want := map[string]string{"state": "done", "amount": "2000", "at": "2026-01-05T16:00:00+08:00"}
	check := func(q core.Request) {
		t.Helper()
		said, err := a.call(q)
		if err != nil {
			t.Fatal(err)
		}
		if len(said["channel_refund_no"]) != 28 {
			t.Errorf("%v", said)
		}
		delete(said, "channel_refund_no")
		if diff := cmp.Diff(want, said); diff != "" {
			t.Error(diff)
		}
	}
	absent, err := a.call(query("IHR1"))
	if err != nil || absent["state"] != "absent" {
		t.Fatalf("%v, %v", absent, err)
	}
	check(refundOf("IHR1", "IH20260105000002", "2000", "4619"))
	check(refundOf("IHR1", "IH20260105000002", "2000", "4619")) // the same again
	check(query("IHR1"))
	if books := a.channel.Books().Export(); len(books.Refunds) != 2 {
		t.Errorf("%d refunds are in the books", len(books.Refunds))
	}
	byChannelNo := refundOf("IHR2", "IH20260105000002", "2000", "4619")
	byChannelNo.Body.(core.Tree)[2].Value = "4200000000202601050000000002"
	check(byChannelNo)

	for name, c := range map[string]struct {
		q    core.Request
		want string
	}{
		"another amount": {refundOf("IHR1", "IH20260105000002", "2001", "4619"), "PARAM_ERROR: 订单号或金额与原退款单不一致"},
		"more than left": {refundOf("IHR3", "IH20260105000002", "2000", "4619"), "INVALID_REQUEST: 退款金额大于可退金额"},
		"no such order":  {refundOf("IHR4", "IH1", "1", "1"), "RESOURCE_NOT_EXISTS: 订单不存在"},
	} {
		if said, err := a.call(c.q); err != nil || said["state"] != "failed" || said["message"] != c.want {
			t.Errorf("%s: %v, %v", name, said, err)
		}
	}
}

func TestRefundsThatAreNotDoneAtOnce(t *testing.T) {
	a := open(t, nil)
	a.fifthOfJanuary()
	books := a.channel.Books()
	a.strikes(fault.Rule{Fault: paychannel.RefundProcessing, Key: "IHR1"}, fault.Rule{Fault: paychannel.RefundRefused, Key: "IHR2", Times: 1}, fault.Rule{Fault: paychannel.RefundClosed, Key: "IHR3"})
	state := func(q core.Request) string {
		t.Helper()
		said, err := a.call(q)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(said["state"] + " " + said["message"])
	}
	for _, c := range []struct {
		q    core.Request
		want string
	}{
		{refundOf("IHR1", "IH20260105000002", "100", "4619"), "processing"},
		{refundOf("IHR2", "IH20260105000002", "100", "4619"), "failed NOT_ENOUGH: 基本账户余额不足，请充值后重新发起"},
		{query("IHR2"), "absent RESOURCE_NOT_EXISTS: 退款单不存在"},
		{refundOf("IHR2", "IH20260105000002", "100", "4619"), "done"}, // the account was filled
		{refundOf("IHR3", "IH20260105000002", "100", "4619"), "failed CLOSED"},
		{query("IHR1"), "processing"},
	} {
		if got := state(c.q); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	// The bill is a snapshot; the question tells the present state.
	for i, want := range []core.EntryState{core.EntryProcessing, core.EntryDone, core.EntryFailed} {
		entries, _, err := a.bill("2026-01-05")
		if err != nil || entries[i+2].State != want {
			t.Fatalf("%d: %+v, %v", i, entries, err)
		}
	}
	if _, err := books.Settle(paychannel.WeChat, "IHR1", paychannel.Abnormal, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := state(query("IHR1")); got != "processing ABNORMAL" {
		t.Error(got)
	}
	if _, err := books.Settle(paychannel.WeChat, "IHR1", paychannel.Done, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := state(query("IHR1")); got != "done" {
		t.Error(got)
	}
	if entries, _, err := a.bill("2026-01-05"); err != nil || entries[2].State != core.EntryProcessing {
		t.Errorf("the bill learned of what came later: %v", err)
	}
}

// Each way in which an answer does not come, and what it means.
func TestFaultsOfARefund(t *testing.T) {
	for name, c := range map[string]struct {
		rule   fault.Rule
		want   core.Class
		booked bool
	}{
		"booked, then silence":  {fault.Rule{Fault: fault.CommitThenHang}, core.InDoubt, true},
		"booked, then cut":      {fault.Rule{Fault: fault.CutAfterCommit}, core.InDoubt, true},
		"cut before":            {fault.Rule{Fault: fault.CutBefore}, core.InDoubt, false},
		"HTTP 500 of a server":  {fault.Rule{Fault: fault.HTTP500}, core.InDoubt, false},
		"SYSTEM_ERROR":          {fault.Rule{Fault: fault.SoapFault}, core.InDoubt, false},
		"half an answer":        {fault.Rule{Fault: fault.Truncated}, core.InDoubt, true},
		"noise":                 {fault.Rule{Fault: fault.Garbled}, core.InDoubt, true},
		"not what was signed":   {fault.Rule{Fault: fault.WrongCharset}, core.InDoubt, true},
		"asked too often":       {fault.Rule{Fault: fault.Busy}, core.Unavailable, false},
		"nobody is at the port": {fault.Rule{Fault: fault.Down}, core.Unavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, map[string]any{"timeout": "300ms"})
			a.fifthOfJanuary()
			a.strikes(c.rule)
			_, err := a.call(refundOf("IHR1", "IH20260105000002", "2000", "4619"))
			var f *core.Fault
			if !errors.As(err, &f) || f.Class != c.want {
				t.Fatalf("%v, want %s", err, c.want)
			}
			for _, secret := range []string{"IHR1", "SHA256-RSA2048", keys().Serial, "nonce"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s is in %v", secret, err)
				}
			}
			if _, booked := a.channel.Books().FindRefund(paychannel.WeChat, "IHR1"); booked != c.booked {
				t.Fatalf("booked: %v", booked)
			}
			// Out of doubt: ask, and repeat when it is absent. It is booked once.
			a.channel.ClearFaults()
			said, err := a.call(query("IHR1"))
			if want := map[bool]string{true: "done", false: "absent"}[c.booked]; err != nil || said["state"] != want {
				t.Fatalf("%v, %v", said, err)
			}
			if said, err := a.call(refundOf("IHR1", "IH20260105000002", "2000", "4619")); err != nil || said["state"] != "done" {
				t.Fatalf("%v, %v", said, err)
			}
			if p, _ := a.channel.Books().Payment(paychannel.WeChat, "IH20260105000002"); p.RefundedFen != 2000 {
				t.Errorf("%d fen went back", p.RefundedFen)
			}
		})
	}
}

// The ways of knowing the platform, and the answers that are not its.
func TestWhoAnswers(t *testing.T) {
	k := keys()
	other, err := paychannel.GenerateKeys("1900000001")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options map[string]any
		want    core.Class // "": it works
		words   string
	}{
		"public key":           {nil, "", ""},
		"certificate":          {map[string]any{"public_key": nil, "public_key_id": nil, "platform_certificate": "pay/platform.pem"}, "", ""},
		"both":                 {map[string]any{"platform_certificate": "pay/platform.pem"}, "", ""},
		"api v3 key":           {map[string]any{"public_key": nil, "public_key_id": nil, "api_v3_key": k.APIV3Key}, "", ""},
		"another v3 key":       {map[string]any{"public_key": nil, "public_key_id": nil, "api_v3_key": other.APIV3Key}, core.InDoubt, "not signed by the platform's key"},
		"another public key":   {map[string]any{"public_key": other.PublicKey}, core.InDoubt, "not signed by the platform's key"},
		"another key's name":   {map[string]any{"public_key_id": "PUB_KEY_ID_1"}, core.InDoubt, "not signed by the platform's key"},
		"another merchant key": {map[string]any{"key": other.MerchantKey}, core.Invalid, "HTTP 401 SIGN_ERROR: it does not accept our signature"},
		"another serial":       {map[string]any{"serial": "AB"}, core.Invalid, "HTTP 401 SIGN_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, c.options)
			a.fifthOfJanuary()
			said, err := a.call(refundOf("IHR1", "IH20260105000002", "2000", "4619"))
			if c.want == "" {
				if err != nil || said["state"] != "done" {
					t.Fatalf("%v, %v", said, err)
				}
				if _, _, err := a.bill("2026-01-05"); err != nil {
					t.Error(err)
				}
				return
			}
			if core.ClassOf(err) != c.want || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("%v, %v", said, err)
			}
		})
	}
}

// Calls at once share what was fetched: the certificates are asked for once.
func TestCallsAtOnce(t *testing.T) {
	a := open(t, map[string]any{"public_key": nil, "public_key_id": nil, "api_v3_key": keys().APIV3Key})
	a.fifthOfJanuary()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if said, err := a.call(refundOf("IHR1", "IH20260105000002", "2000", "4619")); err != nil || said["state"] != "done" {
				t.Errorf("%v, %v", said, err)
			}
		})
	}
	wait.Wait()
	books := a.channel.Books().Export()
	asked := 0
	for _, n := range books.Journal {
		if n.Operation == "wechat certificates" {
			asked++
		}
	}
	if asked != 1 || len(books.Refunds) != 2 {
		t.Errorf("the certificates were asked for %d times, %d refunds are in the books", asked, len(books.Refunds))
	}
}

// A refusal that somebody else made up is not believed when it carries a signature,
// and one that no payment channel would say is none.
func TestFalseRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		signature string
		body      string
		want      core.Class
	}{
		"a false signature":   {404, "c2lnbmVk", `{"code":"RESOURCE_NOT_EXISTS","message":"x"}`, core.InDoubt},
		"a proxy's page":      {404, "", "<html>not found</html>", core.InDoubt},
		"no signature at all": {200, "", `{"out_refund_no":"IHR1","status":"SUCCESS","amount":{"refund":1}}`, core.InDoubt},
		"a redirect":          {302, "", "", core.InDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				if c.signature != "" {
					w.Header().Set("Wechatpay-Signature", c.signature)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})}
			done := make(chan struct{})
			go func() { defer close(done); _ = server.Serve(listener) }()
			defer func() { _ = server.Close(); <-done }()
			a := open(t, map[string]any{"base": "http://" + listener.Addr().String()})
			for _, q := range []core.Request{query("IHR1"), refundOf("IHR1", "IH1", "1", "1")} {
				if said, err := a.call(q); core.ClassOf(err) != c.want || err == nil {
					t.Errorf("%v, %v", said, err)
				}
			}
		})
	}
}

func TestSubMerchant(t *testing.T) {
	a := open(t, map[string]any{"sub_merchant": "1800000001"})
	a.paid(paychannel.Payment{Number: "IH1", AmountFen: 100, PaidAt: at("2026-01-05 09:00:00"), SubMerchant: "1800000001"})
	a.paid(paychannel.Payment{Number: "IH2", AmountFen: 200, PaidAt: at("2026-01-05 10:00:00"), SubMerchant: "1800000002"})
	entries, totals, err := a.bill("2026-01-05")
	if err != nil || len(entries) != 1 || entries[0].Number != "IH1" || totals.PaymentAmount != 100 {
		t.Fatalf("%+v, %v", entries, err)
	}
	if said, err := a.call(refundOf("IHR1", "IH1", "100", "100")); err != nil || said["state"] != "done" {
		t.Errorf("%v, %v", said, err)
	}
	if said, err := a.call(query("IHR1")); err != nil || said["state"] != "done" {
		t.Errorf("%v, %v", said, err)
	}
	if said, err := a.call(refundOf("IHR2", "IH2", "100", "200")); err != nil || said["state"] != "failed" {
		t.Errorf("another merchant's money: %v, %v", said, err)
	}
}
