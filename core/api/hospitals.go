package api

import (
	"context"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/incident"
	"hishub/core/postgres"
)

// Wards are the hospitals as the ledger knows them.
type Wards interface {
	Hospitals(ctx context.Context) ([]postgres.HospitalRecord, error)
	Lights(ctx context.Context) (map[string]postgres.Waiting, error)
	Pause(ctx context.Context, hospital, who, why string) error
	Resume(ctx context.Context, hospital, who, why string) error
	SetLimits(ctx context.Context, hospital string, l postgres.Limits, reset bool, who, why string) error
	Incidents(ctx context.Context, hospitals []string, open bool, limit int) ([]incident.Incident, error)
	OpenIncidents(ctx context.Context, hospitals []string) ([]incident.Incident, error)
	LookAtIncident(ctx context.Context, hospitals []string, id int64, who, note string) (incident.Incident, error)
	Revisions(ctx context.Context, hospital string) ([]postgres.Revision, error)
}

// Hospital is a hospital with its lights.
type Hospital struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Revision int    `json:"revision" doc:"active revision of its folder"`
	// Light sums it up.
	Light string `json:"light" enum:"green,yellow,red,paused,closed" doc:"red: the HIS does not answer; yellow: something is parked or waits for long; closed: outside its working hours or in maintenance"`
	// Rests is there while the HIS is not called, by its folder.
	Rests     *Rests          `json:"rests,omitempty" doc:"outside its working hours, or in a maintenance window; nothing but kinds that go at any hour is sent"`
	Queued    int             `json:"queued"`
	Sending   int             `json:"sending"`
	Parked    int             `json:"parked"`
	InDoubt   int             `json:"in_doubt" doc:"of the parked ones, those that may have happened"`
	Oldest    *time.Time      `json:"oldest,omitempty" doc:"when the oldest one that still waits was accepted"`
	PausedAt  *time.Time      `json:"paused_at,omitempty"`
	PausedBy  string          `json:"paused_by,omitempty"`
	PausedWhy string          `json:"paused_why,omitempty"`
	Limits    *HospitalLimits `json:"limits,omitempty" doc:"what an operator set in place of its folder's"`
	Incidents []Incident      `json:"incidents,omitempty" doc:"the open ones"`
	// What follows is known only by the process that works this hospital.
	Problem     string     `json:"problem,omitempty" doc:"why its folder cannot be used by this process"`
	Breaker     string     `json:"breaker,omitempty" enum:"closed,open,half-open" doc:"as this process knows it"`
	LastSuccess *time.Time `json:"last_success,omitempty" doc:"the HIS's last answer, as this process knows it"`
}

// Rests is a stretch in which the HIS is not called.
type Rests struct {
	Kind  string     `json:"kind" enum:"closed,maintenance"`
	Text  string     `json:"text" doc:"the same for people"`
	Until *time.Time `json:"until,omitempty" doc:"missing: the folder names no time within a week"`
}

// rests is nil while a HIS is called; head may be nil.
func rests(head *core.Dialect, now time.Time) *Rests {
	closed := delivery.Rest(head, "", now)
	if closed == nil {
		return nil
	}
	r := &Rests{Kind: "closed", Text: closed.Error()}
	if closed.Maintenance {
		r.Kind = "maintenance"
	}
	if !closed.Opens.IsZero() {
		r.Until = &closed.Opens
	}
	return r
}

// HospitalLimits are an operator's; what is missing is the folder's.
type HospitalLimits struct {
	Concurrency *int     `json:"concurrency,omitempty" minimum:"1" maximum:"1000" doc:"exchanges in flight at once"`
	Rate        *float64 `json:"rate,omitempty" minimum:"0" maximum:"100000" doc:"most exchanges per second; 0 is unlimited"`
}

// String is for people.
func (l *HospitalLimits) String() string { return postgres.Limits(*l).String() }

type hospitalLimits struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Body     struct {
		HospitalLimits
		Reset bool `json:"reset,omitempty" doc:"first go back to the folder's"`
		Note
	}
}

type hospitalList struct {
	Body struct {
		Hospitals []Hospital `json:"hospitals"`
	}
}

// Note says why a person decided so.
type Note struct {
	Note string `json:"note" maxLength:"500" minLength:"1" doc:"why; recorded with the decision"`
}

type hospitalDecision struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Body     Note
}

func (a *api) hospitals() {
	register(a, operation{
		id: "list-hospitals", method: http.MethodGet, path: "/v1/hospitals", right: mayRead, tag: "Hospitals",
		title: "See the hospitals' lights",
	}, func(ctx context.Context, rq *request, _ *struct{}) (*hospitalList, error) {
		all, err := a.lights(ctx, rq.caller)
		out := &hospitalList{}
		out.Body.Hospitals = all
		return out, err
	})
	for _, verb := range []struct {
		id, title, doc string
		do             func(ctx context.Context, hospital, who, why string) error
	}{
		{"pause", "Pause a hospital", "Nothing more is sent to it; messages are still accepted and wait.", a.Store.Pause},
		{"resume", "Resume a hospital", "", a.Store.Resume},
	} {
		register(a, operation{
			id: verb.id + "-hospital", method: http.MethodPost, path: "/v1/hospitals/{hospital}/" + verb.id, right: mayPause, tag: "Hospitals",
			title: verb.title, doc: verb.doc, status: http.StatusNoContent,
		}, func(ctx context.Context, rq *request, in *hospitalDecision) (*struct{}, error) {
			return nil, verb.do(ctx, in.Hospital, rq.who(), in.Body.Note)
		})
	}
	register(a, operation{
		id: "limit-hospital", method: http.MethodPost, path: "/v1/hospitals/{hospital}/limits", right: mayPause, tag: "Hospitals",
		title: "Set a hospital's limits", doc: "In place of its folder's, until they are reset. What is missing stays as it is. Every process follows within two seconds.", status: http.StatusNoContent,
	}, func(ctx context.Context, rq *request, in *hospitalLimits) (*struct{}, error) {
		return nil, a.Store.SetLimits(ctx, in.Hospital, postgres.Limits(in.Body.HospitalLimits), in.Body.Reset, rq.who(), in.Body.Note.Note)
	})
}

// long is how long a message may wait before its hospital's light is yellow.
const long = 5 * time.Minute

func (a *api) lights(ctx context.Context, c Caller) ([]Hospital, error) {
	records, err := a.Store.Hospitals(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := a.Store.Lights(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range records {
		if c.Sees(r.ID) {
			ids = append(ids, r.ID)
		}
	}
	troubles, err := a.Store.OpenIncidents(ctx, ids)
	if err != nil {
		return nil, err
	}
	open := map[string][]Incident{}
	for _, i := range troubles {
		open[i.Hospital] = append(open[i.Hospital], ShownIncident(i))
	}
	here := a.Lights()
	all := make([]Hospital, 0, len(records))
	for _, r := range records {
		if c.Sees(r.ID) {
			var head *core.Dialect
			if a.Head != nil {
				head, _ = a.Head(ctx, r.ID, r.Revision) // one that cannot be read is told as a problem by whoever works it
			}
			h := Lit(r, waiting[r.ID], here[r.ID], head, time.Now())
			h.Incidents = open[r.ID]
			all = append(all, h)
		}
	}
	return all, nil
}

// Lit sums up a hospital from what the ledger has and what somebody knows of its HIS;
// the zero light knows nothing, head may be nil.
func Lit(r postgres.HospitalRecord, w postgres.Waiting, l delivery.Light, head *core.Dialect, now time.Time) Hospital {
	h := Hospital{
		ID: r.ID, Name: r.Name, Revision: r.Revision, Queued: w.Queued, Sending: w.Sending, Parked: w.Parked, InDoubt: w.InDoubt, Oldest: w.Oldest,
		PausedAt: r.PausedAt, PausedBy: r.PausedBy, PausedWhy: r.PausedWhy, Breaker: l.Breaker, Problem: l.Problem, Light: "green", Rests: rests(head, now),
	}
	if r.Limits.Set() {
		limits := HospitalLimits(r.Limits)
		h.Limits = &limits
	}
	if !l.LastSuccess.IsZero() {
		h.LastSuccess = &l.LastSuccess
	}
	switch {
	case r.PausedAt != nil:
		h.Light = "paused"
	case l.Problem != "":
		h.Light = "red"
	case h.Rests != nil: // its breaker is as it was when it was last called
		h.Light = "closed"
		if w.Parked > 0 {
			h.Light = "yellow"
		}
	case l.Breaker != "" && l.Breaker != "closed":
		h.Light = "red"
	case w.Parked > 0, w.Oldest != nil && now.Sub(*w.Oldest) > long:
		h.Light = "yellow"
	}
	return h
}
