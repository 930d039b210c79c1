package bench

import (
	"context"
	"fmt"
	"time"
)

// concurrent is the job with so much in flight that the processors are the limit,
// and then 70 % of that as a steady rate.
func (r *Report) concurrent(ctx context.Context, l *load, tell func(string, ...any)) (err error) {
	if err := l.limit(ctx, hospital, many); err != nil {
		return err
	}
	c := closing{clients: many, count: max(l.Messages/5, many), ahead: 4 * many}
	tell("%d in flight: warming up", many)
	for began := time.Now(); time.Since(began) < 3*l.second(); { // the hub follows new limits within two seconds
		if _, err := l.closed(ctx, c); err != nil {
			return err
		}
	}
	c.count = 2 * l.Messages
	tell("%d messages as fast as they go", c.count)
	if r.Concurrent, err = l.throughput(ctx, many, c); err != nil {
		return err
	}
	if l.Rates {
		return nil
	}
	rate := int(.7 * r.Concurrent.PerSec)
	tell("%d messages a second", rate)
	r.AtMost, err = l.openLoop(ctx, rate, 10*l.second())
	return err
}

// ready stops the hub, starts it again and returns how long it takes from its start
// until it has accepted a message, in milliseconds; then it waits for its delivery.
func (l *load) ready(ctx context.Context) (float64, error) {
	if err := l.hub.stop(); err != nil {
		return 0, fmt.Errorf("the hub did not end well: %w: %s", err, l.hub.lastWords())
	}
	n := l.last.Add(1)
	began := time.Now()
	if err := l.serveHub(ctx); err != nil {
		return 0, err
	}
	l.caller.close()
	l.caller = newCaller(l.api, l.keys)
	l.later(l.caller.close)
	for {
		_, err := l.submit(ctx, n, began)
		if err == nil {
			break
		}
		if time.Since(began) > time.Minute {
			return 0, fmt.Errorf("the hub accepts nothing a minute after its start: %w", err)
		}
		sleep(ctx, 5*time.Millisecond)
	}
	took := ms(time.Since(began))
	for {
		waiting, err := l.undelivered(ctx, all)
		if err != nil || waiting == 0 {
			return took, err
		}
		sleep(ctx, 20*time.Millisecond)
	}
}
