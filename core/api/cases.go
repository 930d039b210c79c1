package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
)

// CaseBooks keeps the cases of differences and what people do about them.
type CaseBooks interface {
	Cases(ctx context.Context, q reconcile.CaseQuery) ([]reconcile.Case, error)
	Case(ctx context.Context, id int64) (reconcile.Case, []reconcile.Trail, error)
	Note(ctx context.Context, id int64, who, note string) error
	Assign(ctx context.Context, id int64, who, owner string) error
	Propose(ctx context.Context, id int64, action reconcile.Action, p reconcile.Params, who, note string) (reconcile.Repair, error)
	Reject(ctx context.Context, repair int64, who, note string) (reconcile.Repair, error)
}

// Repairs carries a repair out once enough people have approved it (*reconcile.Repairs).
type Repairs interface {
	Approve(ctx context.Context, repair int64, who, note string) (reconcile.Repair, error)
}

// CaseDetail is a case with its trail. It names no patient.
type CaseDetail struct {
	reconcile.Case
	Chinese string             `json:"chinese" doc:"finance's word for the class"`
	Allowed []reconcile.Action `json:"allowed" doc:"repairs that can be proposed"`
	Trail   []reconcile.Trail  `json:"trail"`
}

type caseQuery struct {
	Hospital string              `query:"hospital" maxLength:"64" doc:"only this one's"`
	State    reconcile.CaseState `query:"state" enum:"open,repairing,resolved,written_off"`
	Class    reconcile.Class     `query:"class" enum:"missing_at_his,missing_here,without_money,paid_twice,amount_differs,state_differs,repeated,ambiguous"`
	Day      string              `query:"day" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05"`
	Number   string              `query:"number" maxLength:"64" doc:"ours, or what the entry has in its place"`
	Live     bool                `query:"live" doc:"only those that are neither resolved nor written off"`
	Before   int64               `query:"before" minimum:"1" doc:"only cases with a smaller id: the next page"`
	Limit    int                 `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type caseList struct {
	Body struct {
		Cases []reconcile.Case `json:"cases" doc:"newest first"`
		Next  int64            `json:"next,omitempty" doc:"the value of before for the next page; missing on the last"`
	}
}

type oneCase struct {
	ID int64 `path:"id" minimum:"1"`
}

type notedCase struct {
	ID   int64 `path:"id" minimum:"1"`
	Body Note
}

type assignedCase struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Owner string `json:"owner" minLength:"1" maxLength:"64" doc:"finance, operations, hospital_it, or a person"`
	}
}

type proposedRepair struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Action reconcile.Action `json:"action" enum:"resend,reverse,pay_back,record,write_off"`
		Params reconcile.Params `json:"params,omitempty" doc:"what the finding does not say itself"`
		Note
	}
}

type decidedRepair struct {
	ID     int64 `path:"id" minimum:"1"`
	Repair int64 `path:"repair" minimum:"1" doc:"the repair's number"`
	Body   Note
}

type caseAnswer struct{ Body CaseDetail }

func (a *api) cases() {
	register(a, operation{
		id: "list-cases", method: http.MethodGet, path: "/v1/cases", right: mayCases, tag: "Cases",
		title: "List the cases of differences", errors: []int{404},
	}, func(ctx context.Context, rq *request, in *caseQuery) (*caseList, error) {
		out := &caseList{}
		out.Body.Cases = []reconcile.Case{}
		hospitals := rq.caller.scope()
		if in.Hospital != "" {
			if !rq.caller.Sees(in.Hospital) {
				return nil, problem("not-found", "")
			}
			hospitals = []string{in.Hospital}
		}
		if in.Day != "" {
			if err := reconcile.KnownDay("query.day", in.Day); err != nil {
				return nil, err
			}
		}
		all, next, err := a.caseList(ctx, reconcile.CaseQuery{
			Hospitals: hospitals, State: in.State, Class: in.Class, Day: in.Day, Number: in.Number, Live: in.Live, Before: in.Before, Limit: in.Limit,
		})
		out.Body.Cases, out.Body.Next = append(out.Body.Cases, all...), next
		return out, err
	})
	register(a, operation{
		id: "get-case", method: http.MethodGet, path: "/v1/cases/{id}", right: mayCases, tag: "Cases", title: "See a case",
	}, func(ctx context.Context, rq *request, in *oneCase) (*caseAnswer, error) {
		d, err := a.caseDetail(ctx, rq.caller, in.ID)
		return &caseAnswer{d}, err
	})
	register(a, operation{
		id: "note-case", method: http.MethodPost, path: "/v1/cases/{id}/notes", right: mayCases, tag: "Cases", title: "Note something on a case", doc: "Also on one that ended.",
	}, func(ctx context.Context, rq *request, in *notedCase) (*caseAnswer, error) {
		return a.onCase(ctx, rq, in.ID, func(CaseDetail) error { return a.Store.Note(ctx, in.ID, rq.who(), in.Body.Note) })
	})
	register(a, operation{
		id: "assign-case", method: http.MethodPost, path: "/v1/cases/{id}/assign", right: mayCases, tag: "Cases", title: "Say whose work a case is", errors: []int{409},
	}, func(ctx context.Context, rq *request, in *assignedCase) (*caseAnswer, error) {
		return a.onCase(ctx, rq, in.ID, func(CaseDetail) error { return a.Store.Assign(ctx, in.ID, rq.who(), in.Body.Owner) })
	})
	register(a, operation{
		id: "propose-repair", method: http.MethodPost, path: "/v1/cases/{id}/repairs", right: mayCases, tag: "Cases",
		title: "Propose a repair", doc: "It takes the place of one that only the policy proposed. Nothing is carried out before it is approved.", errors: []int{409},
	}, func(ctx context.Context, rq *request, in *proposedRepair) (*caseAnswer, error) {
		return a.onCase(ctx, rq, in.ID, func(d CaseDetail) error {
			return a.propose(ctx, rq, d, in.Body.Action, in.Body.Params, in.Body.Note.Note)
		})
	})
	register(a, operation{
		id: "approve-repair", method: http.MethodPost, path: "/v1/cases/{id}/repairs/{repair}/approve", right: mayApprove, tag: "Cases",
		title: "Approve a repair", errors: []int{409},
		doc: "It is carried out at once when that is enough: from an amount on, which the hospital's folder names, it takes two people, of whom the one who proposed it is one.",
	}, func(ctx context.Context, rq *request, in *decidedRepair) (*caseAnswer, error) {
		return a.onCase(ctx, rq, in.ID, func(d CaseDetail) error { return a.approve(ctx, rq, d, in.Repair, in.Body.Note) })
	})
	register(a, operation{
		id: "reject-repair", method: http.MethodPost, path: "/v1/cases/{id}/repairs/{repair}/reject", right: mayApprove, tag: "Cases", title: "Reject a repair", errors: []int{409},
	}, func(ctx context.Context, rq *request, in *decidedRepair) (*caseAnswer, error) {
		return a.onCase(ctx, rq, in.ID, func(d CaseDetail) error { return a.reject(ctx, rq, d, in.Repair, in.Body.Note) })
	})
}

// caseList gives one page, and where the next begins; 0 when there is none.
func (a *api) caseList(ctx context.Context, q reconcile.CaseQuery) (page []reconcile.Case, next int64, err error) {
	limit := q.Limit
	q.Limit++
	page, err = a.Store.Cases(ctx, q)
	if err == nil && len(page) > limit {
		page = page[:limit]
		next = page[limit-1].ID
	}
	return page, next, err
}

// caseDetail finds a case that the caller may see.
func (a *api) caseDetail(ctx context.Context, c Caller, id int64) (CaseDetail, error) {
	found, trail, err := a.Store.Case(ctx, id)
	if err != nil {
		return CaseDetail{}, err
	}
	if !c.Sees(found.Hospital) {
		return CaseDetail{}, postgres.ErrNotFound
	}
	m := found.Class.Meaning()
	return CaseDetail{Case: found, Chinese: m.Chinese, Allowed: append([]reconcile.Action{}, m.Repairs...), Trail: append([]reconcile.Trail{}, trail...)}, nil
}

// onCase does something about a case that the caller may see, and shows what it is now.
func (a *api) onCase(ctx context.Context, rq *request, id int64, act func(CaseDetail) error) (*caseAnswer, error) {
	d, err := a.caseDetail(ctx, rq.caller, id)
	if err != nil {
		return nil, err
	}
	if err := act(d); err != nil {
		return nil, err
	}
	d, err = a.caseDetail(ctx, rq.caller, id)
	return &caseAnswer{d}, err
}

func (a *api) propose(ctx context.Context, rq *request, d CaseDetail, action reconcile.Action, p reconcile.Params, note string) error {
	if !slices.Contains(d.Allowed, action) {
		var allowed []string
		for _, x := range d.Allowed {
			allowed = append(allowed, string(x))
		}
		return invalid(core.Problems{{Field: "action", What: "no repair of this class; it is one of " + strings.Join(allowed, ", ")}})
	}
	_, err := a.Store.Propose(ctx, d.ID, action, p, rq.who(), note)
	return err
}

// approve takes only the case's newest repair: an older one was decided.
func (a *api) approve(ctx context.Context, rq *request, d CaseDetail, repair int64, note string) error {
	if d.Repair == nil || d.Repair.ID != repair {
		return problem("not-found", "the case has no such open repair")
	}
	if a.Repairs == nil {
		return problem("unavailable", "this process carries out no repairs")
	}
	_, err := a.Repairs.Approve(ctx, repair, rq.who(), note)
	return err
}

func (a *api) reject(ctx context.Context, rq *request, d CaseDetail, repair int64, note string) error {
	if d.Repair == nil || d.Repair.ID != repair {
		return problem("not-found", "the case has no such open repair")
	}
	_, err := a.Store.Reject(ctx, repair, rq.who(), note)
	return err
}

// unmended finds the problem of a repair that is not possible.
func unmended(err error) *Problem {
	switch {
	case errors.Is(err, reconcile.ErrSecondPerson):
		return problem("four-eyes", "who proposed or approved this repair before cannot be the second person")
	case errors.Is(err, reconcile.ErrNotOpen):
		return problem("state", "the case or its repair is not open any more; see the case")
	}
	return nil
}
