package wechatpay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"hishub/connectors/wire"
	"hishub/core"
)

// Call implements core.Connector: core.ChannelOpRefund and core.ChannelOpRefundQuery.
// What WeChat refuses is state failed with its code and words as the message;
// a refund that it does not know is absent. Beside the faults that every connector
// has, one that says "not now" (429) is Unavailable, and a 5xx InDoubt: the refund
// may be booked, and asking tells.
func (c *Connector) Call(ctx context.Context, q core.Request) (core.Response, error) {
	op := "wechatpay " + q.Operation
	a, err := readAsked(q)
	if err != nil {
		return core.Response{}, wire.Invalid(op, err)
	}
	var r core.Response
	var s said
	if q.Operation == core.ChannelOpRefund {
		var body []byte
		if body, err = json.Marshal(c.refundBody(a)); err != nil {
			return core.Response{}, wire.Invalid(op, errors.New("the refund cannot be written as JSON"))
		}
		r, s, err = c.ask(ctx, op, http.MethodPost, "/v3/refund/domestic/refunds", body)
	} else {
		path := "/v3/refund/domestic/refunds/" + url.PathEscape(a.refundNo)
		if c.sub != "" {
			path += "?sub_mchid=" + url.QueryEscape(c.sub)
		}
		r, s, err = c.ask(ctx, op, http.MethodGet, path, nil)
	}
	if err != nil {
		return r, err
	}
	if s.refused() {
		r.Body = refusal(q.Operation, s)
		return r, nil
	}
	if r.Body, err = readRefund(s.body, a); err != nil {
		return r, wire.InDoubt(op, err)
	}
	return r, nil
}

// asked is what the body of a request says.
type asked struct {
	refundNo, orderID, channelNo, reason string
	amount, paid                         int64 // fen; 0 in a query that does not say
}

func readAsked(q core.Request) (asked, error) {
	if q.Operation != core.ChannelOpRefund && q.Operation != core.ChannelOpRefundQuery {
		return asked{}, fmt.Errorf("no such operation; there are %s and %s", core.ChannelOpRefund, core.ChannelOpRefundQuery)
	}
	body, ok := q.Body.(core.Tree)
	if !ok {
		return asked{}, errors.New("the body is not a tree")
	}
	text := func(name string) string {
		s, _ := core.Text(body.Get(name))
		return s
	}
	a := asked{refundNo: text("refund_no"), orderID: text("order_id"), channelNo: text("channel_no"), reason: cut(text("reason"), 80)}
	if a.refundNo == "" {
		return a, errors.New("refund_no is missing")
	}
	if q.Operation == core.ChannelOpRefundQuery {
		return a, nil
	}
	for _, n := range []struct {
		name string
		into *int64
	}{{"amount", &a.amount}, {"paid", &a.paid}} {
		fen, err := strconv.ParseInt(text(n.name), 10, 64)
		if err != nil || fen <= 0 {
			return a, fmt.Errorf("%s is not a whole number of fen above 0", n.name)
		}
		*n.into = fen
	}
	if a.orderID == "" && a.channelNo == "" {
		return a, errors.New("channel_no and order_id are missing; one of them is needed")
	}
	return a, nil
}

// cut keeps at most so many bytes, whole characters: WeChat refuses a longer reason.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// refundRequest is WeChat's document. Amounts are fen here, unlike in the bill.
type refundRequest struct {
	SubMerchant   string       `json:"sub_mchid,omitempty"`
	TransactionID string       `json:"transaction_id,omitempty"`
	OutTradeNo    string       `json:"out_trade_no,omitempty"`
	OutRefundNo   string       `json:"out_refund_no"`
	Reason        string       `json:"reason,omitempty"`
	Amount        refundAmount `json:"amount"`
}

type refundAmount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

// refundBody names the payment by WeChat's own number where we have it; both at
// once are refused.
func (c *Connector) refundBody(a asked) refundRequest {
	r := refundRequest{
		SubMerchant: c.sub, TransactionID: a.channelNo, OutRefundNo: a.refundNo, Reason: a.reason,
		Amount: refundAmount{Refund: a.amount, Total: a.paid, Currency: "CNY"},
	}
	if r.TransactionID == "" {
		r.OutTradeNo = a.orderID
	}
	return r
}

// refusal: what is absent is absent only for who asked about a refund; a refund of a
// payment that is not there was refused.
func refusal(operation string, s said) core.Tree {
	state := string(core.EntryFailed)
	if operation == core.ChannelOpRefundQuery && (s.code == "RESOURCE_NOT_EXISTS" || s.code == "REFUND_NOT_EXISTS") {
		state = string(core.StateAbsent)
	}
	return core.Tree{{Name: "state", Value: state}, {Name: "message", Value: s.code + ": " + s.message}}
}

// states of a refund. An ABNORMAL one has left the merchant's account and waits
// for a person at WeChat's pages to name another card: it still stands under its
// number, so that calling it failed would invite to pay a second time.
var states = map[string]core.EntryState{
	"SUCCESS": core.EntryDone, "PROCESSING": core.EntryProcessing, "ABNORMAL": core.EntryProcessing, "CLOSED": core.EntryFailed,
}

// readRefund reads a refund as WeChat keeps it. The answer must be about what was
// asked.
func readRefund(body []byte, a asked) (core.Tree, error) {
	var r struct {
		RefundID    string `json:"refund_id"`
		OutRefundNo string `json:"out_refund_no"`
		Status      string `json:"status"`
		CreateTime  string `json:"create_time"`
		Amount      struct {
			Refund   int64  `json:"refund"`
			Currency string `json:"currency"`
		} `json:"amount"`
	}
	if json.Unmarshal(body, &r) != nil {
		return nil, errors.New("the answer is not the document of a refund")
	}
	state, known := states[r.Status]
	switch {
	case r.OutRefundNo != a.refundNo:
		return nil, errors.New("the answer is about another refund")
	case !known:
		return nil, errors.New("the answer has a status that is not known")
	case r.Amount.Refund <= 0 || r.Amount.Currency != "" && r.Amount.Currency != "CNY":
		return nil, errors.New("the answer has no amount in fen")
	}
	t := core.Tree{
		{Name: "state", Value: string(state)}, {Name: "channel_refund_no", Value: r.RefundID},
		{Name: "amount", Value: strconv.FormatInt(r.Amount.Refund, 10)},
	}
	// By the time of acceptance WeChat's bill dates the refund, however much later it arrives.
	if at, err := time.Parse(time.RFC3339, r.CreateTime); err == nil {
		t = append(t, core.Field{Name: "at", Value: at.Format(time.RFC3339)})
	}
	if r.Status == "ABNORMAL" || r.Status == "CLOSED" {
		t = append(t, core.Field{Name: "message", Value: r.Status})
	}
	return t, nil
}
