package main

import (
	"context"
	"fmt"
	"time"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/delivery"
	"hishub/core/incident"
	"hishub/core/postgres"
)

type hospitalList struct {
	place
	JSON bool `name:"json" help:"For scripts, as GET /v1/hospitals gives it."`
}

func (hospitalList) Help() string {
	return "The breaker is known from the incident that its hub opened; one that opened a moment ago is not in it. LIMITS are those of the folder where no operator set any.\n\nExample:\n  hishub hospital list --json"
}

func (c *hospitalList) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		records, err := s.Hospitals(ctx)
		if err != nil {
			return err
		}
		waiting, err := s.Lights(ctx)
		if err != nil {
			return err
		}
		incidents, err := s.OpenIncidents(ctx, idsOf(records))
		if err != nil {
			return err
		}
		open := map[string][]api.Incident{}
		lights := map[string]delivery.Light{}
		for _, i := range incidents {
			open[i.Hospital] = append(open[i.Hospital], api.ShownIncident(i))
			if i.Kind == incident.Breaker {
				lights[i.Hospital] = delivery.Light{Breaker: "open", Broken: i.OpenedAt}
			}
		}
		known, all := newHeads(s), make([]api.Hospital, len(records))
		t := newTable("HOSPITAL", "NAME", "REVISION", "LIGHT", "BREAKER", "QUEUED", "PARKED", "OLDEST WAITING", "LIMITS", "HELD")
		for i, r := range records {
			head, _ := known.of(ctx, r.ID, r.Revision) // its hub tells why it cannot be read
			h := api.Lit(r, waiting[r.ID], lights[r.ID], head, time.Now())
			h.Incidents, all[i] = open[r.ID], h
			t.row(h.ID, h.Name, h.Revision, h.Light, orDash(h.Breaker), h.Queued, h.Parked, oldest(h), limitsNow(r.Limits, head), held(h))
		}
		if c.JSON {
			return printJSON(map[string]any{"hospitals": all})
		}
		return t.print()
	})
}

func idsOf(records []postgres.HospitalRecord) []string {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	return ids
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

func oldest(h api.Hospital) string {
	if h.Oldest == nil {
		return "–"
	}
	return minutely(*h.Oldest)
}

func held(h api.Hospital) string {
	switch {
	case h.PausedAt != nil:
		return "paused " + minutely(*h.PausedAt) + " by " + h.PausedBy + ": " + h.PausedWhy
	case h.Rests != nil:
		return h.Rests.Text
	}
	return ""
}

// limitsNow are those that hold now, and whose they are; head may be nil.
func limitsNow(set postgres.Limits, head *core.Dialect) string {
	if head == nil {
		return set.String()
	}
	now := set.Over(head.Limits)
	text := postgres.Limits{Concurrency: &now.Concurrency, Rate: &now.Rate}.String()
	if !set.Set() {
		return text + " (folder)"
	}
	return text + " (by hand)"
}

type hospitalLimits struct {
	place
	Hospital    string   `arg:""`
	Concurrency *int     `help:"Exchanges in flight at once, from 1."`
	Rate        *float64 `help:"Most exchanges per second; 0 is unlimited."`
	Reset       bool     `help:"Go back to the folder's limits, but for those given here."`
	Why         string   `help:"Recorded with the decision." required:""`
	By          string   `default:"${user}" help:"Who sets them."`
}

func (hospitalLimits) Help() string {
	return "Examples:\n  hishub hospital limits dongshan --concurrency 2 --rate 5 --why \"their server is slow today\"\n  hishub hospital limits dongshan --reset --why \"it is mended\"\n\nNeeds no new revision of the folder, and outlives one. Running hubs follow within two seconds; what is in flight ends as it would. It prints what holds from then on."
}

func (c *hospitalLimits) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		err := s.SetLimits(ctx, c.Hospital, postgres.Limits{Concurrency: c.Concurrency, Rate: c.Rate}, c.Reset, c.By, c.Why)
		if err != nil {
			return err
		}
		records, err := s.Hospitals(ctx)
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.ID == c.Hospital {
				head, _ := newHeads(s).of(ctx, r.ID, r.Revision)
				fmt.Println("now:", limitsNow(r.Limits, head))
			}
		}
		return nil
	})
}
