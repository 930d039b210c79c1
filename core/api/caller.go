package api

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"hishub/core/postgres"
)

// remembered is how long a key is believed without asking the database again,
// which is how long a revocation made by another process may take to hold here.
const remembered = 5 * time.Second

// callers finds who a key, or a session, belongs to.
type callers struct {
	keys Keys
	// person of a session's token; nil knows none.
	person func(ctx context.Context, token string) (Caller, error)
	log    *slog.Logger
	mu     sync.Mutex
	seen   map[string]seenKey
}

type seenKey struct {
	key   postgres.Key
	until time.Time
}

// sessionPrefix begins the token of a person's session.
const sessionPrefix = "cs_"

// maxSeen bounds the memory; beyond it everything is looked up again.
const maxSeen = 10_000

// ErrUnknownCaller: no key, and nobody's session.
var ErrUnknownCaller = errors.New("unknown or revoked key")

// caller returns ErrUnknownCaller for a text that is no valid key and no session's token.
func (c *callers) caller(ctx context.Context, text string) (Caller, error) {
	if c.person != nil && strings.HasPrefix(text, sessionPrefix) {
		who, err := c.person(ctx, text)
		if err != nil && !errors.Is(err, ErrUnknownCaller) {
			c.log.Warn("look for a session", "error", err)
			return who, problem("unavailable", "sessions cannot be looked up now").after(time.Second)
		}
		return who, err
	}
	prefix := prefixOf(text)
	if prefix == "" {
		return Caller{}, ErrUnknownCaller
	}
	key, err := c.find(ctx, prefix)
	if errors.Is(err, postgres.ErrNotFound) {
		return Caller{}, ErrUnknownCaller
	}
	if err != nil {
		return Caller{}, err
	}
	if subtle.ConstantTimeCompare(key.Hash, hashOf(text)) != 1 {
		return Caller{}, ErrUnknownCaller
	}
	return Caller{Key: key.ID, Name: key.Name, Grants: []Grant{{Role(key.Role), key.Hospitals}}}, nil
}

func (c *callers) find(ctx context.Context, prefix string) (postgres.Key, error) {
	now := time.Now()
	c.mu.Lock()
	s, ok := c.seen[prefix]
	c.mu.Unlock()
	if ok && now.Before(s.until) {
		return s.key, nil
	}
	key, err := c.keys.Key(ctx, prefix)
	if err != nil {
		return key, err
	}
	if key.LastUsedAt == nil || now.Sub(*key.LastUsedAt) > time.Minute {
		if err := c.keys.KeyUsed(ctx, []int64{key.ID}); err != nil {
			c.log.Warn("note the use of a key", "error", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= maxSeen {
		c.seen = map[string]seenKey{}
	}
	c.seen[prefix] = seenKey{key, now.Add(remembered)}
	return key, nil
}

// forget makes every key be looked up again.
func (c *callers) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = nil
}
