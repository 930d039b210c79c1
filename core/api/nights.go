package api

import (
	"context"
	"net/http"
	"time"

	"hishub/core/postgres"
	"hishub/core/reconcile"
)

// NightBooks keeps the runs of nights.
type NightBooks interface {
	Nights(ctx context.Context, hospital, day string, limit int) ([]reconcile.Night, error)
	Findings(ctx context.Context, night int64) ([]reconcile.Finding, error)
}

// NightDetail is a run with what it found.
type NightDetail struct {
	reconcile.Night
	Differences int                 `json:"differences" doc:"how many findings somebody must look into"`
	Findings    []reconcile.Finding `json:"findings" doc:"all but the matched ones"`
	Changes     []reconcile.Change  `json:"changes" doc:"what the run before of this day found otherwise"`
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
}

type oneNight struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Day      string `path:"day" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05"`
	Run      int    `query:"run" minimum:"1" doc:"a run of this day; the newest without it"`
}

func (a *api) nights() {
	register(a, operation{
		id: "list-nights", method: http.MethodGet, path: "/v1/hospitals/{hospital}/nights", right: mayRunNight, tag: "Nights",
		title: "List a hospital's nights", doc: "Newest first.",
	}, func(ctx context.Context, rq *request, in *nightQuery) (*nightList, error) {
		nights, err := a.Store.Nights(ctx, in.Hospital, in.Day, in.Limit)
		out := &nightList{}
		out.Body.Nights = append([]reconcile.Night{}, nights...)
		return out, err
	})
	register(a, operation{
		id: "run-night", method: http.MethodPost, path: "/v1/hospitals/{hospital}/nights/{day}", right: mayRunNight, tag: "Nights",
		title: "Compare a day now", doc: "Asks the HIS for its ledger of that day and compares it with ours. A day that was run before is run again; earlier runs stay as they are.",
		errors: []int{409, 502},
	}, func(ctx context.Context, rq *request, in *nightRun) (*struct{ Body NightDetail }, error) {
		night, err := a.Nights.Run(ctx, reconcile.Ask{Hospital: in.Hospital, Day: in.Day, Who: rq.who()})
		if err != nil {
			return nil, unanswered(rq, err)
		}
		findings, err := a.Store.Findings(ctx, night.ID)
		if err != nil {
			return nil, err
		}
		return a.compared(ctx, night, findings)
	})
	register(a, operation{
		id: "get-night", method: http.MethodGet, path: "/v1/hospitals/{hospital}/nights/{day}", right: mayRunNight, tag: "Nights",
		title: "See a night", doc: "With its findings, and what the run before of the same day found otherwise.",
	}, func(ctx context.Context, rq *request, in *oneNight) (*struct{ Body NightDetail }, error) {
		d, err := a.night(ctx, in.Hospital, in.Day, in.Run)
		if err != nil {
			return nil, err
		}
		return &struct{ Body NightDetail }{d}, nil
	})
}

// runsOfADay bounds how far back a run is looked for.
const runsOfADay = 1000

// night finds a run of a day; 0 is the newest.
func (a *api) night(ctx context.Context, hospital, day string, run int) (NightDetail, error) {
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
			d, err := a.compared(ctx, n, findings)
			if err != nil {
				return NightDetail{}, err
			}
			return d.Body, nil
		}
	}
	return NightDetail{}, postgres.ErrNotFound
}

// compared adds what changed against the run before that ended.
func (a *api) compared(ctx context.Context, n reconcile.Night, findings []reconcile.Finding) (*struct{ Body NightDetail }, error) {
	d := NightDetail{Night: n, Differences: n.Differences(), Findings: append([]reconcile.Finding{}, findings...), Changes: []reconcile.Change{}}
	nights, err := a.Store.Nights(ctx, n.Hospital, n.Day, runsOfADay)
	if err != nil {
		return nil, err
	}
	for _, earlier := range nights {
		if earlier.Run >= n.Run || earlier.State != reconcile.NightDone || n.State != reconcile.NightDone {
			continue
		}
		before, err := a.Store.Findings(ctx, earlier.ID)
		if err != nil {
			return nil, err
		}
		d.Changes = append(d.Changes, reconcile.Changes(before, findings)...)
		break
	}
	return &struct{ Body NightDetail }{d}, nil
}

// yesterday is the day that a person most likely wants to compare.
func yesterday(now time.Time) string { return now.AddDate(0, 0, -1).Format(time.DateOnly) }
