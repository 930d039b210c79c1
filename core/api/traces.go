package api

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Hop is a moment of a trace. Nothing in it names a patient, and no word of a HIS or of a
// person is in it.
type Hop struct {
	At       time.Time `json:"at"`
	Where    string    `json:"where" doc:"a module of the clinic, or hub" example:"rx"`
	Hospital string    `json:"hospital"`
	Number   string    `json:"number" doc:"of what it happened to"`
	Message  int64     `json:"message,omitempty" doc:"the hub's message"`
	What     string    `json:"what"`
}

// Trace is everything that is known of one thing, from the clinic to the HIS and back.
type Trace struct {
	ID      string   `json:"id" doc:"what was asked for"`
	Numbers []string `json:"numbers" doc:"all that belong together"`
	Hops    []Hop    `json:"hops" doc:"in the order of time"`
}

func (a *api) traces() {
	register(a, operation{
		id: "trace", method: http.MethodGet, path: "/v1/traces/{id}", right: mayRead, tag: "Messages",
		title: "Follow anything through all its hops",
		doc: "By a number of the clinic (prescription, order, appointment, consultation, refund), a message's number, or the id of an OpenTelemetry trace: what modules did, what the hub was told, " +
			"every try at the HIS with its outcome, what came back. At the caller's hospitals; without names and words.",
	}, func(ctx context.Context, rq *request, in *struct {
		ID string `path:"id" minLength:"1" maxLength:"64" pattern:"^[0-9A-Za-z_./-]+$" doc:"a number of the clinic, a message's, or a trace's"`
	}) (*struct{ Body Trace }, error) {
		if a.Follow == nil {
			return nil, problem("not-found", "this process follows nothing")
		}
		t, err := a.Follow(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		t.Hops = slices.DeleteFunc(t.Hops, func(h Hop) bool { return !rq.caller.MayAt(mayRead, h.Hospital) })
		t.Numbers = slices.DeleteFunc(t.Numbers, func(n string) bool {
			return !slices.ContainsFunc(t.Hops, func(h Hop) bool { return h.Number == n })
		})
		if len(t.Hops) == 0 {
			return nil, problem("not-found", "")
		}
		return &struct{ Body Trace }{t}, nil
	})
}
