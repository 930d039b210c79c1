package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// Every question of the catalogue, at the hospital whose folder has them all:
// answered, with nothing to tell, refused, and answered by what cannot be read.

// question of the catalogue.
type question struct {
	kind      core.Kind
	operation string
	body      core.Body
	// right says what is wrong with the answer.
	right func(answer any) error
	// none has no data; nil where there is always some.
	none core.Body
}

func TestQuestions(t *testing.T) {
	r := newRig(t, "beicheng")
	for _, q := range questions(t, r) {
		t.Run(string(q.kind), func(t *testing.T) {
			x := r.ask(q.kind, q.body)
			if x.Verdict.Outcome != core.OutcomeOK {
				t.Fatalf("%s: %v", x.Verdict.Outcome, x.Verdict.Err)
			}
			if err := q.right(x.Verdict.Answer); err != nil {
				t.Error(err)
			}
			if q.none != nil {
				v := r.ask(q.kind, q.none).Verdict
				status, isStatus := v.Answer.(*core.Status)
				if isStatus && (v.Outcome != core.OutcomeOK || status.State != core.StateAbsent) || !isStatus && v.Outcome != core.OutcomeNoData {
					t.Errorf("nothing to tell: %s, %+v", v.Outcome, v.Answer)
				}
			}
			for kind, want := range map[fault.Kind]core.Outcome{
				fault.Busy: core.OutcomeBusy, fault.Reject: core.OutcomeRejected, fault.Garbled: core.OutcomeInDoubt, fault.Truncated: core.OutcomeInDoubt,
				fault.SoapFault: core.OutcomeInDoubt, fault.CutAfterCommit: core.OutcomeInDoubt,
			} {
				if err := r.his.Script().Add(fault.Rule{Fault: kind, Operation: q.operation, Times: 1}); err != nil {
					t.Fatal(err)
				}
				v := r.ask(q.kind, q.body).Verdict
				if v.Outcome != want {
					t.Errorf("%s: %s, want %s", kind, v.Outcome, want)
				}
			}
		})
	}
}

func questions(t *testing.T, r *rig) []question {
	today := time.Now().In(books.Zone).Format("2006-01-02")
	var at core.Schedule
	for _, s := range r.sessions {
		if s.Date == today && s.DoctorCode == "00732" {
			at = s
			break
		}
	}
	booked := r.must(t, core.AppointmentBook, bookingOf(at, "Q1", ""))
	r.must(t, core.AppointmentPay, feeOf("Q1", booked))
	r.must(t, core.PrescriptionCreate, prescriptionOf("Q2"))
	r.must(t, core.OrderCreate, orderOf("Q3"))
	// The insurance pays at the hospital's own desk.
	edit, err := json.Marshal(books.Edit{Add: &books.Settlement{Order: "YB1", Channel: "YB", ChannelNo: "SI1", AmountFen: 700, PaidAt: paidAt.In(books.Zone).Format(books.TimeLayout)}})
	ok(t, err)
	answer, err := http.Post(r.his.ControlURL()+"/books/edit", "application/json", bytes.NewReader(edit))
	ok(t, err)
	if answer.Body.Close(); answer.StatusCode > 299 {
		t.Fatalf("edit the books: %s", answer.Status)
	}
	paid := r.must(t, core.PaymentSettle, paymentOf(t, r, "Q4"))
	r.must(t, core.RefundCreate, &core.Refund{RefundNo: "RQ4", OrderID: "Q4", VisitNo: "VQ4", PatientNo: patientNo, HisNo: paid.HisNo, Amount: 1000, Paid: 4619,
		Channel: "wechat", ChannelNo: "42Q4", ChannelRefundNo: "50Q4", Reason: "药品缺货", RefundedAt: paidAt})
	day := &core.LedgerQuery{Day: "2026-01-05", From: paidAt.Add(-14 * time.Hour), To: paidAt.Add(9 * time.Hour)}
	other := &core.LedgerQuery{Day: "2020-01-05", From: paidAt, To: paidAt.Add(time.Hour)}
	holds := func(amount core.Fen) func(any) error {
		return func(a any) error {
			s := a.(*core.Status)
			if s.State != core.StateDone || s.Amount == nil || *s.Amount != amount || s.HisNo == "" {
				return fmt.Errorf("%+v, want done with %s", s, amount)
			}
			return nil
		}
	}
	return []question{
		{core.PatientFind, "GetPatInfo", &core.PatientQuery{Name: "张三测试", IDType: "id_card", IDNo: "999999199001010016"}, func(a any) error {
			p := a.(*core.Patients).Patients
			return is(len(p) == 1 && p[0].PatientNo == patientNo && p[0].Sex == "male" && p[0].BirthDate == "1990-01-01", p)
		}, &core.PatientQuery{Name: "无此人测试", IDType: "id_card", IDNo: "999999199001010017"}},
		{core.AppointmentStatus, "GetRegState", &core.AppointmentQuery{OrderID: "Q1"}, holds(1500), &core.AppointmentQuery{OrderID: "NOBODY"}},
		{core.QueueStatus, "GetQueue", &core.QueueQuery{PatientNo: patientNo}, func(a any) error {
			p := a.(*core.QueuePlaces).Places
			return is(len(p) == 1 && p[0].Number == "1" && p[0].Ahead == "0" && p[0].DepartmentName == "消化内科", p)
		}, &core.QueueQuery{PatientNo: "NOBODY"}},
		{core.PrescriptionStatus, "QueryPrescriptionInfo", &core.PrescriptionQuery{No: "Q2"}, holds(4619), &core.PrescriptionQuery{No: "NOBODY"}},
		{core.OrderStatus, "QueryExamAppInfo", &core.OrderQuery{No: "Q3"}, holds(2000), &core.OrderQuery{No: "NOBODY"}},
		{core.BillUnpaid, "GetFeeListByClinicCode", &core.BillQuery{VisitNo: "VQ2", PatientNo: patientNo}, func(a any) error {
			b := a.(*core.Bills).Bills
			return is(len(b) == 1 && b[0].PrescriptionNo == "Q2" && b[0].Amount == 4619 && len(b[0].Lines) == 2 && b[0].Lines[0].UnitPrice == "1.7917", b)
		}, &core.BillQuery{VisitNo: "NOBODY", PatientNo: patientNo}},
		{core.PaymentStatus, "GetRecieptStatus", &core.PaymentQuery{OrderID: "Q4"}, holds(4619), &core.PaymentQuery{OrderID: "NOBODY"}},
		{core.RefundStatus, "QueryRefundFee", &core.RefundQuery{RefundNo: "RQ4"}, holds(1000), &core.RefundQuery{RefundNo: "NOBODY"}},
		{core.ReportList, "GetReportList", &core.ReportQuery{PatientNo: patientNo}, func(a any) error {
			l := a.(*core.Reports).Reports
			return is(len(l) == 4 && l[0].Ready && l[1].Type == "microbiology" && !l[3].Ready && l[3].At.IsZero(), l)
		}, &core.ReportQuery{PatientNo: "NOBODY"}},
		{core.ReportDetail, "GetReportResultInfo", &core.ReportQuery{PatientNo: patientNo, ReportNo: "LIS0002"}, func(a any) error {
			l := a.(*core.Report).Results
			return is(len(l) == 2 && l[1].Organism == "大肠埃希菌" && l[1].Name == "头孢曲松" && l[1].Flag == "S" && l[1].Value == "<=1", l)
		}, &core.ReportQuery{PatientNo: patientNo, ReportNo: "NONE"}},
		{core.DepartmentList, "GetDeptInfo", &core.DictionaryQuery{}, func(a any) error {
			l := a.(*core.Departments).Departments
			return is(len(l) == len(books.Departments) && l[0].Parent == "" && l[1].Parent == "01" && l[4].Closed, l)
		}, nil},
		{core.DoctorList, "GetDocInfo", &core.DictionaryQuery{}, func(a any) error {
			l := a.(*core.Doctors).Doctors
			return is(len(l) == len(books.Doctors) && l[0].Code == l[1].Code && l[0].DepartmentCode != l[1].DepartmentCode, l)
		}, &core.DictionaryQuery{DepartmentCode: "9999"}},
		{core.ScheduleList, "GetShemaInfo", &core.DictionaryQuery{From: today, To: today, DoctorCode: "00732"}, func(a any) error {
			l := a.(*core.Schedules).Schedules
			return is(len(l) == 2 && l[0].Start == "08:00" && l[0].Remaining == "4" && l[1].Remaining == "5" && l[0].Fee == 1500, l)
		}, &core.DictionaryQuery{From: "2020-01-01", To: "2020-01-02"}},
		{core.DrugList, "QueryMedicinesInfo", &core.DictionaryQuery{}, func(a any) error {
			l := a.(*core.Drugs).Drugs
			return is(len(l) == len(books.Drugs) && l[1].Price == "1.7917" && l[249].Code == books.Drugs[249].Code && l[249].Closed, len(l))
		}, nil},
		{core.StockList, "GetDrugStock", &core.DictionaryQuery{Code: "Y00000002416"}, func(a any) error {
			l := a.(*core.Stocks).Stocks
			return is(len(l) == 1 && l[0].Qty == "36.00" && l[0].Unit == "支", l)
		}, &core.DictionaryQuery{Code: "NONE"}},
		{core.ICDList, "GetICDInfo", &core.DictionaryQuery{}, func(a any) error {
			l := a.(*core.Terms).Terms
			return is(len(l) == len(books.Terms) && l[0].Code == "J06.900" && l[229].Code == books.Terms[229].Code, len(l))
		}, nil},
		{core.LedgerTotal, "GetCheckLedgerInfo", day, func(a any) error {
			l := a.(*core.LedgerTotals)
			return is(l.Payments == "2" && l.PaymentAmount == 6119 && l.Refunds == "1" && l.RefundAmount == 1000, l)
		}, nil},
		{core.LedgerDetail, "GetChecLedgerDetail", day, func(a any) error {
			l := a.(*core.Ledger).Entries
			return is(len(l) == 3 && l[0].Number == "Q1" && l[0].At.Equal(paidAt) && l[2].Type == core.EntryRefund && l[2].Number == "RQ4" && l[2].Amount == 1000 && l[2].ChannelNo == "42Q4", l)
		}, other},
		{core.InsuranceLedger, "GetSiLedgerDetail", day, func(a any) error {
			l := a.(*core.Ledger).Entries
			return is(len(l) == 1 && l[0].Channel == "insurance" && l[0].ChannelNo == "SI1" && l[0].Amount == 700, l)
		}, other},
		{core.SystemTimeAsk, "GetSysTime", &core.DictionaryQuery{}, func(a any) error {
			at := a.(*core.SystemTime).Time
			return is(time.Since(at).Abs() < time.Minute, at)
		}, nil},
	}
}

func is(right bool, answer any) error {
	if right {
		return nil
	}
	return fmt.Errorf("the answer is %+v", answer)
}

// Every question of the catalogue is among them.
func TestQuestionsAreComplete(t *testing.T) {
	asked := map[core.Kind]bool{}
	for _, q := range questions(t, newRig(t, "beicheng")) {
		asked[q.kind] = true
	}
	for _, k := range core.Catalogue {
		if k.Mode == core.Question && !asked[k.Kind] {
			t.Errorf("%s is not asked", k.Kind)
		}
	}
}
