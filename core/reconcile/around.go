package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A night compares its own day. What belongs together may lie in the books of
// the days around: they are read as neighbours.

// findNeighbours adds what the store has of the days around.
func (r *run) findNeighbours(ctx context.Context) error {
	near, _, ahead := r.reach()
	own := map[int64]bool{}
	for _, b := range slices.Concat(r.books.channel, r.books.his) {
		own[b.ID] = true
	}
	// Nobody books before us by more than a day: channels and HIS's are only late.
	for d := -1; d <= ahead; d++ {
		if d == 0 {
			continue
		}
		kept, err := r.Store.Statements(ctx, r.night.Hospital, r.day(d))
		if err != nil {
			return fmt.Errorf("look for the books of %s: %w", r.day(d), err)
		}
		far := d > near
		pushed := slices.ContainsFunc(kept, func(s Statement) bool { return s.Party == HIS && s.Source == sourcePush })
		for _, s := range kept {
			b := book{s, true, far}
			switch {
			case own[s.ID]:
			case s.Party == Channel && r.books.sources[s.Source]:
				r.books.channel = append(r.books.channel, b)
			// The same entries sent and asked for would be there twice.
			case s.Party == HIS && len(r.books.his) > 0 && (s.Source == sourcePush || !pushed):
				r.books.his = append(r.books.his, b)
			}
		}
	}
	return nil
}

// lookBefore finds out whether the HIS's books of the day before are known: they
// are there, or their totals were ours, so that it has nothing else of that day.
func (r *run) lookBefore(ctx context.Context) error {
	before := r.day(-1)
	r.books.before = slices.ContainsFunc(r.books.his, func(b book) bool { return b.Day == before })
	if r.books.before || len(r.books.his) == 0 {
		return nil
	}
	nights, err := r.Store.Nights(ctx, r.night.Hospital, before, 1)
	if err != nil {
		return fmt.Errorf("look for the night before: %w", err)
	}
	r.books.before = len(nights) > 0 && nights[0].State == NightDone && nights[0].Detail == Totals
	return nil
}

// reach is how many days around are looked at: near for every entry, behind and
// ahead for money going back. A channel may take a refund up late, and a day that
// is run again long after looks as far as its repairs may lie. A HIS that dates by
// its own clock has everything that it was told late on another day.
func (r *run) reach() (near, behind, ahead int) {
	const day = 24 * time.Hour
	behind = max(1, int((r.place.RefundTransit+day-1)/day))
	ahead = max(behind, min(oldest, int((r.now.Sub(r.to)+day-1)/day)))
	if r.place.HISClock {
		return oldest, oldest, oldest
	}
	return 1, behind, ahead
}

// nextKnown tells whose books of the day after are there.
func (r *run) nextKnown() map[Party]bool {
	day := 24*time.Hour - time.Duration(r.place.Cut)*time.Minute
	return map[Party]bool{
		Ours:    true,
		Channel: r.billsKnown(r.day(1), r.place.Cut > 0 && r.place.Margin <= day),
		HIS:     slices.ContainsFunc(r.books.his, func(b book) bool { return b.Day == r.day(1) }),
	}
}

// beforeUnknown tells whose books of the day before are not there.
func (r *run) beforeUnknown() map[Party]bool {
	return map[Party]bool{
		Channel: !r.billsKnown(r.day(-1), r.place.Cut > 0 && r.place.Margin <= time.Duration(r.place.Cut)*time.Minute),
		HIS:     !r.books.before,
	}
}

// billsKnown reports whether all channels' books of a day are there. covered:
// bills that end at midnight show what lies around an earlier cut.
func (r *run) billsKnown(day string, covered bool) bool {
	there := map[string]bool{}
	for _, b := range r.books.channel {
		there[b.Source] = there[b.Source] || b.Day == day || covered && b.Source != sourceInsurance
	}
	for _, known := range there {
		if !known {
			return false
		}
	}
	return len(there) > 0
}

// read streams books, saying of each entry whether it is of the night's day; no
// books at all are a party that takes no part.
func (r *run) read(ctx context.Context, of []book) Stream {
	if len(of) == 0 {
		return nil
	}
	return func(yield func(Entry, error) bool) {
		for _, b := range of {
			entries := r.Store.StatementEntries
			if b.far {
				entries = r.Store.StatementRefunds
			}
			for e, err := range entries(ctx, b.ID) {
				if err != nil {
					yield(Entry{}, fmt.Errorf("read the books of %s: %w", b.Source, err))
					return
				}
				e.Neighbour = b.neighbour || r.ofDay(b, e) != r.night.Day
				r.done.Add(1)
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// ofDay is the business day of an entry. Bills go by the calendar, the rest by
// the hospital's own day.
func (r *run) ofDay(b book, e Entry) string {
	if b.Party != Channel || b.Source == sourceInsurance || r.place.Cut == 0 {
		return b.Day
	}
	at := e.At.In(r.place.Zone)
	// A time outside of the bill's day says nothing: the bill's day holds, so that
	// the entry counts once.
	if e.At.IsZero() || at.Format(time.DateOnly) != b.Day || at.Hour()*60+at.Minute() < r.place.Cut {
		return b.Day
	}
	return after(b.Day, 1)
}

// readOurs streams our ledger of the day and of those around.
func (r *run) readOurs(ctx context.Context) Stream {
	near, behind, ahead := r.reach()
	first, last := r.from.AddDate(0, 0, -near), r.to.AddDate(0, 0, near)
	return func(yield func(Entry, error) bool) {
		for _, part := range []Stream{
			r.Store.OursRefunds(ctx, r.night.Hospital, r.from.AddDate(0, 0, -behind), first),
			r.Store.Ours(ctx, r.night.Hospital, first, last),
			r.Store.OursRefunds(ctx, r.night.Hospital, last, r.to.AddDate(0, 0, ahead)),
		} {
			for e, err := range part {
				if err != nil {
					yield(Entry{}, fmt.Errorf("read our ledger: %w", err))
					return
				}
				e.Neighbour = e.At.Before(r.from) || !e.At.Before(r.to)
				r.done.Add(1)
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
