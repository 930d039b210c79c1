package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hishub/core/postgres"
	"hishub/core/postgres/private"
)

// upCmd runs everything in one process.
type upCmd struct {
	place
	services
	variables
	tlsFiles
	mailOptions
	alertsFile
	Listen    string `help:"Address of the API and the pages." default:"127.0.0.1:8080" env:"HISHUB_LISTEN"`
	Hospitals string `help:"Folder of hospital folders to apply at the start." placeholder:"DIR"`
	Nights    string `help:"When nights run, as a cron expression in each hospital's zone, in place of what its folder says; off: not by themselves." env:"HISHUB_NIGHTS" placeholder:"CRON"`
	Debug     bool   `help:"Log more."`
}

func (upCmd) Help() string {
	return "Needs only PostgreSQL's binaries on this machine (apt install postgresql).\n\nExample:\n  hishub up --hospitals mapping/hospitals --env my.env\n  hishub key new --name me --role admin\n\nThe data folder is ./data, for root /var/lib/hishub. A hospital whose folder does not load here is left out, and says why."
}

func (c *upCmd) Run(ctx context.Context) error {
	level := slog.LevelInfo
	if c.Debug {
		level = slog.LevelDebug
	}
	layBallast()
	return c.up(ctx, newLog(level), func(address string) {
		fmt.Printf("hishub %s is up at %s; data in %s; Ctrl-C stops it\n", version, address, c.Data)
	})
}

// up starts the private database unless there is another, applies the hospital
// folders and runs the hub until ctx ends.
func (c *upCmd) up(ctx context.Context, log *slog.Logger, ready func(address string)) (err error) {
	if err := c.set(); err != nil {
		return err
	}
	https, err := c.config()
	if err != nil {
		return err
	}
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
	h.listen, h.nights, h.tls, h.tlsAPI = c.Listen, c.Nights, https, c.TLSAPIClient
	if err := h.tellPeople(c.mailOptions, c.alertsFile); err != nil {
		return err
	}
	if len(c.Env) > 0 {
		h.env = &c.variables
	}
	if err := h.openClinic(ctx, url); err != nil {
		return err
	}
	if c.Hospitals != "" {
		found, err := folders(c.Hospitals)
		if err != nil {
			return err
		}
		if err := c.applyAll(ctx, h, found); err != nil {
			return err
		}
	}
	return h.run(ctx, ready)
}

// applyAll applies every folder that loads here. The others are left out: one
// hospital's missing variable is no reason to keep everybody down. A folder that
// was a revision before and was replaced since is not brought back by a restart.
func (c *upCmd) applyAll(ctx context.Context, h *hub, found map[string]fs.FS) error {
	loaded := 0
	for _, name := range sortedKeys(found) {
		f, err := loadFolder(found[name])
		if err != nil {
			fmt.Fprintf(os.Stderr, "left out, because it does not load here (its env.sample lists what it needs):\n%v\n", inFolder(name, err))
			continue
		}
		loaded++
		earlier, err := h.store.Revisions(ctx, f.Dialect.Hospital)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(earlier, func(r postgres.Revision) bool { return r.Digest == f.Dialect.Digest }); i >= 0 {
			h.log.Info("hospital", "hospital", f.Dialect.Hospital, "folder is revision", earlier[i].Number)
			continue
		}
		_, number, err := applyFolder(ctx, h.store, found[name], "up", "applied at the start")
		if err != nil {
			return inFolder(name, err)
		}
		h.log.Info("hospital", "hospital", f.Dialect.Hospital, "revision", number, "transactions", len(f.Dialect.Operations))
	}
	if loaded == 0 {
		return errors.New("no hospital folder loads here")
	}
	return nil
}

// writeSecret writes a file that only its owner can read, whatever was there.
func writeSecret(path, content string) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(content+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
