package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Memory keeps what the clinic's processes share and may lose: sessions of people, codes,
// counters. Unlike the rest of this package it does not go on without Redis: who is
// signed in is not guessed. Every error means that Redis does not answer.
type Memory struct{ client *Client }

// NewMemory keeps it in Redis.
func NewMemory(c *Client) *Memory { return &Memory{c} }

func memoryKey(key string) string { return "hishub:clinic:" + key }

func (m *Memory) try(ctx context.Context, doing string, command func(context.Context) error) error {
	if err := m.client.try(ctx, command); err != nil && !errors.Is(err, goredis.Nil) {
		return fmt.Errorf("%s in redis: %w", doing, err)
	}
	return nil
}

// Get reads a key; ok is false where nothing is.
func (m *Memory) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = m.try(ctx, "read", func(ctx context.Context) (err error) {
		value, err = m.client.rdb.Get(ctx, memoryKey(key)).Bytes()
		ok = err == nil
		return err
	})
	if !ok {
		value = nil
	}
	return value, ok, err
}

// Put keeps value for ttl, in place of whatever is there; for a ttl of 0 or less nothing stays.
func (m *Memory) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return m.try(ctx, "write", func(ctx context.Context) error {
		if ttl <= 0 {
			return m.client.rdb.Del(ctx, memoryKey(key)).Err()
		}
		return m.client.rdb.Set(ctx, memoryKey(key), value, ttl).Err()
	})
}

// Swap keeps next for ttl in place of exactly old; old nil is a key that is not there.
func (m *Memory) Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (swapped bool, err error) {
	if ttl <= 0 {
		return false, nil
	}
	key = memoryKey(key)
	err = m.try(ctx, "swap", func(ctx context.Context) error {
		if old == nil {
			var err error
			swapped, err = m.client.rdb.SetNX(ctx, key, next, ttl).Result()
			return err
		}
		err := m.client.rdb.Watch(ctx, func(tx *goredis.Tx) error {
			now, err := tx.Get(ctx, key).Bytes()
			if err != nil || !bytes.Equal(now, old) {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p goredis.Pipeliner) error {
				p.Set(ctx, key, next, ttl)
				return nil
			})
			swapped = err == nil
			return err
		}, key)
		if errors.Is(err, goredis.TxFailedErr) {
			return nil // somebody was faster, which is an answer
		}
		return err
	})
	return swapped && err == nil, err
}

// Delete returns how many of the keys were there.
func (m *Memory) Delete(ctx context.Context, keys ...string) (n int, err error) {
	all := make([]string, len(keys))
	for i := range keys {
		all[i] = memoryKey(keys[i])
	}
	err = m.try(ctx, "delete", func(ctx context.Context) error {
		deleted, err := m.client.rdb.Del(ctx, all...).Result()
		n = int(deleted)
		return err
	})
	return n, err
}

// Count returns the how-manieth call it is within ttl of the first, from 1.
func (m *Memory) Count(ctx context.Context, key string, ttl time.Duration) (n int, err error) {
	key = memoryKey(key)
	err = m.try(ctx, "count", func(ctx context.Context) error {
		var count *goredis.IntCmd
		_, err := m.client.rdb.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			p.SetNX(ctx, key, 0, ttl)
			count = p.Incr(ctx, key)
			return nil
		})
		if err == nil {
			n = int(count.Val())
		}
		return err
	})
	return n, err
}
