package reconcile

import (
	"slices"

	"hishub/core"
)

// Change is a finding that a later run of the same day has or lacks.
type Change struct {
	Finding
	// Gone is true when only the earlier run has it.
	Gone bool `json:"gone"`
}

// Changes tells what a later run found otherwise than an earlier one.
func Changes(earlier, later []Finding) []Change {
	type id struct {
		c      Class
		t      core.EntryType
		number string
		amount core.Fen
	}
	of := func(f Finding) id { return id{f.Class, f.Type, f.Number, f.Amount} }
	count := map[id]int{}
	for _, f := range later {
		count[of(f)]++
	}
	var out []Change
	for _, f := range earlier {
		if k := of(f); count[k] > 0 {
			count[k]--
		} else {
			out = append(out, Change{f, true})
		}
	}
	for _, f := range later {
		if k := of(f); count[k] > 0 {
			count[k]--
			out = append(out, Change{f, false})
		}
	}
	return out
}

// Adjustment is what a later run of a closed day changes. The day's own reports
// stay as they were closed; finance books the difference on another day.
type Adjustment struct {
	Hospital string `json:"hospital"`
	// Day that is closed, BookedOn the business day that the difference counts for.
	Day      string `json:"day"`
	BookedOn string `json:"booked_on"`
	// Run of the day that found it.
	Run     int      `json:"run"`
	Changes []Change `json:"changes"`
	// Lines are differences: later less closed, also below zero.
	Lines []Line `json:"lines"`
}

// Empty reports whether the later run found all as it was closed.
func (a Adjustment) Empty() bool { return len(a.Changes) == 0 && len(a.Lines) == 0 }

// Adjustments tells what a later run of a closed day found otherwise than the
// run that closed it. bookedOn is the business day in which the later run ended.
func Adjustments(closing Night, closed []Finding, later Night, found []Finding, bookedOn string) Adjustment {
	return Adjustment{
		Hospital: closing.Hospital, Day: closing.Day, BookedOn: bookedOn, Run: later.Run,
		Changes: Changes(closed, found), Lines: difference(closing, later),
	}
}

func difference(closing, later Night) []Line {
	// By totals the HIS tells neither the business nor always the channel: such
	// lines meet those in full as one sum.
	coarse := closing.Detail != later.Detail
	sums := lines{}
	for i, n := range []Night{closing, later} {
		for _, l := range n.Lines {
			if i == 0 {
				l.Count, l.Amount, l.Fee = -l.Count, -l.Amount, -l.Fee
			}
			if coarse && l.Party == HIS {
				l.Channel, l.Business, l.Operator = "", "", ""
			}
			key := l
			key.Count, key.Amount, key.Fee = 0, 0, 0
			sum, ok := sums[key]
			if !ok {
				sum = key
			}
			sum.Count += l.Count
			sum.Amount += l.Amount
			sum.Fee += l.Fee
			sums[key] = sum
		}
	}
	return slices.DeleteFunc(sums.list(), func(l Line) bool { return l.Count == 0 && l.Amount == 0 && l.Fee == 0 })
}
