package certify

import (
	"strings"

	"hishub/core"
	"hishub/core/delivery"
)

const (
	rareName = "测试䶮𠮷·阿卜"
	marks    = `]]>|^&"'<测试>`
)

// content is chapter G: what a charset or a separator could spoil.
func (r *run) content() {
	tried := false
	for _, kind := range r.kinds() {
		switch kind {
		case core.PatientRegister, core.PrescriptionCreate, core.OrderCreate:
			tried = true
			r.item("G.rare", string(kind), func(it *Item) { r.characters(it, kind, rareName, "") })
			r.item("G.marks", string(kind), func(it *Item) { r.characters(it, kind, "", marks) })
		}
	}
	if !tried {
		for _, check := range []string{"G.rare", "G.marks"} {
			r.item(check, "", func(it *Item) {
				it.notApplicable("没有带姓名或自由文本的写入交易", "no write holds names or free text")
			})
		}
	}
}

// characters sends them where people write them, and looks for them where the HIS
// shows them.
func (r *run) characters(it *Item, kind core.Kind, name, mark string) {
	body := r.begin(it, kind)
	if body == nil {
		return
	}
	var sought string
	switch b := body.(type) {
	case *core.Patient:
		b.Name, b.Address = or(name, b.Name), b.Address+mark
		sought = b.Name
	case *core.Prescription:
		b.PatientName = or(name, b.PatientName)
		b.Diagnoses[0].Name += mark
		b.Items[0].Name += mark
		b.Note += mark
		sought = b.Items[0].Name
	case *core.Order:
		b.PatientName = or(name, b.PatientName)
		b.Diagnoses[0].Name += mark
		b.Items[0].Name += mark
		b.Note += mark
		sought = b.Items[0].Name
	}
	m := r.send(kind, body, watch{})
	r.seeAll(it, m)
	switch {
	case m.last.State == delivery.Delivered:
	case m.last.Class == core.Invalid && mark != "":
		it.say("发送前就被拒绝，没有把错误内容送给 HIS：%s", "refused before it left, so nothing spoilt arrived: %s", m.last.Because)
		return
	default:
		it.fail("没有受理：%s", "it was not taken: %s", ended(m))
		return
	}
	r.kept(it, m)
	r.notAsked(it, kind)
	number := body.Key()
	if m.last.Receipt != nil && m.last.Receipt.HisNo != "" {
		number += " / " + m.last.Receipt.HisNo
	}
	switch seen, shown := r.seen(it, body, sought); {
	case !shown || name != "" && kind != core.PatientRegister:
		it.say("已发送；请在 HIS 界面核对单号 %s 的内容是否为：%s", "sent; look at %s in the HIS, it must read: %s", number, or(name, mark))
	case !seen:
		it.say("已发送；HIS 显示的是它自己的名称，请核对单号 %s", "sent; the HIS shows a name of its own, look at %s", number)
	default:
		it.say("HIS 返回的内容与发送的一致", "the HIS shows it as it was sent")
	}
}

// seen tells whether the HIS shows the text; shown is false where nothing would.
func (r *run) seen(it *Item, body core.Body, sought string) (seen, shown bool) {
	switch b := body.(type) {
	case *core.Patient:
		if r.hospital.Operations[core.PatientFind] == nil {
			return false, false
		}
		x := r.ask(core.PatientFind, &core.PatientQuery{Name: b.Name, IDNo: b.IDNo, Phone: b.Phone})
		r.see(it, text{"查询档案", "asked for the person"}, x, body, "")
		found, _ := x.Verdict.Answer.(*core.Patients)
		if found == nil {
			return false, false
		}
		for _, p := range found.Patients {
			seen = seen || p.Name == sought
			shown = shown || p.Name != "" && !strings.Contains(p.Name, "*")
		}
		if shown && !seen {
			it.fail("档案中的姓名与发送的不一致", "the person's name is not as it was sent")
		}
		return seen, shown
	case *core.Prescription:
		if r.hospital.Operations[core.BillUnpaid] == nil {
			return false, false
		}
		x := r.ask(core.BillUnpaid, &core.BillQuery{VisitNo: b.VisitNo, PatientNo: b.PatientNo})
		r.see(it, text{"查询待缴费单", "asked for the bill"}, x, body, "")
		bills, _ := x.Verdict.Answer.(*core.Bills)
		if bills == nil {
			return false, false
		}
		for _, bill := range bills.Bills {
			for _, l := range bill.Lines {
				seen = seen || l.Name == sought
				shown = shown || l.Code == b.Items[0].Code
			}
		}
		return seen, shown || seen
	}
	return false, false
}
