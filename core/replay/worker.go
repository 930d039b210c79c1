package replay

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"hishub/core"
)

// Rules says what the folder of a hospital says of repeating a transaction; revision
// 0 is the newest.
type Rules func(ctx context.Context, hospital string, kind core.Kind, revision int) (Repeats, error)

// Work is a part that this process is to work on, or to follow.
type Work struct {
	Part
	State       State
	Rate        float64
	Concurrency int
	// AtHIS are those on their way that do not wait behind others of their lane.
	AtHIS int
}

// Live reports whether something of it may still change.
func (w Work) Live() bool { return w.OnWay > 0 || w.releases() }

func (w Work) releases() bool {
	return w.State == Running && w.EndedAt == nil && w.Stopped == ""
}

// Store is the ledger as a worker sees it.
type Store interface {
	// ReplayWork lists what is to be worked on at the hospitals of this process.
	ReplayWork(ctx context.Context, process string) ([]Work, error)
	// ReplayNext tells the next message of a part again, and keeps what came of it in
	// the same transaction: Released, Skipped or Refused. Waiting: it was nobody's
	// turn, because the part is not running, ended, or another process's.
	ReplayNext(ctx context.Context, process string, replay int64, hospital string, rules Rules) (Outcome, error)
	// ReplayFollow notes what became of those on their way, stops a part in which too
	// many were parked again, ends one of which all is known, and says how it stands.
	ReplayFollow(ctx context.Context, replay int64, hospital string) (Work, error)
}

// Worker works on the replays of its process's hospitals.
type Worker struct {
	Process string
	Store   Store
	Rules   Rules
	Log     *slog.Logger
	// Told is told of each message that was released, skipped or refused; may be nil.
	Told func(hospital string, o Outcome)
	// Left is told how many wait in replays, by hospital; may be nil.
	Left func(map[string]int)
	// Look is the time between two looks for work, 1 s if 0; Follow that between two
	// looks at what is on its way, 250 ms if 0.
	Look, Follow time.Duration

	mu sync.Mutex
	at map[key]bool
}

type key struct {
	replay   int64
	hospital string
}

// Run works until ctx ends. What it was at stays for another process, or the next start.
func (w *Worker) Run(ctx context.Context) {
	if w.Look == 0 {
		w.Look = time.Second
	}
	if w.Follow == 0 {
		w.Follow = 250 * time.Millisecond
	}
	w.at = map[key]bool{}
	var parts sync.WaitGroup
	defer parts.Wait()
	for {
		work, err := w.Store.ReplayWork(ctx, w.Process)
		if err != nil && ctx.Err() == nil {
			w.Log.Error("look for replays", "error", err)
		}
		left := map[string]int{}
		for _, one := range work {
			if one.State == Running {
				left[one.Hospital] += one.Waiting
			}
			k := key{one.Part.Replay, one.Hospital}
			if !w.begin(k) {
				continue
			}
			parts.Go(func() {
				defer w.end(k)
				w.part(ctx, one)
			})
		}
		if w.Left != nil && err == nil {
			w.Left(left)
		}
		if !sleep(ctx, w.Look) {
			return
		}
	}
}

func (w *Worker) begin(k key) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at[k] {
		return false
	}
	w.at[k] = true
	return true
}

func (w *Worker) end(k key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.at, k)
}

// part works on one until nothing of it can change for now, or it is no longer ours.
func (w *Worker) part(ctx context.Context, p Work) {
	pace := rate.NewLimiter(rate.Limit(p.Rate), 1)
	released := time.Now()
	for {
		began := time.Now()
		now, err := w.Store.ReplayFollow(ctx, p.Part.Replay, p.Hospital)
		if err != nil {
			w.complain(ctx, p, err)
			return // the next look begins again
		}
		if p = now; !p.Live() {
			return
		}
		// Many that wait behind others in their lanes make a look dear.
		next := time.Now().Add(max(w.Follow, 5*time.Since(began)))
		switch {
		case p.Waiting > 0 && p.releases():
			released = time.Now()
		case time.Since(released) > 10*w.Look: // only followed: it may be another process's by now
			return
		default:
			next = next.Add(w.Follow)
		}
		if !w.release(ctx, pace, p, next) {
			return
		}
		if !sleep(ctx, time.Until(next)) {
			return
		}
	}
}

// release tells messages until it is time to look again. It is false when the part
// is nobody's turn here any more.
func (w *Worker) release(ctx context.Context, pace *rate.Limiter, p Work, until time.Time) bool {
	for free := p.Concurrency - p.AtHIS; free > 0 && p.Waiting > 0 && p.releases(); {
		// At a low rate the next turn may come long after the next look.
		turn := pace.Reserve()
		if wait := turn.Delay(); wait > 0 {
			if time.Now().Add(wait).After(until) {
				turn.Cancel()
				return true
			}
			if !sleep(ctx, wait) {
				return false
			}
		}
		o, err := w.Store.ReplayNext(ctx, w.Process, p.Part.Replay, p.Hospital, w.Rules)
		if err != nil {
			w.complain(ctx, p, err)
			return sleep(ctx, time.Second)
		}
		if o == Waiting {
			return false
		}
		if w.Told != nil {
			w.Told(p.Hospital, o)
		}
		if p.Waiting--; o == Released {
			free--
		}
		if time.Now().After(until) {
			return true
		}
	}
	return true
}

func (w *Worker) complain(ctx context.Context, p Work, err error) {
	if ctx.Err() == nil {
		w.Log.Error("replay", "replay", p.Part.Replay, "hospital", p.Hospital, "error", err)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
