package asmxhis

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
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

// ps are parameters: name, value, name, value … in the order they are written.
type ps []string

func envelope(v version, op string, p ps) []byte {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="` + v.envelope + `"><s:Body><` + op + ` xmlns="` + namespace + `">`)
	for i := 0; i < len(p); i += 2 {
		d.put(p[i], p[i+1])
	}
	d.WriteString(`</` + op + `></s:Body></s:Envelope>`)
	return []byte(d.String())
}

func post(t *testing.T, h *HIS, contentType, action string, body []byte) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, h.URL(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if action != "" {
		r.Header.Set("SOAPAction", `"`+action+`"`)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(text)
}

// ask opens the answer: code, words, and the document's Data.
func ask(t *testing.T, h *HIS, op string, p ...string) (code, words string, data *element) {
	t.Helper()
	status, text := post(t, h, "text/xml; charset=utf-8", namespace+op, envelope(soap11, op, p))
	if status != http.StatusOK {
		t.Fatalf("%s: HTTP %d %s", op, status, text)
	}
	return open(t, op, text)
}

func open(t *testing.T, op, text string) (code, words string, data *element) {
	t.Helper()
	outer, ok := parse(text)
	if !ok {
		t.Fatalf("%s: %s", op, text)
	}
	inner, ok := parse(outer.child("Body").child(op + "Response").value(op + "Result"))
	if !ok || inner.XMLName.Local != op+"Soap" {
		t.Fatalf("%s: %s", op, text)
	}
	result := inner.child("result")
	return result.value("returnCode"), result.value("returnDesc"), inner.child("Data")
}

// The published WSDL has every operation with its parameters, in their order.
func TestWSDL(t *testing.T) {
	h := start(t, Options{})
	w, err := http.Get(h.URL() + "?wsdl")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	var doc struct {
		Elements []struct {
			Name   string `xml:"name,attr"`
			Params []struct {
				Name string `xml:"name,attr"`
				Type string `xml:"type,attr"`
			} `xml:"complexType>sequence>element"`
		} `xml:"types>schema>element"`
		Ports []struct {
			Address struct {
				Location string `xml:"location,attr"`
			} `xml:"address"`
		} `xml:"service>port"`
	}
	if err := xml.NewDecoder(w.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	described := map[string][]string{}
	for _, e := range doc.Elements {
		if strings.HasSuffix(e.Name, "Response") {
			continue
		}
		described[e.Name] = nil
		for _, p := range e.Params {
			described[e.Name] = append(described[e.Name], p.Name)
			if p.Type != "s:string" {
				t.Errorf("%s.%s is %s", e.Name, p.Name, p.Type)
			}
		}
	}
	for name, op := range operations {
		if !slices.Equal(described[name], op.params) {
			t.Errorf("%s: the WSDL has %v, the service %v", name, described[name], op.params)
		}
		for _, need := range append(slices.Clone(op.needs), op.key) {
			if need != "" && !slices.Contains(op.params, need) {
				t.Errorf("%s needs %s, which is no parameter", name, need)
			}
		}
	}
	if extra := len(described) - len(operations); extra != 0 {
		t.Errorf("the WSDL has %v", slices.Sorted(maps.Keys(described)))
	}
	if len(doc.Ports) != 2 || doc.Ports[0].Address.Location != h.URL() {
		t.Errorf("ports: %+v", doc.Ports)
	}
}

func TestBothVersionsOfSOAP(t *testing.T) {
	h := start(t, Options{})
	for _, v := range []version{soap11, soap12} {
		contentType, action := v.media+"; charset=utf-8", namespace+"GetDeptInfo"
		if v == soap12 {
			contentType, action = contentType+`; action="`+action+`"`, ""
		}
		status, text := post(t, h, contentType, action, envelope(v, "GetDeptInfo", nil))
		if code, _, data := open(t, "GetDeptInfo", text); status != 200 || code != "1" || len(data.Kids) != len(books.Departments) {
			t.Errorf("%s: %d %s", v.media, status, text)
		}
	}
	for name, broken := range map[string]struct {
		contentType, action string
		body                []byte
	}{
		"other version":     {"text/xml", namespace + "GetDeptInfo", envelope(soap12, "GetDeptInfo", nil)},
		"no action":         {"text/xml", "", envelope(soap11, "GetDeptInfo", nil)},
		"another action":    {"text/xml", namespace + "GetSysTime", envelope(soap11, "GetDeptInfo", nil)},
		"unknown operation": {"text/xml", namespace + "Nothing", envelope(soap11, "Nothing", nil)},
		"not XML":           {"text/xml", namespace + "GetDeptInfo", []byte("<")},
		"not UTF-8":         {"text/xml", namespace + "GetSysTime", recode(envelope(soap11, "GetDocInfo", ps{"deptCode", "呼吸"}))},
	} {
		if status, text := post(t, h, broken.contentType, broken.action, broken.body); status != 500 || !strings.Contains(text, "Fault>") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if status, _ := post(t, h, "application/json", "", nil); status != http.StatusUnsupportedMediaType {
		t.Errorf("JSON: %d", status)
	}
}

// A parameter in the wrong place comes to be empty, without a word.
func TestOrderOfParameters(t *testing.T) {
	h := start(t, Options{})
	if code, words, _ := ask(t, h, "GetPatInfo", "idNo", books.Known.IDNo, "name", books.Known.Name); code != "0" {
		t.Errorf("%s %s", code, words)
	}
	if code, _, data := ask(t, h, "GetPatInfo", "name", books.Known.Name, "idNo", books.Known.IDNo); code != "1" || data.child("PatInfo").value("BIRTHDAY") != "19900101" {
		t.Errorf("%s %+v", code, data)
	}
}

func session(t *testing.T, h *HIS) string {
	t.Helper()
	_, _, data := ask(t, h, "GetShemaInfo")
	return data.child("ShemaInfo").value("SCHEMA_NO")
}

// A place is sold once, whoever comes at the same moment.
func TestPlaceIsSoldOnce(t *testing.T) {
	h := start(t, Options{})
	no := session(t, h)
	var all sync.WaitGroup
	codes := make([]string, 20)
	for i := range codes {
		all.Go(func() {
			codes[i], _, _ = ask(t, h, "RegLock", "orderNo", fmt.Sprintf("O%d", i), "patientId", "0000024772", "schemaNo", no, "seqNo", "3")
		})
	}
	all.Wait()
	slices.Sort(codes)
	if codes[18] != "-1" || codes[19] != "1" {
		t.Errorf("%v", codes)
	}
	for i := range 5 {
		code, words, _ := ask(t, h, "OrderReg", "orderNo", fmt.Sprintf("B%d", i), "patientId", "0000024772", "schemaNo", no, "regFee", "15.00")
		if want := map[bool]string{true: "1", false: "-1"}[i < 4]; code != want {
			t.Errorf("booking %d: %s %s", i, code, words)
		}
	}
}

func TestLockRunsOut(t *testing.T) {
	h := start(t, Options{LockLife: time.Nanosecond})
	no := session(t, h)
	_, _, data := ask(t, h, "RegLock", "orderNo", "O1", "patientId", "0000024772", "schemaNo", no, "seqNo", "1")
	lock := data.child("RegLock").value("LOCK_NO")
	if _, words, _ := ask(t, h, "OrderReg", "orderNo", "O1", "patientId", "0000024772", "schemaNo", no, "lockNo", lock, "regFee", "15.00"); words != "锁号已失效" {
		t.Error(words)
	}
	if _, _, data := ask(t, h, "GetRegState", "orderNo", "O1"); data.child("RegState").value("STATE") != "已释放" {
		t.Errorf("%+v", data)
	}
	if code, words, _ := ask(t, h, "RegLock", "orderNo", "O2", "patientId", "0000024772", "schemaNo", no, "seqNo", "1"); code != "1" {
		t.Error(code, words)
	}
}

func fee(order, sum string) ps {
	return ps{"recipeNo", "R1", "operCode", "net07", "payMode", "WX", "totCost", sum, "orderNo", order, "transNo", "42" + order, "payTime", "2026-01-05 10:00:00"}
}

func TestRepeats(t *testing.T) {
	for repeats, want := range map[books.Repeats]struct {
		code, words string
		booked      int
	}{
		books.Refuse: {"-1", "该处方已收费,请勿重复收费", 1},
		books.Same:   {"1", "", 1},
		books.Double: {"1", "", 2},
	} {
		h := start(t, Options{Repeats: repeats})
		_, _, first := ask(t, h, "SaveFee", fee("O1", "10.00")...)
		code, words, second := ask(t, h, "SaveFee", fee("O1", "10.00")...)
		if code != want.code || words != want.words || len(h.Books().Settlements) != want.booked {
			t.Errorf("%s: %s %s, booked %d times", repeats, code, words, len(h.Books().Settlements))
		}
		same := first.child("SaveFee").value("INVOICENO") == second.child("SaveFee").value("INVOICENO")
		if same != (repeats != books.Double) {
			t.Errorf("%s: %+v, then %+v", repeats, first, second)
		}
		code, words, held := ask(t, h, "SaveFee", fee("O1", "10.01")...)
		if repeats == books.Same && words != "重复提交内容不一致" || repeats == books.Refuse && held.child("SaveFee").value("TOT_COST") != "10.00" {
			t.Errorf("%s, another amount: %s %s %+v", repeats, code, words, held)
		}
	}
}

func TestInquiryNone(t *testing.T) {
	h := start(t, Options{Inquiry: "none"})
	for name, op := range operations {
		if !op.inquiry {
			continue
		}
		if code, words, _ := ask(t, h, name, op.key, "X1"); code != "-1" || words != "未开通此接口" {
			t.Errorf("%s: %s %s", name, code, words)
		}
	}
}

func TestNeeds(t *testing.T) {
	h := start(t, Options{})
	for name, op := range operations {
		if len(op.needs) == 0 {
			continue
		}
		if code, words, _ := ask(t, h, name); code != "-1" || words != "参数不能为空: "+op.needs[0] {
			t.Errorf("%s: %s %s", name, code, words)
		}
	}
	for _, e := range h.Books().Journal {
		if !strings.HasPrefix(e.Effect, "refused: ") {
			t.Errorf("%+v", e)
		}
	}
}

func TestFaults(t *testing.T) {
	h := start(t, Options{})
	strike := func(kind fault.Kind) {
		if err := h.Script().Add(fault.Rule{Fault: kind, Operation: "SaveFee", Key: "O1", Times: 1}); err != nil {
			t.Fatal(err)
		}
	}
	strike(fault.DuplicateAnswer)
	if code, words, data := ask(t, h, "SaveFee", fee("O1", "10.00")...); code != "-1" || !strings.HasPrefix(words, "该处方已收费") || data.child("SaveFee").value("TOT_COST") != "10.00" {
		t.Errorf("duplicate: %s %s %+v", code, words, data)
	}
	strike(fault.Busy)
	if code, _, _ := ask(t, h, "SaveFee", fee("O1", "10.00")...); code != "-9" {
		t.Errorf("busy: %s", code)
	}
	strike(fault.Reject)
	if code, words, _ := ask(t, h, "SaveFee", fee("O1", "10.00")...); code != "-1" || words != fault.RejectWords {
		t.Errorf("reject: %s %s", code, words)
	}
	strike(fault.WrongCharset)
	if _, text := post(t, h, "text/xml", namespace+"SaveFee", envelope(soap11, "SaveFee", fee("O1", "10.00"))); !strings.Contains(text, "encoding=\"utf-8\"") || strings.Contains(text, "已收费") {
		t.Errorf("wrong charset: %s", text)
	}
	var effects []string
	for _, e := range h.Books().Journal {
		effects = append(effects, e.Effect)
	}
	if want := []string{"done", "busy", "refused: " + fault.RejectWords, "already"}; !slices.Equal(effects, want) {
		t.Errorf("journal: %q", effects)
	}
}

// A line goes back once and whole.
func TestRefundByLine(t *testing.T) {
	h := start(t, Options{})
	_, _, data := ask(t, h, "SavePrescription", "applyNo", "RX1", "clinicCode", "V1", "patientId", "0000024772", "name", "张三测试", "sex", "男", "deptCode", "0102", "docCode", "00731", "items",
		"<Items><Item><ITEM_CODE>1</ITEM_CODE><ITEM_NAME>甲</ITEM_NAME><QTY>1</QTY><UNIT_PRICE>3.0000</UNIT_PRICE><TOT_COST>3.00</TOT_COST></Item>"+
			"<Item><ITEM_CODE>2</ITEM_CODE><ITEM_NAME>乙</ITEM_NAME><QTY>1</QTY><UNIT_PRICE>7.0000</UNIT_PRICE><TOT_COST>7.00</TOT_COST></Item></Items>", "totCost", "10.00")
	recipe := data.child("SavePrescription").value("RECIPE_NO")
	p := fee("O1", "10.00")
	p[1] = recipe
	ask(t, h, "SaveFee", p...)
	back := func(no, line, sum string) (string, string) {
		code, words, _ := ask(t, h, "RefundFee", "refundNo", no, "orderNo", "O1", "operCode", "net07", "totCost", sum, "refundTime", "2026-01-05 11:00:00",
			"details", "<Details><Detail><RECIPE_NO>"+recipe+"</RECIPE_NO><SEQNO>"+line+"</SEQNO><TOT_COST>"+sum+"</TOT_COST></Detail></Details>")
		return code, words
	}
	for _, try := range []struct{ no, line, sum, code, words string }{
		{"B1", "2", "6.00", "-1", "退费明细金额不符"},
		{"B1", "3", "7.00", "-1", "未找到收费明细"},
		{"B1", "2", "7.00", "1", ""},
		{"B1", "2", "7.00", "-1", "该退费已存在"},
		{"B2", "2", "7.00", "-1", "明细已退费"},
		{"B2", "1", "3.00", "1", ""},
	} {
		if code, words := back(try.no, try.line, try.sum); code != try.code || words != try.words {
			t.Errorf("%+v: %s %s", try, code, words)
		}
	}
	if s := h.Books().Settlements[0]; s.RefundedFen != 1000 {
		t.Errorf("%d fen went back", s.RefundedFen)
	}
}

func TestTheLedgerSaysWhatARowIs(t *testing.T) {
	h := start(t, Options{})
	at := "2026-01-05 23:59:58"
	for _, e := range []books.Edit{
		{Add: &books.Settlement{Order: "G1", Channel: "微信", Operator: "net07", Registration: true, PaidAt: at}},
		{AddReversed: &books.Settlement{Order: "IH2", Channel: "支付宝", ChannelNo: "20", Operator: "net07", Bills: []string{"R1", "A2"}, AmountFen: 10, PaidAt: at}},
		{Add: &books.Settlement{Order: "IH3", Operator: "other", AmountFen: 5, PaidAt: at}},
	} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	_, _, data := ask(t, h, "GetChecLedgerDetail", "checkDate", "2026-01-05", "operCode", "net07")
	var rows []string
	for i := range data.Kids {
		r := &data.Kids[i]
		rows = append(rows, r.value("TRANS_KIND")+"/"+r.value("ORDER_NO")+"/"+r.value("REFUND_NO")+"/"+r.value("TOT_COST")+"/"+r.value("PAY_MODE")+"/"+r.value("IS_REVERSE")+"/"+r.value("RECIPE_NO"))
	}
	if got := strings.Join(rows, " "); got != "收费/G1/NULL/0.00/微信/0/NULL 收费/IH2/NULL/0.10/支付宝/0/R1,A2 退费/IH2/NULL/-0.10/支付宝/1/NULL" {
		t.Errorf("rows %s", got)
	}
	_, _, data = ask(t, h, "GetCheckLedgerInfo", "checkDate", "2026-01-05", "operCode", "net07")
	if r := data.child("CheckLedgerInfo"); r.value("PAY_COUNT") != "2" || r.value("PAY_COST") != "0.10" || r.value("BACK_COUNT") != "1" || r.value("BACK_COST") != "-0.10" {
		t.Errorf("totals %+v", r)
	}
}

func TestWhatBecomesOfPrescriptionsAndOrdersInTheHospital(t *testing.T) {
	h := start(t, Options{})
	h.books.Save(books.Prescription{No: "RX1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	h.books.SaveOrder(books.Order{No: "AP1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	for _, e := range []books.Edit{{Prescription: "RX1", State: books.Returned}, {Order: "AP1", State: books.Performed}} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	_, _, data := ask(t, h, "QueryPrescriptionInfo", "applyNo", "RX1")
	if got := data.child("PrescriptionInfo").value("STATE"); got != "已退药" {
		t.Errorf("the prescription is %s", got)
	}
	_, _, data = ask(t, h, "QueryExamAppInfo", "applyNo", "AP1")
	if got := data.child("ExamAppInfo").value("STATE"); got != "已执行" {
		t.Errorf("the order is %s", got)
	}
}

func TestTheInsuranceHasALedgerOfItsOwn(t *testing.T) {
	h := start(t, Options{})
	at := "2026-01-05 23:59:58"
	for _, e := range []books.Edit{
		{Add: &books.Settlement{Order: "IH1", Channel: "YB", ChannelNo: "SI1", AmountFen: 100, PaidAt: at}},
		{Add: &books.Settlement{Order: "IH2", Channel: "WX", ChannelNo: "42", AmountFen: 10, PaidAt: at}},
		{AddReversed: &books.Settlement{Order: "IH3", Channel: "YB", ChannelNo: "SI3", AmountFen: 5, PaidAt: at}},
		{AddRefund: &books.Refund{Order: "IH1", AmountFen: 30, RefundedAt: at}},
	} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	_, _, data := ask(t, h, "GetSiLedgerDetail", "checkDate", "2026-01-05")
	var rows []string
	for i := range data.Kids {
		rows = append(rows, data.Kids[i].value("SETL_KIND")+"/"+data.Kids[i].value("SETL_ID")+"/"+data.Kids[i].value("TOT_COST"))
	}
	if got := strings.Join(rows, " "); got != "结算/SI1/1.00 结算/SI3/0.05 撤销/SI1/0.30" {
		t.Errorf("rows %s", got)
	}
	if code, _, _ := ask(t, h, "GetSiLedgerDetail", "checkDate", "2026-01-06"); code != "0" {
		t.Errorf("a day without any: %s", code)
	}
}
