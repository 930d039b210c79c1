package pushhis

import (
	"slices"
	"strconv"
	"strings"

	"hishub/mocks/books"
)

// operator is the account whose ledger the platform's is.
const operator = "wk01"

// findOutpatientPay lists prescriptions and applications alike.
func (h *HIS) findOutpatientPay(req *request) answer {
	visit, patient := req.text("clinicNo"), req.text("patientId")
	var rows []string
	bill := func(no, ours, visitNo, kind string, fen int64, lines []books.Line) {
		rows = append(rows, fields("clinicNo", visitNo, "prescriptionNo", no, "recipeNo", ours, "orderFee", books.Yuan(fen), "feeType", kind)+
			listed("feeDetail", lines, func(l books.Line) string {
				return fields("itemCode", l.Code, "feeName", l.Name, "price", l.Price, "count", l.Qty, "fee", books.Yuan(l.AmountFen))
			}))
	}
	for _, p := range h.books.Unpaid(visit, patient) {
		bill(p.HisNo, p.No, p.VisitNo, "药费", p.AmountFen, p.Lines)
	}
	for _, o := range h.books.UnpaidOrders(visit, patient) {
		bill(o.HisNo, "", o.VisitNo, "检查费", o.AmountFen, o.Lines)
	}
	return told("成功", content(rows, func(row string) string { return row }))
}

// outpatientPay: bills that were voided will not get better, so the money goes
// back. Of several bills the voided are refused alone, and the rest is settled.
func (h *HIS) outpatientPay(req *request) answer {
	fee, err := books.ParseYuan(req.text("orderFee"))
	if err != nil {
		return refuse("参数错误: orderFee")
	}
	s := books.Settlement{
		Order: req.text("tradeNo"), Channel: req.text("payType"), ChannelNo: req.text("payNo"), Operator: operator,
		Bills: strings.Split(req.text("prescriptionNo"), ","), AmountFen: fee, PaidAt: req.text("payedTime"),
	}
	sent := s.Bills
	s.Bills = kept(sent, func(bill string) bool { return !h.voided(s.Order, bill) })
	if len(s.Bills) == 0 {
		return refuse(voidedWords).refund()
	}
	for _, bill := range sent {
		if !slices.Contains(s.Bills, bill) {
			s.AmountFen -= h.amount(bill)
		}
	}
	a := booked(h.books.Settle(s), "支付成功", "hisPayId", "orderFee")
	if a.result == "success" || a.result == repeated {
		held, _ := h.books.Settlement(s.Order)
		a.more += fields("invoiceNo", "mz"+held.HisNo)
		if len(sent) > 1 {
			a.more += verdicts(sent, s.Bills)
		}
	}
	return a
}

const voidedWords = "处方已作废"

// voided: what was settled with the order once stays so for its repeats.
func (h *HIS) voided(order, bill string) bool {
	if held, again := h.books.Settlement(order); again {
		return !slices.Contains(held.Bills, bill)
	}
	return h.books.Voided([]string{bill})
}

func (h *HIS) amount(bill string) int64 {
	if p, ok := h.books.Prescription(bill); ok {
		return p.AmountFen
	}
	o, _ := h.books.OrderOf(bill)
	return o.AmountFen
}

// verdicts are a line for each bill.
func verdicts(sent, taken []string) string {
	var d document
	d.open("lines")
	for _, bill := range sent {
		d.open("line")
		if slices.Contains(taken, bill) {
			d.WriteString(fields("prescriptionNo", bill, "result", "success", "message", ""))
		} else {
			d.WriteString(fields("prescriptionNo", bill, "result", "error", "message", voidedWords))
		}
		d.close("line")
	}
	d.close("lines")
	return d.String()
}

// payStatus: 0 not known, 1 paid, 4 worked on.
func (h *HIS) payStatus(req *request) answer {
	order := req.text("tradeNo")
	if h.works.on(order) {
		return told("处理中", fields("payState", "4"))
	}
	s, ok := h.books.Settlement(order)
	if !ok {
		return told("无记录", fields("payState", "0"))
	}
	return told("已支付", fields("payState", "1", "tradeNo", s.Order, "hisPayId", s.HisNo, "orderFee", books.Yuan(s.AmountFen),
		"refundFee", books.Yuan(s.RefundedFen), "invoiceNo", "mz"+s.HisNo))
}

func (h *HIS) refundPay(req *request) answer {
	d := req.document
	fee, err := books.ParseYuan(d.value("refundFee"))
	if err != nil {
		return refuse("参数错误: refundFee")
	}
	r := books.Refund{No: d.value("refundNo"), Order: d.value("tradeNo"), Operator: operator, AmountFen: fee, RefundedAt: d.value("refundTime"),
		Reversal: d.value("is_reverse") == "1"}
	for _, l := range d.rows("refundDetail") {
		fen, err := books.ParseYuan(l.value("fee"))
		if err != nil {
			return refuse("参数错误: data/fee")
		}
		r.Lines = append(r.Lines, books.RefundLine{Bill: l.value("prescriptionNo"), No: l.value("sortNo"), AmountFen: fen})
	}
	back := h.books.Refund
	if len(r.Lines) > 0 {
		back = h.books.RefundLines
	}
	return booked(back(r, d.value("hisPayId")), "退费成功", "hisRefundId", "refundFee")
}

// queryRefundStatus: 0 not known, 2 done. The hospital's books know nothing in between.
func (h *HIS) queryRefundStatus(req *request) answer {
	r, ok := h.books.RefundOf(req.text("refundNo"))
	if !ok {
		return told("无记录", fields("refundState", "0"))
	}
	return told("成功", fields("refundState", "2", "refundNo", r.No, "hisRefundId", r.HisNo, "refundFee", books.Yuan(r.AmountFen)))
}

func (h *HIS) printInvoice(req *request) answer {
	fee, err := books.ParseYuan(req.text("invoiceFee"))
	if err != nil {
		return refuse("参数错误: invoiceFee")
	}
	r := h.books.Issue(books.Invoice{Order: req.text("tradeNo"), AmountFen: fee})
	a := booked(r, "开票成功", "invoiceNo", "invoiceFee")
	if r.HisNo != "" {
		a.more += fields("invoiceUrl", "https://invoice.example/"+r.HisNo)
	}
	return a
}

// Kinds of transactions in the ledger.
const (
	registrations = "1"
	outpatients   = "2"
)

func (h *HIS) transaction(r books.Row) string {
	if a, ok := h.books.AppointmentOf(r.Order); r.Registration || ok && a.HisNo != "" {
		return registrations
	}
	return outpatients
}

// ledger lists a day by the caller's own times, of one kind unless it is "".
func (h *HIS) ledger(day, kind string) []books.Row {
	return kept(h.books.Ledger(books.Asked{Day: day}), func(r books.Row) bool { return kind == "" || h.transaction(r) == kind })
}

func isDay(s string) bool { return len(s) == len("2006-01-02") && strings.Count(s, "-") == 2 }

func (h *HIS) ledgerInfo(req *request) answer {
	day := req.text("checkDate")
	if !isDay(day) {
		return refuse("参数错误: checkDate")
	}
	kind := req.text("transactionType")
	t := books.Total(kept(h.books.LedgerOnce(books.Asked{Day: day}), func(r books.Row) bool { return kind == "" || h.transaction(r) == kind }))
	return told("成功", fields("payCount", strconv.Itoa(t.Payments), "payCash", books.Yuan(t.PaymentFen), "refundCount", strconv.Itoa(t.Refunds), "refundCash", books.Yuan(t.RefundsFen)))
}

// ledgerDetail ends hisPayId in another case than it begins, as the hospital's
// program always did. channel: 0 in, 1 out.
func (h *HIS) ledgerDetail(req *request) answer {
	day, kind := req.text("checkDate"), req.text("transactionType")
	if !isDay(day) {
		return refuse("参数错误: checkDate")
	}
	if kind != registrations && kind != outpatients {
		return refuse("参数错误: transactionType")
	}
	return told("", content(h.ledger(day, kind), func(r books.Row) string {
		paid := r.HisNo
		if r.Refund {
			s, _ := h.books.Settlement(r.Order)
			paid = s.HisNo
		}
		row := fields("transactionType", kind) + "<hisPayId>" + paid + "</HisPayId>" + fields("tradeNo", r.Order, "payType", r.Channel, "cashier_id", r.Operator)
		if r.Reversal {
			row += fields("is_reverse", "1")
		}
		if r.Refund {
			return row + fields("refundNo", r.RefundNo, "hisRefundId", r.HisNo, "amount", books.Yuan(r.AmountFen), "channel", "1", "payNo", r.ChannelNo, "payedTime", r.Time)
		}
		return row + fields("amount", books.Yuan(r.AmountFen), "channel", "0", "payNo", r.ChannelNo, "payedTime", r.Time, "prescriptionNo", strings.Join(r.Bills, ","))
	}))
}
