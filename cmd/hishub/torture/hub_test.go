package torture

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"hishub/mocks/fault"
)

// Short, so that a takeover is seen within seconds.
const (
	lease     = "2s"
	ownership = "1s"
)

// hub is one `hishub serve` after the other, under one name at the database.
type hub struct {
	*campaign
	name string
	env  []string
	log  string

	mu   sync.Mutex
	pid  int
	url  string
	gone chan error // its exit
}

// open makes the databases, starts the hospitals and the hubs, applies the
// folders and makes a key.
func (c *campaign) open() {
	must(c.T, "make the seed's folder", os.MkdirAll(c.dir, 0o755))
	suffix := filepath.Base(c.dir)
	c.administer(c.his, "create database his_"+suffix)
	c.administer(c.postgres, "create database hub_"+suffix)
	folders := filepath.Join(c.dir, "hospitals")
	env := slices.Concat(c.openHospitals(urlAs(c.his, "", "his_"+suffix)), c.also(folders), c.services)
	for i, v := range env {
		name, address, _ := strings.Cut(v, "=")
		env[i] = name + "=" + c.through(name, address)
	}

	for _, name := range []string{"a", "b", "c"}[:c.processes] {
		// A role of its own each, so that the database can tell whose connections are whose.
		role := fmt.Sprintf("hub_%s_%s", suffix, name)
		c.administer(c.postgres, fmt.Sprintf("create role %s superuser login password 'torture'", role))
		u := c.through("DATABASE_URL of "+name, urlAs(c.postgres, role, "hub_"+suffix))
		h := &hub{campaign: c, name: role, log: filepath.Join(c.dir, name+".log")}
		h.env = append(withoutServices(os.Environ()), append(env, "DATABASE_URL="+u, "HISHUB_KEY_FILE="+filepath.Join(c.dir, "master.key"),
			"HISHUB_CREATE_KEY=true", "HISHUB_LEASE="+lease, "HISHUB_OWNERSHIP="+ownership, "HISHUB_TORTURE_CLOCK="+h.clock())...)
		c.hubs = append(c.hubs, h)
		c.Cleanup(func() {
			if c.Failed() {
				c.Logf("hub %s said last:\n%s", h.name, h.lastWords())
			}
		})
		h.start() // one after the other: the first makes the schema
	}
	c.ledger = openLedger(c, "hub_"+suffix, "his_"+suffix)

	c.writeFolders(folders)
	c.hubs[0].tool("hospital", "apply", folders)
	c.key = strings.TrimSpace(c.hubs[0].tool("key", "new", "--name", "torture", "--role", "operator"))
}

// withoutServices: the hub uses its stand-ins for RabbitMQ and Redis.
func withoutServices(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "AMQP_URL=") || strings.HasPrefix(v, "REDIS_URL=") })
}

// tool runs a command of the program to its end.
func (h *hub) tool(args ...string) string {
	cmd := exec.CommandContext(h.ctx, h.binary, args...)
	cmd.Env = h.env
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		h.Fatalf("hishub %s: %v\n%s", strings.Join(args, " "), err, problem.String())
	}
	return string(out)
}

// start returns once the API listens.
func (h *hub) start() {
	h.Helper()
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(h.T, "open the hub's log", err)
	defer log.Close()
	cmd := exec.Command(h.binary, "serve", "--listen", "127.0.0.1:0", "--no-clinic", "--nights", "off")
	cmd.Env, cmd.Stderr, cmd.SysProcAttr = h.env, log, &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr)
	out, err := cmd.StdoutPipe()
	must(h.T, "start a hub", err)
	started, gone, address := make(chan error), make(chan error, 1), make(chan string, 1)
	go func() {
		// "Parent" is the thread that started it, so the thread must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, at, ok := strings.Cut(lines.Text(), " serves at "); ok {
				address <- at
			}
		}
		gone <- cmd.Wait()
	}()
	must(h.T, "start a hub", <-started)
	pid := cmd.Process.Pid
	h.Cleanup(func() { _ = cmd.Process.Kill() })
	select {
	case at := <-address:
		h.mu.Lock()
		h.pid, h.url, h.gone = pid, h.through("API of "+h.name, at), gone
		h.mu.Unlock()
	case err := <-gone:
		h.Fatalf("the hub ended while starting: %v\n%s", err, h.lastWords())
	case <-time.After(time.Minute):
		h.Fatalf("the hub did not start within a minute\n%s", h.lastWords())
	}
}

// address of the API, "" while it is down.
func (h *hub) address() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.url
}

func (h *hub) signal(s syscall.Signal) { _ = syscall.Kill(h.pid, s) }

// kill ends it with SIGKILL, looks at what it held, and starts it again.
func (h *hub) kill() {
	h.inflict("kill -9")
	h.signal(syscall.SIGKILL)
	<-h.gone
	h.down()
	h.eventually("the killed hub's last statements are over", time.Minute, func() bool { return h.ledger.connections(h.name) == 0 })
	h.remember("killed")
	h.start()
}

// cut ends it with SIGKILL while it has a claim at beishan that it has not sent,
// and its statements with it, as if the cable had been pulled: what it was about
// to write was never written.
func (h *hub) cut() {
	h.inflict("kill -9 before sent_at")
	for end := time.Now().Add(5 * time.Second); h.ledger.unsent(h.pid) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	h.signal(syscall.SIGKILL)
	h.ledger.cut(h.name)
	<-h.gone
	h.down()
	h.eventually("the killed hub's connections are gone", time.Minute, func() bool { return h.ledger.connections(h.name) == 0 })
	h.remember("cut off")
	h.start()
}

// stop ends it with SIGTERM; it must leave in order and hold nothing.
func (h *hub) stop() {
	h.count("SIGTERM")
	h.signal(syscall.SIGTERM)
	select {
	case err := <-h.gone:
		if err != nil {
			h.Errorf("seed %d: the hub did not end in order on SIGTERM: %v\n%s", h.seed, err, h.lastWords())
		}
	case <-time.After(time.Minute):
		h.Errorf("seed %d: the hub did not end within a minute of SIGTERM\n%s", h.seed, h.lastWords())
		h.signal(syscall.SIGKILL)
		<-h.gone
	}
	h.down()
	if held := h.ledger.claims(h.pid); len(held) > 0 {
		h.Errorf("seed %d: a hub that ended in order left %d claims behind", h.seed, len(held))
	}
}

func (h *hub) restart() { h.stop(); h.start() }

// freeze holds it still until the other hub has everything it held, then lets it
// go on as if nothing had been.
func (h *hub) freeze() {
	h.inflict("freeze")
	h.signal(syscall.SIGSTOP)
	h.remember("frozen")
	h.eventually("the other hub takes over from the frozen one", 2*time.Minute, func() bool {
		// What it had sent to the database is still carried out, even what a session has not
		// read yet: so what it holds is what it held when the other one took it.
		held := h.ledger.claims(h.pid)
		h.still(held)
		return len(held) == 0 && h.ledger.shards(h.pid) == 0
	})
	h.signal(syscall.SIGCONT)
}

// down: it has no address until it is started again.
func (h *hub) down() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.url = ""
}

// crash is what a hub held at the moment it was struck.
type crash struct {
	pid    int
	how    string
	claims map[int64]claim
}

func (h *hub) remember(how string) {
	claims := h.ledger.claims(h.pid)
	h.campaign.mu.Lock()
	defer h.campaign.mu.Unlock()
	h.crashes = append(h.crashes, crash{h.pid, how, claims})
	for _, cl := range claims {
		if cl.sent {
			h.counted["struck after sent_at"]++
		} else {
			h.counted["struck before sent_at"]++
		}
	}
}

// still adds what the hub that was struck last turns out to hold.
func (h *hub) still(held map[int64]claim) {
	h.campaign.mu.Lock()
	defer h.campaign.mu.Unlock()
	claims := h.crashes[len(h.crashes)-1].claims
	for id, now := range held {
		if before, known := claims[id]; !known || before != now {
			h.counted["written for a frozen hub"]++
			claims[id] = now
		}
	}
}

// strike is what happens to the hubs, and to the hospitals as a whole, while
// messages come in.
func (c *campaign) strike() {
	r := c.random(2)
	weight := []func(*hub){(*hub).kill, (*hub).kill, (*hub).kill, (*hub).restart}
	for n := range c.strikes {
		// Not waiting for anything: the moment is to be any moment.
		time.Sleep(time.Duration(300+r.IntN(int(2*c.spread.Milliseconds())/c.strikes)) * time.Millisecond)
		h := c.hubs[r.IntN(len(c.hubs))]
		what := weight[r.IntN(len(weight))]
		switch {
		case n%5 == 2:
			h, what = c.busiest(), (*hub).cut
		case c.processes > 1 && n%3 == 1:
			h, what = c.busiest(), (*hub).freeze
		}
		if n%3 == 0 {
			c.dark(c.hospitals[r.IntN(len(c.hospitals))], func() { what(h) })
		} else {
			what(h)
		}
	}
}

// busiest is the hub with most to lose, once one has anything.
func (c *campaign) busiest() (most *hub) {
	for end := time.Now().Add(5 * time.Second); most == nil && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		held := 0
		for _, h := range c.hubs {
			if n := len(c.ledger.claims(h.pid)); n > held {
				most, held = h, n
			}
		}
	}
	if most == nil {
		most = c.hubs[0]
	}
	return most
}

// dark: the hospital is down as a whole, connections and all, while f runs.
func (c *campaign) dark(h *hospital, f func()) {
	c.inflict("hospital down")
	h.fail(c, []fault.Rule{{Fault: fault.Down}})
	f()
	h.fail(c, h.weather)
}

// lastWords are the ends of the hub's log.
func (h *hub) lastWords() string {
	text, _ := os.ReadFile(h.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "level=INFO msg=request") })
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

func urlAs(server, user, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // the server's own
	}
	if user != "" {
		u.User = url.UserPassword(user, "torture")
	}
	u.Path = "/" + database
	return u.String()
}
