package report

import (
	"context"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// Books are what reports are made of; the store of reconciliation has them.
type Books interface {
	// Name of a hospital; core.ErrUnknownHospital when there is none.
	Name(ctx context.Context, hospital string) (string, error)
	Nights(ctx context.Context, hospital, day string, limit int) ([]reconcile.Night, error)
	// NightsEnded are the runs that were done in [from, to), of whatever day, oldest first.
	NightsEnded(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.Night, error)
	Findings(ctx context.Context, night int64) ([]reconcile.Finding, error)
	Cases(ctx context.Context, q reconcile.CaseQuery) ([]reconcile.Case, error)
	Refunds(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.RefundLine, error)
	Settlements(ctx context.Context, hospital, from, to string) ([]reconcile.Settlement, error)
}

// Gatherer takes together what a report is made of.
type Gatherer struct {
	Books Books
	// Place of a hospital, for its zone and the bounds of its days.
	Place func(ctx context.Context, hospital string) (reconcile.Place, error)
	// Now is time.Now if nil: ages and decisions in a report are of then.
	Now func() time.Time
}

// Document of a day (2026-01-05) or a month (2026-01). The error is core.Problems
// when it is neither, or of no year between 2000 and 2100.
func (g Gatherer) Document(ctx context.Context, hospital, period string) (Document, error) {
	if _, err := time.Parse(time.DateOnly, period); err == nil {
		d, err := g.Day(ctx, hospital, period)
		if err != nil {
			return Document{}, err
		}
		return d.Document(), nil
	}
	m, err := g.Month(ctx, hospital, period)
	if err != nil {
		return Document{}, err
	}
	return m.Document(), nil
}

// Day gathers one day.
func (g Gatherer) Day(ctx context.Context, hospital, day string) (Day, error) {
	if d, err := time.Parse(time.DateOnly, day); err == nil && !bounded(d) {
		return Day{}, noYear()
	}
	of, err := g.of(ctx, hospital)
	if err != nil {
		return Day{}, err
	}
	return of.day(ctx, day)
}

// bounded: a year in which a hub may have had books. The store knows no year 0.
func bounded(d time.Time) bool { return d.Year() >= 2000 && d.Year() <= 2100 }

func noYear() error {
	return core.Problems{{Field: "period", What: "of no year between 2000 and 2100"}}
}

// Month gathers the days of a month (2026-01) that have begun.
func (g Gatherer) Month(ctx context.Context, hospital, month string) (Month, error) {
	first, err := time.Parse("2006-01", month)
	if err != nil {
		return Month{}, core.Problems{{Field: "period", What: "not a day like 2026-01-05 or a month like 2026-01"}}
	}
	if !bounded(first) {
		return Month{}, noYear()
	}
	of, err := g.of(ctx, hospital)
	if err != nil {
		return Month{}, err
	}
	m := Month{Hospital: hospital, Name: of.name, Month: month, Zone: of.place.Zone, Made: of.now}
	today := of.now.In(of.place.Zone).Format(time.DateOnly)
	for d := first; d.Month() == first.Month() && d.Format(time.DateOnly) < today; d = d.AddDate(0, 0, 1) {
		day, err := of.day(ctx, d.Format(time.DateOnly))
		if err != nil {
			return m, err
		}
		m.Days = append(m.Days, day)
	}
	return m, nil
}

// gathering is of one hospital at one moment.
type gathering struct {
	Gatherer
	hospital, name string
	place          reconcile.Place
	now            time.Time
	live           []reconcile.Case // that wait for somebody, newest first
}

func (g Gatherer) of(ctx context.Context, hospital string) (*gathering, error) {
	of := &gathering{Gatherer: g, hospital: hospital, now: time.Now()}
	if g.Now != nil {
		of.now = g.Now()
	}
	var err error
	if of.place, err = g.Place(ctx, hospital); err != nil {
		return nil, err
	}
	if of.name, err = g.Books.Name(ctx, hospital); err != nil {
		return nil, err
	}
	of.live, err = of.cases(ctx, reconcile.CaseQuery{Live: true})
	return of, err
}

func (g *gathering) cases(ctx context.Context, q reconcile.CaseQuery) (all []reconcile.Case, err error) {
	q.Hospitals, q.Limit = []string{g.hospital}, 500
	for {
		page, err := g.Books.Cases(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return all, nil
		}
		q.Before = page[len(page)-1].ID
	}
}

func (g *gathering) day(ctx context.Context, day string) (Day, error) {
	d := Day{Hospital: g.hospital, Name: g.name, Day: day, Zone: g.place.Zone, Made: g.now}
	from, to, err := g.place.NightRules.Day(day, g.place.Zone)
	if err != nil {
		return d, err
	}
	runs, err := g.Books.Nights(ctx, g.hospital, day, mostRuns)
	if err != nil {
		return d, err
	}
	if n, ok := shown(runs); ok {
		d.Night = n
		if d.Findings, err = g.Books.Findings(ctx, n.ID); err != nil {
			return d, err
		}
	}
	if d.Cases, err = g.cases(ctx, reconcile.CaseQuery{Day: day}); err != nil {
		return d, err
	}
	for _, c := range g.live {
		if c.Day < day {
			d.Cases = append(d.Cases, c) // carried over
		}
	}
	if d.Adjustments, err = g.adjustments(ctx, from, to); err != nil {
		return d, err
	}
	if d.Refunds, err = g.Books.Refunds(ctx, g.hospital, from, to); err != nil {
		return d, err
	}
	d.Settlements, err = g.Books.Settlements(ctx, g.hospital, day, day)
	return d, err
}

// mostRuns of a day that are looked at.
const mostRuns = 1000

// shown of a day's runs: the one that closed it, else the newest.
func shown(runs []reconcile.Night) (found reconcile.Night, ok bool) {
	for _, n := range runs {
		if n.Closed || !ok {
			found, ok = n, true
		}
	}
	return found, ok
}

// adjustments are what runs in [from, to) found otherwise about closed days, each
// against the run before it, so that every change is booked once.
func (g *gathering) adjustments(ctx context.Context, from, to time.Time) (all []Adjustment, err error) {
	ended, err := g.Books.NightsEnded(ctx, g.hospital, from, to)
	if err != nil {
		return nil, err
	}
	for _, n := range ended {
		if n.Closed {
			continue
		}
		runs, err := g.Books.Nights(ctx, g.hospital, n.Day, mostRuns)
		if err != nil {
			return nil, err
		}
		before, closed := runBefore(runs, n)
		if !closed {
			continue
		}
		earlier, err := g.Books.Findings(ctx, before.ID)
		if err != nil {
			return nil, err
		}
		later, err := g.Books.Findings(ctx, n.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range reconcile.Changes(earlier, later) {
			all = append(all, Adjustment{Day: n.Day, Run: n.Run, At: n.Ended, Change: c})
		}
	}
	return all, nil
}

// runBefore is the last run of the same day that was done before this one;
// closed says whether the day was by then.
func runBefore(runs []reconcile.Night, n reconcile.Night) (before reconcile.Night, closed bool) {
	for _, e := range runs {
		if e.Run >= n.Run || e.State != reconcile.NightDone {
			continue
		}
		if e.Run > before.Run {
			before = e
		}
		closed = closed || e.Closed
	}
	return before, closed
}
