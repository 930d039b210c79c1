package main

import (
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/v3his"
)

func TestQingshanAnswersEveryQuestion(t *testing.T) {
	r := newRig(t, "qingshan")
	r.must(t, core.PaymentSettle, paymentOf(t, r, "Q2"))
	r.must(t, core.RefundCreate, &core.Refund{RefundNo: "RQ2", OrderID: "Q2", VisitNo: "VQ2", PatientNo: patientNo, Amount: 1000, Paid: 4619, Channel: "wechat", ChannelNo: "42Q2", ChannelRefundNo: "50Q2", Reason: "缺药", RefundedAt: paidAt.Add(time.Hour)})
	r.must(t, core.PrescriptionCreate, prescriptionOf("Q3"))
	r.must(t, core.OrderCreate, orderOf("Q4"))
	if p := r.his.Books().Prescriptions[0]; p.PatientName != "阿卜·䶮测试" || p.Lines[0].Name != "阿莫西林]]>&胶囊" || p.Lines[0].Price != "1.7917" || p.VisitNo != "VQ2" {
		t.Errorf("the books have %+v", p)
	}
	day := &core.LedgerQuery{Day: "2026-01-05", From: paidAt.Add(-time.Hour), To: paidAt.Add(time.Hour)}
	lists := &core.DictionaryQuery{}
	for _, q := range []struct {
		kind   core.Kind
		action string
		body   core.Body
		want   []string
	}{
		{core.PrescriptionStatus, "OrderInfoQuery", &core.PrescriptionQuery{No: "Q2"}, []string{`"state":"done"`, `"stage":"active"`, `"number":"Q2"`, `"amount":4619`}},
		{core.PrescriptionStatus, "OrderInfoQuery", &core.PrescriptionQuery{No: "nobody"}, []string{`"state":"absent"`}},
		{core.OrderStatus, "ExamAppInfoQuery", &core.OrderQuery{No: "Q4"}, []string{`"state":"done"`, `"amount":2000`}},
		{core.PaymentStatus, "ChargeInfoQuery", &core.PaymentQuery{OrderID: "Q2"}, []string{`"state":"done"`, `"number":"Q2"`, `"amount":4619`}},
		{core.RefundStatus, "RefundInfoQuery", &core.RefundQuery{RefundNo: "RQ2"}, []string{`"state":"done"`, `"amount":1000`}},
		{core.RefundStatus, "RefundInfoQuery", &core.RefundQuery{RefundNo: "nobody"}, []string{`"state":"absent"`}},
		{core.BillUnpaid, "UnpaidBillQuery", &core.BillQuery{VisitNo: "VQ3", PatientNo: patientNo}, []string{`"prescription_no":"Q3"`, `"amount":4619`, `"unit_price":"1.7917"`, `"line_no":"2"`}},
		{core.BillUnpaid, "UnpaidBillQuery", &core.BillQuery{VisitNo: "VQ4", PatientNo: patientNo}, []string{`"title":"检验检查费"`, `"amount":2000`}},
		{core.BillUnpaid, "UnpaidBillQuery", &core.BillQuery{VisitNo: "VQ2", PatientNo: patientNo}, []string{"null"}},
		{core.LedgerTotal, "LedgerTotalQuery", day, []string{`"payments":"1"`, `"payment_amount":4619`, `"refunds":"1"`, `"refund_amount":1000`}},
		{core.LedgerDetail, "LedgerQuery", day, []string{`"number":"Q2"`, `"number":"RQ2"`, `"order_id":"Q2"`, `"at":"2026-01-05T14:56:01+08:00"`, `"bill":"R0000001"`, `"channel_no":"42Q2"`, `"channel":"wechat"`}},
		{core.DepartmentList, "DepartmentQuery", lists, []string{`"code":"0102"`, `"parent":"01"`, `"closed":true`}},
		{core.DoctorList, "DoctorQuery", &core.DictionaryQuery{DepartmentCode: "0103"}, []string{`"code":"00732"`, `"name":"王五测试"`, `"title":"主治医师"`}},
	} {
		got := r.asked(t, q.kind, q.body)
		for _, want := range q.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", q.kind, want, got)
			}
		}
		r.unanswered(t, q.kind, q.action, q.body)
	}
}

// A day with more entries than fit into one answer; window refunds and reversals among them.
func TestQingshansNight(t *testing.T) {
	r := newRig(t, "qingshan")
	edit := func(edit map[string]any) { editedBy(t, r.his.ControlURL(), edit) }
	for i := range 220 {
		edit(map[string]any{"add": map[string]any{"order": "N" + string(rune('A'+i/26)) + string(rune('A'+i%26)), "amount_fen": 100, "channel": "02", "channel_no": "43", "operator": "net07", "paid_at": "2026-01-05 09:00:00"}})
	}
	edit(map[string]any{"add_refund": map[string]any{"order": "NAA", "amount_fen": 40, "refunded_at": "2026-01-05 10:00:00"}})
	edit(map[string]any{"settlement": "NAB", "reverse": true})
	edit(map[string]any{"settlement": "NAC", "date": "2026-01-06 00:00:01"})
	day := &core.LedgerQuery{Day: "2026-01-05", From: paidAt.Add(-15 * time.Hour), To: paidAt.Add(9 * time.Hour), Operator: "net07", Channel: "alipay"}
	ledger := r.asked(t, core.LedgerDetail, day)
	for part, want := range map[string]int{`"type":"payment"`: 219, `"type":"refund"`: 2, `"amount":40,`: 1, `"reversal":true`: 1, `"order_id":"NAB"`: 1, `"channel":"alipay"`: 221} {
		if n := strings.Count(ledger, part); n != want {
			t.Errorf("%s occurs %d times, want %d", part, n, want)
		}
	}
	if n := count(r.his.Books().Journal, func(e books.Entry) bool { return e.Operation == "LedgerQuery" }); n != 3 {
		t.Errorf("%d pages were asked for", n)
	}
	none := &core.LedgerQuery{Day: "2025-01-05", From: paidAt.Add(-time.Hour), To: paidAt}
	if got := r.asked(t, core.LedgerDetail, none); got != `{"entries":null}` {
		t.Errorf("an empty day is %s", got)
	}
}

// An answer that is lost is asked about, and what is asked about is booked once;
// an acknowledgement of another message is not believed.
func TestQingshanLosesAnAnswer(t *testing.T) {
	r := newRig(t, "qingshan")
	pay := paymentOf(t, r, "D1")
	ok(t, r.his.Script().Add(fault.Rule{Fault: fault.CommitThenHang, Operation: "ChargeInfoAdd", Times: 1}))
	n := r.deliver(t, core.PaymentSettle, pay)
	if n.State != delivery.Delivered || n.Receipt == nil || n.Receipt.HisNo != r.his.Books().Settlements[0].HisNo {
		t.Errorf("%s, %s, receipt %+v", n.State, n.Because, n.Receipt)
	}
	asked := count(r.his.Books().Journal, func(e books.Entry) bool { return e.Operation == "ChargeInfoQuery" && e.Key == "D1" })
	if asked == 0 || settled(r.his.Books(), "D1") != 1 {
		t.Errorf("asked %d times, booked %d times", asked, settled(r.his.Books(), "D1"))
	}
	if n := r.deliver(t, core.PrescriptionVoid, &core.PrescriptionVoiding{No: "D1", VisitNo: "VD1", PatientNo: patientNo, Reason: "开错药", OperatorCode: "00731", VoidedAt: paidAt}); n.State != delivery.Parked || n.Words != "处方已收费，不能作废" {
		t.Errorf("voiding what is paid: %s (%s)", n.State, n.Words)
	}
	call := r.Operations[core.PaymentStatus].Steps[0].Call
	in := core.Input{Body: &core.PaymentQuery{OrderID: "D1"}, Stamp: core.Stamp{ID: "another"}}
	answer := `<MCCI_IN000002UV01 xmlns="urn:hl7-org:v3"><acknowledgement typeCode="AA"><targetMessage><id extension="%"/></targetMessage></acknowledgement><controlActProcess><queryAck><queryResponseCode code="NF"/></queryAck></controlActProcess></MCCI_IN000002UV01>`
	if v := call.Mapper.Decode(in, core.Response{Body: answer}); v.Outcome != core.OutcomeInDoubt {
		t.Errorf("the acknowledgement of another message is %s", v.Outcome)
	}
	if v := call.Mapper.Decode(in, core.Response{Body: strings.Replace(answer, "%", "another", 1)}); v.Outcome != core.OutcomeOK {
		t.Errorf("ours is %s: %v", v.Outcome, v.Err)
	}
}

// A second amount under one number is refused by the HIS itself.
func TestQingshanHoldsAnotherAmount(t *testing.T) {
	his, err := v3his.Start(t.Context(), v3his.Options{Repeats: books.Double})
	opened(t, his, err)
	r := rigOf(t, "qingshan", mockedHospitals["qingshan"], his, map[string]string{"QINGSHAN_URL": his.URL()})
	p := paymentOf(t, r, "H1")
	r.must(t, core.PaymentSettle, p)
	r.must(t, core.PaymentSettle, p)
	if settled(his.Books(), "H1") != 2 {
		t.Error("a delivery that was sent twice does not show in the books")
	}
}
