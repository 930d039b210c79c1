package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// Desk is where people decide about messages; each decision is recorded.
type Desk interface {
	Retry(ctx context.Context, id int64, who string) error
	Cancel(ctx context.Context, id int64, who, note string) (done bool, err error)
	Release(ctx context.Context, id int64, who string, v postgres.Verdict, note string) error
	Supersede(ctx context.Context, id int64, correction core.Body, who, note string) (core.Accepted, error)
	ProposeCorrection(ctx context.Context, id int64, correction core.Body, who, note string) (proposal int64, err error)
	Proposals(ctx context.Context, hospitals []string) ([]postgres.Proposal, error)
	Proposed(ctx context.Context, proposal int64) (message int64, correction core.Body, err error)
	ApproveCorrection(ctx context.Context, proposal int64, who, note string) (core.Accepted, error)
	RejectCorrection(ctx context.Context, proposal int64, who, note string) error
	Decisions(ctx context.Context, message int64) ([]postgres.Decision, error)
	Record(ctx context.Context, hospital string, message int64, who, verb, note string) error
}

type decided struct{ Body Message }

type noted struct {
	ID   int64 `path:"id" minimum:"1"`
	Body Note
}

type released struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Decision postgres.Verdict `json:"decision" enum:"again,delivered" doc:"again: go on where it was parked (in doubt: ask the HIS, where it can be asked); delivered: you looked, the HIS has it"`
		Note
	}
}

type superseded struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Correction json.RawMessage `json:"correction" doc:"the whole corrected content, as it is submitted for this kind; with the same business key"`
		Note
	}
}

// Superseding is what came of a correction: a new message, or a proposal.
type Superseding struct {
	ID       int64  `json:"id,omitempty" doc:"the new message"`
	Proposal int64  `json:"proposal,omitempty" doc:"the correction moves money and waits for a second person"`
	Address  string `json:"address"`
}

type supersession struct {
	Location string `header:"Location"`
	Body     Superseding
}

func (a *api) decisions() {
	register(a, operation{
		id: "retry-message", method: http.MethodPost, path: "/v1/messages/{id}/retry", right: mayDecide, tag: "Decisions",
		title: "Try again now", doc: "Makes one that waits for its back-off due now. What else it waits for, such as the hospital's working hours, is in `waits`.", errors: []int{409},
	}, func(ctx context.Context, rq *request, in *oneMessage) (*decided, error) {
		return a.decide(ctx, rq, in.ID, func() error { return a.Store.Retry(ctx, in.ID, rq.who()) })
	})
	register(a, operation{
		id: "cancel-message", method: http.MethodPost, path: "/v1/messages/{id}/cancel", right: mayDecide, tag: "Decisions",
		title: "Cancel a message", doc: "At once for what was never sent. For the rest it is a wish (`cancel_wanted`), decided as soon as it is known what the HIS has.", errors: []int{409},
	}, func(ctx context.Context, rq *request, in *noted) (*decided, error) {
		return a.decide(ctx, rq, in.ID, func() error {
			_, err := a.Store.Cancel(ctx, in.ID, rq.who(), in.Body.Note)
			return err
		})
	})
	register(a, operation{
		id: "release-message", method: http.MethodPost, path: "/v1/messages/{id}/release", right: mayDecide, tag: "Decisions",
		title: "Release a parked message", errors: []int{409},
	}, func(ctx context.Context, rq *request, in *released) (*decided, error) {
		return a.decide(ctx, rq, in.ID, func() error {
			return a.Store.Release(ctx, in.ID, rq.who(), in.Body.Decision, in.Body.Note.Note)
		})
	})
	register(a, operation{
		id: "supersede-message", method: http.MethodPost, path: "/v1/messages/{id}/supersede", right: mayDecide, tag: "Decisions",
		title: "Replace a refused message by a corrected one", status: http.StatusAccepted, errors: []int{409},
		doc: "The new message takes the old one's place in its lane. A correction that moves money becomes a proposal, which another person approves.",
	}, a.supersede)
	a.proposals()
}

// decide does something about a message that the caller may see, and shows what
// it is now.
func (a *api) decide(ctx context.Context, rq *request, id int64, act func() error) (*decided, error) {
	if _, _, err := a.message(ctx, rq.caller, id); err != nil {
		return nil, err
	}
	if err := act(); err != nil {
		return nil, err
	}
	m, _, err := a.message(ctx, rq.caller, id)
	if err != nil {
		return nil, err
	}
	now, err := a.shownOne(ctx, rq.caller, m)
	return &decided{now}, err
}

func (a *api) supersede(ctx context.Context, rq *request, in *superseded) (*supersession, error) {
	m, _, err := a.message(ctx, rq.caller, in.ID)
	if err != nil {
		return nil, err
	}
	correction, err := a.correction(m.Kind, in.Body.Correction)
	if err != nil {
		return nil, err
	}
	if t, _ := core.Lookup(m.Kind); t.Money {
		p, err := a.Store.ProposeCorrection(ctx, in.ID, correction, rq.who(), in.Body.Note.Note)
		address := proposalAddress(in.ID, p)
		return &supersession{address, Superseding{Proposal: p, Address: address}}, err
	}
	got, err := a.Store.Supersede(ctx, in.ID, correction, rq.who(), in.Body.Note.Note)
	return &supersession{messageAddress(got.ID), Superseding{ID: got.ID, Address: messageAddress(got.ID)}}, err
}

// Proposal is a correction that waits for a second person.
type Proposal struct {
	ID         int64     `json:"id"`
	Address    string    `json:"address"`
	Message    int64     `json:"message"`
	Hospital   string    `json:"hospital"`
	Kind       core.Kind `json:"kind"`
	Key        string    `json:"key"`
	Fields     []string  `json:"fields" doc:"that differ from the present content"`
	Note       string    `json:"note,omitempty"`
	ProposedBy string    `json:"proposed_by"`
	ProposedAt time.Time `json:"proposed_at"`
}

func shownProposal(p postgres.Proposal) Proposal {
	return Proposal{
		ID: p.ID, Address: proposalAddress(p.Message, p.ID), Message: p.Message, Hospital: p.Hospital, Kind: p.Kind, Key: p.Key,
		Fields: append([]string{}, p.Fields...), Note: p.Note, ProposedBy: p.ProposedBy, ProposedAt: p.ProposedAt,
	}
}

func proposalAddress(message, proposal int64) string {
	return fmt.Sprintf("/v1/messages/%d/proposals/%d", message, proposal)
}

type oneProposal struct {
	ID       int64 `path:"id" minimum:"1"`
	Proposal int64 `path:"p" minimum:"1" doc:"the proposal's number"`
}

type notedProposal struct {
	ID       int64 `path:"id" minimum:"1"`
	Proposal int64 `path:"p" minimum:"1" doc:"the proposal's number"`
	Body     Note
}

type proposalList struct {
	Body struct {
		Proposals []Proposal `json:"proposals"`
	}
}

// ProposalDetail shows what would be sent instead.
type ProposalDetail struct {
	Proposal
	Correction json.RawMessage `json:"correction" doc:"with what names the patient masked"`
}

func (a *api) proposals() {
	register(a, operation{
		id: "list-proposals", method: http.MethodGet, path: "/v1/proposals", right: mayDecide, tag: "Decisions",
		title: "List corrections that wait for a second person",
	}, func(ctx context.Context, rq *request, _ *struct{}) (*proposalList, error) {
		all, err := a.Store.Proposals(ctx, rq.caller.scope())
		out := &proposalList{}
		out.Body.Proposals = make([]Proposal, 0, len(all))
		for _, p := range all {
			out.Body.Proposals = append(out.Body.Proposals, shownProposal(p))
		}
		return out, err
	})
	register(a, operation{
		id: "get-proposal", method: http.MethodGet, path: "/v1/messages/{id}/proposals/{p}", right: mayDecide, tag: "Decisions",
		title: "See a proposed correction",
	}, func(ctx context.Context, rq *request, in *oneProposal) (*struct{ Body ProposalDetail }, error) {
		d, err := a.proposal(ctx, rq.caller, in.ID, in.Proposal)
		return &struct{ Body ProposalDetail }{d}, err
	})
	register(a, operation{
		id: "approve-proposal", method: http.MethodPost, path: "/v1/messages/{id}/proposals/{p}/approve", right: mayDecide, tag: "Decisions",
		title: "Approve a correction", doc: "By another key than the one that proposed it.", status: http.StatusAccepted, errors: []int{409},
	}, func(ctx context.Context, rq *request, in *notedProposal) (*supersession, error) {
		if _, err := a.proposal(ctx, rq.caller, in.ID, in.Proposal); err != nil {
			return nil, err
		}
		got, err := a.Store.ApproveCorrection(ctx, in.Proposal, rq.who(), in.Body.Note)
		return &supersession{messageAddress(got.ID), Superseding{ID: got.ID, Address: messageAddress(got.ID)}}, err
	})
	register(a, operation{
		id: "reject-proposal", method: http.MethodPost, path: "/v1/messages/{id}/proposals/{p}/reject", right: mayDecide, tag: "Decisions",
		title: "Reject a correction", doc: "Who proposed it may take it back so.", status: http.StatusNoContent, errors: []int{409},
	}, func(ctx context.Context, rq *request, in *notedProposal) (*struct{}, error) {
		if _, err := a.proposal(ctx, rq.caller, in.ID, in.Proposal); err != nil {
			return nil, err
		}
		return nil, a.Store.RejectCorrection(ctx, in.Proposal, rq.who(), in.Body.Note)
	})
}

// proposal finds an open one of a message that the caller may see.
func (a *api) proposal(ctx context.Context, c Caller, message, number int64) (d ProposalDetail, err error) {
	open, err := a.openProposals(ctx, c, message)
	if err != nil {
		return d, err
	}
	for _, p := range open {
		if p.ID == number {
			_, correction, err := a.Store.Proposed(ctx, number)
			if err != nil {
				return d, err
			}
			d.Proposal = shownProposal(p)
			d.Correction, err = maskBody(correction)
			return d, err
		}
	}
	return d, problem("not-found", "it does not exist, or it was decided")
}

func (a *api) openProposals(ctx context.Context, c Caller, message int64) (of []postgres.Proposal, err error) {
	m, _, err := a.message(ctx, c, message)
	if err != nil {
		return nil, err
	}
	all, err := a.Store.Proposals(ctx, []string{m.Hospital})
	for _, p := range all {
		if p.Message == message {
			of = append(of, p)
		}
	}
	return of, err
}

// refused finds the problem of an act that is not possible.
func refused(err error) *Problem {
	var refusal *postgres.Refusal
	switch {
	case errors.As(err, &refusal):
		return problem("state", refusal.Error())
	case errors.Is(err, postgres.ErrFourEyes):
		return problem("four-eyes", "")
	}
	return nil
}
