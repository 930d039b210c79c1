package delivery

import (
	"math"
	"time"
)

// retries keeps a hospital's repeats from taking the place of what is sent for the
// first time: a token bucket that calls fill by a fifth of a token each, and time
// by one a second, and that every repeat takes one from. A repeat for which there
// is none comes due later than it would, when there will be one.
//
// So, among many calls, about one in five is a repeat, however many messages the
// HIS puts off. The most that a repeat is put off is bounded: a HIS that is
// well again is not kept waiting for what it put off before.
type retries struct {
	tokens float64
	rate   float64 // calls a second, lately
	at     time.Time
}

const (
	retryShare   = 0.2              // of the calls
	retryFloor   = 1.0              // a second, whatever the calls
	retryBurst   = 20.0             // repeats that need not wait for calls
	retryPutOff  = 5 * time.Minute  // at most
	retryHorizon = 10 * time.Second // what "lately" is
)

// pass lets the time pass.
func (r *retries) pass(now time.Time) {
	if r.at.IsZero() {
		r.at, r.tokens = now, retryBurst
	}
	dt := max(0, now.Sub(r.at).Seconds())
	r.at = now
	r.tokens = min(retryBurst, r.tokens+dt*retryFloor)
	r.rate *= math.Exp(-dt / retryHorizon.Seconds())
}

// called counts a call.
func (r *retries) called(now time.Time) {
	r.pass(now)
	r.rate += 1 / retryHorizon.Seconds()
	r.tokens = min(retryBurst, r.tokens+retryShare)
}

// wait takes a token for a repeat and says how long it is until there is one.
func (r *retries) wait(now time.Time) time.Duration {
	r.pass(now)
	perSecond := retryFloor + retryShare*r.rate
	r.tokens = max(r.tokens-1, -retryPutOff.Seconds()*perSecond)
	if r.tokens >= 0 {
		return 0
	}
	return time.Duration(-r.tokens / perSecond * float64(time.Second))
}
