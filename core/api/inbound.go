package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
)

// Arrivals are what HIS told us.
type Arrivals interface {
	ListInbound(ctx context.Context, f postgres.InboundFilter) ([]postgres.Inbound, error)
	InboundByID(ctx context.Context, id int64) (postgres.Inbound, core.Body, error)
	// InboundExchanges are the last times it came, newest first.
	InboundExchanges(ctx context.Context, id int64) ([]postgres.ExchangeBytes, error)
	// DecideAs decides what a HIS asked, unless it was decided before: then first is false.
	DecideAs(ctx context.Context, id int64, f inbound.Fact, r core.Resolution, who, note string) (now core.Resolution, first bool, err error)
}

// Inbound is what a HIS told us or asked of us. It names no patient.
type Inbound struct {
	ID        int64         `json:"id"`
	Hospital  string        `json:"hospital"`
	Kind      core.Kind     `json:"kind" example:"refund.apply"`
	Key       string        `json:"key" doc:"the HIS's number of it"`
	State     string        `json:"state" enum:"open,done,refused" doc:"open: nobody has decided yet"`
	Message   string        `json:"message,omitempty" doc:"our words to the HIS"`
	Receipt   *core.Receipt `json:"receipt,omitempty" doc:"our answer, as far as it has one"`
	Times     int           `json:"times" doc:"how often it came"`
	Conflicts int           `json:"conflicts,omitempty" doc:"how often with other content, which was refused"`
	ArrivedAt time.Time     `json:"arrived_at" doc:"for the first time"`
	DecidedAt *time.Time    `json:"decided_at,omitempty"`
}

// InboundDetail is one with its content and what went over the wire.
type InboundDetail struct {
	Inbound
	Masked    bool            `json:"masked" doc:"what names the patient is hidden"`
	Content   json.RawMessage `json:"content,omitempty" doc:"the canonical message"`
	Exchanges []Exchange      `json:"exchanges" doc:"the last times it came, newest first"`
}

type inboundFilter struct {
	Hospital string    `query:"hospital" maxLength:"64"`
	Kind     core.Kind `query:"kind" maxLength:"64" example:"clinic.stop"`
	State    string    `query:"state" enum:"open,done,refused"`
	Key      string    `query:"key" maxLength:"80" doc:"the HIS's number of it"`
	Before   int64     `query:"before" minimum:"0" doc:"the last id of the page before"`
	Limit    int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type inboundList struct {
	Body struct {
		Inbound []Inbound `json:"inbound"`
	}
}

type oneInbound struct {
	ID      int64  `path:"id" minimum:"1"`
	Purpose string `header:"Hishub-Purpose" maxLength:"200" doc:"why the patient must be seen: shows everything, and is recorded"`
}

func (a *api) inbound() {
	register(a, operation{
		id: "list-inbound", method: http.MethodGet, path: "/v1/inbound", right: mayRead, tag: "Inbound",
		title: "List what HIS told us", doc: "Newest first.", errors: []int{404},
	}, func(ctx context.Context, rq *request, in *inboundFilter) (*inboundList, error) {
		f := postgres.InboundFilter{Hospitals: rq.caller.scope(), Kind: in.Kind, State: in.State, Key: in.Key, Before: in.Before, Limit: in.Limit}
		if in.Hospital != "" {
			if !rq.caller.Sees(in.Hospital) {
				return nil, problem("not-found", "")
			}
			f.Hospitals = []string{in.Hospital}
		}
		all, err := a.Store.ListInbound(ctx, f)
		out := &inboundList{}
		out.Body.Inbound = make([]Inbound, len(all))
		for i := range all {
			out.Body.Inbound[i] = Inbound(all[i])
		}
		return out, err
	})
	register(a, operation{
		id: "get-inbound", method: http.MethodGet, path: "/v1/inbound/{id}", right: mayRead, tag: "Inbound",
		title: "See what a HIS told us",
		doc:   "What names the patient is masked. With the header `Hishub-Purpose` operators see all of it, and that they did is recorded as a decision.",
	}, func(ctx context.Context, rq *request, in *oneInbound) (*struct{ Body InboundDetail }, error) {
		found, body, err := a.Store.InboundByID(ctx, in.ID)
		if err == nil && !rq.caller.Sees(found.Hospital) {
			err = postgres.ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		full := in.Purpose != ""
		if full {
			if !rq.caller.MayAt(mayUnmask, found.Hospital) {
				return nil, problem("forbidden", "the header Hishub-Purpose needs the right \"unmask\"")
			}
			if err := a.Store.Record(ctx, found.Hospital, in.ID, rq.who(), "unmask", in.Purpose); err != nil {
				return nil, err
			}
		}
		raw, err := a.Store.InboundExchanges(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		out := &struct{ Body InboundDetail }{InboundDetail{Inbound: Inbound(found), Masked: !full, Exchanges: make([]Exchange, 0, len(raw))}}
		for _, x := range raw {
			shown, err := showExchange(x, body, full)
			if err != nil {
				return nil, err
			}
			out.Body.Content, shown.Body = shown.Body, nil
			out.Body.Exchanges = append(out.Body.Exchanges, shown)
		}
		if out.Body.Content == nil && body != nil { // its exchanges are past their retention, or it came this moment
			shown, err := showExchange(postgres.ExchangeBytes{}, body, full)
			if err != nil {
				return nil, err
			}
			out.Body.Content = shown.Body
		}
		return out, nil
	})
	a.decideInbound()
}
