package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

type messageSearch struct {
	place
	Number   string   `help:"Any number in hand: ours, the visit's, the HIS's, the payment channel's, a bill's."`
	Key      string   `help:"Business number."`
	HisNo    string   `help:"The HIS's number, from a receipt."`
	Patient  string   `help:"'-': identity card number, telephone or patient number as a line of standard input, where no list of processes shows it. Recorded in the audit." placeholder:"-"`
	Purpose  string   `help:"Why the patient is looked for."`
	By       string   `default:"${user}" help:"Who looks for the patient."`
	Hospital []string `help:"Only this hospital; may be given more than once."`
	Kind     string   `help:"Only this kind, as payment.settle."`
	State    string   `help:"queued, sending, parked, delivered or cancelled." enum:",queued,sending,parked,delivered,cancelled" default:""`
	Class    string   `help:"What the last failure means: unavailable, in_doubt, rejected or invalid." aliases:"fault" enum:",unavailable,in_doubt,rejected,invalid" default:""`
	Since    string   `help:"Accepted on this day or later, or from this moment on: 2026-01-05, 2026-01-05T08:00:00+08:00." aliases:"from"`
	Until    string   `help:"Accepted on this day or before, or before this moment." aliases:"to"`
	Cursor   string   `help:"Go on after the last page."`
	Limit    int      `default:"50" help:"How many at most; what is rare is looked for until so many are found."`
	JSON     bool     `name:"json" help:"For scripts."`
}

func (messageSearch) Help() string {
	return `Newest first. Numbers inside of messages, and patients, are known of what was accepted since they are kept.

Examples:
  hishub message search --number 4200002311202601051234567890
  hishub message search --his-no 8800123 --hospital dongshan
  hishub message search --patient - --purpose "complaint 17" --since 2026-11-01
  hishub message list --state parked --class in_doubt
  hishub message list --hospital xihu --class unavailable --since 2026-11-01 --until 2026-11-02`
}

func (c *messageSearch) Run(ctx context.Context) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	if c.Limit < 1 {
		return errors.New("--limit is at least 1")
	}
	if (c.Patient == "") != (c.Purpose == "") {
		return errors.New("--patient and --purpose go together")
	}
	if c.Patient != "" && c.Patient != "-" {
		return errors.New("--patient is '-': write the number to standard input, where no list of processes shows it")
	}
	patient := ""
	if c.Patient != "" {
		if patient, err = bufio.NewReader(os.Stdin).ReadString('\n'); strings.TrimSpace(patient) == "" {
			return errors.Join(errors.New("standard input holds no number"), err)
		}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		page, next, err := c.found(ctx, s, f, patient)
		if err != nil {
			return err
		}
		why, err := whyWaits(ctx, s, page...)
		if err != nil {
			return err
		}
		if c.JSON {
			all := make([]waiting, len(page))
			for i, m := range page {
				all[i] = waiting{m, why[m.ID]}
			}
			return printJSON(map[string]any{"messages": all, "next": next})
		}
		return printMessages(page, why, next)
	})
}

// found goes on until there are as many as were asked for: a page of what is rare may
// be short. A patient is looked for once, in one page.
func (c *messageSearch) found(ctx context.Context, s *postgres.Store, f postgres.Filter, patient string) (all []postgres.Message, next string, err error) {
	if patient != "" {
		return s.SearchPatient(ctx, f, patient, c.By, c.Purpose, c.Cursor, c.Limit)
	}
	for next = c.Cursor; ; {
		var page []postgres.Message
		if page, next, err = s.List(ctx, f, next, c.Limit-len(all)); err != nil {
			return nil, "", err
		}
		if all = append(all, page...); next == "" || len(all) == c.Limit {
			return all, next, nil
		}
	}
}

func (c *messageSearch) filter() (f postgres.Filter, err error) {
	f = postgres.Filter{Kind: core.Kind(c.Kind), State: delivery.State(c.State), Key: c.Key, Number: c.Number, HisNo: c.HisNo, Class: core.Class(c.Class)}
	if len(c.Hospital) > 0 {
		f.Hospitals = c.Hospital
	}
	if _, ok := core.Lookup(f.Kind); c.Kind != "" && !ok {
		return f, fmt.Errorf("--kind: %s is not in the catalogue", c.Kind)
	}
	if f.Since, _, err = dayOrMoment("--since", c.Since); err != nil {
		return f, err
	}
	_, f.Until, err = dayOrMoment("--until", c.Until)
	return f, err
}

// dayOrMoment reads a day of this machine's clock, as its beginning and its end, or a
// moment, which is both; "" is none.
func dayOrMoment(flag, text string) (from, to time.Time, err error) {
	if text == "" {
		return from, to, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return day, day.AddDate(0, 0, 1), nil
	}
	if from, err = time.Parse(time.RFC3339, text); err != nil {
		return from, to, core.Problems{{Field: flag, What: text + " is neither a day like 2026-01-05 nor a moment like 2026-01-05T08:00:00+08:00"}}
	}
	return from, from, nil
}

func printMessages(page []postgres.Message, why map[int64]*delivery.Waits, next string) error {
	t := newTable("ID", "HOSPITAL", "KIND", "KEY", "STATE", "ACCEPTED", "DUE", "HIS NO", "REASON")
	for _, m := range page {
		his := ""
		if m.Receipt != nil {
			his = m.Receipt.HisNo
		}
		reason, due := m.Reason, ""
		if w := why[m.ID]; w != nil {
			reason = w.Text
		}
		if m.Due != nil && m.State == delivery.Queued {
			due = m.Due.Local().Format(time.DateTime)
		}
		t.row(m.ID, m.Hospital, m.Kind, m.Key, m.State, m.AcceptedAt.Local().Format(time.DateTime), due, his, reason)
	}
	if err := t.print(); err != nil {
		return err
	}
	if next != "" {
		fmt.Printf("more: --cursor %s\n", next)
	}
	return nil
}
