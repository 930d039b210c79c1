package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// Nightly says when a hospital's nights are run.
type Nightly struct {
	Zone *time.Location
	// At is a cron expression of five fields in that zone; the schedule's if empty.
	At string
}

// Schedule runs each hospital's nights by cron in the hospital's own zone: first
// the days that are not closed, then those whose findings are not settled.
type Schedule struct {
	Runner *Runner
	// Repairs are carried out after the nights. May be nil.
	Repairs *Repairs
	Log     *slog.Logger
	// At holds for hospitals that say nothing; "30 10 * * *" if empty: WeChat's
	// bill of the day before is there from 10:00 on.
	At string
	// Mine reports whether this process owns the hospital now. May be nil.
	Mine func(hospital string) bool
	// Retry is how long after it a night that waits, or was missed, is tried again;
	// 15 minutes if 0.
	Retry time.Duration
	// Parallel is how many hospitals have their nights at once; 4 if 0.
	Parallel int

	mu        sync.Mutex
	cron      *cron.Cron
	hospitals map[string]*scheduled
	slots     chan struct{}
	stopped   chan struct{}
	work      sync.WaitGroup
}

// scheduled is one hospital's place in the schedule.
type scheduled struct {
	Nightly
	hospital string
	id       cron.EntryID
	times    cron.Schedule
	// busy holds one token: a hospital's nights are never run side by side.
	busy chan struct{}
	// gone is closed when the hospital is no longer in the schedule.
	gone chan struct{}
}

// oldest is how many days back nights are caught up and verified.
const oldest = 31

// Start begins; Stop ends and waits for runs that are going on.
func (s *Schedule) Start() {
	if s.At == "" {
		s.At = "30 10 * * *"
	}
	if s.Retry == 0 {
		s.Retry = 15 * time.Minute
	}
	if s.Parallel == 0 {
		s.Parallel = 4
	}
	s.cron = cron.New()
	s.hospitals = map[string]*scheduled{}
	s.slots = make(chan struct{}, s.Parallel)
	s.stopped = make(chan struct{})
	s.cron.Start()
}

// Stop ends the schedule and waits for runs that are going on.
func (s *Schedule) Stop() {
	s.mu.Lock()
	close(s.stopped)
	s.mu.Unlock()
	<-s.cron.Stop().Done()
	s.work.Wait()
}

// Set makes the schedule hold exactly these hospitals. Nights that a new one
// missed are caught up at once. Its error names the hospitals whose time cannot
// be read; the others are set.
func (s *Schedule) Set(ctx context.Context, hospitals map[string]Nightly) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, h := range s.hospitals {
		if n, ok := hospitals[name]; !ok || n.At != h.At || n.Zone.String() != h.Zone.String() {
			s.cron.Remove(h.id)
			delete(s.hospitals, name)
			close(h.gone)
		}
	}
	var errs []error
	for name, n := range hospitals {
		if s.hospitals[name] != nil {
			continue
		}
		times, err := s.times(n)
		if err != nil {
			errs = append(errs, fmt.Errorf("hospital %s: %w", name, err))
			continue
		}
		h := &scheduled{Nightly: n, hospital: name, times: times, busy: make(chan struct{}, 1), gone: make(chan struct{})}
		h.id = s.cron.Schedule(times, cron.FuncJob(func() { s.night(ctx, h) }))
		s.hospitals[name] = h
		s.work.Go(func() { s.follow(ctx, h) })
	}
	return errors.Join(errs...)
}

// times reads a hospital's cron expression.
func (s *Schedule) times(n Nightly) (cron.Schedule, error) {
	at := n.At
	if at == "" {
		at = s.At
	}
	times, err := cron.ParseStandard(at)
	if err != nil {
		return nil, fmt.Errorf("reconcile.at: %w; write five fields like \"30 10 * * *\"", err)
	}
	// Not by CRON_TZ in the text: a zone needs no name that a database of zones knows.
	if spec, ok := times.(*cron.SpecSchedule); ok && n.Zone != nil {
		spec.Location = n.Zone
	}
	return times, nil
}

// Next is when a hospital's next night begins; zero if it has none.
func (s *Schedule) Next(hospital string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hospitals[hospital]; h != nil {
		return s.cron.Entry(h.id).Next
	}
	return time.Time{}
}

// follow tries again what waits, and catches up what was missed.
func (s *Schedule) follow(ctx context.Context, h *scheduled) {
	for {
		s.turn(ctx, h, func(place Place) { s.catchUp(ctx, h, place, false) })
		select {
		case <-ctx.Done():
			return
		case <-s.stopped:
			return
		case <-h.gone:
			return
		case <-time.After(s.Retry):
		}
	}
}

// night is what happens at a hospital's time.
func (s *Schedule) night(ctx context.Context, h *scheduled) {
	began := s.Runner.clock().Truncate(time.Minute)
	s.turn(ctx, h, func(place Place) {
		s.catchUp(ctx, h, place, true)
		s.verify(ctx, h, place, began)
		if s.Repairs == nil || ctx.Err() != nil {
			return
		}
		if err := s.Repairs.Sweep(ctx, h.hospital); err != nil && ctx.Err() == nil {
			s.Log.Error("carry out repairs", "hospital", h.hospital, "error", err)
		}
	})
}

// turn calls do once nobody else is at work for the hospital and a place is free.
func (s *Schedule) turn(ctx context.Context, h *scheduled, do func(Place)) {
	for _, free := range []chan struct{}{h.busy, s.slots} {
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		case <-ctx.Done():
			return
		case <-s.stopped:
			return
		}
	}
	if !s.mine(h) {
		return
	}
	place, err := s.Runner.Place(ctx, h.hospital)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("night", "hospital", h.hospital, "error", err)
		}
		return
	}
	do(place)
}

func (s *Schedule) mine(h *scheduled) bool {
	select {
	case <-s.stopped:
		return false
	case <-h.gone:
		return false
	default:
		return s.Mine == nil || s.Mine(h.hospital)
	}
}

// catchUp runs the days that are due and not closed, oldest first. Between nights
// only what waits or was never run is tried: a run that failed needs a person,
// and one a night is enough to say so.
func (s *Schedule) catchUp(ctx context.Context, h *scheduled, place Place, failed bool) {
	now := s.Runner.clock()
	if !failed {
		now = now.Add(-time.Minute) // what is due this very moment is the night's own
	}
	days, err := s.missing(ctx, h, place, now)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("look for missed nights", "hospital", h.hospital, "error", err)
		}
		return
	}
	for _, day := range days {
		if ctx.Err() != nil || !s.mine(h) {
			return
		}
		newest, err := s.newest(ctx, h, day)
		if err != nil || !failed && newest.State == NightFailed {
			continue
		}
		// Another process may have closed it since; what closes it from here on is newer.
		if closed, _, err := s.Runner.Store.Days(ctx, h.hospital, day, day); err == nil && len(closed) == 0 {
			s.run(ctx, h, day, newest)
		}
	}
}

// newest is the last run of a day that has ended, with Run None if there is none.
func (s *Schedule) newest(ctx context.Context, h *scheduled, day string) (Night, error) {
	nights, err := s.Runner.Store.Nights(ctx, h.hospital, day, 2)
	if err != nil {
		return Night{}, err
	}
	for _, n := range nights {
		if n.State != NightRunning {
			return n, nil
		}
	}
	return Night{Run: None}, nil
}

// missing lists the days that are due by now and not closed, oldest first. A hospital
// that never had a night starts with yesterday.
func (s *Schedule) missing(ctx context.Context, h *scheduled, place Place, now time.Time) ([]string, error) {
	first, last := window(place, now)
	closed, _, err := s.Runner.Store.Days(ctx, h.hospital, first, last)
	if err != nil {
		return nil, err
	}
	nights, err := s.Runner.Store.Nights(ctx, h.hospital, "", 200)
	if err != nil {
		return nil, err
	}
	begin := last
	for _, n := range nights {
		begin = min(begin, n.Day)
	}
	for _, day := range closed {
		begin = min(begin, day)
	}
	var days []string
	for day := max(begin, first); day <= last; day = after(day, 1) {
		_, to, err := place.Day(day, place.Zone)
		if err != nil {
			return nil, err
		}
		// A day is due at the first time of the schedule from its end on.
		if due := h.times.Next(to.Add(-time.Second)); !due.IsZero() && !due.After(now) && !slices.Contains(closed, day) {
			days = append(days, day)
		}
	}
	return days, nil
}

// verify runs closed days again whose findings are not settled: a repair shows
// in the books, a refund has arrived; and those of whose money we were told
// since, which nobody has compared. What ran since this night began is fresh.
func (s *Schedule) verify(ctx context.Context, h *scheduled, place Place, began time.Time) {
	first, last := window(place, s.Runner.clock())
	closed, unsettled, err := s.Runner.Store.Days(ctx, h.hospital, first, last)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("look for unsettled days", "hospital", h.hospital, "error", err)
		}
		return
	}
	slices.Sort(closed)
	for _, day := range closed {
		if ctx.Err() != nil || !s.mine(h) {
			return
		}
		newest, err := s.newest(ctx, h, day)
		if err != nil || newest.Run == None || !newest.Started.Before(began) {
			continue
		}
		again := false
		if slices.Contains(unsettled, day) {
			again, err = s.left(ctx, newest)
		}
		if err == nil && !again {
			again, err = s.toldSince(ctx, place, newest)
		}
		if err == nil && again {
			s.run(ctx, h, day, newest)
		}
	}
}

// toldSince reports whether we were told of money of the night's day after it was run.
func (s *Schedule) toldSince(ctx context.Context, place Place, newest Night) (bool, error) {
	from, to, err := place.Day(newest.Day, place.Zone)
	if err != nil {
		return false, err
	}
	return s.Runner.Store.ToldSince(ctx, newest.Hospital, from, to, newest.Started)
}

// left reports whether another run of the day can find anything new. What counts
// on another day is settled there, and this one would hold it for ever.
func (s *Schedule) left(ctx context.Context, newest Night) (bool, error) {
	if newest.State != NightDone || newest.Counts[InTransit]+newest.Counts[RefundInTransit] > 0 {
		return true, nil
	}
	cases, err := s.Runner.Store.Cases(ctx, CaseQuery{Hospitals: []string{newest.Hospital}, Day: newest.Day, Live: true, Limit: 1})
	if err != nil || len(cases) > 0 {
		return true, err
	}
	findings, err := s.Runner.Store.Findings(ctx, newest.ID)
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Class == CrossDay && !elsewhere(f) }), err
}

// elsewhere: the entry that says when the money counts is of another day.
func elsewhere(f Finding) bool {
	for _, p := range []Party{Ours, Channel, HIS} {
		if es := f.Entries(p); len(es) > 0 {
			return !slices.ContainsFunc(es, func(e Entry) bool { return !e.Neighbour })
		}
	}
	return false
}

// window is the first and the last day that nights look after.
func window(place Place, now time.Time) (first, last string) {
	last = place.LastDay(now)
	return after(last, 1-oldest), last
}

// after is the day so many days later.
func after(day string, days int) string {
	d, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return d.AddDate(0, 0, days).Format(time.DateOnly)
}

// run runs one night, unless another process did after the newest one that was seen,
// and logs what came of it, one line.
func (s *Schedule) run(ctx context.Context, h *scheduled, day string, newest Night) {
	n, err := s.Runner.Run(ctx, Ask{Hospital: h.hospital, Day: day, Who: "schedule", After: newest.Run})
	switch {
	case errors.Is(err, ErrNightRunning): // another process is at it, or was
	case err != nil && ctx.Err() != nil:
	case err != nil:
		s.Log.Error("night", "hospital", h.hospital, "day", day, "error", err)
	case n.State == NightWaiting:
		s.Log.Info("night waits", "hospital", h.hospital, "day", day, "run", n.Run, "problem", n.Problem)
	default:
		s.Log.Info("night", "hospital", h.hospital, "day", day, "run", n.Run, "differences", n.Differences())
	}
}
