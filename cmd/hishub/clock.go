package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"hishub/core"
	"hishub/core/incident"
)

// clocks asks each HIS that can tell for its time, and remembers how far it was off.
type clocks struct {
	mu    sync.Mutex
	known map[string]clock
	heard map[string]heard
	tried map[string]time.Time
	// ahead is how far the database's clock is ahead of this process's: HISs are
	// measured by the database's.
	ahead time.Duration
	// database asks it; nil: this process's own is good enough.
	database func(context.Context) (time.Time, error)
}

type clock struct {
	off   time.Duration
	asked time.Time
}

const (
	clocksEvery = 10 * time.Minute
	// clocksLook is how soon a hospital is asked that came to this process.
	clocksLook = 5 * time.Second
	// clocksAtOnce keeps those that hang from holding up all others.
	clocksAtOnce = 8
)

// watch asks the hospitals that ids gives until ctx ends, each every ten minutes.
func (c *clocks) watch(ctx context.Context, ids func() []string, ask func(ctx context.Context, hospital string) (time.Time, error)) {
	for {
		c.compare(ctx)
		var asking errgroup.Group
		asking.SetLimit(clocksAtOnce)
		for _, id := range c.due(ids(), time.Now()) {
			asking.Go(func() error { c.look(ctx, id, ask); return nil })
		}
		_ = asking.Wait()
		select {
		case <-ctx.Done():
			return
		case <-time.After(clocksLook):
		}
	}
}

// compare looks how far the database's clock is ahead.
func (c *clocks) compare(ctx context.Context) {
	if c.database == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	began := time.Now()
	now, err := c.database(ctx)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = now.Sub(began.Add(time.Since(began) / 2))
}

// due are those that were not tried for ten minutes; they count as tried now.
func (c *clocks) due(ids []string, now time.Time) (due []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tried := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		last, ok := c.tried[id]
		if !ok || now.Sub(last) >= clocksEvery {
			due, last = append(due, id), now
		}
		tried[id] = last
	}
	c.tried = tried // what went to another process is forgotten
	return due
}

// look asks one. A HIS that does not answer, or cannot, says nothing about its clock.
func (c *clocks) look(ctx context.Context, id string, ask func(ctx context.Context, hospital string) (time.Time, error)) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	began := time.Now()
	told, err := ask(ctx, id)
	took := time.Since(began)
	if err != nil || told.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]clock{}
	}
	// It was told some time between the question and the answer.
	c.known[id] = clock{told.Sub(began.Add(took/2 + c.ahead)), began}
}

// tell adds what is known to a hospital's signs.
func (c *clocks) tell(s *incident.Signs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.ClockOff, s.ClockAsked = c.known[s.Hospital].off, c.known[s.Hospital].asked
	if now := time.Now(); now.Sub(s.ClockAsked) > 2*clocksEvery {
		if off, known := c.heard[s.Hospital].off(now); known {
			s.ClockOff, s.ClockAsked = off, c.heard[s.Hospital].at
		}
	}
}

// askClock asks a HIS for its time; zero when its dialect has no such question.
func (h *hub) askClock(ctx context.Context, id string) (time.Time, error) {
	opened, err := h.hospitals.Hospital(ctx, id, 0)
	if err != nil || opened.Operations[core.SystemTimeAsk] == nil {
		return time.Time{}, err
	}
	answer, err := h.questions.Question(ctx, id, core.SystemTimeAsk, &core.DictionaryQuery{})
	if err != nil {
		return time.Time{}, err
	}
	told, ok := answer.(*core.SystemTime)
	if !ok {
		return time.Time{}, nil
	}
	return told.Time, nil
}
