package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/pushhis"
)

// asked is the answer to a question, all pages of it, as JSON.
func (r *rig) asked(t *testing.T, kind core.Kind, body core.Body) string {
	t.Helper()
	x := r.ask(kind, body)
	if v := x.Verdict; v.Outcome != core.OutcomeOK && v.Outcome != core.OutcomeNoData {
		t.Fatalf("%s: %s (%s) %v", kind, v.Outcome, v.Words, v.Err)
	}
	text, err := json.Marshal(x.Verdict.Answer)
	ok(t, err)
	return string(text)
}

// unanswered asks while the hospital is busy, refuses, or cannot be understood.
func (r *rig) unanswered(t *testing.T, kind core.Kind, method string, body core.Body) {
	t.Helper()
	for fails, want := range map[fault.Kind]core.Outcome{
		fault.Busy: core.OutcomeBusy, fault.Reject: core.OutcomeRejected, fault.Garbled: core.OutcomeInDoubt, fault.Truncated: core.OutcomeInDoubt,
		fault.SoapFault: core.OutcomeInDoubt, fault.CutAfterCommit: core.OutcomeInDoubt,
	} {
		ok(t, r.his.Script().Add(fault.Rule{Fault: fails, Operation: method, Times: 1}))
		if v := r.ask(kind, body).Verdict; v.Outcome != want {
			t.Errorf("%s, %s: %s, want %s", kind, fails, v.Outcome, want)
		}
	}
}

func TestLianhuAnswersEveryQuestion(t *testing.T) {
	r := newRig(t, "lianhu")
	today := time.Now().In(books.Zone).Format(time.DateOnly)
	var at core.Schedule
	for _, s := range r.sessions {
		if s.Date == today && s.DepartmentCode == "0102" {
			at = s
			break
		}
	}
	r.must(t, core.AppointmentPay, feeOf("Q1", r.must(t, core.AppointmentBook, bookingOf(at, "Q1", ""))))
	r.must(t, core.PaymentSettle, paymentOf(t, r, "Q2"))
	r.must(t, core.RefundCreate, &core.Refund{RefundNo: "RQ2", OrderID: "Q2", VisitNo: "VQ2", PatientNo: patientNo, Amount: 1000, Paid: 4619, Channel: "wechat", ChannelNo: "42Q2", ChannelRefundNo: "50Q2", Reason: "缺药", RefundedAt: paidAt.Add(9 * time.Hour)})
	r.must(t, core.PrescriptionCreate, prescriptionOf("Q3"))
	r.must(t, core.OrderCreate, orderOf("Q4"))
	day := &core.LedgerQuery{Day: "2026-01-05", From: time.Date(2026, 1, 5, 0, 0, 0, 0, books.Zone), To: time.Date(2026, 1, 6, 0, 0, 0, 0, books.Zone)}
	lists := &core.DictionaryQuery{}
	for _, q := range []struct {
		kind   core.Kind
		method string
		body   core.Body
		want   []string
	}{
		{core.PatientFind, "findPatient", &core.PatientQuery{Name: "张三测试", IDType: "id_card", IDNo: books.Known.IDNo}, []string{`"patient_no":"0000024772"`, `"sex":"male"`, `"birth_date":"1990-01-01"`}},
		{core.PatientFind, "findPatient", &core.PatientQuery{Name: "没有测试", IDType: "id_card", IDNo: "1"}, []string{"null"}},
		{core.AppointmentStatus, "queryState", &core.AppointmentQuery{OrderID: "Q1"}, []string{`"state":"done"`, `"amount":1500`, `"queue_no":"1"`}},
		{core.AppointmentStatus, "queryState", &core.AppointmentQuery{OrderID: "nobody"}, []string{`"state":"absent"`}},
		{core.QueueStatus, "findQueue", &core.QueueQuery{PatientNo: patientNo}, []string{`"number":"1"`, `"ahead":"0"`, `"department_name":"呼吸内科"`}},
		{core.PrescriptionStatus, "queryRecipe", &core.PrescriptionQuery{No: "Q2"}, []string{`"state":"done"`, `"amount":4619`}},
		{core.OrderStatus, "queryApply", &core.OrderQuery{No: "Q4"}, []string{`"state":"done"`, `"amount":2000`}},
		{core.PaymentStatus, "payStatus", &core.PaymentQuery{OrderID: "Q1"}, []string{`"state":"done"`, `"amount":1500`}},
		{core.RefundStatus, "queryRefundStatus", &core.RefundQuery{RefundNo: "RQ2"}, []string{`"state":"done"`, `"amount":1000`}},
		{core.BillUnpaid, "findOutpatientPay", &core.BillQuery{VisitNo: "VQ3", PatientNo: patientNo}, []string{`"prescription_no":"Q3"`, `"amount":4619`, `"unit_price":"1.7917"`}},
		{core.BillUnpaid, "findOutpatientPay", &core.BillQuery{VisitNo: "VQ4", PatientNo: patientNo}, []string{`"title":"检查费"`, `"amount":2000`}},
		{core.ReportList, "findReports", &core.ReportQuery{PatientNo: patientNo}, []string{`"report_no":"LIS0002"`, `"type":"microbiology"`, `"ready":false`}},
		{core.ReportDetail, "findReportDetail", &core.ReportQuery{PatientNo: patientNo, ReportNo: "LIS0002"}, []string{`"organism":"大肠埃希菌"`, `"flag":"R"`}},
		{core.ReportDetail, "findReportDetail", &core.ReportQuery{PatientNo: patientNo, ReportNo: "PACS0003"}, []string{`"conclusion":"胸部CT平扫未见明显异常。"`}},
		{core.DepartmentList, "findAllDepartments", lists, []string{`"code":"0102"`, `"parent":"01"`, `"closed":true`}},
		{core.DoctorList, "findAllDoctors", &core.DictionaryQuery{DepartmentCode: "0103"}, []string{`"code":"00732"`}},
		{core.ScheduleList, "findSchedules", &core.DictionaryQuery{From: today, To: today}, []string{`"start":"08:00"`, `"remaining":"4"`, `"fee":1500`, `"period":"evening"`}},
		{core.StockList, "findDrugStock", &core.DictionaryQuery{Code: "Y00000003803"}, []string{`"qty":"120"`}},
		{core.SystemTimeAsk, "netTest", lists, []string{`"time":"20`}},
		{core.LedgerTotal, "getCheckLedgerInfo", day, []string{`"payments":"2"`, `"payment_amount":6119`, `"refunds":"1"`, `"refund_amount":1000`}},
	} {
		got := r.asked(t, q.kind, q.body)
		for _, want := range q.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", q.kind, want, got)
			}
		}
		r.unanswered(t, q.kind, q.method, q.body)
	}
	// What comes in pages.
	for kind, want := range map[core.Kind]int{core.DrugList: len(books.Drugs), core.ICDList: len(books.Terms)} {
		if got := strings.Count(r.asked(t, kind, lists), `"code"`); got != want {
			t.Errorf("%s: %d came of %d", kind, got, want)
		}
	}
	r.unanswered(t, core.DrugList, "findAllDrugs", lists)
	r.unanswered(t, core.ICDList, "findDiagnosisDict", lists)
	r.unanswered(t, core.LedgerDetail, "GetChecLedgerDetail", day)
	ledger := r.asked(t, core.LedgerDetail, day)
	for _, want := range []string{`"number":"Q1"`, `"number":"Q2"`, `"number":"RQ2"`, `"at":"2026-01-05T23:56:01+08:00"`} {
		if strings.Count(ledger, want) != 1 {
			t.Errorf("ledger.detail: not one %s in %s", want, ledger)
		}
	}
}

// What will never be otherwise sends the money back without a person.
func TestLianhuSendsMoneyBack(t *testing.T) {
	r := newRig(t, "lianhu")
	pay := paymentOf(t, r, "B1").(*core.Payment)
	r.must(t, core.PrescriptionVoid, &core.PrescriptionVoiding{No: "B1", VisitNo: "VB1", PatientNo: patientNo, Reason: "开错药", OperatorCode: "00731", VoidedAt: paidAt})
	at := r.place()
	fee := feeOf("B2", r.must(t, core.AppointmentBook, bookingOf(at, "B2", "")))
	// The session is stopped; nobody hears of it.
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := r.his.(*pushhis.HIS).Push(gone, pushhis.Push{Kind: "stopClinic", Hub: "http://127.0.0.1:1", Fields: map[string]string{"scheduleId": at.ScheduleNo}})
	ok(t, err)
	for kind, m := range map[core.Kind]core.Body{core.PaymentSettle: pay, core.AppointmentPay: fee} {
		if n := r.deliver(t, kind, m); n.State != delivery.Cancelled || !n.RefundNow {
			t.Errorf("%s: %s, refund now %v, %s (%s)", kind, n.State, n.RefundNow, n.Because, n.Words)
		}
	}
	if n := r.deliver(t, core.AppointmentBook, bookingOf(at, "B3", "")); n.State != delivery.Parked || n.Words != "已停诊" || !n.ShowPatient {
		t.Errorf("booking a stopped session: %s, %s, shown to the patient %v", n.State, n.Words, n.ShowPatient)
	}
	// What was not paid is cancelled by a method of its own.
	r.must(t, core.AppointmentCancel, &core.AppointmentCancelling{OrderID: "B2", PatientNo: patientNo, Reason: "停诊", CancelledAt: paidAt})
	b := r.his.Books()
	if len(b.Settlements) != 0 || len(b.Refunds) != 0 {
		t.Errorf("the books have %d settlements and %d refunds", len(b.Settlements), len(b.Refunds))
	}
	if n := count(b.Appointments, func(a books.Appointment) bool { return a.Order == "B2" && a.State == books.Cancelled }); n != 1 {
		t.Errorf("the appointment is cancelled %d times", n)
	}
}
