package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hishub/mocks/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// TestConformance is what both kinds of Redis must do.
func TestConformance(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		conformance(t, func(t *testing.T) (a, b *Client) {
			c := Embedded()
			t.Cleanup(func() { closed(t, c) })
			return c, c // one process only
		})
	})
	t.Run("server", func(t *testing.T) {
		url := servers.Redis(t)
		conformance(t, func(t *testing.T) (a, b *Client) {
			a, b = opened(t, url), opened(t, url)
			if err := a.rdb.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			return a, b
		})
	})
}

// conformance runs the suite on two clients of one Redis, as of two processes.
func conformance(t *testing.T, open func(*testing.T) (a, b *Client)) {
	ctx := t.Context()

	t.Run("a session is seen by all and per hospital and name", func(t *testing.T) {
		a, b := open(t)
		here, there := NewSessions(a), NewSessions(b)
		put(t, here, "dongshan", "token", map[string]string{"token": "T1", "expires": "7200"}, 0)
		values, ok, err := there.Get(ctx, "dongshan", "token")
		if err != nil || !ok || values["token"] != "T1" || values["expires"] != "7200" || len(values) != 2 {
			t.Errorf("got %d values, %v, %v", len(values), ok, err)
		}
		for _, other := range [][2]string{{"dongshan", "other"}, {"xihu", "token"}} {
			if _, ok, err := there.Get(ctx, other[0], other[1]); ok || err != nil {
				t.Errorf("%v: found %v, %v; want nothing", other, ok, err)
			}
		}
	})

	t.Run("a session expires", func(t *testing.T) {
		a, b := open(t)
		here, there := NewSessions(a), NewSessions(b)
		put(t, here, "dongshan", "token", map[string]string{"token": "T1"}, 150*time.Millisecond)
		if _, ok, _ := there.Get(ctx, "dongshan", "token"); !ok {
			t.Fatal("gone at once")
		}
		eventually(t, "the session expires", func() bool {
			_, ok, err := there.Get(ctx, "dongshan", "token")
			return !ok && err == nil
		})
		put(t, here, "dongshan", "token", map[string]string{"token": "T2"}, time.Hour)
		put(t, here, "dongshan", "token", map[string]string{"token": "T2"}, -time.Second)
		if _, ok, _ := here.Get(ctx, "dongshan", "token"); ok {
			t.Error("a session that is over was kept")
		}
	})

	t.Run("one logs in at a time", func(t *testing.T) {
		a, b := open(t)
		stores := []*Sessions{NewSessions(a), NewSessions(b)}
		var inside, most, logins atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				unlock, err := stores[i%2].Lock(ctx, "dongshan", "token")
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				logins.Add(1)
				time.Sleep(time.Millisecond)
				inside.Add(-1)
				unlock()
				unlock() // harmless
			})
		}
		all.Wait()
		if n := a.rdb.Exists(ctx, lockKey("dongshan", "token")).Val(); n != 0 {
			t.Error("the lock stayed")
		}
		if most.Load() != 1 || logins.Load() != 16 {
			t.Errorf("%d logins, up to %d at once", logins.Load(), most.Load())
		}
	})

	t.Run("waiting for a login ends with its context", func(t *testing.T) {
		a, b := open(t)
		here, there := NewSessions(a), NewSessions(b)
		unlock, err := here.Lock(ctx, "dongshan", "token")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*Sessions{here, there} {
			soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			if _, err := s.Lock(soon, "dongshan", "token"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want a deadline exceeded", err)
			}
			cancel()
		}
		if free, err := there.Lock(ctx, "dongshan", "other"); err != nil {
			t.Error(err)
		} else {
			free()
		}
		unlock()
		again, err := there.Lock(ctx, "dongshan", "token")
		if err != nil {
			t.Fatal(err)
		}
		again()
	})

	t.Run("a late unlock leaves the next one's lock alone", func(t *testing.T) {
		a, b := open(t)
		unlock, err := NewSessions(a).Lock(ctx, "dongshan", "token")
		if err != nil {
			t.Fatal(err)
		}
		key := lockKey("dongshan", "token")
		if ttl := a.rdb.PTTL(ctx, key).Val(); ttl <= 0 || ttl > lockedFor {
			t.Errorf("the lock ends after %v, want %v at most", ttl, lockedFor)
		}
		a.rdb.Del(ctx, key) // as if its minute were over
		next, err := NewSessions(b).Lock(ctx, "dongshan", "token")
		if err != nil {
			t.Fatal(err)
		}
		unlock()
		if n := b.rdb.Exists(ctx, key).Val(); n != 1 {
			t.Error("the late unlock took the next one's lock away")
		}
		next()
		if n := b.rdb.Exists(ctx, key).Val(); n != 0 {
			t.Error("the lock stayed after its unlock")
		}
	})

	t.Run("a limit holds over all, burst first", func(t *testing.T) {
		a, b := open(t)
		limits := []*Limits{NewLimits(a, func() { t.Error("failed open") }), NewLimits(b, nil)}
		allowed := 0
		var wait time.Duration
		for i := range 20 {
			ok, after, err := limits[i%2].Allow(ctx, "key1", 2, 5)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				allowed++
			} else {
				wait = after
			}
		}
		if allowed < 5 || allowed > 6 {
			t.Errorf("%d allowed at once, want the burst of 5", allowed)
		}
		if wait <= 0 || wait > 500*time.Millisecond {
			t.Errorf("wait %v, want up to half a second at 2 per second", wait)
		}
		if ok, _, _ := limits[0].Allow(ctx, "key2", 2, 5); !ok {
			t.Error("another key pays for it")
		}
		for range 20 {
			if ok, _, _ := limits[0].Allow(ctx, "key3", 0, 0); !ok {
				t.Fatal("0 per second must be unlimited")
			}
		}
		eventually(t, "the limit is free again", func() bool {
			ok, _, _ := limits[0].Allow(ctx, "key1", 2, 5)
			return ok
		})
	})

	t.Run("an answer is kept for its time", func(t *testing.T) {
		a, b := open(t)
		here, there := NewCache(a), NewCache(b)
		if _, ok := here.Get(ctx, "k"); ok {
			t.Error("found before it was put")
		}
		binary := []byte("{\"测试\":\n\x00\xff}")
		here.Put(ctx, "k", binary, 200*time.Millisecond)
		if got, ok := there.Get(ctx, "k"); !ok || string(got) != string(binary) {
			t.Errorf("got %q, %v", got, ok)
		}
		eventually(t, "the answer expires", func() bool { _, ok := there.Get(ctx, "k"); return !ok })
		here.Put(ctx, "k", binary, 0)
		if _, ok := here.Get(ctx, "k"); ok {
			t.Error("kept for no time")
		}
	})

	t.Run("fetch asks once", func(t *testing.T) {
		a, b := open(t)
		here, there := NewCache(a), NewCache(b)
		var asked atomic.Int32
		asking, answer := make(chan struct{}), make(chan struct{})
		ask := func(context.Context) ([]byte, error) {
			if asked.Add(1) == 1 {
				close(asking)
			}
			<-answer
			return []byte("departments"), nil
		}
		before := time.Now().Truncate(time.Millisecond)
		var all sync.WaitGroup
		fetch := func() {
			value, asOf, err := here.Fetch(ctx, "k", time.Hour, ask)
			if string(value) != "departments" || asOf.Before(before) || err != nil {
				t.Errorf("got %q as of %v, %v", value, asOf, err)
			}
		}
		all.Go(fetch)
		<-asking
		gone, cancel := context.WithCancel(ctx)
		all.Go(func() {
			if _, _, err := here.Fetch(gone, "k", time.Hour, ask); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that left got %v", err)
			}
		})
		cancel()
		for range 8 {
			all.Go(fetch)
		}
		close(answer)
		all.Wait()
		never := func(context.Context) ([]byte, error) { t.Error("asked again"); return nil, nil }
		value, asOf, err := there.Fetch(ctx, "k", time.Hour, never)
		if string(value) != "departments" || asOf.Before(before) || time.Since(asOf) > time.Minute || err != nil {
			t.Errorf("kept: %q as of %v, %v", value, asOf, err)
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
	})

	t.Run("a failure is not kept", func(t *testing.T) {
		a, _ := open(t)
		cache := NewCache(a)
		down := errors.New("the HIS is down")
		if _, _, err := cache.Fetch(ctx, "k", time.Hour, func(context.Context) ([]byte, error) { return nil, down }); !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
		value, _, err := cache.Fetch(ctx, "k", time.Hour, func(context.Context) ([]byte, error) { return []byte("up"), nil })
		if string(value) != "up" || err != nil {
			t.Errorf("got %q, %v", value, err)
		}
	})

	t.Run("memory is swapped and counted by one at a time", func(t *testing.T) {
		a, b := open(t)
		memories := []*Memory{NewMemory(a), NewMemory(b)}
		here, there := memories[0], memories[1]
		if _, ok, err := here.Get(ctx, "k"); ok || err != nil {
			t.Errorf("found %v, %v; want nothing", ok, err)
		}
		if swapped, err := here.Swap(ctx, "k", []byte("0"), []byte("1"), time.Hour); swapped || err != nil {
			t.Errorf("swapped what is not there: %v, %v", swapped, err)
		}
		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				swapped, err := memories[i%2].Swap(ctx, "k", nil, []byte("0"), time.Hour)
				if err != nil {
					t.Error(err)
				}
				if swapped {
					won.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d put the first value", won.Load())
		}
		for i := range 8 { // each adds one, whoever else does
			all.Go(func() {
				m := memories[i%2]
				for {
					old, _, err := m.Get(ctx, "k")
					if err != nil {
						t.Error(err)
						return
					}
					swapped, err := m.Swap(ctx, "k", old, append(bytes.Clone(old), 'x'), time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					if swapped {
						return
					}
				}
			})
		}
		all.Wait()
		if value, ok, err := there.Get(ctx, "k"); string(value) != "0xxxxxxxx" || !ok || err != nil {
			t.Errorf("%q, %v, %v: a swap was lost", value, ok, err)
		}
		if swapped, err := here.Swap(ctx, "k", []byte("other"), []byte("1"), time.Hour); swapped || err != nil {
			t.Errorf("swapped another value: %v, %v", swapped, err)
		}
		won.Store(0)
		for i := range 8 {
			all.Go(func() {
				n, err := memories[i%2].Delete(ctx, "k", "none")
				if err != nil {
					t.Error(err)
				}
				won.Add(int32(n))
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d deleted it", won.Load())
		}
		seen := make([]atomic.Bool, 33)
		for i := range 32 {
			all.Go(func() {
				n, err := memories[i%2].Count(ctx, "n", time.Hour)
				if err != nil || n < 1 || n > 32 || seen[n].Swap(true) {
					t.Errorf("counted %d, %v", n, err)
				}
			})
		}
		all.Wait()
		if _, err := here.Count(ctx, "soon", 150*time.Millisecond); err != nil {
			t.Error(err)
		}
		if err := here.Put(ctx, "soon too", []byte("v"), 150*time.Millisecond); err != nil {
			t.Error(err)
		}
		eventually(t, "counts and values end", func() bool {
			n, err := there.Count(ctx, "soon", 150*time.Millisecond)
			_, ok, err2 := there.Get(ctx, "soon too")
			return n == 1 && !ok && err == nil && err2 == nil
		})
		if err := here.Put(ctx, "soon too", []byte("v"), -time.Second); err != nil {
			t.Error(err)
		}
	})

	t.Run("everything lost is asked for again", func(t *testing.T) {
		a, _ := open(t)
		sessions, cache := NewSessions(a), NewCache(a)
		limits := NewLimits(a, func() { t.Error("failed open") })
		put(t, sessions, "dongshan", "token", map[string]string{"token": "T1"}, 0)
		cache.Put(ctx, "k", []byte("v"), time.Hour)
		limits.Allow(ctx, "key", 1, 1)
		unlock, err := sessions.Lock(ctx, "dongshan", "token")
		if err != nil {
			t.Fatal(err)
		}
		if err := a.rdb.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		a.buckets = nil // the embedded one keeps its limits beside
		unlock()
		if _, ok, err := sessions.Get(ctx, "dongshan", "token"); ok || err != nil {
			t.Errorf("session: %v, %v; want a miss, which is a new login", ok, err)
		}
		if _, ok := cache.Get(ctx, "k"); ok {
			t.Error("the answer is still there")
		}
		if ok, _, err := limits.Allow(ctx, "key", 1, 1); !ok || err != nil {
			t.Errorf("limit: %v, %v", ok, err)
		}
	})
}

// TestLoss takes Redis away, by death and by silence, and gives it back.
func TestLoss(t *testing.T) {
	for name, loss := range map[string]struct {
		away func(*servers.Server)
		back func(*testing.T, *servers.Server)
	}{
		"killed": {
			(*servers.Server).Kill,
			func(t *testing.T, s *servers.Server) {
				if err := s.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
		},
		"frozen": {
			(*servers.Server).Pause,
			func(_ *testing.T, s *servers.Server) { s.Resume() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			dir, remove, err := servers.TempDir()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(remove)
			server, err := servers.StartRedis(ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Kill)
			client := opened(t, server.URL)
			var failedOpen atomic.Int32
			sessions, cache, limits := NewSessions(client), NewCache(client), NewLimits(client, func() { failedOpen.Add(1) })

			put(t, sessions, "dongshan", "token", map[string]string{"token": "T1"}, 0)
			limits.Allow(ctx, "key", 1, 1)
			unlock, err := sessions.Lock(ctx, "dongshan", "token")
			if err != nil {
				t.Fatal(err)
			}
			loss.away(server)

			began := time.Now()
			unlock()
			for range 200 {
				if ok, _, err := limits.Allow(ctx, "key", 1, 1); !ok || err != nil {
					t.Fatalf("allow: %v, %v; it must fail open", ok, err)
				}
				cache.Put(ctx, "k", []byte("v"), time.Hour)
				value, _, err := cache.Fetch(ctx, "k", time.Hour, func(context.Context) ([]byte, error) { return []byte("from the HIS"), nil })
				if string(value) != "from the HIS" || err != nil {
					t.Fatalf("fetch: %q, %v", value, err)
				}
			}
			if failedOpen.Load() != 200 {
				t.Errorf("%d calls were said to be allowed without a look, want 200", failedOpen.Load())
			}
			if values, ok, err := sessions.Get(ctx, "dongshan", "token"); !ok || values["token"] != "T1" || err != nil {
				t.Errorf("this process must still know its own login: %v, %v", ok, err)
			}
			relock, err := sessions.Lock(ctx, "dongshan", "token")
			if err != nil {
				t.Fatalf("lock without Redis: %v", err)
			}
			soon, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
			if _, err := sessions.Lock(soon, "dongshan", "token"); err == nil {
				t.Error("two logins at once in one process")
			}
			cancel()
			put(t, sessions, "dongshan", "token", map[string]string{"token": "T2"}, 0)
			relock()
			if values, ok, _ := sessions.Get(ctx, "dongshan", "token"); !ok || values["token"] != "T2" {
				t.Error("the login made without Redis is not known")
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("800 calls without Redis took %v", took)
			}
			if client.Ready(ctx) == nil {
				t.Error("ready without Redis")
			}
			if _, ok, err := NewMemory(client).Get(ctx, "k"); ok || err == nil {
				t.Error("what is in memory was guessed without Redis")
			}

			loss.back(t, server)
			eventually(t, "redis is used again", func() bool {
				cache.Put(ctx, "back", []byte("v"), time.Hour)
				_, ok := cache.Get(ctx, "back")
				return ok
			})
			if err := client.Ready(ctx); err != nil {
				t.Error(err)
			}
			failedOpen.Store(0)
			refused := 0
			for range 10 {
				if ok, _, _ := limits.Allow(ctx, "key", 1, 1); !ok {
					refused++
				}
			}
			if refused == 0 || failedOpen.Load() != 0 {
				t.Errorf("after Redis came back %d of 10 were refused, %d failed open", refused, failedOpen.Load())
			}
		})
	}
}

func TestRedisThatComesLater(t *testing.T) {
	client := opened(t, "redis://:geheim@127.0.0.1:1/0")
	if ok, _, err := NewLimits(client, nil).Allow(t.Context(), "key", 1, 1); !ok || err != nil {
		t.Errorf("%v, %v; want failed open", ok, err)
	}
	err := client.Ready(t.Context())
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("ready: %v", err)
	}
}

func TestPasswordNeverShows(t *testing.T) {
	for _, url := range []string{"redis://u:geheim@[::1", "http://u:geheim@x", "redis://u:geheim@x:port/0", "redis://u:geheim@x/name", "redis://u:ge%heim@x"} {
		c, err := Open(url)
		if err == nil {
			c.Close()
			t.Errorf("%q was taken", url)
		} else if strings.Contains(err.Error(), "heim") {
			t.Errorf("the error shows the password")
		}
	}
}

func TestCallerThatLeft(t *testing.T) {
	client := Embedded()
	t.Cleanup(func() { closed(t, client) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, _, err := NewLimits(client, nil).Allow(ctx, "key", 1, 1); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("allow: %v, %v", ok, err)
	}
	if _, _, err := NewSessions(client).Get(ctx, "h", "s"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if away := client.awayUntil.Load(); away != 0 {
		t.Error("one caller that left sent Redis to rest for all")
	}
}

func opened(t *testing.T, url string) *Client {
	t.Helper()
	c, err := Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, c) })
	return c
}

// closed closes twice and expects no goroutine to stay.
func closed(t *testing.T, c *Client) {
	t.Helper()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func TestNoGoroutineStays(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := Embedded()
	NewCache(c).Put(t.Context(), "k", []byte("v"), time.Hour)
	closed(t, c)
	goleak.VerifyNone(t, before)
}

func put(t *testing.T, s *Sessions, hospital, session string, values map[string]string, ttl time.Duration) {
	t.Helper()
	if err := s.Put(t.Context(), hospital, session, values, ttl); err != nil {
		t.Fatal(fmt.Errorf("put: %w", err))
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s in vain until %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
