// Package redis keeps what processes share and nothing must survive: the
// sessions with the HIS, the rate limits of the API and cached answers. Losing
// Redis, or everything in it, makes hishub slower and never wrong.
package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/time/rate"
)

const (
	// patience bounds one command. Redis answers in well under a millisecond;
	// what takes longer is away.
	patience = 500 * time.Millisecond
	// rest is how long an absent Redis is left alone, so that its absence does
	// not cost every request the patience.
	rest = time.Second
)

// began is about when this program did.
var began = time.Now()

// errResting stands for a command that was not tried.
var errResting = errors.New("redis did not answer a moment ago")

// Client is a connection to Redis, or to one inside this process.
type Client struct {
	rdb      *goredis.Client
	embedded *miniredis.Miniredis
	// awayUntil is 0 while Redis answers, else until when it is left alone: nanoseconds
	// since this program began, which no change of the clock moves.
	awayUntil atomic.Int64

	mu      sync.Mutex
	buckets map[limit]*rate.Limiter // of the embedded one
}

// Open connects to the Redis at url (redis://, rediss:// or unix://, see
// goredis.ParseURL). It does not wait for it: a Redis that is away now is used
// once it comes. The error never holds the URL, which has a password in it.
func Open(url string) (*Client, error) {
	o, err := goredis.ParseURL(url)
	if err != nil {
		return nil, errors.New("read the address of Redis: it must look like redis://user:password@host:6379/0")
	}
	return &Client{rdb: connect(o)}, nil
}

// Embedded starts an empty Redis inside this process, which only this process
// can use and which is gone with it.
func Embedded() *Client {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true) // without it keys would never expire
	o := &goredis.Options{
		Addr: "embedded",
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			conn, err := m.Dial()
			if err != nil {
				return nil, err
			}
			return newWaiting(conn), nil
		},
	}
	return &Client{rdb: connect(o), embedded: m}
}

func connect(o *goredis.Options) *goredis.Client {
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = patience, patience, patience, patience
	o.MaxRetries, o.DialerRetries = -1, 1 // rest decides when to try again
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	// The library writes every broken connection to stderr by itself. The
	// callers here know what its absence means, and say it once.
	logging.Disable()
	return goredis.NewClient(o)
}

// Ready asks whether Redis answers, for /readyz. hishub works without it, so
// that an error means degraded and not down.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	c.awayUntil.Store(0)
	return nil
}

// Close ends the connections, and the Redis if it is embedded.
func (c *Client) Close() error {
	err := c.rdb.Close()
	if c.embedded != nil {
		c.embedded.Close()
	}
	if errors.Is(err, goredis.ErrClosed) {
		return nil
	}
	return err
}

// try runs one command unless Redis is away; then one caller a rest finds out
// whether it came back. goredis.Nil is an answer and not an error of Redis.
func (c *Client) try(ctx context.Context, command func(context.Context) error) error {
	if away := c.awayUntil.Load(); away != 0 {
		now := time.Since(began)
		if now < time.Duration(away) || !c.awayUntil.CompareAndSwap(away, int64(now+rest)) {
			return errResting
		}
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := command(within)
	switch {
	case err == nil || errors.Is(err, goredis.Nil):
		c.awayUntil.Store(0)
	case ctx.Err() == nil: // a caller that gave up says nothing about Redis
		c.awayUntil.Store(int64(time.Since(began) + rest))
	}
	return err
}
