package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"hishub/cmd/hishub/bench"
	"hishub/core/postgres"
)

// benchCmd measures what this machine delivers, with everything on it.
type benchCmd struct {
	Messages int    `help:"Messages of the throughput run." default:"10000"`
	Quick    bool   `help:"300 messages: shows that it works; its figures mean nothing."`
	Nights   bool   `help:"Only compare books of nights; no deliveries."`
	Rates    bool   `help:"Only deliver as fast as it goes, and measure the space."`
	History  string `help:"Messages of the run with a long history, as 1m or 500k; 0 leaves it out. A million takes 3 GB of disk." default:"1m"`
	Long     bool   `help:"Only the run with a long history."`
	Isolated bool   `help:"Only what a hospital's trouble costs itself and others."`
	Chat     bool   `help:"Only how long messages of the chat are on their way."`
	Profile  string `help:"Write the hub's processor profile of the throughput run, for 'go tool pprof'." type:"path" placeholder:"FILE"`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (benchCmd) Help() string {
	return "Starts a private durable PostgreSQL, a fake hospital and a hub, each a process of its own, and ends them.\ndocs/performance.md says what the figures mean.\n\nExamples:\n  hishub bench\n  hishub bench --messages 30000 --json\n  hishub bench --long --history 500k"
}

func (c *benchCmd) Run(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	history, err := messages(c.History)
	if err != nil {
		return err
	}
	o := bench.Options{Binary: binary, History: history, Long: c.Long, Messages: c.Messages, Nights: c.Nights, Rates: c.Rates, Isolated: c.Isolated, Chat: c.Chat, Quick: c.Quick, Profile: c.Profile, Told: os.Stderr}
	if c.Quick {
		o.Messages, o.History = min(o.Messages, 300), min(o.History, 3000)
	}
	if c.JSON {
		o.Told = io.Discard
	}
	r, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(r)
	}
	r.Print(os.Stdout)
	return nil
}

// messages reads a number of messages: 10000, 500k, 10m.
func messages(text string) (int, error) {
	digits, factor := text, 1
	for unit, f := range map[string]int{"k": 1_000, "m": 1_000_000} {
		if before, ok := strings.CutSuffix(text, unit); ok {
			digits, factor = before, f
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > 100_000_000/factor {
		return 0, fmt.Errorf("--history: %s is no number of messages up to 100m, as 500k or 1m", text)
	}
	return n * factor, nil
}

// compareStagedCmd is the part of the benchmark that runs in a process of its own.
type compareStagedCmd struct {
	place
	File string `arg:"" type:"existingfile" help:"Which staged books, as the benchmark writes it."`
}

func (compareStagedCmd) Help() string { return "Example:\n  hishub bench   (which runs it)" }

func (c *compareStagedCmd) Run(ctx context.Context) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var work bench.CompareWork
	if err := json.Unmarshal(text, &work); err != nil {
		return err
	}
	return c.with(ctx, func(s *postgres.Store) error {
		r, err := bench.CompareStaged(ctx, s, work)
		if err != nil {
			return err
		}
		return printJSON(r)
	})
}
