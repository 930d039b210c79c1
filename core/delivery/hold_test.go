package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hishub/core"
)

// A message that the HIS never takes, each time for another 30 s, holds nobody: 50
// others a second go at once. It is parked when that has gone on for an hour; and so
// are two of them, and twenty, which are each other's witnesses.
func TestWhatIsPutOffAloneHoldsNobody(t *testing.T) {
	for _, bad := range []int64{1, 2, 20} {
		synctest.Test(t, func(t *testing.T) {
			s, r := newShelf(int(bad)), &rules{takes: 20 * time.Millisecond}
			r.says = func(no string) (core.Outcome, time.Duration) {
				if len(no) < len("RX100000") {
					return core.OutcomeBusy, 30 * time.Second
				}
				return core.OutcomeOK, 0
			}
			d, end := underRules(t, s, r, 4, nil)
			began := time.Now()
			brought := map[string]time.Time{}
			for id := int64(100000); time.Since(began) < 2*time.Hour; id++ {
				brought[number(id)] = time.Now()
				s.bring(id)
				time.Sleep(time.Second)
			}
			synctest.Wait()
			var waited []time.Duration
			for no, at := range brought {
				if len(r.told[no]) != 1 {
					t.Errorf("%s was told %d times", no, len(r.told[no]))
					break
				}
				waited = append(waited, r.told[no][0].Sub(at))
			}
			slices.Sort(waited)
			late := len(waited) - max(0, slices.IndexFunc(waited, func(w time.Duration) bool { return w > time.Second }))
			if late == len(waited) {
				late = 0
			}
			// One is never held for. Two or more that begin at the same time are, a few times.
			if most := 3 * 60 * int(min(bad-1, 10)); late > most {
				t.Errorf("%d bad ones: %d of %d others waited for more than a second, the longest for %s", bad, late, len(waited), waited[len(waited)-1])
			}
			if bad == 1 && !d.Lights()["h1"].HeldUntil.IsZero() {
				t.Error("the hospital was held")
			}
			for id := range bad {
				n, ok := s.parked[id+1]
				if !ok || n.Class != core.Unavailable || n.PutOff.For <= time.Hour || n.PutOff.For > time.Hour+time.Minute || !strings.Contains(n.Because, "kept putting it off for 1h0m") {
					t.Errorf("bad one %d: parked %v, %s, after %s: %q", id+1, ok, n.Class, n.PutOff.For, n.Because)
				}
				told := r.told[number(id+1)]
				if at := told[len(told)-1]; at.Sub(began) < time.Hour || at.Sub(began) > 100*time.Minute {
					t.Errorf("bad one %d was given up after %s", id+1, at.Sub(began))
				}
			}
			end()
			if n := len(d.desks["h1"].hold.apart); n != 0 {
				t.Errorf("%d are still known", n)
			}
		})
	}
}

// A HIS that takes ten a second and tells the others to come back in a second is
// held, so that few calls are in vain.
func TestAHISWithARateIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(600), &rules{takes: 20 * time.Millisecond}
		var second time.Time
		var taken, refused int
		r.says = func(string) (core.Outcome, time.Duration) {
			if now := time.Now().Truncate(time.Second); !now.Equal(second) {
				second, taken = now, 0
			}
			if taken++; taken <= 10 {
				return core.OutcomeOK, 0
			}
			refused++
			return core.OutcomeBusy, time.Second
		}
		_, end := underRules(t, s, r, 16, nil)
		time.Sleep(3 * time.Minute)
		end()
		if len(s.done) != 600 || refused > 600 {
			t.Errorf("%d delivered; %d calls in vain", len(s.done), refused)
		}
	})
}

// behind is a way to a HIS that is shut: nothing gets through.
type behind struct {
	*rules
	shut bool
}

func (b *behind) Call(ctx context.Context, q core.Request) (core.Response, error) {
	r, err := b.rules.Call(ctx, q)
	if b.shut {
		return r, &core.Fault{Class: core.Unavailable, Op: "call", Err: errors.New("shut"), RetryAfter: 45 * time.Second}
	}
	return r, err
}

// What did not let a message through has not looked at it: it holds the hospital at
// once. Then the slots come back one by one.
func TestAGatewayHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1)
		b := &behind{&rules{says: ok, takes: 20 * time.Millisecond}, true}
		d, end := underRules(t, s, b.rules, 8, nil)
		h := d.Hospitals.(one).h
		d.Hospitals = one{core.NewHospital(h.Dialect, 1, map[string]core.Connector{"default": b}, nil, nil)}
		time.Sleep(time.Second)
		b.shut = false
		for id := range int64(100) {
			s.bring(100 + id)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if n := len(b.all); n != 1 {
			t.Errorf("%d calls while it was held", n)
		}
		time.Sleep(5 * time.Second)
		end()
		if len(s.done) < 99 {
			t.Errorf("%d delivered after it", len(s.done))
		}
		// At most one more at once with each answer: 1 in the first 20 ms, 2 in the next.
		for i, n := range []int{1, 2, 4, 8} {
			if got := b.since(b.all[1].Add(time.Duration(i)*b.takes), b.takes); got > n {
				t.Errorf("%d calls in the %dth 20 ms after it", got, i+1)
			}
		}
	})
}

// What holds a hospital, in the order in which it is heard.
func TestHold(t *testing.T) {
	now := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	type heard struct {
		at, message int
		wait        int  // seconds; 0: it was taken
		began       int  // the call that was taken
		shut        bool // its bytes did not leave
		held        int  // until when the hospital is after it; 0: not
	}
	for name, all := range map[string][]heard{
		"one alone":                            {{at: 0, message: 1, wait: 30}, {at: 30, message: 1, wait: 30}, {at: 60, message: 1, wait: 30}},
		"a gateway":                            {{at: 0, message: 1, wait: 30, shut: true, held: 30}},
		"a gateway, long":                      {{at: 0, message: 1, wait: 3000, shut: true, held: 60}},
		"a second one":                         {{at: 0, message: 1, wait: 30}, {at: 10, message: 2, wait: 30, held: 40}},
		"a second one, for less":               {{at: 0, message: 1, wait: 30}, {at: 10, message: 2, wait: 5, held: 30}},
		"a second one when the first has gone": {{at: 0, message: 1, wait: 30}, {at: 31, message: 2, wait: 30}, {at: 40, message: 1, wait: 30, held: 70}},
		"one between was taken":                {{at: 0, message: 1, wait: 30}, {at: 2, message: 3, began: 1}, {at: 10, message: 2, wait: 30}},
		"one that began before was taken":      {{at: 5, message: 1, wait: 30}, {at: 6, message: 3, began: 4}, {at: 10, message: 2, wait: 30, held: 40}},
		"still so after it":                    {{at: 0, message: 1, wait: 10}, {at: 1, message: 2, wait: 10, held: 11}, {at: 12, message: 3, wait: 10, held: 22}, {at: 23, message: 3, wait: 10, held: 33}},
		"over after it":                        {{at: 0, message: 1, wait: 10}, {at: 1, message: 2, wait: 10, held: 11}, {at: 13, message: 3, began: 12}, {at: 14, message: 1, wait: 10}},
		"two that are put off while others are taken": {
			{at: 0, message: 1, wait: 10}, {at: 1, message: 2, wait: 10, held: 11}, {at: 13, message: 3, began: 12},
			{at: 14, message: 1, wait: 10}, {at: 15, message: 2, wait: 10, held: 25}, {at: 27, message: 4, began: 26},
			{at: 28, message: 1, wait: 10}, {at: 29, message: 2, wait: 10, held: 39}, {at: 41, message: 5, began: 40},
			{at: 42, message: 1, wait: 10}, {at: 43, message: 2, wait: 10}, // they say nothing about it any more
			{at: 44, message: 6, wait: 10}, {at: 45, message: 7, wait: 10, held: 55}, // others do
			{at: 56, message: 1, began: 55}, {at: 57, message: 8, wait: 10}, {at: 58, message: 1, wait: 10, held: 68}, // and so does one that was taken since
		},
	} {
		var h hold
		for _, e := range all {
			held := false
			if e.wait == 0 {
				h.answered(int64(e.message), at(e.began))
			} else {
				held = h.putOff(int64(e.message), !e.shut, at(e.at), time.Duration(e.wait)*time.Second)
			}
			if held != (e.held > 0) || held && !h.until.Equal(at(e.held)) {
				t.Errorf("%s: at %d s held %v until %s, want %d s", name, e.at, held, h.until.Sub(now), e.held)
			}
		}
	}
}

// Of the wait that the HIS asked for counts what the message could have been sent in.
func TestOnlyOpenTimeIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // 08:00 in the hospital's zone
		began := time.Now()
		at := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
		closes := func(d *core.Dialect) {
			d.Zone = time.FixedZone("CST", 8*3600)
			d.Open = []core.Hours{{Days: [7]bool{6: true}, Window: core.Window{Start: 7 * 60, End: 8*60 + 20}}}
		}
		for name, c := range map[string]struct {
			put    PutOff
			change func(*core.Dialect)
			desk   func(*desk)
			want   int // minutes, 30 after it began
		}{
			"nothing was asked for": {PutOff{}, nil, nil, 0},
			"all of it":             {PutOff{From: at(0), Until: at(10)}, nil, nil, 10},
			"not longer than now":   {PutOff{From: at(25), Until: at(60)}, nil, nil, 5},
			"held in it":            {PutOff{From: at(0), Until: at(10)}, nil, func(k *desk) { k.hold.closed(at(2), at(5)); k.hold.closed(at(4), at(6)); k.hold.closed(at(9), at(12)) }, 5},
			"held around it":        {PutOff{From: at(5), Until: at(10)}, nil, func(k *desk) { k.hold.closed(at(2), at(15)) }, 0},
			"closed in it":          {PutOff{From: at(15), Until: at(28)}, closes, nil, 5},
			"an outage":             {PutOff{From: at(5), Until: at(28)}, nil, func(k *desk) { k.failing = at(7) }, 2},
			"by another process":    {PutOff{From: at(-60), Until: at(4)}, nil, nil, 4},
		} {
			d := &core.Dialect{Hospital: "h1", Zone: time.UTC}
			if c.change != nil {
				c.change(d)
			}
			k := newDesk(&Dispatcher{}, "h1")
			k.began, k.h = began, core.NewHospital(d, 1, nil, nil, nil)
			if c.desk != nil {
				c.desk(k)
			}
			if time.Now().Before(at(30)) {
				time.Sleep(time.Until(at(30)))
			}
			// The ledger's clock is an hour behind.
			message := &Delivery{Kind: core.PrescriptionCreate, Progress: Progress{PutOff: c.put}}
			if !c.put.From.IsZero() {
				message.PutOff = PutOff{From: c.put.From.Add(-time.Hour), Until: c.put.Until.Add(-time.Hour)}
			}
			if got := k.waited(message, time.Now().Add(-time.Hour)); got != time.Duration(c.want)*time.Minute {
				t.Errorf("%s: %s, want %d minutes", name, got, c.want)
			}
		}
	})
}

// The times in which a hospital was held are forgotten once no wait can reach them.
func TestHeldTimesAreForgotten(t *testing.T) {
	var h hold
	now := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	for range 10_000 {
		h.closed(now, now.Add(time.Second))
		now = now.Add(3 * time.Second)
	}
	if n := len(h.spans); n > 1202 {
		t.Errorf("%d are kept", n)
	}
	for id := range int64(mostKnown + 10) {
		h.putOff(id, true, now, time.Second)
	}
	if n := len(h.apart); n > mostKnown {
		t.Errorf("%d messages are known", n)
	}
}
