package draft

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"hishub/core"
)

// The words by which a transaction is known. A name is cut at capitals, digits
// and signs; a word in Latin letters must be a part of the name that begins where
// one of its parts begins ("recipe" is in SaveRecipeInfo), one in Chinese may
// stand anywhere in the name or in its documentation.
var (
	prescriptionWords = words("prescription presc recipe rx cf advice medorder drugorder prescribe omp orm rde 处方 医嘱")
	paymentWords      = words("pay payment charge settle settlement fee balance dft p03 缴费 收费 支付 结算")
	refundWords       = words("refund returnfee returnpay payback backfee tf 退费 退款")
	billWords         = words("unpaid waitpay waitingpay topay needpay feelist billlist bills bill arrears pending unsettled feeitem chargeitem 待缴 未缴 待支付 未收费 费用清单 缴费清单")
	appointmentWords  = words("appointment appoint register registration reg booking book yy gh siu s12 预约 挂号")
	lockWords         = words("lock hold occupy 锁号 占号")
	unlockWords       = words("unlock release 解锁 释放")
	patientWords      = words("patient pat pati person user card adt a04 a28 患者 病人 建档 就诊卡")
	orderWords        = words("exam examine inspect lab test apply application checkorder oml o21 检查 检验 申请单")
	reportWords       = words("report result lis pacs oru r01 报告")
	departmentWords   = words("dept department depart office ks 科室")
	doctorWords       = words("doctor doc physician staff employee ys 医生 医师")
	scheduleWords     = words("schedule schema shema shift duty source numbersource 排班 号源")
	drugWords         = words("drug medicine medicines medicament yp 药品")
	stockWords        = words("stock storage inventory store kc 库存")
	diagnosisWords    = words("icd diagnosis diagnose diag disease 疾病 诊断")
	queueWords        = words("queue waiting calling 候诊 排队")
	invoiceWords      = words("invoice einvoice eticket ebill 发票 票据")
	ledgerWords       = words("ledger checkaccount reconcile reconciliation account checkbill daybill dz 对账 账单")
	insuranceWords    = words("insurance si yb 医保")
	timeWords         = words("systime systemtime servertime sysdate currenttime 系统时间 服务器时间")
	dispenseWords     = words("dispense dispensed delivery deliver express logistics 发药 配送 物流")

	askWords    = words("query get find search list select check qry fetch load inquire inquiry status state show view v vw 查询 获取 查找 状态")
	stateWords  = words("status state query get check inquire inquiry qry find search 状态 查询")
	detailWords = words("detail details item items list 明细")
	voidWords   = words("void cancel del delete undo revoke abolish invalid repeal withdraw rollback zf 作废 撤销 取消 删除 退号")
)

func words(all string) []string { return strings.Fields(all) }

// likeness says what a name must have, and must not, to be a transaction.
type likeness struct {
	kind core.Kind
	all  [][]string // one word of each
	none [][]string
}

// likenesses are tried in this order; the first that fits is the guess.
var likenesses = []likeness{
	{core.SystemTimeAsk, [][]string{timeWords}, nil},
	{core.InsuranceLedger, [][]string{ledgerWords, insuranceWords}, nil},
	{core.LedgerDetail, [][]string{ledgerWords, detailWords}, nil},
	{core.LedgerTotal, [][]string{ledgerWords}, [][]string{voidWords}},
	{core.InvoiceIssue, [][]string{invoiceWords}, [][]string{stateWords, voidWords}},
	{core.RefundStatus, [][]string{refundWords, stateWords}, nil},
	{core.RefundCreate, [][]string{refundWords}, nil},
	{core.StockList, [][]string{stockWords}, nil},
	{core.ScheduleList, [][]string{scheduleWords}, [][]string{voidWords, lockWords}},
	{core.QueueStatus, [][]string{queueWords}, [][]string{paymentWords}},
	{core.AppointmentUnlock, [][]string{unlockWords}, [][]string{prescriptionWords}},
	{core.AppointmentUnlock, [][]string{lockWords, voidWords}, nil},
	{core.AppointmentLock, [][]string{lockWords}, [][]string{prescriptionWords, askWords}},
	{core.AppointmentPay, [][]string{appointmentWords, paymentWords}, [][]string{askWords, voidWords}},
	{core.AppointmentCancel, [][]string{appointmentWords, voidWords}, [][]string{prescriptionWords, patientWords}},
	{core.AppointmentStatus, [][]string{appointmentWords, stateWords}, [][]string{patientWords, scheduleWords}},
	{core.PatientFind, [][]string{patientWords, askWords}, [][]string{prescriptionWords, billWords, reportWords, paymentWords}},
	{core.PatientRegister, [][]string{patientWords}, [][]string{prescriptionWords, billWords, reportWords, voidWords, paymentWords, orderWords, askWords}},
	{core.AppointmentBook, [][]string{appointmentWords}, [][]string{askWords}},
	{core.DispenseReport, [][]string{dispenseWords}, [][]string{askWords}},
	{core.PrescriptionVoid, [][]string{prescriptionWords, voidWords}, nil},
	{core.PrescriptionStatus, [][]string{prescriptionWords, askWords}, [][]string{billWords, paymentWords}},
	{core.PrescriptionCreate, [][]string{prescriptionWords}, [][]string{paymentWords, billWords}},
	{core.BillUnpaid, [][]string{billWords}, [][]string{voidWords}},
	{core.ReportDetail, [][]string{reportWords, detailWords}, [][]string{words("list 列表")}},
	{core.ReportList, [][]string{reportWords}, [][]string{paymentWords}},
	{core.OrderCancel, [][]string{orderWords, voidWords}, [][]string{paymentWords}},
	{core.OrderStatus, [][]string{orderWords, askWords}, [][]string{paymentWords}},
	{core.PaymentStatus, [][]string{words("pay payment receipt reciept settle charge fee order 缴费 收费 支付 结算"), words("status state query check inquire qry 状态 查询")}, [][]string{detailWords}}, //nolint:misspell // as HIS's write it
	{core.PaymentSettle, [][]string{paymentWords}, [][]string{askWords, voidWords}},
	{core.OrderCreate, [][]string{orderWords}, [][]string{paymentWords}},
	{core.DoctorList, [][]string{doctorWords, askWords}, nil},
	{core.DepartmentList, [][]string{departmentWords}, [][]string{voidWords}},
	{core.DrugList, [][]string{drugWords, askWords}, nil},
	{core.ICDList, [][]string{diagnosisWords}, [][]string{voidWords}},
}

// version is a version in a name or path, as _v2 or v2.0; its v is no view.
var version = regexp.MustCompile(`(^|[^A-Za-z0-9])[vV][0-9]+(\.[0-9]+)*`)

// guessKind guesses which transaction a thing of this name is. why are the words
// that told; "" is no guess.
func guessKind(name, documentation string) (kind core.Kind, why string) {
	for _, text := range []string{name, documentation} {
		text = version.ReplaceAllString(text, "$1")
		if strings.TrimSpace(text) == "" {
			continue
		}
		for _, l := range likenesses {
			if found := l.fits(text); found != nil {
				return l.kind, strings.Join(found, ", ")
			}
		}
	}
	return "", ""
}

// fits gives the words that made it fit, nil if it does not.
func (l likeness) fits(text string) (found []string) {
	parts := cut(text)
	joined := strings.Join(parts, "")
	starts := map[int]bool{}
	at := 0
	for _, p := range parts {
		starts[at] = true
		at += len(p)
	}
	starts[at] = true
	one := func(set []string) string {
		best := ""
		for _, w := range set {
			if len(w) > len(best) && says(joined, starts, w) {
				best = w
			}
		}
		return best
	}
	for _, set := range l.all {
		w := one(set)
		if w == "" {
			return nil
		}
		if !slices.Contains(found, w) {
			found = append(found, w)
		}
	}
	for _, set := range l.none {
		if one(set) != "" {
			return nil
		}
	}
	return found
}

// says tells whether a text has a word. One of up to three letters must be a
// whole part of it; a longer one begins where a part does.
func says(joined string, starts map[int]bool, word string) bool {
	if word[0] >= 0x80 {
		return strings.Contains(joined, word)
	}
	for i := 0; i+len(word) <= len(joined); i++ {
		if starts[i] && strings.HasPrefix(joined[i:], word) && (len(word) > 3 || starts[i+len(word)]) {
			return true
		}
	}
	return false
}

// cut takes a name apart: SaveRecipe_v2 is save, recipe, v, 2.
func cut(name string) []string {
	var parts []string
	var part []rune
	end := func() {
		if len(part) > 0 {
			parts = append(parts, strings.ToLower(string(part)))
			part = nil
		}
	}
	rs := []rune(name)
	for i, r := range rs {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case i == 0:
		case unicode.IsUpper(r) && (unicode.IsLower(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1]) && unicode.IsUpper(rs[i-1])):
			end()
		case unicode.IsDigit(r) != unicode.IsDigit(rs[i-1]) && !unicode.IsUpper(rs[i-1]) && unicode.IsLetter(rs[i-1]) && !unicode.Is(unicode.Han, rs[i-1]):
			end()
		}
		part = append(part, r)
	}
	end()
	return parts
}
