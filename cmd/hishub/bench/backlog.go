package bench

import (
	"context"
	"time"
)

// BacklogRun is a hospital with a steady rate beside one in which very many wait.
type BacklogRun struct {
	Queued int `json:"queued"`
	PerSec int `json:"per_second"` // of the other
	// Without and With are from when a request was due until the HIS answers.
	Without Quantiles `json:"without"`
	With    Quantiles `json:"with"`
}

func (s *stage) backlogRun(ctx context.Context, tell func(string, ...any)) (r BacklogRun, err error) {
	_, slowService, _, err := s.fake(ctx, 500*time.Millisecond)
	if err != nil {
		return r, err
	}
	_, service, control, err := s.fake(ctx, latency)
	if err != nil {
		return r, err
	}
	const slow, brisk = "slow", "brisk"
	if err := s.copies(ctx, []string{slow}, func(string) string { return slowService }, 4); err != nil {
		return r, err
	}
	if err := s.copies(ctx, []string{brisk}, func(string) string { return service }, inFlight); err != nil {
		return r, err
	}
	r.Queued, r.PerSec = 10*s.Messages, 100
	turns := 2
	if s.Quick {
		r.Queued, r.PerSec, turns = 200, 40, 1
	}
	l := newLoad(s, brisk).startAt(30_000_000)
	var without, with []time.Duration
	turn := func(all *[]time.Duration) error {
		a, err := l.steady(ctx, r.PerSec, 15*l.second(), brisk)
		if err != nil {
			return err
		}
		at, _, _, err := s.done(ctx, control)
		if err != nil {
			return err
		}
		took, err := l.answered(a, at, begins(brisk))
		*all = append(*all, took...)
		return err
	}
	tell("%d messages a second at one hospital", r.PerSec)
	if err := turn(&without); err != nil {
		return r, err
	}
	tell("queueing %d at another that takes 8 a second", r.Queued)
	fill := newLoad(s, slow).startAt(31_000_000)
	if err := fill.inOrder(ctx, 4*inFlight, r.Queued); err != nil {
		return r, err
	}
	for range turns {
		if err := turn(&with); err != nil {
			return r, err
		}
	}
	left, err := s.waiting(ctx, slow)
	if err != nil {
		return r, err
	}
	if r.Queued = left; !s.Quick {
		tell("%d still wait there; without them again", left)
	}
	// Nobody is told of them any more: the rest of the run is not to pay for them.
	if _, err := s.database.Exec(ctx, `delete from hub.queue where hospital = $1`, slow); err != nil {
		return r, err
	}
	if err := turn(&without); err != nil {
		return r, err
	}
	r.Without, r.With = quantiles(without), quantiles(with)
	return r, nil
}
