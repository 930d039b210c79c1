package postgres

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxTogether is how many callers share a transaction.
	maxTogether = 128
	maxTries    = 6
	// batchLimit bounds one transaction of a batch.
	batchLimit = 30 * time.Second
)

// ErrClosed is returned when the store was closed before it began.
var ErrClosed = errors.New("the ledger is closed")

// gather lets concurrent callers share durable transactions: while one batch is
// being committed, the callers that come meanwhile wait to form the next.
type gather[W, R any] struct {
	// run does all wishes in one transaction and answers each, in their order.
	run  func(ctx context.Context, wishes []W) ([]R, error)
	in   chan *waiting[W, R]
	quit <-chan struct{}
	// pace is the least time between the beginnings of two batches. Who comes later
	// than that after the last one pays nothing; when many come, they share one. A
	// batch of one costs the server half as much as one of eight.
	pace time.Duration
	// urgent wishes don't wait for the pace, nor do those that gathered with them;
	// nil: none is.
	urgent func(W) bool

	forming sync.Mutex // held by the worker whose batch forms
	begun   time.Time
}

type waiting[W, R any] struct {
	wish W
	done chan struct{}
	R    R
	err  error
}

// newGather starts workers. With two, one batch can be prepared and sent while
// another waits for the disk; with one, batches are larger and cost less.
func newGather[W, R any](ctx context.Context, work *sync.WaitGroup, workers int, pace time.Duration, run func(context.Context, []W) ([]R, error)) *gather[W, R] {
	g := &gather[W, R]{run: run, in: make(chan *waiting[W, R]), quit: ctx.Done(), pace: pace}
	for range workers {
		work.Go(g.work)
	}
	return g
}

// do has one wish done. When ctx ends while it is under way, it may or may not
// have been done, as with any lost connection.
func (g *gather[W, R]) do(ctx context.Context, wish W) (R, error) {
	w := &waiting[W, R]{wish: wish, done: make(chan struct{})}
	select {
	case g.in <- w:
	case <-ctx.Done():
		return w.R, ctx.Err()
	case <-g.quit:
		return w.R, ErrClosed
	}
	select {
	case <-w.done:
		return w.R, w.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

func (g *gather[W, R]) work() {
	for {
		batch := g.form()
		if batch == nil {
			return
		}
		g.together(batch)
	}
}

// form is the next batch; nil at the end.
func (g *gather[W, R]) form() (batch []*waiting[W, R]) {
	g.forming.Lock()
	defer g.forming.Unlock()
	select {
	case <-g.quit:
		return nil
	case first := <-g.in:
		batch = []*waiting[W, R]{first}
	}
	if wait := g.pace - time.Since(g.begun); wait > 0 && !g.hurries(batch[0]) {
		batch = g.until(time.NewTimer(wait), batch)
	}
	batch = g.more(batch)
	g.begun = time.Now()
	return batch
}

func (g *gather[W, R]) hurries(w *waiting[W, R]) bool { return g.urgent != nil && g.urgent(w.wish) }

// until takes whoever comes until then.
func (g *gather[W, R]) until(then *time.Timer, batch []*waiting[W, R]) []*waiting[W, R] {
	defer then.Stop()
	for len(batch) < maxTogether {
		select {
		case w := <-g.in:
			batch = append(batch, w)
			if g.hurries(w) {
				return batch
			}
		case <-then.C:
			return batch
		case <-g.quit: // they were taken, so they are done
			return batch
		}
	}
	return batch
}

// more takes whoever is waiting now.
func (g *gather[W, R]) more(batch []*waiting[W, R]) []*waiting[W, R] {
	for len(batch) < maxTogether {
		select {
		case w := <-g.in:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

func (g *gather[W, R]) together(batch []*waiting[W, R]) {
	wishes := make([]W, len(batch))
	for i, w := range batch {
		wishes[i] = w.wish
	}
	// Not a caller's context: one that gives up must not spoil the others' batch.
	ctx, cancel := context.WithTimeout(context.Background(), batchLimit)
	results, err := g.try(ctx, wishes)
	cancel()
	if err != nil && len(batch) > 1 && sqlState(err) != "" {
		// The server refused it for the sake of one of them.
		for i := range batch {
			g.together(batch[i : i+1])
		}
		return
	}
	for i, w := range batch {
		if err == nil {
			w.R = results[i]
		}
		w.err = err
		close(w.done)
	}
}

func (g *gather[W, R]) try(ctx context.Context, wishes []W) (results []R, err error) {
	for range maxTries {
		if results, err = g.run(ctx, wishes); !rolledBack(err) {
			break
		}
	}
	return results, err
}
