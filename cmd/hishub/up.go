package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"hishub/core/postgres"
	"hishub/core/postgres/private"
)

// upCmd runs everything in one process.
type upCmd struct {
	place
	services
	Listen    string `help:"Address of the API and the pages." default:"127.0.0.1:8080" env:"HISHUB_LISTEN"`
	Hospitals string `help:"Folder of hospital folders to apply at the start." placeholder:"DIR"`
	Nights    string `help:"When each hospital's night runs, as a cron expression in its own zone." default:"30 2 * * *" env:"HISHUB_NIGHTS"`
	Debug     bool   `help:"Log more."`
}

func (upCmd) Help() string {
	return "Needs only PostgreSQL's binaries on this machine (apt install postgresql).\n\nExample:\n  hishub up --hospitals mapping/hospitals\n  hishub key new --role admin"
}

func (c *upCmd) Run(ctx context.Context) error {
	level := slog.LevelInfo
	if c.Debug {
		level = slog.LevelDebug
	}
	return c.up(ctx, newLog(level), func(address string) {
		fmt.Printf("hishub %s is up at %s; data in %s; Ctrl-C stops it\n", version, address, c.Data)
	})
}

// up starts the private database unless there is another, applies the hospital
// folders and runs the hub until ctx ends.
func (c *upCmd) up(ctx context.Context, log *slog.Logger, ready func(address string)) (err error) {
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return err
	}
	url := c.DatabaseURL
	if url == "" {
		cluster, err := private.Start(ctx, private.Options{Dir: filepath.Join(c.Data, "postgres"), Adopt: true})
		if err != nil {
			return err
		}
		defer func() {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			err = errors.Join(err, cluster.Stop(stop))
		}()
		if err := cluster.CreateDatabase(ctx, "hishub"); err != nil {
			return err
		}
		url = cluster.URL("hishub")
		// For the other commands on this machine.
		if err := writeSecret(c.urlFile(), url); err != nil {
			return err
		}
		defer os.Remove(c.urlFile())
	}
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	h, err := openHub(ctx, log, url, c.keyFile(), true, c.services)
	if err != nil {
		return err
	}
	defer h.close()
	h.listen, h.nights = c.Listen, c.Nights
	if err := h.openClinic(ctx, url); err != nil {
		return err
	}
	if c.Hospitals != "" {
		found, err := folders(c.Hospitals)
		if err != nil {
			return err
		}
		for _, name := range sortedKeys(found) {
			f, number, err := applyFolder(ctx, h.store, found[name], "up", "applied at the start")
			if err != nil {
				return inFolder(name, err)
			}
			log.Info("hospital", "hospital", f.Dialect.Hospital, "revision", number, "transactions", len(f.Dialect.Operations))
		}
	}
	return h.run(ctx, ready)
}

// writeSecret writes a file that only its owner can read, whatever was there.
func writeSecret(path, content string) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(content+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
