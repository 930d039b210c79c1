package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// auditCmd reads what people did and looked at.
type auditCmd struct {
	List   auditList   `cmd:"" help:"List what people did and looked at, newest first."`
	Verify auditVerify `cmd:"" help:"Check that nothing in the audit was altered, deleted, put in or moved."`
	Export auditExport `cmd:"" help:"Print the whole audit as JSON lines, oldest first, with its digests."`
}

type auditList struct {
	place
	Hospital string `help:"Only this hospital."`
	Actor    string `help:"Only this person's, as the list names them."`
	Verb     string `help:"Only these acts, as unmask, release, apply, login."`
	Subject  string `help:"Only about this: \"message 4711\", \"replay 7\", \"incident 17\", \"case 4\", \"key 3\", \"account 2\", or \"revision 3\" with --hospital."`
	Since    string `help:"On this day or later, or from this moment on: 2026-11-01, 2026-11-01T08:00:00+08:00." aliases:"from"`
	Until    string `help:"On this day or before, or before this moment." aliases:"to"`
	Before   int64  `help:"Go on after the last page."`
	Limit    int    `default:"50"`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (auditList) Help() string {
	return "Examples:\n  hishub audit list --verb unmask --since 2026-11-01 --until 2026-11-30\n  hishub audit list --subject \"message 4711\"\n  hishub audit list --hospital xihu --subject \"revision 3\""
}

func (c *auditList) Run(ctx context.Context) error {
	f := postgres.AuditFilter{Actor: c.Actor, Verb: c.Verb, Subject: c.Subject, Before: c.Before}
	var err error
	if f.Since, _, err = dayOrMoment("--since", c.Since); err != nil {
		return err
	}
	if _, f.Until, err = dayOrMoment("--until", c.Until); err != nil {
		return err
	}
	if c.Hospital != "" {
		f.Hospitals = []string{c.Hospital}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		all, err := s.AuditEntries(ctx, f, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(map[string]any{"entries": all})
		}
		t := newTable("NUMBER", "AT", "WHO", "ROLE", "DID", "HOSPITAL", "ABOUT", "WHY")
		for _, e := range all {
			t.row(e.Number, e.At.Local().Format(time.DateTime), e.Actor, e.Role, e.Verb, e.Hospital, e.Subject, e.Purpose)
		}
		if err := t.print(); err != nil {
			return err
		}
		if len(all) == c.Limit {
			fmt.Printf("more: --before %d\n", all[len(all)-1].Number)
		}
		return nil
	})
}

type auditVerify struct {
	place
	Head []string `help:"A head that was kept elsewhere, from the log or an earlier check: it must still be in the chain. May be given again." placeholder:"DIGEST"`
	JSON bool     `name:"json" help:"For scripts."`
}

func (auditVerify) Help() string {
	return "Prints the head of now: keep it apart from the database. The log has it every minute in which it changed (\"audit head\"). Exit status 1 when something was done to the audit.\n\nExample:\n  hishub audit verify --head 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
}

func (c *auditVerify) Run(ctx context.Context) error {
	var known []postgres.Digest
	for _, text := range c.Head {
		d, err := postgres.ParseDigest(text)
		if err != nil {
			return err
		}
		known = append(known, d)
	}
	return c.with(ctx, func(s *postgres.Store) error {
		r, err := s.VerifyAudit(ctx, known...)
		if err != nil {
			return err
		}
		if c.JSON {
			if err := printJSON(r); err != nil {
				return err
			}
		} else {
			for _, f := range r.Faults {
				if f.Number == 0 {
					fmt.Println(f.What)
				} else {
					fmt.Printf("entry %d: %s\n", f.Number, f.What)
				}
			}
			fmt.Printf("entries  %d\nanchors  %d\nhead     %d %s\n", r.Entries, r.Anchors, r.Head.Number, r.Head.Digest)
			if len(r.Faults) == 0 {
				fmt.Println("nothing was altered, deleted, put in or moved", untilHeads(len(known)))
			}
		}
		if len(r.Faults) > 0 {
			return fmt.Errorf("the audit is not as it was written: %s", core.Count(len(r.Faults), "fault", "faults"))
		}
		return nil
	})
}

// untilHeads says how far that is known: who owns the database could cut the end off.
func untilHeads(known int) string {
	if known == 0 {
		return "as far as the database itself can tell; give a kept --head to be sure of the end"
	}
	return "up to the " + core.Count(known, "head", "heads") + " that was kept elsewhere"
}

type auditExport struct {
	place
	After int64 `help:"Only entries with greater numbers."`
}

func (auditExport) Help() string {
	return "Example:\n  hishub audit export --after 100000 > audit.jsonl"
}

func (c *auditExport) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		e := json.NewEncoder(os.Stdout)
		e.SetEscapeHTML(false)
		return s.ExportAudit(ctx, c.After, func(entry postgres.AuditEntry) error { return e.Encode(entry) })
	})
}

// anchorEvery bounds what can be cut off the audit's end without the log telling.
const anchorEvery = time.Minute

// anchor signs the audit's head whenever it changed, and writes it into the log, which
// the database's owner cannot change.
func (h *hub) anchor(ctx context.Context) {
	for {
		head, fresh, err := h.store.AnchorAudit(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			h.log.Error("anchor the audit", "error", err)
		case fresh:
			h.log.Info("audit head", "number", head.Number, "digest", head.Digest.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(anchorEvery):
		}
	}
}
