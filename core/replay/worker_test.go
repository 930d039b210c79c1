package replay

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// part is the ledger of one part of a replay.
type part struct {
	mu       sync.Mutex
	work     Work
	released int
}

func (p *part) ReplayWork(context.Context, string) ([]Work, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.work.Live() {
		return nil, nil
	}
	return []Work{p.work}, nil
}

func (p *part) ReplayNext(context.Context, string, int64, string, Rules) (Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work.Waiting--
	p.work.OnWay++
	p.work.AtHIS++
	p.released++
	return Released, nil
}

func (p *part) ReplayFollow(context.Context, int64, string) (Work, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.work, nil
}

// known lets so many of those on their way become known.
func (p *part) known(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work.OnWay -= n
	p.work.AtHIS -= n
	p.work.Delivered += n
}

func (p *part) told() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.released
}

// No more of a hospital are on their way at once than the plan allows, those included
// that were on their way before; those that wait behind others in their lanes are not
// at the HIS.
func TestWorkerKeepsToTheConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &part{work: Work{Part: Part{Replay: 1, Hospital: "h1", Tally: Tally{Items: 100, Waiting: 93, OnWay: 7}}, State: Running, Rate: 1000, Concurrency: 5, AtHIS: 3}}
		w := &Worker{Process: "p", Store: p, Log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Run(ctx); close(ended) }()
		for _, step := range []struct{ known, told int }{{0, 2}, {0, 2}, {1, 3}, {5, 8}, {0, 8}} {
			p.known(step.known)
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := p.told(); n != step.told {
				t.Errorf("after %d became known %d were told, want %d", step.known, n, step.told)
			}
		}
		stop()
		<-ended
	})
}
