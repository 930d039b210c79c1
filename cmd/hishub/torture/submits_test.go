package torture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/api"
)

// playSubmits: everything is submitted several times at once, to both
// processes, with and without an Idempotency-Key, over a network that loses requests
// and answers; some keys are fought over by two contents. There is one message of each
// key, its number is what everybody hears, and other content is a conflict that names it.
func playSubmits(t *testing.T) {
	s := size{seeds: []uint64{11, 12}, messages: 1000, spread: 90 * time.Second, patience: 8 * time.Minute}
	for _, seed := range seedsOf(t, s.seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			dir := folder(t)
			c := &campaign{T: t, line: "submits", size: s, seed: seed, binary: program(t), dir: filepath.Join(dir, fmt.Sprintf("submits%d", seed)),
				postgres: startPostgres(t, dir).URL, processes: 2, double: true}
			n := openNetwork(c, func(name string) bool { return strings.HasPrefix(name, "API") })
			c.submitting = c.submitOften
			c.faults = n.loseSubmissions
			c.run()
			for _, what := range []string{"conflicts", "duplicates", "contents that fought"} {
				if c.counted[what] == 0 {
					t.Errorf("seed %d: no %s were seen", seed, what)
				}
			}
		})
	}
}

// loseSubmissions: requests and answers of clients are lost until all is submitted.
func (n *network) loseSubmissions() {
	r := n.random(11)
	for end := n.began.Add(n.spread); time.Now().Before(end); {
		hop := "API of " + n.hubs[r.IntN(len(n.hubs))].name
		n.make(hop, []ill{illReset, illTruncated, illTruncatedOut, illUnanswered, illCut}[r.IntN(5)])
		time.Sleep(time.Duration(50+r.IntN(150)) * time.Millisecond)
		n.heal(hop)
		time.Sleep(time.Duration(100+r.IntN(200)) * time.Millisecond)
	}
}

// heard is what a client heard of its submission.
type heard struct {
	body     core.Body
	status   int
	accepted api.Accepted
	problem  struct {
		Message int64
	}
	answer []byte
}

// submitOften submits a message by several clients at once, and gives the answer that
// the one in whose lane it is would get.
func (c *campaign) submitOften(n int, h *hospital, kind core.Kind, body core.Body) (int, []byte) {
	m := c.messageOf(body)
	rival := m.rival()
	bodies := []core.Body{body, body, body}
	if rival != nil {
		bodies = append(bodies, rival, rival)
		c.count("contents that fought")
	}
	all := make([]heard, len(bodies))
	var clients sync.WaitGroup
	for i, b := range bodies {
		key := ""
		if i < 2 { // the first two are one client that does not wait for its own answer
			key = fmt.Sprintf("once %s %s", m.kind, m.key)
		}
		clients.Go(func() { all[i] = c.hear(n+i, h, kind, b, key) })
	}
	clients.Wait()
	if c.ctx.Err() != nil {
		return 0, nil
	}
	var won *heard
	for i := range all {
		if all[i].status == http.StatusAccepted {
			if won == nil {
				won = &all[i]
			}
			if all[i].accepted.ID != won.accepted.ID || all[i].body != won.body {
				c.Errorf("seed %d: %s was accepted twice: %s and %s", c.seed, m, won.answer, all[i].answer)
			}
			if all[i].accepted.Duplicate {
				c.count("duplicates")
			}
		}
	}
	if won == nil {
		c.Errorf("seed %d: %s was accepted by nobody: %s", c.seed, m, all[0].answer)
		return all[0].status, all[0].answer
	}
	for _, a := range all {
		if a.body == won.body {
			if a.status != http.StatusAccepted {
				c.Errorf("seed %d: the same content of %s was answered with %d: %s", c.seed, m, a.status, a.answer)
			}
			continue
		}
		c.count("conflicts")
		if a.status != http.StatusConflict || a.problem.Message != won.accepted.ID {
			c.Errorf("seed %d: other content of %s, which is message %d, was answered with %d: %s", c.seed, m, won.accepted.ID, a.status, a.answer)
		}
	}
	// What the hospital must book is what was accepted.
	m.body = won.body
	if p, ok := won.body.(*core.Prescription); ok {
		m.amount = int64(p.Amount)
	}
	return won.status, won.answer
}

func (c *campaign) messageOf(body core.Body) *message {
	for _, m := range c.messages {
		if m.body == body {
			return m
		}
	}
	c.Fatalf("no message has this body") // ours
	return nil
}

// rival is other content under the same key, where no later message depends on it.
func (m *message) rival() core.Body {
	if p, ok := m.body.(*core.Prescription); ok && len(m.lane.messages) == 1 && len(m.lane.refused) == 0 {
		return different(p)
	}
	return nil
}

// hear submits until there is an answer that says what became of it.
func (c *campaign) hear(n int, h *hospital, kind core.Kind, body core.Body, idempotency string) heard {
	content, err := json.Marshal(body)
	if err != nil {
		panic(err) // our own structs
	}
	a := heard{body: body}
	for try := n; c.ctx.Err() == nil; try++ {
		a.status, a.answer, err = c.send(c.hubs[try%len(c.hubs)], fmt.Sprintf("/v1/hospitals/%s/messages/%s", h.id, kind), content, idempotency)
		busy := a.status == http.StatusConflict && bytes.Contains(a.answer, []byte("in-progress"))
		if err == nil && a.status < 500 && a.status != http.StatusTooManyRequests && !busy {
			_ = json.Unmarshal(a.answer, &a.accepted)
			_ = json.Unmarshal(a.answer, &a.problem)
			return a
		}
		c.count("submissions repeated")
		time.Sleep(50 * time.Millisecond)
	}
	return a
}

func (c *campaign) send(h *hub, path string, content []byte, idempotency string) (int, []byte, error) {
	address := h.address()
	rq, err := http.NewRequestWithContext(c.ctx, http.MethodPost, address+path, bytes.NewReader(content))
	if err != nil || address == "" {
		return 0, nil, fmt.Errorf("hub %s is down: %w", h.name, err)
	}
	rq.Header.Set("Authorization", "Bearer "+c.key)
	rq.Header.Set("Content-Type", "application/json")
	if idempotency != "" {
		rq.Header.Set("Idempotency-Key", idempotency)
	}
	a, err := client.Do(rq)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return a.StatusCode, text, err
}
