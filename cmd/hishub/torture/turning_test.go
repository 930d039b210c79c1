package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// playTurning: people change things while messages wait and others are in doubt.
// The address of a hospital moves in a new revision, then in the files of --env, and the
// old one goes dead; the master key changes; a hospital is paused and let go again.
func playTurning(t *testing.T) {
	s := size{seeds: []uint64{13, 14}, messages: 800, spread: 40 * time.Second, patience: 8 * time.Minute}
	for _, seed := range seedsOf(t, s.seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			dir := folder(t)
			c := &campaign{T: t, line: "turning", size: s, seed: seed, binary: program(t), dir: filepath.Join(dir, fmt.Sprintf("turning%d", seed)),
				postgres: startPostgres(t, dir).URL, processes: 2, double: true}
			c.services = []string{"HISHUB_ENV=" + filepath.Join(dir, "moved.env")}
			n := openNetwork(c, func(name string) bool { return name == "DONGSHAN_URL" || name == "XIHU_URL" })
			v := &turning{network: n, variables: filepath.Join(dir, "moved.env")}
			c.also, c.faults = v.write, v.turns
			c.run()
			v.judge()
		})
	}
}

type turning struct {
	*network
	variables string
}

// write makes the file of --env before a hub reads it.
func (v *turning) write(string) []string {
	v.set("DONGSHAN_MOVED=http://127.0.0.1:1/his")
	return nil
}

func (v *turning) set(lines ...string) {
	must(v.T, "write the file of --env", os.WriteFile(v.variables, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func (v *turning) turns() {
	part := v.spread / 4
	v.eventually("something is delivered at dongshan, and something waits", time.Minute, func() bool {
		return v.ledger.number(`select count(*) from hub.message where hospital = 'dongshan' and state = 'delivered'`) > 0 &&
			v.ledger.number(`select count(*) from hub.queue where hospital = 'dongshan' and state = 'queued'`) > 0
	})
	his := "http://" + v.hops["DONGSHAN_URL"].Upstream + "/his"
	second, third := v.hop("DONGSHAN_URL, moved", his), v.hop("DONGSHAN_URL, moved again", his)

	// 1. The address is another variable in a new revision. What reached the hospital
	// under the old one keeps it, so both must answer for a while.
	v.set("DONGSHAN_MOVED=" + second)
	v.hangup()
	file := filepath.Join(v.dir, "hospitals", "dongshan", "hospital.yaml")
	text, err := os.ReadFile(file)
	must(v.T, "read dongshan's folder", err)
	if !strings.Contains(string(text), "${DONGSHAN_URL}") {
		v.Fatalf("dongshan's folder does not name DONGSHAN_URL")
	}
	must(v.T, "write dongshan's folder", os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "${DONGSHAN_URL}", "${DONGSHAN_MOVED}")), 0o644))
	v.hubs[0].tool("hospital", "apply", filepath.Dir(file))
	v.inflict("revision applied")
	v.eventually("nothing is left of the first revision", time.Minute, func() bool {
		return v.ledger.number(`select count(*) from hub.queue where hospital = 'dongshan' and revision = 1 and state = 'queued'`) == 0
	})
	v.make("DONGSHAN_URL", illCut)

	// 2. The variable changes, and the address that it had goes dead with what is in doubt there.
	v.make("DONGSHAN_URL, moved", illUnanswered)
	time.Sleep(part / 2)
	v.make("DONGSHAN_URL, moved", illCut)
	v.set("DONGSHAN_MOVED=" + third)
	v.hangup()
	v.inflict("address moved, SIGHUP")

	// 3. A hospital is paused. Nothing of what waits is sent, and everything is accepted.
	v.hubs[0].tool("hospital", "pause", "xihu", "--why", "torture")
	v.eventually("what was on its way to xihu is over", time.Minute, func() bool {
		return v.ledger.number(`select count(*) from hub.queue where hospital = 'xihu' and lease_until > clock_timestamp()`) == 0
	})
	// Not by its journal: it writes late what it is slow about.
	asked := v.toxic("XIHU_URL", "counted", "upstream", nil).Toxic.(*counted)
	time.Sleep(part / 2)
	if n := asked.pieces.Load(); n > 0 {
		v.Errorf("seed %d: a paused hospital was asked: %d pieces of requests came", v.seed, n)
	}

	// 4. The master key changes, twice, and the oldest is forgotten.
	for range 2 {
		v.hubs[1].tool("key", "rotate-master")
		v.inflict("master key changed")
	}
	v.hubs[1].tool("key", "rotate-master", "--forget")
	v.hubs[0].tool("hospital", "resume", "xihu")
	v.inflict("paused and resumed")
	v.hubs[0].kill() // it starts with the new key, and reads what the old one sealed
}

func (v *turning) hangup() {
	for _, h := range v.hubs {
		h.signal(syscall.SIGHUP)
	}
}

// counted carries everything, and counts the pieces in which it comes.
type counted struct {
	pieces atomic.Int64
}

// Pipe implements toxics.Toxic.
func (c *counted) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case piece := <-stub.Input:
			if piece == nil {
				stub.Close()
				return
			}
			c.pieces.Add(1)
			stub.Output <- piece
		}
	}
}

// judge: each address had its part of the work.
func (v *turning) judge() {
	if n := v.ledger.number(`select count(distinct revision) from hub.message where hospital = 'dongshan' and state = 'delivered'`); n < 2 {
		v.Errorf("seed %d: dongshan's messages were all delivered with one revision", v.seed)
	}
}
