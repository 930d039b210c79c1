package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hooklift/gowsdl"
	gosoap "github.com/hooklift/gowsdl/soap"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors"
	"hishub/core"
	"hishub/platform/order"
)

// plainSOAP is a hospital with a listener in UTF-8 and short patience.
var plainSOAP = fstest.MapFS{
	"hospital.yaml": {Data: []byte(`grammar: 1
hospital: plain
name: 平湖
connectors: {default: {rest: {base: "http://127.0.0.1:1"}}}
listeners:
  notice:
    soap: {namespace: "http://plain.example/hub", parameters: [user, doc], unwrap: false, allow: "127.0.0.1,::1", timeout: 1200ms, concurrency: 2, max_request: 2KiB, rate: 100000}
    envelope: notice
envelopes:
  notice:
    read: {let: {doc: = from_xml(body.doc).refund}}
    outcome: {verify: body.user == "his"}
    write: {send: {$xml: {answer: {state: = result.state, words: = result.message, $group: = body}}}}
`)},
	"inbound.yaml": {Data: []byte(`refund.apply:
  envelope: notice
  call: Apply
  takes: {his_refund_no: = doc.no, order_id: = doc.order, amount: = from_yuan(doc.sum), reversal: = doc.reversal == "1"}
  reply: {refund: = result.answer.number}
refund.query:
  envelope: notice
  call: Query
  takes: {his_refund_no: = doc.no}
  reply: {refund: = result.answer.number, became: = result.answer.state}
report.ready:
  envelope: notice
  call: Report
  takes: {report_no: = doc.no, patient_no: = doc.patient}
  reply: {}
ledger.pull:
  envelope: notice
  call: Ledger
  takes: {day: = doc.day}
  reply: {row: [{$each: e in result.answer.entries, no: = e.number, his: = e.his_no, sum: = yuan(e.amount)}]}
`)},
}

func body(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

// eastern is an envelope as a programmer of 东山 writes it by hand.
func eastern(method, document string) []byte {
	b, _ := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(`<?xml version="1.0" encoding="GB18030"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body>` +
		`<h:` + method + ` xmlns:h="http://dongshan.example/hub"><h:xmlParam><![CDATA[` + document + `]]></h:xmlParam></h:` + method + `></s:Body></s:Envelope>`))
	return b
}

func (w *window) post(path string, content []byte) (int, string) {
	w.Helper()
	a, err := http.Post(w.url+"/his/"+path, "text/xml", bytes.NewReader(content))
	ok(w, err)
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	ok(w, err)
	if bytes.Contains(b, []byte("GB18030")) {
		b, err = simplifiedchinese.GB18030.NewDecoder().Bytes(b)
		ok(w, err)
	}
	return a.StatusCode, string(b)
}

func TestWindowRefundOverSOAP(t *testing.T) {
	w := newWindow(t)
	w.pay("dongshan", "IH1")
	refund := `<Request><RefundInvoiceNo>T42</RefundInvoiceNo><PlatformNo>IH1</PlatformNo><RefundSum>10.00</RefundSum><Reason>缺药，㐂</Reason></Request>`
	status, first := w.post("dongshan/inbound", eastern("RefundByHis", refund))
	if status != 200 || !strings.Contains(first, "<ResultCode>0</ResultCode>") || !strings.Contains(first, "<RefundInvoiceNo>T42</RefundInvoiceNo><RefundNo>W") {
		t.Fatalf("HTTP %d %s", status, first)
	}
	if _, again := w.post("dongshan/inbound", eastern("RefundByHis", refund)); again != first {
		t.Errorf("the repeat got\n%s\nthe first\n%s", again, first)
	}
	if _, more := w.post("dongshan/inbound", eastern("RefundByHis", strings.Replace(strings.Replace(refund, "T42", "T43", 1), "10.00", "11.51", 1))); !strings.Contains(more, "<ResultCode>-1</ResultCode><ResultMsg>可退金额不足</ResultMsg>") {
		t.Errorf("too much got %s", more)
	}
	if _, broken := w.post("dongshan/inbound", eastern("RefundByHis", "<Request><RefundInvoiceNo>T44")); !strings.Contains(broken, "<ResultCode>-9</ResultCode>") {
		t.Errorf("half a document got %s", broken)
	}
	if status, fault := w.post("dongshan/inbound", eastern("RefundByHer", refund)); status != 403 || !strings.Contains(fault, "<faultcode>soap:Client</faultcode>") {
		t.Errorf("an unknown method got HTTP %d %s", status, fault)
	}
	stop := `<Request><ScheduleNo>PB1</ScheduleNo><DeptCode>D01</DeptCode><DoctorCode>0007</DoctorCode><ServiceDate>2026-01-06</ServiceDate><TimeFlag>2</TimeFlag></Request>`
	if _, got := w.post("dongshan/inbound", eastern("StopClinic", stop)); !strings.Contains(got, "<ResultCode>0</ResultCode>") {
		t.Errorf("a stopped clinic got %s", got)
	}
	if p := w.charge("IH1"); p.Refunded != 1000 || p.State == order.Refunded {
		t.Errorf("the payment is %s, %d fen went back", p.State, p.Refunded)
	}

	// A program that was made from the published WSDL: our own connector.
	wsdl := w.wsdl("dongshan/inbound")
	connector, err := connectors.Open(core.ConnectorSpec{Name: "hub", Kind: "soap", Files: fstest.MapFS{"hub.wsdl": {Data: wsdl}},
		Options: map[string]any{"endpoint": w.url + "/his/dongshan/inbound", "wsdl": "hub.wsdl", "charset": "GB18030"}})
	ok(t, err)
	defer connector.Close()
	a, err := connector.Call(w.ctx, core.Request{Operation: "QueryRefundByHis", Body: core.Tree{{Name: "xmlParam", Value: "<Request><RefundInvoiceNo>T42</RefundInvoiceNo></Request>"}}})
	ok(t, err)
	if text, _ := core.Text(a.Body); !strings.Contains(text, "<RefundState>1</RefundState><RefundSum>10.00</RefundSum>") {
		t.Errorf("asked by WSDL, the answer is %v", a.Body)
	}
}

func (w *window) wsdl(path string) []byte {
	w.Helper()
	a, err := http.Get(w.url + "/his/" + path + "?wsdl")
	ok(w, err)
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	ok(w, err)
	if a.StatusCode != 200 || !bytes.Contains(b, []byte(`location="`+w.url+"/his/"+path+`"`)) {
		w.Fatalf("HTTP %d %s", a.StatusCode, b)
	}
	return b
}

// applied and applying are what gowsdl makes of the published WSDL's Apply.
type applying struct {
	XMLName xml.Name `xml:"http://plain.example/hub Apply"`
	User    string   `xml:"user,omitempty"`
	Doc     string   `xml:"doc,omitempty"`
}

type applied struct {
	XMLName xml.Name `xml:"http://plain.example/hub ApplyResponse"`
	Return  string   `xml:"return,omitempty"`
}

func TestAThirdPartysClient(t *testing.T) {
	w := newWindow(t)
	w.pay("plain", "IH1")
	// What gowsdl reads of it is what the types above were made from.
	var read gowsdl.WSDL
	ok(t, xml.Unmarshal(w.wsdl("plain/notice"), &read))
	var methods []string
	for _, o := range read.Binding[0].Operations {
		methods = append(methods, o.Name+" "+o.SOAPOperation.SOAPAction)
	}
	if got := strings.Join(methods, ", "); got != "Apply http://plain.example/hub/Apply, Ledger http://plain.example/hub/Ledger, Query http://plain.example/hub/Query, Report http://plain.example/hub/Report" {
		t.Errorf("the WSDL has %s", got)
	}
	if e := read.Types.Schemas[0].Elements[0]; e.Name != "Apply" || len(e.ComplexType.Sequence) != 2 || e.ComplexType.Sequence[1].Name != "doc" {
		t.Errorf("the first element is %+v", e)
	}
	client := gosoap.NewClient(w.url + "/his/plain/notice")
	var first applied
	for i := range 3 {
		var out applied
		ok(t, client.Call("http://plain.example/hub/Apply", &applying{User: "his", Doc: "<refund><no>T1</no><order>IH1</order><sum>21.50</sum></refund>"}, &out))
		if i == 0 {
			first = out
		}
		if !strings.HasPrefix(out.Return, "<answer><state>done</state><words></words><refund>W") || out.Return != first.Return {
			t.Errorf("%d: %s", i, out.Return)
		}
	}
	var forged applied
	ok(t, client.Call("", &applying{User: "her", Doc: "<refund><no>T2</no><order>IH1</order><sum>1.00</sum></refund>"}, &forged))
	if !strings.HasPrefix(forged.Return, "<answer><state>invalid</state>") {
		t.Errorf("forged: %s", forged.Return)
	}
	if err := client.Call("", &applying{User: "his", Doc: strings.Repeat("x", 3000)}, new(applied)); err == nil {
		t.Error("oversized, it was answered")
	}

	// The HIS compares by itself.
	status, ledger := w.plain("Ledger", "<day>"+time.Now().In(w.opened["plain"].Zone).Format(time.DateOnly)+"</day>")
	for _, row := range []string{"<no>IH1</no>", "<his>T1</his><sum>21.50</sum>"} {
		if status != 200 || !strings.Contains(ledger, row) {
			t.Errorf("the ledger is HTTP %d %s", status, ledger)
		}
	}
}

// plain calls a method of the hospital plain and returns its one result.
func (w *window) plain(method, document string) (int, string) {
	w.Helper()
	var doc bytes.Buffer
	ok(w, xml.EscapeText(&doc, []byte("<refund>"+document+"</refund>")))
	status, text := w.post("plain/notice", []byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><`+method+` xmlns="http://plain.example/hub"><user>his</user><doc>`+doc.String()+`</doc></`+method+`></e:Body></e:Envelope>`))
	return status, strings.NewReplacer("&lt;", "<", "&gt;", ">").Replace(text)
}
