package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"hishub/core/incident"
)

// Incident is one stretch of trouble at a hospital. The events incident.opened
// and incident.resolved tell of it, once each.
type Incident struct {
	ID         int64         `json:"id"`
	Hospital   string        `json:"hospital" doc:"empty: the hub itself"`
	Kind       incident.Kind `json:"kind" enum:"backlog,parked,parked_growth,breaker,failures,codes,night,clock,certificate,certificate_ends,variables" doc:"backlog: the oldest waits for too long; parked: a person must decide; parked_growth: many were parked in a short time; breaker: the HIS does not answer; failures: too many exchanges fail; codes: without a mapping; night: the latest one failed or found differences; clock: the HIS's clock is off; certificate: one ends within weeks, certificate_ends: within days; variables: the folder does not load with variables that were changed"`
	Severity   string        `json:"severity" enum:"warning,critical"`
	Detail     string        `json:"detail" doc:"how it stands, or stood in the end"`
	OpenedAt   time.Time     `json:"opened_at"`
	ResolvedAt *time.Time    `json:"resolved_at,omitempty"`
	LookedBy   string        `json:"looked_by,omitempty" doc:"who looks at it"`
	LookedAt   *time.Time    `json:"looked_at,omitempty"`
	LookedNote string        `json:"looked_note,omitempty" doc:"what is known, as it was noted last"`
}

// ShownIncident is an incident as the API gives it.
func ShownIncident(i incident.Incident) Incident {
	return Incident{i.ID, i.Hospital, i.Kind, string(i.Kind.Severity()), i.Detail, i.OpenedAt, i.ResolvedAt, i.LookedBy, i.LookedAt, i.LookedNote}
}

type incidentQuery struct {
	Hospital string `query:"hospital" maxLength:"64" doc:"only this one's"`
	Open     bool   `query:"open" doc:"only those that are not over"`
	Limit    int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

type incidentLook struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Note string `json:"note,omitempty" maxLength:"500" doc:"what is known, without patients; missing: what was noted before stays"`
	}
}

type incidentAnswer struct{ Body Incident }

type incidentList struct {
	Body struct {
		Incidents []Incident `json:"incidents" doc:"newest first"`
	}
}

func (a *api) incidents() {
	register(a, operation{
		id: "list-incidents", method: http.MethodGet, path: "/v1/incidents", right: mayRead, tag: "Hospitals",
		title: "List what needed a look",
	}, func(ctx context.Context, rq *request, in *incidentQuery) (*incidentList, error) {
		out := &incidentList{}
		out.Body.Incidents = []Incident{}
		hospitals := rq.caller.scope()
		if in.Hospital != "" {
			if hospitals != nil && !slices.Contains(hospitals, in.Hospital) {
				return out, nil
			}
			hospitals = []string{in.Hospital}
		}
		all, err := a.Store.Incidents(ctx, hospitals, in.Open, in.Limit)
		for _, i := range all {
			out.Body.Incidents = append(out.Body.Incidents, ShownIncident(i))
		}
		return out, err
	})
	register(a, operation{
		id: "look-at-incident", method: http.MethodPost, path: "/v1/incidents/{id}/look", right: mayDecide, tag: "Hospitals",
		title: "Say that you look at an open incident", errors: []int{404},
		doc: "Recorded in the audit; whoever is told of the incident from then on reads who looks at it. It ends by itself when what it is about is over, never by this.",
	}, func(ctx context.Context, rq *request, in *incidentLook) (*incidentAnswer, error) {
		i, err := a.Store.LookAtIncident(ctx, rq.caller.scope(), in.ID, rq.who(), in.Body.Note)
		return &incidentAnswer{ShownIncident(i)}, err
	})
}
