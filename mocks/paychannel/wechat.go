package paychannel

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hishub/mocks/fault"
)

// serveWeChat adds the part of WeChat Pay's API v3 that has to do with payments,
// bills and refunds. Requests must carry the merchant's signature; answers carry the
// platform's, but for the bill itself.
//
// Source: pay.weixin.qq.com/doc/v3 (refund, query by out_refund_no, query by
// out_trade_no, tradebill).
func (s *Server) serveWeChat(mux *http.ServeMux) {
	mux.HandleFunc("POST /v3/refund/domestic/refunds", s.wechat("refund", s.wechatRefund))
	mux.HandleFunc("GET /v3/refund/domestic/refunds/{number}", s.wechat("refund.query", s.wechatRefundQuery))
	mux.HandleFunc("GET /v3/pay/transactions/out-trade-no/{number}", s.wechat("payment.query", s.wechatPaymentQuery))
	mux.HandleFunc("POST /v3/pay/transactions/{way}", s.wechat("prepay", s.wechatPrepay))
	mux.HandleFunc("POST /v3/pay/transactions/out-trade-no/{number}/close", s.wechat("close", s.wechatClose))
	mux.HandleFunc("GET /v3/bill/tradebill", s.wechat("bill", s.wechatBill))
	mux.HandleFunc("GET /v3/certificates", s.wechat("certificates", s.wechatCertificates))
	mux.HandleFunc("GET /v3/billdownload/file", s.wechat("bill.download", s.wechatDownload))
}

// wechatAnswer is what one request comes to.
type wechatAnswer struct {
	status int // 200 when 0
	body   any // JSON, or the bytes of a file
	effect string
}

func wechatRefuse(status int, code, message string) wechatAnswer {
	return wechatAnswer{status: status, body: map[string]string{"code": code, "message": message}, effect: "refused: " + code}
}

// wechat answers one request through the fault script. act gives the key first
// and then does the work.
func (s *Server) wechat(operation string, act func(r *http.Request, body []byte) (key string, do func() wechatAnswer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := fault.ReadBody(w, r)
		if err != nil {
			return
		}
		reply := func(a wechatAnswer) fault.Answer { return s.wechatReply(w, r, a) }
		if err := s.keys.authorized(r.Header.Get("Authorization"), r.Method, r.URL.RequestURI(), body); err != nil {
			a := reply(wechatRefuse(http.StatusUnauthorized, "SIGN_ERROR", err.Error()))
			w.Header().Set("Content-Type", a.Type)
			w.WriteHeader(a.Status)
			_, _ = w.Write(a.Body)
			return
		}
		key, do := act(r, body)
		note := func(effect string, kind fault.Kind) { s.books.Note("wechat "+operation, key, effect, string(kind)) }
		system := func() fault.Answer {
			return reply(wechatRefuse(http.StatusInternalServerError, "SYSTEM_ERROR", "系统异常，请稍后重试"))
		}
		s.script.Play(w, r, fault.Exchange{
			Operation: operation, Key: key, Latency: s.options.Latency,
			Act: func(kind fault.Kind) fault.Answer {
				a := do()
				note(a.effect, kind)
				return reply(a)
			},
			Busy: func() fault.Answer {
				return reply(wechatRefuse(http.StatusTooManyRequests, "FREQUENCY_LIMITED", "频率超限"))
			},
			Reject: func() fault.Answer {
				return reply(wechatRefuse(http.StatusForbidden, "NOT_ENOUGH", "基本账户余额不足"))
			},
			Crash:  system,
			Recode: func(b []byte) []byte { return bytes.ToUpper(b) }, // any change: the signature does not fit
			Idle:   func(kind fault.Kind) { note("none", kind) },
		})
	}
}

// wechatReply writes and signs an answer.
func (s *Server) wechatReply(w http.ResponseWriter, r *http.Request, a wechatAnswer) fault.Answer {
	out := fault.Answer{Status: a.status, Type: "application/json; charset=utf-8"}
	if out.Status == 0 {
		out.Status = http.StatusOK
	}
	if file, ok := a.body.([]byte); ok { // a bill is not signed
		out.Type, out.Body = "application/octet-stream", file
		return out
	}
	var err error
	if out.Body, err = json.Marshal(a.body); a.status == http.StatusNoContent {
		out.Body = nil
	} else if err != nil {
		return fault.Answer{Status: http.StatusInternalServerError, Type: out.Type, Body: []byte(`{}`)}
	}
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), newToken()
	signature, err := s.keys.sign(timestamp + "\n" + nonce + "\n" + string(out.Body) + "\n")
	if err != nil {
		return fault.Answer{Status: http.StatusInternalServerError, Type: out.Type, Body: []byte(`{}`)}
	}
	serial := s.keys.certificateSerial
	if strings.HasPrefix(r.Header.Get("Wechatpay-Serial"), "PUB_KEY_ID_") {
		serial = s.keys.PublicKeyID
	}
	h := w.Header()
	h.Set("Wechatpay-Serial", serial)
	h.Set("Wechatpay-Timestamp", timestamp)
	h.Set("Wechatpay-Nonce", nonce)
	h.Set("Wechatpay-Signature", signature)
	h.Set("Request-ID", newToken())
	return out
}

func newToken() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, says its contract
	return hex.EncodeToString(b)
}

// wechatRefundBody is a request for a refund. Others' fields are ignored, as the channel does.
type wechatRefundBody struct {
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	OutRefundNo   string `json:"out_refund_no"`
	SubMerchant   string `json:"sub_mchid"`
	Reason        string `json:"reason"`
	Amount        struct {
		Refund   int64  `json:"refund"`
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

func (s *Server) wechatRefund(_ *http.Request, body []byte) (string, func() wechatAnswer) {
	var q wechatRefundBody
	if err := json.Unmarshal(body, &q); err != nil {
		return "", func() wechatAnswer {
			return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "请求体不是 JSON")
		}
	}
	return q.OutRefundNo, func() wechatAnswer { return s.bookWeChatRefund(q) }
}

func (s *Server) bookWeChatRefund(q wechatRefundBody) wechatAnswer {
	if q.OutRefundNo == "" || q.Amount.Refund <= 0 || q.Amount.Currency != "CNY" || (q.OutTradeNo == "") == (q.TransactionID == "") {
		return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "参数错误：out_refund_no、amount、transaction_id 与 out_trade_no 二选一")
	}
	p, known := s.books.Payment(WeChat, q.OutTradeNo)
	if q.TransactionID != "" {
		p, known = s.books.PaymentByChannelNo(WeChat, q.TransactionID)
	}
	if !known || p.SubMerchant != q.SubMerchant {
		return wechatRefuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "订单不存在")
	}
	if q.Amount.Total != p.AmountFen {
		return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "订单金额与原订单不一致")
	}
	refund := Refund{Channel: WeChat, Number: q.OutRefundNo, Payment: p.Number, AmountFen: q.Amount.Refund, Reason: q.Reason}
	_, held := s.books.FindRefund(WeChat, q.OutRefundNo)
	if !held {
		switch {
		case s.strikes(RefundRefused, q.OutRefundNo):
			return wechatRefuse(http.StatusForbidden, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")
		case s.strikes(RefundProcessing, q.OutRefundNo):
			refund.State = Processing
		case s.strikes(RefundClosed, q.OutRefundNo):
			refund.State = Closed
		}
	}
	booked, again, err := s.books.Refund(refund)
	switch {
	case errors.Is(err, ErrOtherRefund):
		return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "订单号或金额与原退款单不一致")
	case errors.Is(err, ErrTooMuch):
		return wechatRefuse(http.StatusBadRequest, "INVALID_REQUEST", "退款金额大于可退金额")
	case err != nil:
		return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "参数错误")
	}
	effect := "refunded"
	if again {
		effect = "repeated"
	}
	return wechatAnswer{body: s.wechatRefundAnswer(booked), effect: effect}
}

func (s *Server) wechatRefundQuery(r *http.Request, _ []byte) (string, func() wechatAnswer) {
	number := r.PathValue("number")
	return number, func() wechatAnswer {
		refund, known := s.books.FindRefund(WeChat, number)
		p, _ := s.books.Payment(WeChat, refund.Payment)
		if !known || p.SubMerchant != r.URL.Query().Get("sub_mchid") {
			return wechatRefuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "退款单不存在")
		}
		return wechatAnswer{body: s.wechatRefundAnswer(refund), effect: "asked"}
	}
}

var wechatStates = map[string]string{Done: "SUCCESS", Processing: "PROCESSING", Closed: "CLOSED", Abnormal: "ABNORMAL"}

func (s *Server) wechatRefundAnswer(r Refund) map[string]any {
	p, _ := s.books.Payment(WeChat, r.Payment)
	a := map[string]any{
		"refund_id": r.ChannelNo, "out_refund_no": r.Number, "transaction_id": p.ChannelNo, "out_trade_no": p.Number,
		"channel": "ORIGINAL", "user_received_account": "支付用户零钱", "create_time": r.AcceptedAt.Format(time.RFC3339),
		"status": wechatStates[r.State], "funds_account": "AVAILABLE",
		"amount": map[string]any{
			"total": p.AmountFen, "refund": r.AmountFen, "payer_total": p.AmountFen - p.CouponFen, "payer_refund": r.AmountFen,
			"settlement_total": p.AmountFen - p.CouponFen, "settlement_refund": r.AmountFen, "discount_refund": 0, "currency": "CNY",
		},
	}
	if !r.SuccessAt.IsZero() {
		a["success_time"] = r.SuccessAt.Format(time.RFC3339)
	}
	return a
}

func (s *Server) wechatPaymentQuery(r *http.Request, _ []byte) (string, func() wechatAnswer) {
	number := r.PathValue("number")
	return number, func() wechatAnswer {
		p, paid := s.books.Payment(WeChat, number)
		t, asked := s.books.Trade(WeChat, number)
		if r.URL.Query().Get("mchid") != s.keys.Keys.Merchant || !paid && !asked {
			return wechatRefuse(http.StatusNotFound, "ORDER_NOT_EXIST", "订单不存在")
		}
		switch {
		case paid && p.RefundedFen > 0:
			return wechatAnswer{effect: "asked", body: s.wechatPaid(p, "REFUND")}
		case paid:
			return wechatAnswer{effect: "asked", body: s.wechatPaid(p, "SUCCESS")}
		}
		state := "NOTPAY"
		if t.Closed {
			state = "CLOSED"
		}
		return wechatAnswer{effect: "asked", body: map[string]any{
			"appid": wechatApp, "mchid": s.keys.Keys.Merchant, "out_trade_no": t.Number, "trade_type": "JSAPI", "trade_state": state, "trade_state_desc": state,
			"amount": map[string]any{"total": t.AmountFen, "currency": "CNY"},
		}}
	}
}

func (s *Server) wechatCertificates(*http.Request, []byte) (string, func() wechatAnswer) {
	return "", func() wechatAnswer {
		nonce, sealed, err := s.keys.seal(s.keys.PlatformCertificate)
		if err != nil {
			return wechatRefuse(http.StatusInternalServerError, "SYSTEM_ERROR", "系统异常")
		}
		return wechatAnswer{effect: "asked", body: map[string]any{"data": []any{map[string]any{
			"serial_no": s.keys.certificateSerial,
			"encrypt_certificate": map[string]string{
				"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": sealedAs, "ciphertext": sealed,
			},
		}}}}
	}
}

func (s *Server) wechatBill(r *http.Request, _ []byte) (string, func() wechatAnswer) {
	q := r.URL.Query()
	day := q.Get("bill_date")
	return day, func() wechatAnswer {
		if q.Get("bill_type") != "ALL" || q.Get("tar_type") != "GZIP" && q.Get("tar_type") != "" {
			return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "bill_type 只支持 ALL")
		}
		lines, err := s.books.Bill(WeChat, day)
		switch {
		case err != nil:
			return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "bill_date 格式错误")
		case s.strikes(BillLate, day):
			return wechatRefuse(http.StatusBadRequest, "STATEMENT_CREATING", "账单生成中，请稍后再试")
		case len(lines) == 0 || s.strikes(BillNone, day):
			return wechatRefuse(http.StatusBadRequest, "NO_STATEMENT_EXIST", "账单文件不存在")
		}
		bill, err := s.prepareWeChatBill(day, lines, q.Get("tar_type") == "GZIP")
		if err != nil {
			return wechatRefuse(http.StatusInternalServerError, "SYSTEM_ERROR", "系统异常")
		}
		url := fmt.Sprintf("http://%s/v3/billdownload/file?token=%s", r.Host, bill.token)
		if bill.packed {
			url += "&tartype=gzip"
		}
		return wechatAnswer{effect: "asked", body: map[string]string{"hash_type": "SHA1", "hash_value": bill.sha1, "download_url": url}}
	}
}

func (s *Server) wechatDownload(r *http.Request, _ []byte) (string, func() wechatAnswer) {
	token := r.URL.Query().Get("token")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bills {
		if b.token == token {
			return b.day, func() wechatAnswer { return wechatAnswer{body: b.file, effect: "downloaded"} }
		}
	}
	return "", func() wechatAnswer {
		return wechatRefuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "下载地址已失效")
	}
}
