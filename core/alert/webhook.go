package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"hishub/core"
)

// webhook is an address that takes JSON, signed as the webhooks of the API are.
type webhook struct {
	url    string
	secret string // "" signs nothing
	view
}

// told is what a webhook is sent.
type told struct {
	// ID is the same when it is sent again.
	ID        string         `json:"id"`
	Route     string         `json:"route"`
	Test      bool           `json:"test,omitempty"`
	Title     string         `json:"title"`
	Incidents []toldIncident `json:"incidents"`
	Link      string         `json:"link,omitempty"`
}

type toldIncident struct {
	ID           int64  `json:"id"`
	Hospital     string `json:"hospital"`
	HospitalName string `json:"hospital_name,omitempty"`
	Kind         string `json:"kind"`
	Severity     string `json:"severity"`
	// Transitions are opened, resolved, or both.
	Transitions []string   `json:"transitions"`
	Detail      string     `json:"detail"`
	OpenedAt    time.Time  `json:"opened_at"`
	ResolvedAt  *time.Time `json:"resolved_at,omitempty"`
	LookedBy    string     `json:"looked_by,omitempty"`
	LookedNote  string     `json:"looked_note,omitempty"`
}

func (c webhook) Pause() time.Duration { return time.Second }
func (c webhook) Address() string      { return hostOf(c.url) }

// whole is a time of an incident in its hospital's zone, in whole seconds.
func (c webhook) whole(e Entry, t time.Time) time.Time {
	return t.In(cmp.Or(e.Zone, c.zone)).Truncate(time.Second)
}

// Send implements Channel.
func (c webhook) Send(ctx context.Context, l Letter) error {
	s := c.in(l)
	t := told{ID: l.ID, Route: l.Route, Test: l.Test, Title: s.title, Incidents: []toldIncident{}, Link: s.link}
	for _, e := range l.Entries {
		i := toldIncident{ID: e.Incident, Hospital: e.Hospital, HospitalName: e.Name, Kind: string(e.Kind), Severity: string(e.Kind.Severity()),
			Detail: e.Detail.In(c.language), OpenedAt: c.whole(e, e.OpenedAt), LookedBy: e.LookedBy, LookedNote: e.LookedNote}
		if e.ResolvedAt != nil {
			ended := c.whole(e, *e.ResolvedAt)
			i.ResolvedAt = &ended
		}
		if e.Opened {
			i.Transitions = append(i.Transitions, "opened")
		}
		if e.Resolved {
			i.Transitions = append(i.Transitions, "resolved")
		}
		t.Incidents = append(t.Incidents, i)
	}
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	header := http.Header{"Hishub-Alert": {l.ID}}
	if c.secret != "" {
		header.Set("Hishub-Signature", core.Signature([]byte(c.secret), time.Now(), body))
	}
	_, err = post(ctx, c.url, body, header)
	return err
}
