package delivery

import (
	"math/rand/v2"
	"time"

	"hishub/core"
)

// retries keeps a hospital's repeats from taking the place of what is sent for the
// first time. It is a token bucket: each repeat takes one, and a fifth of what the
// hospital can take comes back. A repeat for which there is none comes due when
// there will be one, in place of earlier. So, however many messages a HIS puts off
// again and again, four fifths of it are left to what is new.
//
// It is asked when a repeat is queued, not when it is claimed: no claim has to
// look past what may not go.
type retries struct {
	tokens float64
	at     time.Time
	takes  time.Duration // a call that the HIS dealt with, on average
}

const (
	retryShare  = 0.2              // of slots / takes, or of the hospital's rate
	retryFloor  = 1.0              // a second, at least
	retryBurst  = 20.0             // repeats that need not wait
	retryPutOff = 15 * time.Minute // at most: a HIS that is well again is not kept waiting
)

// answered learns how long a call takes that the HIS deals with.
func (r *retries) answered(o core.Outcome, took time.Duration) {
	switch o {
	case core.OutcomeOK, core.OutcomeAlready, core.OutcomeRejected, core.OutcomeRefundNow, core.OutcomeRunning:
	default:
		return // it says nothing about what it could do
	}
	if r.takes == 0 {
		r.takes = took
	}
	r.takes += (took - r.takes) / 16
}

// perSecond is how many repeats there may be in the long run.
func (r *retries) perSecond(l core.Limits) float64 {
	can := float64(max(l.Concurrency, 1))
	if r.takes > 0 {
		can /= r.takes.Seconds()
	}
	if l.Rate > 0 {
		can = min(can, l.Rate)
	}
	return max(retryFloor, retryShare*can)
}

// wait takes a token for a repeat and says how long it is until there is one.
func (r *retries) wait(now time.Time, l core.Limits) time.Duration {
	per := r.perSecond(l)
	if r.at.IsZero() {
		r.at, r.tokens = now, retryBurst
	}
	r.tokens = min(retryBurst, r.tokens+max(0, now.Sub(r.at).Seconds())*per)
	r.at = now
	r.tokens--
	if r.tokens >= 0 {
		return 0
	}
	if most := -retryPutOff.Seconds() * per; r.tokens <= most {
		r.tokens = most
		return retryPutOff/2 + rand.N(retryPutOff/2) // not all at the same time
	}
	return time.Duration(-r.tokens / per * float64(time.Second))
}
