package delivery

import (
	"slices"
	"time"

	"golang.org/x/time/rate"

	"hishub/core"
)

// How much a hospital may be called now. k.mu is held in all of it but room and
// record. Whatever holds a hospital back holds claims back, so that waiting spends
// no attempt.

// slots is how many exchanges may be in flight now.
func (k *desk) slots() int {
	n := max(k.h.Limits.Concurrency, 1)
	if k.ramp > 0 {
		n = min(n, k.ramp)
	}
	return n
}

// spare is how many claims may wait for a slot. A hospital that takes few at
// once gets none: there a claim could wait for long, and be sent after a pause.
func (k *desk) spare() int {
	if n := k.slots(); n >= 4 {
		return n
	}
	return 0
}

// held reports whether what was claimed must not be sent now after all.
func (k *desk) held(kind core.Kind, now time.Time) bool {
	return k.breaker.IsOpen() || now.Before(k.hold.until) || k.h.Rests(kind, now)
}

// room is how many more claims the hospital may have now, and of which kinds: all,
// or outside its working hours those that go at any hour.
func (k *desk) room(h *core.Hospital, now time.Time) (n int, kinds []core.Kind) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.h = h
	if now.Before(k.hold.until) {
		return 0, nil
	}
	if h.Rests("", now) {
		kinds = slices.DeleteFunc(h.AtAnyHour(), func(kind core.Kind) bool { return h.Rests(kind, now) })
		if len(kinds) == 0 || now.Before(k.quietUntil) {
			return 0, nil // the sweep comes back
		}
	}
	n = k.slots() + k.spare() - k.inFlight - len(k.ready)
	n = min(n, 4*k.slots()+16-k.inFlight-k.settling)
	if k.breaker.IsOpen() {
		if k.breaker.RemainingDelay() > 0 {
			return 0, nil
		}
		// One probe at a time, because the ramp is at one. The slots count it, not the
		// breaker's permits: one taken for a claim that finds nothing would never come back.
		k.breaker.HalfOpen()
	}
	// While enough wait for a slot there is no hurry: a claim of many costs little more
	// than one of a few, and the slots that become free ask for it.
	if n <= 0 || k.inFlight >= k.slots() && len(k.ready) > k.spare()/2 {
		k.hungry = true
		return 0, nil
	}
	if h.Limits.Rate > 0 {
		if k.limiter == nil || float64(k.limiter.Limit()) != h.Limits.Rate {
			k.limiter = rate.NewLimiter(rate.Limit(h.Limits.Rate), max(1, int(h.Limits.Rate)))
		}
		if n = min(n, int(k.limiter.TokensAt(now))); n == 0 {
			time.AfterFunc(time.Duration(float64(time.Second)/h.Limits.Rate), k.wake)
			return 0, nil
		}
	}
	return n, kinds
}

// quiet is how long nothing is looked for again where, outside the working hours,
// there was nothing that goes at any hour: that look reads past all that waits.
const quiet = 5 * time.Second

// deadline is the longest that a call to this hospital may take.
func deadline(h *core.Hospital) time.Duration {
	longest := time.Second
	for name := range h.Connectors {
		longest = max(longest, h.Timeout(name))
	}
	return longest
}

// record tells the breaker what came of a message's exchange. After an outage, or after the HIS asked us to wait, the
// slots come back one with each answer, so their number doubles in the time of one
// answer: a HIS that has just started meets first one request, then two, four, eight.
func (k *desk) record(message int64, x *core.Exchange) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, o := time.Now(), x.Verdict.Outcome
	switch o {
	case core.OutcomeUnavailable, core.OutcomeInDoubt:
		k.breaker.RecordFailure()
		k.lastFailure = now
		if k.failing.IsZero() {
			k.failing = now
		}
		if k.broken.IsZero() && !k.breaker.IsClosed() {
			k.broken = now
		}
		switch {
		case !k.broken.IsZero():
			k.ramp = 1
		case k.ramp > 0:
			k.ramp = max(1, k.ramp/2)
		}
	case core.OutcomeInvalid: // says nothing about the HIS
		return
	default:
		k.breaker.RecordSuccess()
		k.lastSuccess = now
		if !k.breaker.IsClosed() {
			return // it was sent before the outage
		}
		if !k.broken.IsZero() {
			k.hold.closed(k.broken, now)
		}
		k.broken, k.failing = time.Time{}, time.Time{}
		if o != core.OutcomeBusy {
			k.hold.answered(message, x.Called)
		}
		if k.ramp > 0 && o != core.OutcomeBusy {
			k.ramp++
		}
		if k.ramp > k.h.Limits.Concurrency {
			k.ramp = 0
		}
	}
	if x.RetryAfter > 0 && puts(o) && k.hold.putOff(message, x.Left, now, x.RetryAfter) {
		time.AfterFunc(k.hold.until.Sub(now), k.wake)
		k.ramp = 1
	}
}
