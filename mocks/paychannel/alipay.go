package paychannel

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// AlipayKeys are those of Alipay's dialect, as PEM text. The application signs
// requests, Alipay answers. They are a fake channel's: they open nothing else.
type AlipayKeys struct {
	App string `json:"app_id"`
	// Account is the merchant's number (PID), which the bill names.
	Account string `json:"account"`
	// AppKey is the application's private key. The channel itself needs only the public part.
	AppKey       string `json:"app_key,omitempty"`
	AppPublicKey string `json:"app_public_key"`
	// AlipayKey is the channel's private key; the control port does not give it away.
	AlipayKey string `json:"-"`
	PublicKey string `json:"public_key"`
}

// alipayDesk is Alipay's dialect, ready for use.
type alipayDesk struct {
	AlipayKeys
	app    *rsa.PublicKey
	alipay *rsa.PrivateKey
	life   time.Duration // of a download address
	ready  []alipayBill  // that can be downloaded, oldest first
}

type alipayBill struct {
	token, day string
	file       []byte
	until      time.Time
}

// GenerateAlipayKeys makes keys, so that a folder and a channel that is started
// later can share them.
func GenerateAlipayKeys() (AlipayKeys, error) {
	d, err := AlipayKeys{}.filled()
	if err != nil {
		return AlipayKeys{}, err
	}
	return d.AlipayKeys, nil
}

func (k AlipayKeys) filled() (*alipayDesk, error) {
	k.App = cmp.Or(k.App, "2021000000000001")
	k.Account = cmp.Or(k.Account, "2088000000000015")
	d := &alipayDesk{}
	var err error
	if k.AppKey == "" && k.AppPublicKey == "" {
		if k.AppKey, err = newKey(); err != nil {
			return nil, err
		}
	}
	if k.AppKey != "" {
		private, err := readKey(k.AppKey)
		if err != nil {
			return nil, fmt.Errorf("application: %w", err)
		}
		if k.AppPublicKey, err = publicPEM(&private.PublicKey); err != nil {
			return nil, err
		}
	}
	if d.app, err = readPublicKey(k.AppPublicKey); err != nil {
		return nil, fmt.Errorf("application: %w", err)
	}
	if k.AlipayKey == "" {
		if k.AlipayKey, err = newKey(); err != nil {
			return nil, err
		}
	}
	if d.alipay, err = readKey(k.AlipayKey); err != nil {
		return nil, fmt.Errorf("alipay: %w", err)
	}
	if k.PublicKey, err = publicPEM(&d.alipay.PublicKey); err != nil {
		return nil, err
	}
	d.AlipayKeys = k
	return d, nil
}

// AlipayKeys for a folder that shall reach this channel.
func (s *Server) AlipayKeys() AlipayKeys { return s.alipay.AlipayKeys }

// AlipayURL is the gateway.
func (s *Server) AlipayURL() string { return s.URL() + "/gateway.do" }

// serveAlipay adds the part of Alipay's gateway that has to do with payments,
// bills and refunds. Requests must carry the application's signature (RSA2); answers carry
// Alipay's, but for those to requests that it does not look at.
//
// Source: opendocs.alipay.com (alipay.trade.refund, alipay.trade.fastpay.refund.query,
// alipay.data.dataservice.bill.downloadurl.query).
func (s *Server) serveAlipay(mux *http.ServeMux) {
	mux.HandleFunc("POST /gateway.do", s.alipayGateway)
	mux.HandleFunc("GET /gateway.do", s.alipayPage)
	mux.HandleFunc("GET /alipay/bill", s.alipayDownload)
}

// alipaySaid is the inner part of an answer.
type alipaySaid map[string]any

func alipayRefuse(code, msg, sub, words string) alipaySaid {
	return alipaySaid{"code": code, "msg": msg, "sub_code": sub, "sub_msg": words}
}

func alipayNo(sub, words string) alipaySaid {
	return alipayRefuse("40004", "Business Failed", sub, words)
}

func alipayYes(fields alipaySaid) alipaySaid {
	fields["code"], fields["msg"] = "10000", "Success"
	return fields
}

// effect of an answer, for the journal.
func (a alipaySaid) effect() string {
	switch {
	case a["code"] != "10000":
		return fmt.Sprintf("refused: %v", a["sub_code"])
	case a["fund_change"] == "Y":
		return "refunded"
	case a["fund_change"] == "N":
		return "nothing moved"
	}
	return "asked"
}

func (s *Server) alipayGateway(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	method := form.Get("method")
	reply := func(said alipaySaid, signed bool) fault.Answer { return s.alipayReply(method, said, signed) }
	if refused := s.alipay.authorized(form); refused != nil {
		_, _ = w.Write(reply(refused, false).Body)
		return
	}
	var q alipayRequest
	if err := json.Unmarshal([]byte(form.Get("biz_content")), &q); err != nil {
		_, _ = w.Write(reply(alipayRefuse("40002", "Invalid Arguments", "isv.invalid-parameter", "参数无效"), false).Body)
		return
	}
	operation, key := "", q.OutRequestNo
	var do func() alipaySaid
	switch method {
	case "alipay.trade.refund":
		operation, do = "refund", func() alipaySaid { return s.alipayRefund(q) }
	case "alipay.trade.fastpay.refund.query":
		operation, do = "refund.query", func() alipaySaid { return s.alipayRefundQuery(q) }
	case "alipay.trade.precreate", "alipay.trade.create":
		operation, key = "prepay", q.OutTradeNo
		do = func() alipaySaid { return s.alipayOpen(strings.TrimPrefix(method, "alipay.trade."), form, q) }
	case "alipay.trade.query":
		operation, key, do = "payment.query", q.OutTradeNo, func() alipaySaid { return s.alipayQuery(q) }
	case "alipay.trade.close":
		operation, key, do = "close", q.OutTradeNo, func() alipaySaid { return s.alipayClose(q) }
	case "alipay.data.dataservice.bill.downloadurl.query":
		operation, key, do = "bill", q.BillDate, func() alipaySaid { return s.alipayBillAddress(r.Host, q) }
	default:
		_, _ = w.Write(reply(alipayRefuse("40002", "Invalid Arguments", "isv.invalid-method", "不存在的方法名"), false).Body)
		return
	}
	note := func(effect string, kind fault.Kind) { s.books.Note("alipay "+operation, key, effect, string(kind)) }
	system := func() fault.Answer {
		return reply(alipayRefuse("20000", "Service Currently Unavailable", "aop.ACQ.SYSTEM_ERROR", "系统异常"), true)
	}
	s.script.Play(w, r, fault.Exchange{
		Operation: operation, Key: key, Latency: s.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			said := do()
			note(said.effect(), kind)
			return reply(said, true)
		},
		Busy: func() fault.Answer {
			return reply(alipayRefuse("40005", "Call Limited", "isv.app-call-limited", "应用调用次数超限"), false)
		},
		Reject: func() fault.Answer {
			return reply(alipayNo("ACQ.SELLER_BALANCE_NOT_ENOUGH", "卖家余额不足"), true)
		},
		Crash:  system,
		Recode: func(b []byte) []byte { return []byte(strings.Replace(string(b), `"msg"`, `"Msg"`, 1)) }, // the signature does not fit
		Idle:   func(kind fault.Kind) { note("none", kind) },
	})
}

// alipayReply writes and signs an answer: the signature is of the inner part, byte by byte.
func (s *Server) alipayReply(method string, said alipaySaid, signed bool) fault.Answer {
	a := fault.Answer{Type: "text/html;charset=utf-8"} // as the gateway says
	inner, err := json.Marshal(said)
	if err != nil {
		return a
	}
	name := strings.ReplaceAll(method, ".", "_") + "_response"
	if !signed {
		a.Body = fmt.Appendf(nil, `{%q:%s}`, name, inner)
		return a
	}
	sum := sha256.Sum256(inner)
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.alipay.alipay, crypto.SHA256, sum[:])
	if err != nil {
		return a
	}
	a.Body = fmt.Appendf(nil, `{%q:%s,"sign":%q}`, name, inner, base64.StdEncoding.EncodeToString(signature))
	return a
}

// authorized checks the signature of a request, which is over all its fields in
// the order of their names. nil is good.
func (d *alipayDesk) authorized(form url.Values) alipaySaid {
	if form.Get("app_id") != d.App {
		return alipayRefuse("40002", "Invalid Arguments", "isv.invalid-app-id", "无效的AppID参数")
	}
	if form.Get("sign_type") != "RSA2" || form.Get("charset") != "utf-8" || form.Get("version") != "1.0" {
		return alipayRefuse("40002", "Invalid Arguments", "isv.invalid-signature-type", "无效签名类型")
	}
	var pairs []string
	for name := range form {
		if name != "sign" && form.Get(name) != "" {
			pairs = append(pairs, name+"="+form.Get(name))
		}
	}
	slices.Sort(pairs)
	sum := sha256.Sum256([]byte(strings.Join(pairs, "&")))
	signature, err := base64.StdEncoding.DecodeString(form.Get("sign"))
	if err != nil || rsa.VerifyPKCS1v15(d.app, crypto.SHA256, sum[:], signature) != nil {
		return alipayRefuse("40002", "Invalid Arguments", "isv.invalid-signature", "无效签名")
	}
	return nil
}

// alipayRequest is the biz_content of all methods.
type alipayRequest struct {
	OutTradeNo   string `json:"out_trade_no"`
	TradeNo      string `json:"trade_no"`
	OutRequestNo string `json:"out_request_no"`
	RefundAmount string `json:"refund_amount"`
	RefundReason string `json:"refund_reason"`
	TotalAmount  string `json:"total_amount"`
	Subject      string `json:"subject"`
	TimeExpire   string `json:"time_expire"`
	BillType     string `json:"bill_type"`
	BillDate     string `json:"bill_date"`
}

// payment that a request means; with both numbers the trade number counts.
func (s *Server) alipayPayment(q alipayRequest) (Payment, bool) {
	if q.TradeNo != "" {
		return s.books.PaymentByChannelNo(Alipay, q.TradeNo)
	}
	return s.books.Payment(Alipay, q.OutTradeNo)
}

func (s *Server) alipayRefund(q alipayRequest) alipaySaid {
	p, known := s.alipayPayment(q)
	if !known {
		return alipayNo("ACQ.TRADE_NOT_EXIST", "交易不存在")
	}
	fen, err := books.ParseYuan(q.RefundAmount)
	if err != nil || fen <= 0 {
		return alipayNo("ACQ.INVALID_PARAMETER", "参数无效")
	}
	refund := Refund{
		Channel: Alipay, Number: cmp.Or(q.OutRequestNo, p.Number), Payment: p.Number, AmountFen: fen, Reason: q.RefundReason,
		ChannelNo: p.ChannelNo, // Alipay has no number for a refund
	}
	if _, held := s.books.FindRefund(Alipay, refund.Number); !held {
		switch {
		case s.strikes(RefundRefused, refund.Number):
			return alipayNo("ACQ.SELLER_BALANCE_NOT_ENOUGH", "卖家余额不足")
		case s.strikes(RefundProcessing, refund.Number):
			refund.State = Processing
		case s.strikes(RefundClosed, refund.Number):
			refund.State = Closed
		}
	}
	booked, again, err := s.books.Refund(refund)
	switch {
	case errors.Is(err, ErrOtherRefund):
		return alipayNo("ACQ.DISCORDANT_REPEAT_REQUEST", "不一致的请求")
	case errors.Is(err, ErrTooMuch):
		return alipayNo("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
	case err != nil:
		return alipayNo("ACQ.INVALID_PARAMETER", "参数无效")
	}
	p, _ = s.books.Payment(Alipay, p.Number)
	change := "Y"
	if again || booked.State != Done {
		change = "N"
	}
	return alipayYes(alipaySaid{
		"trade_no": p.ChannelNo, "out_trade_no": p.Number, "buyer_logon_id": "138****8000", "fund_change": change,
		"refund_fee": books.Yuan(p.RefundedFen), // of the trade in all, not of this refund
	})
}

func (s *Server) alipayRefundQuery(q alipayRequest) alipaySaid {
	p, known := s.alipayPayment(q)
	if !known {
		return alipayNo("ACQ.TRADE_NOT_EXIST", "交易不存在")
	}
	refund, known := s.books.FindRefund(Alipay, q.OutRequestNo)
	if !known || refund.Payment != p.Number || refund.State != Done {
		return alipayYes(alipaySaid{}) // says nothing of a refund that did not happen
	}
	return alipayYes(alipaySaid{
		"trade_no": p.ChannelNo, "out_trade_no": p.Number, "out_request_no": refund.Number, "total_amount": books.Yuan(p.AmountFen),
		"refund_amount": books.Yuan(refund.AmountFen), "refund_status": "REFUND_SUCCESS",
		"gmt_refund_pay": refund.SuccessAt.In(Zone).Format(books.TimeLayout),
	})
}

func (s *Server) alipayBillAddress(host string, q alipayRequest) alipaySaid {
	if q.BillType != "trade" {
		return alipayNo("isv.invalid-arguments", "bill_type 只支持 trade")
	}
	if _, err := time.ParseInLocation(time.DateOnly, q.BillDate, Zone); err != nil {
		return alipayNo("isv.invalid-arguments", "bill_date 格式错误")
	}
	lines := s.alipayLines(q.BillDate)
	switch {
	case s.strikes(BillLate, q.BillDate):
		return alipayNo("isp.unknow_error", "未知错误，请稍后再试")
	case len(lines) == 0 || s.strikes(BillNone, q.BillDate):
		return alipayNo("isp.bill_not_exist", "账单不存在")
	}
	file, err := s.packAlipayBill(q.BillDate, lines)
	if err != nil {
		return alipayNo("isp.unknow_error", "系统异常")
	}
	bill := alipayBill{token: newToken(), day: q.BillDate, file: file, until: time.Now().Add(s.alipay.life)}
	if s.strikes(BillExpired, q.BillDate) {
		bill.until = time.Time{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alipay.ready = append(s.alipay.ready, bill)
	if over := len(s.alipay.ready) - mostBills; over > 0 {
		s.alipay.ready = slices.Delete(s.alipay.ready, 0, over)
	}
	return alipayYes(alipaySaid{"bill_download_url": fmt.Sprintf("http://%s/alipay/bill?bizType=trade&fileId=%s", host, bill.token)})
}

func (s *Server) alipayDownload(w http.ResponseWriter, r *http.Request) {
	var bill alipayBill
	token := r.URL.Query().Get("fileId")
	s.mu.Lock()
	for _, b := range s.alipay.ready {
		if b.token == token {
			bill = b
		}
	}
	s.mu.Unlock()
	page := fault.Answer{Type: "text/html;charset=GBK", Body: []byte("<html><body>error</body></html>")}
	s.script.Play(w, r, fault.Exchange{
		Operation: "bill.download", Key: bill.day, Latency: s.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			effect, a := "downloaded", fault.Answer{Type: "application/octet-stream", Body: bill.file}
			if !time.Now().Before(bill.until) { // an address that is no longer good gives a page
				effect, a = "refused: expired", page
			}
			s.books.Note("alipay bill.download", bill.day, effect, string(kind))
			return a
		},
		Busy: func() fault.Answer { return page }, Reject: func() fault.Answer { return page }, Crash: func() fault.Answer { return page },
		Recode: func(b []byte) []byte { return b[:len(b)/2] },
		Idle:   func(kind fault.Kind) { s.books.Note("alipay bill.download", bill.day, "none", string(kind)) },
	})
}
