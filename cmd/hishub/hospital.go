package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"hishub/core/postgres"
	"hishub/mapping"
)

// hospitalCmd is the life of a hospital folder.
type hospitalCmd struct {
	Check  hospitalCheck  `cmd:"" help:"Check a folder and run its cases; needs no server."`
	Try    hospitalTry    `cmd:"" help:"Say one message in a hospital's dialect and show the exact bytes; with --send, send it."`
	Apply  hospitalApply  `cmd:"" help:"Make a folder the active revision of its hospital."`
	List   hospitalList   `cmd:"" help:"List hospitals."`
	Pause  hospitalPause  `cmd:"" help:"Stop sending to a hospital; its messages are accepted and wait."`
	Resume hospitalResume `cmd:"" help:"Send to a hospital again."`
	Schema hospitalSchema `cmd:"" help:"Print the JSON Schema of the folder's files, for editors."`
}

type hospitalCheck struct {
	Folder []string `arg:"" type:"existingdir" help:"Hospital folders, or folders that hold some."`
	JSON   bool     `name:"json" help:"For scripts."`
}

func (hospitalCheck) Help() string {
	return "Examples:\n  hishub hospital check mapping/hospitals\n  XIHU_URL=… hishub hospital check mapping/hospitals/xihu\n\nEvery mistake names file:line:column and its cure. Exit status 1 when there is one, or a case fails."
}

// checked is what a check found in one folder.
type checked struct {
	Folder   string            `json:"folder"`
	Hospital string            `json:"hospital,omitempty"`
	Mistakes []mapping.Mistake `json:"mistakes"`
	Cases    int               `json:"cases"`
	Failed   []string          `json:"failed"`
}

func (c *hospitalCheck) Run() error {
	var all []checked
	bad := false
	for _, dir := range c.Folder {
		found, err := folders(os.DirFS(dir))
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		for _, name := range sortedKeys(found) {
			r := checkFolder(found[name])
			r.Folder = dir
			if name != "." {
				r.Folder = dir + "/" + name
			}
			bad = bad || len(r.Failed) > 0 || slices.ContainsFunc(r.Mistakes, func(m mapping.Mistake) bool { return !m.Warning })
			all = append(all, r)
		}
	}
	if c.JSON {
		if err := printJSON(all); err != nil {
			return err
		}
	} else {
		for _, r := range all {
			for _, m := range r.Mistakes {
				fmt.Printf("%s/%s\n", r.Folder, m)
			}
			for _, f := range r.Failed {
				fmt.Printf("%s/cases/%s\n", r.Folder, f)
			}
			fmt.Printf("%s: %d cases, %d failed\n", r.Folder, r.Cases, len(r.Failed))
		}
	}
	if bad {
		return errors.New("the check found mistakes")
	}
	return nil
}

func checkFolder(folder fs.FS) checked {
	var r checked
	f, err := loadFolder(folder)
	var mistakes mapping.Mistakes
	if errors.As(err, &mistakes) {
		r.Mistakes = mistakes
		return r
	} else if err != nil {
		r.Failed = []string{err.Error()}
		return r
	}
	r.Hospital, r.Mistakes = f.Dialect.Hospital, f.Warnings
	for _, result := range f.RunCases() {
		r.Cases++
		if !result.Passed() {
			r.Failed = append(r.Failed, result.Name+": "+strings.Join(result.Differences, "\n    "))
		}
	}
	return r
}

type hospitalSchema struct{}

func (hospitalSchema) Run() error {
	_, err := os.Stdout.Write(mapping.Schema())
	return err
}

type hospitalApply struct {
	place
	Folder string `arg:"" type:"existingdir" help:"Hospital folder, or a folder that holds some."`
	By     string `help:"Who applies it." default:"${user}"`
	Note   string `help:"Why."`
}

func (c *hospitalApply) Run(ctx context.Context) error {
	found, err := folders(os.DirFS(c.Folder))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Folder, err)
	}
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	for _, name := range sortedKeys(found) {
		f, number, err := applyFolder(ctx, store, found[name], c.By, c.Note)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", c.Folder, name, err)
		}
		fmt.Printf("%s: revision %d is active (%s)\n", f.Dialect.Hospital, number, f.Dialect.Digest[:12])
	}
	return nil
}

type hospitalList struct {
	place
	JSON bool `name:"json" help:"For scripts."`
}

func (c *hospitalList) Run(ctx context.Context) error {
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	all, err := store.Hospitals(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(all)
	}
	t := newTable("HOSPITAL", "NAME", "REVISION", "PAUSED")
	for _, h := range all {
		paused := ""
		if h.PausedAt != nil {
			paused = h.PausedAt.Local().Format("2006-01-02 15:04") + " by " + h.PausedBy + ": " + h.PausedWhy
		}
		t.row(h.ID, h.Name, h.Revision, paused)
	}
	return t.print()
}

type hospitalPause struct {
	place
	Hospital string `arg:""`
	Why      string `help:"Shown to everybody who looks." required:""`
	By       string `default:"${user}" help:"Who pauses it."`
}

func (c *hospitalPause) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error { return s.Pause(ctx, c.Hospital, c.By, c.Why) })
}

type hospitalResume struct {
	place
	Hospital string `arg:""`
	Why      string `help:"What was mended."`
	By       string `default:"${user}" help:"Who resumes it."`
}

func (c *hospitalResume) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error { return s.Resume(ctx, c.Hospital, c.By, c.Why) })
}

// open opens the ledger for a command; it never makes a key.
func (p place) open(ctx context.Context) (*postgres.Store, error) {
	url, err := p.databaseURL()
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, postgres.Options{URL: url, KeyFile: p.keyFile(), MaxConns: 8})
}

func (p place) with(ctx context.Context, f func(*postgres.Store) error) error {
	store, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	return f(store)
}
