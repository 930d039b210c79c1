package reconcile

import (
	"context"
	"errors"
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
