package paychannel

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"hishub/mocks/books"
)

// alipayOpen takes a payment that a merchant asks for. The real one makes the trade when
// the payer scans or opens the page; here it is there at once.
func (s *Server) alipayOpen(way string, form url.Values, q alipayRequest) alipaySaid {
	fen, err := books.ParseYuan(q.TotalAmount)
	if err != nil || fen <= 0 || q.OutTradeNo == "" || q.Subject == "" {
		return alipayNo("ACQ.INVALID_PARAMETER", "参数无效")
	}
	if s.strikes(PrepayRefused, q.OutTradeNo) {
		return alipayNo("ACQ.ACCESS_FORBIDDEN", "没有权限使用该产品")
	}
	expires, _ := time.ParseInLocation(books.TimeLayout, q.TimeExpire, Zone)
	t, err := s.books.Open(Trade{Channel: Alipay, Number: q.OutTradeNo, AmountFen: fen, Subject: q.Subject, Way: way, Notify: form.Get("notify_url"), ExpiresAt: expires})
	switch {
	case errors.Is(err, ErrPaid):
		return alipayNo("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
	case errors.Is(err, ErrClosed):
		return alipayNo("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
	case err != nil:
		return alipayNo("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
	}
	if s.strikes(PaidBefore, q.OutTradeNo) {
		if _, err := s.PayTrade(Alipay, q.OutTradeNo, 0); err != nil {
			return alipayNo("ACQ.SYSTEM_ERROR", "系统异常")
		}
	}
	said := alipayYes(alipaySaid{"out_trade_no": t.Number})
	if way == "create" {
		said["trade_no"] = t.Token
	} else {
		said["qr_code"] = "https://qr.alipay.com/" + t.Token
	}
	return said
}

func (s *Server) alipayQuery(q alipayRequest) alipaySaid {
	if p, paid := s.alipayPayment(q); paid {
		said := alipayYes(alipaySaid{"trade_no": p.ChannelNo, "out_trade_no": p.Number, "trade_status": "TRADE_SUCCESS", "total_amount": books.Yuan(p.AmountFen),
			"send_pay_date": p.PaidAt.In(Zone).Format(books.TimeLayout)})
		if p.RefundedFen == p.AmountFen {
			said["trade_status"] = "TRADE_CLOSED" // so it says also when all went back
		}
		return said
	}
	t, known := s.books.Trade(Alipay, q.OutTradeNo)
	if !known {
		return alipayNo("ACQ.TRADE_NOT_EXIST", "交易不存在")
	}
	state := "WAIT_BUYER_PAY"
	if t.Closed {
		state = "TRADE_CLOSED"
	}
	return alipayYes(alipaySaid{"trade_no": t.Token, "out_trade_no": t.Number, "trade_status": state, "total_amount": books.Yuan(t.AmountFen)})
}

func (s *Server) alipayClose(q alipayRequest) alipaySaid {
	err := s.books.CloseTrade(Alipay, q.OutTradeNo)
	switch {
	case errors.Is(err, ErrPaid):
		return alipayNo("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
	case err != nil:
		return alipayNo("ACQ.TRADE_NOT_EXIST", "交易不存在")
	}
	t, _ := s.books.Trade(Alipay, q.OutTradeNo)
	return alipayYes(alipaySaid{"trade_no": t.Token, "out_trade_no": t.Number})
}

// alipayPage is what a payer's browser opens (alipay.trade.wap.pay): the trade is there
// from then on, and the wallet of the control port pays it.
func (s *Server) alipayPage(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	var q alipayRequest
	if s.alipay.authorized(form) != nil || form.Get("method") != "alipay.trade.wap.pay" || json.Unmarshal([]byte(form.Get("biz_content")), &q) != nil {
		http.Error(w, "error", http.StatusBadRequest)
		return
	}
	said := s.alipayOpen("wap", form, q)
	s.books.Note("alipay page", q.OutTradeNo, said.effect(), "")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><meta charset=\"utf-8\"><p>"+plainText(said.effect())+"</p>")
}
