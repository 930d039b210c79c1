package paychannel

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/mocks/books"
)

// PayTrade is a payer who pays what a merchant asked for; fen 0 is the amount that was
// asked for. The merchant is told, as far as faults let it.
func (s *Server) PayTrade(channel, number string, fen int64) (Payment, error) {
	t, known := s.books.Trade(channel, number)
	if known && s.strikes(PaidOtherAmount, number) {
		fen = t.AmountFen + 1
	}
	t, p, err := s.books.pay(channel, number, fen)
	if err != nil {
		return p, err
	}
	n := notice{trade: t, payment: p}
	switch {
	case t.Notify == "" || s.strikes(NoticeLost, number):
		s.books.Note(channel+" notice", number, "none", string(NoticeLost))
		return p, nil
	case s.strikes(NoticeLate, number):
		s.keep(n)
		return p, nil
	}
	if s.strikes(NoticeForged, number) {
		forged := n
		forged.forged = true
		s.send(forged)
		s.books.Note(channel+" notice", number, "none", string(NoticeForged))
		return p, nil
	}
	s.deliver(n)
	if s.strikes(NoticeDoubled, number) {
		s.deliver(n)
	}
	return p, nil
}

// notice of a payment to its merchant.
type notice struct {
	trade   Trade
	payment Payment
	forged  bool // signed by somebody else
}

func (s *Server) keep(n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, n)
}

// SendNotices sends what was held back, or not taken, and returns how many were taken.
func (s *Server) SendNotices() (taken int) {
	s.mu.Lock()
	all := s.notices
	s.notices = nil
	s.mu.Unlock()
	for _, n := range all {
		if s.deliver(n) {
			taken++
		}
	}
	return taken
}

// deliver sends a notice; one that is not taken is kept for later.
func (s *Server) deliver(n notice) bool {
	if s.send(n) {
		s.books.Note(n.trade.Channel+" notice", n.trade.Number, "taken", "")
		return true
	}
	s.books.Note(n.trade.Channel+" notice", n.trade.Number, "not taken", "")
	s.keep(n)
	return false
}

// Forge sends a notice of a payment that nobody made, signed by somebody else, and returns
// the status of the answer.
func (s *Server) Forge(channel, number string) (status int, err error) {
	t, known := s.books.Trade(channel, number)
	if !known {
		return 0, ErrNoTrade
	}
	status, _ = s.post(notice{trade: t, forged: true, payment: Payment{Channel: channel, Number: number, ChannelNo: "4200000000202601050000000666", AmountFen: t.AmountFen, PaidAt: s.books.Now()}})
	return status, nil
}

func (s *Server) send(n notice) bool {
	status, text := s.post(n)
	return status == http.StatusOK && (n.trade.Channel != Alipay || strings.TrimSpace(text) == "success") || status == http.StatusNoContent
}

var messenger = &http.Client{Timeout: 5 * time.Second}

func (s *Server) post(n notice) (status int, text string) {
	q, err := s.wechatNotice(n)
	if n.trade.Channel == Alipay {
		q, err = s.alipayNotice(n)
	}
	if err != nil {
		return 0, ""
	}
	r, err := messenger.Do(q)
	if err != nil {
		return 0, ""
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	return r.StatusCode, string(b)
}

// wechatNotice writes, encrypts and signs TRANSACTION.SUCCESS.
//
// Source: pay.weixin.qq.com/doc/v3, notice of a payment.
func (s *Server) wechatNotice(n notice) (*http.Request, error) {
	inner, err := json.Marshal(s.wechatPaid(n.payment, "SUCCESS"))
	if err != nil {
		return nil, err
	}
	const about = "transaction"
	nonce, sealed, err := s.keys.sealAs(string(inner), about)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"id": newToken(), "create_time": s.books.Now().Format(time.RFC3339), "resource_type": "encrypt-resource", "event_type": "TRANSACTION.SUCCESS", "summary": "支付成功",
		"resource": map[string]string{"original_type": about, "algorithm": "AEAD_AES_256_GCM", "ciphertext": sealed, "associated_data": about, "nonce": nonce},
	})
	if err != nil {
		return nil, err
	}
	timestamp, word := strconv.FormatInt(time.Now().Unix(), 10), newToken()
	signature, err := s.keys.sign(timestamp + "\n" + word + "\n" + string(body) + "\n")
	if n.forged && err == nil {
		signature, err = forge(timestamp + "\n" + word + "\n" + string(body) + "\n")
	}
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequest(http.MethodPost, n.trade.Notify, bytes.NewReader(body)) //nolint:noctx // the client has a timeout
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Wechatpay-Serial", s.keys.PublicKeyID)
	q.Header.Set("Wechatpay-Timestamp", timestamp)
	q.Header.Set("Wechatpay-Nonce", word)
	q.Header.Set("Wechatpay-Signature", signature)
	q.Header.Set("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048")
	return q, nil
}

// forge signs by a key that nobody knows.
func forge(text string) (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return base64.StdEncoding.EncodeToString(signature), err
}

// alipayNotice writes and signs trade_status_sync.
//
// Source: opendocs.alipay.com, asynchronous notices.
func (s *Server) alipayNotice(n notice) (*http.Request, error) {
	form := url.Values{
		"notify_time": {s.books.Now().Format(books.TimeLayout)}, "notify_type": {"trade_status_sync"}, "notify_id": {newToken()}, "charset": {"utf-8"}, "version": {"1.0"},
		"app_id": {s.alipay.App}, "seller_id": {s.alipay.Account}, "trade_no": {n.payment.ChannelNo}, "out_trade_no": {n.payment.Number}, "trade_status": {"TRADE_SUCCESS"},
		"total_amount": {books.Yuan(n.payment.AmountFen)}, "receipt_amount": {books.Yuan(n.payment.AmountFen)}, "gmt_payment": {n.payment.PaidAt.In(Zone).Format(books.TimeLayout)},
	}
	var pairs []string
	for name := range form {
		pairs = append(pairs, name+"="+form.Get(name))
	}
	slices.Sort(pairs)
	text := strings.Join(pairs, "&")
	sum := sha256.Sum256([]byte(text))
	signed, err := rsa.SignPKCS1v15(rand.Reader, s.alipay.alipay, crypto.SHA256, sum[:])
	signature := base64.StdEncoding.EncodeToString(signed)
	if n.forged && err == nil {
		signature, err = forge(text)
	}
	if err != nil {
		return nil, err
	}
	form.Set("sign_type", "RSA2")
	form.Set("sign", signature)
	q, err := http.NewRequest(http.MethodPost, n.trade.Notify, strings.NewReader(form.Encode())) //nolint:noctx // the client has a timeout
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return q, nil
}

// wallet lists what may be paid, with a button each: the page of a payer.
func (s *Server) wallet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><meta charset="utf-8"><title>模拟钱包</title><h1>模拟钱包</h1><p>没有真实资金。</p>`)
	for _, t := range s.books.Trades() {
		if _, paid := s.books.Payment(t.Channel, t.Number); paid || t.Closed {
			continue
		}
		_, _ = fmt.Fprintf(w, `<form method="post" action="/wallet/pay"><input type="hidden" name="channel" value="%s"><input type="hidden" name="number" value="%s">%s %s %s 元 <button>支付</button></form>`,
			t.Channel, plainText(t.Number), t.Channel, plainText(t.Subject), books.Yuan(t.AmountFen))
	}
}

var plain = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;")

func plainText(s string) string { return plain.Replace(s) }

// walletPay pays one: of a form, or of {"channel","number","amount_fen"}.
func (s *Server) walletPay(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Channel   string `json:"channel"`
		Number    string `json:"number"`
		AmountFen int64  `json:"amount_fen"`
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := decode(r, &q); err != nil {
			answer(w, nil, err)
			return
		}
		if q.Channel == "" {
			q.Channel = WeChat
		}
		p, err := s.PayTrade(q.Channel, q.Number, q.AmountFen)
		answer(w, p, err)
		return
	}
	if _, err := s.PayTrade(r.FormValue("channel"), r.FormValue("number"), 0); err != nil {
		answer(w, nil, err)
		return
	}
	http.Redirect(w, r, "/wallet", http.StatusSeeOther)
}
