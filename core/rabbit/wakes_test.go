package rabbit

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core/delivery"
	"hishub/mocks/servers"
)

// shardOf gives h0 to h15 the shards 0 to 15.
func shardOf(hospital string) (shard int) {
	fmt.Sscanf(hospital, "h%d", &shard)
	return shard
}

func all(from, to int) (shards []int) {
	for s := from; s <= to; s++ {
		shards = append(shards, s)
	}
	return shards
}

// TestWakes is what both kinds of Wakes must do.
func TestWakes(t *testing.T) {
	t.Run("local", func(t *testing.T) {
		wakes(t, func(*testing.T) (a, b delivery.Wakes) {
			l := NewLocal(shardOf)
			return l, l // one process only
		})
	})
	t.Run("rabbitmq", func(t *testing.T) {
		wakes(t, func(t *testing.T) (a, b delivery.Wakes) {
			url := servers.RabbitMQ(t)
			return NewWakes(dial(t, url), shardOf), NewWakes(dial(t, url), shardOf)
		})
	})
}

// wakes runs the suite on a process that wakes and one that listens.
func wakes(t *testing.T, open func(*testing.T) (a, b delivery.Wakes)) {
	t.Run("nobody listens", func(t *testing.T) {
		a, _ := open(t)
		began := time.Now()
		for i := range 100_000 {
			a.Wake(fmt.Sprint("h", i%16))
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("100,000 hints took %v", took)
		}
	})

	t.Run("hints come to who listens to the shard", func(t *testing.T) {
		a, b := open(t)
		got := listen(t, b, all(0, 7))
		for i := range 8 {
			wakeUntil(t, a, fmt.Sprint("h", i), got)
		}
		a.Wake("h8")
		a.Wake("h15")
		wakeUntil(t, a, "h0", got)
		if others := got.others(all(0, 7)); others != nil {
			t.Errorf("hints about %v came to who does not listen to them", others)
		}
	})

	t.Run("a burst is few hints, one of them after its end", func(t *testing.T) {
		a, b := open(t)
		got := listen(t, b, all(0, 15))
		wakeUntil(t, a, "h3", got)
		got.calls.Store(0)
		began := time.Now()
		for range 20_000 {
			a.Wake("h3")
		}
		lasted := time.Since(began)
		end := time.Now()
		a.Wake("h3")
		eventually(t, "a hint follows the last one", func() bool { return got.since("h3", end) })
		if n, most := got.calls.Load(), int64(lasted/gap)+4; n > most {
			t.Errorf("%d hints in %v, want %d at most", n, lasted, most)
		}
	})

	t.Run("shards come and go", func(t *testing.T) {
		a, b := open(t)
		first := listen(t, b, []int{1, 2})
		wakeUntil(t, a, "h1", first)
		wakeUntil(t, a, "h2", first)
		second := listen(t, b, []int{2, 3})
		wakeUntil(t, a, "h2", second)
		wakeUntil(t, a, "h3", second)
		eventually(t, "shard 1 is given up", func() bool {
			before := second.calls.Load() + first.calls.Load()
			a.Wake("h1")
			time.Sleep(3 * gap)
			return second.calls.Load()+first.calls.Load() == before
		})
		calls := first.calls.Load()
		wakeUntil(t, a, "h2", second)
		if first.calls.Load() != calls || slices.Contains(second.others([]int{2, 3}), "h1") {
			t.Error("the former listener is still called, or the new one for a shard given up")
		}
	})

	t.Run("listening ends with its context", func(t *testing.T) {
		a, b := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		got := newHeard()
		if err := b.Listen(ctx, all(0, 15), got.hear); err != nil {
			t.Fatal(err)
		}
		wakeUntil(t, a, "h5", got)
		cancel()
		eventually(t, "hints end", func() bool {
			before := got.calls.Load()
			a.Wake("h5")
			time.Sleep(3 * gap)
			return got.calls.Load() == before
		})
		again := listen(t, b, all(0, 15))
		wakeUntil(t, a, "h5", again)
	})

	t.Run("a listener may wake", func(t *testing.T) {
		a, b := open(t)
		done := make(chan struct{}, 1)
		if err := b.Listen(t.Context(), all(0, 15), func(hospital string) {
			if hospital == "h1" {
				b.Wake("h2")
			} else {
				select {
				case done <- struct{}{}:
				default:
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the second hint comes", func() bool {
			a.Wake("h1")
			select {
			case <-done:
				return true
			case <-time.After(10 * time.Millisecond):
				return false
			}
		})
	})
}

// TestShardsMoveBetweenProcesses: two processes share the shards, then one takes all.
func TestShardsMoveBetweenProcesses(t *testing.T) {
	url := servers.RabbitMQ(t)
	a, b, third := NewWakes(dial(t, url), shardOf), NewWakes(dial(t, url), shardOf), NewWakes(dial(t, url), shardOf)
	gotA := listen(t, a, all(0, 15))
	for i := range 16 {
		wakeUntil(t, third, fmt.Sprint("h", i), gotA)
	}
	gotA = listen(t, a, all(0, 7))
	gotB := listen(t, b, all(8, 15))
	for i := range 16 {
		got := gotA
		if i >= 8 {
			got = gotB
		}
		wakeUntil(t, third, fmt.Sprint("h", i), got)
	}
	listen(t, a, nil)
	gotB = listen(t, b, all(0, 15))
	for i := range 16 {
		wakeUntil(t, third, fmt.Sprint("h", i), gotB)
	}
}

// TestOwnShardsNeedNoBroker: a hint for the process itself is there at once.
func TestOwnShardsNeedNoBroker(t *testing.T) {
	w := NewWakes(dial(t, "amqp://u:p@127.0.0.1:1/"), shardOf)
	got := listen(t, w, []int{1})
	w.Wake("h2") // lost
	began := time.Now()
	w.Wake("h1")
	eventually(t, "the hint comes", func() bool { return got.since("h1", began) })
	if got.others([]int{1}) != nil {
		t.Error("a hint for others came here")
	}
}

func TestListenAfterClose(t *testing.T) {
	c := dial(t, "amqp://u:p@127.0.0.1:1/")
	w := NewWakes(c, shardOf)
	c.Close()
	if err := w.Listen(t.Context(), []int{1}, func(string) {}); err == nil {
		t.Error("listening on a closed connection")
	}
	w.Wake("h1")
}

// heard is what a listener was told.
type heard struct {
	calls atomic.Int64
	last  [16]atomic.Int64 // Unix nanoseconds, by shard
}

func newHeard() *heard { return &heard{} }

func (h *heard) hear(hospital string) {
	h.last[shardOf(hospital)].Store(time.Now().UnixNano())
	h.calls.Add(1)
}

func (h *heard) since(hospital string, t time.Time) bool {
	return h.last[shardOf(hospital)].Load() >= t.UnixNano()
}

// others are the hospitals heard of that are not in these shards.
func (h *heard) others(shards []int) (hospitals []string) {
	for s := range h.last {
		if h.last[s].Load() != 0 && !slices.Contains(shards, s) {
			hospitals = append(hospitals, fmt.Sprint("h", s))
		}
	}
	return hospitals
}

func listen(t *testing.T, w delivery.Wakes, shards []int) *heard {
	t.Helper()
	h := newHeard()
	if err := w.Listen(t.Context(), shards, h.hear); err != nil {
		t.Fatal(err)
	}
	return h
}

// wakeUntil wakes until the listener hears it: hints may be lost while a
// connection or a consumer is being made.
func wakeUntil(t *testing.T, w delivery.Wakes, hospital string, got *heard) {
	t.Helper()
	began := time.Now()
	eventually(t, hospital+" is heard of", func() bool {
		w.Wake(hospital)
		return got.since(hospital, began)
	})
}
