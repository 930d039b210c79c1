package delivery

import (
	"slices"
	"time"

	"hishub/core"
)

// hold is what "come back later" does to a whole hospital.
//
// Said of the hospital, by something before the HIS that did not let our bytes
// through, it holds all of its messages. Said in an answer to one message it may be
// about that message alone, and holding the others for it would let one bad message
// stop a hospital for as long as it is there. So then only the message waits, until
// a second one hears the same while the first still waits and nothing else was taken.
type hold struct {
	until time.Time // the hospital is not called before
	since time.Time // when it was held, or held on; zero: the HIS took something since
	first struct {  // put off, so far alone
		message   int64
		at, until time.Time
	}
	took  time.Time // when the latest call began that the HIS did not put off
	apart map[int64]apart
	spans []span // in which the hospital was not called, in their order
}

// apart is a message that was put off though the HIS took others.
type apart struct {
	at    time.Time // it was put off last
	times int       // so often others were taken between two of its tries
}

type span struct{ from, until time.Time }

const (
	// mostHeld bounds what one answer's Retry-After does to the whole hospital. The
	// message that it was said of waits as long as the HIS wants; another may ask before.
	mostHeld = time.Minute
	// mostApart is after how many such tries a message says nothing about its hospital
	// any more: two bad ones would hold it for ever, each being the other's witness.
	mostApart = 3
	// spansKept is how far back spans are asked for: the longest wait that a HIS may ask for.
	spansKept = time.Hour
	// mostKnown bounds what is known of messages; who is forgotten is learned again.
	mostKnown = 10_000
)

// putOff notes that a message was put off for so long and reports whether that holds
// the hospital. left is whether its bytes did.
func (h *hold) putOff(message int64, left bool, now time.Time, wait time.Duration) bool {
	a, known := h.apart[message]
	if known && h.took.After(a.at) {
		a.times++
	}
	a.at = now
	if h.apart == nil || !known && len(h.apart) >= mostKnown {
		h.apart = map[int64]apart{}
	}
	h.apart[message] = a
	if left && a.times >= mostApart {
		return false
	}
	until := now.Add(min(wait, mostHeld))
	second := h.first.message != 0 && h.first.message != message && now.Before(h.first.until)
	if left && h.since.IsZero() && !second {
		h.first.message, h.first.at, h.first.until = message, now, now.Add(wait)
		return false
	}
	if second {
		until = latest(until, earliest(h.first.until, h.first.at.Add(mostHeld)))
	}
	h.first.message, h.since = 0, now
	h.until = latest(h.until, until)
	h.closed(now, h.until)
	return true
}

// answered notes a call that the HIS did not put off. What it said before that call
// began is over; of a call that began earlier it may have thought otherwise since.
func (h *hold) answered(message int64, began time.Time) {
	delete(h.apart, message)
	h.took = latest(h.took, began)
	if began.After(h.first.at) {
		h.first.message = 0
	}
	if began.After(h.since) {
		h.since = time.Time{}
	}
}

// closed notes a time in which the hospital is not called.
func (h *hold) closed(from, until time.Time) {
	h.spans = slices.DeleteFunc(h.spans, func(s span) bool { return s.until.Before(from.Add(-spansKept)) })
	if n := len(h.spans); n > 0 && !from.After(h.spans[n-1].until) {
		last := &h.spans[n-1]
		last.from, last.until = earliest(last.from, from), latest(last.until, until)
		return
	}
	h.spans = append(h.spans, span{from, until})
}

// open is how much of a time the hospital was not held in.
func (h *hold) open(from, until time.Time) time.Duration {
	left := until.Sub(from)
	for _, s := range h.spans {
		if both := earliest(s.until, until).Sub(latest(s.from, from)); both > 0 {
			left -= both
		}
	}
	return max(0, left)
}

// waited is how much of the wait that the HIS asked for last its message could have
// been sent in: the hospital was neither held nor resting, and answered. It is by
// the ledger's clock, of which now is the present. What another process did before
// this desk was there is not known, and not counted.
func (k *desk) waited(d *Delivery, now time.Time) (open time.Duration) {
	if d.PutOff.From.IsZero() {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	here := time.Now()
	ours := here.Sub(now)
	from, until := latest(d.PutOff.From.Add(ours), k.began), earliest(d.PutOff.Until.Add(ours), here)
	if !k.failing.IsZero() { // nothing but failures since: an outage, whatever it says
		until = earliest(until, k.failing)
	}
	for at := from; at.Before(until); {
		end := earliest(at.Truncate(time.Minute).Add(time.Minute), until) // hours and windows begin with a minute
		if !k.h.Rests(d.Kind, at) {
			open += k.hold.open(at, end)
		}
		at = end
	}
	return open
}

// puts reports whether an outcome with a Retry-After puts a message off.
func puts(o core.Outcome) bool {
	return o == core.OutcomeBusy || o == core.OutcomeUnavailable || o == core.OutcomeInDoubt
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
