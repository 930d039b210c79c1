// Package demo shows the main job: a fake of every hospital that is shipped, a
// hub in a process of its own, and everything done over HTTP as a user would.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"hishub/core"
	"hishub/core/api"
	"hishub/mocks/books"
)

// client talks to the hub's API.
type client struct {
	base, key string
	http      *http.Client
}

// call makes a request with a JSON body and reads a JSON answer; any status over
// 299 is an error with the problem's text.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	a, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode > 299 {
		return fmt.Errorf("%s %s: %s: %s", method, path, a.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

func (c *client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, path, in, out)
}

func (c *client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// submit hands a message in and returns its number.
func (c *client) submit(ctx context.Context, hospital string, kind core.Kind, body core.Body) (int64, error) {
	var out api.Accepted
	err := c.post(ctx, "/v1/hospitals/"+hospital+"/messages/"+string(kind), body, &out)
	return out.ID, err
}

func (c *client) message(ctx context.Context, id int64) (m api.MessageDetail, err error) {
	return m, c.get(ctx, fmt.Sprintf("/v1/messages/%d", id), &m)
}

// find returns the present message under a business key.
func (c *client) find(ctx context.Context, hospital string, kind core.Kind, key string) (api.Message, error) {
	var out struct{ Messages []api.Message }
	q := url.Values{"hospital": {hospital}, "kind": {string(kind)}, "key": {key}}
	if err := c.get(ctx, "/v1/messages?"+q.Encode(), &out); err != nil {
		return api.Message{}, err
	}
	for _, m := range out.Messages {
		if m.SupersededBy == 0 {
			return m, nil
		}
	}
	return api.Message{}, fmt.Errorf("%s has no %s %s", hospital, kind, key)
}

// all lists every message of a hospital.
func (c *client) all(ctx context.Context, hospital string) (all []api.Message, err error) {
	for cursor := ""; ; {
		var page struct {
			Messages []api.Message
			Next     string
		}
		q := url.Values{"hospital": {hospital}, "limit": {"200"}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		if err := c.get(ctx, "/v1/messages?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Messages...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// until waits for a message to be as wanted.
func (c *client) until(ctx context.Context, id int64, within time.Duration, wanted func(api.MessageDetail) bool) (api.MessageDetail, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("message %d did not get there within %s", id, within))
	defer cancel()
	for {
		m, err := c.message(ctx, id)
		if ctx.Err() != nil {
			return m, context.Cause(ctx)
		}
		if err != nil || wanted(m) {
			return m, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// event finds the first event of a type in the feed.
func (c *client) event(ctx context.Context, hospital string, of core.EventType) (core.Event, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, fmt.Errorf("no event %s of %s came", of, hospital))
	defer cancel()
	for cursor := ""; ; {
		var page struct {
			Events []core.Event
			Next   string
		}
		q := url.Values{"limit": {"500"}, "wait": {"5"}}
		if cursor != "" {
			q.Set("after", cursor)
		}
		err := c.get(ctx, "/v1/events?"+q.Encode(), &page)
		if ctx.Err() != nil {
			return core.Event{}, context.Cause(ctx)
		}
		if err != nil {
			return core.Event{}, err
		}
		for _, e := range page.Events {
			if e.Hospital == hospital && e.Type == of {
				return e, nil
			}
		}
		cursor = page.Next
	}
}

// control talks to a fake hospital's second port.
type control struct{ client }

func (c *control) fault(ctx context.Context, rule map[string]any) error {
	return c.post(ctx, "/faults", rule, nil)
}

func (c *control) mend(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/faults", nil, nil)
}

func (c *control) books(ctx context.Context) (b books.Export, err error) {
	return b, c.get(ctx, "/books", &b)
}
