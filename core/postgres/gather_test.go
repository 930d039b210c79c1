package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func startGather(t *testing.T, run func(context.Context, []int) ([]int, error)) *gather[int, int] {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() { cancel(); work.Wait() })
	return newGather(ctx, &work, 2, run)
}

// Everybody gets the answer to his own wish.
func TestGatherAnswersEachItsOwn(t *testing.T) {
	const callers = 50
	begun, open := make(chan int, callers), make(chan struct{})
	g := startGather(t, func(_ context.Context, ws []int) ([]int, error) {
		begun <- len(ws)
		<-open
		return ws, nil
	})
	var all sync.WaitGroup
	call := func(i int) {
		all.Go(func() {
			if r, err := g.do(context.Background(), i); err != nil || r != i {
				t.Errorf("caller %d got %d: %v", i, r, err)
			}
		})
	}
	for i := range 2 {
		call(i)
		if n := <-begun; n != 1 {
			t.Errorf("the first batches hold %d", n)
		}
	}
	for i := 2; i < callers; i++ {
		call(i)
	}
	close(open)
	all.Wait()
}

func TestGatherTriesAgainWhatTheServerUndid(t *testing.T) {
	tries := 0
	g := startGather(t, func(_ context.Context, ws []int) ([]int, error) {
		if tries++; tries < 3 {
			return nil, &pgconn.PgError{Code: "40P01"}
		}
		return ws, nil
	})
	if r, err := g.do(context.Background(), 7); err != nil || r != 7 || tries != 3 {
		t.Errorf("got %d after %d tries: %v", r, tries, err)
	}
}

func TestGatherLeavesNobodyWithAnothersError(t *testing.T) {
	g := startGather(t, nil)
	g.run = func(_ context.Context, ws []int) ([]int, error) {
		for _, w := range ws {
			if w == 3 {
				return nil, &pgconn.PgError{Code: "22021"}
			}
		}
		return ws, nil
	}
	batch := make([]*waiting[int, int], 6)
	for i := range batch {
		batch[i] = &waiting[int, int]{wish: i, done: make(chan struct{})}
	}
	g.together(batch)
	for i, w := range batch {
		<-w.done
		if (w.err != nil) != (i == 3) || w.err == nil && w.R != i {
			t.Errorf("caller %d got %d: %v", i, w.R, w.err)
		}
	}
}

// An unknown outcome (the connection broke) is nobody's to repeat in silence.
func TestGatherDoesNotRepeatAnUnknownOutcome(t *testing.T) {
	tries := 0
	broken := errors.New("connection reset")
	g := startGather(t, nil)
	g.run = func(_ context.Context, ws []int) ([]int, error) { tries++; return nil, broken }
	batch := []*waiting[int, int]{{done: make(chan struct{})}, {done: make(chan struct{})}}
	g.together(batch)
	if tries != 1 || !errors.Is(batch[0].err, broken) || !errors.Is(batch[1].err, broken) {
		t.Errorf("%d tries, %v", tries, batch[1].err)
	}
}
