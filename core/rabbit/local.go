package rabbit

import (
	"context"
	"sync"

	"hishub/core/delivery"
)

var _ delivery.Wakes = (*Local)(nil)

// Local carries hints inside one process, for a hub that runs without a broker.
type Local struct {
	shard func(hospital string) int
	ear   ear
}

// NewLocal makes a Local; shard tells the shard of a hospital.
func NewLocal(shard func(hospital string) int) *Local { return &Local{shard: shard} }

// Wake implements delivery.Wakes.
func (l *Local) Wake(hospital string) { l.ear.hear(l.shard(hospital), hospital) }

// Listen implements delivery.Wakes. It returns at once.
func (l *Local) Listen(ctx context.Context, shards []int, f func(hospital string)) error {
	run := l.ear.listen(ctx, shards, f)
	go run()
	return nil
}

// ear is what one process listens to at present.
type ear struct {
	mu     sync.Mutex
	shards map[int]bool
	hints  *hints
	stop   context.CancelFunc
}

// listen takes the place of the listener before. The returned run calls f until
// ctx ends or listen is called again.
func (e *ear) listen(ctx context.Context, shards []int, f func(hospital string)) (run func()) {
	ctx, stop := context.WithCancel(ctx)
	h := newHints()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hints != nil {
		for _, hospital := range e.hints.leave() {
			h.add(hospital)
		}
		e.stop()
	}
	e.shards, e.hints, e.stop = map[int]bool{}, h, stop
	for _, shard := range shards {
		e.shards[shard] = true
	}
	return func() {
		defer stop()
		_ = h.run(ctx, func(hospital string) error { f(hospital); return nil })
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.hints == h {
			e.shards, e.hints, e.stop = nil, nil, nil
		}
	}
}

// listensTo is a set that nobody changes any more.
func (e *ear) listensTo() map[int]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shards
}

// hear passes a hint on and reports whether anybody listens to this shard.
func (e *ear) hear(shard int, hospital string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.shards[shard] {
		return false
	}
	e.hints.add(hospital)
	return true
}
