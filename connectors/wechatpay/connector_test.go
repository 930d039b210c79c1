package wechatpay_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"hishub/connectors/wechatpay"
	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys are made once: that takes longer than all else here.
var keys = sync.OnceValue(func() paychannel.Keys {
	k, err := paychannel.GenerateKeys("1900000001")
	if err != nil {
		panic(err)
	}
	return k
})

// account is a merchant's account at a fake channel of its own.
type account struct {
	t       *testing.T
	channel *paychannel.Server
	core.Connector
}

func open(t *testing.T, options map[string]any) *account {
	t.Helper()
	channel, err := paychannel.Start(t.Context(), paychannel.Options{Keys: keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = channel.Close() })
	channel.Books().SetClock(func() time.Time { return at("2026-01-05 16:00:00") })
	return &account{t, channel, connect(t, channel, options)}
}

// folder is what a hospital folder has for the channel.
func folder(channel *paychannel.Server) (map[string]any, fstest.MapFS) {
	k := keys()
	options := map[string]any{
		"base": channel.URL(), "merchant": k.Merchant, "serial": k.Serial, "key": "pay/apiclient_key.pem",
		"public_key": "pay/pub_key.pem", "public_key_id": k.PublicKeyID,
	}
	return options, fstest.MapFS{
		"pay/apiclient_key.pem": {Data: []byte(k.MerchantKey)}, "pay/pub_key.pem": {Data: []byte(k.PublicKey)},
		"pay/platform.pem": {Data: []byte(k.PlatformCertificate)},
	}
}

// connect opens the connector; an option that is nil is left out.
func connect(t *testing.T, channel *paychannel.Server, more map[string]any) core.Connector {
	t.Helper()
	options, files := folder(channel)
	for name, v := range more {
		if options[name] = v; v == nil {
			delete(options, name)
		}
	}
	c, err := wechatpay.Open(core.ConnectorSpec{Name: "wechat", Kind: "wechatpay", Options: options, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", text, paychannel.Zone)
	if err != nil {
		panic(err)
	}
	return t
}

func (a *account) paid(p paychannel.Payment) {
	a.t.Helper()
	if _, err := a.channel.Books().Pay(p); err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) strikes(rules ...fault.Rule) {
	a.t.Helper()
	if err := a.channel.AddFaults(rules...); err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) bill(day string) ([]core.BillEntry, core.BillTotals, error) {
	var entries []core.BillEntry
	totals, err := a.Connector.(core.Biller).Bill(a.t.Context(), day, func(e core.BillEntry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, totals, err
}

// fifthOfJanuary books what the sample bill has: a payment, one at 23:59:58, and a
// refund of a payment of the day before.
func (a *account) fifthOfJanuary() {
	a.paid(paychannel.Payment{Number: "IH20260104000009", ChannelNo: "4200000000202601040000000009", AmountFen: 3000, PaidAt: at("2026-01-04 09:00:00"), Attach: "S0000009", Subject: "处方缴费"})
	a.paid(paychannel.Payment{Number: "IH20260105000002", ChannelNo: "4200000000202601050000000002", AmountFen: 4619, PaidAt: at("2026-01-05 14:56:01"), Attach: "S0000001", Subject: "处方缴费,含代煎"})
	a.paid(paychannel.Payment{Number: "IH20260105000003", ChannelNo: "4200000000202601050000000003", AmountFen: 1500, PaidAt: at("2026-01-05 23:59:58"), Attach: "GH0001", Subject: "挂号费"})
	a.paid(paychannel.Payment{Number: "IH20260106000001", AmountFen: 100, PaidAt: at("2026-01-06 00:00:00")})
	if _, _, err := a.channel.Books().Refund(paychannel.Refund{Number: "IHR20260105000001", ChannelNo: "50300000002026010500000000001", Payment: "IH20260104000009", AmountFen: 1000, AcceptedAt: at("2026-01-05 16:00:00")}); err != nil {
		a.t.Fatal(err)
	}
}

func entry(line int, e core.LedgerEntry, fee core.Millifen) core.BillEntry {
	e.Channel, e.State = "wechat", core.EntryDone
	return core.BillEntry{LedgerEntry: e, Fee: fee, Line: line}
}

func TestBill(t *testing.T) {
	a := open(t, nil)
	a.fifthOfJanuary()
	want := []core.BillEntry{
		entry(2, core.LedgerEntry{Type: core.EntryPayment, Number: "IH20260105000002", ChannelNo: "4200000000202601050000000002", Amount: 4619, At: at("2026-01-05 14:56:01"), Bill: "S0000001"}, 28000),
		entry(3, core.LedgerEntry{Type: core.EntryRefund, Number: "IHR20260105000001", OrderID: "IH20260104000009", ChannelNo: "50300000002026010500000000001", Amount: 1000, At: at("2026-01-05 16:00:00"), Bill: "S0000009"}, -6000),
		entry(4, core.LedgerEntry{Type: core.EntryPayment, Number: "IH20260105000003", ChannelNo: "4200000000202601050000000003", Amount: 1500, At: at("2026-01-05 23:59:58"), Bill: "GH0001"}, 9000),
	}
	digests := map[string]bool{}
	for name, kind := range map[string]fault.Kind{"as it is": "", "old form": paychannel.BillOldForm, "other order": paychannel.BillMixedColumns, "a new column": paychannel.BillExtraColumn} {
		t.Run(name, func(t *testing.T) {
			a.channel.ClearFaults()
			if kind != "" {
				a.strikes(fault.Rule{Fault: kind})
			}
			entries, totals, err := a.bill("2026-01-05")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, entries); diff != "" {
				t.Error(diff)
			}
			digests[totals.Digest] = true
			if len(totals.Digest) != 64 {
				t.Errorf("the digest is %q", totals.Digest)
			}
			totals.Digest = ""
			if diff := cmp.Diff(core.BillTotals{Payments: 2, PaymentAmount: 6119, Refunds: 1, RefundAmount: 1000, Fee: 31000}, totals); diff != "" {
				t.Error(diff)
			}
		})
	}
	if len(digests) != 4 {
		t.Errorf("four different bills have %d digests", len(digests))
	}
	a.channel.ClearFaults()
	_, first, _ := a.bill("2026-01-05")
	if _, again, _ := a.bill("2026-01-05"); again != first || !digests[first.Digest] {
		t.Error("the same bill again has another digest")
	}
}

func TestNoBillAndLateBillAreTwoThings(t *testing.T) {
	a := open(t, nil)
	if _, _, err := a.bill("2026-01-05"); !errors.Is(err, core.ErrNoBill) {
		t.Fatal(err)
	}
	a.fifthOfJanuary()
	a.strikes(fault.Rule{Fault: paychannel.BillLate, Key: "2026-01-05"})
	if entries, _, err := a.bill("2026-01-05"); !errors.Is(err, core.ErrBillNotReady) || entries != nil {
		t.Fatal(err)
	}
	if _, _, err := a.bill("2026-01-06"); err != nil {
		t.Fatal(err) // another day is not late
	}
	a.channel.ClearFaults()
	a.strikes(fault.Rule{Fault: fault.Busy, Operation: "bill"})
	if _, _, err := a.bill("2026-01-05"); !errors.Is(err, core.ErrBillNotReady) {
		t.Fatal(err)
	}
	a.channel.ClearFaults()
	if _, _, err := a.bill("2026-01-05"); err != nil {
		t.Fatal(err)
	}
}

func TestBillFaults(t *testing.T) {
	const damaged = ", and its SHA1 checksum is another one than WeChat gave; it was damaged on its way"
	for kind, want := range map[fault.Kind]string{
		paychannel.BillTruncated:     "wechat tradebill 1900000001 2026-01-05:4: 25 cells, but the header has 27",
		paychannel.BillWrongChecksum: "wechat tradebill 1900000001 2026-01-05:6: 申请退款总金额 is not the sum of 申请退款金额" + damaged,
		paychannel.BillOtherHash:     "wechat tradebill 1900000001 2026-01-05: its SHA1 checksum is another one than WeChat gave; it was damaged on its way",
		paychannel.BillWithoutSum:    "wechat tradebill 1900000001 2026-01-05:5: the bill ends without its summary",
		paychannel.BillLostRow:       "wechat tradebill 1900000001 2026-01-05:5: the summary counts 3 rows, but there are 2",
	} {
		t.Run(string(kind), func(t *testing.T) {
			a := open(t, nil)
			a.fifthOfJanuary()
			a.strikes(fault.Rule{Fault: kind, Key: "2026-01-05"})
			_, totals, err := a.bill("2026-01-05")
			var fault *core.BillFault
			if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), want) {
				t.Fatalf("%v, want %s", err, want)
			}
			if totals.Digest != "" {
				t.Error("a bill that is not believed has a digest")
			}
		})
	}
}

// A row that is there twice, sums and all, and one that never was there, are for the
// comparison to find: the bill itself is whole.
func TestWholeButWrongBills(t *testing.T) {
	a := open(t, nil)
	a.fifthOfJanuary()
	a.strikes(fault.Rule{Fault: paychannel.BillDoubledRows, Times: 1}, fault.Rule{Fault: paychannel.BillDroppedRow, Times: 2})
	for _, want := range []int{4, 2} {
		if entries, _, err := a.bill("2026-01-05"); err != nil || len(entries) != want {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
}

func TestDownloadThatBreaksOffIsNoBillFault(t *testing.T) {
	a := open(t, nil)
	a.fifthOfJanuary()
	for _, c := range []struct {
		rule fault.Rule
		want core.Class
	}{
		{fault.Rule{Fault: fault.Truncated, Operation: "bill.download", Times: 1}, core.InDoubt},
		{fault.Rule{Fault: fault.CutBefore, Operation: "bill.download", Times: 1}, core.InDoubt},
		{fault.Rule{Fault: fault.HTTP500, Operation: "bill.download", Times: 1}, core.InDoubt},
		{fault.Rule{Fault: fault.Garbled, Operation: "bill", Times: 1}, core.InDoubt}, // no longer what was signed
		{fault.Rule{Fault: fault.Down}, core.Unavailable},
	} {
		// Each over a connection of its own: a kept one that the channel closes just now may
		// have taken bytes, which is in doubt.
		fresh := &account{t, a.channel, connect(t, a.channel, nil)}
		a.strikes(c.rule)
		_, _, err := fresh.bill("2026-01-05")
		var f *core.Fault
		if !errors.As(err, &f) || f.Class != c.want {
			t.Errorf("%s: %v", c.rule.Fault, err)
		}
		a.channel.ClearFaults()
	}
	// Noise in the file's place is damage.
	a.strikes(fault.Rule{Fault: fault.Garbled, Operation: "bill.download", Times: 1})
	var damage *core.BillFault
	if _, _, err := a.bill("2026-01-05"); !errors.As(err, &damage) {
		t.Errorf("garbled: %v", err)
	}
	if _, _, err := a.bill("2026-01-05"); err != nil {
		t.Error(err)
	}
}

func TestBillIsBounded(t *testing.T) {
	a := open(t, map[string]any{"max_bill": "512"})
	a.fifthOfJanuary()
	_, _, err := a.bill("2026-01-05")
	if err == nil || !strings.Contains(err.Error(), "larger than 512 bytes when unpacked; raise max_bill") {
		t.Fatal(err)
	}
}

func TestEmitEndsIt(t *testing.T) {
	a := open(t, nil)
	a.fifthOfJanuary()
	enough := errors.New("enough")
	_, err := a.Connector.(core.Biller).Bill(t.Context(), "2026-01-05", func(core.BillEntry) error { return enough })
	if err != enough { //nolint:errorlint // exactly that one
		t.Fatal(err)
	}
}

func TestRequestsThatCannotBeSaid(t *testing.T) {
	a := open(t, nil)
	for name, q := range map[string]core.Request{
		"another operation": {Operation: "transfer", Body: core.Tree{}},
		"no tree":           {Operation: core.ChannelOpRefund, Body: "x"},
		"no number":         refundOf("", "IH1", "1", "1"),
		"no amount":         refundOf("IHR1", "IH1", "0", "1"),
		"yuan":              refundOf("IHR1", "IH1", "0.01", "1"),
		"no payment":        refundOf("IHR1", "", "1", "1"),
	} {
		if _, err := a.call(q); core.ClassOf(err) != core.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if journal := a.channel.Books().Export().Journal; len(journal) != 0 {
		t.Errorf("something was sent: %+v", journal)
	}
	if _, _, err := a.bill("2026-1-5"); core.ClassOf(err) != core.Invalid {
		t.Error(err)
	}
}

// A cancelled call returns at once, and a closed connector sends nothing.
func TestCancelAndClose(t *testing.T) {
	a := open(t, nil)
	a.fifthOfJanuary()
	a.strikes(fault.Rule{Fault: fault.CommitThenHang})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := a.Call(ctx, refundOf("IHR1", "IH20260105000002", "2000", "4619"))
		result <- err
	}()
	for {
		if _, booked := a.channel.Books().FindRefund(paychannel.WeChat, "IHR1"); booked {
			break
		}
		runtime.Gosched()
	}
	cancelled := time.Now()
	cancel()
	if err := <-result; core.ClassOf(err) != core.InDoubt || time.Since(cancelled) > time.Second {
		t.Fatalf("after %s: %v", time.Since(cancelled), err)
	}
	_ = a.Close()
	if _, err := a.call(query("IHR1")); core.ClassOf(err) != core.Unavailable {
		t.Error(err)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	secret := keys().MerchantKey
	for name, c := range map[string]struct {
		options map[string]any
		want    core.Problem
	}{
		"no merchant":        {map[string]any{"merchant": nil}, core.Problem{Field: "merchant", What: "missing"}},
		"no key":             {map[string]any{"key": nil}, core.Problem{Field: "key", What: "missing"}},
		"no such file":       {map[string]any{"key": "x.pem"}, core.Problem{Field: "key", What: `no readable file "x.pem" in the hospital folder`}},
		"not a key":          {map[string]any{"key": "pay/pub_key.pem"}, core.Problem{Field: "key", What: "holds no RSA private key in PEM form (PKCS #8), like the merchant platform's apiclient_key.pem"}},
		"not a public key":   {map[string]any{"public_key": secret}, core.Problem{Field: "public_key", What: "holds no RSA public key in PEM form, like the merchant platform's pub_key.pem"}},
		"no public key's ID": {map[string]any{"public_key_id": nil}, core.Problem{Field: "public_key", What: "public_key and public_key_id belong together"}},
		"nobody known":       {map[string]any{"public_key_id": nil, "public_key": nil}, core.Problem{Field: "public_key", What: "missing: without public_key and public_key_id (or platform_certificate, or api_v3_key) an answer may be anybody's"}},
		"no certificate":     {map[string]any{"platform_certificate": "pay/pub_key.pem"}, core.Problem{Field: "platform_certificate", What: "holds no certificate with an RSA key in PEM form"}},
		"a short v3 key":     {map[string]any{"api_v3_key": "short"}, core.Problem{Field: "api_v3_key", What: "not 32 characters long"}},
		"half a bill":        {map[string]any{"bill_type": "SUCCESS"}, core.Problem{Field: "bill_type", What: "not one of ALL"}},
		"a path":             {map[string]any{"base": "http://127.0.0.1/wx"}, core.Problem{Field: "base", What: "not an address like https://api.mch.weixin.qq.com, without a path"}},
		"misspelt":           {map[string]any{"cereal": "1"}, core.Problem{Field: "cereal", What: "no such option; did you mean serial?"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := keys()
			options := map[string]any{"merchant": k.Merchant, "serial": k.Serial, "key": secret, "public_key": k.PublicKey, "public_key_id": k.PublicKeyID}
			for n, v := range c.options {
				if options[n] = v; v == nil {
					delete(options, n)
				}
			}
			files := fstest.MapFS{"pay/pub_key.pem": {Data: []byte(k.PublicKey)}}
			_, err := wechatpay.Open(core.ConnectorSpec{Kind: "wechatpay", Options: options, Files: files})
			var problems core.Problems
			if !errors.As(err, &problems) {
				t.Fatal(err)
			}
			text, _ := json.Marshal(problems)
			if len(problems) != 1 || problems[0] != c.want || strings.Contains(string(text), "BEGIN") {
				t.Errorf("%s", text)
			}
		})
	}
}
