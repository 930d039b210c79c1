package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"hishub/cmd/hishub/bench"
	"hishub/core/postgres"
)

// benchCmd measures what this machine delivers, with everything on it.
type benchCmd struct {
	Messages int    `help:"Messages of the throughput run." default:"10000"`
	Quick    bool   `help:"300 messages: shows that it works; its figures mean nothing."`
	Nights   bool   `help:"Only compare books of nights; no deliveries."`
	Rates    bool   `help:"Only deliver as fast as it goes, and measure the space."`
	Isolated bool   `help:"Only what a hospital's trouble costs itself and others."`
	Profile  string `help:"Write the hub's processor profile of the throughput run, for 'go tool pprof'." type:"path" placeholder:"FILE"`
	JSON     bool   `name:"json" help:"For scripts."`
}

func (benchCmd) Help() string {
	return "Starts a private durable PostgreSQL, a fake hospital and a hub, each a process of its own, and ends them.\ndocs/performance.md says what the figures mean.\n\nExamples:\n  hishub bench\n  hishub bench --messages 30000 --json"
}

func (c *benchCmd) Run(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{Binary: binary, Messages: c.Messages, Nights: c.Nights, Rates: c.Rates, Isolated: c.Isolated, Quick: c.Quick, Profile: c.Profile, Told: os.Stderr}
	if c.Quick {
		o.Messages = min(o.Messages, 300)
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
