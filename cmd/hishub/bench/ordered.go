package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// OrderedRun is many lanes with several messages each, of which a twentieth fails at
// the first attempt: each lane must arrive in its order all the same.
type OrderedRun struct {
	Lanes    int     `json:"lanes"`
	Messages int     `json:"messages"`
	Struck   float64 `json:"struck_share"`
	PerSec   float64 `json:"per_second"`
}

func (s *stage) orderedRun(ctx context.Context, tell func(string, ...any)) (r OrderedRun, err error) {
	_, service, control, err := s.fake(ctx, latency)
	if err != nil {
		return r, err
	}
	const name = "ordered"
	if err := s.copies(ctx, []string{name}, func(string) string { return service }, inFlight); err != nil {
		return r, err
	}
	if err := s.faults(ctx, control, map[string]any{"fault": "soap_fault", "first": true, "rate": .05}); err != nil {
		return r, err
	}
	r.Lanes = 1000
	if s.Quick {
		r.Lanes = 20
	}
	r.Messages = max(5*r.Lanes, s.Messages)
	tell("%d messages in %d lanes, a twentieth fails at first", r.Messages, r.Lanes)
	const from = 20_000_000
	l := newLoad(s, name).startAt(from)
	l.lane = func(n int64) string { return fmt.Sprintf("lane%d", n%int64(r.Lanes)) }
	// The number of clients divides that of the lanes, so that a lane's messages are
	// handed in by one of them, one after the other.
	began := time.Now()
	if err := l.inOrder(ctx, 20, r.Messages); err != nil {
		return r, err
	}
	if err := s.drained(ctx, name); err != nil {
		return r, err
	}
	at, order, struck, err := s.done(ctx, control)
	if err != nil {
		return r, err
	}
	if len(order) != r.Messages {
		return r, fmt.Errorf("%d of %d ordered messages were booked", len(order), r.Messages)
	}
	latest := map[string]string{}
	last := began
	for _, no := range order {
		var n int64
		if _, err := fmt.Sscanf(no, "RX%d", &n); err != nil {
			return r, fmt.Errorf("the HIS booked %s: %w", no, err)
		}
		lane := l.lane(n)
		if no <= latest[lane] {
			return r, fmt.Errorf("in %s the HIS booked %s after %s", lane, no, latest[lane])
		}
		latest[lane] = no
		if at[no].After(last) {
			last = at[no]
		}
	}
	r.Struck = float64(struck) / float64(r.Messages)
	r.PerSec = float64(r.Messages) / last.Sub(began).Seconds()
	return r, nil
}

// inOrder hands in so many messages from so many clients; those of one client go
// one after the other.
func (l *load) inOrder(ctx context.Context, clients, count int) error {
	first := l.last.Load() + 1
	defer l.last.Add(int64(count))
	working, ctx := errgroup.WithContext(ctx)
	for c := range clients {
		working.Go(func() error {
			for n := first + int64(c); n < first+int64(count); n += int64(clients) {
				if _, err := l.submit(ctx, n, time.Now()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return working.Wait()
}
