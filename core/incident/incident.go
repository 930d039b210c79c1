// Package incident tells people, once, that a hospital needs a look, and once
// that it is over: never once a message.
package incident

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Kind of an incident; a hospital has at most one open of each.
type Kind string

const (
	// Backlog: the oldest message that can be sent has waited for over ten minutes.
	Backlog Kind = "backlog"
	// Parked: a message waits for a person.
	Parked Kind = "parked"
	// Breaker: the HIS has not answered for over a minute.
	Breaker Kind = "breaker"
	// Night: the latest night failed, or found differences.
	Night Kind = "night"
	// Clock: the HIS's clock is more than two minutes off ours, so that its times,
	// and logins that expire, cannot be trusted.
	Clock Kind = "clock"
	// Variables: its folder does not load with variables that were changed.
	Variables Kind = "variables"
)

// Values of Kind.
func (Kind) Values() []string {
	return []string{string(Backlog), string(Parked), string(Breaker), string(Night), string(Clock), string(Variables)}
}

const (
	longBacklog = 10 * time.Minute
	longBreaker = time.Minute
	farOff      = 2 * time.Minute
)

// Incident is one stretch of trouble.
type Incident struct {
	ID       int64
	Hospital string
	Kind     Kind
	// Detail is how it stands, or stood in the end, in our words: counts, no values.
	Detail     string
	OpenedAt   time.Time
	ResolvedAt *time.Time
}

// Signs are what is known of one hospital.
type Signs struct {
	Hospital string
	// Held: it is paused, or in a maintenance window; its messages wait because
	// people want them to.
	Held bool
	// Queued counts those that are claimed, too; Sending are those alone.
	Queued, Sending int
	// Oldest is since when the oldest waits that is not parked; zero if none does.
	Oldest          time.Time
	Parked, InDoubt int
	// Broken is since when the breaker is not closed; zero while it is. Answered: the
	// HIS has answered this process, so a closed breaker means something.
	Broken   time.Time
	Answered bool
	// Night is what is wrong with the latest night, or that it is late; "" is nothing.
	Night     string
	NightLate bool
	// ClockOff is how far the HIS's clock was ahead of ours when it was asked last,
	// at ClockAsked; zero when it was never asked.
	ClockOff   time.Duration
	ClockAsked time.Time
	// Variables is what is wrong with changed variables of its folder; "" is nothing.
	Variables string
}

// troubles judges the signs: what is wrong by kind. A kind that is missing is
// over; one that is "" is left as it is.
func (s Signs) troubles(now time.Time) map[Kind]string {
	found := map[Kind]string{}
	switch waits := now.Sub(s.Oldest); {
	case s.Oldest.IsZero():
	case s.Held:
		found[Backlog] = ""
	case waits > longBacklog:
		found[Backlog] = fmt.Sprintf("%d wait, the oldest for over %d minutes", s.Queued, int(waits.Minutes()))
	}
	if s.Parked > 0 {
		found[Parked] = fmt.Sprintf("%d wait for a person, %d of them may have happened", s.Parked, s.InDoubt)
	}
	switch {
	case s.Broken.IsZero() && !s.Answered:
		found[Breaker] = "" // another process, gone now, may have opened it
	case !s.Broken.IsZero() && now.Sub(s.Broken) > longBreaker:
		found[Breaker] = "the HIS has not answered since " + s.Broken.UTC().Format(time.RFC3339)
	}
	if s.Night != "" {
		found[Night] = s.Night
	}
	if s.Variables != "" {
		found[Variables] = s.Variables
	}
	switch {
	case s.ClockAsked.IsZero():
		found[Clock] = "" // not known to this process yet
	case s.ClockOff.Abs() > farOff:
		found[Clock] = fmt.Sprintf("the HIS's clock is off by %s", s.ClockOff.Round(time.Minute))
	}
	return found
}

// Store keeps incidents, and tells of them by an event in the same transaction.
type Store interface {
	// OpenIncidents lists those of these hospitals that are open.
	OpenIncidents(ctx context.Context, hospitals []string) ([]Incident, error)
	// OpenIncident opens one unless the hospital has one of that kind open; opened says so.
	OpenIncident(ctx context.Context, hospital string, kind Kind, detail string) (opened bool, err error)
	// NoteIncident renews the detail of an open one and tells nobody.
	NoteIncident(ctx context.Context, id int64, detail string) error
	// ResolveIncident ends an open one; resolved is false when it was ended before.
	ResolveIncident(ctx context.Context, id int64) (resolved bool, err error)
}

// Watch opens and resolves incidents. Each hospital is watched by the process
// that works it, because only that one knows its breaker; two that watch the
// same one for a moment still tell once.
type Watch struct {
	Store Store
	// Look gives the signs of the hospitals that this process works.
	Look func(ctx context.Context) ([]Signs, error)
	Log  *slog.Logger
	// Every is the time between two looks; 0 means 5 s.
	Every time.Duration

	// freed is when a hospital was last seen held: what waited until then does not
	// count as backlog at once.
	freed map[string]time.Time
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
		if err := w.settle(ctx, w.since(s, now).troubles(now), s.Hospital, open[s.Hospital]); err != nil {
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

func (w *Watch) settle(ctx context.Context, troubles map[Kind]string, hospital string, open map[Kind]Incident) error {
	for kind, detail := range troubles {
		switch was, already := open[kind]; {
		case detail == "":
		case !already:
			opened, err := w.Store.OpenIncident(ctx, hospital, kind, detail)
			if err != nil {
				return err
			}
			if opened {
				w.Log.Warn("incident", "hospital", hospital, "kind", kind, "detail", detail)
			}
		case was.Detail != detail:
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
