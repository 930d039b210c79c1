package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/mapping"
)

// hospitalLife is what becomes of a folder once it is applied.
type hospitalLife struct {
	Diff      hospitalDiff      `cmd:"" help:"Compare a folder with the active revision, two revisions, or two folders, and say what it means."`
	Revisions hospitalRevisions `cmd:"" help:"List the revisions of a hospital's folder, and what is on its way with each."`
	Rollback  hospitalRollback  `cmd:"" help:"Make an earlier revision active again."`
	Shadow    hospitalShadow    `cmd:"" help:"Say what was told yesterday once more with a new folder, and show what differs; nothing is sent."`
}

type hospitalRevisions struct {
	place
	Hospital string `arg:""`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (hospitalRevisions) Help() string {
	return "Example:\n  hishub hospital revisions dongshan\n\nUNFINISHED are messages that were begun with a revision and keep it to their end. What was not begun is told with the active one."
}

// revisionLine is a revision as scripts see it.
type revisionLine struct {
	Number     int    `json:"number"`
	AppliedAt  string `json:"applied_at"`
	AppliedBy  string `json:"applied_by"`
	Note       string `json:"note,omitempty"`
	Digest     string `json:"digest"`
	Active     bool   `json:"active"`
	Unfinished int    `json:"unfinished"`
}

func (c *hospitalRevisions) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		all, err := revisionsOf(ctx, s, c.Hospital)
		if err != nil {
			return err
		}
		if c.JSON {
			lines := make([]revisionLine, len(all))
			for i, r := range all {
				lines[i] = revisionLine{r.Number, r.AppliedAt.Format("2006-01-02T15:04:05Z07:00"), r.AppliedBy, r.Note, r.Digest, r.Active, r.Unfinished}
			}
			return printJSON(lines)
		}
		t := newTable("REVISION", "APPLIED", "BY", "DIGEST", "UNFINISHED", "NOTE")
		for _, r := range all {
			number := fmt.Sprint(r.Number)
			if r.Active {
				number += " active"
			}
			t.row(number, r.AppliedAt.Local().Format("2006-01-02 15:04"), r.AppliedBy, r.Digest[:12], r.Unfinished, r.Note)
		}
		return t.print()
	})
}

// revisionsOf lists the revisions of a hospital that must be there.
func revisionsOf(ctx context.Context, s *postgres.Store, hospital string) ([]postgres.Revision, error) {
	if _, err := s.Name(ctx, hospital); err != nil {
		return nil, fmt.Errorf("%s: %w", hospital, err)
	}
	return s.Revisions(ctx, hospital)
}

type hospitalRollback struct {
	place
	variables
	Hospital string `arg:""`
	Revision int    `arg:"" optional:"" help:"Revision to go back to; the one before the active that differs from it, if none."`
	To       int    `help:"The same."`
	Why      string `help:"Recorded with the revision." required:""`
	By       string `help:"Who." default:"${user}"`
	Force    bool   `help:"Although its cases fail."`
}

func (hospitalRollback) Help() string {
	return "Examples:\n  hishub hospital rollback dongshan --why \"new drug codes were wrong\"\n  hishub hospital rollback dongshan 3 --why \"back to before the update\"\n\nThe earlier folder becomes a new revision: numbers only grow. Its cases must pass and its variables be set. What is on its way keeps the revision that it was begun with; what waits is told with the new one. Running hubs follow within a second."
}

func (c *hospitalRollback) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	if c.Revision != 0 && c.To != 0 && c.Revision != c.To {
		return core.Problems{{Field: "to", What: fmt.Sprintf("%d is not revision %d; name one of them", c.To, c.Revision)}}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		all, err := revisionsOf(ctx, s, c.Hospital)
		if err != nil {
			return err
		}
		to, err := target(all, max(c.Revision, c.To))
		if err != nil {
			return fmt.Errorf("%s: %w", c.Hospital, err)
		}
		name := fmt.Sprintf("revision %d of %s", to, c.Hospital)
		files, err := unpacked(ctx, s, c.Hospital, to)
		if err != nil {
			return err
		}
		f, err := loadFolder(files)
		if err != nil {
			return inFolder(name, err)
		}
		if r := checkFolder(name, files); len(r.Failed) > 0 && !c.Force {
			// There is no folder at hand to check, so everything is said here.
			return fmt.Errorf("%s, so nothing was changed; say --force to go back all the same\n  %s", r.failure(), strings.Join(r.Failed, "\n  "))
		}
		number, err := s.Restore(ctx, c.Hospital, f.Dialect.Name, to, c.By, fmt.Sprintf("back to revision %d: %s", to, c.Why))
		if err != nil {
			return err
		}
		fmt.Printf("%s: revision %d is active, which is revision %d again (%s)\n", c.Hospital, number, to, f.Dialect.Digest[:12])
		return printKept(ctx, s, c.Hospital)
	})
}

// target is the revision to go back to.
func target(all []postgres.Revision, to int) (int, error) {
	var active postgres.Revision
	for _, r := range all {
		if r.Active {
			active = r
		}
	}
	for _, r := range all {
		switch {
		case to == 0 && r.Number < active.Number && r.Digest != active.Digest, to == r.Number && r.Digest != active.Digest:
			return r.Number, nil
		case to == r.Number:
			return 0, fmt.Errorf("nothing to go back to: revision %d is what is active", to)
		}
	}
	if to != 0 {
		return 0, core.Problems{{Field: "to", What: fmt.Sprintf("there is no revision %d; 'hishub hospital revisions' lists them", to)}}
	}
	return 0, errors.New("nothing to go back to: there is no earlier revision that differs")
}

func unpacked(ctx context.Context, s *postgres.Store, hospital string, number int) (fs.FS, error) {
	r, err := s.Revision(ctx, hospital, number)
	if err != nil {
		return nil, err
	}
	return mapping.Unpack(r.Archive)
}

// printKept says which messages that have not ended keep which revision.
func printKept(ctx context.Context, s *postgres.Store, hospital string) error {
	all, err := s.Revisions(ctx, hospital)
	if err != nil {
		return err
	}
	lights, err := s.Lights(ctx)
	if err != nil {
		return err
	}
	w := lights[hospital]
	waiting := w.Queued + w.Sending + w.Parked
	for _, r := range all {
		if r.Unfinished > 0 {
			fmt.Printf("  %d begun with revision %d keep it to their end\n", r.Unfinished, r.Number)
			waiting -= r.Unfinished
		}
	}
	if waiting > 0 {
		fmt.Printf("  %d that were not begun are told with the active one\n", waiting)
	}
	return nil
}
