package postgres

import (
	"errors"
	"slices"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/incident"
	"hishub/core/reconcile"
)

func TestLimits(t *testing.T) {
	l := newLedger(t)
	of := func() string {
		t.Helper()
		hs, err := l.Hospitals(l.ctx)
		l.must(err)
		return hs[0].Limits.String()
	}
	two, ten, none := 2, 10.5, 0.0
	for _, step := range []struct {
		limits Limits
		reset  bool
		want   string
	}{
		{Limits{Concurrency: &two}, false, "2 at once"},
		{Limits{Rate: &ten}, false, "2 at once, 10.5 a second"},
		{Limits{Rate: &none}, false, "2 at once, no rate"},
		{Limits{Rate: &ten}, true, "10.5 a second"},
		{Limits{}, true, ""},
	} {
		l.must(l.SetLimits(l.ctx, "h1", step.limits, step.reset, "op", "a test"))
		if got := of(); got != step.want {
			t.Errorf("limits are %q, want %q", got, step.want)
		}
	}
	if got := (Limits{Concurrency: &two}).Over(core.Limits{Concurrency: 16, Rate: 5}); got != (core.Limits{Concurrency: 2, Rate: 5}) {
		t.Errorf("over the folder's: %+v", got)
	}
	ds, err := l.HospitalDecisions(l.ctx, "h1", 10)
	l.must(err)
	if len(ds) != 6 || ds[0].Verb != "limits" || ds[0].Who != "op" || string(ds[3].Data) != `{"rate": 10.5, "concurrency": 2}` && ds[0].Note != "a test" {
		t.Errorf("decisions: %+v", ds)
	}
	bad := 0
	var ps core.Problems
	if err := l.SetLimits(l.ctx, "h1", Limits{Concurrency: &bad}, false, "op", ""); !errors.As(err, &ps) || ps[0].Field != "concurrency" {
		t.Errorf("none at once: %v", err)
	}
	if err := l.SetLimits(l.ctx, "h1", Limits{}, false, "op", ""); !errors.As(err, &ps) {
		t.Errorf("nothing to change: %v", err)
	}
	if err := l.SetLimits(l.ctx, "h9", Limits{Concurrency: &two}, false, "op", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("a hospital that is not there: %v", err)
	}
}

// An incident is told once by an event when it opens and once when it is over.
func TestIncidents(t *testing.T) {
	l := newLedger(t)
	for i := range 3 {
		opened, err := l.OpenIncident(l.ctx, "h1", incident.Parked, incident.Words{En: "1 waits"}, nil)
		if err != nil || opened != (i == 0) {
			t.Errorf("opened %v at try %d: %v", opened, i+1, err)
		}
	}
	open, err := l.OpenIncidents(l.ctx, []string{"h1", "h2"})
	if err != nil || len(open) != 1 || open[0].Kind != incident.Parked {
		t.Fatalf("open: %+v %v", open, err)
	}
	l.must(l.NoteIncident(l.ctx, open[0].ID, incident.Words{En: "7 wait"}))
	for i := range 2 {
		resolved, err := l.ResolveIncident(l.ctx, open[0].ID)
		if err != nil || resolved != (i == 0) {
			t.Errorf("resolved %v at try %d: %v", resolved, i+1, err)
		}
	}
	if _, err := l.OpenIncident(l.ctx, "h1", incident.Parked, incident.Words{En: "again"}, nil); err != nil {
		t.Error(err)
	}
	l.visible(30 * time.Second)
	events, _, err := l.Read(l.ctx, "", 100)
	l.must(err)
	var told []string
	for _, e := range events {
		told = append(told, string(e.Type)+" "+e.Hospital+" "+e.Key+": "+e.Reason)
		if e.Incident == 0 {
			t.Errorf("the event names no incident: %+v", e)
		}
	}
	if !slices.Equal(told, []string{"incident.opened h1 parked: 1 waits", "incident.resolved h1 parked: 7 wait", "incident.opened h1 parked: again"}) {
		t.Errorf("told: %q", told)
	}
	for open, want := range map[bool]int{true: 1, false: 2} {
		if all, err := l.Incidents(l.ctx, nil, open, 10); err != nil || len(all) != want || all[0].Detail != "again" {
			t.Errorf("open only %v: %+v %v", open, all, err)
		}
	}
	if all, err := l.Incidents(l.ctx, []string{"h2"}, false, 10); err != nil || len(all) != 0 {
		t.Errorf("of another hospital: %+v %v", all, err)
	}
}

func TestSigns(t *testing.T) {
	l := newLedger(t)
	_, err := l.Apply(l.ctx, "h2", "Hospital 2", []byte("archive"), "digest", "it", "")
	l.must(err)
	signs := func() incident.Signs {
		t.Helper()
		all, err := l.Signs(l.ctx, []string{"h1", "h2", "h3"})
		l.must(err)
		if len(all) != 2 || all[1] != (incident.Signs{Hospital: "h2"}) {
			t.Fatalf("signs: %+v", all)
		}
		return all[0]
	}
	if g := signs(); g != (incident.Signs{Hospital: "h1"}) {
		t.Errorf("at rest: %+v", g)
	}
	for _, order := range []string{"A1", "A2", "A3"} {
		l.enqueue(payment(order, order))
	}
	l.must(l.Pause(l.ctx, "h1", "op", "a test"))
	l.exec(`update hub.queue set state = 'parked', class = 'in_doubt' where message = (select min(message) from hub.queue)`)
	if g := signs(); g.Queued != 2 || g.Parked != 1 || g.InDoubt != 1 || time.Since(g.Oldest) > time.Minute || !g.Held {
		t.Errorf("with work: %+v", g)
	}
	night := func(day string, state reconcile.NightState, counts map[reconcile.Class]int) {
		n, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: day, Who: "test"}, time.Minute)
		l.must(err)
		n.State, n.Counts = state, counts
		if state == reconcile.NightFailed {
			n.Problem = "no statement"
		}
		_, err = l.EndNight(l.ctx, n)
		l.must(err)
	}
	night("2026-01-05", reconcile.NightFailed, nil)
	if g := signs(); g.Night != "the night of 2026-01-05 failed: no statement" {
		t.Errorf("after a failed night: %+v", g)
	}
	night("2026-01-05", reconcile.NightDone, map[reconcile.Class]int{reconcile.Matched: 3, reconcile.MissingAtHIS: 2})
	if g := signs(); g.Night != "the night of 2026-01-05 has 2 differences" {
		t.Errorf("run again: %+v", g)
	}
	night("2026-01-06", reconcile.NightDone, map[reconcile.Class]int{reconcile.Matched: 3})
	if g := signs(); g.Night != "" {
		t.Errorf("the next night: %+v", g)
	}
}
