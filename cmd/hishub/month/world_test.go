package month

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/core/redis"
	"hishub/mapping"
	"hishub/mocks/asmxhis"
	"hishub/mocks/books"
	"hishub/mocks/dbhis"
	"hishub/mocks/paychannel"
	"hishub/mocks/pushhis"
	"hishub/mocks/resthis"
	"hishub/mocks/soaphis"
)

// world is one seed: a hub at its database, five hospitals, each with its own
// account at the payment channels.
type world struct {
	*testing.T
	ctx  context.Context
	seed uint64
	name string
	days int
	// fair: no books are late or damaged, and all repairs are of the day after the last.
	fair bool
	// latency of the fake HIS's and channels.
	latency time.Duration
	// idle: people approve, and nobody carries out yet.
	idle   bool
	binary string
	dir    string
	// postgres is the server's address.
	postgres string

	first     time.Time // midnight at which the first day begins
	clock     atomic.Int64
	env       []string
	hub       *hub
	ledger    *pgxpool.Pool // past the program: to wait, and to date what the past did
	store     *postgres.Store
	runner    *reconcile.Runner
	repairs   *reconcile.Repairs
	hospitals []*hospital
	opened    map[string]*core.Hospital

	mu      sync.Mutex
	counted map[string]int
}

// hospital is a fake HIS and the hospital's accounts at the channels.
type hospital struct {
	id      string
	letter  string // its numbers begin with it
	control string
	his     func(context.Context, books.Edit) error
	books   func(context.Context) (books.Export, error)
	channel *paychannel.Server
	ways    []core.Channel
	// his_clock in its folder: its rows are dated when they were booked.
	clocked bool
	// operator is our account there, payWays its words for ways of paying.
	operator string
	payWays  map[core.Channel]string
	settle   string // the request that books a payment
	// shown is what its ledger gives of a payment's numbers.
	shown func(order, channelNo string) (number string)
	// maimed: it gives no whole number of ours, so that what only it has cannot be named to it again.
	maimed bool

	days    []day // from 1
	bankDir string
}

func whole(order, _ string) string { return order }

// open starts everything and applies the folders.
func (w *world) open() {
	must(w.T, "make the seed's folder", os.MkdirAll(w.dir, 0o755))
	today := time.Now().In(books.Zone)
	midnight := time.Date(today.Year(), today.Month(), today.Day(), 0, 0, 0, 0, books.Zone)
	// The repairs of the last day are of yesterday, which has ended for everybody.
	w.first = midnight.AddDate(0, 0, -w.days-1)
	w.set(w.first)
	w.counted, w.opened = map[string]int{}, map[string]*core.Hospital{}

	w.administer("create database his_"+w.name, "create database hub_"+w.name)
	w.env = withoutServices(os.Environ())
	w.openHospitals()
	w.env = append(w.env, "DATABASE_URL="+w.url("hub_"+w.name), "HISHUB_KEY_FILE="+filepath.Join(w.dir, "master.key"),
		"HISHUB_CREATE_KEY=true", "HISHUB_LEASE=2s", "HISHUB_OWNERSHIP=1s")
	w.hub = &hub{world: w, log: filepath.Join(w.dir, "hub.log")}
	w.hub.start() // it makes the schema and the key
	folders := filepath.Join(w.dir, "hospitals")
	w.writeFolders(folders)
	w.hub.tool("hospital", "apply", folders)
	w.hub.key = strings.TrimSpace(w.hub.tool("key", "new", "--name", "month", "--role", "operator"))

	var err error
	w.ledger, err = pgxpool.New(w.ctx, w.url("hub_"+w.name)+"&pool_max_conns=4")
	must(w.T, "look into the hub's database", err)
	w.Cleanup(w.ledger.Close)
	_, err = w.ledger.Exec(w.ctx, simulated)
	must(w.T, "date approvals by the simulated clock", err)
	w.set(w.now())
	w.wire(folders)
}

// simulated dates a person's yes, and with it what the repair does, by the
// simulated clock; PostgreSQL's own goes on.
const simulated = `
	create table public.simulated (now timestamptz);
	insert into public.simulated values (now());
	create function public.simulated_yes() returns trigger language plpgsql as $$
		begin select now into new.approved_at from public.simulated; return new; end $$;
	create trigger simulated_yes before update of approved_at on hub.repair for each row
		when (new.approved_at is not null and old.approved_at is null) execute function public.simulated_yes()`

// set moves the simulated clock, which is everybody's but the wire's.
func (w *world) set(t time.Time) {
	w.clock.Store(t.Unix())
	if w.ledger != nil {
		_, err := w.ledger.Exec(w.ctx, `update public.simulated set now = $1`, t)
		must(w.T, "move the clock", err)
	}
	for _, h := range w.hospitals {
		if h.clocked {
			text := t.Format(books.TimeLayout)
			must(w.T, "move the clock of "+h.id, h.his(w.ctx, books.Edit{Clock: &text}))
		}
	}
}

func (w *world) now() time.Time { return time.Unix(w.clock.Load(), 0).In(books.Zone) }

// at is a moment of a day, counted from 1.
func (w *world) at(day, hour, minute, second int) time.Time {
	return w.first.AddDate(0, 0, day-1).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second)
}

// date is a day's name.
func (w *world) date(day int) string { return w.at(day, 0, 0, 0).Format(time.DateOnly) }

func (w *world) openHospitals() {
	ctx := w.ctx
	east, err := soaphis.Start(ctx, soaphis.Options{Seed: w.seed, Latency: w.latency})
	must(w.T, "start dongshan", err)
	w.Cleanup(func() { east.Close() })
	west, err := resthis.Start(ctx, resthis.Options{Seed: w.seed, Latency: w.latency})
	must(w.T, "start xihu", err)
	w.Cleanup(func() { west.Close() })
	south, err := dbhis.Start(ctx, dbhis.Options{Driver: "postgres", DSN: w.url("his_" + w.name), Seed: w.seed, Latency: w.latency, Poll: 10 * time.Millisecond})
	must(w.T, "start nanyuan", err)
	w.Cleanup(func() { south.Close() })
	north, err := asmxhis.Start(ctx, asmxhis.Options{Seed: w.seed, Latency: w.latency})
	must(w.T, "start beicheng", err)
	w.Cleanup(func() { north.Close() })
	lake, err := pushhis.Start(ctx, pushhis.Options{Seed: w.seed, Latency: w.latency})
	must(w.T, "start lianhu", err)
	w.Cleanup(func() { lake.Close() })
	w.env = append(w.env, "DONGSHAN_URL="+east.URL(), "XIHU_URL="+west.URL(), "XIHU_USER=inet_hub", "XIHU_PASSWORD=xihu-test", "XIHU_NOTICE_KEY=xihu-notice-test",
		"NANYUAN_DRIVER=postgres", "NANYUAN_DSN="+south.DSN(), "BEICHENG_URL="+north.URL(), "LIANHU_URL="+lake.URL(), "LIANHU_KEY=lianhu-test")

	onlyChannel := func(_, channelNo string) string { return channelNo }
	cut := func(order, _ string) string { return order[:cutLength] }
	w.hospitals = []*hospital{
		{id: "dongshan", letter: "D", control: east.ControlURL(), ways: []core.Channel{"wechat", "bank"}, operator: "net07", settle: "ConfirmSettle",
			payWays: map[core.Channel]string{"wechat": "WECHAT", "alipay": "ALIPAY", "bank": "CASH"}, shown: whole},
		{id: "xihu", letter: "X", control: west.ControlURL(), ways: []core.Channel{"wechat", "alipay"}, operator: "net07", settle: "PAY001", clocked: true,
			payWays: map[core.Channel]string{"wechat": "1", "alipay": "2"}, shown: whole},
		{id: "nanyuan", letter: "N", control: south.ControlURL(), ways: []core.Channel{"wechat"}, operator: "net07", settle: "zjk_jf_settle",
			payWays: map[core.Channel]string{"wechat": "WX"}, shown: onlyChannel, maimed: true},
		{id: "beicheng", letter: "B", control: north.ControlURL(), ways: []core.Channel{"wechat"}, operator: "net07", settle: "SaveFee",
			payWays: map[core.Channel]string{"wechat": "WX"}, shown: cut, maimed: true},
		{id: "lianhu", letter: "L", control: lake.ControlURL(), ways: []core.Channel{"wechat", "alipay"}, operator: "wk01", settle: "outpatientPay",
			payWays: map[core.Channel]string{"wechat": "weChat", "alipay": "aliPay"}, shown: whole},
	}
	for _, h := range w.hospitals {
		h.his = func(_ context.Context, e books.Edit) error { return h.ask(w, "POST", "/books/edit", e, nil) }
		h.books = func(context.Context) (b books.Export, err error) { return b, h.ask(w, "GET", "/books", nil, &b) }
		h.days = make([]day, w.days+3)
		h.bankDir = filepath.Join(w.dir, "bank", h.id)
		must(w.T, "make the bank's folder", os.MkdirAll(h.bankDir, 0o755))
		h.channel, err = paychannel.Start(ctx, paychannel.Options{Seed: w.seed, Latency: w.latency, Merchant: "19000000" + fmt.Sprintf("%02d", len(h.id))})
		must(w.T, "start the channel of "+h.id, err)
		w.Cleanup(func() { h.channel.Close() })
		h.channel.Books().SetClock(w.now)
	}
}

// wire makes a second reader of the hub's ledger, whose nights have an injected
// clock. It opens the hospitals as the program does.
func (w *world) wire(folders string) {
	var err error
	w.store, err = postgres.Open(w.ctx, postgres.Options{URL: w.url("hub_" + w.name), KeyFile: filepath.Join(w.dir, "master.key"), MaxConns: 24})
	must(w.T, "open the ledger", err)
	w.Cleanup(w.store.Close)
	cache := redis.Embedded()
	w.Cleanup(func() { cache.Close() })
	env := map[string]string{}
	for _, v := range w.env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, h := range w.hospitals {
		folder, err := mapping.Load(os.DirFS(filepath.Join(folders, h.id)),
			mapping.Options{Env: lookup, Open: connectors.Open, OpenChannel: connectors.OpenChannel, Listen: connectors.Listen})
		must(w.T, "load the folder of "+h.id, err)
		dialect := folder.Dialect.WithChannels()
		open := map[string]core.Connector{}
		for name, spec := range dialect.Connectors {
			connect := connectors.Open
			if strings.HasPrefix(name, core.ChannelConnector("")) {
				connect = connectors.OpenChannel
			}
			open[name], err = connect(spec)
			must(w.T, "open connector "+name+" of "+h.id, err)
		}
		one := core.NewHospital(dialect, 0, open, redis.NewSessions(cache), nil)
		w.Cleanup(func() { one.Close() })
		w.opened[h.id] = one
	}
	questions := &delivery.Questions{Hospitals: w, Answers: redis.NewCache(cache)}
	w.runner = &reconcile.Runner{Store: w.store, Asker: questions, Place: w.place, Now: w.now}
	w.repairs = &reconcile.Repairs{Store: w.store, Place: w.place}
}

// Hospital implements delivery.Hospitals.
func (w *world) Hospital(_ context.Context, id string, _ int) (*core.Hospital, error) {
	if h := w.opened[id]; h != nil {
		return h, nil
	}
	return nil, core.ErrUnknownHospital
}

func (w *world) place(ctx context.Context, id string) (reconcile.Place, error) {
	h, err := w.Hospital(ctx, id, 0)
	if err != nil {
		return reconcile.Place{}, err
	}
	return reconcile.Place{Zone: h.Zone, NightRules: h.Night, Rests: h.Rests, Bills: h.Billers(),
		Can: func(k core.Kind) bool { return h.Operations[k] != nil }}, nil
}

// administer runs statements at the server.
func (w *world) administer(statements ...string) {
	w.Helper()
	conn, err := pgx.Connect(w.ctx, w.postgres)
	must(w.T, "connect to PostgreSQL", err)
	defer conn.Close(w.ctx)
	for _, s := range statements {
		_, err := conn.Exec(w.ctx, s)
		must(w.T, s, err)
	}
}

func (w *world) url(database string) string {
	u, err := url.Parse(w.postgres)
	must(w.T, "read the server's address", err)
	u.Path = "/" + database
	return u.String()
}

// number asks the hub's database.
func (w *world) number(query string, args ...any) (n int) {
	w.Helper()
	must(w.T, "look into the hub's database", w.ledger.QueryRow(w.ctx, query, args...).Scan(&n))
	return n
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted[what]++
}

// each does it for all hospitals side by side.
func (w *world) each(do func(*hospital)) {
	var all sync.WaitGroup
	for _, h := range w.hospitals {
		all.Go(func() { do(h) })
	}
	all.Wait()
	if w.Failed() {
		w.FailNow()
	}
}

// withoutServices: the hub uses its stand-ins for RabbitMQ and Redis.
func withoutServices(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, "AMQP_URL=") || strings.HasPrefix(v, "REDIS_URL=") || strings.HasPrefix(v, "DATABASE_URL=")
	})
}
