package delivery

import (
	"context"
	"errors"
	"log/slog"
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
	done    map[int64]int
	back    int // settled without an attempt
	most    int // claims at the same time
}

func newShelf(n int) *shelf {
	s := &shelf{claimed: map[int64]bool{}, done: map[int64]int{}}
	for i := range n {
		s.waiting = append(s.waiting, int64(i+1))
	}
	return s
}

func (s *shelf) Own(context.Context, string, time.Duration) ([]int, error) { return []int{0}, nil }
func (s *shelf) Now(context.Context) (time.Time, error)                    { return time.Now(), nil }
func (s *shelf) Sent(context.Context, *Delivery, int) error                { return nil }

func (s *shelf) Leave(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.claimed {
		s.waiting = append(s.waiting, id)
	}
	clear(s.claimed)
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

func (s *shelf) Claim(_ context.Context, _, _ string, n int, lease, _ time.Duration) (ds []Delivery, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range min(n, len(s.waiting)) {
		id := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.claimed[id] = true
		ds = append(ds, Delivery{ID: id, Hospital: "h1", Kind: core.PrescriptionCreate, Body: &core.Prescription{No: "RX1"}, LeaseUntil: time.Now().Add(lease), Progress: Progress{Phase: Send}})
	}
	s.most = max(s.most, len(s.claimed))
	return ds, nil
}

func (s *shelf) Settle(_ context.Context, d *Delivery, a *Attempt, n Next) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimed[d.ID] {
		return false, ErrLeaseLost
	}
	delete(s.claimed, d.ID)
	switch {
	case n.State == Delivered:
		s.done[d.ID]++
	case a == nil:
		s.back++
		s.waiting = append(s.waiting, d.ID)
	}
	return false, nil
}

// clinic takes a while for each call, or refuses all.
type clinic struct {
	mu               sync.Mutex
	now, most, calls int
	away             bool
}

func (c *clinic) Close() error { return nil }

func (c *clinic) Call(ctx context.Context, _ core.Request) (core.Response, error) {
	c.mu.Lock()
	c.now++
	c.calls++
	c.most = max(c.most, c.now)
	away := c.away
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
