package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"hishub/core/postgres"
	"hishub/core/reconcile"
)

type reconcileCmd struct {
	Run  reconcileRun  `cmd:"" help:"Compare a day now; a day that was compared before is compared again."`
	Show reconcileShow `cmd:"" help:"Show runs, or one run with what it found."`
}

type reconcileRun struct {
	place
	services
	variables
	Hospital string `arg:"" help:"Hospital."`
	Day      string `arg:"" optional:"" help:"yyyy-MM-dd in the hospital's zone; yesterday if none."`
	By       string `default:"${user}" help:"Who."`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (reconcileRun) Help() string {
	return "Example:\n  hishub reconcile run dongshan 2026-01-05\n\nExit status 3 when there are differences."
}

// errDifferences makes the exit status tell that somebody must look.
var errDifferences = errors.New("there are differences")

func (c *reconcileRun) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	url, err := c.databaseURL()
	if err != nil {
		return err
	}
	h, err := openHub(ctx, newLog(slog.LevelWarn), url, c.keyFile(), false, c.services)
	if err != nil {
		return err
	}
	defer h.close()
	if c.Day == "" {
		zone, err := h.hospitals.zone(ctx, c.Hospital)
		if err != nil {
			return err
		}
		c.Day = time.Now().In(zone).AddDate(0, 0, -1).Format(time.DateOnly)
	}
	n, err := h.runner.Run(ctx, reconcile.Ask{Hospital: c.Hospital, Day: c.Day, Who: c.By})
	if err != nil {
		return err
	}
	findings, err := h.store.Findings(ctx, n.ID)
	if err != nil {
		return err
	}
	if err := printNight(n, findings, c.JSON); err != nil {
		return err
	}
	if n.Differences() > 0 {
		return errDifferences
	}
	return nil
}

type reconcileShow struct {
	place
	Hospital string `help:"Only this hospital."`
	Day      string `help:"Only this day."`
	Night    int64  `help:"One run, with what it found."`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (reconcileShow) Help() string {
	return "Examples:\n  hishub reconcile show --hospital dongshan\n  hishub reconcile show --night 12"
}

func (c *reconcileShow) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		nights, err := s.Nights(ctx, c.Hospital, c.Day, 100)
		if err != nil {
			return err
		}
		if c.Night != 0 {
			for _, n := range nights {
				if n.ID == c.Night {
					findings, err := s.Findings(ctx, n.ID)
					if err != nil {
						return err
					}
					return printNight(n, findings, c.JSON)
				}
			}
			return fmt.Errorf("no run %d among the last 100; narrow them with --hospital and --day", c.Night)
		}
		if c.JSON {
			return printJSON(nights)
		}
		t := newTable("NIGHT", "HOSPITAL", "DAY", "RUN", "STATE", "BY", "DIFFERENCES", "PROBLEM")
		for _, n := range nights {
			t.row(n.ID, n.Hospital, n.Day, n.Run, n.State, n.Who, n.Differences(), n.Problem)
		}
		return t.print()
	})
}

func printNight(n reconcile.Night, findings []reconcile.Finding, asJSON bool) error {
	if asJSON {
		return printJSON(map[string]any{"night": n, "findings": findings})
	}
	fmt.Printf("%s %s, run %d: %s\n", n.Hospital, n.Day, n.Run, n.State)
	for _, c := range reconcile.Classes {
		if n.Counts[c] > 0 {
			fmt.Printf("  %-15s %d\n", c, n.Counts[c])
		}
	}
	for _, l := range n.Lines {
		fmt.Printf("  %-8s %-10s %-8s %6d  %s\n", l.Party, l.Channel, l.Type, l.Count, l.Amount)
	}
	t := newTable("CLASS", "TYPE", "NUMBER", "CHANNEL", "OURS", "HIS")
	for _, f := range findings {
		if f.Class == reconcile.Matched {
			continue
		}
		t.row(f.Class, f.Type, f.Number, amounts(f.Channel), amounts(f.Ours), amounts(f.HIS))
	}
	return t.print()
}

func amounts(es []reconcile.Entry) string {
	s := ""
	for i, e := range es {
		if i > 0 {
			s += " "
		}
		s += e.Amount.String()
		if e.Told != "" {
			s += " " + string(e.Told)
		}
	}
	return s
}
