package pushhis

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/mocks/books"
)

// platform answers each request with the next of its words, the last one for ever.
type platform struct {
	mu      sync.Mutex
	answers []string
	bodies  []string
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	envelope, err := parseXML(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	method := envelope.child("Body").Kids[0]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, method.value(parameter))
	word := p.answers[0]
	if len(p.answers) > 1 {
		p.answers = p.answers[1:]
	}
	if word == "" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_, _ = w.Write(wrapped(platformNamespace, method.XMLName.Local+"Response", "return", "<response>"+fields("result", word, "message", "m")+"</response>"))
}

func withPlatform(t *testing.T, answers ...string) (*HIS, *platform) {
	t.Helper()
	p := &platform{answers: answers}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	h := start(t, Options{Hub: server.URL, Again: time.Millisecond})
	h.books.Settle(books.Settlement{Order: "IH1", AmountFen: 4619, PaidAt: "2026-01-05 14:58:30"})
	return h, p
}

// The rule is that of the hospital's document, on a request of our own.
func TestSign(t *testing.T) {
	fields := map[string]string{"tradeNo": "IH1", "refundAmount": "10.00", "hisId": "W7", "is_reverse": "0", "cashier_id": "C001", "reason": "", "realName": "张三测试", "hospitalId": "LH0001", "sign": "x"}
	// MD5 of cashier_id=C001&hisId=W7&hospitalId=LH0001&is_reverse=0&refundAmount=10.00&tradeNo=IH1&key=lianhu-test
	const want = "6B1B8C51463F400778DEC6EB5C6AE172"
	if got := Sign(fields, "lianhu-test"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnknownIsAskedAgainWithTheSameRequest(t *testing.T) {
	h, p := withPlatform(t, "UNKNOWN", "", "UNKNOWN", "SUCCESS")
	told, err := h.Push(context.Background(), Push{Kind: "refundApply", Fields: map[string]string{"tradeNo": "IH1", "refundAmount": "10.00"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].Result != "SUCCESS" || told[0].Tries != 4 {
		t.Errorf("told %+v", told)
	}
	for _, b := range p.bodies {
		if b != p.bodies[0] {
			t.Error("a repeat is another request")
		}
	}
	e, err := parseXML([]byte(p.bodies[0]))
	if err != nil {
		t.Fatal(err)
	}
	signed := map[string]string{}
	for _, kid := range e.Kids {
		signed[kid.XMLName.Local] = kid.Text
	}
	if signed["sign"] != Sign(signed, "lianhu-test") {
		t.Error("the signature does not hold")
	}
	b := h.Books()
	if len(b.Refunds) != 1 || b.Refunds[0].No != signed["hisId"] || b.Refunds[0].HisNo != signed["hisId"] || b.Refunds[0].AmountFen != 1000 {
		t.Errorf("the books hold %+v", b.Refunds)
	}
}

func TestRepeatsBookOnceAndForgeriesNever(t *testing.T) {
	h, p := withPlatform(t, "SUCCESS")
	post := func(body string) (answers []Told) {
		t.Helper()
		r, err := http.Post(h.ControlURL()+"/push", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var got struct{ Answers []Told }
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.StatusCode != 200 {
			t.Fatalf("HTTP %d: %v", r.StatusCode, err)
		}
		return got.Answers
	}
	if got := post(`{"kind":"refundApply","tradeNo":"IH1","refundAmount":"10.00","hisId":"W1","repeat":2,"concurrent":3}`); len(got) != 6 {
		t.Errorf("%d answers", len(got))
	}
	if got := len(h.Books().Refunds); got != 1 {
		t.Errorf("%d refunds in the books", got)
	}
	p.mu.Lock()
	p.answers = []string{"ERROR"}
	p.mu.Unlock()
	post(`{"kind":"refundApply","tradeNo":"IH1","refundAmount":"10.00","hisId":"W2","forge":true}`)
	if got := len(h.Books().Refunds); got != 1 {
		t.Errorf("%d refunds in the books", got)
	}
	if last := p.bodies[len(p.bodies)-1]; strings.Contains(last, Sign(map[string]string{"hospitalId": hospital, "tradeNo": "IH1", "refundAmount": "10.00", "hisId": "W2", "is_reverse": "0", "cashier_id": "C001"}, "lianhu-test")) {
		t.Error("the forgery is signed well")
	}
}

func TestEveryKindCanBePushed(t *testing.T) {
	h, p := withPlatform(t, "SUCCESS")
	h.books.Save(books.Prescription{No: "RX1", AmountFen: 100, Lines: []books.Line{{No: 1, AmountFen: 100}}})
	session := "PB" + tomorrow() + "0m"
	given := map[string]map[string]string{
		"refundApply": {"tradeNo": "IH1", "refundAmount": "1.00"}, "refundQuery": {"hisId": "W1"}, "stopClinic": {"scheduleId": session},
		"dispensed": {"recipeNo": "RX1"}, "reviewed": {"recipeNo": "RX1"}, "reportReady": {"reportId": "LIS0001"},
		"newBill": {"prescriptionNo": "R1", "clinicNo": "V1", "patientId": "P1"}, "checkAccount": nil, "ledger": {"checkDate": "2026-01-05"},
	}
	for _, k := range kinds {
		if _, err := h.Push(context.Background(), Push{Kind: k.name, Fields: given[k.name]}); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if s, _ := h.books.SessionOf(session); !s.Stopped {
		t.Error("the hospital goes on with the session")
	}
	all := fmt.Sprint(p.bodies)
	for _, want := range []string{"<clinicDate>2", "<patientId>0000024772</patientId>", "<prescriptionNo>R0", "<checkDate>", "<totalCount>1</totalCount>",
		"&lt;tradeNo&gt;IH1&lt;/tradeNo&gt;", "&lt;amount&gt;46.19&lt;/amount&gt;"} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing says %s", want)
		}
	}
	if _, err := h.Push(context.Background(), Push{Kind: "refundApply", Fields: map[string]string{"tradeNr": "IH1"}}); err == nil {
		t.Error("a field that is not there was taken")
	}
}
