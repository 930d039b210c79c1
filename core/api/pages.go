package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hishub/core/delivery"
	"hishub/core/postgres"
)

// The pages show what the API shows, to people, without any script. They are
// rendered from the same answers, so that they can show nothing more.

// frame is what every page knows.
type frame struct {
	At     string
	Caller Caller
	CSRF   string
	// May what the page offers buttons for.
	MayDecide, MayPause, MayNights, MayCases, MayApprove bool
	Page                                                 any
}

var pageFuncs = template.FuncMap{
	"lower": strings.ToLower,
	"at":    func(t any) string { return moment(t, "2006-01-02 15:04:05 Z07:00") },
	"ago":   ago,
	"acts":  func(f frame, m Message) acts { return acts{m, f.CSRF} },
}

// acts is what the buttons of a message need.
type acts struct {
	Message Message
	CSRF    string
}

func moment(t any, layout string) string {
	switch t := t.(type) {
	case time.Time:
		if !t.IsZero() {
			return t.Format(layout) // in its own zone: that of the hospital for what a night found
		}
	case *time.Time:
		if t != nil {
			return t.Local().Format(layout)
		}
	}
	return ""
}

// ago says how long ago something was, roughly.
func ago(t any) string {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case *time.Time:
		if t != nil {
			at = *t
		}
	}
	if at.IsZero() {
		return ""
	}
	switch d := time.Since(at); {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func indented(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

var pageTemplates = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range []string{"login", "hospitals", "messages", "message", "parked", "nights", "night", "cases", "case", "problem"} {
		all[name] = template.Must(template.New(name).Funcs(pageFuncs).ParseFS(files, "pages/frame.html", "pages/"+name+".html"))
	}
	return all
}()

// pageHeaders allow the style sheet, the pages' own forms and nothing else.
func pageHeaders(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
}

func render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var out bytes.Buffer
	if err := pageTemplates[name].ExecuteTemplate(&out, name+".html", data); err != nil {
		requestOf(r.Context()).log.Error("render a page", "page", name, "error", err)
		writeProblem(w, problem("internal", ""))
		return
	}
	pageHeaders(w)
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

func (a *api) pages(mux *http.ServeMux) {
	visits := &visits{callers: a.callers, open: map[string]visit{}}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/pages/hospitals", http.StatusFound)
	})
	mux.HandleFunc("GET /pages/style.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		http.ServeFileFS(w, r, files, "pages/style.css")
	})
	mux.HandleFunc("GET /pages/login", func(w http.ResponseWriter, r *http.Request) {
		render(w, r, http.StatusOK, "login", "")
	})
	mux.HandleFunc("POST /pages/login", func(w http.ResponseWriter, r *http.Request) { a.login(w, r, visits) })
	mux.HandleFunc("POST /pages/logout", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(cookieName); err == nil {
			visits.end(c.Value)
		}
		http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: a.Secure})
		http.Redirect(w, r, "/pages/login", http.StatusSeeOther)
	})

	p := &pages{a, visits}
	p.page(mux, "hospitals", mayRead, "/pages/hospitals", p.hospitals)
	p.page(mux, "messages", mayRead, "/pages/messages", p.messages)
	p.page(mux, "message", mayRead, "/pages/messages/{id}", p.message)
	p.page(mux, "parked", mayRead, "/pages/parked", p.parked)
	p.page(mux, "nights", mayRunNight, "/pages/nights", p.nights)
	p.page(mux, "night", mayRunNight, "/pages/nights/{hospital}/{day}", p.night)
	p.act(mux, mayPause, "/pages/hospitals/{hospital}/{verb}", p.pause)
	p.act(mux, mayDecide, "/pages/messages/{id}/{verb}", p.decide)
	p.act(mux, mayDecide, "/pages/messages/{id}/proposals/{p}/{verb}", p.second)
	p.act(mux, mayRunNight, "/pages/nights", p.runNight)
	p.page(mux, "cases", mayCases, "/pages/cases", p.cases)
	p.page(mux, "case", mayCases, "/pages/cases/{id}", p.caseOf)
	p.act(mux, mayCases, "/pages/cases/{id}/{verb}", p.onCase)
	p.act(mux, mayApprove, "/pages/cases/{id}/repairs/{repair}/{verb}", p.onRepair)
	mux.HandleFunc("GET /pages/reports/{hospital}/{file}", p.reportPage)
}

// pages are the pages of one API.
type pages struct {
	*api
	visits *visits
}

// page adds a page: what it shows is what look returns.
func (p *pages) page(mux *http.ServeMux, name string, right Right, path string, look func(ctx context.Context, c Caller, r *http.Request) (any, error)) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		v, ok := p.visits.of(r)
		if !ok {
			http.Redirect(w, r, "/pages/login", http.StatusFound)
			return
		}
		requestOf(r.Context()).is(v.caller)
		if !v.caller.May(right) {
			p.problem(w, r, v, problem("forbidden", ""))
			return
		}
		data, err := look(r.Context(), v.caller, r)
		if err != nil {
			p.problem(w, r, v, err)
			return
		}
		render(w, r, http.StatusOK, name, p.frame(v, name, data))
	})
}

func (p *pages) frame(v visit, name string, data any) frame {
	at := map[string]string{"message": "messages", "night": "nights", "case": "cases"}[name]
	if at == "" {
		at = name
	}
	return frame{
		At: at, Caller: v.caller, CSRF: v.csrf, Page: data,
		MayDecide: v.caller.May(mayDecide), MayPause: v.caller.May(mayPause), MayNights: v.caller.May(mayRunNight),
		MayCases: v.caller.May(mayCases), MayApprove: v.caller.May(mayApprove),
	}
}

func (p *pages) problem(w http.ResponseWriter, r *http.Request, v visit, err error) {
	found := problemOf(r.Context(), requestOf(r.Context()).log, err)
	render(w, r, found.Status, "problem", p.frame(v, "", found))
}

// act adds something that a form does; do returns where to go afterwards.
func (p *pages) act(mux *http.ServeMux, right Right, path string, do func(ctx context.Context, rq *request, r *http.Request) (to string, err error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		v, ok := p.visits.of(r)
		if !ok {
			http.Redirect(w, r, "/pages/login", http.StatusSeeOther)
			return
		}
		rq := requestOf(r.Context())
		rq.is(v.caller)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		switch {
		case !v.genuine(r):
			p.problem(w, r, v, problem("forbidden", "the form is not of this session; load the page again"))
			return
		case !v.caller.May(right):
			p.problem(w, r, v, problem("forbidden", ""))
			return
		}
		to, err := do(r.Context(), rq, r)
		if err != nil {
			p.problem(w, r, v, err)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
}

func (p *pages) hospitals(ctx context.Context, c Caller, _ *http.Request) (any, error) {
	return p.lights(ctx, c)
}

func (p *pages) pause(ctx context.Context, rq *request, r *http.Request) (string, error) {
	hospital := r.PathValue("hospital")
	if !rq.caller.Sees(hospital) {
		return "", problem("not-found", "")
	}
	switch r.PathValue("verb") {
	case "pause":
		return "/pages/hospitals", p.Store.Pause(ctx, hospital, rq.who(), why(r))
	case "resume":
		return "/pages/hospitals", p.Store.Resume(ctx, hospital, rq.who(), why(r))
	}
	return "", problem("not-found", "")
}

// why is the note of a form.
func why(r *http.Request) string {
	text := strings.TrimSpace(r.PostFormValue("note"))
	if text == "" {
		return "on the pages"
	}
	return text[:min(len(text), 500)]
}

func (p *pages) decide(ctx context.Context, rq *request, r *http.Request) (string, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return "", problem("not-found", "")
	}
	if _, _, err := p.api.message(ctx, rq.caller, id); err != nil {
		return "", err
	}
	to := fmt.Sprintf("/pages/messages/%d", id)
	switch r.PathValue("verb") {
	case "retry":
		return to, p.Store.Retry(ctx, id, rq.who())
	case "release":
		return to, p.Store.Release(ctx, id, rq.who(), postgres.Again, why(r))
	case "confirm":
		return to, p.Store.Release(ctx, id, rq.who(), postgres.Confirmed, why(r))
	case "cancel":
		_, err := p.Store.Cancel(ctx, id, rq.who(), why(r))
		return to, err
	}
	return "", problem("not-found", "")
}

// second is the second person's decision about a correction.
func (p *pages) second(ctx context.Context, rq *request, r *http.Request) (string, error) {
	id, err1 := strconv.ParseInt(r.PathValue("id"), 10, 64)
	number, err2 := strconv.ParseInt(r.PathValue("p"), 10, 64)
	if err1 != nil || err2 != nil {
		return "", problem("not-found", "")
	}
	if _, err := p.proposal(ctx, rq.caller, id, number); err != nil {
		return "", err
	}
	switch r.PathValue("verb") {
	case "approve":
		got, err := p.Store.ApproveCorrection(ctx, number, rq.who(), why(r))
		return fmt.Sprintf("/pages/messages/%d", got.ID), err
	case "reject":
		return fmt.Sprintf("/pages/messages/%d", id), p.Store.RejectCorrection(ctx, number, rq.who(), why(r))
	}
	return "", problem("not-found", "")
}

// parkedPage lists what waits for a person.
type parkedPage struct {
	Parked    []Message
	Proposals []Proposal
	Next      string
}

func (p *pages) parked(ctx context.Context, c Caller, r *http.Request) (any, error) {
	f, err := MessageFilter{State: delivery.Parked, Hospital: r.URL.Query().Get("hospital")}.of(c)
	if err != nil {
		return nil, err
	}
	found, next, err := p.Store.List(ctx, f, r.URL.Query().Get("cursor"), 50)
	if err != nil {
		return nil, err
	}
	var page parkedPage
	for _, m := range found {
		// Lists come without the HIS's words; here they are what people look for.
		m, _, err := p.Store.Message(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		page.Parked = append(page.Parked, shown(m, c))
	}
	if next != "" {
		page.Next = "?cursor=" + next
	}
	if c.May(mayDecide) {
		proposals, err := p.Store.Proposals(ctx, c.scope())
		if err != nil {
			return nil, err
		}
		for _, x := range proposals {
			page.Proposals = append(page.Proposals, shownProposal(x))
		}
	}
	return page, nil
}
