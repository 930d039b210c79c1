package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// What finance calls the codes.
var (
	channels = []Word{
		{"wechat", "微信"}, {"alipay", "支付宝"}, {"unionpay", "银联"}, {"insurance", "医保"}, {"bank", "银行"}, {"cash", "现金"},
	}
	businesses = []Word{{"registration", "挂号"}, {"outpatient", "门诊"}}
	types      = []Word{{"payment", "支付"}, {"refund", "退款"}, {"prescription", "处方"}, {"order", "申请单"}}
	parties    = []Word{{"channel", "渠道账单"}, {"ours", "平台"}, {"his", "HIS"}}
	owners     = []Word{{"finance", "财务"}, {"operations", "运营"}, {"hospital_it", "医院信息科"}}
	actions    = []Word{{"resend", "重发"}, {"reverse", "冲正"}, {"pay_back", "退款"}, {"record", "补单"}, {"write_off", "核销"}}
	details    = []Word{{"full", "逐笔"}, {"totals", "汇总"}}
	cases      = []Word{{"open", "待处理"}, {"repairing", "处理中"}, {"resolved", "已解决"}, {"written_off", "已核销"}}
	repairs    = []Word{{"proposed", "待审批"}, {"approved", "已批准"}, {"sent", "执行中"}, {"done", "已完成"}, {"failed", "失败"}, {"rejected", "已驳回"}}
	arrivals   = []Word{{"done", "已到账"}, {"processing", "在途"}, {"failed", "失败"}}
	states     = []Word{{"done", "已完成"}, {"waiting", "等待账单"}, {"failed", "失败"}, {"running", "进行中"}}
	all        = Word{"total", "合计"}
	part       = Word{"subtotal", "小计"}
	unsplit    = Word{"not_split", "未分"}
)

// wordOf finds the word of a code; a code that nobody named stands for itself.
func wordOf(words []Word, code string) Word {
	for _, w := range words {
		if w.Code == code {
			return w
		}
	}
	return Word{Code: code}
}

func channelWord(c core.Channel) Word {
	if c == "" {
		return unsplit
	}
	return wordOf(channels, string(c))
}

func businessWord(b reconcile.Business) Word {
	if b == "" {
		return unsplit
	}
	return wordOf(businesses, string(b))
}

func typeWord(t core.EntryType) Word { return wordOf(types, string(t)) }

func classWord(c reconcile.Class) Word { return Word{string(c), c.Meaning().Chinese} }

// stateOf a day: closed, or how its newest run stands.
func stateOf(n reconcile.Night) Word {
	switch {
	case n.Closed:
		return Word{"closed", "已关账"}
	case n.State == "":
		return Word{"no_run", "未对账"}
	}
	return wordOf(states, string(n.State))
}

func countText[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

func runText(n reconcile.Night, zone *time.Location) string {
	s := countText(n.Run)
	if !n.Ended.IsZero() {
		s += " · " + n.Ended.In(zone).Format("2006-01-02 15:04:05")
	}
	return s + " · " + n.Who
}

func why(text string) string {
	if text == "" {
		return ""
	}
	return " · " + text
}

func differencesText(d Day) string {
	if n := d.Differences(); n > 0 {
		return fmt.Sprintf("%d 笔，%s 元", n, d.questioned())
	}
	return "无 none"
}

// rank orders codes as the list has them, others behind.
func rank(words []Word, code string) int {
	for i, w := range words {
		if w.Code == code {
			return i
		}
	}
	return len(words)
}

// joined leaves empty parts out.
func joined(parts ...string) string {
	var full []string
	for _, p := range parts {
		if p != "" {
			full = append(full, p)
		}
	}
	return strings.Join(full, ", ")
}
