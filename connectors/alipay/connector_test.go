package alipay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/connectors/proxy"
	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

// keys are made once: they cost time.
var keys = func() paychannel.AlipayKeys {
	k, err := paychannel.GenerateAlipayKeys()
	if err != nil {
		panic(err)
	}
	return k
}()

func options(base string) map[string]any {
	return map[string]any{"base": base, "app_id": keys.App, "key": keys.AppKey, "public_key": keys.PublicKey, "account": keys.Account}
}

func open(t *testing.T, options map[string]any) *Connector {
	t.Helper()
	c, err := Open(core.ConnectorSpec{Name: "alipay", Kind: "alipay", Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	a := c.(*Connector)
	a.now = func() time.Time { return at("10:00:00").AddDate(0, 0, 1) }
	return a
}

// start opens a fake Alipay with two payments of the day, and the connector.
func start(t *testing.T) (*paychannel.Server, *Connector) {
	t.Helper()
	s, err := paychannel.Start(context.Background(), paychannel.Options{Alipay: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.Books().SetClock(func() time.Time { return at("18:00:00") })
	for i, p := range []paychannel.Payment{
		{Number: "IH20260105000101", ChannelNo: "2026010522001400000000000001", AmountFen: 2469, PaidAt: at("10:00:09"), Attach: "S0000101", Subject: "处方缴费-䶮测试"},
		{Number: "IH20260105000102", ChannelNo: "2026010522001400000000000002", AmountFen: 10000, CouponFen: 500, PaidAt: at("23:59:58"), Attach: "S0000102", Subject: "西药费,检查费", SubMerchant: "1002"},
	} {
		p.Channel = paychannel.Alipay
		if _, err := s.Books().Pay(p); err != nil {
			t.Fatal(i, err)
		}
	}
	return s, open(t, options(s.AlipayURL()))
}

func play(t *testing.T, s *paychannel.Server, rules ...fault.Rule) {
	t.Helper()
	if err := s.AddFaults(rules...); err != nil {
		t.Fatal(err)
	}
}

func body(no string, fen int) core.Tree {
	return core.Tree{
		{Name: "refund_no", Value: no}, {Name: "order_id", Value: "IH20260105000101"}, {Name: "channel_no", Value: "2026010522001400000000000001"},
		{Name: "amount", Value: strconv.Itoa(fen)}, {Name: "paid", Value: "2469"}, {Name: "reason", Value: "张三测试退号"},
	}
}

func call(c *Connector, operation string, b core.Tree) (core.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.Call(ctx, core.Request{Operation: operation, Body: b})
}

func refund(c *Connector, no string, fen int) (core.Response, error) {
	return call(c, core.ChannelOpRefund, body(no, fen))
}

// says checks an answer's fields; a field with "" must not be there.
func says(t *testing.T, r core.Response, err error, want map[string]string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	tree, _ := r.Body.(core.Tree)
	for name, text := range want {
		got, _ := core.Text(tree.Get(name))
		if got != text {
			t.Errorf("%s is %q, want %q (%v)", name, got, text, tree)
		}
	}
	if len(r.Sent) == 0 || len(r.Received) == 0 || r.Status != "200" {
		t.Errorf("the exchange is not kept: %d bytes sent, %d received, HTTP %s", len(r.Sent), len(r.Received), r.Status)
	}
}

// fails checks the class, and that the text holds nothing that is secret.
func fails(t *testing.T, err error, want core.Class, why string) {
	t.Helper()
	var f *core.Fault
	if !errors.As(err, &f) || f.Class != want || !strings.Contains(err.Error(), why) {
		t.Fatalf("got %v, want %s with %q", err, want, why)
	}
	for _, secret := range []string{"张三", "sign=", "MII", keys.App, "IH2026", "gateway.do"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q shows %q", err, secret)
		}
	}
}

func paidBack(t *testing.T, s *paychannel.Server, want ...int64) {
	t.Helper()
	var got []int64
	for _, r := range s.Books().Export().Refunds {
		got = append(got, r.AmountFen)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the channel paid back %v, want %v", got, want)
	}
}

func TestRefund(t *testing.T) {
	s, c := start(t)
	r, err := refund(c, "IHR1", 1000)
	number := "2026010522001400000000000001-IHR1"
	if says(t, r, err, map[string]string{"state": "done", "channel_refund_no": number, "amount": "1000", "at": "2026-01-06T10:00:00+08:00"}); !strings.Contains(string(r.Sent), "out_request_no") {
		t.Error("what was sent is not kept")
	}
	// A second refund of the same payment; Alipay's refund_fee is that of both.
	r, err = refund(c, "IHR2", 469)
	says(t, r, err, map[string]string{"state": "done", "amount": "469"})
	// The same again moves nothing, and is the same refund.
	r, err = refund(c, "IHR1", 1000)
	says(t, r, err, map[string]string{"state": "done", "channel_refund_no": number, "amount": "1000", "at": "2026-01-05T18:00:00+08:00"})
	paidBack(t, s, 1000, 469)

	r, err = call(c, core.ChannelOpRefundQuery, body("IHR1", 1000))
	says(t, r, err, map[string]string{"state": "done", "channel_refund_no": number, "amount": "1000", "at": "2026-01-05T18:00:00+08:00"})
	r, err = call(c, core.ChannelOpRefundQuery, body("IHR3", 1000))
	says(t, r, err, map[string]string{"state": "absent", "amount": ""})

	// What Alipay refuses is an answer, in its words.
	r, err = refund(c, "IHR1", 999)
	says(t, r, err, map[string]string{"state": "failed", "message": "不一致的请求 (ACQ.DISCORDANT_REPEAT_REQUEST)"})
	r, err = refund(c, "IHR4", 2469)
	says(t, r, err, map[string]string{"state": "failed", "message": "退款金额超限 (ACQ.REFUND_AMT_NOT_EQUAL_TOTAL)"})
	unknown := core.Tree{{Name: "refund_no", Value: "IHR5"}, {Name: "order_id", Value: "IH-none"}, {Name: "amount", Value: "1"}}
	for _, operation := range []string{core.ChannelOpRefund, core.ChannelOpRefundQuery} {
		r, err = call(c, operation, unknown)
		says(t, r, err, map[string]string{"state": "failed", "message": "交易不存在 (ACQ.TRADE_NOT_EXIST)"})
	}
	paidBack(t, s, 1000, 469)
}

func TestRefundThatTakesItsTime(t *testing.T) {
	s, c := start(t)
	play(t, s, fault.Rule{Fault: paychannel.RefundProcessing, Times: 1})
	r, err := refund(c, "IHR1", 1000)
	says(t, r, err, map[string]string{"state": "processing", "amount": ""})
	r, err = call(c, core.ChannelOpRefundQuery, body("IHR1", 1000))
	says(t, r, err, map[string]string{"state": "absent"})
	if _, err := s.Books().Settle(paychannel.Alipay, "IHR1", paychannel.Done, at("20:00:00")); err != nil {
		t.Fatal(err)
	}
	r, err = refund(c, "IHR1", 1000)
	says(t, r, err, map[string]string{"state": "done", "at": "2026-01-05T20:00:00+08:00"})
	paidBack(t, s, 1000)

	play(t, s, fault.Rule{Fault: paychannel.RefundRefused, Times: 1})
	r, err = refund(c, "IHR2", 1000)
	says(t, r, err, map[string]string{"state": "failed", "message": "卖家余额不足 (ACQ.SELLER_BALANCE_NOT_ENOUGH)"})
}

// Whatever happens on the way, the money goes back once.
func TestRefundsInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		fault fault.Kind
		class core.Class
		why   string
		acted bool
	}{
		"booked, then hangs":    {fault.CommitThenHang, core.InDoubt, "deadline", true},
		"booked, then cut":      {fault.CutAfterCommit, core.InDoubt, "closed", true},
		"cut before it acts":    {fault.CutBefore, core.InDoubt, "closed", false},
		"garbled":               {fault.Garbled, core.InDoubt, "not what the gateway writes", true},
		"half an answer":        {fault.Truncated, core.InDoubt, "closed", true},
		"another text, signed":  {fault.WrongCharset, core.InDoubt, "not signed by Alipay's key", true},
		"a page of HTTP 500":    {fault.HTTP500, core.InDoubt, "HTTP 500", false},
		"system error":          {fault.SoapFault, core.InDoubt, "ACQ.SYSTEM_ERROR", false},
		"called too often":      {fault.Busy, core.Unavailable, "40005", false},
		"refused before a byte": {fault.Down, core.Unavailable, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, connector := start(t)
			if c.fault == fault.Down {
				s.Close()
			} else {
				play(t, s, fault.Rule{Fault: c.fault, Times: 1})
			}
			if c.fault == fault.CommitThenHang {
				connector.way.Timeout = 300 * time.Millisecond
			}
			r, err := refund(connector, "IHR1", 1000)
			fails(t, err, c.class, c.why)
			if len(r.Sent) == 0 {
				t.Error("what was sent is not kept")
			}
			if c.fault == fault.Down {
				return
			}
			connector.way.Timeout = time.Minute
			want := "absent"
			if c.acted {
				want = "done"
			}
			r, err = call(connector, core.ChannelOpRefundQuery, body("IHR1", 1000))
			says(t, r, err, map[string]string{"state": want})
			r, err = refund(connector, "IHR1", 1000)
			says(t, r, err, map[string]string{"state": "done", "amount": "1000"})
			paidBack(t, s, 1000)
		})
	}
}

// Nobody but Alipay can say yes or no.
func TestForgedAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		class  core.Class
		why    string
	}{
		"yes without signature":      {`{"alipay_trade_refund_response":{"code":"10000","msg":"Success","fund_change":"Y","trade_no":"1"}}`, core.InDoubt, "without a signature"},
		"no without signature":       {`{"alipay_trade_refund_response":{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST","sub_msg":"x"}}`, core.InDoubt, "without a signature"},
		"signed by somebody else":    {`{"alipay_trade_refund_response":{"code":"10000","fund_change":"Y"},"sign":"aGFsbG8="}`, core.InDoubt, "not signed by Alipay's key"},
		"with a certificate unknown": {`{"alipay_trade_refund_response":{"code":"10000","fund_change":"Y"},"alipay_cert_sn":"0815","sign":"aGFsbG8="}`, core.InDoubt, "not signed by Alipay's key"},
		"null":                       {`{"alipay_trade_refund_response":null}`, core.InDoubt, "not what the gateway writes"},
		"nothing in it":              {`{}`, core.InDoubt, "not what the gateway writes"},
		"another method's":           {`{"alipay_trade_query_response":{"code":"10000"},"sign":"aGFsbG8="}`, core.InDoubt, "not what the gateway writes"},
		"wrong key of ours":          {`{"alipay_trade_refund_response":{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-signature"}}`, core.Invalid, "check app_id"},
		"words in place of a code":   {`{"alipay_trade_refund_response":{"code":"40004","sub_code":"张三 is ill"}}`, core.InDoubt, "(not a code)"},
		"a page":                     {`<html>`, core.InDoubt, "not what the gateway writes"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				io.WriteString(w, c.answer)
			}))
			defer server.Close()
			_, err := refund(open(t, options(server.URL)), "IHR1", 1000)
			fails(t, err, c.class, c.why)
			if asked != 1 {
				t.Errorf("the gateway was asked %d times; nobody fetches a certificate to trust", asked)
			}
		})
	}
}

func TestWrongKeyOfOurs(t *testing.T) {
	s, _ := start(t)
	other, err := paychannel.GenerateAlipayKeys()
	if err != nil {
		t.Fatal(err)
	}
	o := options(s.AlipayURL())
	o["key"] = other.AppKey
	_, err = refund(open(t, o), "IHR1", 1000)
	fails(t, err, core.Invalid, "isv.invalid-signature")
	paidBack(t, s)
}

func TestHugeAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", 10<<20))
	}))
	defer server.Close()
	o := options(server.URL)
	o["max_answer"] = "64KiB"
	_, err := refund(open(t, o), "IHR1", 1000)
	fails(t, err, core.InDoubt, "")
}

func TestCutConnections(t *testing.T) {
	s, _ := start(t)
	between, err := proxy.New("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer between.Close()
	c := open(t, options("http://"+between.Address()+"/gateway.do"))
	for _, m := range []struct {
		mode  proxy.Mode
		class core.Class
	}{{proxy.Down, core.Unavailable}, {proxy.CutAfter, core.InDoubt}} {
		if err := between.Set(m.mode); err != nil {
			t.Fatal(err)
		}
		_, err := refund(c, "IHR1", 1000)
		fails(t, err, m.class, "")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = c.Call(ctx, core.Request{Operation: core.ChannelOpRefund, Body: body("IHR2", 1)})
	fails(t, err, core.Unavailable, "canceled")
	paidBack(t, s, 1000)
}

func TestWhatCannotBeAsked(t *testing.T) {
	c := open(t, options("http://127.0.0.1:1"))
	for name, q := range map[string]core.Request{
		"operation": {Operation: "pay", Body: body("IHR1", 1)},
		"text":      {Operation: core.ChannelOpRefund, Body: "x"},
		"number":    {Operation: core.ChannelOpRefund, Body: body("", 1)},
		"amount":    {Operation: core.ChannelOpRefund, Body: body("IHR1", 0)},
		"payment":   {Operation: core.ChannelOpRefundQuery, Body: core.Tree{{Name: "refund_no", Value: "IHR1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Call(context.Background(), q)
			fails(t, err, core.Invalid, "")
		})
	}
}

func TestRefundNumber(t *testing.T) {
	long := strings.Repeat("9", 60)
	if n := refundNumber("2026010522001400000000000001", long); len(n) != 64 || !strings.HasSuffix(n, "-"+long) {
		t.Error(n)
	}
}

func TestOptions(t *testing.T) {
	good := options("http://127.0.0.1:1/gateway.do")
	bare := strings.Join(strings.Split(strings.TrimSpace(keys.PublicKey), "\n")[1:], "")
	bare = bare[:strings.Index(bare, "-----")]
	files := fstest.MapFS{"pay/alipay.txt": {Data: []byte(bare + "\n")}, "pay/empty.pem": {}}
	for name, c := range map[string]struct {
		option string
		value  any
		want   string
	}{
		"good":            {"base", "http://127.0.0.1:1/gateway.do", ""},
		"bare base64":     {"public_key", "pay/alipay.txt", ""},
		"no app":          {"app_id", nil, "missing"},
		"no key":          {"key", "", "environment variable"},
		"no file":         {"key", "pay/none.pem", "no readable file"},
		"empty file":      {"key", "pay/empty.pem", "no key"},
		"key for a key":   {"key", keys.PublicKey, "private key"},
		"our own key":     {"public_key", keys.AppKey, "支付宝公钥"},
		"base with query": {"base", "http://x/?a=b", "not an address"},
		"clock":           {"ready", "ten", "time of day"},
		"misspelt":        {"app_ids", "2021", "did you mean app_id"},
	} {
		t.Run(name, func(t *testing.T) {
			o := map[string]any{}
			for k, v := range good {
				o[k] = v
			}
			if o[c.option] = c.value; c.value == nil {
				delete(o, c.option)
			}
			_, err := Open(core.ConnectorSpec{Options: o, Files: files})
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var ps core.Problems
			if !errors.As(err, &ps) || ps[0].Field != c.option || !strings.Contains(ps[0].What, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
