package draft

import (
	"testing"

	"hishub/core"
)

func TestTransactionsAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]core.Kind{
		"SavePrescription": core.PrescriptionCreate, "SaveRecipe": core.PrescriptionCreate, "上传处方": core.PrescriptionCreate, "HIS_CF_UPLOAD": core.PrescriptionCreate, "Zl_Third_AdviceSave": core.PrescriptionCreate,
		"CancelRecipe": core.PrescriptionVoid, "处方作废": core.PrescriptionVoid, "QueryRecipeStatus": core.PrescriptionStatus,
		"outpatientPay": core.PaymentSettle, "ConfirmCharge": core.PaymentSettle, "SaveFee": core.PaymentSettle, "收费": core.PaymentSettle, "Settle": core.PaymentSettle,
		"QueryPayState": core.PaymentStatus, "GetReceiptStatus": core.PaymentStatus, "查询支付状态": core.PaymentStatus,
		"RefundApply": core.RefundCreate, "退费": core.RefundCreate, "QueryRefund": core.RefundStatus,
		"GetUnpaidList": core.BillUnpaid, "GetFeeListByClinicCode": core.BillUnpaid, "待缴费用": core.BillUnpaid,
		"GetDeptList": core.DepartmentList, "QueryDoctor": core.DoctorList, "GetSchemaInfo": core.ScheduleList, "getICD": core.ICDList,
		"LockNumber": core.AppointmentLock, "UnlockNumber": core.AppointmentUnlock, "RegLockCancel": core.AppointmentUnlock, "PayRegister": core.AppointmentPay, "CancelReg": core.AppointmentCancel,
		"FindPatient": core.PatientFind, "CreatePatient": core.PatientRegister, "GetReportList": core.ReportList, "DownloadLedgerDetail": core.LedgerDetail, "GetServerTime": core.SystemTimeAsk,
		"SavePay_v2": core.PaymentSettle, "v2.0/refund": core.RefundCreate, "v_pay_state": core.PaymentStatus,
		"Ping": "", "Execute": "", "CallInterface": "", "display": "", "Weather": "", "Forge": "",
	} {
		if got, why := guessKind(name, ""); got != want {
			t.Errorf("%s is %q by %s, want %q", name, got, why, want)
		}
	}
	if got, _ := guessKind("M17", "保存处方信息"); got != core.PrescriptionCreate {
		t.Errorf("by its documentation it is %q", got)
	}
}

// Samples are paired with paths by such names.
func TestTheNameOfAPath(t *testing.T) {
	for where, want := range map[string]string{"/api/v1/payment/settle": "payment/settle", "/rest/V2.0/visits/{no}/bills": "visits/no/bills", "/payment/v1": "payment/v1", "/v1": "v1", "/": ""} {
		if got := pathName(where); got != want {
			t.Errorf("%s is %q, want %q", where, got, want)
		}
	}
}

func TestFieldsAreKnownByTheirNames(t *testing.T) {
	for _, c := range []struct {
		kind        core.Kind
		name, words string
		want        string
	}{
		{core.PrescriptionCreate, "xm", "", "patient_name"}, {core.PrescriptionCreate, "PATIENT_NAME", "", "patient_name"}, {core.PrescriptionCreate, "strPatientName", "", "patient_name"}, {core.PrescriptionCreate, "COL7", "患者姓名", "patient_name"},
		{core.PrescriptionCreate, "p_cfh", "", "no"}, {core.PrescriptionCreate, "totCost", "", "amount"}, {core.PrescriptionCreate, "jzlsh", "", "visit_no"},
		{core.PaymentSettle, "payMode", "", "channel"}, {core.PaymentSettle, "transNo", "", "channel_no"}, {core.PaymentSettle, "outTradeNo", "", "order_id"},
		{core.RefundCreate, "tkje", "", "amount"}, {core.RefundCreate, "refundTime", "", "refunded_at"},
		{core.PaymentSettle, "colour", "", ""},
	} {
		got, _ := likely(Field{Name: c.name, Words: c.words}, messageOf(c.kind))
		if got.name != c.want {
			t.Errorf("%s %s of %s is %q, want %q", c.name, c.words, c.kind, got.name, c.want)
		}
	}
}
