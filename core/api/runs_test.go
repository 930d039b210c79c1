package api

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// gate is a runner whose runs end when the test says so.
type gate struct {
	real  Nights
	began chan reconcile.Ask
	end   chan error
}

func newGate() *gate { return &gate{began: make(chan reconcile.Ask, 200), end: make(chan error, 200)} }

func (g *gate) Run(ctx context.Context, a reconcile.Ask) (reconcile.Night, error) {
	g.began <- a
	select {
	case err := <-g.end:
		if err != nil {
			return reconcile.Night{}, err
		}
		if g.real == nil {
			return reconcile.Night{Hospital: a.Hospital, Day: a.Day, State: reconcile.NightDone}, nil
		}
		return g.real.Run(ctx, a)
	case <-ctx.Done():
		return reconcile.Night{}, ctx.Err()
	}
}

// A run that takes longer than a request waits goes on, and is seen to its end.
func TestALongRunGoesOn(t *testing.T) {
	g := newGate()
	w := newWorld(t, func(o *Options) { g.real, o.Nights, o.patience = o.Nights, g, time.Millisecond })
	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Ledger{}} })
	key, path := w.key(Operator, "dongshan"), "/v1/hospitals/dongshan/nights/2026-01-05"
	var n NightDetail
	a := w.do(key, "POST", path, map[string]any{"full": true})
	a.into(t, &n)
	if a.status != 202 || n.State != reconcile.NightRunning || n.Day != "2026-01-05" {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if ask := <-g.began; !ask.Full || ask.Hospital != "dongshan" || !strings.HasPrefix(ask.Who, "operator dongshan") {
		t.Errorf("%+v", ask)
	}
	g.end <- nil
	for deadline := time.Now().Add(20 * time.Second); n.State == reconcile.NightRunning && time.Now().Before(deadline); {
		if a := w.do(key, "GET", path, nil); a.status == 200 {
			a.into(t, &n)
		}
	}
	if n.State != reconcile.NightDone {
		t.Errorf("%+v", n)
	}
}

// The process's end ends its runs; a run that panics harms nothing else.
func TestRunsAndTheirProcess(t *testing.T) {
	background, stop := context.WithCancel(t.Context())
	g := newGate()
	w := newWorld(t, func(o *Options) { o.Nights, o.Background = g, background })
	key, path := w.key(Operator, "dongshan"), "/v1/hospitals/dongshan/nights/2026-01-05"
	answer := make(chan answerOfAPI, 1)
	go func() { answer <- w.do(key, "POST", path, map[string]any{}) }()
	<-g.began
	stop()
	if a := <-answer; a.status != 503 {
		t.Errorf("%d %s", a.status, a.text)
	}

	p := newWorld(t, func(o *Options) { o.Nights = breaking{} })
	if a := p.do(p.key(Operator, "dongshan"), "POST", path, map[string]any{}); a.status != 500 || strings.Contains(a.text, "secret") {
		t.Errorf("%d %s", a.status, a.text)
	}
}

type breaking struct{}

func (breaking) Run(context.Context, reconcile.Ask) (reconcile.Night, error) { panic("secret") }

func TestBackfill(t *testing.T) {
	g := newGate()
	w := newWorld(t, func(o *Options) { o.Nights = g })
	// The 3rd is closed already.
	must(t, func() error {
		n, err := w.store.BeginNight(t.Context(), reconcile.Ask{Hospital: "dongshan", Day: "2026-01-03", Who: "test"}, time.Minute)
		if err == nil {
			n.State, n.Closed = reconcile.NightDone, true
			_, err = w.store.EndNight(t.Context(), n)
		}
		return err
	}())
	key, path := w.key(Operator, "dongshan"), "/v1/hospitals/dongshan/nights:backfill"
	var b Backfilling
	a := w.do(key, "POST", path, map[string]any{"from": "2026-01-01", "to": "2026-01-05", "full": true})
	a.into(t, &b)
	if want := "2026-01-01 2026-01-02 2026-01-04 2026-01-05"; a.status != 202 || strings.Join(b.Days, " ") != want || b.Closed != 1 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	// The oldest first, one at a time; one that fails keeps the next ones not from being run.
	for i, day := range b.Days {
		if ask := <-g.began; ask.Day != day || !ask.Full {
			t.Errorf("%+v is run, want %s", ask, day)
		}
		if i == 0 {
			if p := w.do(key, "POST", path, map[string]any{"from": "2026-01-01", "to": "2026-01-05"}).problem(t); p.Status != 409 || p.Type != "/problems/in-progress" {
				t.Errorf("a second one at once: %+v", p)
			}
			g.end <- errors.New("the channel is away")
			continue
		}
		select {
		case ask := <-g.began:
			t.Errorf("%s is run beside %s", ask.Day, day)
		default:
		}
		g.end <- nil
	}
	for body, want := range map[[2]string]string{
		{"2026-01-01", "2026-04-03"}: "more than 92 days", {"2026-01-05", "2026-01-01"}: "before the first day", {"2026-01-01", "2026-02-30"}: "not a date",
		{time.Now().UTC().Format(time.DateOnly), time.Now().UTC().Format(time.DateOnly)}: "not over yet",
	} {
		p := w.do(key, "POST", path, map[string]any{"from": body[0], "to": body[1]}).problem(t)
		if p.Status != 422 || len(p.Errors) != 1 || !strings.Contains(p.Errors[0].What, want) {
			t.Errorf("%v: %+v", body, p)
		}
	}
	if a := w.do(w.key(Admin, ""), "POST", "/v1/hospitals/nowhere/nights:backfill", map[string]any{"from": "2026-01-01", "to": "2026-01-02"}); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}
