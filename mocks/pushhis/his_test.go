package pushhis

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

func start(t *testing.T, o Options) *HIS {
	t.Helper()
	h, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// say calls a method with name, text, name, text …
func (h *HIS) say(method string, pairs ...string) (*element, error) {
	body := wrapped(namespace, method, parameter, "<request>"+fields(pairs...)+"</request>")
	answer, err := http.Post(h.URL(), contentType, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	envelope, err := parseXML(text)
	if err != nil {
		return nil, err
	}
	return parseXML([]byte(envelope.child("Body", method+"Response").value("return")))
}

func (h *HIS) must(t *testing.T, method string, pairs ...string) *element {
	t.Helper()
	e, err := h.say(method, pairs...)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return e
}

// expect checks name, text, name, text … of an answer.
func expect(t *testing.T, e *element, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := e.value(pairs[i]); got != pairs[i+1] {
			t.Errorf("%s: got %q, want %q", pairs[i], got, pairs[i+1])
		}
	}
}

func tomorrow() string { return time.Now().In(books.Zone).AddDate(0, 0, 1).Format("20060102") }

func (h *HIS) registerAndPay(t *testing.T, order string) {
	t.Helper()
	session := "PB" + tomorrow() + "0m"
	expect(t, h.must(t, "register", "tradeNo", order, "patientId", "P1", "realName", "张三测试", "scheduleId", session, "registerFee", "15.00"), "result", "success", "registerFee", "15.00")
	expect(t, h.must(t, "payRegister", paying(order)...), "result", "success", "payFee", "15.00")
}

func paying(order string) []string {
	return []string{"tradeNo", order, "patientId", "P1", "payFee", "15.00", "payType", "weChat", "payNo", "42" + order, "payedTime", "2026-01-05 14:58:30"}
}

func TestRegistrationHasItsOwnRefusals(t *testing.T) {
	h := start(t, Options{})
	session := "PB" + tomorrow() + "0m"
	for _, order := range []string{"G1", "G2", "G3", "G4", "G5"} {
		expect(t, h.must(t, "register", "tradeNo", order, "patientId", "P1", "realName", "张三测试", "scheduleId", session, "registerFee", "15.00"), "result", "success")
	}
	again := h.must(t, "register", "tradeNo", "G1", "patientId", "P1", "realName", "张三测试", "scheduleId", session, "registerFee", "15.00")
	expect(t, again, "result", "success", "queueNo", "1")
	expect(t, h.must(t, "register", "tradeNo", "G6", "patientId", "P1", "realName", "张三测试", "scheduleId", session, "registerFee", "15.00"), "result", "fullNumber")
	expect(t, h.must(t, "register", "tradeNo", "G7", "patientId", "P1", "realName", "张三测试", "scheduleId", "nix", "registerFee", "15.00"), "result", "noSchedule")
	h.books.StopSession(session)
	expect(t, h.must(t, "register", "tradeNo", "G8", "patientId", "P1", "realName", "张三测试", "scheduleId", session, "registerFee", "15.00"), "result", "stopClinic")
	expect(t, h.must(t, "payRegister", paying("G1")...), "result", "error", "message", "已停诊", "isRefund", "1")
	expect(t, h.must(t, "payRegister", paying("unknown")...), "result", "error", "isRefund", "1")
}

func TestPaidRegistrationGoesBackOnce(t *testing.T) {
	h := start(t, Options{})
	h.registerAndPay(t, "G1")
	expect(t, h.must(t, "cancelRegister", "tradeNo", "G1"), "result", "error")
	back := []string{"tradeNo", "G1", "refundNo", "R1", "refundFee", "15.00", "refundTime", "2026-01-05 15:00:00"}
	first := h.must(t, "backRegister", back...)
	expect(t, first, "result", "success", "refundFee", "15.00")
	expect(t, h.must(t, "backRegister", back...), "result", "success", "hisRefundId", first.value("hisRefundId"))
	expect(t, h.must(t, "queryState", "tradeNo", "G1"), "registerState", "4")
	if got := len(h.Books().Refunds); got != 1 {
		t.Errorf("%d refunds in the books", got)
	}
}

// While a payment is worked on nothing is answered, the status says so, and a
// repeat gets what the first one gets.
func TestPaymentAtWork(t *testing.T) {
	h := start(t, Options{PayTime: 300 * time.Millisecond})
	pay := []string{"prescriptionNo", "RX1", "tradeNo", "O1", "orderFee", "46.19", "payType", "aliPay", "payNo", "42", "payedTime", "2026-01-05 14:58:30"}
	var ids [3]string
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			if e, err := h.say("outpatientPay", pay...); err == nil {
				ids[i] = e.value("hisPayId")
			}
		})
	}
	for !h.works.on("O1") {
		time.Sleep(time.Millisecond)
	}
	expect(t, h.must(t, "payStatus", "tradeNo", "O1"), "payState", "4")
	all.Wait()
	if ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("the repeats were answered %q", ids)
	}
	expect(t, h.must(t, "payStatus", "tradeNo", "O1"), "payState", "1", "orderFee", "46.19", "hisPayId", ids[0])
	if got := len(h.Books().Settlements); got != 1 {
		t.Errorf("%d settlements in the books", got)
	}
}

func TestVoidedBillSendsTheMoneyBack(t *testing.T) {
	h := start(t, Options{})
	h.books.Save(books.Prescription{No: "RX1", VisitNo: "V1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	h.books.Void("RX1", "test")
	expect(t, h.must(t, "outpatientPay", "prescriptionNo", "RX1", "tradeNo", "O1", "orderFee", "1.00", "payType", "weChat", "payNo", "42", "payedTime", "2026-01-05 14:58:30"),
		"result", "error", "isRefund", "1")
	if got := len(h.Books().Settlements); got != 0 {
		t.Errorf("%d settlements in the books", got)
	}
}

// The voided one of several is refused alone; a repeat gets the same answer.
func TestVoidedBillAmongOthers(t *testing.T) {
	h := start(t, Options{})
	for _, no := range []string{"RX1", "RX2"} {
		h.books.Save(books.Prescription{No: no, VisitNo: "V1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	}
	h.books.Void("RX1", "test")
	pay := []string{"prescriptionNo", "RX1,RX2,RX3", "tradeNo", "O1", "orderFee", "3.00", "payType", "weChat", "payNo", "42", "payedTime", "2026-01-05 14:58:30"}
	for range 2 {
		e := h.must(t, "outpatientPay", pay...)
		expect(t, e, "result", "success", "orderFee", "2.00")
		lines := e.rows("lines")
		if len(lines) != 3 {
			t.Fatalf("%d lines", len(lines))
		}
		expect(t, &lines[0], "prescriptionNo", "RX1", "result", "error", "message", voidedWords)
		expect(t, &lines[1], "prescriptionNo", "RX2", "result", "success")
		expect(t, &lines[2], "prescriptionNo", "RX3", "result", "success")
	}
	if b := h.Books(); len(b.Settlements) != 1 || b.Settlements[0].AmountFen != 200 || !slices.Equal(b.Settlements[0].Bills, []string{"RX2", "RX3"}) {
		t.Errorf("the books have %+v", b.Settlements)
	}
	h.books.Save(books.Prescription{No: "RX4", VisitNo: "V1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	h.books.Void("RX4", "test")
	pay[1], pay[3] = "RX1,RX4", "O2"
	expect(t, h.must(t, "outpatientPay", pay...), "result", "error", "isRefund", "1")
}

func TestLedgerTellsRegistrationsFromFees(t *testing.T) {
	h := start(t, Options{})
	h.registerAndPay(t, "G1")
	h.must(t, "outpatientPay", "prescriptionNo", "RX1", "tradeNo", "O1", "orderFee", "46.19", "payType", "aliPay", "payNo", "42", "payedTime", "2026-01-05 23:59:58")
	expect(t, h.must(t, "getCheckLedgerInfo", "checkDate", "2026-01-05"), "payCount", "2", "payCash", "61.19", "refundCount", "0")
	body := wrapped(namespace, "GetChecLedgerDetail", parameter, "<request>"+fields("checkDate", "2026-01-05", "transactionType", "1")+"</request>")
	answer, err := http.Post(h.URL(), contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if s := string(text); !strings.Contains(s, "&lt;/HisPayId&gt;&lt;tradeNo&gt;G1&lt;") || strings.Contains(s, "O1") {
		t.Errorf("the ledger of registrations is %s", s)
	}
}

func TestFaultsReachTheDialect(t *testing.T) {
	h := start(t, Options{})
	if err := h.Script().Add(fault.Rule{Fault: fault.Busy, Times: 1}, fault.Rule{Fault: fault.Reject, Times: 1}); err != nil {
		t.Fatal(err)
	}
	expect(t, h.must(t, "netTest"), "result", "busy")
	expect(t, h.must(t, "netTest"), "result", "error", "message", fault.RejectWords)
	if err := h.Script().Add(fault.Rule{Fault: fault.DuplicateAnswer, Operation: "revokeRecipe", Times: 1}); err != nil {
		t.Fatal(err)
	}
	h.books.Save(books.Prescription{No: "RX1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	expect(t, h.must(t, "revokeRecipe", "recipeNo", "RX1"), "result", "repeat")
	answer, err := http.Post(h.URL(), contentType, strings.NewReader("<x/>"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 500 {
		t.Errorf("what is no envelope got HTTP %d", answer.StatusCode)
	}
}

// The folder's copy of the WSDL is the service's.
func TestTheFolderHasOurWSDL(t *testing.T) {
	for file, want := range map[string][]byte{
		"his.wsdl":      WSDL("http://127.0.0.1/services/LianhuService"),
		"platform.wsdl": PlatformWSDL("http://127.0.0.1/his/lianhu/platform"),
	} {
		got, err := os.ReadFile("../../mapping/hospitals/lianhu/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the mock publishes", file)
		}
	}
}

func TestTheLedgerSaysWhatARowIs(t *testing.T) {
	h := start(t, Options{})
	at := "2026-01-05 23:59:58"
	for _, e := range []books.Edit{
		{Add: &books.Settlement{Order: "G1", Channel: "weChat", Operator: "wk01", Registration: true, PaidAt: at}},
		{AddReversed: &books.Settlement{Order: "IH2", Channel: "aliPay", Operator: "wk01", AmountFen: 10, PaidAt: at}},
		{Settlement: "IH2", Duplicate: true},
	} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, h.must(t, "getCheckLedgerInfo", "checkDate", "2026-01-05"), "payCount", "3", "payCash", "0.20", "refundCount", "1", "refundCash", "0.10")
	expect(t, h.must(t, "getCheckLedgerInfo", "checkDate", "2026-01-05", "transactionType", "1"), "payCount", "1", "payCash", "0.00")
	day := dayDocument(h.ledger("2026-01-05", outpatients))
	for want, n := range map[string]int{"<payType>aliPay</payType>": 3, "<is_reverse>1</is_reverse>": 1, "<channel>1</channel>": 1, "<cashier_id>wk01</cashier_id>": 3, "G1": 0} {
		if got := strings.Count(day, want); got != n {
			t.Errorf("%s is there %d times, not %d: %s", want, got, n, day)
		}
	}
}

func TestWhatBecomesOfPrescriptionsAndOrdersInTheHospital(t *testing.T) {
	h := start(t, Options{})
	h.books.Save(books.Prescription{No: "RX1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	h.books.SaveOrder(books.Order{No: "AP1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	for _, e := range []books.Edit{{Prescription: "RX1", State: books.Dispensed}, {Order: "AP1", State: books.Performed}} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, h.must(t, "queryRecipe", "recipeNo", "RX1"), "recipeState", "3")
	expect(t, h.must(t, "queryApply", "applyNo", "AP1"), "applyState", "3")
}
