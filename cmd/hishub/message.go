package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hishub/core/delivery"
	"hishub/core/postgres"
)

// messageCmd works on messages straight in the database, as an administrator of
// this machine; every act is recorded under --by.
type messageCmd struct {
	Search  messageSearch  `cmd:"" aliases:"list" help:"List or search messages, newest first: by any number, by patient, state, fault, time."`
	Show    messageShow    `cmd:"" help:"Show one message with its attempts."`
	Trace   messageTrace   `cmd:"" help:"Follow one message through all its hops, in the order of time."`
	Retry   messageRetry   `cmd:"" help:"Try a waiting message now, without waiting for its back-off."`
	Cancel  messageCancel  `cmd:"" help:"Cancel a message; what may have been sent is decided once it is known what the HIS has."`
	Release messageRelease `cmd:"" help:"Let a parked message go on, or mark it delivered after you looked."`
	Replay  messageReplay  `cmd:"" help:"Tell many messages again, throttled; shows first what it would do."`
}

type oneMessage struct {
	place
	ID int64 `arg:"" help:"Number of the message."`
}

type messageShow struct {
	oneMessage
	Unmask  bool   `help:"Show its content and what went over the wire, with the patient; recorded in the audit."`
	Purpose string `help:"Why the patient must be seen."`
	By      string `default:"${user}" help:"Who looks."`
	JSON    bool   `name:"json" help:"For scripts."`
}

func (messageShow) Help() string {
	return "Examples:\n  hishub message show 4711\n  hishub message show 4711 --unmask --purpose \"complaint 17\""
}

func (c *messageShow) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if c.Unmask {
			return c.unmask(ctx, s)
		}
		m, attempts, err := s.Message(ctx, c.ID)
		if err != nil {
			return err
		}
		decisions, err := s.Decisions(ctx, c.ID)
		if err != nil {
			return err
		}
		why, err := whyWaits(ctx, s, m)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(map[string]any{"message": waiting{m, why[m.ID]}, "attempts": attempts, "decisions": decisions})
		}
		fmt.Printf("%d  %s %s %s\nstate     %s  %s %s\n", m.ID, m.Hospital, m.Kind, m.Key, m.State, m.Class, m.Reason)
		if m.Words != "" {
			fmt.Println("HIS says ", m.Words)
		}
		if m.Receipt != nil {
			receipt, _ := json.Marshal(m.Receipt)
			fmt.Println("receipt  ", string(receipt))
		}
		if now := whatNow(m); now != "" {
			fmt.Println("what now ", now)
		}
		if w := why[m.ID]; w != nil {
			fmt.Println("waits    ", w.Text)
		}
		if m.Due != nil && m.State == delivery.Queued {
			fmt.Println("due      ", m.Due.Local().Format(time.DateTime))
		}
		fmt.Println()
		t := newTable("#", "AT", "PHASE", "STEP", "OPERATION", "OUTCOME", "TOOK", "THEN")
		for _, a := range attempts {
			then := a.Because
			if a.Late {
				then += " (late; changed nothing)"
			}
			t.row(a.Number, a.At.Local().Format("01-02 15:04:05.000"), a.Phase, a.Step, a.Operation, a.Outcome, a.Duration.Round(time.Millisecond), then)
		}
		if err := t.print(); err != nil {
			return err
		}
		for _, d := range decisions {
			fmt.Printf("%s  %s by %s  %s\n", d.At.Local().Format("01-02 15:04:05"), d.Verb, d.Who, d.Note)
		}
		return nil
	})
}

type messageRetry struct {
	oneMessage
	By string `default:"${user}" help:"Who."`
}

func (messageRetry) Help() string {
	return "It does not wait for its back-off any more. A pause, the hospital's hours and the message before it in its lane hold it all the same; it says so.\n\nExample:\n  hishub message retry 4711"
}

func (c *messageRetry) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.Retry(ctx, c.ID, c.By); err != nil {
			return err
		}
		m, _, err := s.Message(ctx, c.ID)
		if err != nil {
			return err
		}
		why, err := whyWaits(ctx, s, m)
		if err != nil {
			return err
		}
		if w := why[c.ID]; w != nil && w.Kind != delivery.WaitTurn {
			fmt.Println("due, but it waits:", w.Text)
			return nil
		}
		fmt.Println("due now")
		return nil
	})
}

type messageCancel struct {
	oneMessage
	By   string `default:"${user}" help:"Who."`
	Note string `help:"Why."`
}

func (messageCancel) Help() string {
	return "Example:\n  hishub message cancel 4711 --note \"the patient left\""
}

func (c *messageCancel) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		done, err := s.Cancel(ctx, c.ID, c.By, c.Note)
		if err == nil && !done {
			fmt.Println("wanted; decided once it is known what the HIS has")
		} else if err == nil {
			fmt.Println("cancelled")
		}
		return err
	})
}

type messageRelease struct {
	oneMessage
	Delivered bool   `help:"You looked: the HIS has it."`
	By        string `default:"${user}" help:"Who."`
	Note      string `help:"Why."`
}

func (messageRelease) Help() string {
	return "Examples:\n  hishub message release 4711\n  hishub message release 4711 --delivered --note \"their cashier sees it\""
}

func (c *messageRelease) Run(ctx context.Context) error {
	verdict := postgres.Again
	if c.Delivered {
		if c.Note == "" {
			return errors.New("--delivered needs --note: say how you know that the HIS has it")
		}
		verdict = postgres.Confirmed
	}
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.Release(ctx, c.ID, c.By, verdict, c.Note); err != nil {
			return err
		}
		fmt.Println("released")
		return nil
	})
}
