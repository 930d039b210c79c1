package delivery

import (
	"strings"
	"testing"
	"time"

	"hishub/core"
)

func TestWhyWaits(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, shanghai) // a Monday
	in := func(d time.Duration) time.Time { return now.Add(d) }
	every := [7]bool{true, true, true, true, true, true, true}
	open := &core.Dialect{Zone: shanghai}
	closed := &core.Dialect{Zone: shanghai, Open: []core.Hours{{Days: every, Window: core.Window{Start: 10 * 60, End: 18 * 60}}}}
	window := &core.Dialect{Zone: shanghai, Maintenance: []core.Window{{Start: 8 * 60, End: 9*60 + 30}}}
	well, soon, past := &Light{Breaker: "closed"}, in(5*time.Minute), in(-time.Minute)
	failed := Waiting{Due: &soon, Attempts: 3, Reason: "connection refused"}
	due := Waiting{Due: &past, Attempts: 3, Reason: "connection refused"}
	paused := in(-time.Hour)
	for name, c := range map[string]struct {
		m     Waiting
		c     Circumstances
		kind  WaitKind
		text  string
		until time.Time
	}{
		"lane before all":   {Waiting{BlockedBy: 7, Due: &past}, Circumstances{Owner: "p1", PausedAt: &paused}, WaitLane, "behind message 7 in its lane", time.Time{}},
		"paused":            {due, Circumstances{Owner: "p1", PausedAt: &paused, PausedBy: "ops", PausedWhy: "they move", Dialect: closed}, WaitPaused, "paused since 2026-01-05T08:00:00+08:00 by ops: they move", time.Time{}},
		"nobody":            {due, Circumstances{Dialect: closed}, WaitUnowned, "no process works the hospital", time.Time{}},
		"closed":            {due, Circumstances{Owner: "p1", Dialect: closed}, WaitClosed, "the hospital is closed until 2026-01-05T10:00:00+08:00", in(time.Hour)},
		"closed, and tries": {failed, Circumstances{Owner: "p1", Dialect: closed}, WaitClosed, "until 2026-01-05T10:00:00+08:00; next try at 2026-01-05T09:05:00+08:00 after 3 attempts: connection refused", in(time.Hour)},
		"maintenance":       {due, Circumstances{Owner: "p1", Dialect: window, Light: well}, WaitMaintenance, "the hospital is in maintenance until 2026-01-05T09:30:00+08:00", in(30 * time.Minute)},
		"folder":            {due, Circumstances{Owner: "p1", Light: &Light{Problem: "XIHU_USER is not set"}}, WaitFolder, "XIHU_USER is not set", time.Time{}},
		"breaker":           {due, Circumstances{Owner: "p1", Dialect: open, Light: &Light{Breaker: "open", Broken: in(-time.Minute), Probe: in(2 * time.Second)}}, WaitBreaker, "does not answer since 2026-01-05T08:59:00+08:00; next probe at 2026-01-05T09:00:02+08:00", in(2 * time.Second)},
		"breaker, and its own try is later": {failed, Circumstances{Owner: "p1", Dialect: open, Light: &Light{Breaker: "open", Probe: in(2 * time.Second)}},
			WaitBreaker, "next try at 2026-01-05T09:05:00+08:00 after 3 attempts: connection refused", soon},
		"hold":                {due, Circumstances{Owner: "p1", Dialect: open, Light: &Light{Breaker: "closed", HeldUntil: in(time.Minute)}}, WaitHold, "asked to be left alone until 2026-01-05T09:01:00+08:00", in(time.Minute)},
		"retry":               {failed, Circumstances{Owner: "p1", Dialect: open, Light: well}, WaitRetry, "next try at 2026-01-05T09:05:00+08:00 after 3 attempts: connection refused", soon},
		"due here":            {due, Circumstances{Owner: "p1", Dialect: open, Light: well}, WaitTurn, "due; it goes when a slot", time.Time{}},
		"due, known to p1":    {due, Circumstances{Owner: "p1"}, WaitTurn, "(p1): ask that process", time.Time{}},
		"pinned by a replay":  {Waiting{Due: &past, Pin: 4}, Circumstances{Owner: "p1", Dialect: open, Light: well}, WaitTurn, "a replay wants it said by revision 4", time.Time{}},
		"any hour is no rest": {Waiting{Kind: core.PayBack, Due: &past}, Circumstances{Owner: "p1", Dialect: closed, Light: well}, WaitTurn, "due", time.Time{}},
	} {
		c.c.Now = now
		w := WhyWaits(c.m, c.c)
		if w.Kind != c.kind || !strings.Contains(w.Text, c.text) {
			t.Errorf("%s: %s, %q; want %s, %q", name, w.Kind, w.Text, c.kind, c.text)
		}
		if (w.Until == nil) != c.until.IsZero() || w.Until != nil && !w.Until.Equal(c.until) {
			t.Errorf("%s: until %v, want %v", name, w.Until, c.until)
		}
	}
}
