// Package reconcile finds what we and a hospital's HIS believe differently about
// a day: a pure comparison, record by record, and the run that feeds it.
package reconcile

import (
	"cmp"
	"slices"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// Entry is one payment or refund in one side's books. Amount is positive for both.
type Entry struct {
	Type core.EntryType `json:"type"`
	// Number is ours: the order or refund number. A HIS row may lack it and carry
	// only the channel's or its own.
	Number    string    `json:"number,omitempty"`
	HisNo     string    `json:"his_no,omitempty"`
	ChannelNo string    `json:"channel_no,omitempty"`
	Amount    core.Fen  `json:"amount"`
	At        time.Time `json:"at,omitzero"`
	// Reversal marks a booking that takes another one back; it is left out.
	Reversal bool `json:"reversal,omitempty"`
	// Message and State are set on our side: what became of telling the HIS.
	Message int64          `json:"message,omitempty"`
	State   delivery.State `json:"state,omitempty"`
}

// Class is what an entry, or a pair of them, comes to.
type Class string

const (
	// Matched: both sides have it, alike.
	Matched Class = "matched"
	// InTransit: we have not told the HIS yet, and it does not have it.
	InTransit Class = "in_transit"
	// Excluded by rule: zero yuan, a reversal, or cancelled before it took effect.
	Excluded Class = "excluded"
	// MissingAtHIS: we took the money, the HIS has no booking (长款).
	MissingAtHIS Class = "missing_at_his"
	// MissingHere: the HIS booked it and we know nothing of it (短款).
	MissingHere Class = "missing_here"
	// AmountDiffers: both have it, for different amounts.
	AmountDiffers Class = "amount_differs"
	// StateDiffers: the HIS has it although we believe that it does not (yet).
	StateDiffers Class = "state_differs"
	// Repeated: one side has the same number more than once.
	Repeated Class = "repeated"
	// Ambiguous: a HIS row without our number fits more than one of ours.
	Ambiguous Class = "ambiguous"
)

// Classes lists all, in the order in which reports show them.
var Classes = []Class{Matched, InTransit, Excluded, MissingAtHIS, MissingHere, AmountDiffers, StateDiffers, Repeated, Ambiguous}

// Difference reports whether entries of the class are something that somebody
// must look into.
func (c Class) Difference() bool { return c != Matched && c != InTransit && c != Excluded }

// Finding puts entries of both sides into one class. Every entry of either side
// is in exactly one finding.
type Finding struct {
	Class  Class          `json:"class"`
	Type   core.EntryType `json:"type"`
	Number string         `json:"number"`
	Ours   []Entry        `json:"ours,omitempty"`
	Theirs []Entry        `json:"theirs,omitempty"`
}

// Compare sorts every entry of both sides into a class. It is pure, and the
// order of the entries does not matter. ours is what this day holds; known are
// entries of ours from around the day, by which HIS rows that lack our number
// are resolved (it may be nil or contain ours).
func Compare(ours, theirs, known []Entry) []Finding {
	resolve := newResolver(slices.Concat(ours, known))
	byNumber := map[key]*Finding{}
	var findings []Finding
	at := func(t core.EntryType, number string) *Finding {
		k := key{t, number}
		f := byNumber[k]
		if f == nil {
			f = &Finding{Type: t, Number: number}
			byNumber[k] = f
		}
		return f
	}
	alone := func(c Class, number string, e Entry) {
		findings = append(findings, Finding{Class: c, Type: e.Type, Number: number, Theirs: []Entry{e}})
	}
	for _, e := range ours {
		f := at(e.Type, e.Number)
		f.Ours = append(f.Ours, e)
	}
	for _, e := range theirs {
		switch number, n := resolve.number(e); {
		case e.Reversal || e.Amount == 0:
			alone(Excluded, number, e)
		case n > 1:
			alone(Ambiguous, cmp.Or(e.ChannelNo, e.HisNo), e)
		default:
			f := at(e.Type, number)
			f.Theirs = append(f.Theirs, e)
		}
	}
	for _, f := range byNumber {
		sortEntries(f.Ours)
		sortEntries(f.Theirs)
		f.Class = classify(f)
		findings = append(findings, *f)
	}
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Classes, a.Class), slices.Index(Classes, b.Class)),
			cmp.Compare(a.Type, b.Type), cmp.Compare(a.Number, b.Number), compareEntries(a.Theirs, b.Theirs))
	})
	return findings
}

type key struct {
	Type   core.EntryType
	Number string
}

func classify(f *Finding) Class {
	switch {
	case len(f.Ours) > 1 || len(f.Theirs) > 1:
		return Repeated
	case len(f.Ours) == 0:
		return MissingHere
	}
	ours := f.Ours[0]
	if len(f.Theirs) == 0 {
		switch {
		case ours.State == delivery.Cancelled || ours.Amount == 0:
			return Excluded
		case ours.State == delivery.Queued || ours.State == delivery.Sending:
			return InTransit
		}
		return MissingAtHIS
	}
	switch {
	case ours.Amount != f.Theirs[0].Amount:
		return AmountDiffers
	case ours.State != delivery.Delivered:
		return StateDiffers
	}
	return Matched
}

// resolver finds our number for a HIS row that carries another one.
type resolver struct{ byNumber, byChannel, byHis map[key][]string }

func newResolver(ours []Entry) *resolver {
	r := &resolver{map[key][]string{}, map[key][]string{}, map[key][]string{}}
	for _, e := range ours {
		add := func(m map[key][]string, no string) {
			if k := (key{e.Type, no}); no != "" && !slices.Contains(m[k], e.Number) {
				m[k] = append(m[k], e.Number)
			}
		}
		add(r.byNumber, e.Number)
		add(r.byChannel, e.ChannelNo)
		add(r.byHis, e.HisNo)
	}
	return r
}

// number gives our number and how many it could be. A row that fits nothing
// keeps the number that it has.
func (r *resolver) number(e Entry) (string, int) {
	if e.Number != "" {
		return e.Number, 1
	}
	for _, by := range []struct {
		m  map[key][]string
		no string
	}{{r.byChannel, e.ChannelNo}, {r.byHis, e.HisNo}} {
		if all := by.m[key{e.Type, by.no}]; by.no != "" && len(all) > 0 {
			return slices.Min(all), len(all)
		}
	}
	return cmp.Or(e.ChannelNo, e.HisNo, "?"), 0
}

func sortEntries(es []Entry) { slices.SortFunc(es, compareEntry) }

func compareEntry(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.HisNo, b.HisNo), cmp.Compare(a.ChannelNo, b.ChannelNo),
		cmp.Compare(a.Amount, b.Amount), a.At.Compare(b.At), cmp.Compare(a.Message, b.Message), cmp.Compare(a.State, b.State),
		cmp.Compare(bit(a.Reversal), bit(b.Reversal)))
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareEntries(a, b []Entry) int { return slices.CompareFunc(a, b, compareEntry) }
