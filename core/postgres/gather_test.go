package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func startGather(t *testing.T, run func(context.Context, []int) ([]int, error)) *gather[int, int] {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() { cancel(); work.Wait() })
	return newGather(ctx, &work, 2, 0, run)
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

// TestGatherPaces: who comes soon after a batch waits for company, who comes late
// enough does not, and an urgent one takes the others along at once.
func TestGatherPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		var sizes []int
		const urgent = 100
		g := newGather(ctx, &work, 1, 10*time.Millisecond, func(_ context.Context, ws []int) ([]int, error) {
			sizes = append(sizes, len(ws))
			return ws, nil
		})
		g.urgent = func(w int) bool { return w == urgent }
		began := time.Now()
		do := func(wish int, want time.Duration) func() {
			return func() {
				if r, err := g.do(ctx, wish); err != nil || r != wish {
					t.Errorf("%d got %d, %v", wish, r, err)
				}
				if took := time.Since(began); took != want {
					t.Errorf("%d was done after %s, not %s", wish, took, want)
				}
			}
		}
		var all sync.WaitGroup
		time.Sleep(time.Second)
		began = time.Now()
		do(1, 0)()
		all.Go(do(2, 10*time.Millisecond))
		time.Sleep(4 * time.Millisecond)
		all.Go(do(3, 10*time.Millisecond))
		all.Wait()
		time.Sleep(2 * time.Millisecond)
		all.Go(do(4, 15*time.Millisecond))
		time.Sleep(3 * time.Millisecond)
		all.Go(do(urgent, 15*time.Millisecond))
		all.Wait()
		time.Sleep(10 * time.Millisecond)
		do(5, 25*time.Millisecond)()
		if want := []int{1, 2, 2, 1}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v, not %v", sizes, want)
		}
		cancel()
		work.Wait()
	})
}
