package soaphis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

func start(t testing.TB, o Options) *HIS {
	t.Helper()
	h, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// envelope as a caller would write it, in GB18030.
func envelope(op, inner string) []byte {
	text := `<?xml version="1.0" encoding="GB18030"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><` + op +
		` xmlns="http://dongshan.example/his"><xmlParam><![CDATA[` + inner + `]]></xmlParam></` + op + `></s:Body></s:Envelope>`
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
	if err != nil {
		panic(err)
	}
	return b
}

func post(ctx context.Context, h *HIS, op, inner string) (status int, body []byte, err error) {
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, h.URL(), bytes.NewReader(envelope(op, inner)))
	r.Header.Set("Content-Type", "text/xml; charset=GB18030")
	r.Header.Set("SOAPAction", `"http://dongshan.example/his/`+op+`"`)
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer w.Body.Close()
	body, err = io.ReadAll(w.Body)
	return w.StatusCode, body, err
}

// ask posts and opens the answer's document.
func ask(t testing.TB, h *HIS, op, inner string) *element {
	t.Helper()
	status, body, err := post(context.Background(), h, op, inner)
	if err != nil || status != 200 {
		t.Fatalf("%s: status %d, %v", op, status, err)
	}
	d, err := opened(op, body)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func opened(op string, body []byte) (*element, error) {
	text, ok := gb18030.decode(body)
	if !ok {
		return nil, errors.New("answer is not GB18030")
	}
	e, err := parseXML(text)
	if err != nil {
		return nil, err
	}
	result := e.child("Body").child(op + "Response").child(op + "Result")
	if result == nil {
		return nil, errors.New("no result element")
	}
	return parseXML(result.text)
}

func want(t testing.TB, d *element, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := d.value(pairs[i]); got != pairs[i+1] {
			t.Errorf("%s = %q, want %q (%s)", pairs[i], got, pairs[i+1], d.value("ResultMsg"))
		}
	}
}

func recipe(no string) string {
	return `<Request><TradeCode>5101</TradeCode><HospitalID>2</HospitalID><UserCode>net07</UserCode><RecipeNo>` + no + `</RecipeNo><Adm>V1</Adm>` +
		`<PatientID>0000000001</PatientID><PatientName>䶮测试</PatientName><Sex>1</Sex><BirthDate>1990-01-01</BirthDate><DeptCode>D1</DeptCode><DoctorCode>Y1</DoctorCode>` +
		`<Diagnoses><Diag><Code>J06.900</Code><Name>急性上呼吸道感染</Name></Diag></Diagnoses><OrderSum>46.19</OrderSum><RecipeItems>` +
		`<Item><ItemCode>YP1</ItemCode><ItemName>阿莫西林胶囊</ItemName><Qty>2</Qty><Unit>盒</Unit><Price>12.3450</Price><Amount>24.69</Amount></Item>` +
		`<Item><ItemCode>YP2</ItemCode><ItemName>维生素C片</ItemName><Qty>12</Qty><Unit>片</Unit><Price>1.7917</Price><Amount>21.50</Amount></Item></RecipeItems></Request>`
}

func preSettle(order, bills, sum string) string {
	return `<Request><TradeCode>5201</TradeCode><UserCode>net07</UserCode><PatientID>P1</PatientID><OrderNo>` + bills + `</OrderNo><OrderSum>` + sum + `</OrderSum><PlatformNo>` + order + `</PlatformNo></Request>`
}

func confirm(order, invoice, sum string) string {
	return `<Request><TradeCode>5202</TradeCode><UserCode>net07</UserCode><InvoiceNoStr>` + invoice + `</InvoiceNoStr><PayDetails><PayAmt>` + sum +
		`</PayAmt><PayModeCode>WECHAT</PayModeCode><PlatformNo>` + order + `</PlatformNo><OutPayNo>42` + order + `</OutPayNo><PayTime>2026-01-05 23:59:58</PayTime></PayDetails></Request>`
}

func refund(no, order, sum string) string {
	return `<Request><TradeCode>5301</TradeCode><UserCode>net07</UserCode><RefundNo>` + no + `</RefundNo><PlatformNo>` + order + `</PlatformNo><RefundSum>` + sum +
		`</RefundSum><RefundTime>2026-01-06 00:00:01</RefundTime></Request>`
}

func asking(code string, pairs ...string) string {
	return `<Request><TradeCode>` + code + `</TradeCode>` + fields(pairs...) + `</Request>`
}

func settle(t testing.TB, h *HIS, order, bills, sum string) *element {
	t.Helper()
	pre := ask(t, h, "PreSettle", preSettle(order, bills, sum))
	return ask(t, h, "ConfirmSettle", confirm(order, pre.value("InvoiceNo"), sum))
}

func TestAPrescriptionIsSettledAndRefunded(t *testing.T) {
	h := start(t, Options{Strict: true})
	saved := ask(t, h, "SavePrescription", recipe("RX1"))
	want(t, saved, "ResultCode", "0", "OrderSum", "46.19")
	no := saved.value("OrderNo")

	bill := ask(t, h, "GetUnpaidBills", asking("5200", "Adm", "V1")).child("Bills").child("Bill")
	want(t, bill, "RecipeNo", "RX1", "OrderNo", no, "OrderSum", "46.19")
	want(t, ask(t, h, "QueryPay", asking("5203", "PlatformNo", "IH1")), "ResultCode", "0", "PayState", "0")

	pre := ask(t, h, "PreSettle", preSettle("IH1", no, "46.19"))
	want(t, pre, "ResultCode", "0", "OrderSum", "46.19")
	invoice := pre.value("InvoiceNo")
	want(t, ask(t, h, "PreSettle", preSettle("IH1", no, "46.19")), "ResultCode", "0", "InvoiceNo", invoice)
	want(t, ask(t, h, "QueryPay", asking("5203", "InvoiceNoStr", invoice)), "PayState", "2", "PlatformNo", "IH1")
	want(t, ask(t, h, "ConfirmSettle", confirm("IH1", invoice, "46.20")), "ResultCode", "-1")
	want(t, ask(t, h, "ConfirmSettle", confirm("IH1", invoice, "46.19")), "ResultCode", "0", "InvoiceNo", invoice)
	want(t, ask(t, h, "QueryPay", asking("5203", "PlatformNo", "IH1")), "PayState", "1", "InvoiceNo", invoice, "OrderSum", "46.19")
	want(t, ask(t, h, "CancelPreSettle", asking("5204", "InvoiceNoStr", invoice)), "ResultCode", "-1")
	want(t, ask(t, h, "VoidPrescription", asking("5102", "RecipeNo", "RX1")), "ResultCode", "-1")
	want(t, ask(t, h, "GetUnpaidBills", asking("5200", "Adm", "V1")), "ResultCode", "100")
	want(t, ask(t, h, "QueryPrescription", asking("5103", "RecipeNo", "RX1")), "RecipeState", "2")

	want(t, ask(t, h, "SaveRefund", refund("IHR1", "IH1", "46.20")), "ResultCode", "-1")
	want(t, ask(t, h, "SaveRefund", refund("IHR1", "IH1", "40.00")), "ResultCode", "0")
	want(t, ask(t, h, "SaveRefund", refund("IHR2", "IH1", "6.20")), "ResultCode", "-1")
	want(t, ask(t, h, "QueryRefund", asking("5302", "RefundNo", "IHR1")), "RefundState", "1", "RefundSum", "40.00")
	want(t, ask(t, h, "QueryRefund", asking("5302", "RefundNo", "IHR2")), "ResultCode", "100")

	row := ask(t, h, "GetLedgerDetail", asking("5401", "BusiDate", "2026-01-05", "UserCode", "net07")).child("Rows").child("Row")
	want(t, row, "Type", "1", "PlatformNo", "IH1", "OutPayNo", "42IH1", "InvoiceNo", invoice, "Amount", "46.19", "Time", "2026-01-05 23:59:58")
	row = ask(t, h, "GetLedgerDetail", asking("5401", "BusiDate", "2026-01-06")).child("Rows").child("Row")
	want(t, row, "Type", "2", "PlatformNo", "IH1", "RefundNo", "IHR1", "Amount", "40.00")
	want(t, ask(t, h, "GetLedgerDetail", asking("5401", "BusiDate", "2026-01-05", "UserCode", "other")), "ResultCode", "100")

	b := h.Books()
	if len(b.Prescriptions) != 1 || b.Prescriptions[0].PatientName != "䶮测试" || b.Prescriptions[0].State != books.Settled {
		t.Errorf("prescriptions: %+v", b.Prescriptions)
	}
	if len(b.Settlements) != 1 || b.Settlements[0].AmountFen != 4619 || b.Settlements[0].RefundedFen != 4000 {
		t.Errorf("settlements: %+v", b.Settlements)
	}
}

func TestRepeatsAreTreatedAsTheOptionSays(t *testing.T) {
	for _, c := range []struct {
		repeats                books.Repeats
		rx, pay, back          string
		rxRows, payRows, backs int
	}{
		{books.Refuse, "-2", "-3", "-4", 1, 1, 1},
		{books.Same, "0", "0", "0", 1, 1, 1},
		{books.Double, "0", "0", "0", 2, 2, 2},
	} {
		t.Run(string(c.repeats), func(t *testing.T) {
			h := start(t, Options{Repeats: c.repeats})
			first := ask(t, h, "SavePrescription", recipe("RX1"))
			second := ask(t, h, "SavePrescription", recipe("RX1"))
			want(t, second, "ResultCode", c.rx, "OrderSum", "46.19")
			if c.repeats != books.Double {
				want(t, second, "OrderNo", first.value("OrderNo"))
			}
			paid := settle(t, h, "IH1", "RX1", "46.19")
			want(t, ask(t, h, "ConfirmSettle", confirm("IH1", paid.value("InvoiceNo"), "46.19")), "ResultCode", c.pay, "InvoiceNo", paid.value("InvoiceNo"), "OrderSum", "46.19")
			ask(t, h, "SaveRefund", refund("IHR1", "IH1", "1.00"))
			want(t, ask(t, h, "SaveRefund", refund("IHR1", "IH1", "1.00")), "ResultCode", c.back, "RefundSum", "1.00")
			b := h.Books()
			if len(b.Prescriptions) != c.rxRows || len(b.Settlements) != c.payRows || len(b.Refunds) != c.backs {
				t.Errorf("books: %d prescriptions, %d settlements, %d refunds", len(b.Prescriptions), len(b.Settlements), len(b.Refunds))
			}
		})
	}
}

func TestAnInvoiceIsCancelledOrExpires(t *testing.T) {
	h := start(t, Options{InvoiceLife: time.Nanosecond})
	invoice := ask(t, h, "PreSettle", preSettle("IH1", "RX1", "1.00")).value("InvoiceNo")
	want(t, ask(t, h, "QueryPay", asking("5203", "PlatformNo", "IH1")), "PayState", "0")
	want(t, ask(t, h, "ConfirmSettle", confirm("IH1", invoice, "1.00")), "ResultCode", "-1", "ResultMsg", "预结算已过期")

	h = start(t, Options{})
	invoice = ask(t, h, "PreSettle", preSettle("IH1", "RX1", "1.00")).value("InvoiceNo")
	want(t, ask(t, h, "CancelPreSettle", asking("5204", "InvoiceNoStr", invoice)), "ResultCode", "0", "ResultMsg", "撤销成功")
	want(t, ask(t, h, "CancelPreSettle", asking("5204", "InvoiceNoStr", invoice)), "ResultCode", "0", "ResultMsg", "已撤销")
	want(t, ask(t, h, "ConfirmSettle", confirm("IH1", invoice, "1.00")), "ResultCode", "-1", "ResultMsg", "预结算已撤销")
	want(t, settle(t, h, "IH1", "RX1", "1.00"), "ResultCode", "0")
}

func TestVoidingTwiceIsHarmless(t *testing.T) {
	h := start(t, Options{})
	want(t, ask(t, h, "VoidPrescription", asking("5102", "RecipeNo", "RX1")), "ResultCode", "-1")
	ask(t, h, "SavePrescription", recipe("RX1"))
	want(t, ask(t, h, "VoidPrescription", asking("5102", "RecipeNo", "RX1")), "ResultCode", "0", "ResultMsg", "作废成功")
	want(t, ask(t, h, "VoidPrescription", asking("5102", "RecipeNo", "RX1")), "ResultCode", "0", "ResultMsg", "已作废")
	want(t, ask(t, h, "PreSettle", preSettle("IH1", "RX1", "46.19")), "ResultCode", "-1", "ResultMsg", "处方已作废")
	if n := len(h.Books().Voids); n != 1 {
		t.Errorf("%d voids", n)
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	h := start(t, Options{Inquiry: "none"})
	want(t, ask(t, h, "QueryPay", asking("5203", "PlatformNo", "IH1")), "ResultCode", "-1", "ResultMsg", "未开通此交易")
	want(t, ask(t, h, "QueryPay", asking("5101", "PlatformNo", "IH1")), "ResultCode", "-1")
	want(t, ask(t, h, "SavePrescription", strings.Replace(recipe("RX1"), "21.50", "21.51", 1)), "ResultCode", "-1", "ResultMsg", "明细金额与总额不符")
	want(t, ask(t, h, "SavePrescription", strings.Replace(recipe("RX1"), "<PatientID>0000000001</PatientID>", "", 1)), "ResultCode", "-1", "ResultMsg", "字段缺失: PatientID")
	if status, body, err := post(context.Background(), h, "DropTables", "<Request/>"); err != nil || status != 500 || !bytes.Contains(body, []byte("soap:Client")) {
		t.Errorf("unknown method: %d %v", status, err)
	}
	r, _ := http.NewRequest(http.MethodPost, h.URL(), bytes.NewReader(envelope("SavePrescription", recipe("RX1"))))
	r.Header.Set("Content-Type", "application/json")
	w, err := http.DefaultClient.Do(r)
	if err != nil || w.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("json: %v %v", w, err)
	}
	w.Body.Close()
	// UTF-8 bytes under a GB18030 header are other words, or none: never booked.
	r, _ = http.NewRequest(http.MethodPost, h.URL(), strings.NewReader(`<Envelope><Body><SavePrescription><xmlParam><![CDATA[`+recipe("RX1")+`]]></xmlParam></SavePrescription></Body></Envelope>`))
	r.Header.Set("Content-Type", "text/xml; charset=GB18030")
	if w, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, _ := io.ReadAll(w.Body)
	if d, err := opened("SavePrescription", body); err == nil {
		want(t, d, "ResultCode", "-1")
	}
	if b := h.Books(); len(b.Prescriptions)+len(b.Settlements) != 0 {
		t.Errorf("books: %+v", b)
	}
}

func TestTheDescriptionNamesItsOwnAddress(t *testing.T) {
	h := start(t, Options{})
	w, err := http.Get(h.URL() + "?wsdl")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, _ := io.ReadAll(w.Body)
	if !strings.Contains(string(body), `location="`+h.URL()+`"`) {
		t.Error("soap:address is not the mock's")
	}
	for name := range operations {
		if !strings.Contains(string(body), `soapAction="http://dongshan.example/his/`+name+`"`) {
			t.Errorf("%s is not in the WSDL", name)
		}
	}
}

func TestEachFault(t *testing.T) {
	const brief = fault.Delay(100 * time.Millisecond)
	eof := func(_ int, _ []byte, err error) string {
		if err == nil {
			return "answered"
		}
		return ""
	}
	timeout := func(_ int, _ []byte, err error) string {
		if !errors.Is(err, context.Canceled) {
			return fmt.Sprint("it did not hang: ", err)
		}
		return ""
	}
	says := func(pairs ...string) func(int, []byte, error) string {
		return func(status int, body []byte, err error) string {
			d, e := opened("SavePrescription", body)
			if err != nil || e != nil || status != 200 {
				return fmt.Sprint("no good answer: ", status, err, e)
			}
			for i := 0; i < len(pairs); i += 2 {
				if d.value(pairs[i]) != pairs[i+1] {
					return pairs[i] + " = " + d.value(pairs[i])
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		rule   fault.Rule
		seen   func(int, []byte, error) string
		booked int
		effect string // "": nothing was read
	}{
		{fault.Rule{Fault: fault.Down}, func(_ int, _ []byte, err error) string {
			if !errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Sprint("not refused: ", err)
			}
			return ""
		}, 0, ""},
		{fault.Rule{Fault: fault.Down, Times: 1}, eof, 0, ""},
		{fault.Rule{Fault: fault.Slow, Delay: brief}, says("ResultCode", "0"), 1, "done"},
		{fault.Rule{Fault: fault.Hang}, timeout, 0, "none"},
		{fault.Rule{Fault: fault.CutBefore}, eof, 0, "none"},
		{fault.Rule{Fault: fault.CommitThenHang}, timeout, 1, "done"},
		{fault.Rule{Fault: fault.CutAfterCommit}, eof, 1, "done"},
		{fault.Rule{Fault: fault.CutThenCommitLater, Delay: brief}, eof, 1, "done"},
		{fault.Rule{Fault: fault.HTTP500}, func(status int, body []byte, _ error) string {
			if status != 500 || !bytes.Contains(body, []byte("<html>")) {
				return fmt.Sprint("status ", status)
			}
			return ""
		}, 0, "none"},
		{fault.Rule{Fault: fault.SoapFault}, func(status int, body []byte, _ error) string {
			if status != 500 || !bytes.Contains(body, []byte("<faultcode>soap:Server</faultcode>")) {
				return fmt.Sprint("status ", status)
			}
			return ""
		}, 0, "none"},
		{fault.Rule{Fault: fault.Garbled}, func(status int, body []byte, err error) string {
			if _, e := opened("SavePrescription", body); status != 200 || err != nil || e == nil {
				return "readable"
			}
			return ""
		}, 1, "done"},
		{fault.Rule{Fault: fault.Truncated}, func(status int, _ []byte, err error) string {
			if status != 200 || !errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Sprint("not cut in the middle: ", status, err)
			}
			return ""
		}, 1, "done"},
		{fault.Rule{Fault: fault.WrongCharset}, func(_ int, body []byte, err error) string {
			if err != nil || !bytes.Contains(body, []byte("保存成功")) || !bytes.Contains(body, []byte(`encoding="GB18030"`)) {
				return "not UTF-8 under a GB18030 prolog"
			}
			return ""
		}, 1, "done"},
		{fault.Rule{Fault: fault.Busy}, says("ResultCode", "-99", "ResultMsg", "系统繁忙"), 0, "busy"},
		{fault.Rule{Fault: fault.Reject}, says("ResultCode", "-1", "ResultMsg", "药品库存不足"), 0, "refused: 药品库存不足"},
		{fault.Rule{Fault: fault.DuplicateAnswer}, says("ResultCode", "-2", "OrderSum", "46.19", "OrderNo", "R0000001"), 1, "done"},
	} {
		t.Run(string(c.rule.Fault), func(t *testing.T) {
			h := start(t, Options{})
			if c.rule.Fault != fault.Down {
				c.rule.Operation, c.rule.Key = "SavePrescription", "RX"
				ask(t, h, "VoidPrescription", asking("5102", "RecipeNo", "RX0")) // another operation is not touched
			}
			if err := h.Script().Add(c.rule); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if k := c.rule.Fault; k == fault.Hang || k == fault.CommitThenHang {
				go leaveOnceRead(h, "SavePrescription", cancel)
			}
			if wrong := c.seen(post(ctx, h, "SavePrescription", recipe("RX1"))); wrong != "" {
				t.Error(wrong)
			}
			if c.rule.Fault == fault.CutThenCommitLater {
				if n := len(h.Books().Prescriptions); n != 0 {
					t.Error("committed before its time")
				}
				for len(h.Books().Prescriptions) == 0 && t.Context().Err() == nil {
					time.Sleep(time.Millisecond)
				}
			}
			h.Script().Clear()
			b := h.Books()
			if len(b.Prescriptions) != c.booked {
				t.Errorf("%d booked, want %d", len(b.Prescriptions), c.booked)
			}
			var effects []string
			for _, e := range b.Journal {
				if e.Operation == "SavePrescription" {
					effects = append(effects, e.Effect)
				}
			}
			if got := strings.Join(effects, ","); got != c.effect {
				t.Errorf("journal says %q, want %q", got, c.effect)
			}
			// The hospital is well again, at the same address.
			want(t, ask(t, h, "QueryPrescription", asking("5103", "RecipeNo", "RX1")), "ResultCode", map[int]string{0: "100", 1: "0"}[c.booked])
		})
	}
}

// leaveOnceRead is a caller that loses patience some time after its request was read.
func leaveOnceRead(h *HIS, operation string, leave func()) {
	for !slices.ContainsFunc(h.Books().Journal, func(e books.Entry) bool { return e.Operation == operation }) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // an answer would be here by now
	leave()
}

func BenchmarkSavePrescription(b *testing.B) {
	h := start(b, Options{})
	n := 0
	body := make([][]byte, b.N)
	for i := range body {
		body[i] = envelope("SavePrescription", recipe(fmt.Sprint("RX", i)))
	}
	op := operations["SavePrescription"]
	b.ReportAllocs()
	for b.Loop() {
		r := read(body[n%len(body)], gb18030, "")
		gb18030.answer(r.operation, h.act(op, r, "").document())
		n++
	}
}

func TestTheLedgerSaysWhatARowIs(t *testing.T) {
	h := start(t, Options{})
	at := "2026-01-05 23:59:58"
	for _, e := range []books.Edit{
		{Add: &books.Settlement{Order: "IH1", Channel: "WECHAT", ChannelNo: "42", Operator: "net07", Bills: []string{"RX1", "RX2"}, AmountFen: 100, PaidAt: at}},
		{Add: &books.Settlement{Order: "G1", Channel: "WECHAT", Operator: "net07", Registration: true, PaidAt: at}},
		{AddReversed: &books.Settlement{Order: "IH2", Channel: "ALIPAY", Operator: "net07", AmountFen: 10, PaidAt: at}},
		{AddRefund: &books.Refund{Order: "IH1", AmountFen: 30, RefundedAt: at}},
	} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	rows := ask(t, h, "GetLedgerDetail", asking("5401", "BusiDate", "2026-01-05", "UserCode", "net07")).child("Rows").kids
	if len(rows) != 5 {
		t.Fatalf("%d rows", len(rows))
	}
	want(t, &rows[0], "Type", "1", "PlatformNo", "IH1", "PayModeCode", "WECHAT", "IsReverse", "0", "Recipes", "RX1^RX2", "UserCode", "net07")
	want(t, &rows[1], "Type", "1", "PlatformNo", "G1", "Amount", "0.00")
	want(t, &rows[3], "Type", "2", "PlatformNo", "IH2", "RefundNo", "", "IsReverse", "1", "PayModeCode", "ALIPAY")
	want(t, &rows[4], "Type", "2", "PlatformNo", "IH1", "RefundNo", "", "IsReverse", "0", "OutPayNo", "42", "Amount", "0.30")
	rows = ask(t, h, "GetLedgerDetail", asking("5401", "BusiDate", "2026-01-05", "PayModeCode", "ALIPAY")).child("Rows").kids
	if len(rows) != 2 {
		t.Errorf("%d rows of Alipay", len(rows))
	}
	want(t, ask(t, h, "GetLedgerTotal", asking("5402", "BusiDate", "2026-01-05", "UserCode", "net07")), "ResultCode", "0",
		"PayCount", "3", "PaySum", "1.10", "RefundCount", "2", "RefundSum", "0.40")
	want(t, ask(t, h, "GetLedgerTotal", asking("5402", "BusiDate", "2026")), "ResultCode", "-1")
}

func TestAReversalIsMarkedInTheLedger(t *testing.T) {
	h := start(t, Options{})
	if err := h.books.Edit(books.Edit{Add: &books.Settlement{Order: "IH1", AmountFen: 100, Operator: "net07"}}); err != nil {
		t.Fatal(err)
	}
	want(t, ask(t, h, "SaveRefund", strings.Replace(refund("IHR1", "IH1", "1.00"), "<RefundNo>", "<IsReverse>1</IsReverse><RefundNo>", 1)), "ResultCode", "0")
	if b := h.Books(); len(b.Refunds) != 1 || !b.Refunds[0].Reversal {
		t.Errorf("refunds %+v", b.Refunds)
	}
}

func TestAPrescriptionIsDispensedInTheHospital(t *testing.T) {
	h := start(t, Options{})
	h.books.Save(books.Prescription{No: "RX1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	for state, theirs := range map[string]string{books.Dispensed: "3", books.Returned: "4", books.Voided: "9"} {
		if err := h.books.Edit(books.Edit{Prescription: "RX1", State: state}); err != nil {
			t.Fatal(err)
		}
		want(t, ask(t, h, "QueryPrescription", asking("5103", "RecipeNo", "RX1")), "RecipeState", theirs)
	}
}
