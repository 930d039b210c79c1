package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"hishub/core"
)

// A day of which nothing can be kept leaves no run behind.
func TestDaysThatAreTooOldAreNotRun(t *testing.T) {
	ctx := context.Background()
	h := newBeishan(t, "01-06 11:00:00")
	refused := func(err error, field string) {
		t.Helper()
		var ps core.Problems
		if !errors.As(err, &ps) || len(ps) != 1 || ps[0].Field != field {
			t.Errorf("%v, want a problem of %s", err, field)
		}
	}
	first := h.place.FirstDay(h.clock)
	if first != "2024-12-02" {
		t.Errorf("the first day is %s", first)
	}
	for _, day := range []string{"0000-01-01", "0001-01-01", after(first, -1)} {
		_, err := h.runner.Run(ctx, Ask{Hospital: theHospital, Day: day, Who: "li"})
		refused(err, "day")
		refused(h.runner.Backfill(ctx, theHospital, day, after(day, 1), "li", func(n Night) { t.Errorf("ran %s", n.Day) }), "from")
	}
	if len(h.store.nights) != 0 {
		t.Errorf("%d runs were written", len(h.store.nights))
	}
	if n, err := h.runner.Run(ctx, Ask{Hospital: theHospital, Day: first, Who: "li"}); err != nil || n.State != NightDone {
		t.Errorf("the first day: %+v %v", n, err)
	}
}

// What a backfill can never do is said before a day is run, and what is closed is
// left as it is.
func TestBackfillTakesDaysThatAreOver(t *testing.T) {
	ctx := context.Background()
	h := newBeishan(t, "01-06 11:00:00")
	for _, c := range []struct{ from, to, field, what string }{
		{"2026-01-05", "2026-01-06", "to", "not over yet"},
		{"2026-01-05", "2026-01-04", "to", "before the first day"},
		{"2025-10-01", "2026-01-01", "to", "more than 92 days"},
		{"2025-13-01", "2026-01-05", "from", "not a date"},
		{"2026-01-05", "9999-01-01", "to", "of no year"},
	} {
		err := h.runner.Backfill(ctx, theHospital, c.from, c.to, "li", func(n Night) { t.Errorf("ran %s", n.Day) })
		var ps core.Problems
		if !errors.As(err, &ps) || len(ps) != 1 || ps[0].Field != c.field || !strings.Contains(ps[0].What, c.what) {
			t.Errorf("%s..%s: %v", c.from, c.to, err)
		}
	}
	if days, err := Span("from", "2025-10-02", "to", "2026-01-01"); err != nil || len(days) != MostDays {
		t.Errorf("%d days, %v", len(days), err)
	}
	var ran []string
	run := func(want ...string) {
		t.Helper()
		ran = nil
		if err := h.runner.Backfill(ctx, theHospital, "2026-01-03", "2026-01-05", "li", func(n Night) { ran = append(ran, n.Day) }); err != nil || !slices.Equal(ran, want) {
			t.Errorf("it ran %v, %v; want %v", ran, err, want)
		}
	}
	run("2026-01-03", "2026-01-04", "2026-01-05")
	for i := range h.store.nights {
		h.store.nights[i].Closed = h.store.nights[i].Day == "2026-01-04" // its settlement is known
	}
	run("2026-01-03", "2026-01-05")
}
