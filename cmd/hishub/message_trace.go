package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hishub/core/delivery"
	"hishub/core/postgres"
)

type messageTrace struct {
	oneMessage
	JSON bool `name:"json" help:"For scripts."`
}

func (messageTrace) Help() string {
	return `Its acceptance, every exchange, what people decided, what the feed told, what it replaces, its money in the ledger, cases of nights,
what the HIS told us of the same number, and the hospital's incidents meanwhile. It names no patient, but for the HIS's words.

Example:
  hishub message trace 4711`
}

// moment is a line of a trace.
type moment struct {
	At         time.Time
	What, Text string
}

func (c *messageTrace) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		t, err := s.Trace(ctx, c.ID)
		if err != nil {
			return err
		}
		m := t.Message
		why, err := whyWaits(ctx, s, m)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(struct {
				postgres.Trace
				Waits *delivery.Waits `json:"waits,omitempty"`
			}{t, why[m.ID]})
		}
		fmt.Printf("%d  %s %s %s, lane %s\nstate  %s  %s %s\n", m.ID, m.Hospital, m.Kind, m.Key, m.Lane, m.State, m.Class, m.Reason)
		if w := why[m.ID]; w != nil {
			fmt.Println("waits ", w.Text)
		}
		fmt.Println()
		lines := newTable("AT", "WHAT", "")
		for _, l := range momentsOf(t) {
			lines.row(l.At.Local().Format("2006-01-02 15:04:05.000"), l.What, l.Text)
		}
		return lines.print()
	})
}

// momentsOf puts what is known in the order of time.
func momentsOf(t postgres.Trace) (all []moment) {
	add := func(at time.Time, what, format string, a ...any) {
		all = append(all, moment{at, what, strings.TrimSpace(fmt.Sprintf(format, a...))})
	}
	m := t.Message
	add(m.AcceptedAt, "accepted", "%s", m.Submission)
	for _, l := range t.Links {
		how := "replaces it"
		if l.ID < m.ID {
			how = "was replaced by it"
		}
		add(l.AcceptedAt, "message", "%d %s, %s", l.ID, how, l.State)
	}
	if e := t.Entry; e != nil {
		told := ""
		if !e.Told {
			told = ", which the HIS is not told of"
		}
		add(e.At, "money", "%s %s of %s yuan, %s %s%s", e.Type, e.Number, e.Amount, e.Channel, e.ChannelNo, told)
	}
	for _, a := range t.Attempts {
		words := ""
		if a.Words != "" {
			words = "; HIS says " + a.Words
		}
		late := ""
		if a.Late {
			late = " (late; changed nothing)"
		}
		add(a.At, fmt.Sprintf("attempt %d", a.Number), "%s %s %s, %s after %s: %s%s%s", a.Phase, a.Step, a.Operation, a.Outcome, a.Duration.Round(time.Millisecond), a.Because, late, words)
	}
	for _, d := range t.Decisions {
		add(d.At, "decision", "%s by %s  %s", d.Verb, d.Who, d.Note)
	}
	for _, e := range t.Events {
		add(e.At, "event", "%s  %s", e.Type, e.Reason)
	}
	for _, i := range t.Inbound {
		add(i.ArrivedAt, "from the HIS", "%s %s, %s, inbound %d  %s", i.Kind, i.Key, i.State, i.ID, i.Message)
	}
	for _, k := range t.Cases {
		repair := ""
		if k.Repair != nil {
			repair = fmt.Sprintf("; %s %s", k.Repair.Action, k.Repair.State)
		}
		add(k.OpenedAt, "case", "%d of %s: %s, %s%s", k.ID, k.Day, k.Class, k.State, repair)
	}
	for _, i := range t.Incidents {
		add(i.OpenedAt, "incident", "%s opened: %s", i.Kind, i.Detail)
		if i.ResolvedAt != nil {
			add(*i.ResolvedAt, "incident", "%s resolved", i.Kind)
		}
	}
	if m.DecidedAt != nil {
		receipt := ""
		if m.Receipt != nil && m.Receipt.HisNo != "" {
			receipt = "HIS number " + m.Receipt.HisNo
		}
		add(*m.DecidedAt, string(m.State), "%s  %s", m.Reason, receipt)
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.At.Compare(b.At) })
	return all
}
