package identity

import (
	"context"
	"time"
)

// Memory keeps what all processes of the clinic share and what may be lost: sessions,
// codes, counters. What is gone from it costs a sign-in and nothing else. Every error
// means that it cannot be asked now; a key that is not there is no error.
type Memory interface {
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	// Put keeps value for ttl, in place of whatever is there.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Swap keeps next for ttl in place of exactly old; nil is a key that is not there.
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (swapped bool, err error)
	// Delete returns how many of the keys were there.
	Delete(ctx context.Context, keys ...string) (n int, err error)
	// Count returns the how-manieth call it is within ttl of the first, from 1.
	Count(ctx context.Context, key string, ttl time.Duration) (n int, err error)
}
