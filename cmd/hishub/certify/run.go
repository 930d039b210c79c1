// Package certify runs the conformance list of one hospital folder against an
// endpoint: the hospital's test HIS, or a fake one. What it proves, it proves on
// the way that messages really go: core.Hospital, the folder's mapping, the
// connectors, delivery.Dispatcher and its policy. Only the ledger is in memory,
// and between connector and HIS stands a proxy that fails when it is told to.
package certify

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"hishub/connectors"
	"hishub/connectors/proxy"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/redis"
	"hishub/mapping"
)

// Options of a run.
type Options struct {
	// Folder is loaded with the real environment; Files is where it came from.
	Folder *mapping.Folder
	Files  fs.FS
	// Agreed is the same folder with its env.sample: its cases are signed with the
	// sample's secrets. nil takes Folder.
	Agreed *mapping.Folder
	// Messages is a folder of <kind>.json to make messages from, and of
	// <kind>.refused.json that the HIS must refuse; "" takes the folder's cases.
	Messages string
	// Money: "yes", "no", or "" for yes where every endpoint is this machine.
	Money string
	// Only are the letters of chapters; nil is all. Kinds are the writes to try; nil
	// is all.
	Only  []string
	Kinds []core.Kind
	// Timeout caps every wait that the folder asks for: timeouts, settle_after,
	// inquire.every. 0 waits as the folder says.
	Timeout time.Duration
	Lang    string // zh or en
	Version string
	// Progress is told of each item that is done; may be nil.
	Progress func(*Item)
}

// run is a run on its way.
type run struct {
	Options
	ctx      context.Context
	hospital *core.Hospital
	sessions core.SessionStore
	line     *line
	ledger   *ledger
	*templates
	cert *Certificate
	shut *shut

	schedules []core.Schedule
	place     int
	// made is what the HIS was told and took, in order.
	made []*made
	// unclear are messages of which the HIS may have something, and nobody knows.
	unclear []*message
	// before are the HIS's totals before the first write; nil if it has none.
	before *core.LedgerTotals
}

// Run carries the list out. The error is for what kept it from beginning; what the
// list finds is in the certificate.
func Run(ctx context.Context, o Options) (*Certificate, error) {
	now := time.Now()
	d := o.Folder.Dialect
	r := &run{Options: o, ctx: ctx, line: newLine(), ledger: newLedger(d.Hospital), shut: newShut()}
	r.Lang = cmp.Or(o.Lang, "zh")
	r.Agreed = cmp.Or(o.Agreed, o.Folder)
	r.templates = &templates{cases: o.Files, messages: o.Messages, numbers: newNumbers(now), now: now.Truncate(time.Second)}
	if err := r.templates.check(); err != nil {
		return nil, err
	}
	defer r.line.close()
	client := redis.Embedded()
	defer client.Close()
	r.sessions = redis.NewSessions(client)

	capped := r.capped(d)
	open := map[string]core.Connector{}
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for name, spec := range capped.Connectors {
		c, err := connectors.Open(spec)
		if err != nil {
			return nil, fmt.Errorf("open connector %s: %w", name, err)
		}
		open[name] = c
	}
	r.hospital = core.NewHospital(capped, 1, open, r.sessions, r.observed(capped.Sessions))
	r.cert = &Certificate{
		Hospital: d.Hospital, Name: d.Name, Digest: d.Digest, Version: o.Version, Lang: r.Lang,
		Started: now.In(d.Zone), Capped: o.Timeout, Items: []*Item{}, Left: []Left{}, Counts: map[Result]int{},
	}
	if err := r.decideMoney(capped); err != nil {
		return nil, err
	}

	work, stop := context.WithCancel(ctx)
	dispatcher := &delivery.Dispatcher{
		Process: "certify", Store: r.ledger, Hospitals: alone{r.hospital}, Wakes: r.ledger,
		Policy: r.policy(), Log: slog.New(slog.DiscardHandler), Sweep: 10 * time.Millisecond,
	}
	ended := make(chan error, 1)
	go func() { ended <- dispatcher.Run(work) }()
	r.all()
	stop()
	if err := <-ended; err != nil {
		return nil, err
	}

	for _, it := range r.cert.Items {
		r.cert.Counts[it.Result]++
	}
	r.cert.Ended = time.Now().In(d.Zone)
	r.cert.Endpoints = r.line.addresses()
	return r.cert, ctx.Err()
}

// all runs the chapters in their order and files the items by letter.
func (r *run) all() {
	for _, c := range chapters {
		if c.letter == "E" {
			r.takeBack() // what is given back belongs to the day's ledger
		}
		if c.letter == "B" && len(r.Only) > 0 && !slices.Contains(r.Only, "B") && r.ctx.Err() == nil {
			r.knock()
		}
		if (len(r.Only) == 0 || slices.Contains(r.Only, c.letter)) && r.ctx.Err() == nil {
			c.run(r)
		}
	}
	slices.SortStableFunc(r.cert.Items, func(a, b *Item) int { return strings.Compare(a.Check[:1], b.Check[:1]) })
}

// alone is the one hospital there is.
type alone struct{ h *core.Hospital }

func (a alone) Hospital(context.Context, string, int) (*core.Hospital, error) { return a.h, nil }

// policy is production's, with budgets for one sitting.
func (r *run) policy() delivery.Policy {
	p := delivery.DefaultPolicy
	p.MaxFailures, p.MaxBusy, p.MaxInquiries, p.Cap = 6, 6, 60, 5*time.Second
	p.Base = r.atMost(p.Base)
	return p
}

// atMost caps a wait.
func (r *run) atMost(d time.Duration) time.Duration {
	if r.Timeout > 0 && d > r.Timeout {
		return r.Timeout
	}
	return d
}

// capped is the dialect with the line in its connectors and its waits capped.
func (r *run) capped(d *core.Dialect) *core.Dialect {
	out := *d
	out.Connectors = maps.Clone(d.Connectors)
	for name, spec := range out.Connectors {
		spec.Dial = r.line.dial
		spec.Timeout = r.atMost(d.Timeout(name))
		out.Connectors[name] = spec
	}
	// Hours in which deliveries wait would make the run wait until they are over.
	out.Maintenance, out.Open = nil, nil
	out.Operations = map[core.Kind]*core.Operation{}
	for kind, op := range d.Operations {
		same := *op
		same.SettleAfter = r.atMost(op.SettleAfter)
		same.Steps = slices.Clone(op.Steps)
		for i := range same.Steps {
			if q := same.Steps[i].Inquire; q != nil {
				waiting := *q
				waiting.Every = min(q.Every, r.atMost(4*q.Every)/4) // to ask more often harms nobody
				same.Steps[i].Inquire = &waiting
			}
		}
		out.Operations[kind] = &same
	}
	return &out
}

// decideMoney: money moves at a HIS only when somebody said so, or it is a fake
// on this machine.
func (r *run) decideMoney(d *core.Dialect) error {
	switch r.Money {
	case "yes", "no":
		r.cert.Money = r.Money == "yes"
		return nil
	case "":
	default:
		return fmt.Errorf("money: %q is not yes or no", r.Money)
	}
	r.cert.Money = true
	for _, spec := range d.Connectors {
		if !loopback(spec) {
			r.cert.Money = false
		}
	}
	return nil
}

// loopback opens the connector with a dialler that only looks where it would go.
func loopback(spec core.ConnectorSpec) bool {
	for _, name := range []string{"endpoint", "base", "address", "dsn"} {
		if s, ok := spec.Options[name].(string); ok {
			host := hostOf(name, s)
			ip := net.ParseIP(host)
			return host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback()
		}
	}
	return false
}

// withoutMoney says whether a transaction is left out because money would move.
func (r *run) withoutMoney(kind core.Kind) bool {
	t, _ := core.Lookup(kind)
	return t.Money && !r.cert.Money
}

// item runs one check.
func (r *run) item(check, about string, do func(*Item)) {
	r.file(r.tried(check, about, do))
}

func (r *run) tried(check, about string, do func(*Item)) *Item {
	it := &Item{ID: strings.TrimSpace(check + " " + about), Check: check, About: about, Proves: proves[check].in(r.Lang), Result: Pass, Started: time.Now(), lang: r.Lang}
	do(it)
	it.Ended = time.Now()
	return it
}

func (r *run) file(it *Item) {
	r.cert.Items = append(r.cert.Items, it)
	if r.Progress != nil {
		r.Progress(it)
	}
}

// kinds are the writes of the folder that the run looks at, in the catalogue's order.
func (r *run) kinds() []core.Kind {
	var all []core.Kind
	for _, t := range core.Catalogue {
		if t.Mode == core.Write && r.hospital.Operations[t.Kind] != nil && (len(r.Kinds) == 0 || slices.Contains(r.Kinds, t.Kind)) {
			all = append(all, t.Kind)
		}
	}
	return all
}

// drill changes what happens on the line; that it cannot is a bug of this machine.
func (r *run) drill(it *Item, m proxy.Mode) {
	if err := r.line.set(m); err != nil {
		it.notTried("本机代理无法切换：%v", "the proxy on this machine cannot do it: %v", err)
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
