package v3his

import (
	"strconv"
	"time"

	"hishub/mocks/books"
)

// transaction reads what a charge and a refund have in common.
func transaction(m *message) (t *element, fen int64, at, wrong string) {
	t = m.act().at("subject", "financialTransaction")
	fen, err := books.ParseYuan(t.value("amt"))
	if err != nil || t.at("amt").attr("type") != "MO" || t.at("amt").attr("currency") != "CNY" {
		return nil, 0, "", "金额格式错误"
	}
	at, ok := clock(t.value("effectiveTime"))
	if !ok {
		return nil, 0, "", "时间格式错误"
	}
	return t, fen, at, ""
}

func (h *HIS) settle(m *message) reply {
	t, fen, at, wrong := transaction(m)
	if wrong != "" {
		return refuse(wrong)
	}
	s := books.Settlement{Order: t.at("id").id(oidCharge), ChannelNo: t.at("id").id(oidTrade), Channel: t.at("methodCode").attr("code"),
		Operator: t.at("author", "assignedEntity", "id").id(oidStaff), AmountFen: fen, PaidAt: at}
	for _, r := range t.all("reason") {
		s.Bills = append(s.Bills, r.at("id").attr("extension"))
	}
	if s.Order == "" || s.Channel == "" || s.Operator == "" || len(s.Bills) == 0 {
		return refuse("收费信息不完整")
	}
	return booked(h.books.Settle(s), h.charge(s.Order))
}

func (h *HIS) charge(order string) func() string {
	return func() string {
		s, _ := h.books.Settlement(order)
		return held(oidCharge, s.Order, s.HisNo, "completed", s.AmountFen)
	}
}

func (h *HIS) askPayment(m *message) reply {
	no := m.asked("id").id(oidCharge)
	if _, ok := h.books.Settlement(no); !ok {
		return told()
	}
	return told(h.charge(no)())
}

func (h *HIS) refund(m *message) reply {
	t, fen, at, wrong := transaction(m)
	if wrong != "" {
		return refuse(wrong)
	}
	of := t.at("reversalOf", "id")
	r := books.Refund{No: t.at("id").id(oidRefund), Order: of.id(oidCharge), Operator: t.at("author", "assignedEntity", "id").id(oidStaff),
		AmountFen: fen, RefundedAt: at, Reversal: t.at("code").attr("code") == "REV"}
	return booked(h.books.Refund(r, of.id(oidHeld)), h.back(r.No))
}

func (h *HIS) back(no string) func() string {
	return func() string {
		r, _ := h.books.RefundOf(no)
		return held(oidRefund, r.No, r.HisNo, "completed", r.AmountFen)
	}
}

func (h *HIS) askRefund(m *message) reply {
	no := m.asked("id").id(oidRefund)
	if _, ok := h.books.RefundOf(no); !ok {
		return told()
	}
	return told(h.back(no)())
}

func (h *HIS) askUnpaid(m *message) reply {
	visit, patient := m.asked("visitId").id(oidVisit), m.asked("patientId").id(oidPatient)
	var rows []string
	bill := func(oid, no, hisNo, title string, fen int64, all []books.Line) {
		var d document
		d.open("act", "classCode", "INVE", "moodCode", "EVN").open("id").put("item", "root", oidHeld, "extension", hisNo).put("item", "root", oid, "extension", no).close("id")
		d.open("code").put("displayName", "value", title).close("code").put("value", "xsi:type", "MO", "value", books.Yuan(fen), "currency", "CNY")
		for _, l := range all {
			d.open("component").put("sequenceNumber", "value", strconv.Itoa(l.No)).open("code", "code", l.Code).put("displayName", "value", l.Name).close("code")
			d.put("quantity", "value", l.Qty, "unit", l.Unit)
			d.open("price").put("unit", "value", l.Price).put("total", "value", books.Yuan(l.AmountFen)).close("price", "component")
		}
		d.close("act")
		rows = append(rows, d.String())
	}
	for _, p := range h.books.Unpaid(visit, patient) {
		bill(oidOrder, p.No, p.HisNo, "药费", p.AmountFen, p.Lines)
	}
	for _, o := range h.books.UnpaidOrders(visit, patient) {
		bill(oidApplication, o.No, o.HisNo, "检验检查费", o.AmountFen, o.Lines)
	}
	return told(rows...)
}

func ledger(m *message) (books.Asked, bool) {
	t, err := time.Parse("20060102", day(m))
	return books.Asked{Day: t.Format(time.DateOnly), Operator: m.asked("author").attr("extension"), Channel: m.asked("method").attr("code")}, err == nil
}

func (h *HIS) askLedger(m *message) reply {
	q, ok := ledger(m)
	from, err := strconv.Atoi(m.act().at("queryByParameter").value("startResultNumber"))
	size, wrong := strconv.Atoi(m.act().at("queryByParameter").value("initialQuantity"))
	if !ok || err != nil || wrong != nil || from < 1 || size < 1 || size > 100 {
		return refuse("查询参数错误")
	}
	all := h.books.Ledger(q)
	first := min(from-1, len(all))
	last := min(first+size, len(all))
	var rows []string
	for _, r := range all[first:last] {
		kind := "PAY"
		if r.Refund {
			kind = "REF"
		}
		if r.Reversal {
			kind = "REV"
		}
		var d document
		d.open("financialTransaction").open("id")
		switch {
		case !r.Refund:
			d.put("item", "root", oidCharge, "extension", r.Order)
		case r.RefundNo != "":
			d.put("item", "root", oidRefund, "extension", r.RefundNo)
		}
		d.put("item", "root", oidHeld, "extension", r.HisNo).put("item", "root", oidTrade, "extension", r.ChannelNo).close("id")
		d.put("code", "code", kind).put("effectiveTime", "value", compact(r.Time)).put("methodCode", "code", r.Channel)
		d.put("amt", "xsi:type", "MO", "value", books.Yuan(r.AmountFen), "currency", "CNY")
		d.open("author").open("assignedEntity").put("id", "root", oidStaff, "extension", r.Operator).close("assignedEntity", "author")
		if r.Refund {
			d.open("reversalOf").put("id", "root", oidCharge, "extension", r.Order).close("reversalOf")
		}
		for _, b := range r.Bills {
			d.open("reason").put("id", "root", oidHeld, "extension", b).close("reason")
		}
		d.close("financialTransaction")
		rows = append(rows, d.String())
	}
	a := told(rows...)
	a.left = len(all) - last
	return a
}

func (h *HIS) askTotals(m *message) reply {
	q, ok := ledger(m)
	if !ok {
		return refuse("查询参数错误")
	}
	t := h.books.LedgerTotals(q)
	var d document
	d.open("act")
	d.open("payments", "value", strconv.Itoa(t.Payments)).put("amt", "value", books.Yuan(t.PaymentFen)).close("payments")
	d.open("refunds", "value", strconv.Itoa(t.Refunds)).put("amt", "value", books.Yuan(t.RefundsFen)).close("refunds")
	d.close("act")
	return told(d.String())
}
