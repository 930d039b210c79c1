package appointment

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
)

// Local is the queue inside one process: a worker for each of some hashes of lanes.
type Local struct{ lines []chan string }

// NewLocal makes a queue of n workers, each with room for 4,096 tickets.
func NewLocal(n int) *Local {
	l := &Local{lines: make([]chan string, n)}
	for i := range l.lines {
		l.lines[i] = make(chan string, 4096)
	}
	return l
}

var errNoRoom = errors.New("the line is full")

// Publish implements Queue.
func (l *Local) Publish(_ context.Context, lane, ticket string) error {
	h := fnv.New32a()
	h.Write([]byte(lane))
	select {
	case l.lines[h.Sum32()%uint32(len(l.lines))] <- ticket:
		return nil
	default:
		return errNoRoom
	}
}

// Consume implements Queue. What cannot be handled is left to the sweep.
func (l *Local) Consume(ctx context.Context, handle func(context.Context, string) error) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, line := range l.lines {
		all.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case ticket := <-line:
					_ = handle(ctx, ticket)
				}
			}
		})
	}
}
