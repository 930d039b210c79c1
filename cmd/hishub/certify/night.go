package certify

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/core"
)

// money is one movement that the run made.
type money struct {
	typ       core.EntryType
	number    string
	amount    core.Fen
	hisNo     string
	channelNo string
}

// moved is all money that the HIS took from the run, each movement once.
func (r *run) moved() []money {
	var all []money
	seen := map[string]bool{}
	for _, m := range r.made {
		x := money{typ: core.EntryPayment, number: m.body.Key(), hisNo: m.hisNo()}
		switch b := m.body.(type) {
		case *core.Payment:
			x.amount, x.channelNo = b.Amount, b.ChannelNo
		case *core.AppointmentPayment:
			x.amount, x.channelNo = b.Amount, b.ChannelNo
		case *core.Refund:
			x.typ, x.amount, x.channelNo = core.EntryRefund, b.Amount, b.ChannelRefundNo
		case *core.AppointmentCancelling:
			x.typ, x.amount, x.number, x.channelNo = core.EntryRefund, b.Amount, b.RefundNo, b.ChannelRefundNo
		}
		if x.amount > 0 && !seen[m.mark()] && m.kind != core.InvoiceIssue {
			seen[m.mark()] = true
			all = append(all, x)
		}
	}
	return all
}

func (r *run) day() *core.LedgerQuery {
	at := r.now.In(r.hospital.Zone)
	from := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, r.hospital.Zone)
	return &core.LedgerQuery{Day: at.Format(time.DateOnly), From: from, To: from.AddDate(0, 0, 1)}
}

// countBefore remembers the day's totals before the first write.
func (r *run) countBefore() {
	if r.before != nil || len(r.made) > 0 || r.hospital.Operations[core.LedgerTotal] == nil {
		return
	}
	x := r.ask(core.LedgerTotal, r.day())
	switch totals, _ := x.Verdict.Answer.(*core.LedgerTotals); {
	case totals != nil:
		r.before = totals
	case x.Verdict.Outcome == core.OutcomeNoData || x.Verdict.Outcome == core.OutcomeOK:
		r.before = &core.LedgerTotals{}
	}
}

// night is chapter E: the day's books hold what the run did, and nothing twice.
func (r *run) night() {
	moved := r.moved()
	r.item("E.detail", "", func(it *Item) { r.detail(it, moved) })
	r.item("E.total", "", func(it *Item) { r.total(it, moved) })
	r.item("E.twice", "", r.twice)
}

// lacking says why a question of the night is not asked.
func (r *run) lacking(it *Item, kind core.Kind, moved []money) bool {
	switch {
	case r.hospital.Operations[kind] == nil:
		it.notApplicable("配置中没有 "+string(kind), "the folder has no %s", kind)
	case it.outOfReach(r.closedKind(kind)):
	case len(moved) == 0:
		it.notTried("本次测试没有动账", "this run moved no money")
	default:
		return false
	}
	return true
}

func (r *run) detail(it *Item, moved []money) {
	if r.lacking(it, core.LedgerDetail, moved) {
		return
	}
	x := r.ask(core.LedgerDetail, r.day())
	r.see(it, text{"当日明细", "the day's ledger"}, x, nil, "")
	ledger, _ := x.Verdict.Answer.(*core.Ledger)
	if ledger == nil {
		it.fail("明细没有得到答复：%s", "the HIS did not answer: %s", x.Verdict.Outcome)
		return
	}
	for _, m := range moved {
		var amounts []core.Fen
		for _, e := range ledger.Entries {
			if e.Type == m.typ && !e.Reversal && m.is(e) {
				amounts = append(amounts, e.Amount)
			}
		}
		switch {
		case len(amounts) == 0:
			it.fail("缺少 %s %s，%s 元", "%s %s of %s yuan is missing", m.typ, m.number, m.amount)
		case len(amounts) > 1:
			it.fail("%s %s 有 %d 笔", "%s %s is there %d times", m.typ, m.number, len(amounts))
		case amounts[0] != m.amount:
			it.fail("%s %s 金额不一致：HIS %s 元，我方 %s 元", "%s %s has another amount: %s yuan, ours is %s", m.typ, m.number, amounts[0], m.amount)
		}
	}
	if it.Result == Pass {
		it.say("本次共 %d 笔，逐笔一致", "%d movements, each as we know it", len(moved))
	}
}

// is tells whether an entry is of that movement, by whatever number the books keep;
// some keep a cut one.
func (m money) is(e core.LedgerEntry) bool {
	switch {
	case e.Number != "":
		return e.Number == m.number || len(e.Number) >= 8 && strings.HasPrefix(m.number, e.Number)
	case e.ChannelNo != "":
		return e.ChannelNo == m.channelNo
	}
	return e.HisNo != "" && e.HisNo == m.hisNo
}

func (r *run) total(it *Item, moved []money) {
	if r.lacking(it, core.LedgerTotal, moved) {
		return
	}
	x := r.ask(core.LedgerTotal, r.day())
	r.see(it, text{"当日汇总", "the day's totals"}, x, nil, "")
	now, _ := x.Verdict.Answer.(*core.LedgerTotals)
	switch {
	case now == nil:
		it.fail("汇总没有得到答复：%s", "the HIS did not answer: %s", x.Verdict.Outcome)
		return
	case r.before == nil:
		it.notTried("开始前没有取到汇总，无法比较增量", "the totals could not be had before the run, so nothing can be compared")
		return
	}
	var paid, back core.Fen
	var payments, refunds int
	for _, m := range moved {
		if m.typ == core.EntryRefund {
			refunds, back = refunds+1, back+m.amount
		} else {
			payments, paid = payments+1, paid+m.amount
		}
	}
	same := func(zh, en string, is, was, want core.Fen) {
		if is-was != want {
			it.fail(zh+"增加了 %s 元，应为 %s 元", en+" grew by %s yuan, it must be %s", is-was, want)
		}
	}
	same("收款合计", "the sum of payments", now.PaymentAmount, r.before.PaymentAmount, paid)
	same("退款合计", "the sum of refunds", now.RefundAmount, r.before.RefundAmount, back)
	count := func(zh, en, is, was string, want int) {
		a, err1 := strconv.Atoi(or(is, "0"))
		b, err2 := strconv.Atoi(or(was, "0"))
		if is != "" && err1 == nil && err2 == nil && a-b != want {
			it.fail(zh+"增加了 %d 笔，应为 %d 笔", en+" grew by %d, it must be %d", a-b, want)
		}
	}
	count("收款笔数", "the number of payments", now.Payments, r.before.Payments, payments)
	count("退款笔数", "the number of refunds", now.Refunds, r.before.Refunds, refunds)
	if it.Result == Fail {
		it.say("若测试环境当天另有他人记账，请在安静时重测", "if others booked at this HIS meanwhile, run it again when it is quiet")
	}
}

func (r *run) twice(it *Item) {
	if r.hospital.Operations[core.LedgerDetail] == nil {
		it.notApplicable("配置中没有 ledger.detail", "the folder has no ledger.detail")
		return
	}
	if it.outOfReach(r.closedKind(core.LedgerDetail)) {
		return
	}
	var answers []string
	for range 2 {
		x := r.ask(core.LedgerDetail, r.day())
		ledger, _ := x.Verdict.Answer.(*core.Ledger)
		if ledger == nil && x.Verdict.Outcome != core.OutcomeNoData {
			r.see(it, text{"当日明细", "the day's ledger"}, x, nil, "")
			it.fail("明细没有得到答复：%s", "the HIS did not answer: %s", x.Verdict.Outcome)
			return
		}
		var lines []string
		if ledger != nil {
			for _, e := range ledger.Entries {
				line, _ := json.Marshal(e)
				lines = append(lines, string(line))
			}
		}
		slices.Sort(lines)
		answers = append(answers, strings.Join(lines, "\n"))
	}
	if answers[0] != answers[1] {
		it.fail("两次查询结果不同", "the two answers differ")
	}
}
