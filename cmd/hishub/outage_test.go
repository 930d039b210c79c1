package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/core/incident"
	"hishub/mocks/fault"
	"hishub/mocks/prochis"
	"hishub/mocks/servers"
)

// outage is 江湾, with its two connectors, a hub of its own, and what the hospital
// saw of it: each request from its arrival to its answer.
type outage struct {
	testing.TB
	his      *prochis.HIS
	patients *pgxpool.Pool // the hospital's database, past the proxy
	ledger   *pgxpool.Pool // the hub's
	env      []string
	hub      *process
	key      string
}

const outageLatency = 20 * time.Millisecond

func newOutage(tb testing.TB) *outage {
	tb.Helper()
	o := &outage{TB: tb}
	hisURL, hubURL := servers.Postgres(tb), servers.Postgres(tb)
	var err error
	o.his, err = prochis.Start(context.Background(), prochis.Options{DSN: hisURL, Latency: outageLatency})
	ok(tb, err)
	tb.Cleanup(func() { _ = o.his.Close() })
	o.patients, err = pgxpool.New(context.Background(), hisURL)
	ok(tb, err)
	tb.Cleanup(o.patients.Close)
	// The journal's own time is to the millisecond and knows no end.
	o.exec(o.patients, `alter table zlhis.his_journal add column began timestamptz not null default now(), add column ended timestamptz not null default clock_timestamp()`)
	o.env = environment("DATABASE_URL="+hubURL, "HISHUB_KEY_FILE="+filepath.Join(tb.TempDir(), "key"), "HISHUB_CREATE_KEY=true",
		"JIANGWAN_DSN="+o.his.DSN(), "JIANGWAN_LEDGER_DSN="+o.his.DSN())
	o.hub = startHub(tb, o.env, "--no-clinic")
	o.hishub("hospital", "apply", filepath.Join(repository(tb), "mapping", "hospitals", "jiangwan"))
	o.key = strings.TrimSpace(o.hishub("key", "new", "--name", "outage", "--role", "operator"))
	o.ledger, err = pgxpool.New(context.Background(), hubURL)
	ok(tb, err)
	tb.Cleanup(o.ledger.Close)
	return o
}

func (o *outage) exec(db *pgxpool.Pool, sql string, args ...any) {
	o.Helper()
	_, err := db.Exec(context.Background(), sql, args...)
	ok(o, err)
}

func (o *outage) number(db *pgxpool.Pool, sql string, args ...any) (n int) {
	o.Helper()
	ok(o, db.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

func (o *outage) hishub(args ...string) string {
	o.Helper()
	c := exec.Command("hishub", args...)
	c.Env = o.env
	var problem strings.Builder
	c.Stderr = &problem
	out, err := c.Output()
	if err != nil {
		o.Fatalf("hishub %s: %v\n%s%s", strings.Join(args, " "), err, out, problem.String())
	}
	return string(out)
}

// call asks the API; the answer must be one of success.
func (o *outage) call(method, path string, body, into any) {
	text, err := json.Marshal(body)
	ok(o, err)
	rq, err := http.NewRequest(method, o.hub.address+path, bytes.NewReader(text))
	ok(o, err)
	rq.Header.Set("Authorization", "Bearer "+o.key)
	rq.Header.Set("Content-Type", "application/json")
	for {
		rq.Body = io.NopCloser(bytes.NewReader(text))
		answer, err := http.DefaultClient.Do(rq)
		ok(o, err)
		said, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		ok(o, err)
		switch {
		case answer.StatusCode == http.StatusTooManyRequests:
			time.Sleep(100 * time.Millisecond)
			continue
		case answer.StatusCode/100 != 2:
			o.Errorf("%s %s: %d %s", method, path, answer.StatusCode, said)
		case into != nil:
			ok(o, json.Unmarshal(said, into))
		}
		return
	}
}

// visits submits, for each visit from first up to end, a prescription, its
// payment and a second prescription, in that order in one lane.
func (o *outage) visits(first, end int) {
	numbers := make(chan int)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range numbers {
				visit := visitOf(n)
				for _, no := range []string{"A" + visit, "", "B" + visit} {
					kind, body := core.PaymentSettle, core.Body(&core.Payment{OrderID: "P" + visit, VisitNo: visit, PatientNo: patientNo, PatientName: "张三测试",
						Bills: []string{"A" + visit}, Amount: 4619, Channel: "wechat", ChannelNo: "42" + visit, PaidAt: paidAt})
					if no != "" {
						rx := prescriptionOf(no)
						rx.VisitNo = visit
						kind, body = core.PrescriptionCreate, rx
					}
					o.call("POST", "/v1/hospitals/jiangwan/messages/"+string(kind), body, nil)
				}
			}
		})
	}
	for n := first; n < end; n++ {
		numbers <- n
	}
	close(numbers)
	all.Wait()
}

func visitOf(n int) string { return fmt.Sprintf("V%05d", n) }

// seen is a request as the hospital saw it.
type seen struct {
	operation, key string
	began, ended   time.Time
}

// journal is what the hospital saw after a moment of its clock, in the order in
// which it acted.
func (o *outage) journal(after time.Time) []seen {
	o.Helper()
	rows, err := o.patients.Query(context.Background(), `select operation, biz_key, began, ended from zlhis.his_journal where began > $1 order by id`, after)
	ok(o, err)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s seen, err error) {
		return s, row.Scan(&s.operation, &s.key, &s.began, &s.ended)
	})
	ok(o, err)
	return all
}

func (o *outage) now() (now time.Time) {
	o.Helper()
	ok(o, o.patients.QueryRow(context.Background(), `select clock_timestamp()`).Scan(&now))
	return now
}

func (o *outage) delivered() int {
	return o.number(o.ledger, `select count(*) from hub.message where state = 'delivered'`)
}

// herd tells, for each request by its arrival, how many were there at once and
// how many had been answered.
func herd(requests []seen) (together, answered []int) {
	all := slices.Clone(requests)
	slices.SortFunc(all, func(a, b seen) int { return a.began.Compare(b.began) })
	ends := make([]time.Time, len(all))
	for i, r := range all {
		ends[i] = r.ended
	}
	slices.SortFunc(ends, time.Time.Compare)
	for i, r := range all {
		done, _ := slices.BinarySearchFunc(ends, r.began, time.Time.Compare)
		together, answered = append(together, i+1-done), append(answered, done)
	}
	return together, answered
}

// TestOutage: a hospital is away, for hours as its messages see it; people pause
// it, lower its limits, and let it go on. Everything is told once and in order,
// and the hospital is never met by more than it can bear.
// HISHUB_OUTAGE=full takes 10,000 messages and an outage that is an incident.
func TestOutage(t *testing.T) {
	visits, patience := 200, time.Minute
	full := os.Getenv("HISHUB_OUTAGE") == "full"
	if full {
		visits, patience = 3334, 10*time.Minute
	} else {
		t.Parallel()
	}
	o := newOutage(t)
	const before = 10 // visits before the outage
	o.visits(0, before)
	within(t, patience, "the first visits are told", func() bool { return o.delivered() == 3*before })

	// Away, with all that comes meanwhile.
	ok(t, o.his.AddFaults(context.Background(), []fault.Rule{{Fault: fault.Down}}))
	away := o.now()
	o.visits(before, visits)
	// What an eight-hour outage leaves behind: each has failed many times, and all
	// are due. The small size spares itself the long waits of many failures.
	failures := 3
	if full {
		failures = 480
	}
	o.exec(o.ledger, `update hub.queue set attempts = 480, due = clock_timestamp() - interval '1 minute' * random(),
		progress = coalesce(progress, '{"phase": "send"}') || jsonb_build_object('failures', $1::integer, 'attempts', 480) where lease_until is null`, failures)
	probes := func() int { return o.number(o.ledger, `select count(*) from hub.attempt where class = 'unavailable'`) }
	first := probes()
	within(t, patience, "the hospital is tried again while it is away", func() bool { return probes() >= first+2 })
	if full {
		within(t, 3*time.Minute, "the outage is an incident", func() bool { return len(o.incidents("breaker")) == 1 })
	}

	// Paused in the middle: it comes back and hears nothing. Meanwhile its limit is
	// halved. Back, it will refuse one.
	o.hishub("hospital", "pause", "jiangwan", "--why", "their database is being restored")
	o.hishub("hospital", "limits", "jiangwan", "--concurrency", "4", "--why", "carefully at first")
	ok(t, o.his.ClearFaults(context.Background()))
	ok(t, o.his.AddFaults(context.Background(), []fault.Rule{{Fault: fault.Reject, Operation: "zl_third_advicesave", Key: "A" + visitOf(before), Times: 1}}))
	time.Sleep(2500 * time.Millisecond) // as long as hubs may take to follow the new limits
	if heard := o.journal(away); len(heard) != 0 {
		t.Errorf("the hospital heard %d requests while it was away or paused", len(heard))
	}

	o.hishub("hospital", "resume", "jiangwan", "--why", "restored")
	half := 3*before + 3*(visits-before)/2
	within(t, patience, "half of what waits is told", func() bool { return o.delivered() >= half })
	careful := o.now()
	o.hishub("hospital", "limits", "jiangwan", "--reset", "--why", "it is well")
	// All but the refused one and the two behind it.
	within(t, patience, "everything is told", func() bool { return o.delivered() == 3*visits-3 })
	within(t, 20*time.Second, "what is parked is an incident", func() bool { return len(o.incidents("parked")) == 1 })
	o.call("POST", fmt.Sprintf("/v1/messages/%d/release", o.number(o.ledger, `select message from hub.queue where state = 'parked'`)),
		map[string]any{"decision": "again", "note": "their stock was wrong"}, nil)
	within(t, patience, "the refused one and what waited behind it are told", func() bool { return o.delivered() == 3*visits })
	over := 20 * time.Second
	if full {
		over += incident.Steady
	}
	within(t, over, "no incident is open", func() bool { return len(o.incidents("")) == 0 })

	// As the hospital saw it.
	requests := o.journal(away)
	until := slices.IndexFunc(requests, func(r seen) bool { return r.began.After(careful) })
	together, answered := herd(requests)
	if most := slices.Max(together); most > 8 {
		t.Errorf("%d requests at once, its limit is 8", most)
	}
	carefully, _ := herd(requests[:until])
	if most := slices.Max(carefully); most > 4 {
		t.Errorf("%d requests at once under a limit of 4", most)
	}
	for i := range 20 { // a probe, then no more than there were answers
		if together[i] > answered[i]+1 {
			t.Errorf("request %d after the outage met %d at once after %d answers", i+1, together[i], answered[i])
		}
	}
	t.Logf("%d requests; at once after the outage: %v", len(requests), together[:30])
	o.inOrder(o.journal(time.Time{}), visits)

	// Its books, record by record, over the second connector.
	o.hishub("reconcile", "run", "jiangwan", paidAt.In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly))
	told := map[string]int{}
	for next := ""; ; {
		var events struct {
			Events []core.Event
			Next   string
		}
		o.call("GET", "/v1/events?limit=500&after="+next, nil, &events)
		if len(events.Events) == 0 {
			break
		}
		for _, e := range events.Events {
			if e.Incident > 0 {
				told[string(e.Type)+" "+e.Key]++
			}
		}
		next = events.Next
	}
	want := map[string]int{"incident.opened parked": 1, "incident.resolved parked": 1}
	if full {
		want["incident.opened breaker"], want["incident.resolved breaker"] = 1, 1
	}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("incidents told: %v, want %v", told, want)
	}
}

// incidents that are open, of a kind unless it is "".
func (o *outage) incidents(kind string) (open []string) {
	var list struct {
		Incidents []struct{ Kind, Detail string }
	}
	o.call("GET", "/v1/incidents?open=true", nil, &list)
	for _, i := range list.Incidents {
		if kind == "" || i.Kind == kind {
			open = append(open, i.Detail)
		}
	}
	return open
}

// inOrder: each visit's three messages took effect once, one after the other.
func (o *outage) inOrder(journal []seen, visits int) {
	o.Helper()
	acted := map[string][]string{} // by visit
	for _, r := range journal {
		if len(r.key) > 1 {
			acted[r.key[1:]] = append(acted[r.key[1:]], r.key[:1])
		}
	}
	for n := range visits {
		visit := visitOf(n)
		got := strings.Join(acted[visit], "")
		// A payment takes two requests; the refused prescription was said twice.
		if got != "APPB" && got != "AAPPB" {
			o.Errorf("visit %s: the hospital acted in the order %s", visit, got)
		}
	}
	b, err := o.his.Books(context.Background())
	ok(o, err)
	times := map[string]int{}
	for _, p := range b.Prescriptions {
		times[p.No]++
	}
	for _, s := range b.Settlements {
		times[s.Order]++
	}
	for n := range visits {
		for _, no := range []string{"A", "P", "B"} {
			if times[no+visitOf(n)] != 1 {
				o.Errorf("the books have %s%s %d times", no, visitOf(n), times[no+visitOf(n)])
			}
		}
	}
	if len(b.Prescriptions) != 2*visits || len(b.Settlements) != visits {
		o.Errorf("the books have %d prescriptions and %d settlements, want %d and %d", len(b.Prescriptions), len(b.Settlements), 2*visits, visits)
	}
}
