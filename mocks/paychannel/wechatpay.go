package paychannel

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// wechatPrepay takes a payment that a merchant asks for.
func (s *Server) wechatPrepay(r *http.Request, body []byte) (string, func() wechatAnswer) {
	var q struct {
		App      string    `json:"appid"`
		Merchant string    `json:"mchid"`
		Number   string    `json:"out_trade_no"`
		Subject  string    `json:"description"`
		Notify   string    `json:"notify_url"`
		Expire   time.Time `json:"time_expire"`
		Amount   struct {
			Total    int64
			Currency string
		}
		Payer struct{ OpenID string }
		Scene struct {
			IP string `json:"payer_client_ip"`
		} `json:"scene_info"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		return "", func() wechatAnswer { return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "请求体不是 JSON") }
	}
	way := r.PathValue("way")
	return q.Number, func() wechatAnswer {
		switch {
		case q.App == "" || q.Merchant != s.keys.Keys.Merchant:
			return wechatRefuse(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid 和 mchid 不匹配")
		case len(q.Number) < 6 || len(q.Number) > 32 || q.Amount.Total <= 0 || q.Subject == "" || !strings.HasPrefix(q.Notify, "http"),
			way == "jsapi" && q.Payer.OpenID == "", way == "h5" && q.Scene.IP == "":
			return wechatRefuse(http.StatusBadRequest, "PARAM_ERROR", "参数错误")
		case way != "jsapi" && way != "native" && way != "h5":
			return wechatRefuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "接口不存在")
		case s.strikes(PrepayRefused, q.Number):
			return wechatRefuse(http.StatusForbidden, "RULE_LIMIT", "业务规则限制")
		}
		t, err := s.books.Open(Trade{Channel: WeChat, Number: q.Number, AmountFen: q.Amount.Total, Subject: q.Subject, Way: way, Notify: q.Notify, ExpiresAt: q.Expire})
		switch {
		case errors.Is(err, ErrPaid):
			return wechatRefuse(http.StatusBadRequest, "ORDER_PAID", "该订单已支付")
		case errors.Is(err, ErrClosed):
			return wechatRefuse(http.StatusBadRequest, "ORDER_CLOSED", "该订单已关闭")
		case err != nil:
			return wechatRefuse(http.StatusForbidden, "OUT_TRADE_NO_USED", "商户订单号重复")
		}
		if s.strikes(PaidBefore, q.Number) {
			if _, err := s.PayTrade(WeChat, q.Number, 0); err != nil {
				return wechatRefuse(http.StatusInternalServerError, "SYSTEM_ERROR", "系统异常")
			}
		}
		out := map[string]string{}
		switch way {
		case "jsapi":
			out["prepay_id"] = "wx" + t.Token
		case "native":
			out["code_url"] = "weixin://wxpay/bizpayurl?pr=" + t.Token
		default:
			out["h5_url"] = fmt.Sprintf("https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx%s", t.Token)
		}
		return wechatAnswer{body: out, effect: "opened"}
	}
}

func (s *Server) wechatClose(r *http.Request, _ []byte) (string, func() wechatAnswer) {
	number := r.PathValue("number")
	return number, func() wechatAnswer {
		err := s.books.CloseTrade(WeChat, number)
		switch {
		case errors.Is(err, ErrPaid):
			return wechatRefuse(http.StatusBadRequest, "ORDER_PAID", "该订单已支付")
		case err != nil:
			return wechatRefuse(http.StatusNotFound, "ORDER_NOT_EXIST", "订单不存在")
		}
		return wechatAnswer{status: http.StatusNoContent, effect: "closed"}
	}
}

// wechatPaid is the document of a payment, in a query and in a notice.
func (s *Server) wechatPaid(p Payment, state string) map[string]any {
	return map[string]any{
		"appid": wechatApp, "mchid": s.keys.Keys.Merchant, "out_trade_no": p.Number, "transaction_id": p.ChannelNo,
		"trade_type": "JSAPI", "trade_state": state, "bank_type": "OTHERS", "attach": p.Attach,
		"success_time": p.PaidAt.Format(time.RFC3339),
		"amount":       map[string]any{"total": p.AmountFen, "payer_total": p.AmountFen - p.CouponFen, "currency": "CNY"},
	}
}
