package redis

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"golang.org/x/time/rate"
)

// Limits bounds how often callers may do something, over all processes together.
type Limits struct {
	client *Client
	rate   *redis_rate.Limiter
	opened func()
}

// limit is a bound and who it is for.
type limit struct {
	key              string
	perSecond, burst int
}

// maxBuckets bounds the memory of an embedded Redis; beyond it all are full again.
const maxBuckets = 10_000

// bucket of a limit in this process. The embedded Redis makes an interpreter for
// each script, which costs more than all else that a request needs.
func (c *Client) bucket(l limit) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.buckets[l]
	if b == nil {
		if c.buckets == nil || len(c.buckets) >= maxBuckets {
			c.buckets = map[limit]*rate.Limiter{}
		}
		b = rate.NewLimiter(rate.Limit(l.perSecond), l.burst)
		c.buckets[l] = b
	}
	return b
}

// NewLimits keeps limits in Redis. While Redis is away everything is allowed,
// because a clinic that can't submit is worse than one that submits too much;
// opened is called for every call allowed that way (a counter); it may be nil.
func NewLimits(c *Client, opened func()) *Limits {
	if opened == nil {
		opened = func() {}
	}
	return &Limits{client: c, rate: redis_rate.NewLimiter(c.rdb), opened: opened}
}

// Allow reports whether key may act now, and if not, after how long it may.
// perSecond is the steady rate, 0 or less is unlimited; burst is how many may
// come at once, at least 1. The error is set only for a ctx that ended.
func (l *Limits) Allow(ctx context.Context, key string, perSecond, burst int) (ok bool, retryAfter time.Duration, err error) {
	if perSecond <= 0 {
		return true, 0, ctx.Err()
	}
	burst = max(burst, 1)
	if l.client.embedded != nil {
		wish := l.client.bucket(limit{key, perSecond, burst}).Reserve()
		if wait := wish.Delay(); wait > 0 {
			wish.Cancel()
			return false, wait, ctx.Err()
		}
		return ctx.Err() == nil, 0, ctx.Err()
	}
	var r *redis_rate.Result
	err = l.client.try(ctx, func(ctx context.Context) (err error) {
		r, err = l.rate.Allow(ctx, "hishub:"+key, redis_rate.Limit{Rate: perSecond, Burst: burst, Period: time.Second})
		return err
	})
	switch {
	case ctx.Err() != nil:
		return false, 0, ctx.Err()
	case err != nil:
		l.opened()
		return true, 0, nil
	case r.Allowed > 0:
		return true, 0, nil
	}
	return false, r.RetryAfter, nil
}
