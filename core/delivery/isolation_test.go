package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hishub/core"
)

// rules is a HIS that gives each message the verdict and the wait that a test wants.
type rules struct {
	mu    sync.Mutex
	says  func(no string) (core.Outcome, time.Duration)
	takes time.Duration
	told  map[string][]time.Time // when each was asked for
	all   []time.Time
}

func (r *rules) Close() error { return nil }

func (r *rules) Encode(in core.Input) (core.Request, error) {
	return core.Request{Operation: in.Body.Key()}, nil
}

func (r *rules) Call(ctx context.Context, q core.Request) (core.Response, error) {
	r.mu.Lock()
	r.told[q.Operation] = append(r.told[q.Operation], time.Now())
	r.all = append(r.all, time.Now())
	o, wait := r.says(q.Operation)
	r.mu.Unlock()
	if err := sleepFor(ctx, r.takes); err != nil {
		return core.Response{}, err
	}
	return core.Response{Status: string(o), Headers: core.Tree{{Name: "retry-after", Value: fmt.Sprint(int(wait.Seconds()))}}}, nil
}

func (r *rules) Decode(_ core.Input, a core.Response) core.Verdict {
	return core.Verdict{Outcome: core.Outcome(a.Status), Answer: &core.Receipt{HisNo: "R1"}}
}

// since is how many calls there were in a time from then on.
func (r *rules) since(from time.Time, during time.Duration) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.all {
		if !t.Before(from) && t.Before(from.Add(during)) {
			n++
		}
	}
	return n
}

// underRules runs a desk for a HIS; the returned function ends it.
func underRules(t *testing.T, s *shelf, r *rules, concurrency int, change func(*core.Dialect)) (d *Dispatcher, end func()) {
	r.told = map[string][]time.Time{}
	s.keep = true
	op := func(kind core.Kind) *core.Operation {
		return &core.Operation{Kind: kind, Steps: []core.Step{{Call: core.Call{Name: "save", Connector: "default", Mapper: r}, RepeatSafe: true}}}
	}
	dialect := &core.Dialect{Hospital: "h1", Zone: time.FixedZone("CST", 8*3600), Limits: core.Limits{Concurrency: concurrency},
		Operations: map[core.Kind]*core.Operation{core.PrescriptionCreate: op(core.PrescriptionCreate), core.PaymentSettle: op(core.PaymentSettle)}}
	if change != nil {
		change(dialect)
	}
	h := core.NewHospital(dialect, 1, map[string]core.Connector{"default": r}, nil, nil)
	d = &Dispatcher{Process: "p", Store: s, Hospitals: one{h}, Wakes: deaf{}, Policy: DefaultPolicy, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	return d, func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func ok(string) (core.Outcome, time.Duration) { return core.OutcomeOK, 0 }

// Outside the working hours only what goes at any hour is told, and no attempt is
// spent on the rest; when they begin, it goes.
func TestDeskKeepsWorkingHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins on Saturday 2000-01-01 at 08:00 in the hospital's zone
		s, r := newShelf(0), &rules{says: ok, takes: 20 * time.Millisecond}
		workdays := [7]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true}
		_, end := underRules(t, s, r, 4, func(d *core.Dialect) {
			d.Open = []core.Hours{{Days: workdays, Window: core.Window{Start: 7 * 60, End: 18*60 + 30}}}
			d.Maintenance = []core.Window{{Start: 60, End: 120}}
			d.Operations[core.PaymentSettle].AnyHour = true
		})
		zone := time.FixedZone("CST", 8*3600)
		at := func(day, hour, minute int) time.Time { return time.Date(2000, 1, day, hour, minute, 0, 0, zone) }
		id := int64(0)
		// When it is brought, and when it must have been told.
		for _, w := range []struct {
			kind         core.Kind
			brought, due time.Time
		}{
			{core.PrescriptionCreate, at(1, 18, 29), at(1, 18, 29)},
			{core.PrescriptionCreate, at(1, 18, 31), at(3, 7, 0)}, // over Sunday
			{core.PaymentSettle, at(1, 18, 32), at(1, 18, 32)},
			{core.PaymentSettle, at(2, 1, 10), at(2, 2, 0)}, // a window holds it up all the same
			{core.PrescriptionCreate, at(2, 12, 0), at(3, 7, 0)},
			{core.PaymentSettle, at(2, 12, 1), at(2, 12, 1)},
		} {
			time.Sleep(time.Until(w.brought))
			id++
			s.mu.Lock()
			s.kinds[id] = w.kind
			s.mu.Unlock()
			s.bring(id)
			if w.due.Sub(w.brought) < 12*time.Hour {
				time.Sleep(time.Until(w.due) + quiet + 2*time.Second)
				synctest.Wait()
				if told := r.told[number(id)]; len(told) != 1 || told[0].Before(w.due) {
					t.Errorf("brought at %s: told at %v, want %s", w.brought, told, w.due)
				}
			}
		}
		time.Sleep(time.Until(at(3, 7, 0)) - time.Second)
		synctest.Wait()
		if len(r.all) != 4 || s.back != 0 {
			t.Errorf("before they begin again %d calls, %d given back", len(r.all), s.back)
		}
		time.Sleep(quiet)
		end()
		if len(r.all) != 6 || len(s.done) != 6 {
			t.Errorf("%d calls, %d delivered", len(r.all), len(s.done))
		}
	})
}

// What waits for a slot when the hospital closes goes back, without an attempt.
func TestDeskEndsWithTheWorkingHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // 08:00 in the hospital's zone
		s, r := newShelf(200), &rules{says: ok, takes: 7 * time.Second}
		closes := time.Now().Add(time.Minute)
		_, end := underRules(t, s, r, 8, func(d *core.Dialect) {
			d.Open = []core.Hours{{Days: [7]bool{6: true}, Window: core.Window{Start: 7 * 60, End: 8*60 + 1}}}
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if late := r.since(closes, time.Hour); late != 0 || len(r.all) == 0 || s.back == 0 || len(s.done) != len(r.all) || len(s.claimed) != 0 {
			t.Errorf("%d calls, %d of them after it had closed; %d delivered, %d given back, %d still claimed", len(r.all), late, len(s.done), s.back, len(s.claimed))
		}
		end()
	})
}

// A HIS that says for how long it is busy is left alone that long, by all of its
// messages, and then met slowly. That costs none of their budgets.
func TestDeskHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s, r := newShelf(400), &rules{takes: 20 * time.Millisecond}
		r.says = func(string) (core.Outcome, time.Duration) {
			if time.Since(began) < time.Hour {
				return core.OutcomeBusy, 30 * time.Second
			}
			return core.OutcomeOK, 0
		}
		_, end := underRules(t, s, r, 16, nil)
		time.Sleep(29 * time.Second)
		synctest.Wait()
		// Those that were under way when the first was answered, and one that went when it
		// was: what one hears may be about it alone.
		if n := r.since(began, time.Hour); n > 16+1 {
			t.Errorf("%d calls while it had asked us to wait", n)
		}
		time.Sleep(time.Until(began.Add(time.Hour)))
		synctest.Wait()
		// One every 30 s; those that were under way when the first was answered too.
		if n := r.since(began.Add(time.Minute), 59*time.Minute); n < 59 || n > 121 {
			t.Errorf("%d calls in an hour in which it asked for 30 s each time", n)
		}
		if s.back > 16 {
			t.Errorf("%d were claimed for nothing", s.back)
		}
		for id, p := range s.saved {
			if p.Busy != 0 || p.Failures != 0 {
				t.Errorf("%d spent %d and %d tries", id, p.Busy, p.Failures)
			}
		}
		time.Sleep(10 * time.Minute)
		end()
		if len(s.done) != 400 {
			t.Errorf("%d delivered", len(s.done))
		}
	})
}

// What the HIS puts off again and again, each message at most once a minute, does
// not take the place of what comes new: a HIS of ten a second, 2,000 that it never
// takes, and five a second that it takes at once.
func TestDeskRepeatsLeaveRoomForWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(0), &rules{takes: 100 * time.Millisecond}
		var healed bool
		r.says = func(no string) (core.Outcome, time.Duration) {
			if len(no) > len("RX99999") || healed {
				return core.OutcomeOK, 0
			}
			return core.OutcomeBusy, 0
		}
		for id := range int64(2000) {
			s.waiting = append(s.waiting, id+1)
		}
		_, end := underRules(t, s, r, 1, nil)
		time.Sleep(time.Hour)
		brought := map[string]time.Time{}
		const fresh = 5 * 600
		for id := range int64(fresh) {
			brought[number(1000000+id)] = time.Now()
			s.bring(1000000 + id)
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		var waited []time.Duration
		for no, at := range brought {
			if len(r.told[no]) == 0 {
				t.Errorf("%s was not told in ten minutes", no)
				break
			}
			waited = append(waited, r.told[no][0].Sub(at))
		}
		slices.Sort(waited)
		if len(waited) < fresh {
			t.Errorf("%d of %d were told", len(waited), fresh)
		} else if p99 := waited[len(waited)*99/100]; p99 > 10*time.Second {
			t.Errorf("what is new waited up to %s, half of it %s", p99, waited[len(waited)/2])
		}
		// Once the HIS takes them, they are not kept waiting for what was.
		r.mu.Lock()
		healed = true
		r.mu.Unlock()
		time.Sleep(retryPutOff + 6*time.Minute)
		end()
		if len(s.done) != 2000+fresh {
			t.Errorf("%d delivered", len(s.done))
		}
	})
}

// A fifth of what the hospital can take may be repeats, after a few; what is put
// off is put off for a while at most.
func TestRetriesAreAShareOfTheHospital(t *testing.T) {
	now := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	limits := core.Limits{Concurrency: 16}
	var r retries
	for range 100 {
		r.answered(core.OutcomeOK, 20*time.Millisecond)
		r.answered(core.OutcomeBusy, time.Microsecond) // says nothing of what it can take
	}
	within := 0
	for range 100 * 60 { // 100 repeats a second for a minute, of 800 calls that it could take
		now = now.Add(10 * time.Millisecond)
		if r.wait(now, limits) == 0 {
			within++
		}
	}
	if within != 6000 {
		t.Errorf("%d of 6000 repeats did not wait, and all of them fit", within)
	}
	last := time.Duration(0)
	for range 160 * 60 {
		last = r.wait(now, limits)
	}
	if last < 59*time.Second || last > time.Minute {
		t.Errorf("the last of a minute's repeats waits %s", last)
	}
	for range 1000000 {
		last = r.wait(now, limits)
	}
	if last < retryPutOff/2 || last > retryPutOff {
		t.Errorf("put off for %s", last)
	}
	if per := r.perSecond(core.Limits{Concurrency: 16, Rate: 50}); per != 10 {
		t.Errorf("%.1f repeats a second at a rate of 50", per)
	}
}

// A HIS that is closed is not asked, and who asks hears until when.
func TestQuestionsKeepWorkingHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // Saturday, 08:00 in the hospital's zone
		r := &rules{says: ok, told: map[string][]time.Time{}}
		zone := time.FixedZone("CST", 8*3600)
		op := func() *core.Operation {
			return &core.Operation{Steps: []core.Step{{Call: core.Call{Connector: "default", Mapper: answering{}}}}}
		}
		d := &core.Dialect{Hospital: "h1", Zone: zone, Limits: core.Limits{Concurrency: 4}, Open: []core.Hours{{Days: [7]bool{1: true}, Window: core.Window{Start: 450, End: 600}}},
			Operations: map[core.Kind]*core.Operation{core.PrescriptionStatus: op(), core.PaymentStatus: op()}}
		d.Operations[core.PaymentStatus].AnyHour = true
		q := &Questions{Hospitals: one{core.NewHospital(d, 1, map[string]core.Connector{"default": r}, nil, nil)}}
		_, err := q.Question(t.Context(), "h1", core.PrescriptionStatus, &core.PrescriptionQuery{No: "RX1"})
		var fault *core.Fault
		var closed *Closed
		monday := time.Date(2000, 1, 3, 7, 30, 0, 0, zone)
		if !errors.As(err, &fault) || fault.Class != core.Unavailable || fault.RetryAfter != time.Until(monday) || !errors.As(err, &closed) || !closed.Opens.Equal(monday) {
			t.Errorf("%v", err)
		}
		if want := "closed until 2000-01-03T07:30:00+08:00"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
		if len(r.all) != 0 {
			t.Error("it was asked")
		}
		if _, err := q.Question(t.Context(), "h1", core.PaymentStatus, &core.PaymentQuery{OrderID: "IH1"}); err != nil || len(r.all) != 1 {
			t.Errorf("at any hour: %v", err)
		}
		time.Sleep(time.Until(monday))
		if _, err := q.Question(t.Context(), "h1", core.PrescriptionStatus, &core.PrescriptionQuery{No: "RX1"}); err != nil || len(r.all) != 2 {
			t.Errorf("on Monday: %v", err)
		}
	})
}

// A HIS that hangs holds its own slots for questions; who comes when many wait
// already is told at once, and another hospital's questions go on.
func TestQuestionsToAHISThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging, well := &rules{says: ok, takes: time.Hour, told: map[string][]time.Time{}}, &rules{says: ok, told: map[string][]time.Time{}}
		hospital := func(id string, r *rules) *core.Hospital {
			return core.NewHospital(&core.Dialect{Hospital: id, Zone: time.UTC, Limits: core.Limits{Concurrency: 4},
				Operations: map[core.Kind]*core.Operation{core.PaymentStatus: {Steps: []core.Step{{Call: core.Call{Connector: "default", Mapper: answering{}}}}}}},
				1, map[string]core.Connector{"default": r}, nil, nil)
		}
		q := &Questions{Hospitals: several{"h1": hospital("h1", hanging), "h2": hospital("h2", well)}}
		began := time.Now()
		var mu sync.Mutex
		atOnce := 0
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if _, err := q.Question(ctx, "h1", core.PaymentStatus, &core.PaymentQuery{OrderID: "IH1"}); err == nil {
					t.Error("it was answered")
				}
				mu.Lock()
				if time.Since(began) < time.Second {
					atOnce++
				}
				mu.Unlock()
			})
		}
		synctest.Wait()
		asked := len(hanging.all)
		if _, err := q.Question(t.Context(), "h2", core.PaymentStatus, &core.PaymentQuery{OrderID: "IH1"}); err != nil || time.Since(began) != 0 {
			t.Errorf("the other after %s: %v", time.Since(began), err)
		}
		all.Wait()
		if asked != 2 || atOnce != 100-2-2*crowd {
			t.Errorf("%d were asked of it, %d told at once", asked, atOnce)
		}
	})
}

type several map[string]*core.Hospital

func (s several) Hospital(_ context.Context, id string, _ int) (*core.Hospital, error) {
	return s[id], nil
}

type answering struct{}

func (answering) Encode(core.Input) (core.Request, error) { return core.Request{Operation: "Ask"}, nil }
func (answering) Decode(core.Input, core.Response) core.Verdict {
	return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Status{State: core.StateDone}}
}
