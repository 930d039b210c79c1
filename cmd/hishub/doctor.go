package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/rabbit"
	"hishub/core/reconcile"
	"hishub/core/redis"
	"hishub/mapping"
)

// doctorCmd looks at an installation as a person would who is asked why it does
// not work, and says what to do.
type doctorCmd struct {
	place
	services
	variables
	mailOptions
	alertsFile
	Listen  string `help:"Address of the API." default:"127.0.0.1:8080" env:"HISHUB_LISTEN"`
	Healthz string `help:"Only ask a hub at this address whether it is up, as a container's health check does." placeholder:"URL"`
	JSON    bool   `name:"json" help:"For scripts."`
}

func (doctorCmd) Help() string {
	return "Looks at the data folder, the API's port, the master key, the database, its schema and clock, RabbitMQ and its queue, Redis, every hospital's folder, address and certificates, the routes of alerts, open incidents, what waits and the last nights. Give it what the hub was given: --env, --alerts, --listen. Exit status 1 when something is wrong (✗), among it an open incident that is critical, and messages that wait while no hub works; 0 with warnings only (!).\n\nExamples:\n  hishub doctor --env my.env\n  hishub doctor --data /var/lib/hishub --env my.env --alerts alerts.yaml --listen 127.0.0.1:8080\n  hishub doctor --healthz http://127.0.0.1:8080"
}

// finding is one thing that the doctor looked at.
type finding struct {
	What string `json:"what"`
	// State: ok, warning, wrong.
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
	Cure   string `json:"cure,omitempty"`
}

func (c *doctorCmd) Run(ctx context.Context) error {
	if c.Healthz != "" {
		_, err := askHealth(ctx, c.Healthz)
		return err
	}
	if err := c.set(); err != nil {
		return err
	}
	d := &doctor{}
	d.look(ctx, c)
	if c.JSON {
		if err := printJSON(d.findings); err != nil {
			return err
		}
	} else {
		for _, f := range d.findings {
			mark := map[string]string{"ok": "✓", "warning": "!", "wrong": "✗"}[f.State]
			fmt.Printf("%s %-28s %s\n", mark, f.What, f.Detail)
			if f.Cure != "" {
				fmt.Printf("  → %s\n", f.Cure)
			}
		}
	}
	if d.wrong > 0 {
		return fmt.Errorf("wrong: %d", d.wrong)
	}
	return nil
}

type doctor struct {
	findings []finding
	wrong    int
}

func (d *doctor) ok(what, detail string) {
	d.findings = append(d.findings, finding{what, "ok", detail, ""})
}
func (d *doctor) warn(what, detail, cure string) {
	d.findings = append(d.findings, finding{what, "warning", detail, cure})
}
func (d *doctor) bad(what, detail, cure string) {
	d.wrong++
	d.findings = append(d.findings, finding{what, "wrong", detail, cure})
}

func (d *doctor) look(ctx context.Context, c *doctorCmd) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	d.folder(c.Data)
	nobody := d.port(ctx, c.Listen)
	d.servers(ctx, c.services)
	databaseURL, err := c.databaseURL()
	if err != nil {
		d.bad("database", err.Error(), "start 'hishub up', or set DATABASE_URL")
		return
	}
	if info, err := os.Stat(c.keyFile()); err != nil {
		d.bad("master key", c.keyFile()+" cannot be read", "put the key file of this database there, or name it with --key-file; without it nothing sealed can be opened")
	} else if info.Mode().Perm()&0o077 != 0 {
		d.bad("master key", fmt.Sprintf("%s has mode %o", c.keyFile(), info.Mode().Perm()), "chmod 600 "+c.keyFile())
	}
	d.schema(ctx, databaseURL)
	store, err := postgres.Open(ctx, postgres.Options{URL: databaseURL, KeyFile: c.keyFile(), MaxConns: 4})
	if err != nil {
		d.bad("database", err.Error(), "is PostgreSQL up and is the address right? was it migrated ('hishub migrate')? is it this database's key?")
		return
	}
	defer store.Close()
	d.clock(ctx, store)
	d.masterKey(ctx, store)
	worked := d.hubs(ctx, store, nobody)
	d.hospitals(ctx, store, len(c.Env) > 0)
	d.alerts(ctx, store, c.alertsFile, c.mailOptions)
	d.incidents(ctx, store, worked)
	d.waiting(ctx, store)
	d.nights(ctx, store)
}

func (d *doctor) masterKey(ctx context.Context, store *postgres.Store) {
	r, err := store.MasterKey(ctx)
	switch {
	case err != nil:
		d.bad("master key", err.Error(), "")
	case r.Behind > 0:
		d.warn("master key", fmt.Sprintf("%d of %d data keys still need an older one than %s", r.Behind, r.Keys, r.Newest), "hishub key rotate-master, once every machine has the key file")
	case len(r.Older) > 0:
		d.warn("master key", fmt.Sprintf("%s; the file still has %s, which nothing needs", r.Newest, strings.Join(r.Older, ", ")), "keep the old key with the backups of its time, then: hishub key rotate-master --forget")
	default:
		d.ok("master key", fmt.Sprintf("%s opens %s", r.Newest, core.Count(r.Keys, "data key", "data keys")))
	}
}

func (d *doctor) folder(dir string) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.warn("data folder", dir+" is not there", "it is made by 'hishub up'; with 'hishub serve' only the master key lies there")
		return
	case err != nil || !info.IsDir():
		d.bad("data folder", dir+" cannot be used", "it must be a folder that this user can enter")
		return
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil {
		free := int64(fs.Bavail) * int64(fs.Bsize) //nolint:unconvert // the types differ between systems
		if free < 2<<30 {
			d.bad("disk", fmt.Sprintf("%d MiB free at %s", free>>20, dir), "make room: a full disk stops the database, and with it all acceptance")
			return
		}
		d.ok("disk", fmt.Sprintf("%d GiB free at %s", free>>30, filepath.Clean(dir)))
	}
}

func (d *doctor) servers(ctx context.Context, s services) {
	if s.RedisURL == "" {
		d.ok("redis", "stand-in inside the process (REDIS_URL is not set)")
	} else if client, err := redis.Open(s.RedisURL); err != nil {
		d.bad("redis", err.Error(), "mend REDIS_URL")
	} else {
		if err := client.Ready(ctx); err != nil {
			d.bad("redis", err.Error(), "start Redis or mend REDIS_URL; without it logins to HIS are not shared and limits are open")
		} else {
			d.ok("redis", "answers")
			d.memory(ctx, s.RedisURL)
		}
		client.Close()
	}
	if s.AmqpURL == "" {
		d.ok("rabbitmq", "hints stay in the process (AMQP_URL is not set)")
		return
	}
	broker, err := rabbit.Dial(s.AmqpURL, newLog(100))
	if err != nil {
		d.bad("rabbitmq", err.Error(), "mend AMQP_URL")
		return
	}
	defer broker.Close()
	for range 50 {
		if err = broker.Ready(ctx); err == nil {
			d.ok("rabbitmq", "answers")
			d.queue(s.AmqpURL)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	d.bad("rabbitmq", err.Error(), "start RabbitMQ, mend AMQP_URL, or grant its user the virtual host; until then intake by queue stands still")
}

func (d *doctor) clock(ctx context.Context, store *postgres.Store) {
	before := time.Now()
	now, err := store.Now(ctx)
	if err != nil {
		d.bad("database", err.Error(), "is PostgreSQL up?")
		return
	}
	d.ok("database", "answers, the schema and the key fit")
	if off := now.Sub(before.Add(time.Since(before) / 2)); off.Abs() > 2*time.Second {
		d.warn("clock", fmt.Sprintf("the database's clock is %s off this machine's", off.Round(time.Second)), "synchronise both (NTP): due times are the database's, signatures and nights this machine's")
	} else {
		d.ok("clock", "agrees with the database's")
	}
}

// hospitals opens each active folder as the hub would and knocks at its address.
// Where no file of variables was given, those that lack some are told of once.
func (d *doctor) hospitals(ctx context.Context, store *postgres.Store, given bool) {
	all, err := store.Hospitals(ctx)
	if err != nil {
		d.bad("hospitals", err.Error(), "")
		return
	}
	if len(all) == 0 {
		d.warn("hospitals", "none", "apply one: hishub hospital apply mapping/hospitals/…")
	}
	var without []string
	for _, h := range all {
		what := "hospital " + h.ID
		if h.PausedAt != nil {
			d.warn(what, "paused by "+h.PausedBy+": "+h.PausedWhy, "hishub hospital resume "+h.ID)
			continue
		}
		r, err := store.Revision(ctx, h.ID, 0)
		if err != nil {
			d.bad(what, err.Error(), "")
			continue
		}
		files, err := mapping.Unpack(r.Archive)
		if err != nil {
			d.bad(what, err.Error(), "apply its folder again")
			continue
		}
		unset := false
		folder, err := loadFrom(files, func(name string) (string, bool) {
			v, ok := os.LookupEnv(name)
			unset = unset || !ok
			return v, ok
		})
		if err != nil && unset && !given {
			without = append(without, h.ID)
			continue
		}
		if err != nil {
			d.bad(what, fmt.Sprintf("revision %d does not load here: %v", r.Number, err), "set the environment variables that it names, as env.sample of its folder lists them")
			continue
		}
		d.knock(ctx, what, folder.Dialect)
	}
	if len(without) > 0 {
		d.bad("variables", fmt.Sprintf("variables are not set here that these hospitals need, so they cannot be looked at: %s", strings.Join(without, ", ")), likeTheHub)
	}
}

const likeTheHub = "give doctor what the hub was given: --env, --alerts, --listen, or the same environment"

// knock dials the host of each connector; it says nothing to it.
func (d *doctor) knock(ctx context.Context, what string, dialect *core.Dialect) {
	for _, name := range sortedKeys(dialect.Connectors) {
		spec := dialect.Connectors[name]
		address := addressOf(spec)
		if address == "" {
			d.ok(what, fmt.Sprintf("loads; connector %s (%s)", name, spec.Kind))
			continue
		}
		dialer := net.Dialer{Timeout: 3 * time.Second}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			d.bad(what, fmt.Sprintf("connector %s: nobody answers at %s", name, address), "is the HIS up, is the address right, does a firewall stand between? Its messages wait meanwhile")
			continue
		}
		conn.Close()
		d.ok(what, fmt.Sprintf("loads; connector %s reaches %s", name, address))
		d.certificates(ctx, what, name, spec)
	}
}

// addressOf is host:port of a connector, "" when it cannot be told.
func addressOf(spec core.ConnectorSpec) string {
	if spec.Kind == "tcp" {
		text, _ := spec.Options["address"].(string)
		return text
	}
	for _, option := range []string{"endpoint", "base", "dsn", "address"} {
		text, _ := spec.Options[option].(string)
		u, err := url.Parse(text)
		if text == "" || err != nil || u.Host == "" {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443", "postgres": "5432", "postgresql": "5432"}[strings.ToLower(u.Scheme)]
		}
		if port != "" {
			return net.JoinHostPort(u.Hostname(), port)
		}
	}
	return ""
}

func (d *doctor) waiting(ctx context.Context, store *postgres.Store) {
	lights, err := store.Lights(ctx)
	if err != nil {
		d.bad("queue", err.Error(), "")
		return
	}
	quiet := true
	for _, h := range sortedKeys(lights) {
		w := lights[h]
		if w.Parked > 0 {
			quiet = false
			d.warn("parked at "+h, fmt.Sprintf("%s for a person, %d of them may have happened", core.Count(w.Parked, "message waits", "messages wait"), w.InDoubt), "hishub message list --state parked --hospital "+h)
		}
		if w.Oldest != nil && time.Since(*w.Oldest) > 10*time.Minute {
			quiet = false
			d.warn("queue of "+h, fmt.Sprintf("%s, the oldest for %s", core.Count(w.Queued, "message waits", "messages wait"), time.Since(*w.Oldest).Round(time.Minute)), "is a 'hishub serve' running, and does the HIS answer?")
		}
	}
	if quiet {
		d.ok("queue", "nothing waits for long, nothing is parked")
	}
}

func (d *doctor) nights(ctx context.Context, store *postgres.Store) {
	nights, err := store.Nights(ctx, "", "", 50)
	if err != nil {
		d.bad("nights", err.Error(), "")
		return
	}
	seen := map[string]bool{}
	for _, n := range nights {
		if seen[n.Hospital] {
			continue
		}
		seen[n.Hospital] = true
		switch {
		case n.State == reconcile.NightFailed:
			d.warn("night of "+n.Hospital, n.Day+" failed: "+n.Problem, "hishub reconcile run "+n.Hospital+" "+n.Day)
		case n.State == reconcile.NightWaiting:
			d.warn("night of "+n.Hospital, n.Day+" waits: "+n.Problem, "it is tried again by itself")
		case n.Differences() > 0:
			d.warn("night of "+n.Hospital, fmt.Sprintf("%s has %s", n.Day, core.Count(n.Differences(), "difference", "differences")), fmt.Sprintf("hishub reconcile show --night %d", n.ID))
		default:
			d.ok("night of "+n.Hospital, n.Day+" "+string(n.State))
		}
	}
}
