package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule runs each hospital's night by cron in the hospital's own zone.
type Schedule struct {
	Runner *Runner
	Log    *slog.Logger
	// At is a cron expression of five fields, "30 2 * * *" if empty: the day
	// before, after the usual maintenance windows.
	At string
	// Mine reports whether this process owns the hospital now. May be nil.
	Mine func(hospital string) bool

	mu      sync.Mutex
	cron    *cron.Cron
	entries map[string]cron.EntryID
}

// Start begins; Stop ends and waits for runs that are going on.
func (s *Schedule) Start() {
	s.cron = cron.New()
	s.entries = map[string]cron.EntryID{}
	if s.At == "" {
		s.At = "30 2 * * *"
	}
	s.cron.Start()
}

// Stop ends the schedule and waits for runs that are going on.
func (s *Schedule) Stop() { <-s.cron.Stop().Done() }

// Set makes the schedule hold exactly these hospitals.
func (s *Schedule) Set(ctx context.Context, hospitals map[string]*time.Location) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, id := range s.entries {
		if _, ok := hospitals[h]; !ok {
			s.cron.Remove(id)
			delete(s.entries, h)
		}
	}
	for h, zone := range hospitals {
		if _, ok := s.entries[h]; ok {
			continue
		}
		id, err := s.cron.AddFunc("CRON_TZ="+zone.String()+" "+s.At, func() { s.night(ctx, h, zone) })
		if err != nil {
			return err
		}
		s.entries[h] = id
	}
	return nil
}

// Next is when a hospital's next night begins; zero if it has none.
func (s *Schedule) Next(hospital string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.entries[hospital]; ok {
		return s.cron.Entry(id).Next
	}
	return time.Time{}
}

// night runs yesterday, unless another process has run it.
func (s *Schedule) night(ctx context.Context, hospital string, zone *time.Location) {
	if s.Mine != nil && !s.Mine(hospital) {
		return
	}
	day := time.Now().In(zone).AddDate(0, 0, -1).Format(time.DateOnly)
	nights, err := s.Runner.Store.Nights(ctx, hospital, day, 1)
	if err == nil && len(nights) > 0 && nights[0].State == NightDone {
		return
	}
	n, err := s.Runner.Run(ctx, Ask{Hospital: hospital, Day: day, Who: "schedule"})
	switch {
	case errors.Is(err, ErrNightRunning):
	case err != nil:
		s.Log.Error("night", "hospital", hospital, "day", day, "error", err)
	default:
		s.Log.Info("night", "hospital", hospital, "day", day, "run", n.Run, "differences", n.Differences())
	}
}
