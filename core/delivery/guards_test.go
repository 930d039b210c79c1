package delivery

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"hishub/core"
)

// An answer to a call that was sent before the outage says nothing about whether the
// HIS is back: the breaker stays open, and after it one goes first.
func TestAnAnswerFromBeforeTheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDesk(&Dispatcher{}, "h1")
		k.h = core.NewHospital(&core.Dialect{Hospital: "h1", Zone: time.UTC, Limits: core.Limits{Concurrency: 8}}, 1, nil, nil, nil)
		answer := func(o core.Outcome) {
			k.record(1, &core.Exchange{Verdict: core.Verdict{Outcome: o}, Called: time.Now(), Left: true})
		}
		began := time.Now()
		for range 5 {
			answer(core.OutcomeInDoubt)
		}
		time.Sleep(time.Second)
		for range 3 {
			answer(core.OutcomeOK)
		}
		if l := k.light(); l.Breaker != "open" || !l.Broken.Equal(began) || !l.Failing.Equal(began) || k.ramp != 1 {
			t.Errorf("after them the breaker is %s, broken since %s, failing since %s, %d slots", l.Breaker, l.Broken, l.Failing, k.ramp)
		}
		time.Sleep(2 * time.Second)
		if n, _ := k.room(k.h, time.Now()); n != 1 {
			t.Errorf("%d go first, want one", n)
		}
	})
}

// slow is a shelf that keeps nothing while the database is away.
type slow struct {
	*shelf
	back chan struct{}
}

func (s slow) Settle(ctx context.Context, d *Delivery, a *Attempt, n Next) (bool, error) {
	<-s.back
	return s.shelf.Settle(ctx, d, a, n)
}

// While answers cannot be saved, the HIS is not told ever more: what this process
// alone knows of is bounded. Once they can be, all goes on.
func TestDeskWaitsForItsSettlements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newShelf(1000), &clinic{}
		d := dispatcher(s, c, 4)
		away := slow{s, make(chan struct{})}
		d.Store = away
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		// And those that were claimed ahead.
		if most := 4*4 + 16 + 4; c.calls < 4 || c.calls > most {
			t.Errorf("%d calls while nothing could be saved, want at most %d", c.calls, most)
		}
		close(away.back)
		time.Sleep(time.Minute)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(s.done) != 1000 {
			t.Errorf("%d delivered", len(s.done))
		}
	})
}

// standing is a shelf whose claims are answered late: the process stood still.
type standing struct {
	*shelf
	late time.Duration
}

func (s standing) Claim(ctx context.Context, process, hospital string, n int, lease, deadline time.Duration, kinds ...core.Kind) ([]Delivery, error) {
	ds, err := s.shelf.Claim(ctx, process, hospital, n, lease, deadline, kinds...)
	time.Sleep(s.late)
	return ds, err
}

// The lease of a claim is counted from when it was asked for, not from when this
// process heard of it: nothing is sent under one that may be another's by now.
func TestNothingIsSentUnderAClaimThatCameLate(t *testing.T) {
	for _, c := range []struct {
		late  time.Duration
		calls int
	}{{26 * time.Second, 1}, {28 * time.Second, 0}} {
		synctest.Test(t, func(t *testing.T) {
			s, his := newShelf(1), &clinic{}
			d := dispatcher(s, his, 4)
			d.Store, d.Log = standing{s, c.late}, slog.New(slog.DiscardHandler)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- d.Run(ctx) }()
			time.Sleep(time.Minute)
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if his.calls != c.calls {
				t.Errorf("%d calls under a claim of 30 s that came after %s, want %d", his.calls, c.late, c.calls)
			}
		})
	}
}

// closing is a shelf whose hospital was paused between the claims and the first byte.
type closing struct{ *shelf }

func (closing) Sent(context.Context, *Delivery, int) error { return ErrLeaseLost }

// A question is asked under a mark, as everything else: what may not be sent now may
// not be asked either.
func TestNoQuestionIsAskedWithoutAMark(t *testing.T) {
	for _, paused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, c := newShelf(1), &clinic{}
			s.saved[1] = Progress{Phase: Inquire, LastByte: time.Now()}
			d := dispatcher(s, c, 4)
			op := d.Hospitals.(one).h.Operations[core.PrescriptionCreate]
			op.Steps[0].Inquire = &core.Inquiry{Call: core.Call{Name: "ask", Connector: "default", Mapper: answering{}}}
			if paused {
				d.Store = closing{s}
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- d.Run(ctx) }()
			time.Sleep(time.Minute)
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if asked := c.calls == 1; asked == paused || (len(s.done) == 1) == paused {
				t.Errorf("paused %v: %d calls, %v delivered", paused, c.calls, s.done)
			}
		})
	}
}
