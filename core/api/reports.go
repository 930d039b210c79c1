package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"hishub/core"
	"hishub/core/postgres"
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
	g := report.Gatherer{Books: a.Store, Place: a.place}
	d, err := g.Document(ctx, hospital, period)
	if ps := (core.Problems)(nil); errors.As(err, &ps) {
		return nil, invalid(core.Problems{{Field: "path.file", What: ps[0].What}})
	} else if err != nil {
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

// reportPage serves a report to somebody who is signed in on the pages.
func (p *pages) reportPage(w http.ResponseWriter, r *http.Request) {
	v, ok := p.visits.of(r)
	if !ok {
		http.Redirect(w, r, "/pages/login", http.StatusFound)
		return
	}
	requestOf(r.Context()).is(v.caller)
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
