package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hishub/core"
)

// LastDay is the last business day that has ended by then.
func (p Place) LastDay(now time.Time) string {
	day := now.In(p.Zone)
	for {
		name := day.Format(time.DateOnly)
		if _, to, err := p.Day(name, p.Zone); err != nil || !to.After(now) {
			return name
		}
		day = day.AddDate(0, 0, -1)
	}
}

// MostAge is how many days old a day may be that is run: what was kept of older
// ones is gone, and no channel has a bill of them.
const MostAge = 400

// FirstDay is the oldest business day that may still be run.
func (p Place) FirstDay(now time.Time) string {
	return now.In(p.Zone).AddDate(0, 0, -MostAge).Format(time.DateOnly)
}

// TooOld says of a day (yyyy-MM-dd) that it cannot be run any more; field names it.
// Nil when it can.
func (p Place) TooOld(field, day string, now time.Time) error {
	first := p.FirstDay(now)
	if day >= first {
		return nil
	}
	return core.Problems{{Field: field, What: fmt.Sprintf("more than %d days ago; %s is the first day that can be compared", MostAge, first)}}
}

// MostDays bounds a backfill: channels keep bills for three months.
const MostDays = 92

// Backfill runs the days from..to (yyyy-MM-dd, both included) that are not
// closed, oldest first, and calls ran after each. It goes on after a day that
// fails or waits; its error is of what it could not do at all.
func (r *Runner) Backfill(ctx context.Context, hospital, from, to, who string, ran func(Night)) error {
	first, err := time.Parse(time.DateOnly, from)
	if err != nil {
		return core.Problems{{Field: "from", What: "not a date like 2026-01-05"}}
	}
	last, err := time.Parse(time.DateOnly, to)
	switch {
	case err != nil:
		return core.Problems{{Field: "to", What: "not a date like 2026-01-05"}}
	case last.Before(first):
		return core.Problems{{Field: "to", What: "before from"}}
	case last.Sub(first) >= MostDays*24*time.Hour:
		return core.Problems{{Field: "to", What: fmt.Sprintf("more than %d days; backfill them in parts", MostDays)}}
	}
	place, err := r.Place(ctx, hospital)
	if err == nil {
		err = place.TooOld("from", from, r.clock())
	}
	if err != nil {
		return err
	}
	closed, _, err := r.Store.Days(ctx, hospital, from, to)
	if err != nil {
		return err
	}
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		name := day.Format(time.DateOnly)
		if slices.Contains(closed, name) {
			continue
		}
		n, err := r.Run(ctx, Ask{Hospital: hospital, Day: name, Who: who})
		if err != nil && n.ID == 0 {
			return err
		}
		ran(n)
	}
	return nil
}
