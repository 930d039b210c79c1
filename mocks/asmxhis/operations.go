package asmxhis

import (
	"strings"
	"time"

	"hishub/mocks/books"
)

// operation of the service. Every parameter is a string.
type operation struct {
	params  []string // in the order of the WSDL
	needs   []string // those that may not be empty
	key     string   // where our number is
	inquiry bool     // a status question, which the option Inquiry switches off
	already string   // the words for a repeat, "" where a repeat is answered like the first time
	act     func(*HIS, params) reply
}

func names(s string) []string { return strings.Fields(s) }

var operations = map[string]operation{
	"InsertPatientInfo": {params: names("personId name sex birthday idType idNo phone address guardName guardIdNo guardPhone operCode"), needs: names("personId name sex birthday"), key: "personId", already: "该患者已存在", act: (*HIS).insertPatient},
	"GetPatInfo":        {params: names("personId name idType idNo"), key: "idNo", act: (*HIS).getPatients},

	"RegLock":     {params: names("orderNo patientId deptCode docCode schemaNo seqNo regDate operCode"), needs: names("orderNo patientId schemaNo"), key: "orderNo", already: "该订单锁号已存在", act: (*HIS).regLock},
	"RegUnLock":   {params: names("orderNo schemaNo lockNo operCode"), needs: names("orderNo"), key: "orderNo", act: (*HIS).regUnlock},
	"OrderReg":    {params: names("orderNo patientId name deptCode docCode schemaNo lockNo seqNo regDate noon regFee regTime operCode"), needs: names("orderNo patientId schemaNo regFee"), key: "orderNo", already: "该订单挂号已存在", act: (*HIS).orderReg},
	"PayReg":      {params: names("orderNo regNo patientId payMode transNo totCost payTime operCode"), needs: names("orderNo payMode transNo totCost payTime"), key: "orderNo", already: "该订单已收费,请勿重复收费", act: (*HIS).payReg},
	"CancelReg":   {params: names("orderNo regNo refundNo totCost payMode transNo refundTransNo reason cancelTime operCode"), needs: names("orderNo"), key: "orderNo", already: "该订单已退号", act: (*HIS).cancelReg},
	"GetRegState": {params: names("orderNo"), needs: names("orderNo"), key: "orderNo", inquiry: true, act: (*HIS).getRegState},
	"GetQueue":    {params: names("patientId orderNo"), needs: names("patientId"), key: "patientId", act: (*HIS).getQueue},

	"SavePrescription":      {params: names("applyNo clinicCode patientId name sex birthday idNo deptCode docCode docName pharmCode recipeType recipeTime diagnoses items totCost operCode"), needs: names("applyNo patientId name sex deptCode docCode items totCost"), key: "applyNo", already: "该处方已存在", act: (*HIS).savePrescription},
	"CancelPrescription":    {params: names("applyNo clinicCode reason operCode"), needs: names("applyNo"), key: "applyNo", act: (*HIS).cancelPrescription},
	"QueryPrescriptionInfo": {params: names("applyNo"), needs: names("applyNo"), key: "applyNo", inquiry: true, act: (*HIS).queryPrescription},
	"SaveDispense":          {params: names("applyNo state company trackNo operTime operCode"), needs: names("applyNo state"), key: "applyNo", already: "该状态已存在", act: (*HIS).saveDispense},

	"ExamAppInfoAdd":    {params: names("applyNo clinicCode patientId name sex birthday deptCode docCode docName applyType applyTime diagnoses items totCost note operCode"), needs: names("applyNo patientId name deptCode docCode applyType items totCost"), key: "applyNo", already: "该申请单已存在", act: (*HIS).addApply},
	"ExamAppInfoCancel": {params: names("applyNo clinicCode reason operCode"), needs: names("applyNo"), key: "applyNo", act: (*HIS).cancelApply},
	"QueryExamAppInfo":  {params: names("applyNo"), needs: names("applyNo"), key: "applyNo", inquiry: true, act: (*HIS).queryApply},

	"GetFeeListByClinicCode": {params: names("clinicCode patientId"), needs: names("clinicCode"), key: "clinicCode", act: (*HIS).getFeeList},
	"SaveFee":                {params: names("clinicCode recipeNo operCode payMode totCost orderNo transNo payTime"), needs: names("recipeNo operCode payMode totCost orderNo transNo"), key: "orderNo", already: "该处方已收费,请勿重复收费", act: (*HIS).saveFee},
	"GetRecieptStatus":       {params: names("orderNo"), needs: names("orderNo"), key: "orderNo", inquiry: true, act: (*HIS).getReceiptStatus},
	"RefundFee":              {params: names("refundNo orderNo invoiceNo operCode totCost payMode transNo refundTransNo refundTime reason details"), needs: names("refundNo orderNo operCode totCost"), key: "refundNo", already: "该退费已存在", act: (*HIS).refundFee},
	"QueryRefundFee":         {params: names("refundNo"), needs: names("refundNo"), key: "refundNo", inquiry: true, act: (*HIS).queryRefund},
	"IssueEInvoice":          {params: names("orderNo invoiceNo totCost payer phone operCode"), needs: names("orderNo totCost"), key: "orderNo", already: "该票据已存在", act: (*HIS).issueInvoice},

	"GetReportList":       {params: names("patientId clinicCode beginDate endDate"), needs: names("patientId"), key: "patientId", act: (*HIS).getReportList},
	"GetReportResultInfo": {params: names("patientId reportNo"), needs: names("reportNo"), key: "reportNo", act: (*HIS).getReport},

	"GetDeptInfo":        {act: (*HIS).getDepartments},
	"GetDocInfo":         {params: names("deptCode"), key: "deptCode", act: (*HIS).getDoctors},
	"GetShemaInfo":       {params: names("beginDate endDate deptCode docCode"), key: "beginDate", act: (*HIS).getSchedule},
	"QueryMedicinesInfo": {params: names("pageNo pageSize"), needs: names("pageNo"), key: "pageNo", act: (*HIS).getDrugs},
	"GetDrugStock":       {params: names("pharmCode drugCode"), key: "drugCode", act: (*HIS).getStock},
	"GetICDInfo":         {params: names("pageNo pageSize"), needs: names("pageNo"), key: "pageNo", act: (*HIS).getTerms},
	"GetSysTime":         {act: (*HIS).getTime},

	"GetCheckLedgerInfo":  {params: names("checkDate operCode"), needs: names("checkDate operCode"), key: "checkDate", act: (*HIS).getLedgerTotal},
	"GetChecLedgerDetail": {params: names("checkDate operCode"), needs: names("checkDate operCode"), key: "checkDate", act: (*HIS).getLedgerDetail},
	"GetSiLedgerDetail":   {params: names("checkDate"), needs: names("checkDate"), key: "checkDate", act: (*HIS).getInsuranceLedger},
}

// reply of an operation: code, words, and what stands in Data.
type reply struct {
	code, words string
	data        string // elements
	effect      string // for the journal
}

func (r reply) document(operation string) string {
	var d document
	d.WriteString("<" + operation + "Soap><result>")
	d.put("returnCode", r.code)
	d.put("returnDesc", r.words)
	d.WriteString("</result>")
	if r.data == "" {
		d.WriteString("<Data/>")
	} else {
		d.WriteString("<Data>" + r.data + "</Data>")
	}
	d.WriteString("</" + operation + "Soap>")
	return d.String()
}

func refuse(words string) reply { return reply{code: "-1", words: words, effect: "refused: " + words} }

func noData() reply { return reply{code: "0", words: "未查询到数据", effect: "asked"} }

// told answers a question; empty data says that there is none (returnCode 1 all
// the same).
func told(data *document) reply { return reply{code: "1", data: data.String(), effect: "asked"} }

// booked answers a write. fields are what the books hold now.
func booked(r books.Result, operation, already string, fields ...string) reply {
	a := reply{code: "1", effect: r.Journal()}
	switch r.Effect {
	case books.Refused:
		return refuse(r.Words)
	case books.Conflict:
		return refuse("重复提交内容不一致")
	case books.Already:
		if already != "" {
			a.code, a.words = "-1", already
		}
	}
	var d document
	d.row(operation, fields...)
	a.data = d.String()
	return a
}

// orNull is how this hospital writes what it does not have.
func orNull(s string) string {
	if s == "" {
		return "NULL"
	}
	return s
}

const noTime = "0001-01-01 00:00:00"

// The spellings of a time, of which this hospital is never sure.
func dashed(t time.Time) string  { return t.In(books.Zone).Format("2006-01-02 15:04:05") }
func slashed(t time.Time) string { return t.In(books.Zone).Format("2006/01/02 15:04:05") }
func compact(t time.Time) string { return t.In(books.Zone).Format("20060102150405") }
