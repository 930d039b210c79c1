package soaphis

import (
	"strings"
	"sync"
	"time"

	"hishub/mocks/books"
)

// invoice is a pre-settlement.
type invoice struct {
	no, order string
	bills     []string
	sum       int64
	expires   time.Time
	state     invoiceState
}

type invoiceState int

const (
	open invoiceState = iota
	confirmed
	cancelled
)

// invoices of the hospital. Its lock is held over a whole step, so that a confirm
// and a cancel of one invoice cannot cross.
type invoices struct {
	sync.Mutex
	byNo    map[string]*invoice
	byOrder map[string]*invoice // the newest
}

func newInvoices() *invoices {
	return &invoices{byNo: map[string]*invoice{}, byOrder: map[string]*invoice{}}
}

// order is the caller's order number of an invoice, "" when there is none.
func (i *invoices) order(no string) string {
	i.Lock()
	defer i.Unlock()
	if inv := i.byNo[no]; inv != nil {
		return inv.order
	}
	return ""
}

func (v *invoice) live(now time.Time) bool {
	return v != nil && v.state == open && now.Before(v.expires)
}

func (v *invoice) answer(words string, effect books.Effect) answer {
	return answer{code: "0", words: words, effect: string(effect),
		more: fields("InvoiceNo", v.no, "OrderSum", books.Yuan(v.sum), "ExpireTime", v.expires.In(books.Zone).Format(books.TimeLayout))}
}

// preSettle opens an invoice, or finds the open one.
func (h *HIS) preSettle(req *request) answer {
	d := req.document
	if name := lacking(d, "PlatformNo", "OrderNo", "OrderSum"); name != "" {
		return refuse("字段缺失: " + name)
	}
	sum, err := books.ParseYuan(d.value("OrderSum"))
	if err != nil || sum <= 0 {
		return refuse("字段错误: OrderSum")
	}
	order, bills := d.value("PlatformNo"), strings.Split(d.value("OrderNo"), "^")
	h.invoices.Lock()
	defer h.invoices.Unlock()
	if held, ok := h.books.Settlement(order); ok && h.options.Repeats != books.Double {
		a := answer{code: "-3", words: "该订单已结算", effect: string(books.Already), more: fields("InvoiceNo", held.HisNo, "OrderSum", books.Yuan(held.AmountFen))}
		if h.options.Repeats == books.Same && held.AmountFen == sum {
			a.code, a.words = "0", "预结算成功"
		}
		return a
	}
	now := time.Now()
	if inv := h.invoices.byOrder[order]; inv.live(now) {
		if inv.sum != sum {
			return refuse("该订单已预结算，金额不一致")
		}
		return inv.answer("预结算成功", books.Already)
	}
	if h.books.Voided(bills) {
		return refuse("处方已作废")
	}
	if h.options.Strict {
		if words := h.disagree(bills, sum); words != "" {
			return refuse(words)
		}
	}
	inv := &invoice{no: h.books.Number("I"), order: order, bills: bills, sum: sum, expires: now.Add(h.options.InvoiceLife)}
	h.invoices.byNo[inv.no], h.invoices.byOrder[order] = inv, inv
	return inv.answer("预结算成功", books.Done)
}

// disagree says what is wrong with the bills in strict mode.
func (h *HIS) disagree(bills []string, sum int64) string {
	for _, bill := range bills {
		p, ok := h.books.Prescription(bill)
		switch {
		case !ok:
			return "处方不存在"
		case p.State == books.Settled:
			return "处方已收费"
		}
		sum -= p.AmountFen
	}
	if sum != 0 {
		return "金额与处方不符"
	}
	return ""
}

// confirmSettle books the money of an open invoice.
func (h *HIS) confirmSettle(req *request) answer {
	pay := req.document.child("PayDetails")
	if name := lacking(pay, "PayAmt", "PayModeCode", "PlatformNo", "OutPayNo"); name != "" {
		return refuse("字段缺失: PayDetails/" + name)
	}
	no := req.text("InvoiceNoStr")
	if no == "" {
		return refuse("字段缺失: InvoiceNoStr")
	}
	amount, err := books.ParseYuan(pay.value("PayAmt"))
	if err != nil {
		return refuse("字段错误: PayDetails/PayAmt")
	}
	h.invoices.Lock()
	defer h.invoices.Unlock()
	inv := h.invoices.byNo[no]
	order := pay.value("PlatformNo")
	_, settled := h.books.Settlement(order)
	if !settled || h.options.Repeats == books.Double {
		// Only a first settlement needs a good invoice; a repeat is judged by the books.
		switch {
		case inv == nil || inv.order != order:
			return refuse("发票号不存在")
		case inv.state == cancelled:
			return refuse("预结算已撤销")
		case inv.state == open && !inv.live(time.Now()):
			return refuse("预结算已过期")
		case amount != inv.sum:
			return refuse("支付金额与预结算金额不符")
		}
	}
	s := books.Settlement{
		Order: order, HisNo: no, Channel: pay.value("PayModeCode"), ChannelNo: pay.value("OutPayNo"),
		Operator: req.text("UserCode"), AmountFen: amount, PaidAt: pay.value("PayTime"),
	}
	if inv != nil {
		s.Bills = inv.bills
	}
	r := h.books.Settle(s)
	if inv != nil && (r.Effect == books.Done || r.Effect == books.Again) {
		inv.state = confirmed
	}
	return booked(r, "确认完成成功", "-3", "该订单已结算", "InvoiceNo", "OrderSum")
}

// cancelPreSettle undoes an open invoice; there is no harm in asking twice.
func (h *HIS) cancelPreSettle(req *request) answer {
	no := req.text("InvoiceNoStr")
	if no == "" {
		return refuse("字段缺失: InvoiceNoStr")
	}
	h.invoices.Lock()
	defer h.invoices.Unlock()
	inv := h.invoices.byNo[no]
	switch {
	case inv == nil || inv.state == cancelled:
		return answer{code: "0", words: "已撤销", effect: string(books.Already)}
	case inv.state == confirmed:
		return refuse("已结算，不能撤销")
	}
	inv.state = cancelled
	return answer{code: "0", words: "撤销成功", effect: string(books.Done)}
}

// queryPay tells where a payment is.
func (h *HIS) queryPay(req *request) answer {
	order, no := req.text("PlatformNo"), req.text("InvoiceNoStr")
	if order == "" && no == "" {
		return refuse("字段缺失: PlatformNo")
	}
	h.invoices.Lock()
	defer h.invoices.Unlock()
	inv := h.invoices.byNo[no]
	if order == "" && inv != nil {
		order = inv.order
	}
	if s, ok := h.books.Settlement(order); ok {
		return told("0", "已结算", fields("PayState", "1", "InvoiceNo", s.HisNo, "OrderSum", books.Yuan(s.AmountFen),
			"PlatformNo", s.Order, "RefundSum", books.Yuan(s.RefundedFen)))
	}
	if inv == nil {
		inv = h.invoices.byOrder[order]
	}
	if inv.live(time.Now()) {
		return told("0", "已预结算，未确认", fields("PayState", "2", "InvoiceNo", inv.no, "OrderSum", books.Yuan(inv.sum), "PlatformNo", inv.order))
	}
	return told("0", "无记录", fields("PayState", "0"))
}
