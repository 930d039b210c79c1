package delivery

import (
	"fmt"
	"time"

	"hishub/core"
)

// PutOff is how a HIS that is there keeps putting one message off and says for how
// long. That spends no try, so it has a budget of its own, in time.
type PutOff struct {
	// For is how long it waited so, in time in which its hospital could be called;
	// since the last exchange that got somewhere.
	For time.Duration `json:"for,omitempty"`
	// From and Until are the wait that was asked for last, by the ledger's clock. It is
	// not in For before the next try.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// after counts the wait that has led to an attempt.
func (p PutOff) after(waited time.Duration) PutOff { return PutOff{For: p.For + waited} }

// putOff notes that the HIS looked at it and wants to be asked again after a while;
// tooLong: that has gone on for longer than MaxPutOff. Who did not get that far was not
// put off: that is about the hospital, and spends the budget of outages.
func (n *next) putOff(after time.Duration) (tooLong bool) {
	x := &n.a.Exchange
	if o := x.Verdict.Outcome; x.RetryAfter == 0 || !x.Left || o != core.OutcomeBusy && o != core.OutcomeUnavailable {
		return false
	}
	if n.PutOff.For > n.MaxPutOff {
		return true
	}
	n.PutOff.From, n.PutOff.Until = n.a.Now, n.a.Now.Add(after)
	return false
}

// putOffLong parks what was put off for too long.
func (n next) putOffLong(class core.Class, because string) Next {
	return n.park(class, fmt.Sprintf("given up after the HIS kept putting it off for %s, in time in which the hospital could be called: %s", n.PutOff.For.Round(time.Second), because))
}
