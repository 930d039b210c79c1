package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hishub/core"
)

// Night is one run over one business day of one hospital.
type Night struct {
	ID       int64  `json:"id"`
	Hospital string `json:"hospital"`
	// Day is yyyy-MM-dd in the hospital's zone.
	Day string `json:"day"`
	// Run counts the runs of this day from 1; the newest is the one that holds.
	Run     int        `json:"run"`
	State   NightState `json:"state"`
	Started time.Time  `json:"started"`
	Ended   time.Time  `json:"ended,omitzero"`
	// Who asked for it: a person, or "schedule".
	Who string `json:"who"`
	// Problem says in our words why the run failed.
	Problem string `json:"problem,omitempty"`
	// Counts of findings and sums in fen, by class.
	Counts map[Class]int `json:"counts,omitempty"`
	Ours   Totals        `json:"ours"`
	Theirs Totals        `json:"theirs"`
}

// Totals of one side.
type Totals struct {
	Payments      int      `json:"payments"`
	PaymentAmount core.Fen `json:"payment_amount"`
	Refunds       int      `json:"refunds"`
	RefundAmount  core.Fen `json:"refund_amount"`
}

func totals(es []Entry) (t Totals) {
	for _, e := range es {
		if e.Type == core.EntryRefund {
			t.Refunds++
			t.RefundAmount += e.Amount
		} else {
			t.Payments++
			t.PaymentAmount += e.Amount
		}
	}
	return t
}

// NightState is running, done or failed.
type NightState string

const (
	NightRunning NightState = "running"
	NightDone    NightState = "done"
	NightFailed  NightState = "failed"
)

// Differences is how many findings somebody must look into.
func (n Night) Differences() int {
	sum := 0
	for c, k := range n.Counts {
		if c.Difference() {
			sum += k
		}
	}
	return sum
}

// ErrNightRunning: another run of the same day has not ended.
var ErrNightRunning = errors.New("a run of this day is still going on")

// Store keeps nights.
type Store interface {
	// BeginNight opens the next run of a day; ErrNightRunning while another one is
	// open (a run older than an hour counts as dead).
	BeginNight(ctx context.Context, hospital, day, who string) (Night, error)
	// EndNight saves the run with all findings but the matched ones.
	EndNight(ctx context.Context, n Night, findings []Finding) error
	// Nights lists runs, newest first; hospital and day may be empty.
	Nights(ctx context.Context, hospital, day string, limit int) ([]Night, error)
	// Findings of one run.
	Findings(ctx context.Context, night int64) ([]Finding, error)
	// Ours gives our payments and refunds whose payment time lies in [from, to),
	// test messages left out.
	Ours(ctx context.Context, hospital string, from, to time.Time) ([]Entry, error)
}

// Asker asks a hospital a question at once.
type Asker interface {
	// Question returns the answer of the type in the catalogue, or a *core.Fault.
	Question(ctx context.Context, hospital string, kind core.Kind, q core.Body) (any, error)
}

// Runner runs nights.
type Runner struct {
	Store Store
	Asker Asker
	// Zone gives a hospital's time zone.
	Zone func(ctx context.Context, hospital string) (*time.Location, error)
}

// Run compares one day of one hospital and stores what it found. A day that was
// run before is run again; nothing of the earlier run is changed.
func (r *Runner) Run(ctx context.Context, hospital, day, who string) (Night, []Finding, error) {
	zone, err := r.Zone(ctx, hospital)
	if err != nil {
		return Night{}, nil, err
	}
	from, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return Night{}, nil, core.Problems{{Field: "day", What: "not a date like 2026-01-05"}}
	}
	if from.After(time.Now()) {
		return Night{}, nil, core.Problems{{Field: "day", What: "has not begun yet"}}
	}
	n, err := r.Store.BeginNight(ctx, hospital, day, who)
	if err != nil {
		return Night{}, nil, err
	}
	findings, err := r.compare(ctx, &n, from)
	n.Ended, n.State = time.Now(), NightDone
	if err != nil {
		n.State, n.Problem = NightFailed, err.Error()
	}
	// The end is saved even when the caller is gone: an open run blocks the day.
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if saveErr := r.Store.EndNight(save, n, findings); saveErr != nil {
		return n, findings, errors.Join(err, saveErr)
	}
	return n, findings, err
}

func (r *Runner) compare(ctx context.Context, n *Night, from time.Time) ([]Finding, error) {
	to := from.AddDate(0, 0, 1)
	answer, err := r.Asker.Question(ctx, n.Hospital, core.LedgerDetail, &core.LedgerQuery{Day: n.Day, From: from, To: to})
	if err != nil {
		return nil, fmt.Errorf("ask the HIS for its ledger: %w", err)
	}
	ledger, ok := answer.(*core.Ledger)
	if !ok {
		return nil, fmt.Errorf("ask the HIS for its ledger: the answer is no ledger")
	}
	theirs := make([]Entry, len(ledger.Entries))
	for i, e := range ledger.Entries {
		theirs[i] = Entry{Type: e.Type, Number: e.Number, HisNo: e.HisNo, ChannelNo: e.ChannelNo, Amount: e.Amount, At: e.At, Reversal: e.Reversal}
	}
	// A day more on either side resolves rows that the HIS dates otherwise.
	known, err := r.Store.Ours(ctx, n.Hospital, from.AddDate(0, 0, -1), to.AddDate(0, 0, 1))
	if err != nil {
		return nil, fmt.Errorf("read our ledger: %w", err)
	}
	var ours []Entry
	for _, e := range known {
		if !e.At.Before(from) && e.At.Before(to) {
			ours = append(ours, e)
		}
	}
	findings := Compare(ours, theirs, known)
	n.Counts = map[Class]int{}
	for _, f := range findings {
		n.Counts[f.Class]++
	}
	n.Ours, n.Theirs = totals(ours), totals(theirs)
	return findings, nil
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
		c Class
		key
	}
	count := map[id]int{}
	for _, f := range later {
		count[id{f.Class, key{f.Type, f.Number}}]++
	}
	var out []Change
	for _, f := range earlier {
		k := id{f.Class, key{f.Type, f.Number}}
		if count[k] > 0 {
			count[k]--
		} else {
			out = append(out, Change{f, true})
		}
	}
	for _, f := range later {
		if k := (id{f.Class, key{f.Type, f.Number}}); count[k] > 0 {
			count[k]--
			out = append(out, Change{f, false})
		}
	}
	return out
}
