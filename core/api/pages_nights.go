package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"hishub/core/reconcile"
)

// nightsPage lists the last runs of the hospitals in scope.
type nightsPage struct {
	Hospitals []Hospital
	Yesterday string
	Nights    []reconcile.Night
}

func (p *pages) nights(ctx context.Context, c Caller, _ *http.Request) (any, error) {
	page := nightsPage{Yesterday: yesterday(time.Now())}
	var err error
	if page.Hospitals, err = p.lights(ctx, c); err != nil {
		return nil, err
	}
	all, err := p.Store.Nights(ctx, "", "", 200)
	for _, n := range all {
		if c.Sees(n.Hospital) {
			page.Nights = append(page.Nights, n)
		}
	}
	return page, err
}

// nightPage is one run. Differences come first, and only so many of the rest.
type nightPage struct {
	NightDetail
	Classes []reconcile.Class
}

func (p *pages) night(ctx context.Context, c Caller, r *http.Request) (any, error) {
	hospital := r.PathValue("hospital")
	if !c.Sees(hospital) {
		return nil, problem("not-found", "")
	}
	if _, err := time.Parse(time.DateOnly, r.PathValue("day")); err != nil {
		return nil, problem("not-found", "")
	}
	run, _ := strconv.Atoi(r.URL.Query().Get("run"))
	d, err := p.api.night(ctx, hospital, r.PathValue("day"), run)
	return nightPage{d, reconcile.Classes}, err
}

func (p *pages) runNight(ctx context.Context, rq *request, r *http.Request) (string, error) {
	hospital, day := r.PostFormValue("hospital"), r.PostFormValue("day")
	if !rq.caller.Sees(hospital) || hospital == "" {
		return "", problem("not-found", "")
	}
	if _, err := p.Nights.Run(ctx, reconcile.Ask{Hospital: hospital, Day: day, Who: rq.who()}); err != nil {
		return "", unanswered(rq, err)
	}
	return "/pages/nights/" + url.PathEscape(hospital) + "/" + url.PathEscape(day), nil
}
