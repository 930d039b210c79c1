package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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

// A voided prescription among those that were paid is refused alone; the rest is
// settled once, and a person is told which one is missing.
func TestLianhuTakesAPaymentInPart(t *testing.T) {
	r := newRig(t, "lianhu")
	pay, other := paymentOf(t, r, "C1").(*core.Payment), paymentOf(t, r, "C2").(*core.Payment)
	r.must(t, core.PrescriptionVoid, &core.PrescriptionVoiding{No: "C2", VisitNo: "VC2", PatientNo: patientNo, Reason: "开错药", OperatorCode: "00731", VoidedAt: paidAt})
	pay.Bills, pay.Amount = append(pay.Bills, other.Bills...), pay.Amount+other.Amount
	n := r.deliver(t, core.PaymentSettle, pay)
	if want := "the HIS took 1 of 2 parts; refused: " + other.Bills[0]; n.State != delivery.Parked || n.Class != core.Rejected || n.Because != want || n.Words != "处方已作废" {
		t.Errorf("%s %s: %s (%s)", n.State, n.Class, n.Because, n.Words)
	}
	if n.RefundNow || !n.Sent() || n.Receipt == nil || n.Receipt.HisNo == "" || *n.Receipt.Amount != 4619 {
		t.Errorf("refund now %v, sent %v, receipt %+v", n.RefundNow, n.Sent(), n.Receipt)
	}
	// Released, it asks and sends nothing.
	d := &delivery.Delivery{ID: 1, Hospital: r.ID(), Kind: core.PaymentSettle, Body: pay, Progress: n.Progress}
	op := r.Operations[core.PaymentSettle]
	if d.Phase != delivery.Inquire {
		t.Fatalf("goes on with %s", d.Phase)
	}
	x := r.Ask(context.Background(), &op.Steps[0].Inquire.Call, core.Input{Body: pay, Captured: d.Captured, Stamp: r.Stamp(pay.Key(), paidAt, 2)}, nil)
	again := delivery.DefaultPolicy.After(d, op, &delivery.Attempt{Number: 2, Phase: d.Phase, Exchange: x, Now: time.Now()})
	if again.State != delivery.Parked || again.Because != "the HIS holds it with another amount" {
		t.Errorf("asked: %s, %s", again.State, again.Because)
	}
	if b := r.his.Books(); len(b.Settlements) != 1 || b.Settlements[0].AmountFen != 4619 || len(b.Settlements[0].Bills) != 1 {
		t.Errorf("the books have %+v", b.Settlements)
	}
}

// gatehouse answers what the HIS calls in its dialect, by the resolutions that it is
// given for each kind, the last one for ever.
type gatehouse struct {
	*core.Listener
	mu          sync.Mutex
	resolutions map[core.Kind][]core.Resolution
	opened      []core.Opened
}

func (g *gatehouse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	headers := map[string][]string{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = values
	}
	arrival, err := g.Wire.Read(core.Incoming{Method: r.Method, Path: "/", Headers: core.Flatten(headers), Body: body})
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	stamp := core.Stamp{At: time.Now()}
	o := g.Door.Open(arrival, stamp)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = append(g.opened, o)
	result := core.Resolution{State: core.ResultDone}
	if o.Body == nil {
		result.State = core.ResultInvalid
	} else if next := g.resolutions[o.Kind]; len(next) > 0 {
		if result = next[0]; len(next) > 1 {
			g.resolutions[o.Kind] = next[1:]
		}
	}
	reply, err := g.Door.Reply(o, result, stamp)
	if err == nil {
		var out core.Outgoing
		if out, err = g.Wire.Write(arrival, reply); err == nil {
			w.WriteHeader(out.Status)
			_, _ = w.Write(out.Body)
			return
		}
	}
	w.WriteHeader(http.StatusInternalServerError)
}

// What the HIS calls, the folder understands; what it answers, the HIS does.
func TestLianhuTellsThePlatform(t *testing.T) {
	r := newRig(t, "lianhu")
	r.must(t, core.PaymentSettle, paymentOf(t, r, "W1"))
	his := r.his.(*pushhis.HIS)
	fen := core.Fen(1000)
	g := &gatehouse{Listener: r.Listeners["platform"], resolutions: map[core.Kind][]core.Resolution{
		core.RefundApply:   {{State: core.ResultUnknown}, {State: core.ResultDone, Answer: &core.Receipt{Number: "HB1"}}},
		core.RefundQueried: {{State: core.ResultDone, Answer: &core.Status{State: core.StateDone, Receipt: core.Receipt{Number: "HB1", Amount: &fen}}}},
		core.LedgerPulled:  {{State: core.ResultDone, Answer: &core.Ledger{Entries: []core.LedgerEntry{{Type: core.EntryPayment, Number: "W1", Amount: 4619, At: paidAt}}}}},
	}}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	his.SetHub(server.URL)

	refund := map[string]string{"tradeNo": "W1", "refundAmount": "10.00", "hisId": "TF1", "reason": "缺药 & <2 盒>"}
	for _, p := range []struct {
		kind   core.Kind
		push   pushhis.Push
		result string
		says   string // a part of the answer
		body   core.Body
	}{
		{core.RefundApply, pushhis.Push{Kind: "refundApply", Fields: refund, Forge: true}, "ERROR", "<refundNo></refundNo>", nil},
		{core.RefundApply, pushhis.Push{Kind: "refundApply", Fields: refund}, "SUCCESS", "<refundNo>HB1</refundNo>",
			&core.WindowRefund{HisRefundNo: "TF1", OrderID: "W1", Amount: 1000, Reason: "缺药 & <2 盒>", Cashier: "C001"}},
		{core.RefundQueried, pushhis.Push{Kind: "refundQuery", Fields: map[string]string{"hisId": "TF1"}}, "SUCCESS", "<refundState>2</refundState><refundAmount>10.00</refundAmount>",
			&core.WindowRefundQuery{HisRefundNo: "TF1"}},
		{core.ClinicStopped, pushhis.Push{Kind: "stopClinic", Fields: map[string]string{"scheduleId": r.sessions[0].ScheduleNo}}, "SUCCESS", "",
			&core.ClinicStop{StopNo: "TZ" + r.sessions[0].ScheduleNo, ScheduleNo: r.sessions[0].ScheduleNo, DepartmentCode: "0102", DoctorCode: "00731", Date: r.sessions[0].Date, Period: "morning"}},
		{core.DrugsDispensed, pushhis.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": "W1", "dispenseTime": "2026-01-05 14:56:01"}}, "SUCCESS", "", nil},
		{core.PrescriptionSeen, pushhis.Push{Kind: "reviewed", Fields: map[string]string{"recipeNo": "W1"}}, "SUCCESS", "", nil},
		{core.ReportReady, pushhis.Push{Kind: "reportReady", Fields: map[string]string{"reportId": "LIS0002"}}, "SUCCESS", "", nil},
		{core.BillCreated, pushhis.Push{Kind: "newBill", Fields: map[string]string{"prescriptionNo": "R1", "clinicNo": "VW1", "patientId": patientNo}}, "SUCCESS", "", nil},
		{core.LedgerPulled, pushhis.Push{Kind: "checkAccount", Fields: map[string]string{"checkDate": "2026-01-05"}}, "SUCCESS", "<totalCash>46.19</totalCash><totalCount>1</totalCount>", &core.LedgerPull{Day: "2026-01-05"}},
	} {
		told, err := his.Push(context.Background(), p.push)
		ok(t, err)
		if told[0].Result != p.result || !strings.Contains(told[0].Document, p.says) {
			t.Errorf("%s was answered %+v", p.kind, told[0])
		}
		last := g.opened[len(g.opened)-1]
		if last.Kind != p.kind || (last.Body == nil) != p.push.Forge {
			t.Errorf("%s was opened as %q: %v", p.kind, last.Kind, last.Err)
		}
		if p.body != nil {
			want, _ := json.Marshal(p.body)
			if got, _ := json.Marshal(last.Body); string(got) != string(want) {
				t.Errorf("%s is\n%s, want\n%s", p.kind, got, want)
			}
		}
	}
	if b := his.Books(); count(b.Refunds, func(r books.Refund) bool { return r.No == "TF1" && r.AmountFen == 1000 }) != 1 || len(b.Refunds) != 1 {
		t.Errorf("the books have the refunds %+v", b.Refunds)
	}
}
