package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core/alert"
	"hishub/core/incident"
	"hishub/mocks/robots"
)

// board is a receiver of webhooks that keeps what it took, letter by letter.
type board struct {
	*httptest.Server
	mu      sync.Mutex
	letters []boardLetter
	fail    int // so many answers are 500
}

type boardLetter struct {
	ID        string
	Test      bool
	Incidents []struct {
		ID          int64
		Hospital    string
		Transitions []string
	}
}

func newBoard(t *testing.T) *board {
	b := &board{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var l boardLetter
		if err := json.NewDecoder(r.Body).Decode(&l); err != nil || r.Header.Get("Hishub-Alert") != l.ID {
			t.Errorf("not a letter: %v", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.fail > 0 {
			b.fail--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		b.letters = append(b.letters, l)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *board) taken() []boardLetter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.letters)
}

// told counts what it was told by hospital and transition.
func (b *board) told() map[string]int {
	counts := map[string]int{}
	for _, l := range b.taken() {
		for _, i := range l.Incidents {
			for _, tr := range i.Transitions {
				counts[i.Hospital+" "+tr]++
			}
		}
	}
	return counts
}

func alertPlan(t *testing.T, b *board, r *robots.Robots, more string) *alert.Plan {
	t.Helper()
	text := "routes:\n  board: {webhook: {url: \"" + b.URL + "\"}, gather: 0s}\n"
	if r != nil {
		text += "  group: {wecom: {key: \"${KEY}\", base: \"" + r.URL() + "\"}, gather: 0s}\n  office: {dingtalk: {token: \"${TOKEN}\", secret: \"${SECRET}\", base: \"" + r.URL() + "\"}, gather: 0s}\n"
	}
	p, err := alert.Load([]byte(text+more), alert.Options{File: "alerts.yaml", Env: func(name string) (string, bool) {
		return map[string]string{"KEY": robots.WeComKey, "TOKEN": robots.DingTalkToken, "SECRET": robots.DingTalkSecret}[name], true
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// teller runs one until the test, or stop, ends it.
func teller(t *testing.T, s alert.Store, p *alert.Plan) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	one := &alert.Teller{Store: s, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Look: 5 * time.Millisecond}
	one.Use(p)
	var run sync.WaitGroup
	run.Go(func() { one.Run(ctx) })
	stop = func() { cancel(); run.Wait() }
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within 30 s", what)
		}
	}
}

// next lets the routes be told again at once, whatever their pause or wait.
func (l *ledger) next() {
	l.exec(`update hub.alert_route set next_at = clock_timestamp()`)
}

// gone is the process that had the routes.
func (l *ledger) gone() {
	l.exec(`update hub.alert_route set lease_until = clock_timestamp() where lease_until is not null`)
}

func (l *ledger) troubled(hospital string, kind incident.Kind, routes ...string) int64 {
	l.tb.Helper()
	opened, err := l.OpenIncident(l.ctx, hospital, kind, incident.Words{En: "it began", Zh: "开始了"}, routes)
	l.must(err)
	if !opened {
		l.tb.Fatalf("%s at %s was open", kind, hospital)
	}
	return count[int64](l, `select max(id) from hub.incident`)
}

func (l *ledger) over(id int64) {
	l.tb.Helper()
	_, err := l.ResolveIncident(l.ctx, id)
	l.must(err)
}

// One when it opens and one when it resolves, to each route, by two processes at
// once that both want to tell; a resolve goes where the opening went.
func TestAlertsAreToldOnce(t *testing.T) {
	l := newLedger(t)
	b := newBoard(t)
	p := alertPlan(t, b, nil, "  second: {webhook: {url: \""+b.URL+"\"}, gather: 0s}\n")
	for range 2 {
		teller(t, l.Store, p)
	}
	id := l.troubled("h1", incident.Breaker, "board", "second")
	for range 3 { // seen again by whoever looks
		_, err := l.OpenIncident(l.ctx, "h1", incident.Breaker, incident.Words{En: "again"}, []string{"board", "second"})
		l.must(err)
	}
	l.troubled("h1", incident.Parked, "elsewhere")
	eventually(t, "the opening", func() bool { return b.told()["h1 opened"] == 2 })
	l.next()
	l.over(id)
	l.over(id)
	eventually(t, "the end", func() bool { l.next(); return b.told()["h1 resolved"] == 2 })
	eventually(t, "notes", func() bool {
		return count[int](l, `select count(*) from hub.alert where told_at is null and route <> 'elsewhere'`) == 0
	})
	if told := b.told(); told["h1 opened"] != 2 || told["h1 resolved"] != 2 || len(told) != 2 || len(b.taken()) != 4 {
		t.Errorf("told %v in %d letters", told, len(b.taken()))
	}
}

// A hundred hospitals that go at once are one message for each route, from whichever
// process; and so is their coming back.
func TestAHundredAtOnce(t *testing.T) {
	l := newLedger(t)
	b := newBoard(t)
	r, err := robots.Start(t.Context(), robots.Options{})
	l.must(err)
	defer r.Close()
	var ids []int64
	for i := range 100 {
		ids = append(ids, l.troubled(fmt.Sprintf("h%03d", i), incident.Breaker, "board", "group", "office"))
	}
	p := alertPlan(t, b, r, "")
	for range 2 {
		teller(t, l.Store, p)
	}
	eventually(t, "the letters", func() bool { return len(b.taken()) == 1 && len(r.Messages()) == 2 })
	for _, m := range r.Messages() {
		if !strings.Contains(m.Text, "100 家") {
			t.Errorf("%s", m.Text)
		}
	}
	eventually(t, "notes", func() bool { return count[int](l, `select count(*) from hub.alert where told_at is null`) == 0 })
	l.exec(`update hub.alert_route set next_at = clock_timestamp() + interval '1 hour'`)
	for _, id := range ids {
		l.over(id)
	}
	l.next()
	eventually(t, "the end of all", func() bool { return len(b.taken()) == 2 && len(r.Messages()) == 4 })
	for what, n := range b.told() {
		if n != 1 {
			t.Errorf("%s told %d times", what, n)
		}
	}
	if len(b.told()) != 200 || r.Refused(45009) != 0 || r.Refused(130101) != 0 {
		t.Errorf("%d told, refused %d and %d", len(b.told()), r.Refused(45009), r.Refused(130101))
	}
}

// dying is a process that ends after the route took a letter and before it is noted.
type dying struct{ alert.Store }

func (dying) LetterTold(context.Context, alert.Letter, time.Duration) error {
	return errors.New("killed")
}

// What was sent and not noted goes out again, as the same letter, and then no more.
func TestKilledBetweenSendAndNote(t *testing.T) {
	l := newLedger(t)
	b := newBoard(t)
	p := alertPlan(t, b, nil, "")
	l.troubled("h1", incident.Breaker, "board")
	stop := teller(t, dying{l.Store}, p)
	eventually(t, "the first", func() bool { return len(b.taken()) == 1 })
	stop()
	l.troubled("h2", incident.Breaker, "board") // does not slip into the letter
	teller(t, l.Store, p)
	letters, err := l.TakeLetters(l.ctx, []alert.Wanted{{Route: "board"}}, time.Minute)
	if err != nil || len(letters) != 0 {
		t.Errorf("taken while it is another's: %v %v", letters, err)
	}
	l.gone()
	eventually(t, "the same again", func() bool { return len(b.taken()) == 2 })
	eventually(t, "the next", func() bool { l.next(); return len(b.taken()) == 3 })
	got := b.taken()
	if got[0].ID != got[1].ID || len(got[1].Incidents) != 1 || got[1].Incidents[0].Hospital != "h1" || got[2].ID == got[0].ID || len(got[2].Incidents) != 1 || got[2].Incidents[0].Hospital != "h2" {
		t.Errorf("letters: %+v", got)
	}
	eventually(t, "notes", func() bool { return count[int](l, `select count(*) from hub.alert where told_at is null`) == 0 })
}

// A process that stood still and says late what became of a letter neither frees the
// route for a third nor shortens its wait; what was taken is taken.
func TestLateNotes(t *testing.T) {
	l := newLedger(t)
	l.troubled("h1", incident.Breaker, "r")
	take := func() []alert.Letter {
		all, err := l.TakeLetters(l.ctx, []alert.Wanted{{Route: "r"}}, time.Minute)
		l.must(err)
		return all
	}
	first := take()
	l.gone()
	second := take()
	if len(first) != 1 || len(second) != 1 || first[0].ID != second[0].ID {
		t.Fatalf("%+v, %+v", first, second)
	}
	l.must(l.LetterFailed(l.ctx, first[0], 0, "late"))
	if again := take(); len(again) != 0 {
		t.Error("a late note gave the route to a third")
	}
	l.must(l.LetterTold(l.ctx, first[0], 0))
	if n := count[int](l, `select count(*) from hub.alert where told_at is null`); n != 0 {
		t.Error("what was taken goes out again")
	}
	l.must(l.LetterTold(l.ctx, second[0], 0))
	if again := take(); len(again) != 0 {
		t.Errorf("again: %+v", again)
	}
}

// What is over before it could be told is told in one; what comes while a route is
// quiet, or gathers, waits and comes together.
func TestHeldAlerts(t *testing.T) {
	l := newLedger(t)
	l.over(l.troubled("h1", incident.Breaker, "r"))
	l.troubled("h2", incident.Codes, "r")
	if all, err := l.TakeLetters(l.ctx, nil, time.Minute); err != nil || len(all) != 0 {
		t.Errorf("a quiet route: %v %v", all, err)
	}
	if all, err := l.TakeLetters(l.ctx, []alert.Wanted{{Route: "r", Gather: time.Hour}}, time.Minute); err != nil || len(all) != 0 {
		t.Errorf("gathering: %v %v", all, err)
	}
	all, err := l.TakeLetters(l.ctx, []alert.Wanted{{Route: "r", Gather: time.Microsecond}}, time.Minute)
	if err != nil || len(all) != 1 || len(all[0].Entries) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	if e := all[0].Entries[0]; !e.Opened || !e.Resolved || e.ResolvedAt == nil || e.Detail.Zh != "开始了" || e.Name != "Hospital h1" {
		t.Errorf("came and went: %+v", e)
	}
	if e := all[0].Entries[1]; !e.Opened || e.Resolved || e.Kind != incident.Codes {
		t.Errorf("opened: %+v", e)
	}
	l.must(l.LetterFailed(l.ctx, all[0], 0, "the robot is away"))
	if routes, err := l.AlertRoutes(l.ctx); err != nil || len(routes) != 1 || routes[0].Waiting != 3 || routes[0].Failures != 1 || routes[0].Problem != "the robot is away" {
		t.Errorf("standing: %+v %v", routes, err)
	}
	l.exec(`update hub.alert set made_at = made_at - interval '73 hours'`)
	if all, err := l.TakeLetters(l.ctx, []alert.Wanted{{Route: "r"}}, time.Minute); err != nil || len(all) != 0 {
		t.Errorf("given up after three days, and taken: %+v %v", all, err)
	}
	l.exec(`update hub.alert set made_at = made_at - interval '91 days'`)
	l.exec(`update hub.incident set resolved_at = resolved_at - interval '91 days'`)
	l.must(l.ForgetAlerts(l.ctx))
	if n := count[int](l, `select count(*) from hub.alert`); n != 1 {
		t.Errorf("%d are kept, want the one of the incident that is open", n)
	}
}

// A route that fails is tried ever more slowly, keeps its letter and loses nothing.
func TestRoutesThatFail(t *testing.T) {
	l := newLedger(t)
	b := newBoard(t)
	r, err := robots.Start(t.Context(), robots.Options{})
	l.must(err)
	defer r.Close()
	b.fail = 2
	for _, f := range []robots.Fault{{Status: 429, Times: 2}, {Status: 503, Times: 2}, {Code: 45009, Times: 2}, {Garble: true, Times: 2}} {
		r.Strike(f)
	}
	l.troubled("h1", incident.Breaker, "board", "group", "office")
	teller(t, l.Store, alertPlan(t, b, r, ""))
	eventually(t, "a failure of each", func() bool {
		return count[int](l, `select count(*) from hub.alert_route where failures > 0 and problem <> '' and lease_until is null and next_at > clock_timestamp() + interval '1 second'`) == 3
	})
	// A robot that says "too many" is left alone for its minute.
	if n := count[int](l, `select count(*) from hub.alert_route where problem like '%429%' and next_at > clock_timestamp() + interval '50 seconds'`); n == 0 {
		t.Error("nobody waits for the minute")
	}
	eventually(t, "the letter of each", func() bool { l.next(); return len(b.taken()) == 1 && len(r.Messages()) == 2 })
	eventually(t, "notes", func() bool {
		return count[int](l, `select count(*) from hub.alert_route where failures = 0 and problem = '' and told_at is not null`) == 3
	})
	l.next()
	if len(b.taken()) != 1 || len(r.Messages()) != 2 {
		t.Error("told again after it was taken")
	}
}

func TestLookAtIncident(t *testing.T) {
	l := newLedger(t)
	id := l.troubled("h1", incident.Breaker, "r")
	if _, err := l.LookAtIncident(l.ctx, []string{"h2"}, id, "x", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("of another hospital: %v", err)
	}
	// A look without a note leaves the one that is there.
	for _, step := range []struct{ note, want string }{{"", ""}, {"their network", "their network"}, {"", "their network"}, {"down until noon", "down until noon"}} {
		i, err := l.LookAtIncident(l.ctx, []string{"h1"}, id, "测试员", step.note)
		l.must(err)
		all, err := l.OpenIncidents(l.ctx, []string{"h1"})
		if err != nil || len(all) != 1 || all[0].LookedBy != "测试员" || all[0].LookedNote != step.want || all[0].LookedAt == nil || all[0].Chinese != "开始了" || i.LookedNote != step.want {
			t.Errorf("noted %q: %+v %v", step.note, all, err)
		}
	}
	if n := count[int](l, `select count(*) from hub.audit where verb = 'look at incident' and actor = '测试员'`); n != 4 {
		t.Errorf("%d entries in the audit", n)
	}
	l.over(id)
	for _, id := range []int64{id, 99} {
		if _, err := l.LookAtIncident(l.ctx, nil, id, "x", ""); !errors.Is(err, ErrNotFound) {
			t.Errorf("incident %d: %v", id, err)
		}
	}
}
