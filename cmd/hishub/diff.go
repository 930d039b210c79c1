package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/mapping/changes"
)

// hospitalDiff compares two states of a folder.
type hospitalDiff struct {
	place
	variables
	Of   string `arg:"" help:"Hospital folder, or with --from a hospital."`
	With string `arg:"" optional:"" help:"Another folder to compare it with; the active revision, if none."`
	From int    `help:"Revision to begin with."`
	To   int    `help:"Revision to compare it with; the active one, if none."`
	// Cases are most of a folder, and few are read.
	Cases bool `help:"Show what differs in cases, too; else only which do."`
	JSON  bool `name:"json" help:"For scripts; all of it."`
}

func (hospitalDiff) Help() string {
	return "Examples:\n  hishub hospital diff mapping/hospitals/dongshan\n  hishub hospital diff dongshan --from 3 --to 5\n  hishub hospital diff old/dongshan new/dongshan\n\nShows what a difference means, where lines that begin with ! want a look, then file by file what differs; cases are one line each. Keys and secrets are not shown. Exit status 3 when something differs."
}

func (c *hospitalDiff) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	switch {
	case c.From < 0 || c.To < 0 || c.From == 0 && c.To != 0 || c.From != 0 && c.With != "":
		return core.Problems{{Field: "from", What: "give a hospital with --from (and --to), or folders without them"}}
	case c.With != "":
		return c.compare(ctx, c.folder(c.Of), c.folder(c.With))
	case c.From != 0:
		return c.with(ctx, func(s *postgres.Store) error {
			return c.compare(ctx, c.revision(s, c.Of, c.From), c.revision(s, c.Of, c.To))
		})
	}
	is := c.folder(c.Of)
	new, err := is(ctx)
	if err != nil {
		return err
	}
	return c.with(ctx, func(s *postgres.Store) error {
		return c.compare(ctx, c.revision(s, new.Dialect.Hospital, 0), is)
	})
}

// state opens one state of a folder.
type state func(context.Context) (changes.Side, error)

func (c *hospitalDiff) folder(dir string) state {
	return func(context.Context) (changes.Side, error) {
		if _, err := os.Stat(filepath.Join(dir, "hospital.yaml")); err != nil {
			return changes.Side{}, fmt.Errorf("%s: no hospital folder: there is no hospital.yaml", dir)
		}
		return sideOf(dir, os.DirFS(dir))
	}
}

func (c *hospitalDiff) revision(s *postgres.Store, hospital string, number int) state {
	return func(ctx context.Context) (changes.Side, error) {
		if _, err := s.Name(ctx, hospital); err != nil {
			return changes.Side{}, fmt.Errorf("%s: %w", hospital, err)
		}
		files, err := unpacked(ctx, s, hospital, number)
		if err != nil {
			return changes.Side{}, err
		}
		name := fmt.Sprintf("revision %d", number)
		if number == 0 {
			name = "active"
		}
		return sideOf(name, files)
	}
}

func sideOf(name string, files fs.FS) (changes.Side, error) {
	f, err := loadSample(files)
	if err != nil {
		return changes.Side{}, inFolder(name, err)
	}
	return changes.Side{Name: name, Files: files, Dialect: f.Dialect}, nil
}

func (c *hospitalDiff) compare(ctx context.Context, old, new state) error {
	a, err := old(ctx)
	if err != nil {
		return err
	}
	b, err := new(ctx)
	if err != nil {
		return err
	}
	if a.Dialect.Hospital != b.Dialect.Hospital {
		return fmt.Errorf("%s is of %s and %s of %s: two hospitals, not two states of one", a.Name, a.Dialect.Hospital, b.Name, b.Dialect.Hospital)
	}
	found, err := changes.Between(a, b)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(found); err != nil {
			return err
		}
	} else {
		printChanges(os.Stdout, found, c.Cases)
	}
	if found.Differ() {
		return errDifferences
	}
	return nil
}

// printChanges says what differences mean, and then what they are.
func printChanges(w io.Writer, c *changes.Changes, cases bool) {
	if !c.Differ() {
		fmt.Fprintln(w, "nothing differs")
		return
	}
	for _, warnings := range []bool{true, false} {
		for _, n := range c.Notes {
			if n.Warning == warnings {
				mark := " "
				if n.Warning {
					mark = "!"
				}
				fmt.Fprintf(w, "%s %s: %s\n", mark, n.About, n.What)
			}
		}
	}
	brief := func(f changes.File) bool { return !cases && strings.HasPrefix(f.Name, "cases/") }
	for _, f := range c.Files {
		if !brief(f) {
			fmt.Fprintf(w, "\n%s %s\n%s", f.Is, f.Name, f.Diff)
		}
	}
	if i := slices.IndexFunc(c.Files, brief); i >= 0 {
		fmt.Fprintln(w)
	}
	for _, f := range c.Files {
		if brief(f) {
			fmt.Fprintf(w, "%s: %s\n", f.Name, f.Is)
		}
	}
}
