package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hishub/core"
)

// shelf is a ledger of one hospital in memory: what waits, and what is claimed.
type shelf struct {
	mu      sync.Mutex
	waiting []int64
	claimed map[int64]bool
	sending map[int64]bool
	done    map[int64]int
	back    int  // settled without an attempt
	most    int  // claims at the same time
	keep    bool // what failed comes back when it is due
	kinds   map[int64]core.Kind
	saved   map[int64]Progress
	parked  map[int64]Next
}

func newShelf(n int) *shelf {
	s := &shelf{claimed: map[int64]bool{}, sending: map[int64]bool{}, done: map[int64]int{}, kinds: map[int64]core.Kind{}, saved: map[int64]Progress{}, parked: map[int64]Next{}}
	for i := range n {
		s.waiting = append(s.waiting, int64(i+1))
	}
	return s
}

func (s *shelf) bring(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, id)
}

func (s *shelf) Own(context.Context, string, time.Duration) ([]int, error) { return []int{0}, nil }
func (s *shelf) Now(context.Context) (time.Time, error)                    { return time.Now(), nil }

func (s *shelf) Sent(_ context.Context, d *Delivery, _ int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimed[d.ID] {
		return ErrLeaseLost
	}
	s.sending[d.ID] = true
	return nil
}

func (s *shelf) Leave(context.Context, string, []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.claimed {
		if !s.sending[id] {
			s.waiting = append(s.waiting, id)
			delete(s.claimed, id)
		}
	}
	return nil
}

func (s *shelf) Due(context.Context, string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return nil, nil
	}
	return []string{"h1"}, nil
}

func (s *shelf) Claim(_ context.Context, _, _ string, n int, lease, _ time.Duration, kinds ...core.Kind) (ds []Delivery, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(s.waiting) && len(ds) < n; {
		id := s.waiting[i]
		kind := s.kind(id)
		if len(kinds) > 0 && !slices.Contains(kinds, kind) {
			i++
			continue
		}
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.claimed[id] = true
		p := s.saved[id]
		if p.Phase == "" {
			p.Phase = Send
		}
		ds = append(ds, Delivery{ID: id, Hospital: "h1", Kind: kind, Body: &core.Prescription{No: number(id)}, LeaseUntil: time.Now().Add(lease), Progress: p})
	}
	s.most = max(s.most, len(s.claimed))
	return ds, nil
}

func (s *shelf) kind(id int64) core.Kind {
	if kind, ok := s.kinds[id]; ok {
		return kind
	}
	return core.PrescriptionCreate
}

func number(id int64) string { return fmt.Sprint("RX", id) }

func (s *shelf) Settle(_ context.Context, d *Delivery, a *Attempt, n Next) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimed[d.ID] {
		return false, ErrLeaseLost
	}
	delete(s.claimed, d.ID)
	delete(s.sending, d.ID)
	s.saved[d.ID] = n.Progress
	switch {
	case n.State == Delivered:
		s.done[d.ID]++
	case a == nil:
		s.back++
		s.waiting = append(s.waiting, d.ID)
	case n.State == Parked:
		s.parked[d.ID] = n
	case s.keep:
		time.AfterFunc(n.After, func() { s.bring(d.ID) })
	}
	return false, nil
}

// clinic takes a while for each call, or refuses all.
type clinic struct {
	mu               sync.Mutex
	now, most, calls int
	away             bool
	since            time.Time // it came back
	took             []int     // requests at the same time, at each request since then
}

func (c *clinic) Close() error { return nil }

func (c *clinic) Call(ctx context.Context, _ core.Request) (core.Response, error) {
	c.mu.Lock()
	c.now++
	c.calls++
	c.most = max(c.most, c.now)
	away := c.away
	if !c.since.IsZero() {
		c.took = append(c.took, c.now)
	}
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.now--; c.mu.Unlock() }()
	if away {
		return core.Response{}, &core.Fault{Class: core.Unavailable, Op: "call", Err: errors.New("refused")}
	}
	return core.Response{}, sleepFor(ctx, 20*time.Millisecond)
}

func sleepFor(ctx context.Context, d time.Duration) error {
	if !sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}

type plain struct{}

func (plain) Encode(core.Input) (core.Request, error) { return core.Request{Operation: "Save"}, nil }
func (plain) Decode(core.Input, core.Response) core.Verdict {
	return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Receipt{HisNo: "R1"}}
}

type one struct{ h *core.Hospital }

func (o one) Hospital(context.Context, string, int) (*core.Hospital, error) { return o.h, nil }

type deaf struct{}

func (deaf) Wake(string)                                                {}
func (deaf) Listen(context.Context, []int, func(hospital string)) error { return nil }

func dispatcher(s *shelf, c *clinic, concurrency int) *Dispatcher {
	d := &core.Dialect{Hospital: "h1", Zone: time.UTC, Limits: core.Limits{Concurrency: concurrency},
		Operations: map[core.Kind]*core.Operation{core.PrescriptionCreate: {Steps: []core.Step{{Call: core.Call{Name: "save", Connector: "default", Mapper: plain{}}}}}}}
	h := core.NewHospital(d, 1, map[string]core.Connector{"default": c}, nil, nil)
	return &Dispatcher{Process: "p", Store: s, Hospitals: one{h}, Wakes: deaf{}, Policy: DefaultPolicy, Log: slog.New(slog.DiscardHandler)}
}

// A few are claimed ahead so that no slot stands empty, but the HIS never sees
// more at once than its folder allows.
func TestDeskClaimsAheadWithinTheSlots(t *testing.T) {
	for _, limits := range []struct{ slots, claims int }{{1, 1}, {2, 2}, {4, 6}, {16, 24}} {
		synctest.Test(t, func(t *testing.T) {
			s, c := newShelf(200), &clinic{}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- dispatcher(s, c, limits.slots).Run(ctx) }()
			time.Sleep(time.Minute)
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if len(s.done) != 200 || c.calls != 200 {
				t.Errorf("%d slots: %d delivered by %d calls", limits.slots, len(s.done), c.calls)
			}
			if c.most != limits.slots {
				t.Errorf("%d slots: %d calls at the same time", limits.slots, c.most)
			}
			if s.most > limits.claims+limits.slots { // those that are being settled still count
				t.Errorf("%d slots: %d claims at the same time", limits.slots, s.most)
			}
		})
	}
}

// What was claimed ahead goes back, without an attempt, once the HIS is away.
func TestDeskGivesBackWhatItMayNotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newShelf(200), &clinic{away: true}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- dispatcher(s, c, 16).Run(ctx) }()
		time.Sleep(time.Second) // shorter than the breaker stays open
		synctest.Wait()
		if s.back == 0 || len(s.claimed) != 0 {
			t.Errorf("%d given back, %d still claimed", s.back, len(s.claimed))
		}
		if c.calls > 16+5 {
			t.Errorf("%d calls to a HIS that is away", c.calls)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// After an outage the HIS meets one request, then two, four, eight: never all
// that waits at once.
func TestDeskComesBackSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newShelf(400), &clinic{away: true}
		s.keep = true
		d := dispatcher(s, c, 16)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if l := d.Lights()["h1"]; time.Since(l.Broken) < 59*time.Minute || l.Failing.IsZero() || l.Failing.After(l.Broken) || l.Failing.Before(l.Broken.Add(-time.Minute)) {
			t.Errorf("broken since %s ago, want an hour; failing since %s ago", time.Since(l.Broken), time.Since(l.Failing))
		}
		if c.calls > 16+5+3600/2 {
			t.Errorf("%d calls in an hour to a HIS that is away", c.calls)
		}
		c.mu.Lock()
		c.away, c.since, c.most = false, time.Now(), 0
		c.mu.Unlock()
		for i := range int64(400) {
			s.bring(1000 + i) // and they keep coming
		}
		time.Sleep(time.Minute)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(s.done) != 800 || c.most != 16 {
			t.Errorf("%d delivered, %d at once at most", len(s.done), c.most)
		}
		if ramp := d.desks["h1"].ramp; ramp != 0 {
			t.Errorf("in the end the ramp is at %d, want none", ramp)
		}
		// Never more in flight than answers came before, and the probe.
		for i, n := range c.took {
			if answers := i + 1 - n; n > answers+1 {
				t.Errorf("request %d met %d at once after %d answers", i+1, n, answers)
			}
		}
		if l := d.Lights()["h1"]; l.Breaker != "closed" || !l.Broken.IsZero() || !l.Failing.IsZero() {
			t.Errorf("in the end the breaker is %s, broken since %s", l.Breaker, l.Broken)
		}
	})
}

// An operator's new limits hold from the next claim on, both ways.
func TestDeskFollowsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newShelf(10000), &clinic{}
		d := dispatcher(s, c, 16)
		hospitals := &changing{h: d.Hospitals.(one).h}
		d.Hospitals = hospitals
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		for _, limits := range []core.Limits{{Concurrency: 2}, {Concurrency: 24}, {Concurrency: 8, Rate: 10}, {Concurrency: 16}} {
			hospitals.limit(limits)
			time.Sleep(2 * time.Second) // what was claimed ahead goes first
			c.mu.Lock()
			c.most, c.calls = 0, 0
			c.mu.Unlock()
			time.Sleep(2 * time.Second)
			c.mu.Lock()
			most, calls := c.most, c.calls
			c.mu.Unlock()
			if limits.Rate > 0 {
				if calls < 15 || calls > 31 { // and a burst of a second
					t.Errorf("%d calls in 2 s at %v a second", calls, limits.Rate)
				}
			} else if most != limits.Concurrency {
				t.Errorf("%d at once, want %d", most, limits.Concurrency)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// changing is a hospital whose limits change.
type changing struct {
	mu sync.Mutex
	h  *core.Hospital
}

func (c *changing) Hospital(context.Context, string, int) (*core.Hospital, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.h, nil
}

func (c *changing) limit(l core.Limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, d := *c.h, *c.h.Dialect
	d.Limits, h.Dialect = l, &d
	c.h = &h
}

// A maintenance window over midnight: nothing is claimed in it, no attempt is
// spent, and everything goes on when it ends.
func TestDeskWaitsInAWindowOverMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins at midnight UTC of 2000-01-01
		shanghai := time.FixedZone("CST", 8*3600)
		s, c := newShelf(0), &clinic{}
		d := dispatcher(s, c, 4)
		h := d.Hospitals.(one).h
		h.Zone, h.Maintenance = shanghai, []core.Window{{Start: 23*60 + 30, End: 30}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		at := func(hour, minute int) time.Time { return time.Date(2000, 1, 1, hour, minute, 0, 0, shanghai) }
		// The message is brought at a time; whether it has been told ten seconds later.
		for i, w := range []struct {
			when time.Time
			told bool
		}{{at(23, 29), true}, {at(23, 30), false}, {at(24, 0), false}, {at(24, 29), false}, {at(24, 30), true}, {at(25, 0), true}, {at(47, 0), true}, {at(47, 59), false}, {at(49, 0), true}} {
			time.Sleep(time.Until(w.when))
			s.bring(int64(i + 1))
			before := c.calls
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if told := c.calls > before; told != w.told {
				t.Errorf("at %s: told %v, want %v", w.when.Format("2 15:04"), told, w.told)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if c.calls != 9 || len(s.done) != 9 || s.back != 0 {
			t.Errorf("%d calls, %d delivered, %d given back", c.calls, len(s.done), s.back)
		}
	})
}

// At the end nothing new is sent; what was claimed ahead is given up.
func TestDeskSendsNothingAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newShelf(200), &clinic{}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- dispatcher(s, c, 16).Run(ctx) }()
		time.Sleep(50 * time.Millisecond)
		stop()
		synctest.Wait()
		calls := c.calls
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if c.calls != calls || len(s.done) != calls || len(s.waiting)+len(s.done) != 200 {
			t.Errorf("%d calls, then %d; %d delivered, %d wait", calls, c.calls, len(s.done), len(s.waiting))
		}
	})
}
