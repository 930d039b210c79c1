package delivery

import (
	"strings"
	"testing"
	"time"

	"hishub/core"
)

// A HIS that says for how long it puts a message off spends none of its tries, but
// its time; whatever got somewhere begins that anew.
func TestPutOff(t *testing.T) {
	p := still
	p.MaxPutOff = time.Hour
	with := func(d *Delivery, f func(*Delivery)) *Delivery {
		d.PutOff = PutOff{For: 59 * time.Minute, From: t0.Add(-time.Minute), Until: t0}
		f(d)
		return d
	}
	plain := func(*Delivery) {}
	undoing := func(d *Delivery) { d.Phase, d.Finished, d.Why = Undo, []Finished{{0, t0}}, WhyRefused }
	asking := func(d *Delivery) { d.Phase, d.LastByte = Inquire, t0.Add(-time.Hour) }
	for name, c := range map[string]struct {
		d      *Delivery
		o      core.Verdict
		after  time.Duration // that the HIS asks for
		waited time.Duration // of the minute that it asked for before
		shut   bool          // its bytes did not leave
		want   string
		total  time.Duration
	}{
		"busy":                     {with(payment(), plain), outcome(core.OutcomeBusy), time.Minute, time.Minute, false, "queued send[0] unavailable 1m0s", time.Hour},
		"busy for too long":        {with(payment(), plain), outcome(core.OutcomeBusy), time.Minute, 61 * time.Second, false, "parked unavailable", time.Hour + time.Second},
		"busy, in a pause":         {with(payment(), plain), outcome(core.OutcomeBusy), time.Minute, 0, false, "queued send[0] unavailable 1m0s", 59 * time.Minute},
		"unavailable":              {with(payment(), plain), outcome(core.OutcomeUnavailable), time.Minute, 61 * time.Second, false, "parked unavailable", time.Hour + time.Second},
		"a gateway":                {with(payment(), plain), outcome(core.OutcomeUnavailable), time.Minute, 61 * time.Second, true, "queued send[0] unavailable 1m0s", time.Hour + time.Second},
		"busy, without a time":     {with(payment(), plain), outcome(core.OutcomeBusy), 0, 61 * time.Second, false, "queued send[0] unavailable 250ms", time.Hour + time.Second},
		"in doubt":                 {with(payment(), plain), outcome(core.OutcomeInDoubt), time.Minute, 61 * time.Second, false, "sending inquire[0] in_doubt", time.Hour + time.Second},
		"the undo":                 {with(payment(), undoing), outcome(core.OutcomeBusy), time.Minute, 61 * time.Second, false, "parked unavailable", time.Hour + time.Second},
		"the question":             {with(payment(), asking), outcome(core.OutcomeBusy), time.Minute, 61 * time.Second, false, "parked in_doubt", time.Hour + time.Second},
		"a step was done":          {with(payment(), plain), outcome(core.OutcomeOK), 0, 61 * time.Second, false, "sending send[1]", 0},
		"the undo was done":        {with(payment(), undoing), outcome(core.OutcomeOK), 0, 61 * time.Second, false, "parked rejected", 0},
		"refused, so it is undone": {with(payment(), func(d *Delivery) { d.Step, d.Finished = 1, []Finished{{0, t0}} }), outcome(core.OutcomeRejected), 0, 61 * time.Second, false, "sending undo[0]", 0},
		"asked: at work":           {with(payment(), asking), status(core.Status{State: core.StateRunning}), 0, 61 * time.Second, false, "queued inquire[0] in_doubt 20s", 0},
		"asked: absent":            {with(payment(), asking), status(core.Status{State: core.StateAbsent}), 0, 61 * time.Second, false, "queued send[0] unavailable 1s", 0},
	} {
		n := p.After(c.d, operation(2, "inquire", "undo"), &Attempt{Exchange: core.Exchange{Verdict: c.o, RetryAfter: c.after, Left: !c.shut}, Now: t0, Waited: c.waited})
		if got := describe(n); got != c.want || n.PutOff.For != c.total {
			t.Errorf("%s: %q, put off for %s; want %q, %s (%s)", name, got, n.PutOff.For, c.want, c.total, n.Because)
		}
		if counts := n.State == Queued && c.after > 0 && !c.shut; counts != !n.PutOff.From.IsZero() || counts && n.PutOff.Until.Sub(n.PutOff.From) != c.after {
			t.Errorf("%s: what it waits now is %v", name, n.PutOff)
		}
		if n.State == Parked && n.PutOff.For > time.Hour && !strings.Contains(n.Because, "kept putting it off for 1h0m1s, in time in which the hospital could be called") {
			t.Errorf("%s: %s", name, n.Because)
		}
		if n.Busy > 0 && c.after > 0 || n.Inquiries > 0 && c.after > 0 {
			t.Errorf("%s: spent %d and %d tries", name, n.Busy, n.Inquiries)
		}
	}
}
