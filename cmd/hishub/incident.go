package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hishub/core/api"
	"hishub/core/incident"
	"hishub/core/postgres"
)

// incidentCmd is for the person on duty.
type incidentCmd struct {
	List incidentList `cmd:"" help:"List incidents, newest first: the open ones, or all."`
	Look incidentLook `cmd:"" help:"Say that you look at an open one; whoever is told of it from then on reads it."`
}

type incidentList struct {
	place
	Hospital string `help:"Only this one's." placeholder:"ID"`
	All      bool   `help:"Those that are over, too."`
	Limit    int    `help:"At most so many." default:"100"`
	JSON     bool   `name:"json" help:"For scripts, as GET /v1/incidents gives it."`
}

func (incidentList) Help() string {
	return "Example:\n  hishub incident list --all --hospital dongshan"
}

func (c *incidentList) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		var hospitals []string
		if c.Hospital != "" {
			hospitals = []string{c.Hospital}
		}
		all, err := s.Incidents(ctx, hospitals, !c.All, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			shown := make([]api.Incident, len(all))
			for i := range all {
				shown[i] = api.ShownIncident(all[i])
			}
			return printJSON(map[string]any{"incidents": shown})
		}
		t := newTable("ID", "HOSPITAL", "KIND", "SEVERITY", "SINCE", "UNTIL", "LOOKED AT BY", "NOTE", "HOW IT STANDS")
		for _, i := range all {
			hospital, until := i.Hospital, ""
			if hospital == incident.Hub {
				hospital = "(hub)"
			}
			if i.ResolvedAt != nil {
				until = minutely(*i.ResolvedAt)
			}
			t.row(i.ID, hospital, i.Kind, i.Kind.Severity(), minutely(i.OpenedAt), until, i.LookedBy, i.LookedNote, i.Detail)
		}
		return t.print()
	})
}

func minutely(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

type incidentLook struct {
	place
	ID   int64  `arg:"" help:"Number from 'hishub incident list'."`
	By   string `default:"${user}" help:"Who."`
	Note string `help:"What is known; without it, what was noted before stays."`
}

func (incidentLook) Help() string {
	return "It is recorded in the audit. An incident ends by itself when what it is about is over, never by this.\n\nExample:\n  hishub incident look 17 --note \"their network is down until noon\""
}

func (c *incidentLook) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		_, err := s.LookAtIncident(ctx, nil, c.ID, c.By, c.Note)
		if errors.Is(err, postgres.ErrNotFound) {
			return fmt.Errorf("there is no open incident %d; see 'hishub incident list'", c.ID)
		}
		if err == nil {
			fmt.Printf("%s looks at incident %d\n", c.By, c.ID)
		}
		return err
	})
}
