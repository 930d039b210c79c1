package wechat

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

var keys = sync.OnceValue(func() paychannel.Keys {
	k, err := paychannel.GenerateKeys("1900000001")
	if err != nil {
		panic(err)
	}
	return k
})

func options(base string) Options {
	k := keys()
	return Options{Base: base, App: "wx0000000000000001", Merchant: k.Merchant, Serial: k.Serial, Key: k.MerchantKey, PublicKey: k.PublicKey, PublicKeyID: k.PublicKeyID, APIV3Key: k.APIV3Key, Timeout: 500 * time.Millisecond}
}

func open(t *testing.T) (*paychannel.Server, *Channel) {
	t.Helper()
	s, err := paychannel.Start(t.Context(), paychannel.Options{Keys: keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c, err := Open(options(s.URL()))
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for field, spoil := range map[string]func(*Options){
		"app_id": func(o *Options) { o.App = "" }, "merchant": func(o *Options) { o.Merchant = "" }, "serial": func(o *Options) { o.Serial = "" },
		"key": func(o *Options) { o.Key = "x" }, "public_key": func(o *Options) { o.PublicKey = "" }, "api_v3_key": func(o *Options) { o.APIV3Key = "short" },
		"base": func(o *Options) { o.Base = "https://x/path" },
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
	return pay.Charge{No: "OR" + string(way) + "0001", Way: way, Amount: 1255, Title: "药品费", Payer: "oTEST", Address: "10.0.0.1", ExpiresAt: time.Now().Add(time.Hour)}
}

func TestWaysOfPaying(t *testing.T) {
	s, c := open(t)
	ctx := t.Context()
	for way, wants := range map[pay.Way][]string{pay.JSAPI: {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}, pay.Native: {"code_url"}, pay.H5: {"url"}} {
		q := charge(way)
		p := c.Pay(ctx, q)
		for _, want := range wants {
			if p.State != pay.Waiting || p.Client[want] == "" {
				t.Errorf("%s: %+v", way, p)
			}
		}
		if m := c.Query(ctx, q.No); m.State != pay.Waiting {
			t.Errorf("%s: %+v", way, m)
		}
		if _, err := s.PayTrade("wechat", q.No, 0); err != nil {
			t.Fatal(err)
		}
		if m := c.Query(ctx, q.No); m.State != pay.Paid || m.Amount != 1255 || m.ChannelNo == "" || m.At.IsZero() {
			t.Errorf("%s: %+v", way, m)
		}
		if m := c.Close(ctx, q.No); m.State != pay.Paid {
			t.Errorf("closed after it was paid: %+v", m)
		}
	}
	if m := c.Query(ctx, "ORnone"); m.State != pay.None {
		t.Errorf("%+v", m)
	}
	q := charge(pay.Native)
	q.No = "ORclosed01"
	c.Pay(ctx, q)
	if m := c.Close(ctx, q.No); m.State != pay.Shut {
		t.Errorf("%+v", m)
	}
	if p := c.Pay(ctx, q); p.State != pay.Refused || p.Words != "ORDER_CLOSED" {
		t.Errorf("a closed one again: %+v", p)
	}
}

// What cannot be believed is unknown, never a no: not an answer of somebody else either.
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
		if m := c.Close(ctx, q.No); m.State != pay.Unknown && kind != fault.Garbled && kind != fault.Truncated && kind != fault.WrongCharset {
			t.Errorf("%s: %+v", kind, m) // an answer to a close has no body that could be garbled
		}
		if r := c.Refund(ctx, g); r.State != pay.Doubtful {
			t.Errorf("%s: %+v", kind, r)
		}
		if r := c.QueryRefund(ctx, g); r.State != pay.Doubtful {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	other, err := paychannel.GenerateKeys("1900000001")
	if err != nil {
		t.Fatal(err)
	}
	o := options(s.URL())
	o.PublicKey = other.PublicKey // what the fake signs is somebody else's now
	s.ClearFaults()
	if c, err = Open(o); err != nil {
		t.Fatal(err)
	}
	if p := c.Pay(ctx, charge(pay.Native)); p.State != pay.Unknown {
		t.Errorf("signed by somebody else: %+v", p)
	}
}

// FuzzCallback: whatever comes to the notices' address, nothing but what WeChat signed is
// believed.
func FuzzCallback(f *testing.F) {
	c, err := Open(options(""))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"resource":{"algorithm":"AEAD_AES_256_GCM","nonce":"1","ciphertext":"AA=="}}`), "1700000000", "n", "c2ln", "")
	f.Add([]byte(``), "", "", "", "WECHATPAY2-SM2-WITH-SM3")
	f.Fuzz(func(t *testing.T, body []byte, timestamp, nonce, signature, kind string) {
		h := http.Header{}
		h.Set("Wechatpay-Timestamp", timestamp)
		h.Set("Wechatpay-Nonce", nonce)
		h.Set("Wechatpay-Signature", signature)
		h.Set("Wechatpay-Serial", keys().PublicKeyID)
		h.Set("Wechatpay-Signature-Type", kind)
		n, err := c.Callback(t.Context(), h, body)
		if err == nil || n != (pay.Notice{}) || strings.Contains(err.Error(), string(body)) && len(body) > 4 {
			t.Fatalf("%+v, %v", n, err)
		}
	})
}
