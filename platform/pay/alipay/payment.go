package alipay

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"hishub/core"
	"hishub/platform/pay"
)

// Pay implements pay.Channel. H5 asks nothing: it is a signed address, and the trade is
// there once the payer opens it.
func (c *Channel) Pay(ctx context.Context, q pay.Charge) pay.Prepaid {
	trade := sdk.Trade{NotifyURL: q.Notice, Subject: q.Title, OutTradeNo: q.No, TotalAmount: q.Amount.String(), StoreId: c.store, TimeExpire: q.ExpiresAt.In(zone).Format(timeLayout)}
	switch q.Way {
	case pay.H5:
		trade.ProductCode = "QUICK_WAP_WAY"
		u, err := c.client.TradeWapPay(sdk.TradeWapPay{Trade: trade, TimeExpire: q.ExpiresAt.In(zone).Format("2006-01-02 15:04")})
		if err != nil {
			return pay.Prepaid{State: pay.Refused, Words: "the address cannot be signed"}
		}
		return pay.Prepaid{State: pay.Waiting, Client: map[string]string{"url": u.String()}}
	case pay.Native:
		trade.ProductCode = "FACE_TO_FACE_PAYMENT"
		var a sdk.TradePreCreateRsp
		doubt := c.ask(ctx, sdk.TradePreCreate{Trade: trade}, &a)
		return prepaid(doubt, a.Error, "code_url", a.QRCode)
	case pay.JSAPI:
		trade.ProductCode = "JSAPI_PAY"
		var a sdk.TradeCreateRsp
		doubt := c.ask(ctx, sdk.TradeCreate{Trade: trade, BuyerOpenId: q.Payer}, &a)
		return prepaid(doubt, a.Error, "tradeNO", a.TradeNo)
	}
	return pay.Prepaid{State: pay.Refused, Words: "there is no such way of paying"}
}

func prepaid(doubt string, e sdk.Error, name, value string) pay.Prepaid {
	switch {
	case doubt != "":
		return pay.Prepaid{State: pay.Unknown, Words: doubt}
	case unsure(e), e.SubCode == "ACQ.TRADE_HAS_SUCCESS": // asking tells
		return pay.Prepaid{State: pay.Unknown, Words: plain(e.SubCode)}
	case !e.Code.IsSuccess():
		return pay.Prepaid{State: pay.Refused, Words: plain(e.SubCode)}
	case value == "":
		return pay.Prepaid{State: pay.Unknown, Words: "an answer has not what was asked for"}
	}
	return pay.Prepaid{State: pay.Waiting, Client: map[string]string{name: value}}
}

// Query implements pay.Channel.
func (c *Channel) Query(ctx context.Context, no string) pay.Money {
	var a sdk.TradeQueryRsp
	switch doubt := c.ask(ctx, sdk.TradeQuery{OutTradeNo: no}, &a); {
	case doubt != "":
		return pay.Money{State: pay.Unknown, Words: doubt}
	case a.SubCode == "ACQ.TRADE_NOT_EXIST":
		return pay.Money{State: pay.None}
	case !a.Code.IsSuccess():
		return pay.Money{State: pay.Unknown, Words: plain(a.SubCode)}
	case a.OutTradeNo != no:
		return pay.Money{State: pay.Unknown, Words: "an answer is about another payment"}
	}
	return money(a.TradeStatus, a.TradeNo, a.TotalAmount, a.SendPayDate)
}

// money reads a payment as Alipay has it. A closed one was not paid, or all of it went back.
func money(status sdk.TradeStatus, tradeNo, total, at string) pay.Money {
	switch status {
	case sdk.TradeStatusWaitBuyerPay:
		return pay.Money{State: pay.Waiting}
	case sdk.TradeStatusClosed:
		return pay.Money{State: pay.Shut}
	case sdk.TradeStatusSuccess, sdk.TradeStatusFinished:
	default:
		return pay.Money{State: pay.Unknown, Words: "an answer has a trade_status that is not known"}
	}
	amount, err := core.ParseYuan(total)
	paid, late := time.ParseInLocation(timeLayout, at, zone)
	if err != nil || amount <= 0 || tradeNo == "" || late != nil {
		return pay.Money{State: pay.Unknown, Words: "an answer says that it is paid, and not when, how much or under which number"}
	}
	return pay.Money{State: pay.Paid, ChannelNo: tradeNo, Amount: amount, At: paid}
}

// Close implements pay.Channel. What was paid is not closed, so a refusal is followed by a
// question.
func (c *Channel) Close(ctx context.Context, no string) pay.Money {
	var a sdk.TradeCloseRsp
	doubt := c.ask(ctx, sdk.TradeClose{OutTradeNo: no}, &a)
	switch {
	case doubt != "":
		return pay.Money{State: pay.Unknown, Words: doubt}
	case a.Code.IsSuccess():
		return pay.Money{State: pay.Shut}
	case a.SubCode == "ACQ.TRADE_NOT_EXIST":
		return pay.Money{State: pay.None}
	case unsure(a.Error):
		return pay.Money{State: pay.Unknown, Words: plain(a.SubCode)}
	}
	m := c.Query(ctx, no)
	if m.State == pay.Waiting { // refused, and yet not paid: it may be yet
		return pay.Money{State: pay.Unknown, Words: plain(a.SubCode)}
	}
	return m
}

// Refund implements pay.Channel. Alipay pays back before it answers; an answer that no
// money moved says either that it did before, under this number, or that it has not.
func (c *Channel) Refund(ctx context.Context, g pay.Giving) pay.Given {
	var a struct {
		sdk.TradeRefundRsp
		GMTRefundPay string `json:"gmt_refund_pay"`
	}
	switch doubt := c.ask(ctx, sdk.TradeRefund{TradeNo: g.ChannelNo, OutTradeNo: g.Payment, OutRequestNo: g.No, RefundAmount: g.Amount.String(), RefundReason: g.Reason}, &a); {
	case doubt != "":
		return pay.Given{State: pay.Doubtful, Words: doubt}
	case unsure(a.Error):
		return pay.Given{State: pay.Doubtful, Words: plain(a.SubCode)}
	case !a.Code.IsSuccess():
		return pay.Given{State: pay.Denied, Words: plain(a.SubCode)}
	case a.FundChange != "Y":
		seen := c.QueryRefund(ctx, g)
		if seen.State == pay.Absent {
			seen.State = pay.Processing
		}
		return seen
	}
	at, err := time.ParseInLocation(timeLayout, a.GMTRefundPay, zone)
	if err != nil {
		at = time.Now()
	}
	return pay.Given{State: pay.Returned, ChannelNo: refundNumber(a.TradeNo, g.No), Amount: g.Amount, At: at}
}

// QueryRefund implements pay.Channel. Without a state Alipay did not get the request, or
// could not carry it out: it may be asked again with the same number.
func (c *Channel) QueryRefund(ctx context.Context, g pay.Giving) pay.Given {
	var a sdk.TradeFastPayRefundQueryRsp
	switch doubt := c.ask(ctx, sdk.TradeFastPayRefundQuery{TradeNo: g.ChannelNo, OutTradeNo: g.Payment, OutRequestNo: g.No, QueryOptions: []string{"gmt_refund_pay"}}, &a); {
	case doubt != "":
		return pay.Given{State: pay.Doubtful, Words: doubt}
	case !a.Code.IsSuccess():
		return pay.Given{State: pay.Doubtful, Words: plain(a.SubCode)}
	case a.RefundStatus != "REFUND_SUCCESS":
		return pay.Given{State: pay.Absent}
	}
	amount, err := core.ParseYuan(a.RefundAmount)
	if err != nil || amount != g.Amount || a.OutRequestNo != "" && a.OutRequestNo != g.No {
		return pay.Given{State: pay.Doubtful, Words: "an answer is about another refund"}
	}
	at, err := time.ParseInLocation(timeLayout, a.GMTRefundPay, zone)
	if err != nil {
		at = time.Now()
	}
	return pay.Given{State: pay.Returned, ChannelNo: refundNumber(a.TradeNo, g.No), Amount: amount, At: at}
}

// refundNumber stands for the number of a refund, which Alipay does not have: the trade's
// and ours together are unique, and the same as the bill of the day is read with.
func refundNumber(tradeNo, no string) string {
	n := tradeNo + "-" + no
	if len(n) > 64 {
		n = n[len(n)-64:]
	}
	return n
}

// Callback implements pay.Channel.
func (c *Channel) Callback(ctx context.Context, _ http.Header, body []byte) (pay.Notice, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return pay.Notice{}, pay.ErrForged
	}
	n, err := c.client.DecodeNotification(ctx, form)
	switch {
	case err != nil:
		return pay.Notice{}, pay.ErrForged
	case n.AppId != c.app:
		return pay.Notice{}, errors.New("a notice is for another application")
	case n.OutTradeNo == "":
		return pay.Notice{}, errors.New("a notice is about no payment")
	case n.RefundFee != "" && strings.TrimSpace(n.OutBizNo) != "": // a part went back
		return pay.Notice{Refund: n.OutBizNo}, nil
	}
	return pay.Notice{Payment: n.OutTradeNo, Money: money(n.TradeStatus, n.TradeNo, n.TotalAmount, n.GmtPayment)}, nil
}

// Answer implements pay.Channel.
func (c *Channel) Answer(taken bool) pay.Answer {
	if taken {
		return pay.Answer{Status: http.StatusOK, Type: "text/plain; charset=utf-8", Body: "success"}
	}
	return pay.Answer{Status: http.StatusInternalServerError, Type: "text/plain; charset=utf-8", Body: "fail"}
}
