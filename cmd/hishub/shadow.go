package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/core/shadow"
	"hishub/mapping"
)

// hospitalShadow says what was told once more, with a new folder.
type hospitalShadow struct {
	place
	variables
	Folder string        `arg:"" help:"Hospital folder that may become the next revision."`
	Since  time.Duration `help:"What was accepted in so much time until now." placeholder:"24h" xor:"when"`
	Day    string        `help:"What was accepted on this day, in the hospital's zone; yesterday if nothing is said." placeholder:"yyyy-MM-dd" xor:"when"`
	Kind   string        `help:"Only this transaction."`
	Limit  int           `help:"At most so many messages, and as many notices." default:"10000"`
	Show   int64         `help:"Only this message or notice, with the whole of what differs." placeholder:"ID" xor:"when"`
	Report string        `help:"Write the report as a page." placeholder:"FILE.html"`
	JSON   bool          `name:"json" help:"For scripts."`
}

func (hospitalShadow) Help() string {
	return "Examples:\n  hishub hospital shadow mapping/hospitals/dongshan\n  hishub hospital shadow mapping/hospitals/dongshan --since 2h --kind payment.settle --report shadow.html\n  hishub hospital shadow mapping/hospitals/dongshan --show 4711\n\nEvery message is said with the revision that it was told with and with the folder, at the same time, with the same numbers; every answer of the HIS is judged by both. Nothing is sent, nothing is kept. What names a person, and secrets, are masked. Exit status 3 when something differs."
}

func (c *hospitalShadow) Run(ctx context.Context) error {
	if c.Limit <= 0 {
		return core.Problems{{Field: "limit", What: "not above 0"}}
	}
	if err := c.set(); err != nil {
		return err
	}
	files := os.DirFS(c.Folder)
	folder, err := loadSample(files)
	if err != nil {
		return inFolder(c.Folder, err)
	}
	q, err := c.query(folder.Dialect)
	if err != nil {
		return err
	}
	return c.with(ctx, func(s *postgres.Store) error {
		if _, err := s.Name(ctx, q.Hospital); err != nil {
			return fmt.Errorf("%s: %w", q.Hospital, err)
		}
		sides := &sides{store: s, hospital: q.Hospital, revisions: map[int]*shadow.Side{}}
		defer sides.close()
		run := &shadow.Run{Store: s, Old: sides.old, New: sides.side(folder.Dialect), Text: decoded, Mask: api.MaskText}
		if c.Show != 0 {
			run.Seen = printDifference
		}
		r, err := run.Do(ctx, q)
		if err != nil {
			return err
		}
		return c.show(r)
	})
}

func (c *hospitalShadow) query(d *core.Dialect) (shadow.Query, error) {
	q := shadow.Query{Hospital: d.Hospital, Kind: core.Kind(c.Kind), Limit: c.Limit, Only: c.Show, Until: time.Now()}
	if _, ok := core.Lookup(q.Kind); c.Kind != "" && !ok {
		return q, core.Problems{{Field: "kind", What: "not in the catalogue"}}
	}
	if c.Since < 0 {
		return q, core.Problems{{Field: "since", What: "not a time like 24h"}}
	}
	if c.Since > 0 {
		q.From = q.Until.Add(-c.Since)
		return q, nil
	}
	day := q.Until.In(d.Zone).AddDate(0, 0, -1)
	if c.Day != "" {
		var err error
		if day, err = time.Parse(time.DateOnly, c.Day); err != nil {
			return q, core.Problems{{Field: "day", What: "not a day like 2026-01-05"}}
		}
	}
	q.From, q.Until = shadow.Day(day, d.Zone)
	return q, nil
}

func (c *hospitalShadow) show(r *shadow.Report) error {
	if c.Report != "" {
		var page bytes.Buffer
		if err := r.Page(&page); err != nil {
			return err
		}
		if err := os.WriteFile(c.Report, page.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if c.JSON {
		if err := printJSON(r); err != nil {
			return err
		}
	} else {
		printShadow(r)
	}
	if r.Differs() {
		return errDifferences
	}
	return nil
}

func printShadow(r *shadow.Report) {
	const at = "2006-01-02 15:04"
	fmt.Printf("%s: %s and %s from %s to %s\n", r.Hospital, core.Count(r.Messages, "message", "messages"), core.Count(r.Inbound, "notice", "notices"), r.From.Local().Format(at), r.Until.Local().Format(at))
	fmt.Printf("%s: %d same, %d differ, %d newly invalid, %d outcome differs\n", core.Count(r.Exchanges, "exchange", "exchanges"), r.Same, r.Differ, r.NewlyInvalid, r.OutcomeDiffers)
	for _, n := range []struct {
		count int
		what  string
	}{
		{r.Unread, "answers are not judged here as they were then, so only their requests were compared"},
		{r.Random, "requests are never the same twice, so only their answers were compared"},
		{r.Lost, "cannot be said again from what the ledger keeps, or no HIS hears of them"},
		{r.More, "more differences are not listed"},
	} {
		if n.count > 0 {
			fmt.Printf("  %d %s\n", n.count, n.what)
		}
	}
	for _, g := range r.Groups {
		of := "message"
		if g.Inbound {
			of = "notice"
		}
		fmt.Printf("\n%d× %s (%s) %s: %s, as %s %d\n  - %s\n  + %s\n", g.Count, g.Kind, g.Call, g.What, g.Place, of, g.Message, g.Old, g.New)
	}
}

// printDifference shows the whole of a difference, as lines.
func printDifference(d shadow.Difference) {
	fmt.Printf("%s (%s) %s: %s\n", d.Kind, d.Call, d.What, d.Place)
	if d.Before == "" && d.After == "" {
		fmt.Printf("- %s\n+ %s\n\n", d.Old, d.New)
		return
	}
	// What a HIS gets is often one long line.
	lines := strings.NewReplacer("><", ">\n<", `,"`, ",\n\"", "&lt;/", "\n&lt;/", "&", "\n&")
	before, after := lines.Replace(d.Before), lines.Replace(d.After)
	if before == after {
		fmt.Printf("- %s\n+ %s\n\n", d.Old, d.New)
		return
	}
	fmt.Printf("%s\n", diff.Diff("with its revision", []byte(before+"\n"), "with the folder", []byte(after+"\n")))
}

// decoded makes text of bytes in either charset of a HIS, for people; what is
// neither is quoted.
func decoded(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil {
		return string(s)
	}
	return fmt.Sprintf("%q", b)
}

// sides opens revisions of a hospital to look through, each once.
type sides struct {
	store     *postgres.Store
	hospital  string
	revisions map[int]*shadow.Side
	open      []core.Connector
}

func (s *sides) old(ctx context.Context, number int) (*shadow.Side, error) {
	if side := s.revisions[number]; side != nil {
		return side, nil
	}
	files, err := unpacked(ctx, s.store, s.hospital, number)
	if err != nil {
		return nil, err
	}
	folder, err := loadSample(files)
	if err != nil {
		return nil, inFolder(fmt.Sprintf("revision %d of %s", number, s.hospital), err)
	}
	s.revisions[number] = s.side(folder.Dialect)
	return s.revisions[number], nil
}

func (s *sides) side(d *core.Dialect) *shadow.Side {
	opened := map[string]core.Offline{}
	return &shadow.Side{Dialect: d, Session: mapping.MadeUpSession, Offline: func(name string) (core.Offline, error) {
		if o := opened[name]; o != nil {
			return o, nil
		}
		c, err := connectors.Open(d.Connectors[name])
		if err != nil {
			return nil, fmt.Errorf("open the connector %s: %w", name, err)
		}
		s.open = append(s.open, c)
		o, ok := c.(core.Offline)
		if !ok {
			return nil, fmt.Errorf("the connector %s cannot show what it would send", name)
		}
		opened[name] = o
		return o, nil
	}}
}

func (s *sides) close() {
	for _, c := range s.open {
		c.Close()
	}
}
