package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"hishub/core/postgres"
	"hishub/core/replay"
)

// replayCmd looks after replays, which 'hishub message replay' makes.
type replayCmd struct {
	List    replayList    `cmd:"" help:"List replays, newest first."`
	Show    replayShow    `cmd:"" help:"Show how one stands, and its messages."`
	Approve replayApprove `cmd:"" help:"Let one of money run, as the second person."`
	Pause   replayPause   `cmd:"" help:"Let it tell nothing more; what is on its way goes on."`
	Resume  replayResume  `cmd:"" help:"Go on with one that is paused, or stopped by itself."`
	Cancel  replayCancel  `cmd:"" help:"End one; what was not told stays as it is."`
}

type replayList struct {
	place
	Open   bool  `help:"Only those that have not ended."`
	Before int64 `help:"Only those with a smaller number: the next page." placeholder:"ID"`
	Limit  int   `default:"50"`
	JSON   bool  `name:"json" help:"For scripts."`
}

func (replayList) Help() string {
	return "Examples:\n  hishub replay list --open\n  hishub replay list --json"
}

func (c *replayList) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		all, err := s.Replays(ctx, nil, c.Open, c.Before, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(all)
		}
		t := newTable("ID", "STATE", "MADE", "BY", "OF", "MESSAGES", "WAITING", "ON WAY", "DELIVERED", "PARKED", "REFUSED", "NOTE")
		for _, r := range all {
			n := r.Tally()
			t.row(r.ID, r.State, r.CreatedAt.Local().Format("01-02 15:04"), r.CreatedBy, r.Filter.State, n.Items, n.Waiting, n.OnWay, n.Delivered, n.Parked, n.Refused, r.Note)
		}
		return t.print()
	})
}

type oneReplay struct {
	place
	ID int64 `arg:"" help:"Number of the replay."`
}

type replayShow struct {
	oneReplay
	Outcome string `help:"Only messages with this outcome." enum:",waiting,released,delivered,parked,cancelled,skipped,refused" default:""`
	After   int64  `help:"Only messages with a greater number: the next page." placeholder:"ID"`
	Limit   int    `default:"50" help:"At most so many messages; 0 shows none."`
	Follow  bool   `help:"Show how it goes on until it ends; Ctrl-C leaves it running."`
	JSON    bool   `name:"json" help:"For scripts."`
}

func (replayShow) Help() string {
	return "Examples:\n  hishub replay show 7\n  hishub replay show 7 --outcome parked --json\n  hishub replay show 7 --follow"
}

func (c *replayShow) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		r, err := s.Replay(ctx, c.ID)
		if err != nil {
			return err
		}
		if c.Follow {
			return followReplay(ctx, s, c.ID)
		}
		items, err := s.ReplayItems(ctx, c.ID, replay.Outcome(c.Outcome), c.After, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(map[string]any{"replay": r, "items": items})
		}
		printReplay(r)
		if len(items) == 0 {
			return nil
		}
		fmt.Println()
		t := newTable("MESSAGE", "HOSPITAL", "KIND", "KEY", "OUTCOME", "GOES AS", "WHY")
		for _, i := range items {
			goes := ""
			if i.Goes != 0 {
				goes = fmt.Sprint(i.Goes)
			}
			t.row(i.Message, i.Hospital, i.Kind, i.Key, i.Outcome, goes, i.Why)
		}
		if err := t.print(); err != nil {
			return err
		}
		if len(items) == c.Limit {
			fmt.Printf("more: --after %d\n", items[len(items)-1].Message)
		}
		return nil
	})
}

func printReplay(r replay.Replay) {
	with := string(r.With)
	if with == "" {
		with = "as fits"
	}
	fmt.Printf("replay %d is %s\nof        %s messages, %g a second and %d at once at each hospital, revision %s\nby        %s at %s: %s\n",
		r.ID, r.State, r.Filter.State, r.Rate, r.Concurrency, with, r.CreatedBy, r.CreatedAt.Local().Format(time.DateTime), r.Note)
	if r.ApprovedBy != "" {
		fmt.Println("approved ", r.ApprovedBy)
	}
	if r.Problem != "" || r.PausedBy != "" {
		fmt.Printf("stopped   by %s: %s\n", r.PausedBy, r.Problem)
	}
	t := newTable("", "MESSAGES", "WAITING", "ON WAY", "DELIVERED", "PARKED", "CANCELLED", "SKIPPED", "REFUSED", "")
	for _, p := range r.Parts {
		t.row(p.Hospital, p.Items, p.Waiting, p.OnWay, p.Delivered, p.Tally.Parked, p.Tally.Cancelled, p.Skipped, p.Refused, p.Stopped)
	}
	_ = t.print()
}

// followReplay shows how it goes on until it ends or waits for a person.
func followReplay(ctx context.Context, s *postgres.Store, id int64) error {
	r, err := s.Replay(ctx, id)
	if err != nil {
		return err
	}
	// Where nobody watches, a log is not filled with a bar that moves.
	watched := terminal(os.Stderr)
	endBar := func() {
		if watched {
			fmt.Fprintln(os.Stderr)
		}
	}
	bar := progressbar.NewOptions(r.Tally().Items, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetVisibility(watched), progressbar.OptionShowCount(), progressbar.OptionSetDescription(fmt.Sprintf("replay %d", id)))
	warned := false
	for {
		n := r.Tally()
		_ = bar.Set(n.Items - n.Waiting - n.OnWay)
		switch r.State {
		case replay.Done, replay.Cancelled:
			endBar()
			fmt.Printf("replay %d is %s: %s\n", id, r.State, n)
			if n.Parked+n.Refused > 0 {
				fmt.Printf("see them: hishub replay show %d --outcome parked, --outcome refused\n", id)
				return errDifferences
			}
			return nil
		case replay.Paused, replay.Proposed:
			endBar()
			fmt.Printf("replay %d is %s: %s\n", id, r.State, n)
			if r.State == replay.Proposed {
				return fmt.Errorf("%w: a second person must say yes: hishub replay approve %d", errReplayStopped, id)
			}
			return fmt.Errorf("%w: paused by %s: %s; once that is mended: hishub replay resume %d", errReplayStopped, r.PausedBy, r.Problem, id)
		}
		if !warned {
			worked, err := s.Worked(ctx)
			if err == nil && !worked {
				endBar()
				fmt.Fprintln(os.Stderr, "no hub runs at this database; the replay begins when one does (hishub serve)")
			}
			warned = err == nil
		}
		select {
		case <-ctx.Done():
			endBar()
			fmt.Fprintf(os.Stderr, "replay %d goes on; follow it: hishub replay show %d --follow; pause it: hishub replay pause %d\n", id, id, id)
			return nil
		case <-time.After(200 * time.Millisecond):
		}
		if r, err = s.Replay(ctx, id); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// replayAct is what a person does about one.
type replayAct struct {
	oneReplay
	By   string `default:"${user}" help:"Who."`
	Note string `help:"Why."`
}

func (c *replayAct) act(ctx context.Context, do func(s *postgres.Store) (replay.Replay, error)) error {
	return c.with(ctx, func(s *postgres.Store) error {
		r, err := do(s)
		if errors.Is(err, postgres.ErrFourEyes) {
			return errors.New("who made it cannot approve it, too: another person must")
		}
		if err != nil {
			return err
		}
		fmt.Printf("replay %d is %s: %s\n", r.ID, r.State, r.Tally())
		return nil
	})
}

type (
	replayApprove struct{ replayAct }
	replayPause   struct{ replayAct }
	replayResume  struct{ replayAct }
	replayCancel  struct{ replayAct }
)

func example(verb, note string) string {
	return strings.TrimSpace(fmt.Sprintf("Example:\n  hishub replay %s 7 --note '%s'", verb, note))
}

func (replayApprove) Help() string { return example("approve", "their restore is confirmed") }
func (replayPause) Help() string   { return example("pause", "their cashiers complain") }
func (replayResume) Help() string  { return example("resume", "the table is mended") }
func (replayCancel) Help() string  { return example("cancel", "the wrong hospital") }

func (c *replayApprove) Run(ctx context.Context) error {
	return c.act(ctx, func(s *postgres.Store) (replay.Replay, error) { return s.ApproveReplay(ctx, c.ID, c.By, c.Note) })
}

func (c *replayPause) Run(ctx context.Context) error {
	return c.act(ctx, func(s *postgres.Store) (replay.Replay, error) { return s.PauseReplay(ctx, c.ID, c.By, c.Note) })
}

func (c *replayResume) Run(ctx context.Context) error {
	return c.act(ctx, func(s *postgres.Store) (replay.Replay, error) { return s.ResumeReplay(ctx, c.ID, c.By, c.Note) })
}

func (c *replayCancel) Run(ctx context.Context) error {
	return c.act(ctx, func(s *postgres.Store) (replay.Replay, error) { return s.CancelReplay(ctx, c.ID, c.By, c.Note) })
}
