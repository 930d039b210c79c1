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
	n, findings, err := h.runner.Run(ctx, c.Hospital, c.Day, c.By)
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
		t := newTable("NIGHT", "HOSPITAL", "DAY", "RUN", "STATE", "BY", "OURS", "THEIRS", "DIFFERENCES", "PROBLEM")
		for _, n := range nights {
			t.row(n.ID, n.Hospital, n.Day, n.Run, n.State, n.Who, n.Ours.PaymentAmount-n.Ours.RefundAmount, n.Theirs.PaymentAmount-n.Theirs.RefundAmount, n.Differences(), n.Problem)
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
	fmt.Printf("  ours    %d payments %s, %d refunds %s\n  theirs  %d payments %s, %d refunds %s\n",
		n.Ours.Payments, n.Ours.PaymentAmount, n.Ours.Refunds, n.Ours.RefundAmount,
		n.Theirs.Payments, n.Theirs.PaymentAmount, n.Theirs.Refunds, n.Theirs.RefundAmount)
	t := newTable("CLASS", "TYPE", "NUMBER", "OURS", "THEIRS")
	for _, f := range findings {
		if f.Class == reconcile.Matched {
			continue
		}
		t.row(f.Class, f.Type, f.Number, amounts(f.Ours), amounts(f.Theirs))
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
		if e.State != "" {
			s += " " + string(e.State)
		}
	}
	return s
}
