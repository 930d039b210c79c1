package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/core/report"
)

// NightBooks keeps the runs of nights.
type NightBooks interface {
	report.Books
	Days(ctx context.Context, hospital, from, to string) (closed, unsettled []string, err error)
}

// NightDetail is a run with what it found.
type NightDetail struct {
	reconcile.Night
	Differences int                 `json:"differences" doc:"how many findings somebody must look into"`
	Findings    []reconcile.Finding `json:"findings" doc:"all but the matched ones"`
	Against     int                 `json:"against,omitempty" doc:"the run that changes are told against: the one that closed the day, or while there is none before it the one before"`
	Changes     []reconcile.Change  `json:"changes" doc:"what this run found otherwise than that one; of a day that was closed before, its adjustments"`
}

type nightQuery struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Day      string `query:"day" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05"`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type nightList struct {
	Body struct {
		Nights []reconcile.Night `json:"nights"`
	}
}

type nightRun struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Day      string `path:"day" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05"`
	Body     struct {
		Full bool `json:"full,omitempty" doc:"ask the HIS for each entry, whatever its totals say"`
	}
}

type nightAnswer struct {
	Status int
	Body   NightDetail
}

type oneNight struct {
	Hospital string            `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Day      string            `path:"day" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05"`
	Run      int               `query:"run" minimum:"1" maximum:"2147483647" doc:"a run of this day; the newest without it"`
	Class    []reconcile.Class `query:"class" maxItems:"12" enum:"in_transit,refund_in_transit,cross_day,excluded,missing_at_his,missing_here,without_money,paid_twice,amount_differs,state_differs,repeated,ambiguous" doc:"only findings of these classes, with commas between"`
}

type backfill struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Body     struct {
		From string `json:"from" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05" doc:"the first day"`
		To   string `json:"to" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05" doc:"the last day; at most 92 days, and over at the hospital"`
		Full bool   `json:"full,omitempty" doc:"ask the HIS for each entry, whatever its totals say"`
	}
}

// Backfilling is what a backfill set going.
type Backfilling struct {
	Days   []string `json:"days" doc:"that are run now, the oldest first; each night's own state tells how far it is"`
	Closed int      `json:"closed" doc:"days of the span that are closed, and are not run again"`
}

func (a *api) nights() {
	register(a, operation{
		id: "list-nights", method: http.MethodGet, path: "/v1/hospitals/{hospital}/nights", right: mayRunNight, tag: "Nights",
		title: "List a hospital's nights", doc: "Newest first. One that waits for somebody's books says in `problem` for whose, and runs again by itself.",
	}, func(ctx context.Context, rq *request, in *nightQuery) (*nightList, error) {
		if in.Day != "" {
			if err := reconcile.KnownDay("query.day", in.Day); err != nil {
				return nil, err
			}
		}
		nights, err := a.Store.Nights(ctx, in.Hospital, in.Day, in.Limit)
		out := &nightList{}
		out.Body.Nights = append([]reconcile.Night{}, nights...)
		return out, err
	})
	register(a, operation{
		id: "run-night", method: http.MethodPost, path: "/v1/hospitals/{hospital}/nights/{day}", right: mayRunNight, tag: "Nights",
		title: "Compare a day now", doc: "Takes everybody's books of that day and compares them. A day that was run before is run again; earlier runs stay as they are, and what is found otherwise is an adjustment.",
		later: "it is still going on after 25 seconds, and goes on; see the night for its `stage`, `done` and end", errors: []int{409, 502},
	}, func(ctx context.Context, rq *request, in *nightRun) (*nightAnswer, error) {
		return a.runNight(ctx, rq, reconcile.Ask{Hospital: in.Hospital, Day: in.Day, Who: rq.who(), Full: in.Body.Full})
	})
	register(a, operation{
		id: "backfill-nights", method: http.MethodPost, path: "/v1/hospitals/{hospital}/nights:backfill", right: mayRunNight, tag: "Nights",
		title: "Compare the missing days of a span", doc: "Runs those that are not closed, one after the other.", status: http.StatusAccepted, errors: []int{409},
	}, func(ctx context.Context, rq *request, in *backfill) (*struct{ Body Backfilling }, error) {
		b, err := a.backfill(ctx, reconcile.Ask{Hospital: in.Hospital, Who: rq.who(), Full: in.Body.Full}, in.Body.From, in.Body.To)
		if err != nil {
			return nil, err
		}
		return &struct{ Body Backfilling }{b}, nil
	})
	register(a, operation{
		id: "get-night", method: http.MethodGet, path: "/v1/hospitals/{hospital}/nights/{day}", right: mayRunNight, tag: "Nights",
		title: "See a night", doc: "With its findings, and what it found otherwise than the run that closed the day.",
	}, func(ctx context.Context, rq *request, in *oneNight) (*struct{ Body NightDetail }, error) {
		d, err := a.night(ctx, in.Hospital, in.Day, in.Run)
		if err != nil {
			return nil, err
		}
		if len(in.Class) > 0 {
			d.Findings = slices.DeleteFunc(d.Findings, func(f reconcile.Finding) bool { return !slices.Contains(in.Class, f.Class) })
		}
		return &struct{ Body NightDetail }{d}, nil
	})
}

// place of a hospital; a process that was given none cannot tell its zone.
func (a *api) place(ctx context.Context, hospital string) (reconcile.Place, error) {
	if a.Place == nil {
		return reconcile.Place{}, fmt.Errorf("the zone of hospital %s: api.Options.Place is not set", hospital)
	}
	p, err := a.Place(ctx, hospital)
	if err == nil && p.Zone == nil {
		p.Zone = time.UTC
	}
	return p, err
}

// runNight starts a run and shows it, ended or not.
func (a *api) runNight(ctx context.Context, rq *request, ask reconcile.Ask) (*nightAnswer, error) {
	if err := reconcile.KnownDay("path.day", ask.Day); err != nil {
		return nil, err
	}
	result, ended := a.runs.wait(ctx, a.runs.start(ask))
	if !ended {
		newest, err := a.Store.Nights(ctx, ask.Hospital, ask.Day, 1)
		if err != nil {
			return nil, err
		}
		n := reconcile.Night{Hospital: ask.Hospital, Day: ask.Day, State: reconcile.NightRunning, Who: ask.Who}
		if len(newest) > 0 && newest[0].State == reconcile.NightRunning {
			n = newest[0]
		}
		return &nightAnswer{http.StatusAccepted, detailOf(n, nil)}, nil
	}
	var fault *core.Fault
	if result.err != nil && (result.night.State != reconcile.NightFailed || errors.As(result.err, &fault)) {
		return nil, unanswered(rq, ask.Hospital, result.err)
	}
	// One that failed for another reason is shown: it says why itself.
	findings, err := a.Store.Findings(ctx, result.night.ID)
	if err != nil {
		return nil, err
	}
	d, err := a.compared(ctx, result.night, findings)
	return &nightAnswer{http.StatusOK, d}, err
}

// backfill starts the runs of the days from..to that are not closed.
func (a *api) backfill(ctx context.Context, ask reconcile.Ask, from, to string) (Backfilling, error) {
	place, err := a.place(ctx, ask.Hospital)
	if err != nil {
		return Backfilling{}, err
	}
	now := time.Now
	if a.now != nil {
		now = a.now
	}
	missing, closed, err := place.Backlog(ctx, a.Store, ask.Hospital, from, to, now())
	if err != nil {
		return Backfilling{}, err
	}
	if len(missing) > 0 && !a.runs.fill(ask, missing) {
		return Backfilling{}, problem("in-progress", "days of this hospital are being run already; see its nights")
	}
	return Backfilling{Days: append([]string{}, missing...), Closed: closed}, nil
}

// runsOfADay bounds how far back a run is looked for.
const runsOfADay = 1000

// night finds a run of a day; 0 is the newest.
func (a *api) night(ctx context.Context, hospital, day string, run int) (NightDetail, error) {
	if err := reconcile.KnownDay("path.day", day); err != nil {
		return NightDetail{}, err
	}
	nights, err := a.Store.Nights(ctx, hospital, day, runsOfADay)
	if err != nil {
		return NightDetail{}, err
	}
	for _, n := range nights {
		if run == 0 || n.Run == run {
			findings, err := a.Store.Findings(ctx, n.ID)
			if err != nil {
				return NightDetail{}, err
			}
			return a.compared(ctx, n, findings)
		}
	}
	return NightDetail{}, postgres.ErrNotFound
}

func detailOf(n reconcile.Night, findings []reconcile.Finding) NightDetail {
	return NightDetail{Night: n, Differences: n.Differences(), Findings: append([]reconcile.Finding{}, findings...), Changes: []reconcile.Change{}}
}

// compared adds what changed against the run that closed the day.
func (a *api) compared(ctx context.Context, n reconcile.Night, findings []reconcile.Finding) (NightDetail, error) {
	d := detailOf(n, findings)
	if n.State != reconcile.NightDone {
		return d, nil
	}
	nights, err := a.Store.Nights(ctx, n.Hospital, n.Day, runsOfADay)
	if err != nil {
		return d, err
	}
	earlier, ok := standard(nights, n.Run)
	if !ok {
		return d, nil
	}
	before, err := a.Store.Findings(ctx, earlier.ID)
	if err != nil {
		return d, err
	}
	d.Against = earlier.Run
	d.Changes = append(d.Changes, reconcile.Changes(before, findings)...)
	return d, nil
}

// standard is the run of a day that a later one is told against: the one that
// closed the day, else the one before that ended. nights are newest first.
func standard(nights []reconcile.Night, run int) (found reconcile.Night, ok bool) {
	for _, n := range nights {
		if n.Run >= run || n.State != reconcile.NightDone {
			continue
		}
		if n.Closed {
			return n, true
		}
		if !ok {
			found, ok = n, true
		}
	}
	return found, ok
}

// yesterday is the day that a person most likely wants to compare.
func yesterday(now time.Time) string { return now.AddDate(0, 0, -1).Format(time.DateOnly) }
