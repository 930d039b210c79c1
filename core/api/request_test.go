package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/mocks/servers"
)

// TestNothingSubmittedComesBack puts a marker into every place of a request and
// looks for it in error answers and in the log.
func TestNothingSubmittedComesBack(t *testing.T) {
	w := newWorld(t)
	const marker = "Zh4ngSanMark3r"
	key := w.key(Operator, "dongshan")
	pay, pre := "/v1/hospitals/dongshan/messages/payment.settle", "/v1/hospitals/dongshan/messages/prescription.create"
	type try struct {
		method, path string
		body         any
		headers      []string
	}
	tries := []try{
		{"GET", "/" + marker, nil, nil},
		{"GET", "/v1/messages/" + marker, nil, nil},
		{"GET", "/v1/messages?" + marker + "=1", nil, nil},
		{"GET", "/v1/messages?state=" + marker + "&kind=" + marker + "&class=" + marker + "&since=" + marker + "&limit=" + marker + "&cursor=" + marker, nil, nil},
		{"GET", "/v1/events?after=" + marker + "&wait=" + marker, nil, nil},
		{"POST", "/v1/hospitals/" + marker + "/messages/payment.settle", payment("A1"), nil},
		{"POST", pay, marker, nil},
		{"POST", pay, `"` + marker + `"`, nil},
		{"POST", pay, `{"` + marker + `": 1}`, nil},
		{"POST", pay, `{"amount": ` + marker + `}`, nil},
		{"POST", pay, with(payment("A1"), map[string]any{"colour": marker, marker: "x"}), nil},
		{"POST", pay, payment("A1"), []string{"Content-Type: text/" + marker}},
		{"POST", pay, payment("A1"), []string{"Authorization: Bearer " + marker}},
		{"POST", pay, payment("A1"), []string{"Authorization: Bearer hk_" + marker + "_" + marker}},
		{"POST", pay, with(payment("A1"), map[string]any{"amount": -1}), []string{"Idempotency-Key: " + marker, "traceparent: " + marker}},
		{marker, pay, nil, nil},
		{"POST", "/v1/hospitals/dongshan/questions/ledger.detail", map[string]any{"day": marker, "from": marker, "to": marker}, nil},
		{"POST", "/v1/hospitals/dongshan/nights/" + marker, nil, nil},
		{"POST", "/v1/replays", map[string]any{"filter": map[string]any{"state": marker, "kind": marker, "class": marker, "since": marker}, "with": marker, "note": "x"}, nil},
	}
	for name, value := range with(prescription("R1"), nil) {
		for _, wrong := range []any{marker, []any{marker}, map[string]any{marker: marker}, strings.Repeat(marker, 100), marker + "\u0001", 1} {
			if _, text := value.(string); text || wrong != 1 {
				tries = append(tries, try{"POST", pre, with(prescription("R1"), map[string]any{name: wrong, "amount": -1}), nil})
			}
		}
	}
	for name := range with(prescription("R1").Items[0], nil) {
		item := with(prescription("R1").Items[0], map[string]any{name: marker + " ", marker: 1})
		tries = append(tries, try{"POST", pre, with(prescription("R1"), map[string]any{"items": []any{item}}), nil})
	}
	for _, c := range tries {
		a := w.do(key, c.method, c.path, c.body, c.headers...)
		if a.status < 400 {
			t.Errorf("%s %s was answered with %d", c.method, c.path, a.status)
		}
		a.problem(t)
		if strings.Contains(a.text, marker) || strings.Contains(a.text, strings.ToLower(marker)) {
			t.Errorf("%s %s: %s", c.method, c.path, a.text)
		}
		for name, values := range a.header {
			if strings.Contains(strings.Join(values, " "), marker) {
				t.Errorf("%s %s: header %s", c.method, c.path, name)
			}
		}
	}
	if strings.Contains(w.log.text(), marker) {
		t.Errorf("the log holds what was submitted: %s", regexp.MustCompile(`.*`+marker+`.*`).FindString(w.log.text()))
	}
	if n := strings.Count(w.log.text(), `"msg":"request"`); n < len(tries) {
		t.Errorf("%d log lines for %d requests", n, len(tries))
	}
}

// broken is a store whose list fails.
type broken struct {
	*postgres.Store
	err error
}

func (b broken) List(context.Context, postgres.Filter, string, int) ([]postgres.Message, string, error) {
	if b.err == nil {
		panic("secret of the store")
	}
	return nil, "", b.err
}

func TestInternalErrorsStayInside(t *testing.T) {
	for name, cause := range map[string]error{"error": errors.New("secret of the store"), "panic": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Store = broken{o.Store.(*postgres.Store), cause} })
			a := w.do(w.key(Operator, ""), "GET", "/v1/messages", nil)
			p := a.problem(t)
			if p.Status != 500 || p.Incident == "" || strings.Contains(a.text, "secret") {
				t.Fatalf("%s", a.text)
			}
			line := regexp.MustCompile(`.*` + p.Incident + `.*`).FindString(w.log.text())
			if line == "" || cause != nil && !strings.Contains(line, "secret of the store") {
				t.Errorf("no log line beside the incident: %s", w.log.text())
			}
			if id := a.header.Get("X-Request-Id"); id == "" || !strings.Contains(line, id) {
				t.Error("the request's number is not in the log line")
			}
		})
	}
}

func TestDatabaseAway(t *testing.T) {
	dir, remove, err := servers.TempDir()
	must(t, err)
	t.Cleanup(remove)
	database, err := servers.StartPostgres(t.Context(), dir)
	must(t, err)
	t.Cleanup(func() { database.Kill() })
	w := newWorldAt(t, database.URL)
	key, path := w.key(Submitter, ""), "/v1/hospitals/dongshan/messages/payment.settle"
	w.submit("dongshan", core.PaymentSettle, payment("A0"))
	if a := w.do("", "GET", "/readyz", nil); a.status != 200 || a.text != "{\"database\":\"up\"}\n" {
		t.Errorf("%d %s", a.status, a.text)
	}

	database.Kill()
	for range 3 { // the first ones meet connections that broke, the later ones none
		for _, c := range []struct {
			method, path string
			body         any
		}{{"GET", "/v1/hospitals", nil}, {"POST", path, payment("A1")}} {
			a := w.do(key, c.method, c.path, c.body)
			if p := a.problem(t); p.Status != 503 || p.Type != "/problems/unavailable" || a.header.Get("Retry-After") == "" {
				t.Errorf("%s %s: %d %s; log %s", c.method, c.path, a.status, a.text, w.log.text())
			}
		}
	}
	if a := w.do("", "GET", "/readyz", nil); a.status != 503 || a.text != "{\"database\":\"down\"}\n" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := w.do("", "GET", "/healthz", nil); a.status != 200 {
		t.Errorf("%d: the process is up all the same", a.status)
	}

	must(t, database.Restart(t.Context()))
	if id := w.submit("dongshan", core.PaymentSettle, payment("A1")); id == 0 {
		t.Error("not accepted after the database came back")
	}
}

// TestMore: operations of other modules are behind the same door, and their
// errors are told in the same way.
func TestMore(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.More = func(more huma.API) {
			huma.Register(more, huma.Operation{OperationID: "brew", Method: http.MethodPost, Path: "/v1/clinic/tea", Tags: []string{"Tea"}, Summary: "Brew"},
				func(_ context.Context, in *struct {
					Kind string `query:"kind"`
				}) (*struct{}, error) {
					switch in.Kind {
					case "green":
						return nil, nil
					case "none":
						return nil, core.Problems{{Field: "kind", What: "missing"}}
					case "all":
						return nil, huma.Error404NotFound("no such tea")
					}
					return nil, errors.New("secret recipe")
				})
		}
	})
	key := w.key(Submitter, "")
	for _, c := range []struct {
		key, kind string
		status    int
	}{{"", "green", 401}, {key, "green", 204}, {key, "none", 422}, {key, "all", 404}, {key, "black", 500}} {
		a := w.do(c.key, "POST", "/v1/clinic/tea?kind="+c.kind, nil)
		if a.status != c.status || strings.Contains(a.text, "secret") {
			t.Errorf("%s: %d %s", c.kind, a.status, a.text)
		}
		if a.status >= 400 {
			a.problem(t)
		}
	}
	if a := w.do("", "GET", "/docs", nil); !strings.Contains(a.text, "/v1/clinic/tea") {
		t.Error("the document's page lacks it")
	}
}

type once3 struct{ n int }

func (o *once3) Allow(_ context.Context, key string, perSecond, burst int) (bool, time.Duration, error) {
	o.n++
	if !strings.HasPrefix(key, "api:") || perSecond != 5 || burst != 9 {
		return false, 0, errors.New("other limits")
	}
	return o.n <= 3, 1500 * time.Millisecond, nil
}

func TestRate(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits, o.Rate, o.Burst = &once3{}, 5, 9 })
	for i := range 4 {
		a := w.do(w.key(Submitter, ""), "GET", "/v1/hospitals", nil)
		if i < 3 && a.status != 200 {
			t.Errorf("%d: %d", i, a.status)
		}
		if i == 3 && (a.problem(t).Type != "/problems/rate" || a.header.Get("Retry-After") != "2") {
			t.Errorf("%d %s %v", a.status, a.text, a.header)
		}
	}
}

func TestEveryAnswerIsCareful(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hishub_up 1\n")) })
	})
	for _, path := range []string{"/v1/hospitals", "/nothing", "/docs", "/pages/login", "/pages/style.css", "/openapi.json", "/healthz", "/metrics"} {
		a := w.do("", "GET", path, nil)
		h := a.header
		if h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") ||
			!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Request-Id") == "" || h.Get("Cache-Control") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if a := w.do("", "GET", "/metrics", nil); a.text != "hishub_up 1\n" {
		t.Errorf("%s", a.text)
	}
}

func TestSubmittingIsDurableBeforeItIsAnswered(t *testing.T) {
	w := newWorld(t)
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	body, err := w.store.Body(t.Context(), id)
	must(t, err)
	got, _ := json.Marshal(body)
	want, _ := json.Marshal(payment("A1"))
	if string(got) != string(want) {
		t.Errorf("%s", got)
	}
}
