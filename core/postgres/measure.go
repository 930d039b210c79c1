package postgres

import (
	"context"
	"time"
)

// Measure is told how the ledger does. Its functions must not block; nil ones are
// not called.
type Measure struct {
	// Accepted is how long a caller of Enqueue or EnqueueAs waited until its message
	// was durable. What is enqueued in a caller's own transaction is not told.
	Accepted func(took time.Duration)
	// Batch is one transaction for many: accept, mark, settle or claim, how many
	// shared it and how long it took.
	Batch func(work string, size int, took time.Duration)
}

func (m Measure) orNothing() Measure {
	if m.Accepted == nil {
		m.Accepted = func(time.Duration) {}
	}
	if m.Batch == nil {
		m.Batch = func(string, int, time.Duration) {}
	}
	return m
}

// batched measures the transactions of a gather.
func batched[W, R any](s *Store, work string, run func(context.Context, []W) ([]R, error)) func(context.Context, []W) ([]R, error) {
	return func(ctx context.Context, wishes []W) ([]R, error) {
		began := time.Now()
		results, err := run(ctx, wishes)
		s.Batch(work, len(wishes), time.Since(began))
		return results, err
	}
}
