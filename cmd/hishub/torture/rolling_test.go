package torture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"hishub/core"
)

// layRolling: three hubs behind a balancer are restarted one after the other while
// clients submit through it. Nobody tries again: each request must be answered as if
// nothing had been.
func (c *campaign) layRolling() {
	c.processes = 3
	// Longer than the balancer takes to see that a hub is going.
	c.services = append(c.services, "HISHUB_LINGER=1s")
	b := &balancer{campaign: c, ready: map[string]bool{}}
	var once sync.Once
	users := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	c.submitting = func(_ int, h *hospital, kind core.Kind, body core.Body) (int, []byte) {
		once.Do(b.open)
		content, err := json.Marshal(body)
		must(c.T, "write a submission", err)
		rq, err := http.NewRequestWithContext(c.ctx, http.MethodPost, fmt.Sprintf("http://%s/v1/hospitals/%s/messages/%s", b.address, h.id, kind), bytes.NewReader(content))
		must(c.T, "submit", err)
		rq.GetBody = nil // so that the library does not try again by itself
		rq.Header.Set("Authorization", "Bearer "+c.key)
		rq.Header.Set("Content-Type", "application/json")
		a, err := users.Do(rq)
		if err != nil {
			return 0, []byte(err.Error())
		}
		defer a.Body.Close()
		answer, err := io.ReadAll(a.Body)
		if err != nil {
			return 0, []byte(err.Error())
		}
		c.count("requests through the balancer")
		return a.StatusCode, answer
	}
	c.faults = func() {
		once.Do(b.open)
		over := make(chan struct{})
		var knocking sync.WaitGroup
		for n := range 4 {
			knocking.Go(func() { c.knock(b.address, n%2 == 0, over) })
		}
		defer func() { close(over); knocking.Wait() }()
		for i, h := range c.hubs {
			c.after(0.15 + 0.25*float64(i))
			b.eventuallyReady(len(c.hubs))
			answered := make(chan string, 1)
			go func() { answered <- c.waitForEvents(h) }()
			time.Sleep(200 * time.Millisecond) // until it is under way
			pid := h.pid
			h.stop()
			c.inflict("rolling restarts")
			if answer := <-answered; answer != "" {
				c.Errorf("seed %d: who waited for events when %s was stopped: %s", c.seed, h.name, answer)
			}
			if n := c.ledger.shards(pid); n > 0 {
				c.Errorf("seed %d: a hub that ended in order left %d shards behind", c.seed, n)
			}
			h.start()
		}
	}
}

// knock asks for something again and again, below the API's own limit, over one connection or over a new one
// each time, and is never turned away.
func (c *campaign) knock(address string, keep bool, over <-chan struct{}) {
	one := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: !keep}}
	for {
		select {
		case <-over:
			return
		case <-time.After(5 * time.Millisecond):
		}
		// A POST, which the library never sends again.
		rq, err := http.NewRequestWithContext(c.ctx, http.MethodPost, "http://"+address+"/v1/hospitals/dongshan/messages/prescription.create", strings.NewReader("{}"))
		must(c.T, "knock", err)
		rq.GetBody = nil
		rq.Header.Set("Authorization", "Bearer "+c.key)
		rq.Header.Set("Content-Type", "application/json")
		a, err := one.Do(rq)
		if err != nil {
			c.Errorf("seed %d: a request through the balancer failed: %v", c.seed, err)
			return
		}
		_, _ = io.Copy(io.Discard, a.Body)
		a.Body.Close()
		if a.StatusCode != http.StatusUnprocessableEntity {
			c.Errorf("seed %d: an incomplete message was answered with %s", c.seed, a.Status)
			return
		}
		c.count("requests through the balancer")
	}
}

// waitForEvents waits longer than a stop may take for what never comes, and returns
// what was wrong with the answer.
func (c *campaign) waitForEvents(h *hub) string {
	rq, err := http.NewRequestWithContext(c.ctx, http.MethodGet, h.address()+"/v1/events?wait=30&after=9000000000000000000-9000000000000000000", nil)
	must(c.T, "wait for events", err)
	rq.Header.Set("Authorization", "Bearer "+c.key)
	a, err := http.DefaultClient.Do(rq)
	if err != nil {
		return err.Error()
	}
	defer a.Body.Close()
	var page struct{ Next string }
	if err := json.NewDecoder(a.Body).Decode(&page); a.StatusCode != http.StatusOK || err != nil || page.Next == "" {
		return fmt.Sprintf("%s, next %q, %v", a.Status, page.Next, err)
	}
	return ""
}

// balancer passes connections on to hubs that say that they are ready, each in its
// turn. It knows nothing of HTTP but /readyz.
type balancer struct {
	*campaign
	address string
	mu      sync.Mutex
	ready   map[string]bool // addresses
	turn    int
}

func (b *balancer) open() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b.T, "open the balancer", err)
	b.address = l.Addr().String()
	b.Cleanup(func() { l.Close() })
	b.look()
	go func() {
		for b.ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
			b.look()
		}
	}()
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go b.pass(from)
		}
	}()
}

// look asks all hubs whether they are ready, each over a connection of its own.
func (b *balancer) look() {
	prober := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ready := map[string]bool{}
	for _, h := range b.hubs {
		at := h.address()
		if at == "" {
			continue
		}
		if a, err := prober.Get(at + "/readyz"); err == nil {
			a.Body.Close()
			ready[strings.TrimPrefix(at, "http://")] = a.StatusCode == http.StatusOK
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

func (b *balancer) eventuallyReady(n int) {
	b.eventually(fmt.Sprintf("%d hubs are ready", n), time.Minute, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		up := 0
		for _, ready := range b.ready {
			if ready {
				up++
			}
		}
		return up == n
	})
}

// next is the address of the hub whose turn it is.
func (b *balancer) next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.hubs {
		b.turn++
		if at := strings.TrimPrefix(b.hubs[b.turn%len(b.hubs)].address(), "http://"); b.ready[at] {
			return at
		}
	}
	return ""
}

func (b *balancer) pass(from net.Conn) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", b.next(), 5*time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(to, from) // the end of either side ends both
		to.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(from, to)
}
