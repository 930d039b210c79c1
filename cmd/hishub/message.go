package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// messageCmd works on messages straight in the database, as an administrator of
// this machine; every act is recorded under --by.
type messageCmd struct {
	List    messageList    `cmd:"" help:"List messages, newest first."`
	Show    messageShow    `cmd:"" help:"Show one message with its attempts."`
	Retry   messageRetry   `cmd:"" help:"Try a waiting message now, without waiting for its back-off."`
	Cancel  messageCancel  `cmd:"" help:"Cancel a message; what may have been sent is decided once it is known what the HIS has."`
	Release messageRelease `cmd:"" help:"Let a parked message go on, or mark it delivered after you looked."`
	Replay  messageReplay  `cmd:"" help:"Release many parked messages, throttled; counts them first."`
}

type messageList struct {
	place
	Hospital string `help:"Only this hospital."`
	Kind     string `help:"Only this kind, as payment.settle."`
	State    string `help:"queued, sending, parked, delivered or cancelled." enum:",queued,sending,parked,delivered,cancelled" default:""`
	Key      string `help:"Business number."`
	HisNo    string `help:"The HIS's number."`
	Class    string `help:"unavailable, in_doubt, rejected or invalid." enum:",unavailable,in_doubt,rejected,invalid" default:""`
	Cursor   string `help:"Go on after the last page."`
	Limit    int    `default:"50"`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (messageList) Help() string {
	return "Examples:\n  hishub message list --state parked\n  hishub message list --key RX20260105000001 --json"
}

func (c *messageList) Run(ctx context.Context) error {
	f := postgres.Filter{Kind: core.Kind(c.Kind), State: delivery.State(c.State), Key: c.Key, HisNo: c.HisNo, Class: core.Class(c.Class)}
	if c.Hospital != "" {
		f.Hospitals = []string{c.Hospital}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		page, next, err := s.List(ctx, f, c.Cursor, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(map[string]any{"messages": page, "next": next})
		}
		t := newTable("ID", "HOSPITAL", "KIND", "KEY", "STATE", "ACCEPTED", "HIS NO", "REASON")
		for _, m := range page {
			his := ""
			if m.Receipt != nil {
				his = m.Receipt.HisNo
			}
			reason := m.Reason
			if m.BlockedBy != 0 {
				reason = fmt.Sprintf("behind %d in its lane", m.BlockedBy)
			}
			t.row(m.ID, m.Hospital, m.Kind, m.Key, m.State, m.AcceptedAt.Local().Format(time.DateTime), his, reason)
		}
		if err := t.print(); err != nil {
			return err
		}
		if next != "" {
			fmt.Printf("more: --cursor %s\n", next)
		}
		return nil
	})
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
		if c.JSON {
			return printJSON(map[string]any{"message": m, "attempts": attempts, "decisions": decisions})
		}
		fmt.Printf("%d  %s %s %s\nstate     %s  %s %s\n", m.ID, m.Hospital, m.Kind, m.Key, m.State, m.Class, m.Reason)
		if m.Words != "" {
			fmt.Println("HIS says ", m.Words)
		}
		if m.Receipt != nil {
			receipt, _ := json.Marshal(m.Receipt)
			fmt.Println("receipt  ", string(receipt))
		}
		if m.BlockedBy != 0 {
			fmt.Println("behind   ", m.BlockedBy)
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

func (messageRetry) Help() string { return "Example:\n  hishub message retry 4711" }

func (c *messageRetry) Run(ctx context.Context) error {
	return c.with(ctx, func(s *postgres.Store) error {
		if err := s.Retry(ctx, c.ID, c.By); err != nil {
			return err
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
