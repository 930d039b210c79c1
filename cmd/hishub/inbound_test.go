package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hooklift/gowsdl"
	gosoap "github.com/hooklift/gowsdl/soap"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/mapping"
	shipped "hishub/mapping/hospitals"
	"hishub/platform/payment"
	"hishub/platform/prescription"
)

// window is the hub as HIS see it, with the clinic behind it on the real ledger.
type window struct {
	*practice
	url     string
	channel *channel
	served  *tally
	log     *bytes.Buffer
	opened  map[string]*core.Hospital
	server  *inbound.Server
}

func newWindow(t *testing.T) *window {
	t.Helper()
	w := &window{practice: newPractice(t), channel: &channel{paid: map[string]core.Fen{}}, served: &tally{}, opened: map[string]*core.Hospital{}}
	w.payments.Channel = w.channel
	for _, name := range []string{"dongshan", "xihu"} {
		sub, err := fs.Sub(shipped.FS, name)
		ok(t, err)
		w.open(sub)
	}
	w.opened["xihu"].Listeners["notice"].Rate = 10000
	w.open(plainSOAP)
	w.log = &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(&locked{w: io.MultiWriter(w.log, t.Output())}, nil))
	desk := &inbound.Desk{Store: w.store, Log: log, Patience: 20 * time.Second, Deciders: map[core.Kind]inbound.Decider{core.RefundApply: windowRefunds(w.payments)}}
	t.Cleanup(func() { desk.Close(context.Background()) })
	w.server = &inbound.Server{Desk: desk, Log: log, Served: w.served.add, Hospital: func(_ context.Context, id string) (*core.Hospital, error) {
		if h := w.opened[id]; h != nil {
			return h, nil
		}
		return nil, core.ErrUnknownHospital
	}}
	s := httptest.NewServer(w.server.Handler())
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

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

func (w *window) open(files fs.FS) {
	w.Helper()
	env := map[string]string{"DONGSHAN_URL": "http://127.0.0.1:1/his", "XIHU_URL": "http://127.0.0.1:1", "XIHU_USER": "u", "XIHU_PASSWORD": "p4ssw0rd", "XIHU_NOTICE_KEY": noticeKey}
	f, err := mapping.Load(files, mapping.Options{Open: connectors.Open, Listen: connectors.Listen, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok }})
	ok(w, err)
	_, err = w.store.Apply(w.ctx, f.Dialect.Hospital, f.Dialect.Name, []byte("archive"), "digest", "tester", "")
	ok(w, err)
	w.opened[f.Dialect.Hospital] = core.NewHospital(f.Dialect, 1, nil, nil, nil)
}

const noticeKey = "xihu-notice-test"

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.w.Write(b) }

type tally struct {
	mu  sync.Mutex
	all map[string]int
}

func (t *tally) add(hospital string, kind core.Kind, result string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]int{}
	}
	t.all[result]++
}

// channel is the payment channel: it moves money once per number.
type channel struct {
	mu     sync.Mutex
	paid   map[string]core.Fen
	calls  int
	before func(n int) error // of the n-th call; may block
}

func (c *channel) PayBack(_ context.Context, b payment.Back) (string, time.Time, error) {
	c.mu.Lock()
	c.calls++
	n, before := c.calls, c.before
	c.mu.Unlock()
	if before != nil {
		if err := before(n); err != nil {
			return "", time.Time{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paid[b.Hospital+" "+b.RefundNo] = b.Amount
	return "CH" + b.RefundNo, time.Now(), nil
}

func (c *channel) moved() (n int, sum core.Fen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.paid {
		sum += a
	}
	return len(c.paid), sum
}

// pay pays an order of one line, 21.50 yuan.
func (w *window) pay(hospital, order string) {
	w.Helper()
	rx := "RX" + order
	_, err := w.prescriptions.Sign(w.ctx, hospital, written(rx, "V"+order, 1))
	ok(w, err)
	_, err = w.prescriptions.Review(w.ctx, hospital, rx, prescription.Verdict{Pharmacist: "P001", Approve: true})
	ok(w, err)
	_, err = w.payments.Pay(w.ctx, hospital, paid(order, rx))
	ok(w, err)
}

func (w *window) charge(hospital, order string) payment.Charge {
	w.Helper()
	p, err := w.payments.Get(w.ctx, hospital, order)
	ok(w, err)
	return p
}

// answered is what 西湖 gets.
type answered struct {
	Remsgid string
	Success int
	Msgtext string
	Dateset struct{ HisRefundNo, RefundNo, RefundState, RefundFee, NoticeNo string }
}

// notice calls as 西湖 does.
func (w *window) notice(code, body string, change func(*http.Request)) (int, answered, string) {
	w.Helper()
	head := map[string]string{"clienttype": "third", "code": code, "customid": "xihu_his", "msgid": "0017", "reqtime": "20260105145601"}
	signed := "clienttype=third&code=" + code + "&customid=xihu_his&msgid=0017&param=" + body + "&reqtime=20260105145601&key=" + noticeKey
	r, err := http.NewRequestWithContext(w.ctx, "POST", w.url+"/his/xihu/notice", strings.NewReader(body))
	ok(w, err)
	for name, value := range head {
		r.Header.Set(name, value)
	}
	r.Header.Set("sign", fmt.Sprintf("%x", md5.Sum([]byte(signed))))
	if change != nil {
		change(r)
	}
	a, err := http.DefaultClient.Do(r)
	ok(w, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	ok(w, err)
	var out answered
	if a.StatusCode == 200 {
		ok(w, json.Unmarshal(text, &out))
	}
	return a.StatusCode, out, string(text)
}

func refundOf(no, order, sum string) string {
	return fmt.Sprintf(`{"hisRefundNo":"%s","orderNo":"%s","refundFee":"%s","reason":"缺药","operCode":"0077","refundTime":"%s"}`, no, order, sum, time.Now().In(time.FixedZone("", 8*60*60)).Format(time.DateTime))
}

func TestWindowRefundOnce(t *testing.T) {
	w := newWindow(t)
	w.pay("xihu", "IH1")
	status, first, _ := w.notice("NT001", refundOf("TF1", "IH1", "21.50"), nil)
	if status != 200 || first.Success != 1 || first.Dateset.RefundNo == "" || first.Dateset.HisRefundNo != "TF1" || first.Remsgid != "0017" {
		t.Fatalf("HTTP %d, %+v", status, first)
	}
	if p := w.charge("xihu", "IH1"); p.State != payment.Refunded || p.Refunded != 2150 {
		t.Errorf("the payment is %s, %d fen went back", p.State, p.Refunded)
	}
	time.Sleep(1100 * time.Millisecond) // so that its time of sending differs
	if _, again, _ := w.notice("NT001", refundOf("TF1", "IH1", "21.50"), nil); again.Success != 1 || again.Dateset != first.Dateset {
		t.Errorf("the repeat got %+v, the first %+v", again, first)
	}
	if _, other, _ := w.notice("NT001", refundOf("TF1", "IH1", "1.50"), nil); other.Success != 2001 || other.Msgtext == "" {
		t.Errorf("other content under the same number got %+v", other)
	}
	if _, more, _ := w.notice("NT001", refundOf("TF2", "IH1", "0.01"), nil); more.Success != 2001 || more.Msgtext != "可退金额不足" {
		t.Errorf("more than was paid got %+v", more)
	}
	if _, unknown, _ := w.notice("NT001", refundOf("TF3", "IH9", "1.00"), nil); unknown.Success != 2001 {
		t.Errorf("an unknown order got %+v", unknown)
	}
	if _, q, _ := w.notice("NT002", `{"hisRefundNo":"TF1"}`, nil); q.Dateset.RefundState != "2" || q.Dateset.RefundNo != first.Dateset.RefundNo || q.Dateset.RefundFee != "21.50" {
		t.Errorf("asked about, it got %+v", q)
	}
	for no, state := range map[string]string{"TF2": "3", "TF9": "0"} {
		if _, q, _ := w.notice("NT002", `{"hisRefundNo":"`+no+`"}`, nil); q.Dateset.RefundState != state {
			t.Errorf("asked about %s, it got %+v", no, q)
		}
	}
	if n, sum := w.channel.moved(); n != 1 || sum != 2150 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
	if n := w.count(`select count(*) from hub.message where kind = 'refund.create'`); n != 0 {
		t.Errorf("the HIS is told of %d refunds that it started itself", n)
	}

	// Kept once, with the exact bytes of every time, and told once.
	if n := w.count(`select count(*) from hub.exchange where message = (select id from hub.inbound where kind = 'refund.apply' and key = 'TF1')`); n != 3 {
		t.Errorf("%d exchanges are kept, 3 happened", n)
	}
	all, err := w.store.ListInbound(w.ctx, inboundOf("xihu", core.RefundApply, "TF1"))
	ok(t, err)
	if len(all) != 1 || all[0].State != "done" || all[0].Times != 3 || all[0].Conflicts != 1 || all[0].Receipt.Number != first.Dateset.RefundNo {
		t.Fatalf("kept is %+v", all)
	}
	x, err := w.store.Exchange(w.ctx, all[0].ID, 1)
	ok(t, err)
	if !bytes.Contains(x[0].Request, []byte(`"hisRefundNo":"TF1"`)) || !bytes.Contains(x[0].Response, []byte(first.Dateset.RefundNo)) {
		t.Error("the exact bytes were not kept")
	}
	if sealed := w.count(`select count(*) from hub.exchange where position('TF1'::bytea in request) > 0`); sealed != 0 {
		t.Error("the bytes stand in the open")
	}
	var events []string
	feed, _, err := w.store.Read(w.ctx, "", 100)
	ok(t, err)
	for _, e := range feed {
		if e.Key == "TF1" {
			events = append(events, fmt.Sprint(e.Type, " ", e.Result, " ", e.Inbound == all[0].ID, " ", e.Receipt != nil))
		}
	}
	if got := strings.Join(events, ", "); got != "inbound.refund.apply  true false, inbound.decided done true true" {
		t.Errorf("events: %s", got)
	}

	// A night has it as ours.
	found, entries := false, 0
	for e, err := range w.store.Ours(w.ctx, "xihu", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)) {
		ok(t, err)
		entries++
		found = found || e.Type == core.EntryRefund && e.Number == first.Dateset.RefundNo && e.HisNo == "TF1" && e.Amount == 2150 && e.Told == "delivered"
	}
	if !found || entries != 2 {
		t.Errorf("our ledger has %d entries, with the refund: %v", entries, found)
	}
}

func TestWhatCannotBeTrusted(t *testing.T) {
	w := newWindow(t)
	w.pay("xihu", "IH1")
	good := refundOf("TF1", "IH1", "21.50")
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		says   int
	}{
		"another amount": {func(r *http.Request) { r.Body = body(strings.Replace(good, "21.50", "20.50", 1)) }, 200, 1003},
		"no signature":   {func(r *http.Request) { r.Header.Del("sign") }, 200, 1003},
		"another code":   {func(r *http.Request) { r.Header.Set("code", "NT003") }, 200, 1003},
		"unknown code":   {func(r *http.Request) { r.Header.Set("code", "NT999") }, 403, 0},
		"no JSON":        {func(r *http.Request) { r.Body = body("{") }, 200, 1003},
		"no text":        {func(r *http.Request) { r.Body = body("\xff\xfe\x00") }, 400, 0},
		"too large":      {func(r *http.Request) { r.Body = body(strings.Repeat("x", 300<<10)) }, 413, 0},
		"large, chunked": {func(r *http.Request) { r.Body = body(strings.Repeat("x", 300<<10)); r.ContentLength = -1 }, 413, 0},
		"elsewhere":      {func(r *http.Request) { r.URL.Path = "/his/xihu/other" }, 404, 0},
		"nowhere":        {func(r *http.Request) { r.URL.Path = "/his/nobody/notice" }, 404, 0},
	} {
		status, got, text := w.notice("NT001", good, func(r *http.Request) {
			c.change(r)
			if r.Body != nil && r.ContentLength >= 0 {
				b, _ := io.ReadAll(r.Body)
				r.Body, r.ContentLength = body(string(b)), int64(len(b))
			}
		})
		if status != c.status || got.Success != c.says {
			t.Errorf("%s: HTTP %d, %s", name, status, text)
		}
	}
	if n := w.count(`select (select count(*) from hub.inbound) + (select count(*) from hub.exchange) + (select count(*) from hub.event where message = 0)`); n != 0 {
		t.Errorf("%d rows are kept of what cannot be trusted", n)
	}
	if w.served.all["invalid"] != 4 || w.served.all["too_large"] != 2 {
		t.Errorf("counted: %v", w.served.all)
	}
	for _, value := range []string{"20.50", "TF1", "缺药", "IH1"} {
		if strings.Contains(w.log.String(), value) {
			t.Errorf("the log holds %q", value)
		}
	}
	if n, _ := w.channel.moved(); n != 0 {
		t.Error("money moved")
	}
	// A stranger's address.
	w.opened["dongshan"].Listeners["inbound"].Allow = w.opened["dongshan"].Listeners["inbound"].Allow[2:]
	status, text := w.post("dongshan/inbound", eastern("RefundByHis", "<Request/>"))
	if status != 403 || !strings.Contains(text, "Fault>") {
		t.Errorf("a stranger got HTTP %d %s", status, text)
	}
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
	if p := w.charge("dongshan", "IH1"); p.Refunded != 1000 || p.State == payment.Refunded {
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

func TestTheSameRefundAtOnce(t *testing.T) {
	w := newWindow(t)
	for round := range 5 {
		order, no := fmt.Sprint("IH", round), fmt.Sprint("TF", round)
		w.pay("xihu", order)
		text := refundOf(no, order, "21.50")
		var mu sync.Mutex
		numbers := map[string]int{}
		var calls []func() error
		for range 12 {
			calls = append(calls, func() error {
				_, a, raw := w.notice("NT001", text, nil)
				if a.Success != 1 {
					return errors.New(raw)
				}
				mu.Lock()
				numbers[a.Dateset.RefundNo]++
				mu.Unlock()
				return nil
			})
		}
		ok(t, atOnce(calls...)[0])
		if len(numbers) != 1 {
			t.Errorf("round %d: %v", round, numbers)
		}
	}
	if n, sum := w.channel.moved(); n != 5 || sum != 5*2150 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
	if n := w.count(`select count(*) from hub.event where type = 'inbound.refund.apply'`); n != 5 {
		t.Errorf("%d events of 5 refunds", n)
	}
}

// The window and the app give the same order back at the same moment.
func TestWindowAndAppAtOnce(t *testing.T) {
	w := newWindow(t)
	byApp, byWindow := 0, 0
	for round := range 25 {
		order, no := fmt.Sprint("IH", round), fmt.Sprint("TF", round)
		w.pay("xihu", order)
		before, _ := w.channel.moved()
		var atWindow answered
		errs := atOnce(
			func() error {
				_, err := w.payments.Refund(w.ctx, "xihu", order, given("RF"+order, 2150))
				return err
			},
			func() error {
				_, a, _ := w.notice("NT001", refundOf(no, order, "21.50"), nil)
				atWindow = a
				return nil
			})
		if atWindow.Success != 1 {
			t.Fatalf("round %d: the window got %+v", round, atWindow)
		}
		after, _ := w.channel.moved()
		p := w.charge("xihu", order)
		if p.Refunded != 2150 || p.State != payment.Refunded {
			t.Errorf("round %d: %s, %d fen went back", round, p.State, p.Refunded)
		}
		if n := w.count(`select count(*) from payment.refund where order_id = '` + order + `'`); n != 1 {
			t.Errorf("round %d: %d refunds", round, n)
		}
		switch {
		case errs[1] == nil && atWindow.Dateset.RefundNo == "RF"+order && after == before:
			byApp++
		case errs[1] != nil && strings.HasPrefix(atWindow.Dateset.RefundNo, "W") && after == before+1:
			problems(t, errs[1], "amount")
			byWindow++
		default:
			t.Errorf("round %d: app %v, window %+v, the channel moved %d", round, errs[1], atWindow, after-before)
		}
	}
	t.Logf("the app was first %d times, the window %d times", byApp, byWindow)
	if n := w.count(`select count(*) from hub.ledger_entry where type = 'refund'`); n != 25 {
		t.Errorf("%d refunds in the ledger", n)
	}
}

// Two window refunds of parts, which together are more than was paid.
func TestNeverMoreThanWasPaid(t *testing.T) {
	w := newWindow(t)
	for round := range 10 {
		order := fmt.Sprint("IH", round)
		w.pay("xihu", order)
		var calls []func() error
		for part := range 4 {
			calls = append(calls, func() error {
				_, a, raw := w.notice("NT001", refundOf(fmt.Sprintf("TF%d-%d", round, part), order, "9.00"), nil)
				if a.Success != 1 && a.Success != 2001 {
					return errors.New(raw)
				}
				return nil
			})
		}
		ok(t, atOnce(calls...)[0])
		if p := w.charge("xihu", order); p.Refunded != 1800 {
			t.Errorf("round %d: %d fen went back", round, p.Refunded)
		}
	}
	if n, sum := w.channel.moved(); n != 20 || sum != 20*900 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
}

// A channel that takes longer than the HIS waits.
func TestNotDecidedInTime(t *testing.T) {
	w := newWindow(t)
	w.pay("plain", "IH1")
	free := make(chan struct{})
	w.channel.before = func(n int) error { <-free; return nil }
	began := time.Now()
	_, first := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>")
	if took := time.Since(began); !strings.Contains(first, "<state>unknown</state>") || took > 1200*time.Millisecond {
		t.Fatalf("after %s: %s", took, first)
	}
	if _, q := w.plain("Query", "<no>T1</no>"); !strings.Contains(q, "<became>running</became>") {
		t.Errorf("asked meanwhile: %s", q)
	}
	// Two at once fill the listener; the others are sent away.
	var mu sync.Mutex
	statuses := map[int]int{}
	again := func() error {
		status, _ := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>")
		mu.Lock()
		defer mu.Unlock()
		statuses[status]++
		return nil
	}
	atOnce(again, again, again, again)
	if statuses[200] != 2 || statuses[503] != 2 {
		t.Errorf("four at once got %v", statuses)
	}
	close(free)
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, again := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>")
		if strings.Contains(again, "<state>done</state>") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", again)
		}
	}
	if n, sum := w.channel.moved(); n != 1 || sum != 2150 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
	if w.channel.calls != 1 {
		t.Errorf("the channel was asked %d times while one decision was under way", w.channel.calls)
	}
}

func TestTheChannelFails(t *testing.T) {
	w := newWindow(t)
	w.pay("plain", "IH1")
	w.pay("plain", "IH2")
	w.channel.before = func(n int) error {
		if n == 1 {
			return errors.New("no connection")
		}
		if n >= 3 {
			return fmt.Errorf("%w: closed account", payment.ErrChannelRefused)
		}
		return nil
	}
	if _, a := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>"); !strings.Contains(a, "<state>unknown</state>") {
		t.Errorf("without the channel: %s", a)
	}
	if p := w.charge("plain", "IH1"); p.Refunded != 2150 || p.State == payment.Refunded {
		t.Errorf("set aside, it is %s with %d fen", p.State, p.Refunded)
	}
	if _, a := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>"); !strings.Contains(a, "<state>done</state>") {
		t.Errorf("the repeat: %s", a)
	}
	for range 2 {
		if _, a := w.plain("Apply", "<no>T2</no><order>IH2</order><sum>21.50</sum>"); !strings.Contains(a, "<state>refused</state><words>支付渠道拒绝退款</words>") {
			t.Errorf("refused by the channel: %s", a)
		}
	}
	if p := w.charge("plain", "IH2"); p.Refunded != 0 {
		t.Errorf("%d fen are still set aside", p.Refunded)
	}
	// A reversal of what nobody paid has nothing to give back.
	if _, a := w.plain("Apply", "<no>T3</no><order>IH99</order><sum>1.00</sum><reversal>1</reversal>"); !strings.Contains(a, "<state>done</state>") {
		t.Errorf("a reversal: %s", a)
	}
}

func inboundOf(hospital string, kind core.Kind, key string) postgres.InboundFilter {
	return postgres.InboundFilter{Hospitals: []string{hospital}, Kind: kind, Key: key, Limit: 10}
}
