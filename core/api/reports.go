package api

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/core/report"
)

// reportFormats are how a report is written, by the ending of its name.
var reportFormats = map[string]struct {
	media string
	write func(io.Writer, report.Document) error
	// shown in the browser, where others are kept as a file.
	shown bool
}{
	"html": {report.TypeHTML, report.HTML, true},
	"xlsx": {report.TypeXLSX, report.XLSX, false},
	"zip":  {report.TypeZIP, report.CSV, false},
	"json": {report.TypeJSON, report.JSON, true},
}

type oneReport struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	File     string `path:"file" maxLength:"20" pattern:"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?[.](html|xlsx|zip|json)$" patternDescription:"2026-01-05.xlsx or 2026-01.xlsx" doc:"a day or a month, and html, xlsx, zip (each table as CSV) or json: 2026-01-05.xlsx, 2026-01.zip"`
}

// reportFile is a report as it is sent.
type reportFile struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Security    string `header:"Content-Security-Policy"`
	Body        []byte
}

func (a *api) reports() {
	register(a, operation{
		id: "get-report", method: http.MethodGet, path: "/v1/hospitals/{hospital}/reports/{file}", right: mayRunNight, tag: "Nights",
		title: "Get the report of a day or a month", files: []string{"text/html", report.TypeXLSX, report.TypeZIP, report.TypeJSON},
		doc: "A day's report is that of the run that closed it, while none has of the newest. Its ages and decisions are of now. Money is in yuan; in JSON in fen.",
	}, func(ctx context.Context, rq *request, in *oneReport) (*reportFile, error) {
		return a.report(ctx, in.Hospital, in.File)
	})
}

// report writes one. Its name is a day or a month with the format's ending.
func (a *api) report(ctx context.Context, hospital, file string) (*reportFile, error) {
	period, ending, _ := strings.Cut(file, ".")
	format, ok := reportFormats[ending]
	if !ok {
		return nil, problem("not-found", "a report ends with .html, .xlsx, .zip or .json")
	}
	d, err := a.document(ctx, hospital, period)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := format.write(&out, d); err != nil {
		return nil, err
	}
	how := "attachment"
	if format.shown {
		how = "inline"
	}
	return &reportFile{
		ContentType: format.media, Body: out.Bytes(), Disposition: mime.FormatMediaType(how, map[string]string{"filename": d.FileName() + "." + ending}),
		// A report brings its style with it, and nothing else may be loaded or run.
		Security: "default-src 'none'; style-src " + report.StyleSource + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

// document of a day or a month.
func (a *api) document(ctx context.Context, hospital, period string) (report.Document, error) {
	g, err := a.gatherer(ctx, hospital)
	if err != nil {
		return report.Document{}, err
	}
	if day, err := time.Parse(time.DateOnly, period); err == nil {
		live, err := g.live(ctx)
		if err != nil {
			return report.Document{}, err
		}
		d, err := g.day(ctx, day.Format(time.DateOnly), live)
		return d.Document(), err
	}
	first, err := time.Parse("2006-01", period)
	if err != nil {
		return report.Document{}, invalid(core.Problems{{Field: "path.file", What: "not a day like 2026-01-05 or a month like 2026-01"}})
	}
	m, err := g.month(ctx, first)
	return m.Document(), err
}

// gatherer takes together what a hospital's reports are made of.
type gatherer struct {
	*api
	hospital string
	name     string
	place    reconcile.Place
	now      time.Time
	// nights are the hospital's runs, newest first.
	nights []reconcile.Night
}

// nightsBack bounds how far back adjustments are looked for: some years of nights.
const nightsBack = 5000

func (a *api) gatherer(ctx context.Context, hospital string) (*gatherer, error) {
	place, err := a.place(ctx, hospital)
	if err != nil {
		return nil, err
	}
	g := &gatherer{api: a, hospital: hospital, place: place, now: time.Now()}
	records, err := a.Store.Hospitals(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.ID == hospital {
			g.name = r.Name
		}
	}
	g.nights, err = a.Store.Nights(ctx, hospital, "", nightsBack)
	return g, err
}

// live are the cases that wait for somebody, newest first.
func (g *gatherer) live(ctx context.Context) ([]reconcile.Case, error) {
	return g.casesOf(ctx, reconcile.CaseQuery{Hospitals: []string{g.hospital}, Live: true})
}

func (g *gatherer) casesOf(ctx context.Context, q reconcile.CaseQuery) (all []reconcile.Case, err error) {
	q.Limit = 500
	for {
		page, next, err := g.caseList(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == 0 {
			return all, nil
		}
		q.Before = next
	}
}

// day gathers one day; carried are live cases of the hospital, of which those of
// later days are none of its business.
func (g *gatherer) day(ctx context.Context, day string, carried []reconcile.Case) (report.Day, error) {
	d := report.Day{Hospital: g.hospital, Name: g.name, Day: day, Zone: g.place.Zone, Made: g.now}
	from, to, err := g.place.NightRules.Day(day, g.place.Zone)
	if err != nil {
		return d, err
	}
	if n, ok := shownRun(g.nights, day); ok {
		d.Night = n
		if d.Findings, err = g.Store.Findings(ctx, n.ID); err != nil {
			return d, err
		}
	}
	if d.Cases, err = g.casesOf(ctx, reconcile.CaseQuery{Hospitals: []string{g.hospital}, Day: day}); err != nil {
		return d, err
	}
	for _, c := range carried {
		if c.Day < day {
			d.Cases = append(d.Cases, c)
		}
	}
	if d.Adjustments, err = g.adjustments(ctx, from, to); err != nil {
		return d, err
	}
	if d.Refunds, err = g.Store.Refunds(ctx, g.hospital, from, to); err != nil {
		return d, err
	}
	d.Settlements, err = g.Store.Settlements(ctx, g.hospital, day, day)
	return d, err
}

// shownRun of a day: the one that closed it, else the newest.
func shownRun(nights []reconcile.Night, day string) (found reconcile.Night, ok bool) {
	for _, n := range nights {
		if n.Day == day && (n.Closed || !ok) {
			found, ok = n, true
		}
	}
	return found, ok
}

// adjustments are what runs in [from, to) found otherwise about closed days, each
// against the run before it, so that every change is booked once.
func (g *gatherer) adjustments(ctx context.Context, from, to time.Time) (all []report.Adjustment, err error) {
	for i := len(g.nights) - 1; i >= 0; i-- {
		n := g.nights[i]
		if n.State != reconcile.NightDone || n.Ended.Before(from) || !n.Ended.Before(to) {
			continue
		}
		before, ok := runBefore(g.nights, n)
		if !ok {
			continue
		}
		earlier, err := g.Store.Findings(ctx, before.ID)
		if err != nil {
			return nil, err
		}
		later, err := g.Store.Findings(ctx, n.ID)
		if err != nil {
			return nil, err
		}
		for _, c := range reconcile.Changes(earlier, later) {
			all = append(all, report.Adjustment{Day: n.Day, Run: n.Run, At: n.Ended, Change: c})
		}
	}
	return all, nil
}

// runBefore is the last run of the same day that ended before this one, if the
// day was closed by then.
func runBefore(nights []reconcile.Night, n reconcile.Night) (before reconcile.Night, closed bool) {
	for _, e := range nights {
		if e.Day != n.Day || e.Run >= n.Run || e.State != reconcile.NightDone {
			continue
		}
		if e.Run > before.Run {
			before = e
		}
		closed = closed || e.Closed
	}
	return before, closed
}

func (g *gatherer) month(ctx context.Context, first time.Time) (report.Month, error) {
	m := report.Month{Hospital: g.hospital, Name: g.name, Month: first.Format("2006-01"), Zone: g.place.Zone, Made: g.now}
	today := g.now.In(g.place.Zone).Format(time.DateOnly)
	live, err := g.live(ctx)
	if err != nil {
		return m, err
	}
	for d := first; d.Month() == first.Month() && d.Format(time.DateOnly) < today; d = d.AddDate(0, 0, 1) {
		day, err := g.day(ctx, d.Format(time.DateOnly), live)
		if err != nil {
			return m, err
		}
		m.Days = append(m.Days, day)
	}
	return m, nil
}

// reportPage serves a report to somebody who is signed in on the pages.
func (p *pages) reportPage(w http.ResponseWriter, r *http.Request) {
	v, ok := p.visits.of(r)
	if !ok {
		http.Redirect(w, r, "/pages/login", http.StatusFound)
		return
	}
	requestOf(r.Context()).caller = v.caller
	hospital := r.PathValue("hospital")
	switch {
	case !v.caller.May(mayRunNight):
		p.problem(w, r, v, problem("forbidden", ""))
		return
	case !v.caller.Sees(hospital):
		p.problem(w, r, v, postgres.ErrNotFound)
		return
	}
	file, err := p.report(r.Context(), hospital, r.PathValue("file"))
	if err != nil {
		p.problem(w, r, v, err)
		return
	}
	w.Header().Set("Content-Type", file.ContentType)
	w.Header().Set("Content-Disposition", file.Disposition)
	w.Header().Set("Content-Security-Policy", file.Security)
	_, _ = w.Write(file.Body)
}
