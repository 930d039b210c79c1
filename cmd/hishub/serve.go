package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"hishub/core/postgres"
)

// serveCmd runs the hub on servers of its own; any number of them share the work.
type serveCmd struct {
	place
	services
	variables
	tlsFiles
	mailOptions
	alertsFile
	Listen  string        `help:"Address of the API." default:"127.0.0.1:8080" env:"HISHUB_LISTEN"`
	Nights  string        `help:"When nights run, as a cron expression in each hospital's zone, in place of what its folder says; off: not by themselves." env:"HISHUB_NIGHTS" placeholder:"CRON"`
	Migrate bool          `help:"Bring the schema up to date first." default:"true" negatable:""`
	Clinic  bool          `help:"Run the clinic's modules too." default:"true" negatable:""`
	Modules []string      `help:"Modules of the clinic whose addresses, jobs and events this process serves; none: others do (hishub platform). All if missing." env:"HISHUB_MODULES" placeholder:"NAME,…"`
	Debug   bool          `help:"Log more."`
	Linger  time.Duration `help:"At SIGTERM, how long requests are still answered while /readyz says no, so that others get them." default:"2s" env:"HISHUB_LINGER"`
	Pprof   string        `help:"Serve Go's profiles at this address." hidden:""`
	// Lease and Ownership are how soon another process takes over; 0 is the dispatcher's own.
	Lease     time.Duration `hidden:"" env:"HISHUB_LEASE"`
	Ownership time.Duration `hidden:"" env:"HISHUB_OWNERSHIP"`
	// CreateKey is for the first start on an empty database.
	CreateKey bool `help:"Make the master key if the database is still empty." env:"HISHUB_CREATE_KEY"`
}

func (serveCmd) Help() string {
	return "Example:\n  DATABASE_URL=postgres://… AMQP_URL=amqp://… REDIS_URL=redis://… hishub serve --listen :8080\n\nSeveral processes at one database share the hospitals and take over from one another. Stop one with SIGTERM: it says so at /readyz, lingers, and finishes what is in flight."
}

func (c *serveCmd) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	https, err := c.config()
	if err != nil {
		return err
	}
	if _, err := modulesHere(c.Modules); err != nil {
		return err
	}
	url, err := c.databaseURL()
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if c.Debug {
		level = slog.LevelDebug
	}
	layBallast()
	log := newLog(level)
	if c.Migrate {
		if err := postgres.Migrate(ctx, url); err != nil {
			return err
		}
	}
	h, err := openHub(ctx, log, url, c.keyFile(), c.CreateKey, c.services)
	if err != nil {
		return err
	}
	defer h.close()
	h.listen, h.nights, h.tls, h.tlsAPI, h.leaving.linger = c.Listen, c.Nights, https, c.TLSAPIClient, c.Linger
	if err := h.tellPeople(c.mailOptions, c.alertsFile); err != nil {
		return err
	}
	if len(c.Env) > 0 {
		h.env = &c.variables
	}
	h.dispatcher.Lease, h.dispatcher.Ownership = c.Lease, c.Ownership
	if c.Pprof != "" {
		if err := serveProfiles(ctx, c.Pprof); err != nil {
			return err
		}
	}
	if c.Clinic {
		h.modules = c.Modules
		if err := h.openClinic(ctx, url); err != nil {
			return err
		}
	}
	return h.run(ctx, func(address string) {
		fmt.Printf("hishub %s serves at %s\n", version, address)
	})
}

type migrateCmd struct{ place }

func (migrateCmd) Help() string { return "Example:\n  DATABASE_URL=postgres://… hishub migrate" }

func (c *migrateCmd) Run(ctx context.Context) error {
	url, err := c.databaseURL()
	if err != nil {
		return err
	}
	return postgres.Migrate(ctx, url)
}
