package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/delivery"
)

// clients submit at the same time, each one visit after the other.
const clients = 12

var client = &http.Client{Timeout: 5 * time.Second}

// submit hands in all lanes, each at its time.
func (c *campaign) submit() {
	lanes := make(chan *lane)
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			for l := range lanes {
				if !c.submitLane(n, l) {
					return
				}
			}
		})
	}
	for _, l := range c.lanes {
		time.Sleep(time.Until(c.began.Add(l.at)))
		select {
		case lanes <- l:
		case <-c.ctx.Done():
		}
	}
	close(lanes)
	all.Wait()
}

func (c *campaign) submitLane(n int, l *lane) bool {
	for _, m := range l.messages {
		status, body := c.submitting(n, l.hospital, m.kind, m.body)
		if c.ctx.Err() != nil {
			return false
		}
		var accepted api.Accepted
		if status != http.StatusAccepted || json.Unmarshal(body, &accepted) != nil || accepted.ID == 0 {
			c.Errorf("seed %d: %s was not accepted: %d %s", c.seed, m, status, body)
			return false
		}
		m.id = accepted.ID
	}
	for _, x := range l.refused {
		if status, body := c.post(n, l.hospital, x.kind, x.body); status != x.status {
			c.Errorf("seed %d: a submission in lane %s was answered with %d instead of %d: %s", c.seed, l.visit, status, x.status, body)
		}
		c.count("refused submissions")
	}
	return true
}

// post submits until there is an answer that says what became of it. Whether the
// one before was accepted, the business key tells.
func (c *campaign) post(n int, h *hospital, kind core.Kind, body core.Body) (status int, answer []byte) {
	content, err := json.Marshal(body)
	if err != nil {
		panic(err) // our own structs
	}
	path := fmt.Sprintf("/v1/hospitals/%s/messages/%s", h.id, kind)
	for try := n; ; try++ {
		status, answer, err = c.request(c.ctx, c.hubs[try%len(c.hubs)], http.MethodPost, path, content)
		switch {
		case c.ctx.Err() != nil:
			return 0, nil
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			return status, answer
		}
		c.count("submissions repeated")
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *campaign) request(ctx context.Context, h *hub, method, path string, content []byte) (int, []byte, error) {
	address := h.address()
	if address == "" {
		return 0, nil, fmt.Errorf("hub %s is down", h.name)
	}
	rq, err := http.NewRequestWithContext(ctx, method, address+path, bytes.NewReader(content))
	if err != nil {
		return 0, nil, err
	}
	rq.Header.Set("Authorization", "Bearer "+c.key)
	rq.Header.Set("Content-Type", "application/json")
	a, err := client.Do(rq)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return a.StatusCode, body, err
}

// get asks the first hub, which is up; its servers may have come back a moment ago.
func (c *campaign) get(path string, into any) {
	c.Helper()
	status, body, err := c.request(c.ctx, c.hubs[0], http.MethodGet, path, nil)
	for end := time.Now().Add(30 * time.Second); (err != nil || status == http.StatusServiceUnavailable) && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		status, body, err = c.request(c.ctx, c.hubs[0], http.MethodGet, path, nil)
	}
	must(c.T, "get "+path, err)
	if status != http.StatusOK {
		c.Fatalf("get %s: %d %s", path, status, body)
	}
	must(c.T, "read "+path, json.Unmarshal(body, into))
}

// decided follows the events until every lane is delivered to its end or stands
// behind a parked message. It returns the last event of each message.
func (c *campaign) decided() map[int64]core.Event {
	last := map[int64]core.Event{}
	cursor := ""
	for end := time.Now().Add(c.patience); ; {
		var page struct {
			Events []core.Event
			Next   string
		}
		// Small pages, so that the feed is resumed at many places.
		c.get("/v1/events?limit=50&wait=2&after="+url.QueryEscape(cursor), &page)
		for _, e := range page.Events {
			last[e.Message] = e
		}
		cursor = page.Next
		if len(page.Events) > 0 && time.Now().Before(end) {
			continue
		}
		open := c.undecided(last)
		if len(open) == 0 {
			return last
		}
		if time.Now().After(end) {
			for _, m := range open[:min(len(open), 5)] {
				var d api.MessageDetail
				c.get(fmt.Sprintf("/v1/messages/%d", m.id), &d)
				what := "not decided in time"
				if d.State == delivery.Delivered || d.State == delivery.Parked {
					what = "decided, and the feed has no event of it"
				}
				c.Error(c.story(m, what, d))
			}
			c.Fatalf("seed %d: %d lanes are not decided %s after the last failure\n%s", c.seed, len(open), c.patience, c.hubs[0].lastWords())
		}
	}
}

// undecided are the first open messages of lanes that may go on.
func (c *campaign) undecided(last map[int64]core.Event) (open []*message) {
	for _, l := range c.lanes {
		for _, m := range l.messages {
			if e, ok := last[m.id]; !ok {
				open = append(open, m)
			} else if e.Type == core.EventDelivered {
				continue
			}
			break
		}
	}
	return open
}

// found is the state in which the campaign ended.
type found struct {
	last    map[int64]core.Event
	details map[int64]api.MessageDetail
	listed  map[int64]api.Message
}

// collect reads the whole list and every message with its attempts.
func (c *campaign) collect(last map[int64]core.Event) found {
	f := found{last: last, details: map[int64]api.MessageDetail{}, listed: map[int64]api.Message{}}
	for cursor := ""; ; {
		var page struct {
			Messages []api.Message
			Next     string
		}
		c.get("/v1/messages?limit=200&cursor="+url.QueryEscape(cursor), &page)
		for _, m := range page.Messages {
			f.listed[m.ID] = m
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for _, m := range c.messages {
		var d api.MessageDetail
		c.get(fmt.Sprintf("/v1/messages/%d", m.id), &d)
		f.details[m.id] = d
	}
	return f
}
