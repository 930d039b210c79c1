// Package torture runs the real program through everything that may go wrong at
// once: processes that are killed, stopped or frozen at random moments, fake
// hospitals that fail in every way they know, two processes at one database. In
// the end the books of the hospitals say whether docs/reliability.md was kept.
//
// A campaign follows from its seed: the messages, where and how often each
// hospital fails, who is killed and after what wait. How the processes
// interleave does not. HISHUB_TORTURE=full runs it at full size, HISHUB_SEED=n
// one seed alone.
package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/servers"
)

// size of a campaign.
type size struct {
	seeds    []uint64
	messages int           // of each seed
	spread   time.Duration // over which they are submitted
	strikes  int           // how often a process is killed, stopped or frozen
	together bool          // the seeds run side by side
	patience time.Duration // from the last strike until everything must be decided
}

// limit is how long a campaign may take with all that belongs to it. It says that
// something stands still, not that it is slow: with six programs for each of two
// cores none was seen to take a third of it.
const limit = 20 * time.Minute

var (
	small = size{seeds: []uint64{1, 2}, messages: 300, spread: 8 * time.Second, strikes: 6, together: true, patience: 2 * time.Minute}
	full  = size{seeds: []uint64{1, 2, 3, 4}, messages: 2000, spread: 60 * time.Second, strikes: 25, patience: 8 * time.Minute}
)

func TestTorture(t *testing.T) {
	size := small
	if isFull() {
		size = full
	} else {
		t.Parallel() // most of a small campaign is waiting
	}
	size.seeds = seedsOf(t, size.seeds)
	binary, dir := program(t), folder(t)
	server := startPostgres(t, dir)
	advance(t, server.URL)

	for _, seed := range size.seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			if size.together {
				t.Parallel()
			}
			(&campaign{
				T: t, line: "hubs", size: size, seed: seed, binary: binary, dir: filepath.Join(dir, fmt.Sprint(seed)), postgres: server.URL,
				processes: 1 + int(1-seed%2), double: seed%2 == 0,
			}).run()
		})
	}
}

// seedsOf is HISHUB_SEED alone where it is set, else these.
func seedsOf(t *testing.T, otherwise []uint64) []uint64 {
	one := os.Getenv("HISHUB_SEED")
	if one == "" {
		return otherwise
	}
	seed, err := strconv.ParseUint(one, 10, 64)
	must(t, "read HISHUB_SEED", err)
	return []uint64{seed}
}

func isFull() bool { return os.Getenv("HISHUB_TORTURE") == "full" }

// built is the program, once for all tests; TestMain removes it.
var built struct {
	sync.Once
	path   string
	remove func()
	err    error
}

func TestMain(m *testing.M) {
	_ = os.Setenv("HISHUB_LINGER", "0s") // nobody shares out requests, but in one time line
	code := m.Run()
	printTable()
	if built.remove != nil {
		built.remove()
	}
	os.Exit(code)
}

// program is the path of the real hishub.
func program(t *testing.T) string {
	built.Do(func() {
		var dir string
		if dir, built.remove, built.err = servers.TempDir(); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "hishub")
		if out, err := exec.Command("go", "build", "-o", built.path, "hishub/cmd/hishub").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	must(t, "build hishub", built.err)
	return built.path
}

// folder is one that the servers' users can reach.
func folder(t *testing.T) string {
	dir, remove, err := servers.TempDir()
	must(t, "make a folder", err)
	t.Cleanup(remove)
	return dir
}

func startPostgres(t *testing.T, dir string) *servers.Server {
	server, err := servers.StartPostgres(t.Context(), dir)
	must(t, "start PostgreSQL", err)
	t.Cleanup(server.Kill)
	return server
}

// advance brings the server's transactions to where their numbers get one more
// digit in the middle of the campaign, as somebody's do some day.
func advance(t *testing.T, server string) {
	conn, err := pgx.Connect(t.Context(), server)
	must(t, "connect to PostgreSQL", err)
	defer conn.Close(t.Context())
	for _, s := range []string{`set synchronous_commit = off`,
		`do $$ begin while pg_current_xact_id()::text::bigint < 9300 loop commit; end loop; end $$`} {
		_, err = conn.Exec(t.Context(), s)
		must(t, "advance the transactions", err)
	}
}

// campaign is one seed.
type campaign struct {
	*testing.T
	line string // its name in the table
	size
	seed     uint64
	binary   string
	dir      string
	postgres string // the server's address
	// his is the server of nanyuan's own database, when the hubs' is to fail; by
	// default it is the same.
	his string
	// services are AMQP_URL=… and REDIS_URL=…; without them the hubs use their stand-ins.
	services []string
	// processes share the work: with more than one, one may be frozen while the
	// others take over.
	processes int
	// faults are what happens while messages come in; nil: strike.
	faults func()
	// ended is what else must hold once everything is decided, while the hubs still
	// run; nil: nothing.
	ended func(found)
	// submitting hands in one message and returns the API's answer; nil: post.
	submitting func(n int, h *hospital, kind core.Kind, body core.Body) (status int, answer []byte)
	// through puts something between two programs: it gives the address at which the
	// one finds the other. nil: nothing is between.
	through func(name, address string) string
	// also starts further hospitals and gives the environment of their folders.
	also func(folders string) (env []string)
	// double: the hospitals that can be asked book a repeated number again, so that
	// nothing but the inquiry keeps a payment from being booked twice.
	double bool

	ctx       context.Context
	ledger    *ledger
	hospitals []*hospital
	hubs      []*hub
	key       string // of the API
	lanes     []*lane
	messages  []*message

	mu        sync.Mutex
	crashes   []crash
	counted   map[string]int // what happened, by kind
	inflicted int            // what of it was done to hubs, servers and networks
	began     time.Time
}

// run is the campaign from the first message to the judgement.
func (c *campaign) run() {
	c.began, c.counted = time.Now(), map[string]int{}
	c.tabled()
	c.limited()
	c.defaults()
	c.open()
	c.plan()
	c.began = time.Now() // starting took its time
	for _, h := range c.hospitals {
		h.fail(c, h.weather)
	}

	var clients sync.WaitGroup
	clients.Go(c.submit)
	c.faults()
	clients.Wait()
	if c.Failed() {
		return
	}
	for _, h := range c.hospitals {
		h.fail(c, nil)
	}
	final := c.decided()
	found := c.collect(final)
	if c.ended != nil {
		c.ended(found)
	}
	for _, h := range c.hubs {
		h.stop()
	}
	c.judge(found)
	c.hubs[0].tool("audit", "verify")
	c.report(found)
}

func (c *campaign) defaults() {
	if c.his == "" {
		c.his = c.postgres
	}
	if c.faults == nil {
		c.faults = c.strike
	}
	if c.submitting == nil {
		c.submitting = c.post
	}
	if c.through == nil {
		c.through = func(_, address string) string { return address }
	}
	if c.also == nil {
		c.also = func(string) []string { return nil }
	}
}

// random is a stream of numbers of its own for each part of the campaign, so that
// one part drawing more or fewer of them does not change another.
func (c *campaign) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(c.seed, part)) }

// limited ends whatever goes on when the time is over.
func (c *campaign) limited() {
	ctx, stop := context.WithTimeout(c.Context(), limit)
	c.ctx = ctx
	c.Cleanup(func() {
		if ctx.Err() == context.DeadlineExceeded {
			c.Errorf("seed %d: not over after %s", c.seed, limit)
		}
		stop()
	})
}

// inflict counts a fault that the campaign has brought about.
func (c *campaign) inflict(what string) { c.inflictMore(what, 1) }

func (c *campaign) inflictMore(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted[what] += n
	c.inflicted += n
}

// count counts what came of it.
func (c *campaign) count(what string) { c.countMore(what, 1) }

func (c *campaign) countMore(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted[what] += n
}

func must(t testing.TB, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

// eventually asks until it is so.
func (c *campaign) eventually(what string, within time.Duration, is func() bool) {
	c.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) || c.ctx.Err() != nil {
			c.Fatalf("seed %d: not within %s: %s", c.seed, within, what)
		}
	}
}
