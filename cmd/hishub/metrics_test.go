package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/incident"
	"hishub/mocks/servers"
)

// full are metrics in which so many hospitals have everything that one can have.
func full(hospitals int) *metrics {
	m := newMetrics()
	now := time.Now()
	state := map[string]standing{}
	for i := range hospitals {
		id := fmt.Sprintf("hospital-%04d", i)
		state[id] = standing{
			Signs: incident.Signs{Hospital: id, Queued: 3, Sending: 1, Oldest: now.Add(-time.Minute), Parked: 2, InDoubt: 1, ClockAsked: now, ClockOff: time.Second},
			Light: delivery.Light{InFlight: 1, Breaker: "open", Broken: now, LastSuccess: now, LastFailure: now},
			Open:  map[incident.Kind]int{incident.Parked: 1, incident.Breaker: 1, incident.Clock: 1},
			Certificates: []certificate{
				{hospital: id, connector: "default", whose: "his", expires: now}, {hospital: id, connector: "default", whose: "ours", expires: now},
			},
		}
		for _, o := range []core.Outcome{core.OutcomeOK, core.OutcomeAlready, core.OutcomeBusy, core.OutcomeNoData, core.OutcomeRejected, core.OutcomeUnavailable, core.OutcomeInDoubt, core.OutcomeInvalid} {
			m.exchange(core.Exchange{Hospital: id, Verdict: core.Verdict{Outcome: o}, Started: now, Ended: now.Add(time.Millisecond)})
		}
		for _, s := range []delivery.State{delivery.Queued, delivery.Sending, delivery.Delivered, delivery.Parked, delivery.Cancelled} {
			m.ended(id, delivery.Next{State: s})
		}
		m.served(id, core.RefundApply, "done")
		m.replays.told(id, "released")
	}
	m.hospitals.set(state)
	m.replays.left(map[string]int{"hospital-0000": 3})
	for _, work := range []string{"accept", "claim", "mark", "settle"} {
		m.ledger().Batch(work, 3, time.Millisecond)
	}
	m.ledger().Accepted(time.Millisecond)
	for _, s := range []string{"database", "rabbitmq", "redis"} {
		m.services.WithLabelValues(s).Set(1)
	}
	m.alerted("duty", "sent")
	for _, r := range []string{"hishub.events", "webhooks", "mail"} {
		m.behind.WithLabelValues(r).Set(0)
	}
	return m
}

// A scrape of 1,000 hospitals asks nobody, and is bounded in size and time.
func TestScrapeOfThousandHospitals(t *testing.T) {
	m := full(1000)
	began := time.Now()
	answer := httptest.NewRecorder()
	m.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	took := time.Since(began)
	page := answer.Body.Bytes()
	lines := 0
	for line := range bytes.Lines(page) {
		if !bytes.HasPrefix(line, []byte("#")) {
			lines++
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(page)
	z.Close()
	t.Logf("%d series, %d bytes (%d packed) in %s", lines, len(page), packed.Len(), took)
	if answer.Code != http.StatusOK || lines < 1000*30 {
		t.Errorf("status %d with %d series", answer.Code, lines)
	}
	if lines > 1000*50 || len(page) > 5<<20 || packed.Len() > 500<<10 {
		t.Errorf("a scrape of 1,000 hospitals has %d series in %d bytes, packed %d", lines, len(page), packed.Len())
	}
	if took > 2*time.Second {
		t.Errorf("a scrape of 1,000 hospitals took %s", took)
	}
}

// What was seen too long ago is not shown as if it were so now.
func TestBoardStale(t *testing.T) {
	m := full(1)
	scrape := func() string { return scrapeOf(t, m.handler()) }
	if page := scrape(); !strings.Contains(page, `hishub_queue_messages{hospital="hospital-0000",state="queued"} 2`) {
		t.Fatalf("no queue on the page:\n%s", page)
	}
	m.hospitals.now = func() time.Time { return time.Now().Add(stale + time.Second) }
	page := scrape()
	if strings.Contains(page, "hishub_queue_messages{") || !strings.Contains(page, "hishub_hospitals_seen_timestamp_seconds ") {
		t.Errorf("old numbers are shown, or not since when:\n%s", page)
	}
}

func scrapeOf(tb testing.TB, h http.Handler) string {
	tb.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return answer.Body.String()
}

// A running hub tells how its hospital stands: what was delivered and what waits
// for a person, the code that its table lacks, the HIS's clock and both certificates.
func TestMetricsOfHub(t *testing.T) {
	his := newSecureHIS(t)
	env := environment("DATABASE_URL="+servers.Postgres(t), "HISHUB_KEY_FILE="+t.TempDir()+"/key", "HISHUB_CREATE_KEY=true")
	env = append(env, his.env...)
	o := &outage{TB: t, env: env}
	o.hub = startHub(t, env, "--no-clinic")
	o.hishub("hospital", "apply", his.folder)
	o.key = strings.TrimSpace(o.hishub("key", "new", "--name", "metrics", "--role", "submitter"))
	for i, department := range []string{"D01", "D02"} {
		rx := written(fmt.Sprintf("RX%d", i), fmt.Sprintf("V%d", i), 1)
		rx.DepartmentCode, rx.PharmacistCode = department, "P001"
		o.call(http.MethodPost, "/v1/hospitals/h9/messages/prescription.create", rx, nil)
	}
	want := []string{
		`hishub_queue_messages{hospital="h9",state="parked"} 1`,
		`hishub_queue_messages{hospital="h9",state="queued"} 0`,
		`hishub_settlements_total{hospital="h9",state="delivered"} 1`,
		`hishub_settlements_total{hospital="h9",state="parked"} 1`,
		`hishub_exchanges_total{hospital="h9",outcome="ok"} `, // the prescription and the clock
		`hishub_exchanges_total{hospital="h9",outcome="invalid"} 1`,
		`hishub_breaker_state{hospital="h9"} 0`,
		`hishub_last_contact_timestamp_seconds{hospital="h9",result="answered"} `,
		`hishub_incidents_open{hospital="h9",kind="parked"} 1`,
		`hishub_incidents_open{hospital="h9",kind="clock"} 1`,
		`hishub_clock_offset_seconds{hospital="h9"} -`,
		fmt.Sprintf(`hishub_certificate_expiry_timestamp_seconds{connector="default",hospital="h9",whose="his"} %g`, float64(his.expires.Unix())),
		fmt.Sprintf(`hishub_certificate_expiry_timestamp_seconds{connector="default",hospital="h9",whose="ours"} %g`, float64(his.expires.Unix())),
		`hishub_service_up{service="database"} 1`, `hishub_service_up{service="redis"} 1`,
		`hishub_accept_seconds_count 2`, `hishub_ledger_batch_size_sum{work="accept"} 2`, `hishub_ledger_batch_size_sum{work="settle"} 2`,
		`hishub_ledger_batch_size_count{work="claim"} `, `hishub_ledger_batch_size_sum{work="mark"} 1`,
		`hishub_hospitals 1`,
	}
	scrape := func() string {
		answer, err := http.Get(o.hub.address + "/metrics")
		ok(t, err)
		defer answer.Body.Close()
		page, err := io.ReadAll(answer.Body)
		ok(t, err)
		return string(page)
	}
	has := func(want string) func() bool {
		return func() bool {
			for line := range strings.Lines(scrape()) {
				if strings.HasPrefix(line, want) && (strings.HasSuffix(want, " ") || strings.HasSuffix(want, "-") || strings.TrimSpace(line) == want) {
					return true
				}
			}
			return false
		}
	}
	for _, w := range want {
		within(t, 40*time.Second, w, has(w))
	}
	// The codes of the worklist are counted once a minute, and at the start.
	o.hub.stop()
	o.hub = startHub(t, env, "--no-clinic")
	within(t, 40*time.Second, "the unmapped code", has(`hishub_unmapped_codes{hospital="h9"} 1`))
	if page := scrape(); strings.Contains(page, "张三") || strings.Contains(page, "RX0") {
		t.Error("a name or number of a patient is among the metrics")
	}
}
