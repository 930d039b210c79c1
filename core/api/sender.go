package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// HookQueue gives each webhook to one process at a time.
type HookQueue interface {
	core.Feed
	TakeWebhooks(ctx context.Context, n int, ttl time.Duration) ([]postgres.Webhook, error)
	WebhookTold(ctx context.Context, id int64, cursor string, pause time.Duration) error
	WebhookFailed(ctx context.Context, id int64, retry time.Duration) error
	DisableWebhook(ctx context.Context, id int64, why string) error
}

// Webhooks calls the webhooks. Any number of processes may run it.
type Webhooks struct {
	Store HookQueue
	Log   *slog.Logger
	// Look is the time between two looks for news; 0 means a second.
	Look time.Duration
	// Timeout bounds one call; 0 means 10 s.
	Timeout time.Duration
}

const (
	together = 16              // webhooks called at once
	taken    = 2 * time.Minute // how long a process has a webhook
	batch    = 100             // events of one webhook before it is another's turn
	patience = 72 * time.Hour  // how long failures are repeated
)

// Run calls webhooks until ctx ends.
func (s *Webhooks) Run(ctx context.Context) error {
	look, timeout := s.Look, s.Timeout
	if look == 0 {
		look = time.Second
	}
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	client := &http.Client{
		Timeout: timeout,
		// A redirect could lead a signed event somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	for {
		hooks, err := s.Store.TakeWebhooks(ctx, together, taken)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("look for webhooks", "error", err)
		}
		var calls sync.WaitGroup
		for _, w := range hooks {
			calls.Go(func() { s.tell(ctx, client, w, look) })
		}
		calls.Wait()
		pause := time.NewTimer(look / 4)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

// tell carries news to one webhook, in order, until there is none, one is not
// taken, or half of the time is over for which it is ours.
func (s *Webhooks) tell(ctx context.Context, client *http.Client, w postgres.Webhook, look time.Duration) {
	until := time.Now().Add(taken / 2)
	// The holder of a webhook sees what a submitter sees.
	events, next, err := read(ctx, s.Store, Caller{Grants: []Grant{{Submitter, w.Hospitals}}}, w.Cursor, batch)
	if err != nil {
		s.giveBack(ctx, "read the feed for a webhook", w, s.Store.WebhookTold, w.Cursor, look, err)
		return
	}
	cursor, pause := w.Cursor, time.Duration(0)
	for _, e := range events {
		if w.Types == nil || slices.Contains(w.Types, e.Type) {
			if err := post(ctx, client, w, e); err != nil {
				s.failed(ctx, w, cursor, err)
				return
			}
		}
		cursor = e.Cursor
		if time.Now().After(until) {
			next = cursor
			break
		}
	}
	if len(events) == 0 {
		pause = look
	}
	s.giveBack(ctx, "move a webhook's cursor", w, s.Store.WebhookTold, next, pause, nil)
}

func (s *Webhooks) giveBack(ctx context.Context, doing string, w postgres.Webhook, told func(context.Context, int64, string, time.Duration) error, cursor string, pause time.Duration, err error) {
	// Also when ctx is over: others must not wait for the lease to end.
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err = errors.Join(err, told(save, w.ID, cursor, pause)); err != nil && ctx.Err() == nil && !errors.Is(err, postgres.ErrNotFound) {
		s.Log.Error(doing, "webhook", w.ID, "error", err)
	}
}

// failed counts a failure. When events were taken before it, moving the cursor
// counts as a success, and the failure counts when it comes again.
func (s *Webhooks) failed(ctx context.Context, w postgres.Webhook, cursor string, cause error) {
	if ctx.Err() != nil {
		s.giveBack(ctx, "", w, s.Store.WebhookTold, cursor, 0, nil)
		return
	}
	if cursor != w.Cursor {
		s.giveBack(ctx, "move a webhook's cursor", w, s.Store.WebhookTold, cursor, backoff(0), nil)
		return
	}
	s.Log.Warn("a webhook did not take an event", "webhook", w.ID, "failures", w.Failures+1, "error", cause)
	var err error
	if waited(w.Failures) >= patience {
		err = s.Store.DisableWebhook(ctx, w.ID, "it took nothing for three days; the last time: "+cause.Error())
	} else {
		err = s.Store.WebhookFailed(ctx, w.ID, backoff(w.Failures))
	}
	if err != nil && !errors.Is(err, postgres.ErrNotFound) {
		s.Log.Error("note a webhook's failure", "webhook", w.ID, "error", err)
	}
}

// backoff is the wait after so many failures before: a second, doubled up to an hour.
func backoff(failures int) time.Duration {
	if failures >= 12 {
		return time.Hour
	}
	return min(time.Second<<failures, time.Hour)
}

// waited is for how long so many failures were repeated.
func waited(failures int) (sum time.Duration) {
	for i := range failures {
		sum += backoff(i)
	}
	return sum
}

// post sends one event. Its errors hold neither the URL nor what the other side
// wrote.
func post(ctx context.Context, client *http.Client, w postgres.Webhook, e core.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be called")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "hishub")
	r.Header.Set("Hishub-Event", string(e.Type))
	r.Header.Set("Hishub-Signature", core.Signature(w.Secret, time.Now(), body))
	answer, err := client.Do(r)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("call: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	return nil
}
