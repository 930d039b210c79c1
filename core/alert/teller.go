package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"hishub/core/incident"
)

// Teller tells routes what waits for them. Any number of processes may run it; each
// route is told by one at a time.
type Teller struct {
	Store Store
	Log   *slog.Logger
	// Look is the time between two looks for letters; 0 means a second.
	Look time.Duration
	// Result is called after each try, "sent" or "failed", for metrics; may be nil.
	Result func(route, result string)

	plan atomic.Pointer[Plan]
}

const (
	// lease is how long a process has a route. One that could not send within half of
	// it leaves it to others.
	lease   = 2 * time.Minute
	sending = 45 * time.Second
	// forgetEvery is the time between two cleanings.
	forgetEvery = 6 * time.Hour
)

// Use follows another plan from now on.
func (t *Teller) Use(p *Plan) { t.plan.Store(p) }

// Plan is the one that it follows; never nil.
func (t *Teller) Plan() *Plan {
	if p := t.plan.Load(); p != nil {
		return p
	}
	return &Plan{Thresholds: incident.DefaultThresholds()}
}

// Run tells until ctx ends; what is being sent then is sent and noted first.
func (t *Teller) Run(ctx context.Context) {
	look := t.Look
	if look == 0 {
		look = time.Second
	}
	var calls sync.WaitGroup
	defer calls.Wait()
	var forgot time.Time
	for {
		t.round(ctx, &calls)
		if now := time.Now(); now.Sub(forgot) > forgetEvery {
			forgot = now
			if err := t.Store.ForgetAlerts(ctx); err != nil && ctx.Err() == nil {
				t.Log.Error("forget old alerts", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
	}
}

func (t *Teller) round(ctx context.Context, calls *sync.WaitGroup) {
	plan, began := t.Plan(), time.Now()
	wanted := plan.wanted(began)
	if len(wanted) == 0 {
		return
	}
	letters, err := t.Store.TakeLetters(ctx, wanted, lease)
	if err != nil {
		if ctx.Err() == nil {
			t.Log.Error("look for alerts", "error", err)
		}
		return
	}
	for _, l := range letters {
		if route, ok := plan.Route(l.Route); ok {
			calls.Go(func() { t.tell(ctx, route, l, began) })
		}
	}
}

// tell sends one letter and notes how it went. It goes on when ctx ends: who stops
// in between makes the route hear twice.
func (t *Teller) tell(ctx context.Context, route Route, l Letter, taken time.Time) {
	if time.Since(taken) > lease/2 {
		return // this process stood still; the letter is another's soon
	}
	ctx = context.WithoutCancel(ctx)
	send, cancel := context.WithTimeout(ctx, sending)
	defer cancel()
	err := route.channel.Send(send, l)
	note, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err == nil {
		t.result(l.Route, "sent")
		t.Log.Info("alerted", "route", l.Route, "letter", l.ID, "incidents", len(l.Entries))
		err = t.Store.LetterTold(note, l, route.channel.Pause())
	} else {
		t.result(l.Route, "failed")
		t.Log.Warn("a route did not take an alert", "route", l.Route, "letter", l.ID, "failures", l.Failures+1, "error", err)
		err = t.Store.LetterFailed(note, l, again(err, l.Failures), err.Error())
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Log.Error("note what became of an alert", "route", l.Route, "error", err)
	}
}

func (t *Teller) result(route, result string) {
	if t.Result != nil {
		t.Result(route, result)
	}
}
