package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// runPatience is how long a request waits for the run that it asked for.
const runPatience = 25 * time.Second

// runs are the nights that people asked for. They outlive their requests.
type runs struct {
	nights   Nights
	log      *slog.Logger
	ctx      context.Context
	patience time.Duration

	mu sync.Mutex
	// filling are the hospitals whose missing days are being run by this process.
	filling map[string]bool
}

func newRuns(o Options) *runs {
	ctx := o.Background
	if ctx == nil {
		ctx = context.Background()
	}
	if o.patience == 0 {
		o.patience = runPatience
	}
	return &runs{nights: o.Nights, log: o.Log, ctx: ctx, patience: o.patience, filling: map[string]bool{}}
}

// ran is how a run ended.
type ran struct {
	night reconcile.Night
	err   error
}

// start begins a run and tells of its end; nobody needs to listen.
func (r *runs) start(a reconcile.Ask) <-chan ran {
	end := make(chan ran, 1)
	go func() {
		night, err := r.run(a)
		if err != nil && !errors.Is(err, reconcile.ErrNightRunning) {
			r.log.Warn("night", "hospital", a.Hospital, "day", a.Day, "error", err)
		}
		end <- ran{night, err}
	}()
	return end
}

// run keeps the process up whatever a run does: no request is around it that would.
func (r *runs) run(a reconcile.Ask) (n reconcile.Night, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("night", "hospital", a.Hospital, "day", a.Day, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errors.New("the run broke off")
		}
	}()
	return r.nights.Run(r.ctx, a)
}

// wait for the end of a run, for so long; ended is false when it goes on.
func (r *runs) wait(ctx context.Context, end <-chan ran) (result ran, ended bool) {
	enough := time.NewTimer(r.patience)
	defer enough.Stop()
	select {
	case result := <-end:
		return result, true
	case <-enough.C:
	case <-ctx.Done():
	}
	return ran{}, false
}

// fill runs days one after the other, the oldest first. One filling a hospital
// at a time; false when there is one.
func (r *runs) fill(a reconcile.Ask, days []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.filling[a.Hospital] {
		return false
	}
	r.filling[a.Hospital] = true
	go func() {
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.filling, a.Hospital)
		}()
		for _, day := range days {
			if r.ctx.Err() != nil {
				return
			}
			a.Day = day
			_, err := r.run(a)
			switch {
			case errors.Is(err, reconcile.ErrNightRunning): // somebody else runs it
			case errors.Is(err, core.ErrUnknownHospital):
				return
			case err != nil: // the days behind it may still do
				r.log.Warn("night", "hospital", a.Hospital, "day", day, "error", err)
			}
		}
	}()
	return true
}
