package soaphis

import (
	"strconv"
	"strings"

	"hishub/mocks/books"
)

// operation of the service.
type operation struct {
	tradeCode    string
	key          []string // where our number is
	inquiry      bool     // a status question, which the option Inquiry switches off
	already      string   // the code for a repeat
	alreadyWords string
	act          func(*HIS, *request) answer
}

var operations = map[string]operation{
	"SavePrescription":  {tradeCode: "5101", key: []string{"RecipeNo"}, already: "-2", alreadyWords: "处方已存在", act: (*HIS).savePrescription},
	"VoidPrescription":  {tradeCode: "5102", key: []string{"RecipeNo"}, already: "0", alreadyWords: "已作废", act: (*HIS).voidPrescription},
	"QueryPrescription": {tradeCode: "5103", key: []string{"RecipeNo"}, inquiry: true, act: (*HIS).queryPrescription},
	"GetUnpaidBills":    {tradeCode: "5200", key: []string{"Adm"}, act: (*HIS).unpaidBills},
	"PreSettle":         {tradeCode: "5201", key: []string{"PlatformNo"}, act: (*HIS).preSettle},
	"ConfirmSettle":     {tradeCode: "5202", key: []string{"PayDetails", "PlatformNo"}, already: "-3", alreadyWords: "该订单已结算", act: (*HIS).confirmSettle},
	"QueryPay":          {tradeCode: "5203", key: []string{"PlatformNo"}, inquiry: true, act: (*HIS).queryPay},
	"CancelPreSettle":   {tradeCode: "5204", key: []string{"PlatformNo"}, act: (*HIS).cancelPreSettle},
	"SaveRefund":        {tradeCode: "5301", key: []string{"RefundNo"}, already: "-4", alreadyWords: "退款已存在", act: (*HIS).saveRefund},
	"QueryRefund":       {tradeCode: "5302", key: []string{"RefundNo"}, inquiry: true, act: (*HIS).queryRefund},
	"GetLedgerDetail":   {tradeCode: "5401", key: []string{"BusiDate"}, act: (*HIS).ledgerDetail},
	"GetLedgerTotal":    {tradeCode: "5402", key: []string{"BusiDate"}, act: (*HIS).ledgerTotal},
}

// answer of an operation: code, words, and what follows them.
type answer struct {
	code, words string
	more        string // elements
	effect      string // for the journal
}

func (a answer) document() string {
	var d document
	d.open("Response")
	d.put("ResultCode", a.code)
	d.put("ResultMsg", a.words)
	d.WriteString(a.more)
	d.close("Response")
	return d.String()
}

func coded(code, words string) answer { return answer{code: code, words: words} }

func refuse(words string) answer {
	return answer{code: "-1", words: words, effect: "refused: " + words}
}

func told(code, words, more string) answer {
	return answer{code: code, words: words, more: more, effect: "asked"}
}

func noData() answer { return told("100", "无数据", "") }

// booked answers for a write: number and sum under the names of the operation.
func booked(r books.Result, done, already, alreadyWords, numberName, sumName string) answer {
	a := answer{code: "0", words: done, effect: r.Journal()}
	switch r.Effect {
	case books.Refused:
		return refuse(r.Words)
	case books.Conflict:
		return refuse("重复提交内容不一致")
	case books.Already:
		a.code, a.words = already, alreadyWords
	}
	a.more = fields(numberName, r.HisNo, sumName, books.Yuan(r.AmountFen))
	return a
}

// fields writes name, text, name, text …
func fields(pairs ...string) string {
	var d document
	for i := 0; i < len(pairs); i += 2 {
		d.put(pairs[i], pairs[i+1])
	}
	return d.String()
}

// lacking names the first field that is not there.
func lacking(d *element, names ...string) string {
	for _, name := range names {
		if d.value(name) == "" {
			return name
		}
	}
	return ""
}

func (h *HIS) savePrescription(req *request) answer {
	d := req.document
	if name := lacking(d, "RecipeNo", "PatientID", "PatientName", "DeptCode", "DoctorCode", "OrderSum"); name != "" {
		return refuse("字段缺失: " + name)
	}
	if sex := d.value("Sex"); sex != "1" && sex != "2" {
		return refuse("字段错误: Sex")
	}
	sum, err := books.ParseYuan(d.value("OrderSum"))
	if err != nil {
		return refuse("字段错误: OrderSum")
	}
	p := books.Prescription{
		No: d.value("RecipeNo"), VisitNo: d.value("Adm"), PatientID: d.value("PatientID"),
		PatientName: d.value("PatientName"), AmountFen: sum,
	}
	if items := d.child("RecipeItems"); items != nil {
		p.Lines = make([]books.Line, 0, len(items.kids))
		for i := range items.kids {
			item := &items.kids[i]
			if name := lacking(item, "ItemCode", "ItemName", "Qty", "Price", "Amount"); name != "" {
				return refuse("字段缺失: Item/" + name)
			}
			amount, err := books.ParseYuan(item.value("Amount"))
			if err != nil {
				return refuse("字段错误: Item/Amount")
			}
			p.Lines = append(p.Lines, books.Line{
				No: i + 1, Code: item.value("ItemCode"), Name: item.value("ItemName"), Spec: item.value("Spec"),
				Unit: item.value("Unit"), Qty: item.value("Qty"), Price: item.value("Price"), AmountFen: amount,
			})
		}
	}
	return booked(h.books.Save(p), "保存成功", "-2", "处方已存在", "OrderNo", "OrderSum")
}

func (h *HIS) voidPrescription(req *request) answer {
	no := req.text("RecipeNo")
	if no == "" {
		return refuse("字段缺失: RecipeNo")
	}
	r := h.books.Void(no, req.text("Reason"))
	if r.Effect == books.Refused {
		return refuse(r.Words)
	}
	a := answer{code: "0", words: "作废成功", effect: r.Journal()}
	if r.Effect == books.Already {
		a.words = "已作废"
	}
	return a
}

var recipeStates = map[string]string{books.Saved: "1", books.Settled: "2", books.Dispensed: "3", books.Returned: "4", books.Voided: "9"}

func (h *HIS) queryPrescription(req *request) answer {
	p, ok := h.books.Prescription(req.text("RecipeNo"))
	if !ok {
		return noData()
	}
	return told("0", "查询成功", fields("RecipeNo", p.No, "OrderNo", p.HisNo, "OrderSum", books.Yuan(p.AmountFen), "RecipeState", recipeStates[p.State]))
}

func (h *HIS) unpaidBills(req *request) answer {
	visit, patient := req.text("Adm"), req.text("PatientID")
	if visit == "" && patient == "" {
		return refuse("字段缺失: Adm")
	}
	unpaid := h.books.Unpaid(visit, patient)
	if len(unpaid) == 0 {
		return noData()
	}
	var d document
	d.open("Bills")
	for _, p := range unpaid {
		d.open("Bill")
		d.WriteString(fields("RecipeNo", p.No, "OrderNo", p.HisNo, "Adm", p.VisitNo, "PatientID", p.PatientID, "OrderSum", books.Yuan(p.AmountFen)))
		d.open("Items")
		for _, line := range p.Lines {
			d.open("Item")
			d.WriteString(fields("ItemCode", line.Code, "ItemName", line.Name, "Spec", line.Spec, "Qty", line.Qty,
				"Unit", line.Unit, "Price", line.Price, "Amount", books.Yuan(line.AmountFen)))
			d.close("Item")
		}
		d.close("Items")
		d.close("Bill")
	}
	d.close("Bills")
	return told("0", "查询成功", d.String())
}

func (h *HIS) saveRefund(req *request) answer {
	d := req.document
	if name := lacking(d, "RefundNo", "PlatformNo", "RefundSum"); name != "" {
		return refuse("字段缺失: " + name)
	}
	sum, err := books.ParseYuan(d.value("RefundSum"))
	if err != nil {
		return refuse("字段错误: RefundSum")
	}
	r := h.books.Refund(books.Refund{
		No: d.value("RefundNo"), Order: d.value("PlatformNo"), Operator: d.value("UserCode"),
		AmountFen: sum, RefundedAt: d.value("RefundTime"), Reversal: d.value("IsReverse") == "1",
	}, d.value("InvoiceNo"))
	return booked(r, "退款成功", "-4", "退款已存在", "RefundInvoiceNo", "RefundSum")
}

func (h *HIS) queryRefund(req *request) answer {
	r, ok := h.books.RefundOf(req.text("RefundNo"))
	if !ok {
		return noData()
	}
	return told("0", "查询成功", fields("RefundState", "1", "RefundInvoiceNo", r.HisNo, "RefundSum", books.Yuan(r.AmountFen)))
}

// asked is what a question about the ledger is about, false without a day.
func asked(req *request) (books.Asked, bool) {
	day := req.text("BusiDate")
	return books.Asked{Day: day, Operator: req.text("UserCode"), Channel: req.text("PayModeCode")}, len(day) == len("2006-01-02") && strings.Count(day, "-") == 2
}

func (h *HIS) ledgerTotal(req *request) answer {
	q, ok := asked(req)
	if !ok {
		return refuse("字段错误: BusiDate")
	}
	t := h.books.LedgerTotals(q)
	return told("0", "查询成功", fields("PayCount", strconv.Itoa(t.Payments), "PaySum", books.Yuan(t.PaymentFen),
		"RefundCount", strconv.Itoa(t.Refunds), "RefundSum", books.Yuan(t.RefundsFen)))
}

func (h *HIS) ledgerDetail(req *request) answer {
	q, ok := asked(req)
	if !ok {
		return refuse("字段错误: BusiDate")
	}
	rows := h.books.Ledger(q)
	if len(rows) == 0 {
		return noData()
	}
	var d document
	d.open("Rows")
	for _, row := range rows {
		kind, reverse := "1", "0"
		if row.Refund {
			kind = "2"
		}
		if row.Reversal {
			reverse = "1"
		}
		d.open("Row")
		d.WriteString(fields("Type", kind, "PlatformNo", row.Order, "RefundNo", row.RefundNo, "OutPayNo", row.ChannelNo,
			"InvoiceNo", row.HisNo, "Amount", books.Yuan(row.AmountFen), "Time", row.Time, "UserCode", row.Operator,
			"PayModeCode", row.Channel, "IsReverse", reverse, "Recipes", strings.Join(row.Bills, "^")))
		d.close("Row")
	}
	d.close("Rows")
	return told("0", "查询成功", d.String())
}
