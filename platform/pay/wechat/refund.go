package wechat

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"hishub/core"
	"hishub/platform/pay"
)

// refundStates: an ABNORMAL one has left the merchant's account and waits for a person at
// WeChat's pages to name another card: it stands under its number, so that calling it
// refused would invite to pay a second time.
var refundStates = map[string]pay.GivenState{"SUCCESS": pay.Returned, "PROCESSING": pay.Processing, "ABNORMAL": pay.Processing, "CLOSED": pay.Denied}

type refund struct {
	RefundID    string `json:"refund_id"`
	OutRefundNo string `json:"out_refund_no"`
	Status      string `json:"status"`
	CreateTime  string `json:"create_time"`
	Amount      struct {
		Refund int64 `json:"refund"`
	} `json:"amount"`
}

// Refund implements pay.Channel.
func (c *Channel) Refund(ctx context.Context, g pay.Giving) pay.Given {
	body := struct {
		TransactionID string `json:"transaction_id"`
		OutRefundNo   string `json:"out_refund_no"`
		Reason        string `json:"reason,omitempty"`
		Notify        string `json:"notify_url,omitempty"`
		Amount        amount `json:"amount"`
	}{g.ChannelNo, g.No, shorten(g.Reason, 80), g.Notice, amount{Total: int64(g.Total), Refund: int64(g.Amount), Currency: "CNY"}}
	var r refund
	a := c.ask(ctx, http.MethodPost, "/v3/refund/domestic/refunds", body, &r)
	switch {
	case a.doubt != "" || a.code == "FREQUENCY_LIMITED" || a.status == http.StatusUnauthorized:
		return pay.Given{State: pay.Doubtful, Words: a.words()}
	case a.code != "":
		return pay.Given{State: pay.Denied, Words: a.words()}
	}
	return given(r, g)
}

// QueryRefund implements pay.Channel.
func (c *Channel) QueryRefund(ctx context.Context, g pay.Giving) pay.Given {
	var r refund
	a := c.ask(ctx, http.MethodGet, "/v3/refund/domestic/refunds/"+url.PathEscape(g.No), nil, &r)
	switch {
	case a.doubt != "":
		return pay.Given{State: pay.Doubtful, Words: a.words()}
	case a.code == "RESOURCE_NOT_EXISTS" || a.code == "REFUND_NOT_EXISTS":
		return pay.Given{State: pay.Absent}
	case a.code != "":
		return pay.Given{State: pay.Doubtful, Words: a.words()}
	}
	return given(r, g)
}

// given reads a refund as WeChat has it; it must be the one that was asked about.
func given(r refund, g pay.Giving) pay.Given {
	state, known := refundStates[r.Status]
	if !known || r.OutRefundNo != g.No || core.Fen(r.Amount.Refund) != g.Amount {
		return pay.Given{State: pay.Doubtful, Words: "an answer is about another refund, or has a status that is not known"}
	}
	out := pay.Given{State: state, ChannelNo: r.RefundID, Amount: core.Fen(r.Amount.Refund), Words: r.Status}
	// By the time of acceptance WeChat's bill dates it, however much later it arrives.
	at, err := time.Parse(time.RFC3339, r.CreateTime)
	if err != nil {
		at = time.Now()
	}
	out.At = at
	return out
}
