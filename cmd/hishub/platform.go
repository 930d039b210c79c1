package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/platform/console"
)

// platformCmd runs modules of the clinic in a process of their own.
type platformCmd struct {
	place
	services
	variables
	tlsFiles
	Modules []string      `help:"Modules whose addresses, jobs and events this process serves." required:"" env:"HISHUB_MODULES" placeholder:"NAME,…"`
	Hub     string        `help:"Address of the hub's API, which asks the HISs." required:"" env:"HISHUB_HUB_URL" placeholder:"URL"`
	HubKey  string        `help:"API key of role submitter for it; from the environment, or HISHUB_HUB_KEY_FILE." required:"" env:"HISHUB_HUB_KEY" placeholder:"KEY"`
	Listen  string        `help:"Address of the API." default:"127.0.0.1:8081" env:"HISHUB_LISTEN"`
	Linger  time.Duration `help:"At SIGTERM, how long requests are still answered while /readyz says no, so that others get them." default:"2s" env:"HISHUB_LINGER"`
	Debug   bool          `help:"Log more."`
}

func (platformCmd) Help() string {
	return "Modules: " + strings.Join(moduleNames, ", ") + `.

All processes share the database, the master key and Redis (sessions, live messages) with the hub, which runs as
hishub serve --modules none. With AMQP_URL wishes for places are shared out among processes, too. An address of a module that
a process does not serve is answered 404, with the module's name. A HIS is told over the ledger and asked over the hub's API.
The process with pay needs the variables of the hospitals' folders (--env); the others need none.

Example:
  hishub key new --name platform --role submitter
  DATABASE_URL=postgres://… REDIS_URL=redis://… HISHUB_HUB_KEY=hk_… hishub platform --modules identity,audit --hub http://hub:8080 --listen :8081`
}

func (c *platformCmd) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	if _, err := modulesHere(c.Modules); err != nil {
		return err
	}
	asks, err := newHubAPI(c.Hub, c.HubKey)
	if err != nil {
		return err
	}
	if c.RedisURL == "" {
		return core.Problems{{Field: "REDIS_URL", What: "missing: processes know of each other's sessions by Redis alone"}}
	}
	https, err := c.config()
	if err != nil {
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
	h, err := openHub(ctx, newLog(level), url, c.keyFile(), false, c.services)
	if err != nil {
		return err
	}
	defer h.close()
	h.listen, h.tls, h.tlsAPI, h.leaving.linger = c.Listen, https, c.TLSAPIClient, c.Linger
	h.modules, h.apart, h.looks = c.Modules, asks, &looks{store: h.store, hospitals: h.hospitals}
	if len(c.Env) > 0 {
		h.env = &c.variables
	}
	if err := h.openClinic(ctx, url); err != nil {
		return err
	}
	return h.runApart(ctx, func(address string) {
		fmt.Printf("hishub %s serves at %s\n", version, address)
	})
}

// runApart runs modules of the clinic without the hub, until ctx ends.
func (h *hub) runApart(ctx context.Context, ready func(address string)) error {
	if err := h.hospitals.refresh(ctx); err != nil {
		return err
	}
	listener, err := h.bind()
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(postgres.WithOrigin(context.WithoutCancel(ctx), &postgres.Origin{Who: "clinic", Role: "hub"}))
	defer stop()
	handler, _, err := h.handler(background)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	work.Go(func() { h.hospitals.follow(background, time.Second, nil) })
	work.Go(func() { h.hangups(background, h.env, h.alertsAgain) })
	work.Go(func() { h.watchServices(background) })
	work.Go(func() { h.clinic.run(background) })

	server := h.server(handler)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if ready != nil {
		ready(h.address)
	}
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	h.log.Info("stopping")
	h.leaving.begin(err != nil)
	shutdown, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	h.clinic.leave(shutdown)
	if e := server.Shutdown(shutdown); e != nil {
		server.Close()
	}
	stop()
	work.Wait()
	return ignoreClosed(err)
}

// withBrowsers takes browsers' cookies for sessions, as the console beside the hub does.
func (h *hub) withBrowsers(api http.Handler) http.Handler {
	return h.withClinic(console.Browsers{Secure: h.tls != nil}.Around(api))
}

// modulesHere are the modules that a process serves; nil are all.
func modulesHere(names []string) (map[string]bool, error) {
	if len(names) == 0 {
		return nil, nil
	}
	here := map[string]bool{}
	for _, name := range names {
		name = strings.TrimSpace(name)
		if name == noModules && len(names) == 1 {
			continue
		}
		known := false
		for _, n := range moduleNames {
			known = known || n == name
		}
		if !known {
			return nil, core.Problems{{Field: "--modules", What: fmt.Sprintf("no module %q: there are %s", name, strings.Join(moduleNames, ", "))}}
		}
		here[name] = true
	}
	return here, nil
}

// noModules is a hub whose clinic runs in other processes.
const noModules = "none"

// notHere answers for an address of a module that another process serves.
func notHere(module string) string {
	return fmt.Sprintf("the module %s serves this, and another process runs it (hishub platform --modules %s)", module, module)
}

// notHereProblem is that answer where no operation is.
func notHereProblem(module string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"type":"/problems/not-found","title":"not here","status":404,"detail":%q}`, notHere(module))
	})
}
