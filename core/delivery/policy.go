package delivery

import (
	"time"

	"hishub/core"
)

// Policy decides what follows after each exchange. It is pure: the same
// delivery and attempt give the same answer, but for the jitter.
type Policy struct {
	// MaxFailures, MaxBusy and MaxInquiries are budgets of a message: of outages, of
	// answers that put it off without saying for how long, and of questions that gave
	// no answer. Spent, a person must look. What the hospital as a whole may repeat
	// is bounded apart from them, see retries.
	MaxFailures, MaxBusy, MaxInquiries int
	// MaxPutOff is the budget where the HIS does say for how long: time in which it put
	// one message off though its hospital could be called, see PutOff.
	MaxPutOff time.Duration
	// Base is the first wait, doubled at each failure up to Cap.
	Base, Cap time.Duration
	// Jitter spreads a wait; nil takes between half of it and all of it.
	Jitter func(time.Duration) time.Duration
}

// DefaultPolicy holds on for about a day before it asks a person, and for an hour where
// the HIS is there and puts off one message alone.
var DefaultPolicy = Policy{MaxFailures: 1500, MaxBusy: 1500, MaxInquiries: 1500, MaxPutOff: time.Hour, Base: time.Second, Cap: time.Minute}

// After is the whole policy. Each line is a row of the table in docs/design.md.
func (p Policy) After(d *Delivery, op *core.Operation, a *Attempt) Next {
	v := a.Exchange.Verdict
	step := &op.Steps[d.Step]
	n := next{Policy: p, d: d, op: op, step: step, a: a}
	n.Progress = d.Progress
	n.Attempts++
	n.PutOff = n.PutOff.after(a.Waited)
	if d.Phase == Inquire {
		return n.afterInquiry(v)
	}
	if d.Phase == Undo {
		return n.afterUndo(v)
	}
	switch v.Outcome {
	case core.OutcomeOK:
		return n.done(v)
	case core.OutcomeAlready:
		return n.already(v)
	case core.OutcomeRunning:
		return n.running(v.Captured)
	case core.OutcomeBusy:
		return n.busy("the HIS is busy; nothing was done there")
	case core.OutcomeUnavailable:
		return n.later(core.Unavailable, "nothing was done at the HIS")
	case core.OutcomeInDoubt:
		return n.inDoubt()
	case core.OutcomeRefundNow:
		return n.refundNow(v)
	case core.OutcomeRejected:
		return n.refused(v.Words, v.ShowPatient)
	case core.OutcomeInvalid:
		return n.park(core.Invalid, "the message cannot be said in this hospital's dialect: "+cause(v.Err))
	}
	return n.inDoubt() // an outcome that nobody thought of may have happened
}

// afterInquiry: what the HIS says of a step that may have happened.
func (n next) afterInquiry(v core.Verdict) Next {
	status, ok := v.Answer.(*core.Status)
	if v.Outcome == core.OutcomeNoData {
		status, ok = &core.Status{State: core.StateAbsent}, true
	}
	if v.Outcome == core.OutcomeInvalid {
		return n.park(core.Invalid, "the inquiry cannot be said in this hospital's dialect: "+cause(v.Err))
	}
	if v.Outcome != core.OutcomeOK && v.Outcome != core.OutcomeNoData || !ok {
		return n.askAgain("asked whether it has this, the HIS gave no answer to that")
	}
	switch status.State {
	case core.StateDone:
		if differs := n.differs(&status.Receipt); differs != "" {
			return n.park(core.Rejected, "the HIS holds it with another "+differs)
		}
		if n.Why == WhyInPart && status.Amount == nil {
			return n.park(core.Rejected, "the HIS took some of it and does not say how much it has now")
		}
		if n.Why == WhyAlready && n.money() && status.Amount == nil && (n.Receipt == nil || n.Receipt.Amount == nil) {
			return n.park(core.InDoubt, "the HIS has it already, but does not say for what amount")
		}
		return n.reached(status.At, v.Captured, &status.Receipt)
	case core.StateAbsent:
		return n.absent()
	case core.StateRunning:
		return n.running(v.Captured)
	case core.StateRefused:
		return n.refused(status.Message, v.ShowPatient)
	}
	return n.askAgain("the HIS does not know what became of it")
}

// afterUndo: an undo is delivered like any message, but a doubtful one is only
// repeated where that is harmless.
func (n next) afterUndo(v core.Verdict) Next {
	switch v.Outcome {
	case core.OutcomeOK, core.OutcomeAlready:
		return n.undone()
	case core.OutcomeBusy:
		return n.busy("the HIS is busy; the undo was not done")
	case core.OutcomeUnavailable:
		return n.later(core.Unavailable, "the undo did not reach the HIS")
	case core.OutcomeInDoubt:
		if undo := n.op.Steps[n.lastFinished()].Undo; undo != nil && undo.RepeatSafe {
			return n.later(core.InDoubt, "the undo may have happened and is harmless to repeat")
		}
		return n.park(core.InDoubt, "the undo may have happened and the HIS cannot be asked")
	}
	return n.park(core.Rejected, "the HIS refused to take back a finished step")
}

// Before decides whether the delivery goes on with an exchange at all; ok is
// false when the returned Next is to be settled instead.
func (p Policy) Before(d *Delivery, op *core.Operation, now time.Time) (instead Next, ok bool) {
	n := next{Policy: p, d: d, op: op, a: &Attempt{Now: now}}
	n.Progress = d.Progress
	switch {
	case (d.Interrupted || d.Unanswered) && d.Phase == Send:
		// The process that sent it is gone; the answer was never read.
		n.step = &op.Steps[d.Step]
		return n.inDoubt(), false
	case (d.Interrupted || d.Unanswered) && d.Phase == Undo:
		n.step, n.Unanswered = &op.Steps[d.Step], false
		return n.afterUndo(core.Verdict{Outcome: core.OutcomeInDoubt}), false
	case d.Why == WhyInPart && d.Phase == Send:
		return n.park(core.Rejected, "the HIS took some of it and cannot be asked; it is not sent again"), false
	case d.CancelWanted && d.Phase == Send && d.LastByte.IsZero():
		return n.takeBack(WhyCancelled, "cancelled by a person before it took effect"), false
	case d.Phase == Send:
		if i, expired := n.expired(now); expired {
			return n.redo(i), false
		}
	}
	return Next{}, true
}

// Skip goes on to the next step without an exchange: this one does not apply.
func (p Policy) Skip(d *Delivery, op *core.Operation) Next {
	n := next{Policy: p, d: d, op: op, a: &Attempt{}}
	n.Progress = d.Progress
	return n.advance(n.Step+1, nil, nil)
}
