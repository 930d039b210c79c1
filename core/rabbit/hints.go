package rabbit

import (
	"context"
	"sync"
	"time"
)

// gap is the least time between two hints about one hospital. A burst of
// messages needs one look into the ledger, not one for each.
const gap = 2 * time.Millisecond

// hints gathers hints for one taker. The first about a hospital goes at once;
// those that come within the gap become one at its end, so that there is always
// a hint after the last message.
type hints struct {
	mu      sync.Mutex
	waiting map[string]bool // nil once nobody takes them
	some    chan struct{}
	last    map[string]time.Time
}

func newHints() *hints {
	return &hints{waiting: map[string]bool{}, some: make(chan struct{}, 1), last: map[string]time.Time{}}
}

// add never blocks. A nil *hints has no taker.
func (h *hints) add(hospital string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil || h.waiting[hospital] {
		return
	}
	h.waiting[hospital] = true
	select {
	case h.some <- struct{}{}:
	default:
	}
}

// run tells hints until ctx ends or tell fails.
func (h *hints) run(ctx context.Context, tell func(hospital string) error) error {
	again := time.NewTimer(gap)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-h.some:
		case <-again.C:
		}
		due, more := h.take(time.Now())
		for _, hospital := range due {
			if err := tell(hospital); err != nil {
				return err
			}
		}
		if more {
			again.Reset(gap)
		}
	}
}

// take removes what may be told now; more says that some must wait.
func (h *hints) take(now time.Time) (due []string, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for hospital, at := range h.last {
		if now.Sub(at) >= gap {
			delete(h.last, hospital)
		}
	}
	for hospital := range h.waiting {
		if _, recent := h.last[hospital]; recent {
			more = true
			continue
		}
		delete(h.waiting, hospital)
		h.last[hospital] = now
		due = append(due, hospital)
	}
	return due, more
}

// leave takes the hints that nobody was told and drops all later ones.
func (h *hints) leave() (left []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for hospital := range h.waiting {
		left = append(left, hospital)
	}
	h.waiting = nil
	return left
}
