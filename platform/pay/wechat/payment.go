package wechat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"hishub/core"
	"hishub/platform/pay"
)

// prepay is WeChat's document. Amounts are fen.
type prepay struct {
	App         string `json:"appid"`
	Merchant    string `json:"mchid"`
	Description string `json:"description"`
	OutTradeNo  string `json:"out_trade_no"`
	Expire      string `json:"time_expire"`
	Notify      string `json:"notify_url"`
	Amount      amount `json:"amount"`
	Payer       *payer `json:"payer,omitempty"`
	Scene       *scene `json:"scene_info,omitempty"`
}

type amount struct {
	Total    int64  `json:"total"`
	Refund   int64  `json:"refund,omitempty"`
	Currency string `json:"currency"`
}

type payer struct {
	OpenID string `json:"openid"`
}

type scene struct {
	IP string `json:"payer_client_ip"`
	H5 h5     `json:"h5_info"`
}

type h5 struct {
	Type string `json:"type"`
}

// Pay implements pay.Channel.
func (c *Channel) Pay(ctx context.Context, q pay.Charge) pay.Prepaid {
	p := prepay{App: c.app, Merchant: c.merchant, Description: q.Title, OutTradeNo: q.No, Expire: q.ExpiresAt.Format(time.RFC3339), Notify: q.Notice, Amount: amount{Total: int64(q.Amount), Currency: "CNY"}}
	if p.Notify == "" { // it must be there; a payment without a notice is asked about
		p.Notify = "https://localhost/clinic/v1/notices/wechat/none"
	}
	switch q.Way {
	case pay.JSAPI:
		p.Payer = &payer{q.Payer}
	case pay.H5:
		p.Scene = &scene{q.Address, h5{"Wap"}}
	case pay.Native:
	default:
		return pay.Prepaid{State: pay.Refused, Words: "there is no such way of paying"}
	}
	var out struct {
		PrepayID string `json:"prepay_id"`
		CodeURL  string `json:"code_url"`
		H5URL    string `json:"h5_url"`
	}
	a := c.ask(ctx, http.MethodPost, "/v3/pay/transactions/"+string(q.Way), p, &out)
	switch {
	case a.doubt != "" || a.code == "FREQUENCY_LIMITED" || a.code == "ORDER_PAID" || a.code == "OUT_TRADE_NO_USED":
		return pay.Prepaid{State: pay.Unknown, Words: a.words()} // asking tells
	case a.code != "":
		return pay.Prepaid{State: pay.Refused, Words: a.words()}
	}
	client := map[string]string{}
	switch {
	case q.Way == pay.JSAPI && out.PrepayID != "":
		var err error
		if client, err = c.call(ctx, out.PrepayID); err != nil {
			return pay.Prepaid{State: pay.Unknown, Words: "the parameters of the call cannot be signed"}
		}
	case q.Way == pay.Native && out.CodeURL != "":
		client["code_url"] = out.CodeURL
	case q.Way == pay.H5 && out.H5URL != "":
		client["url"] = out.H5URL
	default:
		return pay.Prepaid{State: pay.Unknown, Words: "an answer has not what was asked for"}
	}
	return pay.Prepaid{State: pay.Waiting, Client: client}
}

// call is what the app gives to wx.requestPayment.
func (c *Channel) call(ctx context.Context, prepayID string) (map[string]string, error) {
	nonce, err := utils.GenerateNonce()
	if err != nil {
		return nil, err
	}
	at, pack := strconv.FormatInt(time.Now().Unix(), 10), "prepay_id="+prepayID
	signature, err := c.client.Sign(ctx, fmt.Sprintf("%s\n%s\n%s\n%s\n", c.app, at, nonce, pack))
	if err != nil {
		return nil, err
	}
	return map[string]string{"appId": c.app, "timeStamp": at, "nonceStr": nonce, "package": pack, "signType": "RSA", "paySign": signature.Signature}, nil
}

// Query implements pay.Channel.
func (c *Channel) Query(ctx context.Context, no string) pay.Money {
	var t payments.Transaction
	a := c.ask(ctx, http.MethodGet, "/v3/pay/transactions/out-trade-no/"+url.PathEscape(no)+"?mchid="+url.QueryEscape(c.merchant), nil, &t)
	switch {
	case a.doubt != "":
		return pay.Money{State: pay.Unknown, Words: a.words()}
	case a.code == "ORDER_NOT_EXIST" || a.code == "RESOURCE_NOT_EXISTS":
		return pay.Money{State: pay.None}
	case a.code == "ORDER_CLOSED":
		return pay.Money{State: pay.Shut}
	case a.code != "":
		return pay.Money{State: pay.Unknown, Words: a.words()}
	case text(t.OutTradeNo) != no || text(t.Mchid) != c.merchant:
		return pay.Money{State: pay.Unknown, Words: "an answer is about another payment"}
	}
	return money(t)
}

// money reads a payment as WeChat has it. What the payer paid may be less by a coupon; the
// order's amount counts.
func money(t payments.Transaction) pay.Money {
	switch text(t.TradeState) {
	case "SUCCESS", "REFUND":
	case "CLOSED", "REVOKED", "PAYERROR":
		return pay.Money{State: pay.Shut}
	case "NOTPAY", "USERPAYING", "ACCEPT":
		return pay.Money{State: pay.Waiting}
	default:
		return pay.Money{State: pay.Unknown, Words: "an answer has a trade_state that is not known"}
	}
	at, err := time.Parse(time.RFC3339, text(t.SuccessTime))
	if err != nil || t.Amount == nil || t.Amount.Total == nil || *t.Amount.Total <= 0 || text(t.TransactionId) == "" || t.Amount.Currency != nil && *t.Amount.Currency != "CNY" {
		return pay.Money{State: pay.Unknown, Words: "an answer says that it is paid, and not when, how much or under which number"}
	}
	return pay.Money{State: pay.Paid, ChannelNo: text(t.TransactionId), Amount: core.Fen(*t.Amount.Total), At: at}
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// Close implements pay.Channel. What was paid is not closed, so a refusal is followed by a
// question.
func (c *Channel) Close(ctx context.Context, no string) pay.Money {
	a := c.ask(ctx, http.MethodPost, "/v3/pay/transactions/out-trade-no/"+url.PathEscape(no)+"/close", map[string]string{"mchid": c.merchant}, nil)
	switch {
	case a.doubt != "":
		return pay.Money{State: pay.Unknown, Words: a.words()}
	case a.code == "":
		return pay.Money{State: pay.Shut}
	}
	m := c.Query(ctx, no)
	if m.State == pay.Waiting { // refused, and yet not paid: it may be yet
		return pay.Money{State: pay.Unknown, Words: a.words()}
	}
	return m
}

// Callback implements pay.Channel.
func (c *Channel) Callback(ctx context.Context, header http.Header, body []byte) (pay.Notice, error) {
	q := &http.Request{Header: header, Body: io.NopCloser(bytes.NewReader(body))}
	var content struct {
		payments.Transaction
		OutRefundNo string `json:"out_refund_no"`
	}
	// The signature is checked first: only what the platform wrote is decrypted and read.
	n, err := c.notices.ParseNotifyRequest(ctx, q, &content)
	switch {
	case err != nil && n == nil:
		return pay.Notice{}, pay.ErrForged // its text repeats the request
	case err != nil:
		return pay.Notice{}, errors.New("a notice cannot be read with api_v3_key")
	case text(content.Mchid) != c.merchant:
		return pay.Notice{}, errors.New("a notice is for another merchant")
	case content.OutRefundNo != "":
		return pay.Notice{Refund: content.OutRefundNo}, nil
	case text(content.OutTradeNo) == "":
		return pay.Notice{}, errors.New("a notice is about no payment")
	}
	return pay.Notice{Payment: text(content.OutTradeNo), Money: money(content.Transaction)}, nil
}

// Answer implements pay.Channel.
func (c *Channel) Answer(taken bool) pay.Answer {
	if taken {
		return pay.Answer{Status: http.StatusOK, Type: "application/json", Body: `{"code":"SUCCESS"}`}
	}
	return pay.Answer{Status: http.StatusInternalServerError, Type: "application/json", Body: `{"code":"FAIL","message":"失败"}`}
}

// shorten keeps whole characters of at most so many bytes: WeChat refuses longer ones.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
