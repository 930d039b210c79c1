package alipay

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
	"hishub/platform/pay"
)

var keys = sync.OnceValue(func() paychannel.AlipayKeys {
	k, err := paychannel.GenerateAlipayKeys()
	if err != nil {
		panic(err)
	}
	return k
})

func options(base string) Options {
	k := keys()
	return Options{Base: base, App: k.App, Key: k.AppKey, PublicKey: k.PublicKey, Timeout: 500 * time.Millisecond}
}

func open(t *testing.T) (*paychannel.Server, *Channel) {
	t.Helper()
	s, err := paychannel.Start(t.Context(), paychannel.Options{Alipay: keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c, err := Open(options(s.AlipayURL()))
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for field, spoil := range map[string]func(*Options){
		"app_id": func(o *Options) { o.App = "" }, "key": func(o *Options) { o.Key = "x" }, "public_key": func(o *Options) { o.PublicKey = o.Key }, "base": func(o *Options) { o.Base = "?" },
	} {
		o := options("")
		spoil(&o)
		var ps core.Problems
		if _, err := Open(o); !errors.As(err, &ps) || ps[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func charge(way pay.Way) pay.Charge {
	return pay.Charge{No: "OR" + string(way), Way: way, Amount: 1255, Title: "药品费", Payer: "o1", ExpiresAt: time.Now().Add(time.Hour)}
}

func TestWaysOfPaying(t *testing.T) {
	s, c := open(t)
	ctx := t.Context()
	for way, want := range map[pay.Way]string{pay.JSAPI: "tradeNO", pay.Native: "code_url", pay.H5: "url"} {
		q := charge(way)
		p := c.Pay(ctx, q)
		if p.State != pay.Waiting || p.Client[want] == "" {
			t.Fatalf("%s: %+v", way, p)
		}
		if way == pay.H5 { // the trade is there once the payer opens the page
			if m := c.Query(ctx, q.No); m.State != pay.None {
				t.Errorf("%+v", m)
			}
			r, err := http.Get(p.Client["url"])
			if err != nil || r.StatusCode != http.StatusOK {
				t.Fatalf("%v, %v", r, err)
			}
			_ = r.Body.Close()
		}
		if m := c.Query(ctx, q.No); m.State != pay.Waiting {
			t.Errorf("%s: %+v", way, m)
		}
		if _, err := s.PayTrade("alipay", q.No, 0); err != nil {
			t.Fatal(err)
		}
		m := c.Close(ctx, q.No)
		if m.State != pay.Paid || m.Amount != 1255 || m.ChannelNo == "" || time.Since(m.At) > time.Minute {
			t.Errorf("%s: %+v", way, m)
		}
		g := pay.Giving{No: "RF" + string(way), Payment: q.No, ChannelNo: m.ChannelNo, Amount: 255, Total: 1255, Reason: "退款"}
		if r := c.QueryRefund(ctx, g); r.State != pay.Absent {
			t.Errorf("%+v", r)
		}
		for range 2 {
			if r := c.Refund(ctx, g); r.State != pay.Returned || r.ChannelNo != m.ChannelNo+"-"+g.No {
				t.Errorf("%+v", r)
			}
		}
		if p, _ := s.Books().Payment("alipay", q.No); p.RefundedFen != 255 {
			t.Errorf("%d fen went back", p.RefundedFen)
		}
	}
}

// What cannot be believed is unknown, never a no.
func TestDoubts(t *testing.T) {
	s, c := open(t)
	ctx := t.Context()
	for _, kind := range []fault.Kind{fault.CutBefore, fault.CutAfterCommit, fault.HTTP500, fault.SoapFault, fault.Busy, fault.Garbled, fault.Truncated, fault.WrongCharset} {
		s.ClearFaults()
		if err := s.AddFaults(fault.Rule{Fault: kind}); err != nil {
			t.Fatal(err)
		}
		q := charge(pay.Native)
		g := pay.Giving{No: "RF1", Payment: q.No, ChannelNo: "42", Amount: 1, Total: 1255}
		if p := c.Pay(ctx, q); p.State != pay.Unknown || p.Words == "" {
			t.Errorf("%s: %+v", kind, p)
		}
		if m := c.Query(ctx, q.No); m.State != pay.Unknown {
			t.Errorf("%s: %+v", kind, m)
		}
		if m := c.Close(ctx, q.No); m.State != pay.Unknown {
			t.Errorf("%s: %+v", kind, m)
		}
		if r := c.Refund(ctx, g); r.State != pay.Doubtful {
			t.Errorf("%s: %+v", kind, r)
		}
		if r := c.QueryRefund(ctx, g); r.State != pay.Doubtful {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

// FuzzCallback: whatever comes to the notices' address, nothing but what Alipay signed is
// believed.
func FuzzCallback(f *testing.F) {
	c, err := Open(options(""))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("app_id=2021000000000001&out_trade_no=OR1&trade_status=TRADE_SUCCESS&total_amount=1.00&sign_type=RSA2&sign=AAAA"))
	f.Add([]byte("alipay_cert_sn=x&sign=%zz"))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := c.Callback(t.Context(), nil, body)
		if err == nil || n != (pay.Notice{}) || len(body) > 8 && strings.Contains(err.Error(), string(body)) {
			t.Fatalf("%+v, %v", n, err)
		}
	})
}
