package torture

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/hl7his"
	"hishub/mocks/servers"
)

// playNetwork: the network is cut, slow, swallows and resets on every hop, one
// after the other, while messages travel and a hospital tells of things. What a
// forgotten connection swallows is never given back: with it still in place in the
// end, everything must be decided.
func playNetwork(t *testing.T) {
	s := size{seeds: []uint64{5}, messages: 120, spread: 8 * time.Second, patience: 2 * time.Minute}
	if isFull() {
		s = size{seeds: []uint64{5, 6}, messages: 1500, spread: 3 * time.Minute, patience: 8 * time.Minute}
	}
	for _, seed := range seedsOf(t, s.seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			dir := folder(t)
			c := &campaign{T: t, line: "network", size: s, seed: seed, binary: program(t), dir: filepath.Join(dir, fmt.Sprintf("net%d", seed)),
				postgres: startPostgres(t, dir).URL, processes: 2, double: seed%2 == 0}
			if isFull() {
				broker, err := servers.StartRabbitMQ(t.Context(), filepath.Join(dir, "rabbit"))
				must(t, "start RabbitMQ", err)
				t.Cleanup(broker.Kill)
				redis, err := servers.StartRedis(t.Context(), filepath.Join(dir, "redis"))
				must(t, "start Redis", err)
				t.Cleanup(redis.Kill)
				c.services = []string{"AMQP_URL=" + broker.URL, "REDIS_URL=" + redis.URL}
			}
			// Everything has an address of this machine but these.
			n := openNetwork(c, func(name string) bool {
				return !strings.HasSuffix(name, "_USER") && !strings.HasSuffix(name, "_PASSWORD") && !strings.HasSuffix(name, "_KEY") &&
					!strings.HasSuffix(name, "_DRIVER") && name != "HEPING_LISTEN" && name != "HEPING_ALLOW"
			})
			told := &telling{network: n}
			c.also = told.openHeping
			c.faults = func() { told.while(n.turns) }
			c.run()
			told.judge()
		})
	}
}

// turns is one thing after the other that happens to one hop after the other.
func (n *network) turns() {
	type turn struct {
		hop  string
		what ill
	}
	var all []turn
	r := n.random(7)
	for _, hop := range n.names() {
		for _, what := range ills {
			all = append(all, turn{hop, what})
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if !isFull() {
		// One of each hop to a hospital, and what a database must survive.
		seen := map[string]bool{}
		var few []turn
		for _, t := range all {
			if !seen[t.hop] && !strings.HasPrefix(t.hop, "DATABASE_URL") && !strings.HasPrefix(t.hop, "API") {
				few = append(few, t)
			}
			seen[t.hop] = true
		}
		all = append(few, turn{"DATABASE_URL of a", illForgotten}, turn{"DATABASE_URL of b", illSwallowed})
	}
	for _, t := range all {
		n.heal(t.hop)
		n.make(t.hop, t.what)
		span := time.Duration(600+r.IntN(1400)) * time.Millisecond
		if strings.HasPrefix(t.hop, "DATABASE_URL") && (t.what == illSwallowed || t.what == illUnanswered) {
			// Until the other one has what this one held.
			span = 4 * time.Second
		}
		time.Sleep(span)
		if t.what != illForgotten {
			n.heal(t.hop)
		}
	}
	// What is forgotten stays so. Each hub finds out by itself and works again.
	for _, h := range n.hubs {
		n.eventually("hub "+h.name+" works again over new connections", time.Minute, func() bool {
			status, _, err := n.request(n.ctx, h, http.MethodGet, "/v1/hospitals", nil)
			return err == nil && status == http.StatusOK && n.ledger.shards(h.pid) == postgres.Shards/len(n.hubs)
		})
	}
}

// telling is what a hospital tells the hub over the same network: it says each thing
// again until it hears that it was understood, as a HIS does.
type telling struct {
	*network
	his   *hl7his.HIS
	hop   string
	said  []string
	tries int
}

// openHeping starts a hospital that is reached over TCP, and calls over TCP.
func (t *telling) openHeping(folders string) []string {
	c := t.campaign
	repeats := books.Refuse
	if c.double {
		repeats = books.Double
	}
	his, err := hl7his.Start(c.ctx, hl7his.Options{Latency: 50 * time.Millisecond, Seed: c.seed*10 + 5, Repeats: repeats})
	must(c.T, "start heping", err)
	c.Cleanup(func() { his.Close() })
	t.his = his
	changed := 0
	copyFolder(c, filepath.Join("..", "..", "..", "mapping", "hospitals", "heping"), filepath.Join(folders, "heping"), func(text string) string {
		for pattern, by := range map[string]string{`timeout: 10s`: "timeout: " + timeout, `settle_after: \d+s`: "settle_after: " + settleAfter, `every: 10s`: "every: 300ms"} {
			at := regexp.MustCompile(pattern)
			changed += len(at.FindAllString(text, -1))
			text = at.ReplaceAllString(text, by)
		}
		return text
	})
	if changed < 7 {
		c.Fatalf("shorten heping's folder: only %d times were found", changed)
	}
	c.hospitals = append(c.hospitals, &hospital{
		id: "heping", control: his.ControlURL(), rejects: reject(refusedKey, "OMP^O09/NW", "DFT^P03/PY", "DFT^P03/CD"), struck: map[fault.Kind]int{},
		writes: map[core.Kind][]string{core.PrescriptionCreate: {"OMP^O09/NW"}, core.PrescriptionVoid: {"OMP^O09/CA"}, core.PaymentSettle: {"DFT^P03/PY"}, core.RefundCreate: {"DFT^P03/CD"}},
		asks:   map[core.Kind]string{core.PrescriptionCreate: "QBP^Q11/Z01", core.PaymentSettle: "QBP^Q11/Z03", core.RefundCreate: "QBP^Q11/Z04"},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(c.T, "find a port for heping's calls", err)
	listen := l.Addr().String()
	l.Close()
	t.hop = t.network.hop("heping calls us", listen)
	return []string{"HEPING_ADDRESS=" + his.Addr(), "HEPING_LISTEN=" + listen, "HEPING_ALLOW=127.0.0.0/8"}
}

// while tells of things until f is over, and the last of them until it was heard.
func (t *telling) while(f func()) {
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-over:
				return
			default:
			}
			no := fmt.Sprintf("TZ%d%04d", t.seed, n)
			for !t.tell(no) {
				if t.ctx.Err() != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.said = append(t.said, no)
			time.Sleep(200 * time.Millisecond)
		}
	})
	f()
	t.heal("heping calls us")
	close(over)
	telling.Wait()
}

// tell is one call, and whether it was answered with yes.
func (t *telling) tell(no string) bool {
	t.tries++
	heard := make(chan bool, 1)
	go func() {
		a, err := t.his.Push(t.ctx, hl7his.Push{Kind: "stopClinic", Hub: t.hop,
			Fields: map[string]string{"stopNo": no, "scheduleNo": "S" + no, "department": "0102", "doctor": "00731", "date": "20260106", "reason": "测试停诊"}})
		heard <- err == nil && len(a) == 1 && a[0].Code == "AA"
	}()
	select {
	case ok := <-heard:
		return ok
	case <-time.After(3 * time.Second):
		return false
	}
}

// judge: what it was told the hub has once, and tells once.
func (t *telling) judge() {
	kept, doubled, events := 0, 0, 0
	must(t.T, "look at what was told", t.ledger.hub.QueryRow(t.ctx, `
		select count(*), count(*) - count(distinct key), (select count(*) from hub.event where type = 'inbound.clinic.stop')
		from hub.inbound where hospital = 'heping' and kind = 'clinic.stop' and state = 'done'`).Scan(&kept, &doubled, &events))
	if len(t.said) == 0 || kept != len(t.said) || doubled != 0 || events != kept {
		t.Errorf("seed %d: heping was heard with yes on %d things, the hub keeps %d (%d doubled) and tells of %d", t.seed, len(t.said), kept, doubled, events)
	}
	t.Logf("seed %d: heping told of %d things in %d calls", t.seed, len(t.said), t.tries)
}
