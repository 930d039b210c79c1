package alipay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"hishub/connectors/wire"
	"hishub/core"
)

// Call implements core.Connector: core.ChannelOpRefund and core.ChannelOpRefundQuery.
func (c *Connector) Call(ctx context.Context, q core.Request) (core.Response, error) {
	op := "alipay " + q.Operation
	a, err := readAsked(q)
	if err != nil {
		return core.Response{}, wire.Invalid(op, err)
	}
	if q.Operation == core.ChannelOpRefund {
		return c.refund(ctx, a)
	}
	return c.query(ctx, a)
}

// asked is what the body of a request says.
type asked struct {
	refundNo, orderID, tradeNo, reason string
	amount                             core.Fen
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
	a := asked{refundNo: text("refund_no"), orderID: text("order_id"), tradeNo: text("channel_no"), reason: text("reason")}
	switch {
	case a.refundNo == "":
		return a, errors.New("refund_no is missing")
	case a.tradeNo == "" && a.orderID == "":
		return a, errors.New("channel_no and order_id are missing; one of them is needed")
	case q.Operation == core.ChannelOpRefundQuery:
		return a, nil
	}
	fen, err := strconv.ParseInt(text("amount"), 10, 64)
	if err != nil || fen <= 0 {
		return a, errors.New("amount is not a whole number of fen above 0")
	}
	a.amount = core.Fen(fen)
	return a, nil
}

// refundNumber stands for the number of a refund, which Alipay does not have: it
// shows the payment's trade number and our request number. Both together are
// unique, and the same in a bill and in an answer. At most 64 characters; what
// is too much is cut from the trade number.
func refundNumber(tradeNo, requestNo string) string {
	n := tradeNo + "-" + requestNo
	if len(n) > 64 {
		n = n[len(n)-64:]
	}
	return n
}

// timeLayout is how Alipay writes a time, in its zone.
const timeLayout = "2006-01-02 15:04:05"

type refundAnswer struct {
	sdk.TradeRefundRsp
	// GMTRefundPay is when the money went back; some accounts get it.
	GMTRefundPay string `json:"gmt_refund_pay"`
}

func (c *Connector) refund(ctx context.Context, a asked) (core.Response, error) {
	var answer refundAnswer
	r, err := c.ask(ctx, sdk.TradeRefund{
		OutTradeNo: a.orderID, TradeNo: a.tradeNo, OutRequestNo: a.refundNo,
		RefundAmount: a.amount.String(), RefundReason: a.reason,
	}, &answer)
	if err != nil {
		return r, err
	}
	if said, err := refusal("alipay.trade.refund", answer.Error); said != nil || err != nil {
		r.Body = said
		return r, err
	}
	if answer.FundChange != "Y" {
		return c.unchanged(ctx, a, r)
	}
	at, err := time.ParseInLocation(timeLayout, answer.GMTRefundPay, zone)
	if err != nil {
		at = c.now() // Alipay has paid it back before it answers
	}
	// answer.RefundFee is no use: it is what went back of this trade in all.
	r.Body = state(core.EntryDone, refundNumber(answer.TradeNo, a.refundNo), a.amount, at)
	return r, nil
}

// unchanged: no money moved by this call. Either it had been paid back under the
// same request number before, or it has not been yet; only asking tells. Nobody
// asks us again before we have answered, so this is done here.
func (c *Connector) unchanged(ctx context.Context, a asked, r core.Response) (core.Response, error) {
	seen, err := c.query(ctx, a)
	body, _ := seen.Body.(core.Tree)
	if s, _ := core.Text(body.Get("state")); err == nil && s == string(core.EntryDone) {
		r.Body = body
		return r, nil
	}
	r.Body = core.Tree{{Name: "state", Value: string(core.EntryProcessing)}}
	return r, nil
}

func (c *Connector) query(ctx context.Context, a asked) (core.Response, error) {
	var answer sdk.TradeFastPayRefundQueryRsp
	r, err := c.ask(ctx, sdk.TradeFastPayRefundQuery{
		OutTradeNo: a.orderID, TradeNo: a.tradeNo, OutRequestNo: a.refundNo,
		QueryOptions: []string{"gmt_refund_pay"},
	}, &answer)
	if err != nil {
		return r, err
	}
	const op = "alipay.trade.fastpay.refund.query"
	if said, err := refusal(op, answer.Error); said != nil || err != nil {
		r.Body = said
		return r, err
	}
	// Without a state Alipay did not get the request, or could not carry it out.
	if answer.RefundStatus != "REFUND_SUCCESS" {
		r.Body = core.Tree{{Name: "state", Value: "absent"}}
		return r, nil
	}
	amount, err := core.ParseYuan(answer.RefundAmount)
	if err != nil || answer.OutRequestNo != "" && answer.OutRequestNo != a.refundNo {
		return r, wire.InDoubt(op, errors.New("the answer is of another refund, or has no amount"))
	}
	at, err := time.ParseInLocation(timeLayout, answer.GMTRefundPay, zone)
	if err != nil {
		at = time.Time{}
	}
	r.Body = state(core.EntryDone, refundNumber(answer.TradeNo, a.refundNo), amount, at)
	return r, nil
}

func state(s core.EntryState, number string, amount core.Fen, at time.Time) core.Tree {
	t := core.Tree{
		{Name: "state", Value: string(s)}, {Name: "channel_refund_no", Value: number},
		{Name: "amount", Value: strconv.FormatInt(int64(amount), 10)},
	}
	if !at.IsZero() {
		t = append(t, core.Field{Name: "at", Value: at.Format(time.RFC3339)})
	}
	return t
}

// refusal reads what Alipay signed: nil, nil when it agreed. Its no is an answer;
// that it does not know is a doubt.
func refusal(op string, e sdk.Error) (core.Value, error) {
	switch {
	case e.Code.IsSuccess():
		return nil, nil
	case unsure(e):
		return nil, wire.InDoubt("alipay "+op, fmt.Errorf("alipay does not know: %s %s", plain(string(e.Code)), plain(e.SubCode)))
	}
	message := e.SubMsg
	if message == "" {
		message = e.Msg
	}
	return core.Tree{
		{Name: "state", Value: string(core.EntryFailed)},
		{Name: "message", Value: fmt.Sprintf("%s (%s)", message, e.SubCode)},
	}, nil
}
