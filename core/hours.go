package core

import (
	"slices"
	"time"
)

// Window is a daily stretch in the hospital's zone, as minutes after midnight.
// End before Start means over midnight.
type Window struct{ Start, End int }

// Contains reports whether t (in the hospital's zone) lies in the window.
func (w Window) Contains(t time.Time) bool {
	m := minute(t)
	if w.Start <= w.End {
		return w.Start <= m && m < w.End
	}
	return m >= w.Start || m < w.End
}

// Hours are a stretch of some days of the week in which the HIS may be called. One
// that goes over midnight belongs to the day on which it begins.
type Hours struct {
	// Days by time.Weekday: Sunday is 0.
	Days [7]bool
	Window
}

// Contains reports whether t (in the hospital's zone) lies in them.
func (h Hours) Contains(t time.Time) bool {
	m, today := minute(t), h.Days[t.Weekday()]
	if h.Start <= h.End {
		return today && h.Start <= m && m < h.End
	}
	return today && m >= h.Start || h.Days[(t.Weekday()+6)%7] && m < h.End
}

func minute(t time.Time) int { return t.Hour()*60 + t.Minute() }

// Rests reports whether the HIS is not to be called at t for transactions of this
// kind: a maintenance window, or outside its working hours. Nothing but a window
// holds up a kind that goes at any hour. "" is a kind like most.
func (d *Dialect) Rests(kind Kind, t time.Time) bool {
	if d.Maintained(t) {
		return true
	}
	local := t.In(d.Zone)
	return len(d.Open) > 0 && !d.anyHour(kind) && !slices.ContainsFunc(d.Open, func(h Hours) bool { return h.Contains(local) })
}

// Maintained reports whether t is in a maintenance window.
func (d *Dialect) Maintained(t time.Time) bool {
	local := t.In(d.Zone)
	return slices.ContainsFunc(d.Maintenance, func(w Window) bool { return w.Contains(local) })
}

// Opens is the first moment from t on at which the HIS may be called for this kind;
// ok is false when there is none within eight days.
func (d *Dialect) Opens(kind Kind, t time.Time) (opens time.Time, ok bool) {
	if !d.Rests(kind, t) {
		return t, true
	}
	local := t.In(d.Zone)
	for day := range 9 {
		at := func(m int) time.Time {
			return time.Date(local.Year(), local.Month(), local.Day()+day, 0, m, 0, 0, d.Zone)
		}
		// It can only open where working hours begin or a window ends.
		for _, h := range d.Open {
			opens, ok = earlier(d, kind, opens, ok, at(h.Start), t)
		}
		for _, w := range d.Maintenance {
			opens, ok = earlier(d, kind, opens, ok, at(w.End), t)
		}
		if ok {
			return opens, true
		}
	}
	return time.Time{}, false
}

func earlier(d *Dialect, kind Kind, opens time.Time, ok bool, candidate, from time.Time) (time.Time, bool) {
	if candidate.Before(from) || ok && !candidate.Before(opens) || d.Rests(kind, candidate) {
		return opens, ok
	}
	return candidate, true
}

// AtAnyHour are the kinds that go outside the working hours, too.
func (d *Dialect) AtAnyHour() (kinds []Kind) {
	for kind := range d.Operations {
		if d.anyHour(kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// anyHour: a payment channel has no part in the hospital's hours.
func (d *Dialect) anyHour(kind Kind) bool {
	if t, ok := Lookup(kind); ok && t.Mode == ToChannel {
		return true
	}
	op := d.Operations[kind]
	return op != nil && op.AnyHour
}
