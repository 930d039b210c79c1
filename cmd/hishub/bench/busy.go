package bench

import (
	"context"
	"fmt"
	"time"
)

// BusyRun is a hospital that answers HTTP 500 to the first attempt at each tenth
// message, which its folder declares busy, beside the same without.
type BusyRun struct {
	Messages int `json:"messages"` // of each turn
	Turns    int `json:"turns"`    // of each kind
	// Calm and Busy are deliveries a second, Struck the share of first attempts.
	Calm   float64 `json:"calm_per_second"`
	Busy   float64 `json:"busy_per_second"`
	Struck float64 `json:"struck_share"`
}

// Lost is by how much the throughput fell.
func (b BusyRun) Lost() float64 { return 1 - b.Busy/b.Calm }

func (s *stage) busyRun(ctx context.Context, tell func(string, ...any)) (r BusyRun, err error) {
	_, service, control, err := s.fake(ctx, latency)
	if err != nil {
		return r, err
	}
	const name = "busy"
	if err := s.copies(ctx, []string{name}, func(string) string { return service }, inFlight); err != nil {
		return r, err
	}
	r.Messages, r.Turns = max(s.Messages/2, 32), 3
	if s.Quick {
		r.Turns = 1
	}
	tell("%d x 2 x %d messages, every other turn a tenth is busy at first", r.Turns, r.Messages)
	l := newLoad(s, name).startAt(10_000_000)
	turn := func() (time.Duration, error) {
		a, err := l.closed(ctx, closing{clients: inFlight, count: r.Messages, ahead: 256, of: begins(name)})
		if err != nil {
			return 0, err
		}
		at, _, _, err := s.done(ctx, control)
		if err != nil {
			return 0, err
		}
		last := a.began
		for n := a.from; n < a.to; n++ {
			if t, ok := at[key(n)]; !ok {
				return 0, fmt.Errorf("the HIS does not have %s", key(n))
			} else if t.After(last) {
				last = t
			}
		}
		return last.Sub(a.began), nil
	}
	if _, err := turn(); err != nil { // warms up
		return r, err
	}
	var calm, busy time.Duration
	for range r.Turns {
		took, err := turn()
		if err != nil {
			return r, err
		}
		calm += took
		if err := s.faults(ctx, control, map[string]any{"fault": "soap_fault", "first": true, "rate": .1}); err != nil {
			return r, err
		}
		if took, err = turn(); err != nil {
			return r, err
		}
		busy += took
		tell("so far %.1f s without, %.1f s with", calm.Seconds(), busy.Seconds())
		if err := s.faults(ctx, control); err != nil {
			return r, err
		}
	}
	_, _, struck, err := s.done(ctx, control)
	sent := float64(r.Turns * r.Messages)
	r.Calm, r.Busy, r.Struck = sent/calm.Seconds(), sent/busy.Seconds(), float64(struck)/sent
	return r, err
}
