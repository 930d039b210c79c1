package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// MessageFilter narrows a search; nothing in it names a patient.
type MessageFilter struct {
	Hospital string         `query:"hospital" json:"hospital,omitempty" maxLength:"64"`
	Kind     core.Kind      `query:"kind" json:"kind,omitempty" maxLength:"64" example:"payment.settle"`
	State    delivery.State `query:"state" json:"state,omitempty" enum:"queued,sending,delivered,parked,cancelled"`
	Key      string         `query:"key" json:"key,omitempty" maxLength:"80" doc:"the business key"`
	Number   string         `query:"number" json:"number,omitempty" maxLength:"80" doc:"any number that somebody has in hand: the business key, the visit, the HIS's of a receipt, the channel's of a payment or refund, a bill's"`
	HisNo    string         `query:"his_no" json:"his_no,omitempty" maxLength:"64" doc:"the HIS's own number, from a receipt"`
	Lane     string         `query:"lane" json:"lane,omitempty" maxLength:"64"`
	Class    core.Class     `query:"class" json:"class,omitempty" enum:"unavailable,in_doubt,rejected,invalid"`
	Since    time.Time      `query:"since" json:"since,omitzero" doc:"accepted at or after"`
	Until    time.Time      `query:"until" json:"until,omitzero" doc:"accepted before"`
	Cursor   string         `query:"cursor" json:"cursor,omitempty" maxLength:"40" doc:"next of the page before"`
	Limit    int            `query:"limit" json:"limit,omitempty" minimum:"1" maximum:"200" default:"50"`
}

// messageSearch may look for a patient, too.
type messageSearch struct {
	Body struct {
		MessageFilter
		Patient string `json:"patient,omitempty" maxLength:"64" doc:"identity card number, telephone, or the HIS's number of the patient; needs the right \"patients\" and a purpose"`
		Purpose string `json:"purpose,omitempty" maxLength:"200" doc:"why the patient is looked for; recorded in the audit"`
	}
}

type messageList struct {
	Body struct {
		Messages []Message `json:"messages"`
		Next     string    `json:"next,omitempty" doc:"the cursor of the next page. A page may hold fewer messages than its limit, even none, and go on: what is rare is looked for in steps"`
	}
}

func (a *api) search() {
	register(a, operation{
		id: "list-messages", method: http.MethodGet, path: "/v1/messages", right: mayRead, tag: "Messages",
		title: "List messages", doc: "Newest first. Answers never hold message bodies.", errors: []int{404},
	}, func(ctx context.Context, rq *request, in *MessageFilter) (*messageList, error) {
		f, err := in.of(rq.caller)
		if err != nil {
			return nil, err
		}
		page, next, err := a.Store.List(ctx, f, in.Cursor, in.Limit)
		if err != nil {
			return nil, err
		}
		return a.listed(ctx, rq.caller, page, next)
	})
	register(a, operation{
		id: "search-messages", method: http.MethodPost, path: "/v1/messages:search", right: mayRead, tag: "Messages",
		title: "Search messages", errors: []int{404},
		doc: "The list with its filters in the body, and by patient, which must not stand in an address. Looking for a patient needs the right `patients`, " +
			"and who looked and why is in the audit first. What was accepted before this was kept is not found by patient or by the numbers inside of it.",
	}, func(ctx context.Context, rq *request, in *messageSearch) (*messageList, error) {
		c := rq.caller
		if in.Body.Patient != "" {
			c = c.about(mayPatients)
			if h := in.Body.Hospital; !c.May(mayPatients) || h != "" && rq.caller.Sees(h) && !c.Sees(h) {
				return nil, problem("forbidden", "looking for a patient needs the right \"patients\"")
			}
		}
		f, err := in.Body.of(c)
		if err != nil {
			return nil, err
		}
		if in.Body.Patient == "" {
			page, next, err := a.Store.List(ctx, f, in.Body.Cursor, in.Body.Limit)
			if err != nil {
				return nil, err
			}
			return a.listed(ctx, rq.caller, page, next)
		}
		page, next, err := a.Store.SearchPatient(ctx, f, in.Body.Patient, rq.who(), in.Body.Purpose, in.Body.Cursor, in.Body.Limit)
		if err != nil {
			return nil, err
		}
		return a.listed(ctx, rq.caller, page, next)
	})
}

// of narrows the filter to what the caller sees.
func (in MessageFilter) of(c Caller) (postgres.Filter, error) {
	f := postgres.Filter{
		Hospitals: c.scope(), Kind: in.Kind, State: in.State, Key: in.Key, Number: strings.TrimSpace(in.Number), HisNo: in.HisNo, Lane: in.Lane, Class: in.Class,
		Since: in.Since, Until: in.Until,
	}
	if in.Hospital != "" {
		if !c.Sees(in.Hospital) {
			return f, problem("not-found", "")
		}
		f.Hospitals = []string{in.Hospital}
	}
	return f, nil
}

func (a *api) listed(ctx context.Context, c Caller, page []postgres.Message, next string) (out *messageList, err error) {
	out = &messageList{}
	out.Body.Next = next
	out.Body.Messages, err = a.shownAll(ctx, c, page)
	return out, err
}
