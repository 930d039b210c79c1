package incident

import (
	"sync"
	"time"
)

// Rates count the exchanges of hospitals over the last RateWindow, in the process
// that carries them: nobody asks the database how many failed.
type Rates struct {
	mu  sync.Mutex
	all map[string]*rate
}

const (
	rateSlots = 20
	rateSlot  = RateWindow / rateSlots
	// rateGap is how long a hospital may not be looked at before its numbers are those
	// of another process.
	rateGap = time.Minute
)

type rate struct {
	// slots are a ring; number is the slot's time, in rateSlots since 1970.
	slots [rateSlots]struct {
		number      int64
		all, failed int
	}
	// since is when this process began to look at it without a gap until looked.
	since, looked time.Time
	// failing is since when everything fails of which a breaker incident tells, zero
	// while none does; what began before told is told by the latest of them.
	failing, told time.Time
	// cause is why the latest exchange failed.
	cause Words
}

// Because notes why an exchange failed; one that does not know leaves what was noted.
func (r *Rates) Because(hospital string, cause Words) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cause != (Words{}) {
		r.of(hospital).cause = cause
	}
}

// Cause is why the latest exchange failed, as far as this process knows.
func (r *Rates) Cause(hospital string) Words {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(hospital).cause
}

// Note counts one exchange by its end, unless a breaker incident tells of it.
func (r *Rates) Note(hospital string, failed bool, began, ended time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of(hospital)
	if began.Before(one.told) {
		return // it was on its way as the breaker closed
	}
	number := ended.UnixNano() / int64(rateSlot)
	s := &one.slots[number%rateSlots]
	if s.number != number {
		s.number, s.all, s.failed = number, 0, 0
	}
	s.all++
	if failed {
		s.failed++
	}
}

func (r *Rates) of(hospital string) *rate {
	one := r.all[hospital]
	if one == nil {
		if r.all == nil {
			r.all = map[string]*rate{}
		}
		one = &rate{}
		r.all[hospital] = one
	}
	return one
}

// Breaker says at each look since when everything fails of which a breaker incident
// tells; zero: none does. What it covers does not count, nor what shares a slot with
// it: people were told of that, and a rate of it would be told as the HIS is well again.
func (r *Rates) Breaker(hospital string, failing, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of(hospital)
	from := failing
	if failing.IsZero() {
		from = one.failing // it closed since the last look
	}
	one.failing = failing
	if from.IsZero() {
		return
	}
	one.told = now
	first, last := from.UnixNano()/int64(rateSlot), now.UnixNano()/int64(rateSlot)
	for i := range one.slots {
		if s := &one.slots[i]; s.number >= first && s.number <= last {
			s.all, s.failed = 0, 0
		}
	}
}

// Look gives the counts of the window that ends now. whole: this process has looked at
// the hospital all that time, so that few mean few.
func (r *Rates) Look(hospital string, now time.Time) (all, failed int, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of(hospital)
	if now.Sub(one.looked) > rateGap {
		one.since = now
	}
	one.looked = now
	oldest := now.UnixNano()/int64(rateSlot) - rateSlots
	for _, s := range one.slots {
		if s.number > oldest {
			all, failed = all+s.all, failed+s.failed
		}
	}
	return all, failed, now.Sub(one.since) >= RateWindow
}
