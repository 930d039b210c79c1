package certify

import (
	"errors"
	"strings"

	"hishub/core"
	"hishub/core/delivery"
)

// writes is chapter C: each write of the folder, as it goes when the line is good.
func (r *run) writes() {
	r.countBefore()
	for _, kind := range r.kinds() {
		r.write(kind)
	}
}

// begin makes a fresh message; when there is none, the item says why.
func (r *run) begin(it *Item, kind core.Kind) core.Body {
	body, err := r.fresh(kind)
	switch {
	case err == nil:
		return body
	case it.outOfReach(err):
	case errors.Is(err, errMoney):
		it.notTried("涉及资金，本接口地址未获准动账；需要时加 --with-money", "%v", err)
	case errors.As(err, new(errNone)):
		it.notTried("没有可用的报文：请在文件夹中补一个结果为 ok 的用例，或用 --messages 提供 "+string(kind)+".json", "%v", err)
	default:
		it.fail("前置步骤未成功：%v", "what it needs was not taken: %v", err)
	}
	return nil
}

func (r *run) write(kind core.Kind) {
	op := r.hospital.Operations[kind]
	last := &op.Steps[len(op.Steps)-1]
	about := string(kind)
	var body core.Body
	var first *message
	var known bool // the HIS says itself that it has the first one

	r.item("C.absent", about, func(it *Item) {
		if !inquirable(op) {
			it.notApplicable("该交易没有配置查询", "the folder has no inquiry for it")
			return
		}
		if body = r.begin(it, kind); body == nil {
			return
		}
		r.expectAbsent(it, kind, body, firstInquirable(op))
	})
	r.item("C.once", about, func(it *Item) {
		if body == nil {
			if body = r.begin(it, kind); body == nil {
				return
			}
		}
		first = r.send(kind, body, watch{})
		r.seeAll(it, first)
		if first.last.State != delivery.Delivered {
			it.fail("没有受理：%s", "it was not taken: %s", ended(first))
			r.shutByWrite(op, first)
		}
	})
	if first == nil || first.last.State != delivery.Delivered {
		for _, check := range []string{"C.done", "C.repeat", "C.amount"} {
			r.item(check, about, func(it *Item) {
				if it.outOfReach(r.closedKind(kind)) {
					return
				}
				it.notTried("没有一笔已受理的报文可用", "there is no message that was taken")
			})
		}
	} else {
		r.item("C.done", about, func(it *Item) {
			r.done(it, first, last)
			known = it.Result == Pass
		})
		r.item("C.repeat", about, func(it *Item) {
			r.repeat(it, first)
			if known {
				r.kept(it, first)
			}
			r.notAsked(it, kind)
		})
		r.item("C.amount", about, func(it *Item) { r.otherAmount(it, first) })
	}
	r.item("C.undo", about, func(it *Item) { r.cancelBetween(it, kind) })
	r.item("C.refused", about, func(it *Item) { r.refuse(it, kind) })
}

// shutByWrite closes what the first write shows out of reach, where there was no
// question to find it out before: nothing of it ever left.
func (r *run) shutByWrite(op *core.Operation, m *message) {
	first := &op.Steps[0].Call
	if !r.shut.unasked["connector "+first.Connector] && !r.shut.unasked["session "+first.Session] || len(m.attempts) == 0 {
		return
	}
	for _, a := range m.attempts {
		if a.Step != op.Steps[0].Name || a.Exchange.Verdict.Outcome != core.OutcomeUnavailable {
			return
		}
	}
	r.shutBy(first, m.attempts[len(m.attempts)-1].Exchange)
}

func inquirable(op *core.Operation) bool { return firstInquirable(op) != nil }

func firstInquirable(op *core.Operation) *core.Step {
	for i := range op.Steps {
		if op.Steps[i].Inquire != nil {
			return &op.Steps[i]
		}
	}
	return nil
}

// expectAbsent asks about what was never sent.
func (r *run) expectAbsent(it *Item, kind core.Kind, body core.Body, step *core.Step) {
	status, x := r.inquire(kind, body, step, nil)
	r.see(it, text{"查询从未发送的单号", "inquiry about a number that was never sent"}, x, body, "")
	switch {
	case status == nil:
		it.fail("查询没有得到答复：%s", "the HIS did not answer: %s", x.Verdict.Outcome)
	case status.State != core.StateAbsent:
		it.fail("HIS 答“%s”，应为 absent", "the HIS says %s, which must be absent", status.State)
	}
}

// done is C.done: the HIS says that it has it, and what of its answer was compared.
func (r *run) done(it *Item, m *message, step *core.Step) {
	if step.Inquire == nil {
		it.notApplicable("该交易没有配置查询", "the folder has no inquiry for it")
		return
	}
	status := r.expectDone(it, m, step)
	if status == nil || status.State != core.StateDone {
		return
	}
	priced, ok := m.Body.(core.Priced)
	if t, _ := core.Lookup(m.Kind); t.Money && ok && priced.Total() > 0 && status.Amount == nil {
		it.fail("HIS 没有说明金额：同一单号以不同金额重复时无法识别", "the HIS does not say the amount: a repeat of another amount could not be told")
	}
	zh, en := []string{"状态"}, []string{"the state"}
	if status.Number != "" {
		zh, en = append(zh, "单号"), append(en, "the number")
	}
	if ok && status.Amount != nil {
		zh, en = append(zh, "金额"), append(en, "the amount")
	}
	if status.HisNo != "" && m.last.Receipt != nil && m.last.Receipt.HisNo != "" {
		zh, en = append(zh, "HIS 号"), append(en, "the HIS's number")
	}
	it.say("已比对："+strings.Join(zh, "、"), "compared: "+strings.Join(en, ", "))
}

// kept asks about what the HIS said yes to: a yes alone keeps nothing.
func (r *run) kept(it *Item, m *message) {
	op := r.hospital.Operations[m.Kind]
	if last := &op.Steps[len(op.Steps)-1]; last.Inquire != nil {
		r.expectDone(it, m, last)
	}
}

// notAsked says that the HIS's yes is all there is, where the folder cannot ask.
func (r *run) notAsked(it *Item, kind core.Kind) {
	op := r.hospital.Operations[kind]
	if op.Steps[len(op.Steps)-1].Inquire == nil {
		it.say("该交易没有配置查询，HIS 是否留存只凭其应答", "the folder has no inquiry for it, so only the HIS's answer says that it was kept")
	}
}

// expectDone asks about what was taken, and compares all that the HIS tells of it.
// The status is nil when the HIS did not answer.
func (r *run) expectDone(it *Item, m *message, step *core.Step) *core.Status {
	status, x := r.inquire(m.Kind, m.Body, step, m.Captured)
	r.see(it, text{"查询已受理的单号", "inquiry about what was taken"}, x, m.Body, "")
	if status == nil {
		it.fail("查询没有得到答复：%s", "the HIS did not answer: %s", x.Verdict.Outcome)
		return nil
	}
	if status.State != core.StateDone {
		it.fail("%s：HIS 答“%s”，应为 done", "%s: the HIS says %s, which must be done", m.Body.Key(), status.State)
	}
	if status.Number != "" && status.Number != m.Body.Key() {
		it.fail("单号不一致", "it has another number")
	}
	if p, ok := m.Body.(core.Priced); ok && status.Amount != nil && *status.Amount != p.Total() {
		it.fail("金额不一致：HIS %s 元，我方 %s 元", "it has another amount: %s yuan, ours is %s", *status.Amount, p.Total())
	}
	if m.last.Receipt != nil && m.last.Receipt.HisNo != "" && status.HisNo != "" && status.HisNo != m.last.Receipt.HisNo {
		it.fail("HIS 号与受理时不同：%s，原为 %s", "it has another HIS number: %s, it was given %s", status.HisNo, m.last.Receipt.HisNo)
	}
	return status
}

// repeat sends the same message again, as another one.
func (r *run) repeat(it *Item, first *message) {
	again := r.send(first.Kind, first.Body, watch{})
	r.seeAll(it, again)
	if again.last.State != delivery.Delivered {
		if again.last.Class != core.Rejected {
			it.fail("重复发送的结果不明确：%s", "sent again, it came to nothing clear: %s", ended(again))
		}
		return
	}
	r.made = r.made[:len(r.made)-1] // the same thing, not another one
	was, is := first.last.Receipt, again.last.Receipt
	if was == nil || is == nil || was.HisNo == "" || is.HisNo == "" {
		for _, a := range again.attempts {
			if a.Exchange.Verdict.Outcome == core.OutcomeAlready {
				return
			}
		}
		it.say("HIS 没有给出自己的单号，是否产生第二笔请看对账一章", "the HIS gives no number of its own; whether there are two, the ledger tells")
		return
	}
	if was.HisNo != is.HisNo {
		it.fail("同一单号产生了两笔：HIS 号 %s 和 %s", "one number became two: the HIS's numbers are %s and %s", was.HisNo, is.HisNo)
		r.made = append(r.made, &made{kind: first.Kind, body: first.Body, receipt: is})
	}
}

func (r *run) otherAmount(it *Item, first *message) {
	body := dear(first.Body)
	if body == nil || body.Validate() != nil {
		it.notApplicable("该交易没有金额", "it has no amount that could differ")
		return
	}
	m := r.send(first.Kind, body, watch{})
	r.seeAll(it, m)
	if m.last.State == delivery.Delivered {
		it.fail("金额不同却被当作成功", "another amount was taken for done")
	}
}

// cancelBetween has a person cancel a message after its first step that can be undone.
func (r *run) cancelBetween(it *Item, kind core.Kind) {
	op := r.hospital.Operations[kind]
	if len(op.Steps) < 2 || op.Steps[0].Undo == nil {
		it.notApplicable("没有可撤销的中间步骤", "it has no step that can be taken back")
		return
	}
	body := r.begin(it, kind)
	if body == nil {
		return
	}
	var m *message
	ready := make(chan struct{})
	m = r.ledger.accept(kind, body, watch{sent: func(step int, phase delivery.Phase) {
		<-ready
		if step == 0 && phase == delivery.Send {
			r.ledger.cancel(m)
		}
	}})
	close(ready)
	r.wait(m)
	r.seeAll(it, m)
	if m.last.State != delivery.Cancelled {
		it.fail("没有撤销：%s", "it was not taken back: %s", ended(m))
		return
	}
	if step := firstInquirable(op); step != nil {
		r.expectAbsent(it, kind, body, step)
	}
}

func (r *run) refuse(it *Item, kind core.Kind) {
	if r.withoutMoney(kind) {
		it.notTried("涉及资金，本接口地址未获准动账", "%v", errMoney)
		return
	}
	body, err := r.refused(kind)
	if body != nil && it.outOfReach(r.closedKind(kind)) {
		return
	}
	switch {
	case err != nil:
		it.fail("%v", "%v", err)
		return
	case body == nil:
		it.notTried("没有提供内容有误的报文；需要时用 --messages 提供 "+string(kind)+".refused.json", "no wrong message was given: --messages with %s.refused.json", kind)
		return
	}
	m := r.send(kind, body, watch{})
	r.seeAll(it, m)
	switch {
	case m.last.State != delivery.Parked || m.last.Class != core.Rejected && m.last.Class != core.Invalid:
		it.fail("没有被明确拒绝：%s", "it was not refused: %s", ended(m))
	case m.last.Words == "" && m.last.Class == core.Rejected:
		it.fail("拒绝了，但没有说明原因", "it was refused without a word")
	}
}
