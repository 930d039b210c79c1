package paychannel_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // WeChat's checksum
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

var keys = sync.OnceValue(func() paychannel.Keys {
	k, err := paychannel.GenerateKeys("1900000001")
	if err != nil {
		panic(err)
	}
	return k
})

func start(t *testing.T) *paychannel.Server {
	t.Helper()
	s, err := paychannel.Start(t.Context(), paychannel.Options{Keys: keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// control posts to the control port, or gets.
func control(t *testing.T, s *paychannel.Server, method, path, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, s.ControlURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return do(t, q, nil)
}

func do(t *testing.T, q *http.Request, header *http.Header) (int, string) {
	t.Helper()
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		*header = r.Header
	}
	return r.StatusCode, string(b)
}

// wechat sends a signed request, without any SDK, and checks the answer's signature.
func wechat(t *testing.T, s *paychannel.Server, method, uri, body string) (int, string) {
	t.Helper()
	block, _ := pem.Decode([]byte(s.Keys().MerchantKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	sum := sha256.Sum256([]byte(method + "\n" + uri + "\n" + now + "\nNONCE\n" + body + "\n"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(t.Context(), method, s.URL()+uri, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="NONCE",timestamp="%s",serial_no="%s",signature="%s"`,
		s.Keys().Merchant, now, s.Keys().Serial, base64.StdEncoding.EncodeToString(signature)))
	var h http.Header
	status, answer := do(t, q, &h)
	if strings.HasPrefix(uri, "/v3/billdownload/") {
		return status, answer
	}
	block, _ = pem.Decode([]byte(s.Keys().PublicKey))
	platform, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum = sha256.Sum256([]byte(h.Get("Wechatpay-Timestamp") + "\n" + h.Get("Wechatpay-Nonce") + "\n" + answer + "\n"))
	theirs, _ := base64.StdEncoding.DecodeString(h.Get("Wechatpay-Signature"))
	if err := rsa.VerifyPKCS1v15(platform.(*rsa.PublicKey), crypto.SHA256, sum[:], theirs); err != nil {
		t.Errorf("%s %s: the answer's signature: %v", method, uri, err)
	}
	return status, answer
}

// TestBillByTheSample books a day by the control port and reads the bill that a
// merchant gets, byte for byte.
func TestBillByTheSample(t *testing.T) {
	s := start(t)
	status, answer := control(t, s, "POST", "/payments", `[
		{"number":"IH20260104000009","channel_no":"4200000000202601040000000009","amount_fen":3000,"paid_at":"2026-01-04T09:00:00+08:00","attach":"S0000009","subject":"处方缴费"},
		{"number":"IH20260105000003","channel_no":"4200000000202601050000000003","amount_fen":1500,"paid_at":"2026-01-05T15:59:58Z","attach":"GH0001","subject":"挂号费"},
		{"number":"IH20260105000002","channel_no":"4200000000202601050000000002","amount_fen":4619,"coupon_fen":0,"paid_at":"2026-01-05T14:56:01+08:00","attach":"S0000001","subject":"处方缴费"},
		{"number":"IH20260106000001","amount_fen":1,"paid_at":"2026-01-06T00:00:00+08:00"}]`)
	if status != 200 {
		t.Fatal(answer)
	}
	if status, answer = control(t, s, "POST", "/refunds", `{"number":"IHR20260105000001","channel_no":"50300000002026010500000000001","payment":"IH20260104000009","amount_fen":1000,"accepted_at":"2026-01-05T16:00:00+08:00"}`); status != 200 {
		t.Fatal(answer)
	}
	row := func(cells ...string) string { return "`" + strings.Join(cells, ",`") + "\r\n" }
	const app, merchant = "wx0000000000000001", "1900000001"
	want := "\ufeff交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n" +
		row("2026-01-05 14:56:01", app, merchant, "0", "", "4200000000202601050000000002", "IH20260105000002", "oTEST000001", "JSAPI", "SUCCESS", "OTHERS", "CNY", "46.19", "0.00", "0", "0", "0.00", "0.00", "", "", "处方缴费", "S0000001", "0.28000", "0.60%", "46.19", "0.00", "") +
		row("2026-01-05 16:00:00", app, merchant, "0", "", "4200000000202601040000000009", "IH20260104000009", "oTEST000001", "JSAPI", "REFUND", "OTHERS", "CNY", "0.00", "0.00", "50300000002026010500000000001", "IHR20260105000001", "10.00", "0.00", "ORIGINAL", "SUCCESS", "处方缴费", "S0000009", "-0.06000", "0.60%", "0.00", "10.00", "") +
		row("2026-01-05 23:59:58", app, merchant, "0", "", "4200000000202601050000000003", "IH20260105000003", "oTEST000001", "JSAPI", "SUCCESS", "OTHERS", "CNY", "15.00", "0.00", "0", "0", "0.00", "0.00", "", "", "挂号费", "GH0001", "0.09000", "0.60%", "15.00", "0.00", "") +
		"总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n`3,`61.19,`10.00,`0.00,`0.31000,`61.19,`10.00\r\n"
	if got := fetch(t, s, "2026-01-05"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := s.AddFaults(fault.Rule{Fault: paychannel.BillOldForm, Times: 1}); err != nil {
		t.Fatal(err)
	}
	old := fetch(t, s, "2026-01-05")
	header, _, _ := strings.Cut(old, "\r\n")
	if n := len(strings.Split(header, ",")); n != 24 || !strings.Contains(header, "子商户号") || !strings.Contains(header, "货币种类,总金额,代金券或立减优惠金额,") {
		t.Errorf("%d columns: %s", n, header)
	}
	if !strings.HasSuffix(old, "总交易单数,总交易额,总退款金额,总代金券或立减优惠退款金额,手续费总金额\r\n`3,`61.19,`10.00,`0.00,`0.31000\r\n") {
		t.Errorf("%s", old)
	}
	for day, want := range map[string]string{"2026-01-07": "NO_STATEMENT_EXIST", "x": "PARAM_ERROR"} {
		if status, answer := wechat(t, s, "GET", "/v3/bill/tradebill?bill_date="+day+"&bill_type=ALL&tar_type=GZIP", ""); status != 400 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", day, status, answer)
		}
	}
}

// fetch asks for a bill, downloads it, and checks its SHA1.
func fetch(t *testing.T, s *paychannel.Server, day string) string {
	t.Helper()
	status, answer := wechat(t, s, "GET", "/v3/bill/tradebill?bill_date="+day+"&bill_type=ALL&tar_type=GZIP", "")
	var place struct {
		Type string `json:"hash_type"`
		Hash string `json:"hash_value"`
		URL  string `json:"download_url"`
	}
	if err := json.Unmarshal([]byte(answer), &place); err != nil || status != 200 || place.Type != "SHA1" {
		t.Fatalf("%d %s", status, answer)
	}
	status, file := wechat(t, s, "GET", strings.TrimPrefix(place.URL, s.URL()), "")
	z, err := gzip.NewReader(bytes.NewReader([]byte(file)))
	if err != nil || status != 200 {
		t.Fatalf("%d %v", status, err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha1.Sum(text); hex.EncodeToString(sum[:]) != place.Hash { //nolint:gosec // as above
		t.Error("the SHA1 is another one")
	}
	return string(text)
}

func TestWithoutSignatureNothingHappens(t *testing.T) {
	s := start(t)
	if _, err := s.Books().Pay(paychannel.Payment{Number: "IH1", AmountFen: 100}); err != nil {
		t.Fatal(err)
	}
	body := `{"out_trade_no":"IH1","out_refund_no":"IHR1","amount":{"refund":100,"total":100,"currency":"CNY"}}`
	q, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/v3/refund/domestic/refunds", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := do(t, q, nil); status != 401 || !strings.Contains(answer, "SIGN_ERROR") {
		t.Errorf("%d %s", status, answer)
	}
	if len(s.Books().Export().Refunds) != 0 {
		t.Error("a refund without a signature is in the books")
	}
	if status, answer := wechat(t, s, "POST", "/v3/refund/domestic/refunds", body); status != 200 {
		t.Errorf("%d %s", status, answer)
	}
	status, answer := wechat(t, s, "GET", "/v3/pay/transactions/out-trade-no/IH1?mchid=1900000001", "")
	if status != 200 || !strings.Contains(answer, `"trade_state":"REFUND"`) {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer = wechat(t, s, "GET", "/v3/pay/transactions/out-trade-no/IH2?mchid=1900000001", ""); status != 404 || !strings.Contains(answer, "ORDER_NOT_EXIST") {
		t.Errorf("%d %s", status, answer)
	}
}

func TestControl(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/clock", `{"now":"2026-01-05T10:00:00+08:00"}`, 200, "2026-01-05T10:00:00"},
		{"POST", "/payments", `{"number":"IH1","amount_fen":100}`, 200, `"paid_at":"2026-01-05T10:00:0`},
		{"POST", "/payments", `{"number":"IH1","amount_fen":100}`, 400, "in the books already"},
		{"POST", "/payments", `{"number":"IH2","amount":100}`, 400, "unknown field"},
		{"POST", "/payments", `{"number":"IH2"}`, 400, "amount_fen above 0"},
		{"POST", "/refunds", `{"number":"IHR1","payment":"IH1","amount_fen":60,"state":"processing"}`, 200, `"state":"processing"`},
		{"POST", "/refunds", `{"number":"IHR2","payment":"IH1","amount_fen":60}`, 400, "more than is left"},
		{"POST", "/refunds/settle", `{"number":"IHR1","state":"closed"}`, 200, `"state":"closed"`},
		{"POST", "/refunds", `{"number":"IHR2","payment":"IH1","amount_fen":60}`, 200, `"state":"done"`},
		{"POST", "/refunds/settle", `{"number":"IHR9","state":"done"}`, 400, "no such refund"},
		{"GET", "/books", "", 200, `"refunded_fen":60`},
		{"GET", "/keys", "", 200, "BEGIN PUBLIC KEY"},
		{"POST", "/faults", `[{"fault":"bill_late","key":"2026-01-05"},{"fault":"slow","delay":"1s"}]`, 200, `"fault":"bill_late"`},
		{"POST", "/faults", `{"fault":"bill_lte"}`, 400, "bill_late"},
		{"POST", "/faults", `{"fault":"bill_late","operation":"bill"}`, 400, "takes no operation"},
		{"GET", "/faults", "", 200, `"fault":"slow"`},
		{"DELETE", "/faults", "", 200, "[]"},
		{"GET", "/healthz", "", 200, "ok"},
	} {
		if status, answer := control(t, s, c.method, c.path, c.body); status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, answer)
		}
	}
	// The first characters of every such key are alike: the test looks at later ones.
	if _, answer := control(t, s, "GET", "/keys", ""); strings.Contains(answer, s.Keys().PlatformKey[200:280]) {
		t.Error("the platform's private key is given away")
	}
	if rules := s.Faults(); len(rules) != 0 {
		t.Errorf("%+v", rules)
	}
}

// TestMoneyOfTheBooks: whatever is asked, no payment gives back more than it was,
// a refund number is booked once, and the bills of all days hold each entry once.
func TestMoneyOfTheBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := paychannel.NewBooks(60)
		first := time.Date(2026, 1, 4, 0, 0, 0, 0, paychannel.Zone)
		when := func() time.Time {
			return first.Add(time.Duration(rapid.IntRange(0, 3*86400-1).Draw(t, "second")) * time.Second)
		}
		number := rapid.SampledFrom([]string{"1", "2", "3"})
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			fen := rapid.Int64Range(1, 500).Draw(t, "fen")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				_, _ = b.Pay(paychannel.Payment{Number: number.Draw(t, "payment"), AmountFen: fen, PaidAt: when()})
			case 1:
				r := paychannel.Refund{Number: number.Draw(t, "refund"), Payment: number.Draw(t, "of"), AmountFen: fen, AcceptedAt: when()}
				held, known := b.FindRefund(paychannel.WeChat, r.Number)
				got, again, err := b.Refund(r)
				if known && err == nil && (!again || got.ChannelNo != held.ChannelNo || got.AmountFen != fen) {
					t.Fatalf("%+v was booked again as %+v", held, got)
				}
				if known && held.AmountFen != fen && !errors.Is(err, paychannel.ErrOtherRefund) {
					t.Fatalf("another amount: %v", err)
				}
			case 2:
				state := rapid.SampledFrom([]string{paychannel.Done, paychannel.Processing, paychannel.Closed, paychannel.Abnormal}).Draw(t, "state")
				_, _ = b.Settle(paychannel.WeChat, number.Draw(t, "refund"), state, when())
			}
		}
		e := b.Export()
		gone := map[string]int64{}
		for _, r := range e.Refunds {
			if r.State != paychannel.Closed {
				gone[r.Payment] += r.AmountFen
			}
		}
		for _, p := range e.Payments {
			if p.RefundedFen != gone[p.Number] || p.RefundedFen > p.AmountFen {
				t.Fatalf("%+v, but %d fen went back", p, gone[p.Number])
			}
		}
		billed := 0
		for d := range 3 {
			lines, err := b.Bill(paychannel.WeChat, first.AddDate(0, 0, d).Format(time.DateOnly))
			if err != nil {
				t.Fatal(err)
			}
			billed += len(lines)
		}
		if billed != len(e.Payments)+len(e.Refunds) {
			t.Fatalf("%d lines for %d payments and %d refunds", billed, len(e.Payments), len(e.Refunds))
		}
	})
}
