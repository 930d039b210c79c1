package pushhis

import (
	"strconv"

	"hishub/mocks/books"
)

// operation of the service.
type operation struct {
	act     func(*HIS, *request) answer
	key     string   // where our number is
	needs   []string // what may not be empty
	inquiry bool     // a status question, which the option Inquiry switches off
	slow    bool     // worked on for PayTime, one at a time for each number
}

var operations = map[string]operation{
	"netTest":             {act: (*HIS).netTest},
	"findAllDepartments":  {act: (*HIS).findAllDepartments},
	"findAllDoctors":      {act: (*HIS).findAllDoctors, key: "departmentCode"},
	"findSchedules":       {act: (*HIS).findSchedules, key: "beginDate"},
	"findAllDrugs":        {act: (*HIS).findAllDrugs, key: "pageNo", needs: []string{"pageNo", "pageSize"}},
	"findDrugStock":       {act: (*HIS).findDrugStock, key: "drugCode"},
	"findDiagnosisDict":   {act: (*HIS).findDiagnosisDict, key: "pageNo", needs: []string{"pageNo", "pageSize"}},
	"createACard":         {act: (*HIS).createACard, key: "personId", needs: []string{"personId", "realName", "sex", "birthday", "idType", "mobile"}},
	"findPatient":         {act: (*HIS).findPatient, key: "idCard", needs: []string{"realName", "idCard"}},
	"lockNumber":          {act: (*HIS).lockNumber, key: "tradeNo", needs: []string{"tradeNo", "patientId", "scheduleId"}},
	"unlockNumber":        {act: (*HIS).unlockNumber, key: "tradeNo", needs: []string{"tradeNo"}},
	"register":            {act: (*HIS).register, key: "tradeNo", needs: []string{"tradeNo", "patientId", "realName", "scheduleId", "registerFee"}},
	"payRegister":         {act: (*HIS).payRegister, key: "tradeNo", needs: []string{"tradeNo", "patientId", "payFee", "payType", "payNo", "payedTime"}, slow: true},
	"cancelRegister":      {act: (*HIS).cancelRegister, key: "tradeNo", needs: []string{"tradeNo"}},
	"backRegister":        {act: (*HIS).backRegister, key: "tradeNo", needs: []string{"tradeNo", "refundNo", "refundFee", "refundTime"}},
	"queryState":          {act: (*HIS).queryState, key: "tradeNo", needs: []string{"tradeNo"}, inquiry: true},
	"findQueue":           {act: (*HIS).findQueue, key: "patientId", needs: []string{"patientId"}},
	"saveRecipe":          {act: (*HIS).saveRecipe, key: "recipeNo", needs: []string{"recipeNo", "patientId", "realName", "departmentCode", "doctorCode", "recipeFee"}},
	"revokeRecipe":        {act: (*HIS).revokeRecipe, key: "recipeNo", needs: []string{"recipeNo"}},
	"queryRecipe":         {act: (*HIS).queryRecipe, key: "recipeNo", needs: []string{"recipeNo"}, inquiry: true},
	"recipeDelivery":      {act: (*HIS).recipeDelivery, key: "recipeNo", needs: []string{"recipeNo", "deliveryState", "deliveryTime"}},
	"saveApply":           {act: (*HIS).saveApply, key: "applyNo", needs: []string{"applyNo", "patientId", "realName", "departmentCode", "doctorCode", "applyType", "applyFee"}},
	"revokeApply":         {act: (*HIS).revokeApply, key: "applyNo", needs: []string{"applyNo"}},
	"queryApply":          {act: (*HIS).queryApply, key: "applyNo", needs: []string{"applyNo"}, inquiry: true},
	"findOutpatientPay":   {act: (*HIS).findOutpatientPay, key: "clinicNo", needs: []string{"clinicNo"}},
	"outpatientPay":       {act: (*HIS).outpatientPay, key: "tradeNo", needs: []string{"prescriptionNo", "tradeNo", "orderFee", "payType", "payNo", "payedTime"}, slow: true},
	"payStatus":           {act: (*HIS).payStatus, key: "tradeNo", needs: []string{"tradeNo"}, inquiry: true},
	"refundPay":           {act: (*HIS).refundPay, key: "refundNo", needs: []string{"refundNo", "tradeNo", "refundFee", "refundTime"}},
	"queryRefundStatus":   {act: (*HIS).queryRefundStatus, key: "refundNo", needs: []string{"refundNo"}, inquiry: true},
	"printInvoice":        {act: (*HIS).printInvoice, key: "tradeNo", needs: []string{"tradeNo", "invoiceFee"}},
	"findReports":         {act: (*HIS).findReports, key: "patientId", needs: []string{"patientId"}},
	"findReportDetail":    {act: (*HIS).findReportDetail, key: "reportId", needs: []string{"reportId"}},
	"getCheckLedgerInfo":  {act: (*HIS).ledgerInfo, key: "checkDate", needs: []string{"checkDate"}},
	"GetChecLedgerDetail": {act: (*HIS).ledgerDetail, key: "checkDate", needs: []string{"checkDate", "transactionType"}},
}

// What a repeat is called where the hospital does not simply answer again.
const (
	repeated      = "repeat"
	repeatedWords = "重复提交"
)

func refuse(words string) answer {
	return answer{result: "error", message: words, effect: "refused: " + words}
}

// refund says that the money has to go back at once.
func (a answer) refund() answer {
	a.more += fields("isRefund", "1")
	return a
}

func told(words, more string) answer {
	return answer{result: "success", message: words, more: more, effect: "asked"}
}

// booked answers for a write: number and sum under the names of the method; no
// sum without a name for it.
func booked(r books.Result, words, numberName, sumName string) answer {
	a := answer{result: "success", message: words, effect: r.Journal()}
	switch r.Effect {
	case books.Refused:
		return refuse(r.Words)
	case books.Conflict:
		return refuse("重复提交内容不一致")
	case books.Already:
		a.result, a.message = repeated, repeatedWords
	}
	a.more = fields(numberName, r.HisNo)
	if sumName != "" {
		a.more += fields(sumName, books.Yuan(r.AmountFen))
	}
	return a
}

// takenBack answers for what may be done twice without harm.
func takenBack(r books.Result, words, again string) answer {
	if r.Effect == books.Refused {
		return refuse(r.Words)
	}
	a := answer{result: "success", message: words, effect: r.Journal()}
	if r.Effect == books.Already {
		a.message = again
	}
	return a
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

// page cuts out the rows of a page; pages count from 1.
func page[T any](req *request, rows []T) ([]T, answer, bool) {
	no, err := strconv.Atoi(req.text("pageNo"))
	size, err2 := strconv.Atoi(req.text("pageSize"))
	if err != nil || err2 != nil || no < 1 || size < 1 || size > 100 {
		return nil, refuse("参数错误: pageNo, pageSize"), false
	}
	from := min((no-1)*size, len(rows))
	return rows[from:min(from+size, len(rows))], answer{}, true
}
