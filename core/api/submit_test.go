package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/postgres"
)

// with is a JSON body with some fields changed; a nil value leaves one out.
func with(body any, fields map[string]any) map[string]any {
	text, _ := json.Marshal(body)
	var m map[string]any
	_ = json.Unmarshal(text, &m)
	for k, v := range fields {
		if v == nil {
			delete(m, k)
		} else {
			m[k] = v
		}
	}
	return m
}

func TestSubmit(t *testing.T) {
	w := newWorld(t)
	key := w.key(Submitter, "dongshan")
	path := "/v1/hospitals/dongshan/messages/payment.settle"

	first := w.do(key, "POST", path, payment("A1"), "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	var got Accepted
	first.into(t, &got)
	if first.status != http.StatusAccepted || got.ID == 0 || got.Duplicate || first.header.Get("Location") != messages(got.ID) || got.Address != messages(got.ID) {
		t.Fatalf("%d %s %v", first.status, first.text, first.header)
	}
	m, _, err := w.store.Message(t.Context(), got.ID)
	must(t, err)
	if m.Trace != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" || m.Lane != "V1" {
		t.Errorf("%+v", m)
	}

	var again Accepted
	w.do(key, "POST", path, payment("A1")).into(t, &again)
	if again.ID != got.ID || !again.Duplicate {
		t.Errorf("the same again: %+v", again)
	}
	other := payment("A1")
	other.Amount = 1300
	p := w.do(key, "POST", path, other).problem(t)
	if p.Type != "/problems/conflict" || p.Message != got.ID || !slices.Equal(p.Differs, []string{"amount"}) {
		t.Errorf("the same key with other content: %+v", p)
	}
	w.do(key, "POST", path+"?lane=order-7", payment("A2")).into(t, &again)
	if m, _, _ := w.store.Message(t.Context(), again.ID); m.Lane != "order-7" {
		t.Errorf("lane %q", m.Lane)
	}
}

// TestRefusals is the table of what a request can be refused for.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	key := w.key(Submitter, "dongshan")
	pay := "/v1/hospitals/dongshan/messages/payment.settle"
	cases := []struct {
		name, method, path string
		body               any
		headers            []string
		status             int
		problem            string
		fields             []string
	}{
		{"everything wrong at once", "POST", pay, with(payment(""), map[string]any{"amount": -5, "channel": "gold", "bills": []string{}, "patient_no": nil}), nil,
			422, "validation", []string{"amount", "bills", "channel", "order_id", "patient_no"}},
		{"a field of the wrong type", "POST", pay, with(payment("A1"), map[string]any{"amount": "12", "paid_at": "yesterday"}), nil, 422, "validation", []string{"amount", "paid_at"}},
		{"a sum that is not one", "POST", "/v1/hospitals/dongshan/messages/prescription.create", with(prescription("R1"), map[string]any{"amount": 1}), nil, 422, "validation", []string{"amount"}},
		{"an unknown field", "POST", pay, with(payment("A1"), map[string]any{"colour": "red"}), nil, 422, "validation", []string{"colour"}},
		{"an unknown field that is a value", "POST", pay, with(payment("A1"), map[string]any{"999999199001010016": 1}), nil, 422, "validation", []string{""}},
		{"an unknown parameter", "POST", pay + "?colour=red", payment("A1"), nil, 422, "validation", []string{"query.colour"}},
		{"a lane that is too long", "POST", pay + "?lane=" + strings.Repeat("x", 65), payment("A1"), nil, 422, "validation", []string{"query.lane"}},
		{"no JSON", "POST", pay, "{", nil, 400, "malformed", nil},
		{"two documents", "POST", pay, "{}{}", nil, 400, "malformed", nil},
		{"no body", "POST", pay, nil, []string{"Content-Type: application/json"}, 400, "malformed", nil},
		{"no content type", "POST", pay, nil, nil, 415, "media-type", nil},
		{"a form", "POST", pay, "a=b", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "media-type", nil},
		{"GBK", "POST", pay, "{}", []string{"Content-Type: application/json; charset=gbk"}, 415, "media-type", nil},
		{"256 KiB and one byte", "POST", pay, `"` + strings.Repeat("x", maxBody-1) + `"`, nil, 413, "too-large", nil},
		{"another hospital's", "POST", "/v1/hospitals/xihu/messages/payment.settle", payment("A1"), nil, 404, "not-found", nil},
		{"a hospital that is not", "POST", "/v1/hospitals/nowhere/messages/payment.settle", payment("A1"), nil, 404, "not-found", nil},
		{"a kind that the HIS cannot", "POST", "/v1/hospitals/dongshan/messages/refund.create", &core.Refund{
			RefundNo: "F1", OrderID: "A1", PatientNo: "P1", Amount: 1, Paid: 1, Channel: "wechat", ChannelNo: "c", ChannelRefundNo: "r", Reason: "x", RefundedAt: noon}, nil, 404, "cannot", nil},
		{"a kind that is not", "POST", "/v1/hospitals/dongshan/messages/tea.brew", payment("A1"), nil, 404, "not-found", nil},
		{"nothing there", "GET", "/nothing", nil, nil, 404, "not-found", nil},
		{"another method", "PUT", pay, payment("A1"), nil, 405, "method", nil},
		{"a message that is not", "GET", "/v1/messages/999999", nil, nil, 404, "not-found", nil},
		{"a number that is none", "GET", "/v1/messages/abc", nil, nil, 422, "validation", []string{"path.id"}},
		{"a cursor of nothing", "GET", "/v1/messages?cursor=abc", nil, nil, 422, "validation", []string{"query.cursor"}},
		{"an event cursor of nothing", "GET", "/v1/events?after=abc", nil, nil, 422, "validation", []string{"query.after"}},
		{"a state that is none", "GET", "/v1/messages?state=lost", nil, nil, 422, "validation", []string{"query.state"}},
		{"a time without a zone", "GET", "/v1/messages?since=2026-01-05", nil, nil, 422, "validation", []string{"query.since"}},
		{"a list of another hospital", "GET", "/v1/messages?hospital=xihu", nil, nil, 404, "not-found", nil},
		{"a day that is none", "POST", "/v1/hospitals/dongshan/questions/ledger.detail", map[string]any{"day": "tomorrow", "from": noon, "to": noon}, nil, 422, "validation", []string{"day", "to"}},
	}
	allowed := w.documentedStatuses()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := w.do(key, c.method, c.path, c.body, c.headers...)
			p := a.problem(t)
			if a.status != c.status || p.Type != "/problems/"+c.problem {
				t.Fatalf("%d %s, want %d %s", a.status, a.text, c.status, c.problem)
			}
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Field)
			}
			slices.Sort(fields)
			if !slices.Equal(fields, c.fields) {
				t.Errorf("fields %q, want %q: %s", fields, c.fields, a.text)
			}
			if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if op := allowed.of(c.method, c.path); op != nil && !slices.Contains(op, a.status) {
				t.Errorf("the document does not list %d; it has %v", a.status, op)
			}
		})
	}
}

func TestRefusalsSayWhatIsRight(t *testing.T) {
	w := newWorld(t)
	a := w.do(w.key(Submitter, ""), "POST", "/v1/hospitals/dongshan/messages/prescription.create", with(prescription("R1"), map[string]any{"amount": 1, "sex": "x", "no": nil}))
	want := map[string]string{
		"amount": "the lines add up to 1200 fen, the total says 1 fen",
		"sex":    "not one of male, female, other, unknown",
		"no":     "missing",
	}
	for _, e := range a.problem(t).Errors {
		if want[e.Field] != e.What {
			t.Errorf("%s: %q", e.Field, e.What)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	key, path := w.key(Submitter, ""), "/v1/hospitals/dongshan/messages/payment.settle"
	first := w.do(key, "POST", path, payment("A1"), "Idempotency-Key: k1")
	again := w.do(key, "POST", path, payment("A1"), "Idempotency-Key: k1")
	if first.status != 202 || again.status != 202 || again.text != first.text || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("%s then %s %v", first.text, again.text, again.header)
	}
	other := payment("A2")
	other.Bills = []string{"B2"}
	p := w.do(key, "POST", path+"?lane=L2", other, "Idempotency-Key: k1").problem(t)
	if p.Type != "/problems/idempotency" || !slices.Equal(p.Differs, []string{"query.lane", "bills[0]", "channel_no", "order_id"}) {
		t.Errorf("another request under the key: %+v", p)
	}
	if p := w.do(key, "POST", "/v1/hospitals/xihu/messages/payment.settle", payment("A1"), "Idempotency-Key: k1").problem(t); !slices.Equal(p.Differs, []string{"path.hospital"}) {
		t.Errorf("another hospital under the key: %+v", p)
	}
	// Another caller's key is another key.
	if a := w.do(w.key(Operator, ""), "POST", path, other, "Idempotency-Key: k1"); a.status != 202 {
		t.Errorf("another caller: %d %s", a.status, a.text)
	}
	// What was refused may be corrected under the same key.
	conflicting := payment("A1")
	conflicting.Amount = 7
	if p := w.do(key, "POST", path, conflicting, "Idempotency-Key: k2").problem(t); p.Type != "/problems/conflict" {
		t.Errorf("%+v", p)
	}
	if a := w.do(key, "POST", path, payment("A3"), "Idempotency-Key: k2"); a.status != 202 {
		t.Errorf("after a refusal: %d %s", a.status, a.text)
	}
}

func TestManyAtOnceUnderOneIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	key, path := w.key(Submitter, ""), "/v1/hospitals/dongshan/messages/payment.settle"
	ids := make(chan string, 20)
	for range cap(ids) {
		go func() {
			a := w.do(key, "POST", path, payment("A1"), "Idempotency-Key: k")
			ids <- fmt.Sprint(a.status, " ", a.header.Get("Location"))
		}()
	}
	seen := map[string]int{}
	for range cap(ids) {
		seen[<-ids]++
	}
	for answer := range seen {
		if !strings.HasPrefix(answer, "202 /v1/messages/") && answer != "409 " {
			t.Errorf("%v", seen)
		}
	}
	list, _, err := w.store.List(t.Context(), postgres.Filter{}, "", 10)
	must(t, err)
	if len(list) != 1 {
		t.Errorf("%d messages", len(list))
	}
}
