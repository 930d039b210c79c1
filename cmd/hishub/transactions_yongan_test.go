package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/sealedhis"
)

// answers asks questions and looks for parts of their answers.
func (r *rig) answers(t *testing.T, questions []inquired) {
	t.Helper()
	for _, q := range questions {
		got := r.asked(t, q.kind, q.body)
		for _, want := range q.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", q.kind, want, got)
			}
		}
	}
}

type inquired struct {
	kind core.Kind
	body core.Body
	want []string
}

// dayOf asks for the ledger of the day on which the tests pay.
func dayOf() *core.LedgerQuery {
	return &core.LedgerQuery{Day: "2026-01-05", From: time.Date(2026, 1, 5, 0, 0, 0, 0, books.Zone), To: time.Date(2026, 1, 6, 0, 0, 0, 0, books.Zone)}
}

func moneyBack(id string, paid *core.Receipt) *core.Refund {
	return &core.Refund{RefundNo: "R" + id, OrderID: id, VisitNo: "V" + id, PatientNo: patientNo, HisNo: paid.HisNo, Amount: 1000, Paid: 4619,
		Channel: "wechat", ChannelNo: "42" + id, ChannelRefundNo: "50" + id, Reason: "药品缺货", RefundedAt: paidAt.Add(9 * time.Hour)}
}

func TestYonganSealsEveryQuestion(t *testing.T) {
	r := newRig(t, "yongan")
	paid := r.must(t, core.PaymentSettle, paymentOf(t, r, "Y1"))
	r.must(t, core.RefundCreate, moneyBack("Y1", paid))
	r.must(t, core.PrescriptionCreate, prescriptionOf("Y2"))
	r.answers(t, []inquired{
		{core.DepartmentList, &core.DictionaryQuery{}, []string{`"code":"0102"`, `"parent":"01"`, `"closed":true`}},
		{core.PrescriptionStatus, &core.PrescriptionQuery{No: "Y1"}, []string{`"state":"done"`, `"amount":4619`, `"stage":"active"`}},
		{core.PrescriptionStatus, &core.PrescriptionQuery{No: "nobody"}, []string{`"state":"absent"`}},
		{core.BillUnpaid, &core.BillQuery{VisitNo: "VY2", PatientNo: patientNo}, []string{`"prescription_no":"Y2"`, `"amount":4619`, `"unit_price":"1.7917"`, `阿莫西林]]\u003e\u0026胶囊`}},
		{core.PaymentStatus, &core.PaymentQuery{OrderID: "Y1"}, []string{`"state":"done"`, `"amount":4619`, `"invoice_no":"FP`}},
		{core.RefundStatus, &core.RefundQuery{RefundNo: "RY1"}, []string{`"state":"done"`, `"amount":1000`}},
		{core.LedgerTotal, dayOf(), []string{`"payments":"1"`, `"payment_amount":4619`, `"refunds":"1"`, `"refund_amount":1000`}},
		{core.LedgerDetail, dayOf(), []string{`"number":"Y1"`, `"number":"RY1"`, `"at":"2026-01-05T23:56:01+08:00"`, `"at":"2026-01-05T14:56:01+08:00"`, `"channel":"wechat"`}},
	})
	// Whoever is not the hospital, or answers another message, is not believed.
	for fails, want := range map[fault.Kind]core.Outcome{
		fault.Busy: core.OutcomeBusy, fault.Reject: core.OutcomeRejected, fault.Garbled: core.OutcomeInDoubt, fault.Truncated: core.OutcomeInDoubt,
		fault.SoapFault: core.OutcomeInDoubt, fault.HTTP500: core.OutcomeInDoubt, fault.WrongCharset: core.OutcomeInDoubt, fault.CutAfterCommit: core.OutcomeInDoubt,
	} {
		ok(t, r.his.Script().Add(fault.Rule{Fault: fails, Operation: "2304", Times: 1}))
		if v := r.ask(core.PaymentStatus, &core.PaymentQuery{OrderID: "Y1"}).Verdict; v.Outcome != want {
			// What is plain in the answer survives a wrong charset: nothing else is in it.
			if fails != fault.WrongCharset || v.Outcome != core.OutcomeOK {
				t.Errorf("%s: %s, want %s", fails, v.Outcome, want)
			}
		}
	}
}

// Between the two steps of a payment its prescription is voided at the counter: the
// second is refused, the first is taken back, and nothing is booked.
func TestYonganTakesTheFirstStepBack(t *testing.T) {
	r := newRig(t, "yongan")
	pay := paymentOf(t, r, "Y3")
	ok(t, r.his.Script().Add(fault.Rule{Fault: fault.Reject, Operation: "2302", Times: 1}))
	if n := r.deliver(t, core.PaymentSettle, pay); n.State != delivery.Parked || n.Words != fault.RejectWords {
		t.Errorf("%s, %s (%s)", n.State, n.Because, n.Words)
	}
	b := r.his.Books()
	undone := count(b.Journal, func(e books.Entry) bool { return e.Operation == "2303" && e.Effect == "undone" })
	if len(b.Settlements) != 0 || undone != 1 {
		t.Errorf("%d settlements, undone %d times", len(b.Settlements), undone)
	}
	// The answer to the second step is lost: asked, believed, delivered once.
	ok(t, r.his.Script().Add(fault.Rule{Fault: fault.CutAfterCommit, Operation: "2302", Times: 1}))
	if n := r.deliver(t, core.PaymentSettle, paymentOf(t, r, "Y4")); n.State != delivery.Delivered || n.Receipt == nil || n.Receipt.InvoiceNo == "" {
		t.Errorf("%s, %s: %+v", n.State, n.Because, n.Receipt)
	}
	b = r.his.Books()
	if settled(b, "Y4") != 1 || count(b.Journal, func(e books.Entry) bool { return e.Operation == "2302" && e.Key == "Y4" }) != 1 {
		t.Errorf("settled %d times", settled(b, "Y4"))
	}
}

// A refund at the window comes in the same sealed envelope, and so does its answer.
func TestYonganTellsOfARefund(t *testing.T) {
	r := newRig(t, "yongan")
	r.must(t, core.PaymentSettle, paymentOf(t, r, "Y5"))
	his := r.his.(*sealedhis.HIS)
	g := &gatehouse{Listener: r.Listeners["notice"], resolutions: map[core.Kind][]core.Resolution{
		core.RefundApply: {{State: core.ResultUnknown, Message: "处理中"}, {State: core.ResultDone, Answer: &core.Receipt{Number: "HB5"}}},
	}}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	his.SetHub(server.URL)
	window := map[string]string{"histkh": "TF5", "ddh": "Y5", "tkje": "1000", "tkyy": "缺药 & <2 盒>", "tksj": "2026-01-05 15:00:00"}
	for _, c := range []struct {
		push       sealedhis.Window
		code, says string
	}{
		{sealedhis.Window{Fields: window, Forge: true}, "-1", ""},
		{sealedhis.Window{Fields: window}, "1", `"tkdh":""`},
		{sealedhis.Window{Fields: window}, "0", `"tkdh":"HB5"`},
	} {
		told, err := his.Push(context.Background(), c.push)
		ok(t, err)
		if told.Code != c.code || !strings.Contains(told.Result, c.says) {
			t.Errorf("told %+v, want %s and %s", told, c.code, c.says)
		}
	}
	last := g.opened[len(g.opened)-1]
	if got, _ := last.Body.(*core.WindowRefund); got == nil || got.Amount != 1000 || got.OrderID != "Y5" || got.Reason != "缺药 & <2 盒>" || got.Cashier != "C001" {
		t.Errorf("opened as %+v, %v", last.Body, last.Err)
	}
	if g.opened[0].Body != nil || !strings.Contains(g.opened[0].Err.Error(), "does not verify") {
		t.Errorf("the forged one: %v", g.opened[0].Err)
	}
	if b := his.Books(); len(b.Refunds) != 1 || b.Refunds[0].No != "TF5" {
		t.Errorf("the books have the refunds %+v", b.Refunds)
	}
}
