package reconcile

import (
	"context"
	"time"

	"hishub/core"
)

// Asker asks a hospital a question at once.
type Asker interface {
	// Question returns the answer of the type in the catalogue, or a *core.Fault.
	Question(ctx context.Context, hospital string, kind core.Kind, q core.Body) (any, error)
}

// Place is what a night must know of a hospital.
type Place struct {
	Zone *time.Location
	core.NightRules
	// Maintenance windows, in which the HIS is left alone.
	Maintenance []core.Window
	// Bills by way of paying; Insurance is true when its ledger is asked of the HIS.
	Bills map[core.Channel]core.Biller
	// Can tells which questions the HIS answers.
	Can func(core.Kind) bool
}

// Runner runs nights.
type Runner struct {
	Store Store
	Asker Asker
	// Place of a hospital, as its active folder says.
	Place func(ctx context.Context, hospital string) (Place, error)
	// Now is time.Now if nil.
	Now func() time.Time
}

// Ask says what a run is to do.
type Ask struct {
	Hospital, Day, Who string
	// Full asks the HIS for each entry, whatever its totals say.
	Full bool
}

// Run compares one day of one hospital and stores what it found. A day that was
// run before is run again; nothing of the earlier run is changed.
func (r *Runner) Run(ctx context.Context, a Ask) (Night, error) {
	panic("not built yet")
}

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
	}
	count := map[id]int{}
	for _, f := range later {
		count[id{f.Class, f.Type, f.Number}]++
	}
	var out []Change
	for _, f := range earlier {
		k := id{f.Class, f.Type, f.Number}
		if count[k] > 0 {
			count[k]--
		} else {
			out = append(out, Change{f, true})
		}
	}
	for _, f := range later {
		if k := (id{f.Class, f.Type, f.Number}); count[k] > 0 {
			count[k]--
			out = append(out, Change{f, false})
		}
	}
	return out
}
