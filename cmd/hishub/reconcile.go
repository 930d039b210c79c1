package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
)

type reconcileCmd struct {
	Run      reconcileRun      `cmd:"" help:"Compare a day now; a day that was compared before is compared again."`
	Backfill reconcileBackfill `cmd:"" help:"Compare days that were missed, oldest first."`
	Show     reconcileShow     `cmd:"" help:"Show runs, or one run with what it found."`
	Cases    reconcileCases    `cmd:"" help:"List differences with what people do about them, or show one with its trail."`
	Note     reconcileNote     `cmd:"" help:"Add a note to a case."`
	Assign   reconcileAssign   `cmd:"" help:"Say whose work a case is."`
	Propose  reconcilePropose  `cmd:"" help:"Propose a repair of a case."`
	Approve  reconcileApprove  `cmd:"" help:"Say yes to a repair; the running hub carries it out when enough have."`
	Reject   reconcileReject   `cmd:"" help:"Say no to a repair."`
	Export   reconcileExport   `cmd:"" help:"Write finance's report of a day or a month to a file."`
	Receipt  reconcileReceipt  `cmd:"" help:"Enter what a channel paid into the bank account for a day."`
}

// wholeHub is what a command needs that opens hospital folders.
type wholeHub struct {
	place
	services
	variables
}

// open connects a hub that runs nothing by itself; it never makes a key.
func (w wholeHub) open(ctx context.Context) (*hub, error) {
	if err := w.set(); err != nil {
		return nil, err
	}
	url, err := w.databaseURL()
	if err != nil {
		return nil, err
	}
	return openHub(ctx, newLog(slog.LevelWarn), url, w.keyFile(), false, w.services)
}

type reconcileRun struct {
	wholeHub
	Hospital string `arg:"" help:"Hospital."`
	Day      string `arg:"" optional:"" help:"yyyy-MM-dd in the hospital's zone; the last whole day if none."`
	Full     bool   `help:"Ask the HIS for each entry, also where its totals agree with ours."`
	By       string `default:"${user}" help:"Who."`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (reconcileRun) Help() string {
	return "Example:\n  hishub reconcile run dongshan 2026-01-05\n\nExit status 3 when there are differences, 1 when somebody's books are not there yet."
}

// errDifferences makes the exit status tell that somebody must look.
var errDifferences = errors.New("there are differences")

func (c *reconcileRun) Run(ctx context.Context) error {
	h, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	if c.Day == "" {
		where, err := h.hospitals.place(ctx, c.Hospital)
		if err != nil {
			return err
		}
		c.Day = where.LastDay(time.Now())
	}
	stop := h.tellProgress(ctx, c.Hospital, c.Day)
	n, err := h.runner.Run(ctx, reconcile.Ask{Hospital: c.Hospital, Day: c.Day, Who: c.By, Full: c.Full})
	stop()
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
	switch {
	case n.State != reconcile.NightDone:
		return fmt.Errorf("the night is %s: %s", n.State, n.Problem)
	case n.Differences() > 0:
		return errDifferences
	}
	return nil
}

// tellProgress says on a terminal how far a run is, until it is stopped.
func (h *hub) tellProgress(ctx context.Context, hospital, day string) (stop func()) {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				fmt.Fprint(os.Stderr, "\r\x1b[K")
				return
			case <-time.After(500 * time.Millisecond):
			}
			if nights, err := h.store.Nights(ctx, hospital, day, 1); err == nil && len(nights) == 1 && nights[0].State == reconcile.NightRunning {
				fmt.Fprintf(os.Stderr, "\r\x1b[K%s %s: %s %d", hospital, day, nights[0].Stage, nights[0].Done)
			}
		}
	})
	return func() { cancel(); work.Wait() }
}

type reconcileBackfill struct {
	wholeHub
	Hospital string `arg:"" help:"Hospital."`
	From     string `arg:"" help:"First day, yyyy-MM-dd."`
	To       string `arg:"" optional:"" help:"Last day; the last whole day if none."`
	By       string `default:"${user}" help:"Who."`
}

func (reconcileBackfill) Help() string {
	return "Example:\n  hishub reconcile backfill dongshan 2026-01-01 2026-01-31\n\nDays that are closed are left as they are. Exit status 3 when there are differences, 1 when a day is not done."
}

func (c *reconcileBackfill) Run(ctx context.Context) error {
	h, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer h.close()
	where, err := h.hospitals.place(ctx, c.Hospital)
	if err != nil {
		return err
	}
	if c.To == "" {
		c.To = where.LastDay(time.Now())
	}
	differences, undone := 0, 0
	err = h.runner.Backfill(ctx, c.Hospital, c.From, c.To, c.By, func(n reconcile.Night) {
		differences += n.Differences()
		if n.State != reconcile.NightDone {
			undone++
		}
		fmt.Printf("%s  %-8s %d matched, %s  %s\n", n.Day, n.State, n.Counts[reconcile.Matched], core.Count(n.Differences(), "difference", "differences"), n.Problem)
	})
	switch {
	case err != nil:
		return err
	case undone > 0:
		return fmt.Errorf("%s not done; run it again when what is waited for is there", core.Count(undone, "day is", "days are"))
	case differences > 0:
		return errDifferences
	}
	return nil
}

type reconcileShow struct {
	place
	Hospital string `help:"Only this hospital."`
	Day      string `help:"Only this day."`
	Night    int64  `help:"One run, with what it found; it is looked for among the last 100 that the other flags leave."`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (reconcileShow) Help() string {
	return "Examples:\n  hishub reconcile show --hospital dongshan\n  hishub reconcile show --night 12"
}

func (c *reconcileShow) Run(ctx context.Context) error {
	if _, err := time.Parse(time.DateOnly, c.Day); c.Day != "" && err != nil {
		return core.Problems{{Field: "day", What: "not a date like 2026-01-05"}}
	}
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
	if len(n.Lines) > 0 {
		t := newTable("PARTY", "CHANNEL", "BUSINESS", "TYPE", "COUNT", "YUAN")
		for _, l := range n.Lines {
			t.row(l.Party, cmp.Or(l.Channel, "-"), l.Business, l.Type, l.Count, l.Amount)
		}
		if err := t.print(); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(findings, func(f reconcile.Finding) bool { return f.Class != reconcile.Matched }) {
		return nil
	}
	t := newTable("CLASS", "TYPE", "NUMBER", "CHANNEL", "OURS", "HIS")
	for _, f := range findings {
		if f.Class != reconcile.Matched {
			t.row(f.Class, f.Type, f.Number, amounts(f.Channel), amounts(f.Ours), amounts(f.HIS))
		}
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
