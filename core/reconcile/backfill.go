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

// MostDays is how many days one request takes: channels keep bills for three months.
const MostDays = 92

// KnownDay refuses what is no date, or of a year in which no hub had books: the
// database knows no year 0. The error is core.Problems of the field.
func KnownDay(field, day string) error {
	d, err := time.Parse(time.DateOnly, day)
	switch {
	case err != nil:
		return core.Problems{{Field: field, What: "not a date like 2026-01-05"}}
	case d.Year() < 2000 || d.Year() > 2100:
		return core.Problems{{Field: field, What: "of no year between 2000 and 2100"}}
	}
	return nil
}

// Span lists the days from..to (yyyy-MM-dd), both among them, at most MostDays. The
// error is core.Problems of the fields.
func Span(fromField, from, toField, to string) ([]string, error) {
	for _, d := range [][2]string{{fromField, from}, {toField, to}} {
		if err := KnownDay(d[0], d[1]); err != nil {
			return nil, err
		}
	}
	if to < from {
		return nil, core.Problems{{Field: toField, What: "before the first day"}}
	}
	var days []string
	for day := from; day <= to; day = after(day, 1) {
		if len(days) == MostDays {
			return nil, core.Problems{{Field: toField, What: fmt.Sprintf("more than %d days; ask for the rest in another request", MostDays)}}
		}
		days = append(days, day)
	}
	return days, nil
}

// Backlog is what of the days from..to is still to be run, the oldest first, and how
// many of them are closed. Errors are core.Problems of from and to, and the store's.
func (p Place) Backlog(ctx context.Context, books Closed, hospital, from, to string, now time.Time) (days []string, closed int, err error) {
	days, err = Span("from", from, "to", to)
	if err == nil {
		err = p.TooOld("from", from, now)
	}
	if err != nil {
		return nil, 0, err
	}
	if last := p.LastDay(now); to > last {
		return nil, 0, core.Problems{{Field: "to", What: "not over yet at the hospital; " + last + " is the last day that can be compared"}}
	}
	done, _, err := books.Days(ctx, hospital, from, to)
	if err != nil {
		return nil, 0, err
	}
	n := len(days)
	days = slices.DeleteFunc(days, func(d string) bool { return slices.Contains(done, d) })
	return days, n - len(days), nil
}

// Closed knows which days are closed, see Store.Days.
type Closed interface {
	Days(ctx context.Context, hospital, from, to string) (closed, unsettled []string, err error)
}

// Backfill runs the days from..to (yyyy-MM-dd, both included) that are not
// closed, oldest first, and calls ran after each. It goes on after a day that
// fails or waits; its error is of what it could not do at all.
func (r *Runner) Backfill(ctx context.Context, hospital, from, to, who string, ran func(Night)) error {
	place, err := r.Place(ctx, hospital)
	if err != nil {
		return err
	}
	days, _, err := place.Backlog(ctx, r.Store, hospital, from, to, r.clock())
	if err != nil {
		return err
	}
	for _, day := range days {
		n, err := r.Run(ctx, Ask{Hospital: hospital, Day: day, Who: who})
		if err != nil && n.ID == 0 {
			return err
		}
		ran(n)
	}
	return nil
}
