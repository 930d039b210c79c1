package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// script is a feed of the test's own.
type script struct {
	mu     sync.Mutex
	events []core.Event
	fail   error
}

func (s *script) Read(_ context.Context, after string, limit int) ([]core.Event, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, _ := strconv.Atoi(after)
	to := min(len(s.events), from+limit)
	if from == to {
		return nil, after, s.fail
	}
	return s.events[from:to], strconv.Itoa(to), s.fail
}

func (s *script) add(es ...core.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, es...)
}

// The change and the place in the feed are one: a crash between two events
// undoes both, two processes take each event once, and none is lost.
func TestInboxTakesEachEventOnce(t *testing.T) {
	p := newPractice(t)
	_, err := p.database.Exec(p.ctx, `create table taken (cursor text)`)
	ok(t, err)
	feed := &script{}
	for i := range 1000 {
		feed.add(core.Event{Cursor: fmt.Sprint(i)})
	}
	var mu sync.Mutex
	calls := 0
	crash := errors.New("the process died here")
	in := &clinic.Inbox{Clinic: p.orders.Clinic, Module: "test", Feed: feed, Take: func(ctx context.Context, tx pgx.Tx, e core.Event) error {
		mu.Lock()
		calls++
		die := slices.Contains([]int{1, 100, 250, 777}, calls)
		mu.Unlock()
		if _, err := tx.Exec(ctx, `insert into taken values ($1)`, e.Cursor); err != nil || !die {
			return err
		}
		return crash
	}}
	var all sync.WaitGroup
	var crashes, taken int
	for range 3 {
		all.Go(func() {
			for p.ctx.Err() == nil {
				n, err := in.Step(p.ctx)
				mu.Lock()
				taken += n
				if errors.Is(err, crash) {
					crashes++
				}
				done := taken == 1000
				mu.Unlock()
				if done || err != nil && !errors.Is(err, crash) {
					return
				}
			}
		})
	}
	all.Wait()
	if crashes != 4 {
		t.Errorf("%d crashes, want 4", crashes)
	}
	if taken != 1000 || p.count(`select count(*) from taken`) != 1000 || p.count(`select count(distinct cursor) from taken`) != 1000 {
		t.Errorf("%d events of 1000 were taken, %d rows", taken, p.count(`select count(*) from taken`))
	}
	feed.fail = errors.New("the feed is away")
	if _, err := in.Step(p.ctx); !errors.Is(err, feed.fail) {
		t.Errorf("without a feed: %v", err)
	}
}

// The inbox at rest writes nothing and holds no transaction open.
func TestInboxRuns(t *testing.T) {
	p := newPractice(t)
	feed := &script{}
	seen := make(chan string, 10)
	in := &clinic.Inbox{Clinic: p.orders.Clinic, Module: "test", Feed: feed, Take: func(_ context.Context, _ pgx.Tx, e core.Event) error {
		seen <- e.Key
		return nil
	}}
	n, err := in.Step(p.ctx)
	if n != 0 || err != nil || p.count(`select count(*) from clinic.inbox where module = 'test'`) != 0 {
		t.Errorf("an empty feed: %d events, %v", n, err)
	}
	ctx, stop := context.WithCancel(p.ctx)
	done := make(chan struct{})
	go func() { defer close(done); in.Run(ctx) }()
	for _, key := range []string{"a", "b"} {
		feed.add(core.Event{Key: key})
		select {
		case got := <-seen:
			if got != key {
				t.Errorf("took %s, want %s", got, key)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("event %s was not taken", key)
		}
	}
	stop()
	<-done
}
