package hl7his

import (
	"strconv"
	"strings"
	"time"

	"hishub/mocks/books"
)

// settle: FT1-2 our order, -3 the channel's number, -4 when it was paid, -7 the
// way of paying, -11 the sum, -20 the account, -23 the bills.
func (h *HIS) settle(m *message) reply {
	ft1 := m.first("FT1")
	sum, err := books.ParseYuan(ft1.text(11))
	at, timed := clock(ft1.text(4))
	switch {
	case ft1.text(2) == "" || ft1.text(7) == "" || ft1.text(20) == "":
		return refuse("FT1^1^2^101", "缺少必填字段")
	case err != nil:
		return refuse("FT1^1^11^102", "金额格式错误")
	case !timed:
		return refuse("FT1^1^4^102", "时间格式错误")
	}
	var bills []string
	for _, b := range ft1.each(23) {
		bills = append(bills, ft1.pick(b))
	}
	r := h.books.Settle(books.Settlement{Order: ft1.text(2), Channel: ft1.text(7), ChannelNo: ft1.text(3), Operator: ft1.text(20), Bills: bills, AmountFen: sum, PaidAt: at})
	return booked(r, h.heldPayment(ft1.text(2)))
}

func (h *HIS) heldPayment(order string) func() string {
	return func() string {
		s, _ := h.books.Settlement(order)
		return line("ZFI", s.Order, s.HisNo, books.Yuan(s.AmountFen), "P", books.Yuan(s.RefundedFen), compact(s.PaidAt))
	}
}

func (h *HIS) askPayment(m *message) reply {
	no := m.first("QPD").text(3)
	if _, ok := h.books.Settlement(no); !ok {
		return told()
	}
	return told(h.heldPayment(no)())
}

// refund: as settle, with a negative sum; -23 is our order and the hospital's
// receipt. AJ takes a booking back of which no money moved.
func (h *HIS) refund(m *message) reply {
	ft1 := m.first("FT1")
	sum, err := books.ParseYuan(strings.TrimPrefix(ft1.text(11), "-"))
	at, timed := clock(ft1.text(4))
	switch {
	case err != nil || !strings.HasPrefix(ft1.text(11), "-"):
		return refuse("FT1^1^11^102", "金额格式错误")
	case !timed:
		return refuse("FT1^1^4^102", "时间格式错误")
	}
	r := h.books.Refund(books.Refund{No: ft1.text(2), Order: ft1.text(23), Operator: ft1.text(20), AmountFen: sum, RefundedAt: at, Reversal: ft1.text(6) == "AJ"}, ft1.text(23, 2))
	return booked(r, h.heldRefund(ft1.text(2)))
}

func (h *HIS) heldRefund(no string) func() string {
	return func() string {
		r, _ := h.books.RefundOf(no)
		return line("ZFI", r.No, r.HisNo, books.Yuan(r.AmountFen), "B", "", compact(r.RefundedAt))
	}
}

func (h *HIS) askRefund(m *message) reply {
	no := m.first("QPD").text(3)
	if _, ok := h.books.RefundOf(no); !ok {
		return told()
	}
	return told(h.heldRefund(no)())
}

// askUnpaid gives a ZBL for each bill, and behind it a ZBD for each of its lines.
func (h *HIS) askUnpaid(m *message) reply {
	visit, patient := m.first("QPD").text(3), m.first("QPD").text(4)
	var rows []string
	bill := func(hisNo, no, title string, sum int64, all []books.Line) {
		rows = append(rows, line("ZBL", hisNo, no, title, books.Yuan(sum)))
		for _, l := range all {
			rows = append(rows, line("ZBD", strconv.Itoa(l.No), components(l.Code, l.Name), l.Qty, l.Unit, l.Price, books.Yuan(l.AmountFen)))
		}
	}
	for _, p := range h.books.Unpaid(visit, patient) {
		bill(p.HisNo, p.No, "药费", p.AmountFen, p.Lines)
	}
	for _, o := range h.books.UnpaidOrders(visit, patient) {
		bill(o.HisNo, "", "检验检查费", o.AmountFen, o.Lines)
	}
	return told(rows...)
}

// page is how many rows of the ledger come at once, the rest by DSC.
const page = 50

func asked(m *message) (books.Asked, bool) {
	qpd := m.first("QPD")
	day, err := time.Parse("20060102", qpd.text(3))
	return books.Asked{Day: day.Format(time.DateOnly), Operator: qpd.text(4), Channel: qpd.text(5)}, err == nil
}

func (h *HIS) askLedger(m *message) reply {
	q, ok := asked(m)
	if !ok {
		return refuse("QPD^1^3^102", "日期格式错误")
	}
	from := 0
	if mark := m.first("DSC").text(1); mark != "" {
		n, err := strconv.Atoi(mark)
		if err != nil || n < 0 {
			return refuse("DSC^1^1^102", "续页标记错误")
		}
		from = n
	}
	all := h.books.Ledger(q)
	var rows []string
	for _, r := range all[min(from, len(all)):min(from+page, len(all))] {
		kind, sum := "PY", books.Yuan(r.AmountFen)
		if r.Refund {
			kind, sum = "CD", "-"+sum
		}
		if r.Reversal {
			kind = "AJ"
		}
		bills := make([]parts, len(r.Bills))
		for i, b := range r.Bills {
			bills[i] = components(b)
		}
		rows = append(rows, line("ZLG", kind, r.Order, r.RefundNo, r.ChannelNo, r.HisNo, sum, compact(r.Time), r.Operator, r.Channel, repetitions(bills...)))
	}
	a := told(rows...)
	if next := from + page; next < len(all) {
		a.lines = append(a.lines, line("DSC", strconv.Itoa(next), "I"))
	}
	return a
}

func (h *HIS) askTotals(m *message) reply {
	q, ok := asked(m)
	if !ok {
		return refuse("QPD^1^3^102", "日期格式错误")
	}
	t := h.books.LedgerTotals(q)
	return told(line("ZLT", strconv.Itoa(t.Payments), books.Yuan(t.PaymentFen), strconv.Itoa(t.Refunds), books.Yuan(-t.RefundsFen)))
}
