package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"hishub/core"
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

// nightPage is one run: everybody's totals, then the differences with their
// cases, then only so many of the rest.
type nightPage struct {
	NightDetail
	Totals      []nightTotal
	Classes     []classCount
	Differences []nightFinding
	Rest        []nightFinding
	More        int // of the rest
	Runs        []reconcile.Night
}

// nightTotal is what the parties have of one channel and type.
type nightTotal struct {
	Channel core.Channel
	Type    core.EntryType
	Parties []partyTotal // in the order of reconcile.Parties
}

type partyTotal struct {
	Count  int64
	Amount core.Fen
}

type classCount struct {
	reconcile.Meaning
	Count  int
	Amount core.Fen
}

type nightFinding struct {
	reconcile.Finding
	Case int64
}

// restShown is how many findings that are no differences a page shows; the
// report has all.
const restShown = 200

func (p *pages) night(ctx context.Context, c Caller, r *http.Request) (any, error) {
	hospital, day := r.PathValue("hospital"), r.PathValue("day")
	if !c.Sees(hospital) {
		return nil, problem("not-found", "")
	}
	if reconcile.KnownDay("day", day) != nil {
		return nil, problem("not-found", "")
	}
	run, _ := strconv.Atoi(r.URL.Query().Get("run"))
	d, err := p.api.night(ctx, hospital, day, run)
	if err != nil {
		return nil, err
	}
	page := nightPage{NightDetail: d, Totals: totals(d.Lines), Classes: classCounts(d.Night)}
	if page.Runs, err = p.Store.Nights(ctx, hospital, day, 50); err != nil {
		return nil, err
	}
	cases, _, err := p.caseList(ctx, reconcile.CaseQuery{Hospitals: []string{hospital}, Day: day, Limit: 500})
	if err != nil {
		return nil, err
	}
	for _, f := range d.Findings {
		found := nightFinding{Finding: f}
		if i := slices.IndexFunc(cases, func(c reconcile.Case) bool { return c.Type == f.Type && c.Number == f.Number }); i >= 0 {
			found.Case = cases[i].ID
		}
		switch {
		case f.Class.Difference():
			page.Differences = append(page.Differences, found)
		case len(page.Rest) < restShown:
			page.Rest = append(page.Rest, found)
		default:
			page.More++
		}
	}
	return page, nil
}

// totals pools the lines of each channel and type.
func totals(lines []reconcile.Line) (all []nightTotal) {
	for _, l := range lines {
		party := slices.Index(reconcile.Parties, l.Party)
		if party < 0 {
			continue
		}
		i := slices.IndexFunc(all, func(t nightTotal) bool { return t.Channel == l.Channel && t.Type == l.Type })
		if i < 0 {
			i = len(all)
			all = append(all, nightTotal{l.Channel, l.Type, make([]partyTotal, len(reconcile.Parties))})
		}
		all[i].Parties[party].Count += l.Count
		all[i].Parties[party].Amount += l.Amount
	}
	return all
}

func classCounts(n reconcile.Night) (all []classCount) {
	for _, m := range reconcile.Meanings {
		if k := n.Counts[m.Class]; k > 0 {
			all = append(all, classCount{m, k, n.Amounts[m.Class]})
		}
	}
	return all
}

func (p *pages) runNight(ctx context.Context, rq *request, r *http.Request) (string, error) {
	hospital, day := r.PostFormValue("hospital"), r.PostFormValue("day")
	if !rq.caller.Sees(hospital) || hospital == "" {
		return "", problem("not-found", "")
	}
	ask := reconcile.Ask{Hospital: hospital, Day: day, Who: rq.who(), Full: r.PostFormValue("full") != ""}
	if _, err := p.api.runNight(ctx, rq, ask); err != nil {
		return "", err
	}
	return "/pages/nights/" + url.PathEscape(hospital) + "/" + url.PathEscape(day), nil
}

// casesPage is the form of the list, and what it found.
type casesPage struct {
	Hospital, State, Class, Day, Number string
	Hospitals                           []Hospital
	Classes                             []reconcile.Meaning
	Found                               []reconcile.Case
	Next                                string // address of the next page
}

func (p *pages) cases(ctx context.Context, c Caller, r *http.Request) (any, error) {
	q := r.URL.Query()
	page := casesPage{Hospital: q.Get("hospital"), State: q.Get("state"), Class: q.Get("class"), Day: q.Get("day"), Number: q.Get("number")}
	for _, m := range reconcile.Meanings {
		if m.Difference {
			page.Classes = append(page.Classes, m)
		}
	}
	var err error
	if page.Hospitals, err = p.lights(ctx, c); err != nil {
		return nil, err
	}
	hospitals := c.scope()
	if page.Hospital != "" {
		if !c.Sees(page.Hospital) {
			return nil, problem("not-found", "")
		}
		hospitals = []string{page.Hospital}
	}
	query := reconcile.CaseQuery{Hospitals: hospitals, Class: reconcile.Class(page.Class), Number: page.Number, Limit: 50}
	if reconcile.KnownDay("day", page.Day) == nil {
		query.Day = page.Day
	}
	switch page.State {
	case "all":
	case "":
		query.Live = true
	default:
		query.State = reconcile.CaseState(page.State)
	}
	query.Before, _ = strconv.ParseInt(q.Get("before"), 10, 64)
	found, next, err := p.caseList(ctx, query)
	page.Found = found
	if next > 0 {
		q.Set("before", strconv.FormatInt(next, 10))
		page.Next = "?" + q.Encode()
	}
	return page, err
}

// casePage is all that is known of one difference.
type casePage struct {
	CaseDetail
	Sides []side
	// Open tells that the case's repair waits for a yes.
	Open bool
}

// side is what one party's books have.
type side struct {
	Party   reconcile.Party
	Chinese string
	Entries []reconcile.Entry
}

var sides = map[reconcile.Party]string{reconcile.Channel: "渠道账单", reconcile.Ours: "平台", reconcile.HIS: "医院"}

func (p *pages) caseOf(ctx context.Context, c Caller, r *http.Request) (any, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, problem("not-found", "")
	}
	d, err := p.caseDetail(ctx, c, id)
	if err != nil {
		return nil, err
	}
	page := casePage{CaseDetail: d, Open: d.Repair != nil && d.Repair.State == reconcile.RepairProposed}
	for _, party := range reconcile.Parties {
		page.Sides = append(page.Sides, side{party, sides[party], d.Finding.Entries(party)})
	}
	return page, nil
}

// onCase does what a form of the case's page says.
func (p *pages) onCase(ctx context.Context, rq *request, r *http.Request) (string, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return "", problem("not-found", "")
	}
	_, err = p.api.onCase(ctx, rq, id, func(d CaseDetail) error {
		switch r.PathValue("verb") {
		case "note":
			return p.Store.Note(ctx, id, rq.who(), why(r))
		case "assign":
			owner := r.PostFormValue("owner")
			if owner == "" || len(owner) > 64 {
				return invalid(core.Problems{{Field: "owner", What: "missing, or longer than 64 characters"}})
			}
			return p.Store.Assign(ctx, id, rq.who(), owner)
		case "propose":
			params := reconcile.Params{
				VisitNo: r.PostFormValue("visit_no"), PatientNo: r.PostFormValue("patient_no"), Bill: r.PostFormValue("bill"), OrderID: r.PostFormValue("order_id"),
			}
			if max(len(params.VisitNo), len(params.PatientNo), len(params.OrderID)) > 64 || len(params.Bill) > 500 {
				return invalid(core.Problems{{Field: "params", What: "longer than 64 characters, or bills longer than 500"}})
			}
			return p.propose(ctx, rq, d, reconcile.Action(r.PostFormValue("action")), params, why(r))
		}
		return problem("not-found", "")
	})
	return "/pages/cases/" + strconv.FormatInt(id, 10), err
}

// onRepair approves or rejects the case's repair.
func (p *pages) onRepair(ctx context.Context, rq *request, r *http.Request) (string, error) {
	id, err1 := strconv.ParseInt(r.PathValue("id"), 10, 64)
	repair, err2 := strconv.ParseInt(r.PathValue("repair"), 10, 64)
	if err1 != nil || err2 != nil {
		return "", problem("not-found", "")
	}
	_, err := p.api.onCase(ctx, rq, id, func(d CaseDetail) error {
		switch r.PathValue("verb") {
		case "approve":
			return p.approve(ctx, rq, d, repair, why(r))
		case "reject":
			return p.reject(ctx, rq, d, repair, why(r))
		}
		return problem("not-found", "")
	})
	return "/pages/cases/" + strconv.FormatInt(id, 10), err
}
