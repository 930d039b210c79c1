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
}

// Note counts one exchange.
func (r *Rates) Note(hospital string, failed bool, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number := now.UnixNano() / int64(rateSlot)
	s := &r.of(hospital).slots[number%rateSlots]
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
