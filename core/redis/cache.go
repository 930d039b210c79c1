package redis

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"
)

// Cache keeps answers that may be asked again soon. While Redis is away nothing
// is found and nothing kept.
type Cache struct {
	client  *Client
	flights singleflight.Group
}

// NewCache keeps answers in Redis.
func NewCache(c *Client) *Cache { return &Cache{client: c} }

// Get returns a value that was put less than its ttl ago.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, bool) {
	value, _, ok := c.get(ctx, key)
	return value, ok
}

// Put keeps value for ttl; nothing is kept for a ttl of 0 or less.
func (c *Cache) Put(ctx context.Context, key string, value []byte, ttl time.Duration) {
	c.put(ctx, key, value, ttl, time.Now())
}

type answer struct {
	value []byte
	asOf  time.Time
}

// Fetch returns the kept value of key, or the one that ask gives now, which is
// then kept for ttl. Callers of this process that come while ask runs share its
// answer and must not change it. asOf is when it was asked for. The error is
// that of ask, which is not kept, or of a ctx that ended; ask itself goes on for
// the others when one caller leaves, so that it must bound itself.
func (c *Cache) Fetch(ctx context.Context, key string, ttl time.Duration, ask func(context.Context) ([]byte, error)) (value []byte, asOf time.Time, err error) {
	if value, asOf, ok := c.get(ctx, key); ok {
		return value, asOf, nil
	}
	if ctx.Err() != nil {
		return nil, time.Time{}, ctx.Err()
	}
	flight := c.flights.DoChan(key, func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		// The flight before this one may have landed since the look above.
		if value, asOf, ok := c.get(ctx, key); ok {
			return answer{value, asOf}, nil
		}
		asOf := time.Now()
		value, err := ask(ctx)
		if err != nil {
			return nil, err
		}
		c.put(ctx, key, value, ttl, asOf)
		return answer{value, asOf}, nil
	})
	select {
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	case r := <-flight:
		if r.Err != nil {
			return nil, time.Time{}, r.Err
		}
		a := r.Val.(answer)
		return a.value, a.asOf, nil
	}
}

// An entry is the Unix milliseconds of its asOf, a line break, and the value.

func (c *Cache) get(ctx context.Context, key string) (value []byte, asOf time.Time, ok bool) {
	var entry []byte
	err := c.client.try(ctx, func(ctx context.Context) (err error) {
		entry, err = c.client.rdb.Get(ctx, cacheKey(key)).Bytes()
		return err
	})
	if err != nil {
		return nil, time.Time{}, false
	}
	at, value, ok := bytes.Cut(entry, []byte("\n"))
	ms, err := strconv.ParseInt(string(at), 10, 64)
	if !ok || err != nil {
		return nil, time.Time{}, false
	}
	return value, time.UnixMilli(ms), true
}

func (c *Cache) put(ctx context.Context, key string, value []byte, ttl time.Duration, asOf time.Time) {
	if ttl <= 0 {
		return
	}
	entry := append(strconv.AppendInt(nil, asOf.UnixMilli(), 10), '\n')
	entry = append(entry, value...)
	_ = c.client.try(ctx, func(ctx context.Context) error {
		return c.client.rdb.Set(ctx, cacheKey(key), entry, ttl).Err()
	})
}

func cacheKey(key string) string { return "hishub:cache:" + key }
