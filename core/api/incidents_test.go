package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/incident"
)

func TestLimitsAreSetAndShown(t *testing.T) {
	w := newWorld(t)
	operator := w.key(Operator, "dongshan")
	set := func(body map[string]any) answerOfAPI {
		body["note"] = "slow today"
		return w.do(operator, "POST", "/v1/hospitals/dongshan/limits", body)
	}
	shown := func() *HospitalLimits {
		var list struct{ Hospitals []Hospital }
		w.do(operator, "GET", "/v1/hospitals", nil).into(t, &list)
		return list.Hospitals[0].Limits
	}
	if shown() != nil {
		t.Errorf("limits before any are set: %v", shown())
	}
	if a := set(map[string]any{"concurrency": 2, "rate": 0.5}); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if l := shown(); l == nil || l.String() != "2 at once, 0.5 a second" {
		t.Errorf("limits: %v", l)
	}
	for _, bad := range []map[string]any{{"concurrency": 0}, {"rate": -1}, {}} {
		if a := set(bad); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d %s", bad, a.status, a.text)
		}
	}
	b := w.browser()
	b.signIn(operator)
	if _, text := b.open("/pages/hospitals"); !strings.Contains(text, "2 at once, 0.5 a second") {
		t.Error("the page does not show the limits")
	}
	if a := set(map[string]any{"reset": true}); a.status != http.StatusNoContent || shown() != nil {
		t.Errorf("reset: %d, then %v", a.status, shown())
	}
	ds, err := w.store.HospitalDecisions(t.Context(), "dongshan", 1)
	if err != nil || ds[0].Verb != "limits" || ds[0].Note != "slow today" || !strings.Contains(ds[0].Who, "operator") {
		t.Errorf("recorded: %+v %v", ds, err)
	}
}

func TestIncidentsAreListedShownAndTold(t *testing.T) {
	w := newWorld(t)
	for _, h := range []string{"dongshan", "xihu"} {
		_, err := w.store.OpenIncident(t.Context(), h, incident.Breaker, incident.Words{En: "nobody answers at " + h}, nil)
		must(t, err)
	}
	operator := w.key(Operator, "dongshan")
	list := func(query string) (all []Incident) {
		var got struct{ Incidents []Incident }
		w.do(operator, "GET", "/v1/incidents"+query, nil).into(t, &got)
		return got.Incidents
	}
	all := list("?open=true")
	if len(all) != 1 || all[0].Hospital != "dongshan" || all[0].Kind != incident.Breaker || all[0].ResolvedAt != nil {
		t.Fatalf("incidents: %+v", all)
	}
	if all := list("?hospital=xihu"); len(all) != 0 {
		t.Errorf("another hospital's: %+v", all)
	}
	b := w.browser()
	b.signIn(operator)
	if _, text := b.open("/pages/hospitals"); !strings.Contains(text, "nobody answers at dongshan") || strings.Contains(text, "at xihu") {
		t.Error("the page does not show the incident, or another's")
	}
	_, err := w.store.ResolveIncident(t.Context(), all[0].ID)
	must(t, err)
	if open, every := list("?open=true"), list(""); len(open) != 0 || len(every) != 1 || every[0].ResolvedAt == nil {
		t.Errorf("over: %+v, %+v", open, every)
	}
	var events struct{ Events []core.Event }
	// Transactions of other databases, which other tests make, delay the feed.
	for end := time.Now().Add(30 * time.Second); len(events.Events) < 2 && time.Now().Before(end); {
		w.do(operator, "GET", "/v1/events?wait=1", nil).into(t, &events)
	}
	if len(events.Events) != 2 || events.Events[0].Type != core.EventIncidentOpened || events.Events[1].Type != core.EventIncidentResolved ||
		events.Events[0].Key != "breaker" || events.Events[0].Incident != all[0].ID {
		t.Errorf("told: %+v", events.Events)
	}
}

// Who has no shell at the database says over the API that they look at one, of their
// hospitals, while it is open; a look without a note leaves the note.
func TestLookAtAnIncident(t *testing.T) {
	w := newWorld(t)
	ids := map[string]int64{}
	for _, h := range []string{"dongshan", "xihu"} {
		_, err := w.store.OpenIncident(t.Context(), h, incident.Breaker, incident.Words{En: "nobody answers"}, nil)
		must(t, err)
		all, err := w.store.OpenIncidents(t.Context(), []string{h})
		must(t, err)
		ids[h] = all[0].ID
	}
	look := func(role Role, id int64, note map[string]any) answerOfAPI {
		return w.do(w.key(role, "dongshan"), "POST", fmt.Sprintf("/v1/incidents/%d/look", id), note)
	}
	for _, note := range []map[string]any{{"note": "their network"}, {}} {
		var i Incident
		look(Operator, ids["dongshan"], note).into(t, &i)
		if i.LookedNote != "their network" || !strings.Contains(i.LookedBy, "operator") || i.LookedAt == nil {
			t.Errorf("noted %v: %+v", note, i)
		}
	}
	if a := look(Operator, ids["xihu"], map[string]any{}); a.status != http.StatusNotFound {
		t.Errorf("another hospital's: %d %s", a.status, a.text)
	}
	if a := look(Auditor, ids["dongshan"], map[string]any{}); a.status != http.StatusForbidden {
		t.Errorf("an auditor: %d", a.status)
	}
	ds, err := w.store.HospitalDecisions(t.Context(), "dongshan", 2)
	if err != nil || len(ds) != 2 || ds[1].Verb != "look at incident" || ds[1].Note != "their network" {
		t.Errorf("recorded: %+v %v", ds, err)
	}
	_, err = w.store.ResolveIncident(t.Context(), ids["dongshan"])
	must(t, err)
	if a := look(Operator, ids["dongshan"], map[string]any{}); a.status != http.StatusNotFound {
		t.Errorf("one that is over: %d %s", a.status, a.text)
	}
}
