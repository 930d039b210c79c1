package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/fhirhis"
)

// edit changes the books over the control port.
func (r *rig) edit(t *testing.T, edit string) {
	t.Helper()
	answer, err := http.Post(r.his.ControlURL()+"/books/edit", "application/json", strings.NewReader(edit))
	ok(t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: HTTP %d", edit, answer.StatusCode)
	}
}

func TestXingguangAnswersSearches(t *testing.T) {
	r := newRig(t, "xingguang") // pages of four
	for i := range 6 {
		id := fmt.Sprintf("X%d", i)
		paid := r.must(t, core.PaymentSettle, paymentOf(t, r, id))
		if i%3 == 0 {
			r.must(t, core.RefundCreate, moneyBack(id, paid))
		}
	}
	r.must(t, core.PrescriptionCreate, prescriptionOf("X9"))
	r.must(t, core.OrderCreate, orderOf("X8"))
	r.edit(t, `{"settlement":"X5","reverse":true}`)
	r.answers(t, []inquired{
		{core.PatientFind, &core.PatientQuery{Name: "张三测试", IDType: "id_card", IDNo: books.Known.IDNo}, []string{`"patient_no":"0000024772"`, `"sex":"male"`}},
		{core.PatientFind, &core.PatientQuery{Name: "没有测试", IDType: "id_card", IDNo: "1"}, []string{"null"}},
		{core.PrescriptionStatus, &core.PrescriptionQuery{No: "X9"}, []string{`"state":"done"`, `"amount":4619`, `"stage":"active"`}},
		{core.PrescriptionStatus, &core.PrescriptionQuery{No: "nobody"}, []string{`"state":"absent"`}},
		{core.OrderStatus, &core.OrderQuery{No: "X8"}, []string{`"state":"done"`, `"amount":2000`}},
		{core.PaymentStatus, &core.PaymentQuery{OrderID: "X1"}, []string{`"state":"done"`, `"amount":4619`}},
		{core.RefundStatus, &core.RefundQuery{RefundNo: "RX0"}, []string{`"state":"done"`, `"amount":1000`}},
		{core.RefundStatus, &core.RefundQuery{RefundNo: "nobody"}, []string{`"state":"absent"`}},
		{core.BillUnpaid, &core.BillQuery{VisitNo: "VX9", PatientNo: patientNo}, []string{`"prescription_no":"X9"`, `"amount":4619`, `"qty":"12"`}},
		{core.BillUnpaid, &core.BillQuery{VisitNo: "VX1", PatientNo: patientNo}, []string{"null"}},
		{core.DepartmentList, &core.DictionaryQuery{}, []string{`"code":"01"`, `"code":"0900"`, `"parent":"01"`, `"closed":true`}},
	})
	// Nine entries in pages of four, each once, by the links that the server gave.
	var entries core.Ledger
	ok(t, json.Unmarshal([]byte(r.asked(t, core.LedgerDetail, dayOf())), &entries))
	seen := map[string]int{}
	for _, e := range entries.Entries {
		seen[fmt.Sprintf("%s %s/%s %s %d %t", e.Type, e.Number, e.OrderID, e.Channel, e.Amount, e.Reversal)]++
	}
	for _, want := range []string{"payment X0/ wechat 4619 false", "payment X5/ wechat 4619 false", "refund RX0/X0 wechat 1000 false", "refund RX3/X3 wechat 1000 false", "refund /X5 wechat 4619 true"} {
		if seen[want] != 1 {
			t.Errorf("not one %q in %v", want, seen)
		}
	}
	if pages := count(r.his.Books().Journal, func(e books.Entry) bool { return e.Operation == "page" }); len(entries.Entries) != 9 || pages != 3 {
		t.Errorf("%d entries, %d further pages asked for", len(entries.Entries), pages) // two of the ledger, one of departments
	}
}

// What a status and an OperationOutcome mean.
func TestXingguangSaysWhatWentWrong(t *testing.T) {
	r := newRig(t, "xingguang")
	his := r.his.(*fhirhis.HIS)
	rx := prescriptionOf("E1")
	rx.PatientNo = "0000000000" // no Patient has this number, so the reference fits nobody: 412
	if n := r.deliver(t, core.PrescriptionCreate, rx); n.State != delivery.Parked || n.Class != core.Rejected || !strings.HasPrefix(n.Words, "条件引用无法匹配") || strings.Contains(n.Words, "已接收") {
		t.Errorf("%s %s (%s)", n.State, n.Class, n.Words)
	}
	void := &core.PrescriptionVoiding{No: "E9", VisitNo: "VE9", PatientNo: patientNo, Reason: "开错药", OperatorCode: "00731", VoidedAt: paidAt}
	if n := r.deliver(t, core.PrescriptionVoid, void); n.State != delivery.Parked || n.Words != "处方不存在" {
		t.Errorf("voiding nothing: %s (%s)", n.State, n.Words)
	}
	pay := paymentOf(t, r, "E2").(*core.Payment)
	r.must(t, core.PaymentSettle, pay)
	void.No, void.VisitNo = "E2", "VE2"
	if n := r.deliver(t, core.PrescriptionVoid, void); n.State != delivery.Parked || n.Words != "处方已收费，不能作废" {
		t.Errorf("voiding what is paid: %s (%s)", n.State, n.Words)
	}
	// A server that is too busy says for how long; the token ends in the middle of the day.
	ok(t, his.Script().Add(fault.Rule{Fault: fault.Busy, Operation: "PaymentNotice.search", Times: 1, Delay: fault.Delay(7e9)}))
	if x := r.ask(core.PaymentStatus, &core.PaymentQuery{OrderID: "E2"}); x.Verdict.Outcome != core.OutcomeBusy || x.RetryAfter.Seconds() != 7 {
		t.Errorf("%s, again after %s", x.Verdict.Outcome, x.RetryAfter)
	}
	his.ExpireTokens()
	r.must(t, core.PaymentSettle, paymentOf(t, r, "E3"))
	renewed := count(his.Books().Journal, func(e books.Entry) bool {
		return e.Operation == "token" && e.Key == "refresh_token" && e.Effect == "done"
	})
	if renewed != 1 {
		t.Errorf("the login was renewed %d times", renewed)
	}
	for fails, want := range map[fault.Kind]core.Outcome{
		fault.HTTP500: core.OutcomeInDoubt, fault.SoapFault: core.OutcomeInDoubt, fault.Garbled: core.OutcomeInDoubt, fault.Truncated: core.OutcomeInDoubt, fault.Reject: core.OutcomeRejected,
	} {
		ok(t, his.Script().Add(fault.Rule{Fault: fails, Operation: "PaymentNotice.search", Times: 1}))
		if v := r.ask(core.PaymentStatus, &core.PaymentQuery{OrderID: "E2"}).Verdict; v.Outcome != want {
			t.Errorf("%s: %s, want %s", fails, v.Outcome, want)
		}
	}
}

// A link to another address is not followed: it would get our token.
func TestXingguangIsAskedNowhereElse(t *testing.T) {
	elsewhere, err := fhirhis.Start(context.Background(), fhirhis.Options{})
	opened(t, elsewhere, err)
	his, err := fhirhis.Start(context.Background(), fhirhis.Options{PageSize: 4, Links: elsewhere.URL()})
	opened(t, his, err)
	r := rigOf(t, "xingguang", mockedHospitals["xingguang"], his, map[string]string{"XINGGUANG_URL": his.URL(), "XINGGUANG_SECRET": "xingguang-test"})
	x := r.ask(core.DepartmentList, &core.DictionaryQuery{})
	if x.Verdict.Outcome == core.OutcomeOK || x.Verdict.Err == nil || !strings.Contains(x.Verdict.Err.Error(), "known_as") {
		t.Errorf("%s: %v", x.Verdict.Outcome, x.Verdict.Err)
	}
	if n := len(elsewhere.Books().Journal); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}

// The pharmacy's notices, in a Bundle and bare, of those only who know the token.
func TestXingguangTellsWhatWasHandedOut(t *testing.T) {
	r := newRig(t, "xingguang")
	r.must(t, core.PrescriptionCreate, prescriptionOf("H1"))
	his := r.his.(*fhirhis.HIS)
	g := &gatehouse{Listener: r.Listeners["notice"]}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	his.SetHub(server.URL)
	for _, c := range []struct {
		push     fhirhis.Handed
		code     string
		status   int
		returned bool
		taken    bool
	}{
		{fhirhis.Handed{No: "H1"}, "informational", 200, false, true},
		{fhirhis.Handed{No: "H1", Bare: true, Returned: true}, "informational", 200, true, true},
		{fhirhis.Handed{No: "H1", Token: "somebody-else"}, "security", 400, false, false},
	} {
		told, err := his.Push(context.Background(), c.push)
		ok(t, err)
		last := g.opened[len(g.opened)-1]
		got, taken := last.Body.(*core.DispenseNotice)
		if told.Code != c.code || told.Status != c.status || taken != c.taken || taken && (got.No != "H1" || got.Returned != c.returned || got.Operator != "Y009" || got.At.IsZero()) {
			t.Errorf("%+v: told %+v, opened as %+v, %v", c.push, told, last.Body, last.Err)
		}
	}
	if s := r.ask(core.PrescriptionStatus, &core.PrescriptionQuery{No: "H1"}).Verdict.Answer.(*core.Status); s.Stage != "dispensed" {
		t.Errorf("the prescription is %s", s.Stage)
	}
}
