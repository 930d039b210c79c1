package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	span "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"hishub/mocks/servers"
)

// spans is a collector of OTLP over HTTP.
type spans struct {
	mu   sync.Mutex
	all  []*span.Span
	text []byte
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var q collector.ExportTraceServiceRequest
	if r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &q) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, body...)
	for _, r := range q.ResourceSpans {
		for _, c := range r.ScopeSpans {
			s.all = append(s.all, c.Spans...)
		}
	}
}

// of is the span of that name in a trace; nil if there is none.
func (s *spans) of(trace, name string) *span.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		if hex.EncodeToString(x.TraceId) == trace && x.Name == name {
			return x
		}
	}
	return nil
}

// The trace of a submission goes on, over the queue, to the HIS's answer; nothing of
// the patient is in it. Without a collector nothing is kept.
func TestTraces(t *testing.T) {
	s := &spans{}
	server := httptest.NewServer(s)
	defer server.Close()
	his := newSecureHIS(t)
	env := environment("DATABASE_URL="+servers.Postgres(t), "HISHUB_KEY_FILE="+t.TempDir()+"/key", "HISHUB_CREATE_KEY=true")
	env = append(env, his.env...)
	traced := append(slices.Clone(env), "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "OTEL_BSP_SCHEDULE_DELAY=100")
	o := &outage{TB: t, env: env}
	o.hub = startHub(t, traced, "--no-clinic")
	o.hishub("hospital", "apply", his.folder)
	o.key = strings.TrimSpace(o.hishub("key", "new", "--name", "traces", "--role", "operator"))

	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	rx := written("RX7001", "V7001", 1)
	rx.PharmacistCode = "P001"
	body, err := json.Marshal(rx)
	ok(t, err)
	q, err := http.NewRequest(http.MethodPost, o.hub.address+"/v1/hospitals/h9/messages/prescription.create", bytes.NewReader(body))
	ok(t, err)
	q.Header = http.Header{"Authorization": {"Bearer " + o.key}, "Content-Type": {"application/json"}, "Traceparent": {"00-" + trace + "-" + parent + "-01"}}
	answer, err := http.DefaultClient.Do(q)
	ok(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("HTTP %d", answer.StatusCode)
	}
	for _, name := range []string{"accept", "wait", "deliver", "claim", "encode", "mark", "call", "decode", "settle"} {
		within(t, time.Minute, "the span "+name, func() bool { return s.of(trace, name) != nil })
	}
	accept, deliver := s.of(trace, "accept"), s.of(trace, "deliver")
	if got := hex.EncodeToString(accept.ParentSpanId); got != parent {
		t.Errorf("accept is under %s", got)
	}
	for name, under := range map[string]*span.Span{"wait": accept, "deliver": accept, "claim": deliver, "encode": deliver, "mark": deliver, "call": deliver, "decode": deliver, "settle": deliver} {
		x := s.of(trace, name)
		if !bytes.Equal(x.ParentSpanId, under.SpanId) {
			t.Errorf("%s is not under %s", name, under.Name)
		}
		if x.EndTimeUnixNano < x.StartTimeUnixNano || name != "wait" && x.StartTimeUnixNano < accept.StartTimeUnixNano {
			t.Errorf("%s has impossible times", name)
		}
	}
	about := map[string]string{}
	for _, a := range deliver.Attributes {
		about[a.Key] = a.Value.GetStringValue()
	}
	if about["hishub.hospital"] != "h9" || about["hishub.state"] != "delivered" || about["hishub.outcome"] != "ok" || about["hishub.phase"] != "send" {
		t.Errorf("deliver says %v", about)
	}
	s.mu.Lock()
	for _, secret := range []string{"张三", "RX7001", "V7001", "0000024772", "999999199001010016", "HIS1"} {
		if bytes.Contains(s.text, []byte(secret)) {
			t.Errorf("a trace holds %s", secret)
		}
	}
	s.mu.Unlock()
	nobody, err := http.Post(o.hub.address+"/his/h9/nobody", "text/plain", strings.NewReader("x"))
	ok(t, err)
	nobody.Body.Close()
	within(t, time.Minute, "the span of a HIS's call", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.all, func(x *span.Span) bool { return x.Name == "inbound" })
	})

	o.hub.stop()
	s.mu.Lock()
	before := len(s.all)
	s.mu.Unlock()
	o.hub = startHub(t, env, "--no-clinic")
	rx.No, rx.VisitNo = "RX7002", "V7002"
	var out struct{ ID int64 }
	o.call(http.MethodPost, "/v1/hospitals/h9/messages/prescription.create", rx, &out)
	within(t, time.Minute, "it is delivered without traces, too", func() bool {
		return strings.Contains(scrapeAt(t, o.hub.address), `hishub_settlements_total{hospital="h9",state="delivered"} 1`)
	})
	o.hub.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) != before {
		t.Error("spans without a collector's address")
	}
}

func scrapeAt(tb testing.TB, address string) string {
	tb.Helper()
	answer, err := http.Get(address + "/metrics")
	ok(tb, err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	ok(tb, err)
	return string(page)
}
