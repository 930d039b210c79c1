package api

import (
	"testing"

	"hishub/core"
)

// A day that no hub can have books of is the caller's mistake wherever it stands,
// and leaves nothing behind.
func TestDaysThatAreNone(t *testing.T) {
	w := newWorld(t)
	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Ledger{}} })
	finance := w.key(Finance, "dongshan")
	const at = "/v1/hospitals/dongshan"
	span := func(day string) map[string]any { return map[string]any{"from": day, "to": day} }
	for _, day := range []string{"0000-01-01", "0001-01-01", "2101-01-01", "2026-13-05"} {
		for _, c := range []struct {
			method, path string
			body         any
		}{
			{"GET", at + "/reports/" + day + ".html", nil},
			{"GET", at + "/nights?day=" + day, nil},
			{"GET", at + "/nights/" + day, nil},
			{"POST", at + "/nights/" + day, map[string]any{}},
			{"POST", at + "/nights:backfill", span(day)},
			{"GET", "/v1/cases?day=" + day, nil},
			{"GET", at + "/settlements?from=" + day + "&to=" + day, nil},
			{"POST", at + "/settlements", map[string]any{"channel": "wechat", "day": day, "amount": 1, "reference": "B1"}},
		} {
			if a := w.do(finance, c.method, c.path, c.body); a.status != 422 {
				t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.text)
			}
		}
	}
	// A real day, and too old.
	if p := w.do(finance, "POST", at+"/nights/2024-12-01", map[string]any{}).problem(t); p.Status != 422 {
		t.Errorf("%+v", p)
	}
	if p := w.do(finance, "POST", at+"/nights:backfill", span("2024-12-01")).problem(t); p.Status != 422 || p.Errors[0].Field != "from" {
		t.Errorf("%+v", p)
	}
	var n struct{ Nights []any }
	w.do(finance, "GET", at+"/nights", nil).into(t, &n)
	if len(n.Nights) != 0 {
		t.Errorf("runs were written: %v", n)
	}
}
