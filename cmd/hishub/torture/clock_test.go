package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// playClock: the clocks of the processes jump by hours, forward and back, while
// they work, while hospitals fail and while a process is killed. Due times, leases and
// the times of messages are PostgreSQL's: nothing is done twice, and nothing waits.
func playClock(t *testing.T) {
	s := size{seeds: []uint64{8}, messages: 120, spread: 8 * time.Second, strikes: 8, patience: 2 * time.Minute}
	if isFull() {
		s = size{seeds: []uint64{8, 9}, messages: 1000, spread: 60 * time.Second, strikes: 40, patience: 8 * time.Minute}
	}
	for _, seed := range seedsOf(t, s.seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			dir := folder(t)
			c := &campaign{T: t, line: "clock", size: s, seed: seed, binary: withMovingClock(t, dir), dir: filepath.Join(dir, fmt.Sprintf("clock%d", seed)),
				postgres: startPostgres(t, dir).URL, processes: 2, double: seed%2 == 0}
			c.faults = c.moveClocks
			c.run()
			c.judgeTimes()
		})
	}
}

// withMovingClock builds the program with a standard library whose time.Now adds the
// seconds that a file says: clockOf names it. Timers and time.Since are as ever. The
// sources of hishub are not changed.
func withMovingClock(t *testing.T, dir string) string {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, "ask where Go is", err)
	lib := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time")
	text, err := os.ReadFile(filepath.Join(lib, "time.go"))
	must(t, "read Go's package time", err)
	const reads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reads) != 1 {
		t.Fatal("Go's time.Now is not as it was in Go 1.26: say here how it reads the clock now")
	}
	moved := filepath.Join(dir, "time.go")
	must(t, "write a moving time.Now", os.WriteFile(moved, []byte(strings.Replace(string(text), reads, reads+"\tsec += movedBy.Load()\n", 1)), 0o600))
	added := filepath.Join(dir, "moved.go")
	must(t, "write a moving time.Now", os.WriteFile(added, []byte(movedGo), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(lib, "time.go"): moved, filepath.Join(lib, "moved.go"): added}})
	must(t, "describe a moving time.Now", err)
	list := filepath.Join(dir, "overlay.json")
	must(t, "write the overlay", os.WriteFile(list, overlay, 0o600))
	binary := filepath.Join(dir, "hishub-moving")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", list, "-o", binary, "hishub/cmd/hishub").CombinedOutput(); err != nil {
		t.Fatalf("build hishub with a moving clock: %v\n%s", err, out)
	}
	return binary
}

const movedGo = `package time

import (
	"sync/atomic"
	"syscall"
)

// movedBy is in seconds. Now is called by the scheduler, too, so it only looks here.
var movedBy atomic.Int64

func init() {
	if name, ok := syscall.Getenv("HISHUB_TORTURE_CLOCK"); ok {
		go func() {
			for ; ; Sleep(10 * Millisecond) {
				if fd, err := open(name); err == nil {
					var text [20]byte
					n, _ := read(fd, text[:])
					closefd(fd)
					move(text[:max(n, 0)])
				}
			}
		}()
	}
}

func move(text []byte) {
	seconds, sign := int64(0), int64(1)
	for _, c := range text {
		switch {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			seconds = 10*seconds + int64(c-'0')
		}
	}
	movedBy.Store(sign * seconds)
}
`

// clock is the file that moves a hub's clock.
func (h *hub) clock() string { return filepath.Join(h.dir, h.name+".clock") }

// setClock is by how much the hub's clock is wrong from now on.
func (h *hub) setClock(wrong time.Duration) {
	// In one piece: it may be read at any time.
	next := h.clock() + ".next"
	must(h.T, "move a clock", os.WriteFile(next, []byte(strconv.Itoa(int(wrong.Seconds()))), 0o600))
	must(h.T, "move a clock", os.Rename(next, h.clock()))
}

// moveClocks is one jump after the other, of one hub after the other.
func (c *campaign) moveClocks() {
	r := c.random(8)
	jumps := []time.Duration{5 * time.Hour, -5 * time.Hour, 26 * time.Hour, -26 * time.Hour, 40 * 24 * time.Hour, -90 * time.Second, 90 * time.Second}
	for n := range c.strikes {
		time.Sleep(time.Duration(200+r.IntN(int(c.spread.Milliseconds())/c.strikes)) * time.Millisecond)
		h, wrong := c.hubs[r.IntN(len(c.hubs))], jumps[r.IntN(len(jumps))]
		h.setClock(wrong)
		c.inflict("clock jumped")
		if n%4 == 3 {
			h.kill() // and is started with a clock that is wrong
		}
		c.noLateDue()
	}
	// They stay wrong, each its own way, until everything is decided.
	c.hubs[0].setClock(7 * time.Hour)
	c.hubs[1].setClock(-7 * time.Hour)
}

// noLateDue: what waits does so for the policy's longest wait at most.
func (c *campaign) noLateDue() {
	if n := c.ledger.number(`select count(*) from hub.queue where state = 'queued' and due > clock_timestamp() + interval '2 minutes'`); n > 0 {
		c.Errorf("seed %d: %d messages wait for longer than any wait is", c.seed, n)
	}
	if n := c.ledger.number(`select count(*) from hub.queue where lease_until > clock_timestamp() + interval '1 minute'`); n > 0 {
		c.Errorf("seed %d: %d claims are for longer than a lease is", c.seed, n)
	}
}

// judgeTimes: all times that are kept of a message, and those that the hospital was
// told, are of a clock that was right.
func (c *campaign) judgeTimes() {
	for what, query := range map[string]string{
		"accepted": `select count(*) from hub.message where accepted_at not between $1 and $2`,
		"decided":  `select count(*) from hub.message where decided_at not between $1 and $2`,
		"attempts": `select count(*) from hub.attempt where at not between $1 and $2`,
		"events":   `select count(*) from hub.event where at not between $1 and $2`,
		"stamps":   `select count(*) from hub.exchange where asked_at not between $1 and $2`,
	} {
		var wrong int
		err := c.ledger.hub.QueryRow(context.WithoutCancel(c.ctx), query, c.began.Add(-time.Minute), time.Now().Add(time.Minute)).Scan(&wrong)
		must(c.T, "look at the times of "+what, err)
		if wrong > 0 {
			c.Errorf("seed %d: %d times of %s are of a clock that was wrong", c.seed, wrong, what)
		}
	}
}
