package resthis

import (
	"encoding/json"
	"strconv"
	"strings"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// input holds the fields of every operation; each reads its own. A number where
// text belongs does not unmarshal and is refused, as the hospital does.
type input struct {
	RxNo        string `json:"rxNo"`
	VisitNo     string `json:"visitNo"`
	PatientID   string `json:"patientId"`
	PatientName string `json:"patientName"`
	Sex         string `json:"sex"`
	DeptCode    string `json:"deptCode"`
	DoctorCode  string `json:"doctorCode"`
	TotalFee    string `json:"totalFee"`
	Reason      string `json:"reason"`
	Items       []item `json:"items"`

	OrderNo  string   `json:"orderNo"`
	RxNos    []string `json:"rxNos"`
	PayWay   string   `json:"payWay"`
	TradeNo  string   `json:"tradeNo"`
	PayTime  string   `json:"payTime"`
	OperCode string   `json:"operCode"`

	RefundNo   string `json:"refundNo"`
	HisPayNo   string `json:"hisPayNo"`
	RefundFee  string `json:"refundFee"`
	RefundTime string `json:"refundTime"`
	IsReverse  string `json:"isReverse"`

	Date     string      `json:"date"`
	PageNo   json.Number `json:"pageNo"`
	PageSize json.Number `json:"pageSize"`
}

type item struct {
	DrugCode string `json:"drugCode"`
	DrugName string `json:"drugName"`
	Spec     string `json:"spec"`
	Qty      string `json:"qty"`
	Unit     string `json:"unit"`
	Price    string `json:"price"`
	Amount   string `json:"amount"`
}

// work of one code.
type work struct {
	key     func(*input) string
	inquiry bool // a status question, which the option Inquiry switches off
	act     func(*HIS, *input, fault.Kind) (reply, string)
}

var codes = map[string]work{
	"RX001":   {key: byRx, act: (*HIS).savePrescription},
	"RX002":   {key: byRx, act: (*HIS).voidPrescription},
	"RX003":   {key: byRx, inquiry: true, act: (*HIS).queryPrescription},
	"PAY001":  {key: byOrder, act: (*HIS).settle},
	"PAY003":  {key: byOrder, inquiry: true, act: (*HIS).queryPayment},
	"RF001":   {key: byRefund, act: (*HIS).refund},
	"RF003":   {key: byRefund, inquiry: true, act: (*HIS).queryRefund},
	"BILL001": {key: func(in *input) string { return in.VisitNo }, act: (*HIS).unpaidBills},
	"LED001":  {key: func(in *input) string { return in.Date }, act: (*HIS).ledger},
	"LED002":  {key: func(in *input) string { return in.Date }, act: (*HIS).ledgerTotals},
}

func byRx(in *input) string     { return in.RxNo }
func byOrder(in *input) string  { return in.OrderNo }
func byRefund(in *input) string { return in.RefundNo }

// lacking names the first empty field of name, value, name, value …
func lacking(pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return pairs[i]
		}
	}
	return ""
}

func wrong(field string) (reply, string) { return malformed(field), "refused: " + field }

type rxSet struct {
	RxNo     string `json:"rxNo"`
	HisRxNo  string `json:"hisRxNo"`
	RxState  string `json:"rxState,omitempty"`
	TotalFee string `json:"totalFee,omitempty"`
}

func (h *HIS) savePrescription(in *input, kind fault.Kind) (reply, string) {
	if name := lacking("rxNo", in.RxNo, "visitNo", in.VisitNo, "patientId", in.PatientID, "patientName", in.PatientName,
		"deptCode", in.DeptCode, "doctorCode", in.DoctorCode); name != "" {
		return wrong(name)
	}
	if in.Sex != "1" && in.Sex != "2" {
		return wrong("sex")
	}
	total, err := books.ParseYuan(in.TotalFee)
	if err != nil {
		return wrong("totalFee")
	}
	p := books.Prescription{No: in.RxNo, VisitNo: in.VisitNo, PatientID: in.PatientID, PatientName: in.PatientName, AmountFen: total}
	for i, it := range in.Items {
		if name := lacking("drugCode", it.DrugCode, "drugName", it.DrugName, "qty", it.Qty, "price", it.Price); name != "" {
			return wrong("items." + name)
		}
		amount, err := books.ParseYuan(it.Amount)
		if err != nil {
			return wrong("items.amount")
		}
		p.Lines = append(p.Lines, books.Line{No: i + 1, Code: it.DrugCode, Name: it.DrugName, Spec: it.Spec, Unit: it.Unit,
			Qty: it.Qty, Price: it.Price, AmountFen: amount})
	}
	r := h.books.Save(p)
	return booked(r, kind, rxSet{RxNo: in.RxNo, HisRxNo: r.HisNo, TotalFee: books.Yuan(r.AmountFen)}), r.Journal()
}

func (h *HIS) voidPrescription(in *input, kind fault.Kind) (reply, string) {
	if in.RxNo == "" {
		return wrong("rxNo")
	}
	r := h.books.Void(in.RxNo, in.Reason)
	effect := r.Journal()
	if r.Effect == books.Already {
		r.Effect = books.Repeated // voiding twice is harmless, whatever the repeats
	}
	return booked(r, kind, rxSet{RxNo: in.RxNo, HisRxNo: r.HisNo}), effect
}

var rxStates = map[string]string{books.Saved: "1", books.Settled: "2", books.Dispensed: "3", books.Returned: "4", books.Voided: "9"}

func (h *HIS) queryPrescription(in *input, _ fault.Kind) (reply, string) {
	if in.RxNo == "" {
		return wrong("rxNo")
	}
	p, ok := h.books.Prescription(in.RxNo)
	if !ok {
		return done(nil), "asked"
	}
	return done(rxSet{RxNo: p.No, HisRxNo: p.HisNo, RxState: rxStates[p.State], TotalFee: books.Yuan(p.AmountFen)}), "asked"
}

type paySet struct {
	OrderNo   string `json:"orderNo"`
	HisPayNo  string `json:"hisPayNo"`
	PayState  string `json:"payState,omitempty"`
	TotalFee  string `json:"totalFee"`
	RefundFee string `json:"refundFee,omitempty"`
}

func (h *HIS) settle(in *input, kind fault.Kind) (reply, string) {
	if name := lacking("orderNo", in.OrderNo, "patientId", in.PatientID, "payWay", in.PayWay, "tradeNo", in.TradeNo, "payTime", in.PayTime); name != "" {
		return wrong(name)
	}
	total, err := books.ParseYuan(in.TotalFee)
	if err != nil {
		return wrong("totalFee")
	}
	r := h.books.Settle(books.Settlement{Order: in.OrderNo, Channel: in.PayWay, ChannelNo: in.TradeNo, Operator: in.OperCode,
		Bills: in.RxNos, AmountFen: total, PaidAt: in.PayTime})
	return booked(r, kind, paySet{OrderNo: in.OrderNo, HisPayNo: r.HisNo, TotalFee: books.Yuan(r.AmountFen)}), r.Journal()
}

func (h *HIS) queryPayment(in *input, _ fault.Kind) (reply, string) {
	if in.OrderNo == "" {
		return wrong("orderNo")
	}
	s, ok := h.books.Settlement(in.OrderNo)
	if !ok {
		return done(nil), "asked"
	}
	return done(paySet{OrderNo: s.Order, HisPayNo: s.HisNo, PayState: "1", TotalFee: books.Yuan(s.AmountFen), RefundFee: books.Yuan(s.RefundedFen)}), "asked"
}

type refundSet struct {
	RefundNo    string `json:"refundNo"`
	HisRefundNo string `json:"hisRefundNo"`
	RefundState string `json:"refundState,omitempty"`
	RefundFee   string `json:"refundFee"`
}

func (h *HIS) refund(in *input, kind fault.Kind) (reply, string) {
	if name := lacking("refundNo", in.RefundNo, "orderNo", in.OrderNo); name != "" {
		return wrong(name)
	}
	fee, err := books.ParseYuan(in.RefundFee)
	if err != nil {
		return wrong("refundFee")
	}
	r := h.books.Refund(books.Refund{No: in.RefundNo, Order: in.OrderNo, Operator: in.OperCode, AmountFen: fee, RefundedAt: in.RefundTime,
		Reversal: in.IsReverse == "1"}, in.HisPayNo)
	return booked(r, kind, refundSet{RefundNo: in.RefundNo, HisRefundNo: r.HisNo, RefundFee: books.Yuan(r.AmountFen)}), r.Journal()
}

func (h *HIS) queryRefund(in *input, _ fault.Kind) (reply, string) {
	if in.RefundNo == "" {
		return wrong("refundNo")
	}
	r, ok := h.books.RefundOf(in.RefundNo)
	if !ok {
		return done(nil), "asked"
	}
	return done(refundSet{RefundNo: r.No, HisRefundNo: r.HisNo, RefundState: "1", RefundFee: books.Yuan(r.AmountFen)}), "asked"
}

type billSet struct {
	RxNo      string `json:"rxNo"`
	HisRxNo   string `json:"hisRxNo"`
	VisitNo   string `json:"visitNo"`
	PatientID string `json:"patientId"`
	TotalFee  string `json:"totalFee"`
	Items     []item `json:"items"`
}

func (h *HIS) unpaidBills(in *input, _ fault.Kind) (reply, string) {
	if in.VisitNo == "" && in.PatientID == "" {
		return wrong("visitNo")
	}
	var bills []billSet
	for _, p := range h.books.Unpaid(in.VisitNo, in.PatientID) {
		bill := billSet{RxNo: p.No, HisRxNo: p.HisNo, VisitNo: p.VisitNo, PatientID: p.PatientID, TotalFee: books.Yuan(p.AmountFen)}
		for _, line := range p.Lines {
			bill.Items = append(bill.Items, item{DrugCode: line.Code, DrugName: line.Name, Spec: line.Spec, Qty: line.Qty,
				Unit: line.Unit, Price: line.Price, Amount: books.Yuan(line.AmountFen)})
		}
		bills = append(bills, bill)
	}
	if bills == nil {
		return done(nil), "asked"
	}
	return done(map[string]any{"bills": bills}), "asked"
}

type ledgerRow struct {
	Type     string `json:"type"`
	OrderNo  string `json:"orderNo"`
	RefundNo string `json:"refundNo"`
	TradeNo  string `json:"tradeNo"`
	HisPayNo string `json:"hisPayNo"`
	Amount   string `json:"amount"`
	PayTime  string `json:"payTime"`
	OperCode string `json:"operCode"`
	PayWay   string `json:"payWay"`
	// IsReverse 1 takes a booking back without money.
	IsReverse string `json:"isReverse"`
	RxNos     string `json:"rxNos"`
}

// asked: the ledger of this hospital goes by its own clock.
func asked(in *input) books.Asked {
	return books.Asked{Day: in.Date, Operator: in.OperCode, Channel: in.PayWay, Clock: true}
}

func (h *HIS) ledgerTotals(in *input, _ fault.Kind) (reply, string) {
	if len(in.Date) != len("2006-01-02") {
		return wrong("date")
	}
	t := h.books.LedgerTotals(asked(in))
	return done(map[string]any{"payCount": t.Payments, "payFee": books.Yuan(t.PaymentFen), "refundCount": t.Refunds, "refundFee": books.Yuan(t.RefundsFen)}), "asked"
}

func (h *HIS) ledger(in *input, _ fault.Kind) (reply, string) {
	page, err := strconv.Atoi(in.PageNo.String())
	if err != nil || page < 1 {
		return wrong("pageNo")
	}
	size, err := strconv.Atoi(in.PageSize.String())
	if err != nil || size < 1 || size > 500 {
		return wrong("pageSize")
	}
	if len(in.Date) != len("2006-01-02") {
		return wrong("date")
	}
	all := h.books.Ledger(asked(in))
	if len(all) == 0 {
		return done(nil), "asked"
	}
	from, to := min((page-1)*size, len(all)), min(page*size, len(all))
	rows := make([]ledgerRow, 0, to-from)
	for _, row := range all[from:to] {
		kind, reverse := "1", "0"
		if row.Refund {
			kind = "2"
		}
		if row.Reversal {
			reverse = "1"
		}
		rows = append(rows, ledgerRow{kind, row.Order, row.RefundNo, row.ChannelNo, row.HisNo, books.Yuan(row.AmountFen), row.Time, row.Operator, row.Channel, reverse, strings.Join(row.Bills, ",")})
	}
	return done(map[string]any{"total": len(all), "pageNo": strconv.Itoa(page), "rows": rows}), "asked"
}
