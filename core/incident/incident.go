// Package incident tells people, once, that a hospital needs a look, and once
// that it is over: never once a message.
package incident

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"hishub/core"
)

// Incident is one stretch of trouble.
type Incident struct {
	ID       int64
	Hospital string
	Kind     Kind
	// Detail is how it stands, or stood in the end, in our words: counts, no values.
	// Chinese is the same, or "".
	Detail     string
	Chinese    string
	OpenedAt   time.Time
	ResolvedAt *time.Time
	// LookedBy is who said that they look at it, and LookedNote what; "" is nobody.
	LookedBy   string
	LookedAt   *time.Time
	LookedNote string
}

// Store keeps incidents, and tells of them by an event in the same transaction.
type Store interface {
	// OpenIncidents lists those of these hospitals that are open.
	OpenIncidents(ctx context.Context, hospitals []string) ([]Incident, error)
	// OpenIncident opens one unless the hospital has one of that kind open; opened says
	// so. The routes are alerted: the duty to is kept in the same transaction.
	OpenIncident(ctx context.Context, hospital string, kind Kind, detail Words, routes []string) (opened bool, err error)
	// NoteIncident renews the detail of an open one and tells nobody.
	NoteIncident(ctx context.Context, id int64, detail Words) error
	// ResolveIncident ends an open one, and alerts the routes that were alerted when it
	// began; resolved is false when it was ended before.
	ResolveIncident(ctx context.Context, id int64) (resolved bool, err error)
}

// Watch opens and resolves incidents. Each hospital is watched by the process
// that works it, because only that one knows its breaker; two that watch the
// same one for a moment still tell once.
type Watch struct {
	Store Store
	// Look gives the signs of the hospitals that this process works; Hub is one of them.
	Look func(ctx context.Context) ([]Signs, error)
	// Thresholds of a hospital; nil are the default ones.
	Thresholds func(hospital string) Thresholds
	// Routes are those to alert; nil alerts none.
	Routes func(hospital string, kind Kind) []string
	Log    *slog.Logger
	// Every is the time between two looks; 0 means 5 s.
	Every time.Duration

	// freed is when a hospital was last seen held: what waited until then does not
	// count as backlog at once.
	freed map[string]time.Time
	// broke is when a hospital's breaker was last seen not closed.
	broke map[string]time.Time
	// peaks are the most that were seen to wait at hospitals with a backlog.
	peaks map[string]int
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	every := w.Every
	if every == 0 {
		every = 5 * time.Second
	}
	for {
		if err := w.Round(ctx, time.Now()); err != nil && ctx.Err() == nil {
			w.Log.Error("watch for incidents", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

// Round looks once.
func (w *Watch) Round(ctx context.Context, now time.Time) error {
	signs, err := w.Look(ctx)
	if err != nil || len(signs) == 0 {
		return err
	}
	hospitals := make([]string, len(signs))
	for i, s := range signs {
		hospitals[i] = s.Hospital
	}
	all, err := w.Store.OpenIncidents(ctx, hospitals)
	if err != nil {
		return err
	}
	open := map[string]map[Kind]Incident{}
	for _, i := range all {
		if open[i.Hospital] == nil {
			open[i.Hospital] = map[Kind]Incident{}
		}
		open[i.Hospital][i.Kind] = i
	}
	for _, s := range signs {
		thresholds := DefaultThresholds()
		if w.Thresholds != nil {
			thresholds = w.Thresholds(s.Hospital)
		}
		s = w.flaps(w.since(s, now), now)
		troubles := s.troubles(now, thresholds)
		if err := w.backlogged(ctx, s, troubles, open[s.Hospital]); err != nil {
			return err
		}
		if err := w.settle(ctx, troubles, s.Hospital, open[s.Hospital]); err != nil {
			return err
		}
	}
	return nil
}

// since counts the waiting from the end of the last pause or window.
func (w *Watch) since(s Signs, now time.Time) Signs {
	if w.freed == nil {
		w.freed = map[string]time.Time{}
	}
	if s.Held {
		w.freed[s.Hospital] = now
	}
	if freed := w.freed[s.Hospital]; !s.Oldest.IsZero() && s.Oldest.Before(freed) {
		s.Oldest = freed
	}
	return s
}

// flaps says when the breaker was last seen not closed.
func (w *Watch) flaps(s Signs, now time.Time) Signs {
	if w.broke == nil {
		w.broke = map[string]time.Time{}
	}
	if !s.Broken.IsZero() {
		w.broke[s.Hospital] = now
	}
	s.broke = w.broke[s.Hospital]
	return s
}

// backlogged keeps how many waited at most, and says so of a backlog that is over: by
// then few wait. A process that took the hospital over knows of what it saw itself.
func (w *Watch) backlogged(ctx context.Context, s Signs, troubles map[Kind]Words, open map[Kind]Incident) error {
	if w.peaks == nil {
		w.peaks = map[string]int{}
	}
	if _, still := troubles[Backlog]; still {
		w.peaks[s.Hospital] = max(w.peaks[s.Hospital], s.Queued)
		return nil
	}
	peak := w.peaks[s.Hospital]
	delete(w.peaks, s.Hospital)
	was, opened := open[Backlog]
	if !opened || peak == 0 {
		return nil
	}
	return w.Store.NoteIncident(ctx, was.ID, Words{core.Count(peak, "message", "messages") + " waited at most", fmt.Sprintf("最多时有 %d 条在等待", peak)})
}

func (w *Watch) settle(ctx context.Context, troubles map[Kind]Words, hospital string, open map[Kind]Incident) error {
	for kind, detail := range troubles {
		switch was, already := open[kind]; {
		case detail == left:
		case !already:
			var routes []string
			if w.Routes != nil {
				routes = w.Routes(hospital, kind)
			}
			opened, err := w.Store.OpenIncident(ctx, hospital, kind, detail, routes)
			if err != nil {
				return err
			}
			if opened {
				w.Log.Warn("incident", "hospital", hospital, "kind", kind, "detail", detail.En)
			}
		case was.Detail != detail.En:
			if err := w.Store.NoteIncident(ctx, was.ID, detail); err != nil {
				return err
			}
		}
	}
	for kind, was := range open {
		if _, still := troubles[kind]; still {
			continue
		}
		resolved, err := w.Store.ResolveIncident(ctx, was.ID)
		if err != nil {
			return err
		}
		if resolved {
			w.Log.Info("incident is over", "hospital", hospital, "kind", kind)
		}
	}
	return nil
}
