package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	randv2 "math/rand/v2"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"hishub/core"
)

const (
	// keptFor is how long a session is kept whose end nobody knows. The HIS says
	// when it is over, and then it is renewed.
	keptFor = 12 * time.Hour
	// lockedFor bounds a login: a process that dies with the lock holds the
	// others no longer.
	lockedFor = time.Minute
)

var _ core.SessionStore = (*Sessions)(nil)

// Sessions keeps the login tokens of the HIS for all processes. While Redis is
// away each process keeps its own: that costs one more login for each.
type Sessions struct {
	client *Client
	mu     sync.Mutex
	own    map[string]kept
	locks  map[string]chan struct{}
}

type kept struct {
	values map[string]string
	until  time.Time
}

// NewSessions keeps sessions in Redis.
func NewSessions(c *Client) *Sessions {
	return &Sessions{client: c, own: map[string]kept{}, locks: map[string]chan struct{}{}}
}

func sessionKey(hospital, session string) string { return "hishub:session:" + hospital + ":" + session }
func lockKey(hospital, session string) string    { return "hishub:login:" + hospital + ":" + session }

// Get implements core.SessionStore. The error is set only for a ctx that ended.
func (s *Sessions) Get(ctx context.Context, hospital, session string) (map[string]string, bool, error) {
	key := sessionKey(hospital, session)
	var text []byte
	err := s.client.try(ctx, func(ctx context.Context) (err error) {
		text, err = s.client.rdb.Get(ctx, key).Bytes()
		return err
	})
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, false, nil
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case err != nil:
		values, ok := s.recall(key)
		return values, ok, nil
	}
	var values map[string]string
	if json.Unmarshal(text, &values) != nil {
		return nil, false, nil // written by something else: log in again
	}
	return values, true, nil
}

// Put implements core.SessionStore. A ttl below zero is a session that is over;
// it is forgotten.
func (s *Sessions) Put(ctx context.Context, hospital, session string, values map[string]string, ttl time.Duration) error {
	key := sessionKey(hospital, session)
	if ttl == 0 {
		ttl = keptFor
	}
	s.remember(key, values, ttl)
	text, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("write session %s: %w", session, err)
	}
	_ = s.client.try(ctx, func(ctx context.Context) error {
		if ttl < 0 {
			return s.client.rdb.Del(ctx, key).Err()
		}
		return s.client.rdb.Set(ctx, key, text, ttl).Err()
	}) // this process has it; the others log in when they need it
	return ctx.Err()
}

func (s *Sessions) remember(key string, values map[string]string, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own[key] = kept{values, time.Now().Add(ttl)}
}

func (s *Sessions) recall(key string) (map[string]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.own[key]
	return k.values, ok && time.Now().Before(k.until)
}

// Lock implements core.SessionStore: first among the callers of this process,
// then, as long as Redis answers, among all processes.
func (s *Sessions) Lock(ctx context.Context, hospital, session string) (func(), error) {
	key := lockKey(hospital, session)
	release, err := s.lockOwn(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("wait for the login of session %s: %w", session, err)
	}
	token := rand.Text()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		var got bool
		err := s.client.try(ctx, func(ctx context.Context) (err error) {
			got, err = s.client.rdb.SetNX(ctx, key, token, lockedFor).Result()
			return err
		})
		if ctx.Err() == nil && (got || err != nil) {
			break // err: Redis is away, and each process logs in for itself
		}
		// Jitter, so that processes that wait together don't ask together.
		select {
		case <-time.After(wait/2 + randv2.N(wait)):
		case <-ctx.Done():
			s.unlock(key, token) // it may have been set although nobody heard the answer
			release()
			return nil, fmt.Errorf("wait for the login of session %s: %w", session, ctx.Err())
		}
	}
	var once sync.Once
	return func() { once.Do(func() { s.unlock(key, token); release() }) }, nil
}

// lockOwn waits for the other callers of this process.
func (s *Sessions) lockOwn(ctx context.Context, key string) (release func(), err error) {
	s.mu.Lock()
	free, ok := s.locks[key]
	if !ok {
		free = make(chan struct{}, 1)
		free <- struct{}{}
		s.locks[key] = free
	}
	s.mu.Unlock()
	select {
	case <-free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var once sync.Once
	giveBack := func() { once.Do(func() { free <- struct{}{} }) }
	timer := time.AfterFunc(lockedFor, giveBack)
	return func() { timer.Stop(); giveBack() }, nil
}

// ours deletes a lock only while it is still the one that was set: after its
// minute it may be somebody else's.
var ours = goredis.NewScript(`if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`)

func (s *Sessions) unlock(key, token string) {
	// The caller's context may be over; the lock must go all the same.
	_ = s.client.try(context.Background(), func(ctx context.Context) error {
		return ours.Run(ctx, s.client.rdb, []string{key}, token).Err()
	})
}
