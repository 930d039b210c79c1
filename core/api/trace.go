package api

import (
	"context"
	"net/http"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
)

// MessageTrace is everything about one message, through all its hops.
type MessageTrace struct {
	MessageDetail
	Events    []core.Event     `json:"events" doc:"told of it, in the order of the feed; those past their retention are gone"`
	Links     []Message        `json:"links" doc:"the messages that it replaces or that replace it, oldest first"`
	Entry     *TracedEntry     `json:"entry,omitempty" doc:"the money that it tells of, as our ledger has it"`
	Cases     []reconcile.Case `json:"cases" doc:"of nights, about its number; for those who may see cases"`
	Inbound   []Inbound        `json:"inbound" doc:"what the HIS told us of the same numbers"`
	Incidents []Incident       `json:"incidents" doc:"of its hospital, while it was on its way"`
}

// TracedEntry is a line of our ledger.
type TracedEntry struct {
	core.LedgerEntry
	Business string `json:"business" enum:"outpatient,registration"`
	Told     bool   `json:"told" doc:"false: the HIS is not told of it"`
}

func (a *api) trace() {
	register(a, operation{
		id: "trace-message", method: http.MethodGet, path: "/v1/messages/{id}/trace", right: mayRead, tag: "Messages",
		title: "Follow one message through its hops",
		doc:   "Attempts, decisions, events, what it replaces, its money, cases, what the HIS told us of it, and the incidents meanwhile. Without bodies and bytes.",
	}, func(ctx context.Context, rq *request, in *oneMessage) (*struct{ Body MessageTrace }, error) {
		c := rq.caller
		d, err := a.detail(ctx, c, in.ID)
		if err != nil {
			return nil, err
		}
		t, err := a.Store.Trace(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &struct{ Body MessageTrace }{traced(c, d, t)}, nil
	})
}

func traced(c Caller, d MessageDetail, t postgres.Trace) MessageTrace {
	out := MessageTrace{MessageDetail: d, Events: make([]core.Event, 0, len(t.Events)), Links: make([]Message, 0, len(t.Links)), Cases: []reconcile.Case{},
		Inbound: make([]Inbound, 0, len(t.Inbound)), Incidents: make([]Incident, 0, len(t.Incidents))}
	for _, e := range t.Events {
		e.Words = wordsFor(c, e.Hospital, e.Words, e.ShowPatient)
		out.Events = append(out.Events, e)
	}
	for _, m := range t.Links {
		out.Links = append(out.Links, shown(m, c))
	}
	if t.Entry != nil {
		e := TracedEntry(*t.Entry)
		out.Entry = &e
	}
	if c.MayAt(mayCases, d.Hospital) {
		out.Cases = append(out.Cases, t.Cases...)
	}
	for _, i := range t.Inbound {
		out.Inbound = append(out.Inbound, Inbound(i))
	}
	for _, i := range t.Incidents {
		out.Incidents = append(out.Incidents, ShownIncident(i))
	}
	return out
}
