package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"hishub/cmd/hishub/certify"
	"hishub/core"
	"hishub/core/postgres"
	"hishub/mapping"
)

// hospitalCmd is the life of a hospital folder.
type hospitalCmd struct {
	New     hospitalNew     `cmd:"" help:"Draft a folder from what the hospital has: a WSDL, an OpenAPI file, recorded messages, a database."`
	Check   hospitalCheck   `cmd:"" help:"Check a folder and run its cases; needs no server."`
	Try     hospitalTry     `cmd:"" help:"Say one message in a hospital's dialect and show the exact bytes; with --send, send it."`
	Record  hospitalRecord  `cmd:"" help:"Make a case, with made-up people, of an exchange that the ledger remembers."`
	Certify hospitalCertify `cmd:"" help:"Run the conformance list against the hospital's test HIS, and write the report to be signed."`
	Apply   hospitalApply   `cmd:"" help:"Make a folder the active revision of its hospital."`
	hospitalLife
	List   hospitalList   `cmd:"" help:"List hospitals: how they stand, what waits, what holds them."`
	Pause  hospitalPause  `cmd:"" help:"Stop sending to a hospital; its messages are accepted and wait."`
	Resume hospitalResume `cmd:"" help:"Send to a hospital again."`
	Limits hospitalLimits `cmd:"" help:"Set how much a hospital is sent at once, in place of its folder's limits."`
	Schema hospitalSchema `cmd:"" help:"Print the JSON Schema of the folder's files, for editors."`
}

type hospitalCheck struct {
	Folder   []string `arg:"" help:"Hospital folders, or folders that hold some."`
	Coverage bool     `help:"Also print the table of transaction x hospital."`
	Accept   []string `help:"First save what is sent in this case as its request.*, after you have compared it; 'same': in each case that says what its sample says." placeholder:"CASE"`
	Force    bool     `help:"With --accept, also where a request.* is there already."`
	JSON     bool     `name:"json" help:"For scripts."`
}

func (hospitalCheck) Help() string {
	return "Examples:\n  hishub hospital check mapping/hospitals\n  hishub hospital check --coverage mapping/hospitals\n  hishub hospital check hospitals/haining --accept same\n\nEvery mistake names file:line:column and its cure. Variables are as in the folder's env.sample, and what it lacks as in the environment, so that the cases run the same everywhere. Exit status 1 when there is a mistake, or a case fails."
}

// checked is what a check found in one folder. Cases run when there is no mistake.
type checked struct {
	Folder   string            `json:"folder"`
	Hospital string            `json:"hospital,omitempty"`
	Mistakes []mistake         `json:"mistakes"`
	Cases    int               `json:"cases"`
	Failed   []string          `json:"failed"`
	Coverage []certify.Covered `json:"coverage,omitempty"`

	failing []string // names of the cases that failed
}

// mistake is a mapping.Mistake as scripts see it.
type mistake struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	What    string `json:"what"`
	Cure    string `json:"cure,omitempty"`
	Warning bool   `json:"warning,omitempty"`
}

func (c *hospitalCheck) Run() error {
	all := []checked{}
	bad := false
	for _, dir := range c.Folder {
		found, err := folders(dir)
		if err != nil {
			return err
		}
		for _, name := range sortedKeys(found) {
			if len(c.Accept) > 0 {
				if err := accept(name, found[name], c.Accept, c.Force); err != nil {
					return err
				}
			}
			r := checkFolder(name, found[name])
			bad = bad || r.bad()
			all = append(all, r)
		}
	}
	if c.JSON {
		if err := printJSON(all); err != nil {
			return err
		}
	} else {
		for _, r := range all {
			r.print()
		}
		if c.Coverage {
			fmt.Println()
			if err := printCoverage(all); err != nil {
				return err
			}
		}
	}
	if bad {
		return errors.New("the check found mistakes")
	}
	return nil
}

func checkFolder(name string, folder fs.FS) checked {
	r := checked{Folder: name, Mistakes: []mistake{}, Failed: []string{}}
	f, err := loadCases(folder)
	var mistakes mapping.Mistakes
	if errors.As(err, &mistakes) {
		r.add(mistakes)
		return r
	}
	r.Hospital = f.Dialect.Hospital
	r.add(f.Warnings)
	results := f.RunCases()
	r.Coverage = certify.Coverage(f.Dialect, results)
	for _, result := range results {
		r.Cases++
		if !result.Passed() {
			r.failing = append(r.failing, result.Name)
			r.Failed = append(r.Failed, result.Name+": "+strings.Join(result.Differences, "\n    "))
		}
	}
	return r
}

func (r *checked) add(found []mapping.Mistake) {
	for _, m := range found {
		r.Mistakes = append(r.Mistakes, mistake(m))
	}
}

// wrong reports whether there is more than warnings.
func (r *checked) wrong() bool {
	return slices.ContainsFunc(r.Mistakes, func(m mistake) bool { return !m.Warning })
}

func (r *checked) bad() bool { return len(r.Failed) > 0 || r.wrong() }

// failure says how many of its cases fail.
func (r *checked) failure() string {
	return r.Folder + ": " + core.Count(len(r.failing), "case fails", "cases fail")
}

func (r *checked) print() {
	for _, m := range r.Mistakes {
		fmt.Printf("%s/%s\n", r.Folder, mapping.Mistake(m))
	}
	for _, f := range r.Failed {
		fmt.Printf("%s/cases/%s\n", r.Folder, f)
	}
	if r.wrong() {
		fmt.Printf("%s: not usable, so its cases did not run\n", r.Folder)
	} else {
		fmt.Printf("%s: %s, %d failed\n", r.Folder, core.Count(r.Cases, "case", "cases"), len(r.Failed))
	}
}

type hospitalSchema struct{}

func (hospitalSchema) Help() string {
	return "Example:\n  hishub hospital schema > hospital.schema.json"
}

func (hospitalSchema) Run() error {
	_, err := os.Stdout.Write(mapping.Schema())
	return err
}

type hospitalApply struct {
	place
	variables
	Force  bool   `help:"Apply it although cases fail."`
	Folder string `arg:"" help:"Hospital folder, or a folder that holds some."`
	By     string `help:"Who applies it." default:"${user}"`
	Note   string `help:"Why."`
}

func (hospitalApply) Help() string {
	return "Example:\n  hishub hospital apply mapping/hospitals/dongshan --note \"new drug codes\"\n\nIts cases must pass, with the variables of its env.sample as for 'hishub hospital check'. Every variable that the folder names must be set here, and for each running hishub: one that lacks it says so in the hospital's light. What is on its way keeps the revision that it was begun with."
}

func (c *hospitalApply) Run(ctx context.Context) error {
	found, err := folders(c.Folder)
	if err != nil {
		return err
	}
	if err := c.set(); err != nil {
		return err
	}
	var checking errgroup.Group
	checking.SetLimit(runtime.GOMAXPROCS(0))
	names := sortedKeys(found)
	dialects := make([]*core.Dialect, len(names))
	for i, name := range names {
		checking.Go(func() error {
			if r := checkFolder(name, found[name]); len(r.Failed) > 0 && !c.Force {
				return fmt.Errorf("%s, so nothing was applied: %s; see 'hishub hospital check %s', or say --force", r.failure(), strings.Join(r.failing, ", "), name)
			}
			f, err := loadFolder(found[name])
			if err != nil {
				return inFolder(name, err)
			}
			dialects[i] = f.Dialect
			return nil
		})
	}
	if err := checking.Wait(); err != nil {
		return err
	}
	return c.with(ctx, func(s *postgres.Store) error {
		applied := 0
		for i, name := range names {
			d := dialects[i]
			active, err := isActive(ctx, s, d)
			if err != nil {
				return inFolder(name, err)
			}
			if active != 0 {
				fmt.Printf("%s: nothing to apply: it is revision %d, which is active\n", name, active)
				continue
			}
			number, err := applyLoaded(ctx, s, d, found[name], c.By, c.Note)
			if err != nil {
				return inFolder(name, err)
			}
			applied++
			fmt.Printf("%s: revision %d is active (%s)\n", d.Hospital, number, d.Digest[:12])
			if number > 1 {
				if err := printKept(ctx, s, d.Hospital); err != nil {
					return err
				}
			}
		}
		if applied == 0 {
			return errors.New("nothing to apply")
		}
		return nil
	})
}

// isActive gives the number of the active revision if the folder is that, else 0.
func isActive(ctx context.Context, s *postgres.Store, d *core.Dialect) (int, error) {
	r, err := s.Revision(ctx, d.Hospital, 0)
	if errors.Is(err, postgres.ErrNotFound) {
		return 0, nil
	}
	if err != nil || r.Digest != d.Digest {
		return 0, err
	}
	return r.Number, nil
}

// inFolder makes the files that a folder's mistakes name paths from here.
func inFolder(name string, err error) error {
	var mistakes mapping.Mistakes
	if !errors.As(err, &mistakes) {
		return fmt.Errorf("%s: %w", name, err)
	}
	named := slices.Clone(mistakes)
	for i := range named {
		named[i].File = filepath.Join(name, named[i].File)
	}
	return named
}

type hospitalPause struct {
	place
	Hospital string `arg:""`
	Why      string `help:"Shown to everybody who looks." required:""`
	By       string `default:"${user}" help:"Who pauses it."`
}

func (hospitalPause) Help() string {
	return "Example:\n  hishub hospital pause dongshan --why \"their database moves tonight\""
}

func (c *hospitalPause) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.Pause(ctx, c.Hospital, c.By, c.Why); err != nil {
			return err
		}
		fmt.Println("paused; messages are accepted and wait")
		return nil
	})
}

type hospitalResume struct {
	place
	Hospital string `arg:""`
	Why      string `help:"What was mended."`
	By       string `default:"${user}" help:"Who resumes it."`
}

func (hospitalResume) Help() string { return "Example:\n  hishub hospital resume dongshan" }

func (c *hospitalResume) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.Resume(ctx, c.Hospital, c.By, c.Why); err != nil {
			return err
		}
		fmt.Println("resumed")
		return nil
	})
}

// with opens the ledger for a command; it never makes a key. A database that is newer
// than this program may do, as after a way back to it; when something fails, that is said.
func (p place) with(ctx context.Context, f func(*postgres.Store) error) error {
	url, err := p.databaseURL()
	if err != nil {
		return err
	}
	have, want, err := postgres.SchemaVersion(ctx, url)
	switch {
	case err != nil:
		return err
	case have < want:
		return fmt.Errorf("the database has schema %d, this program needs %d: run 'hishub migrate' (a hub of this version does it when it starts)", have, want)
	}
	store, err := postgres.Open(ctx, postgres.Options{URL: url, KeyFile: p.keyFile(), MaxConns: 8})
	if err == nil {
		defer store.Close()
		err = f(store)
	}
	if err != nil && have > want {
		err = fmt.Errorf("%w (the database has schema %d, this program knows %d: a newer hishub migrated it, use that one)", err, have, want)
	}
	return err
}
