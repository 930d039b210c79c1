package main

import (
	"context"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/incident"
)

// clocks asks each HIS that can tell for its time, and remembers how far it was off.
type clocks struct {
	mu    sync.Mutex
	known map[string]clock
}

type clock struct {
	off   time.Duration
	asked time.Time
}

const clocksEvery = 10 * time.Minute

// watch asks the hospitals that ids gives until ctx ends.
func (c *clocks) watch(ctx context.Context, ids func() []string, ask func(ctx context.Context, hospital string) (time.Time, error)) {
	for {
		for _, id := range ids() {
			c.look(ctx, id, ask)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(clocksEvery):
		}
	}
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
	c.known[id] = clock{told.Sub(began.Add(took / 2)), began}
}

// tell adds what is known to a hospital's signs.
func (c *clocks) tell(s *incident.Signs) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.ClockOff, s.ClockAsked = c.known[s.Hospital].off, c.known[s.Hospital].asked
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
