package delivery

import (
	"fmt"
	"math/rand/v2"
	"time"

	"hishub/core"
)

// next carries what a decision looks at and builds the Next.
type next struct {
	Policy
	d    *Delivery
	op   *core.Operation
	step *core.Step
	a    *Attempt
	Progress
}

// done: a receipt is believed unless it is for something else.
func (n next) done(v core.Verdict) Next {
	r, parts := receipt(v.Answer), tally(v.Parts)
	differs := n.differs(r)
	switch {
	case parts.doubt:
		n.keep(v.Captured, nil)
		return n.inDoubt()
	case parts.taken == 0 && len(parts.refused) > 0:
		return n.refused(parts.words(), v.ShowPatient)
	case len(parts.refused) > 0 && differs != "number":
		return n.inPart(v, r, parts)
	case differs == "":
		return n.finished(v.Captured, r)
	}
	n.LastByte = n.a.Now
	if n.step.Inquire != nil {
		n.keep(v.Captured, nil)
		return n.ask("", 0, "the HIS says done, but of another "+differs+"; asking it what it has")
	}
	return n.park(core.InDoubt, "the HIS says done, but of another "+differs)
}

// finished: the present step is done; on to the next one, or delivered.
func (n next) finished(captured map[string]string, r *core.Receipt) Next {
	n.Finished = append(n.Finished[:len(n.Finished):len(n.Finished)], Finished{n.Step, n.a.Now})
	return n.advance(n.Step+1, captured, r)
}

// reached: an inquiry says how far the HIS is. at names the last step that it
// has; "" means all of them.
func (n next) reached(at string, captured map[string]string, r *core.Receipt) Next {
	last := len(n.op.Steps) - 1
	if at != "" {
		last = -1
		for i := range n.op.Steps {
			if n.op.Steps[i].Name == at {
				last = i
			}
		}
		if last < 0 {
			return n.park(core.InDoubt, fmt.Sprintf("the HIS is at step %q, which the folder does not have", at))
		}
		if last < n.Step {
			// The HIS has the steps before the present one, but not this one.
			n.keep(captured, nil)
			return n.absent()
		}
	}
	for i := n.Step; i <= last; i++ {
		n.Finished = append(n.Finished[:len(n.Finished):len(n.Finished)], Finished{i, n.a.Now})
	}
	return n.advance(last+1, captured, r)
}

func (n next) advance(to int, captured map[string]string, r *core.Receipt) Next {
	n.keep(captured, r)
	n.Phase, n.Why, n.Failures, n.Busy, n.Inquiries, n.PutOff = Send, "", 0, 0, 0, PutOff{}
	n.Words, n.Reason = "", "" // of a refusal that is over
	n.LastByte, n.Running = time.Time{}, time.Time{}
	n.Step = to
	if to >= len(n.op.Steps) {
		n.Step = len(n.op.Steps) - 1
		return n.is(Delivered, "", "the HIS has it")
	}
	return n.is(Sending, "", "on to step "+n.op.Steps[to].Name)
}

func (n *next) keep(captured map[string]string, r *core.Receipt) {
	if len(captured) > 0 {
		all := make(map[string]string, len(n.Captured)+len(captured))
		for k, v := range n.Captured {
			all[k] = v
		}
		for k, v := range captured {
			all[k] = v
		}
		n.Captured = all
	}
	if r != nil {
		n.Receipt = merge(n.Receipt, r)
	}
}

// already: believed only when what the HIS holds is what we sent.
func (n next) already(v core.Verdict) Next {
	r := receipt(v.Answer)
	// What it says itself is not asked away.
	if differs := n.differs(r); differs != "" {
		return n.park(core.Rejected, "the HIS has this number already with another "+differs)
	}
	if n.step.Inquire != nil {
		n.keep(v.Captured, r)
		n.LastByte = n.a.Now
		return n.ask(WhyAlready, 0, "the HIS says that it has it already; asking it what exactly")
	}
	if n.money() && (r == nil || r.Amount == nil) {
		return n.park(core.InDoubt, "the HIS says that it has it already, but not for what amount")
	}
	return n.finished(v.Captured, r)
}

// differs names what the HIS holds otherwise than we sent it; "" if nothing.
func (n next) differs(r *core.Receipt) string {
	if r == nil {
		return ""
	}
	if r.Number != "" && r.Number != n.d.Body.Key() {
		return "number"
	}
	if priced, ok := n.d.Body.(core.Priced); ok && r.Amount != nil && *r.Amount != priced.Total() {
		return "amount"
	}
	return ""
}

func (n next) running(captured map[string]string) Next {
	if n.step.Inquire == nil {
		return n.park(core.InDoubt, "the HIS is at work on it and cannot be asked for the verdict")
	}
	n.keep(captured, nil)
	if n.Running.IsZero() {
		n.Running = n.a.Now
	}
	n.LastByte = n.a.Now
	if n.a.Now.Sub(n.Running) > n.step.Inquire.For {
		return n.park(core.InDoubt, fmt.Sprintf("the HIS gave no verdict within %s", n.step.Inquire.For))
	}
	n.Inquiries, n.PutOff = 0, PutOff{}
	return n.ask(n.Why, n.step.Inquire.Every, "the HIS is at work on it")
}

// inDoubt: ask before anything is sent again.
func (n next) inDoubt() Next {
	n.LastByte, n.Unanswered = n.a.Now, false
	switch {
	case n.step.Inquire != nil:
		return n.ask("", 0, "it may have happened; asking the HIS")
	case n.step.RepeatSafe:
		return n.later(core.InDoubt, "it may have happened and is harmless to repeat")
	}
	return n.park(core.InDoubt, "it may have happened and the HIS cannot be asked")
}

// absent: believed only once the HIS had the time to finish what it may have got.
func (n next) absent() Next {
	if wait := n.op.SettleAfter - n.a.Now.Sub(n.LastByte); wait > 0 {
		return n.ask(n.Why, min(wait, max(n.backoff(n.Inquiries), time.Second)), "the HIS does not have it yet; asking again until that can be believed")
	}
	switch n.Why {
	case WhyAlready:
		return n.park(core.InDoubt, "the HIS said that it has it already, and now that it does not")
	case WhyInPart:
		return n.park(core.InDoubt, "the HIS said that it took some of it, and now that it has nothing")
	}
	n.LastByte = time.Time{}
	if n.d.CancelWanted {
		return n.takeBack(WhyCancelled, "cancelled by a person; the HIS does not have it")
	}
	n.Phase, n.Running, n.Inquiries, n.PutOff = Send, time.Time{}, 0, PutOff{}
	return n.later(core.Unavailable, "the HIS does not have it; sending again")
}

// refused: what was done before is taken back where it can be.
func (n next) refused(words string, showPatient bool) Next {
	n.Words = words
	if n.Phase == Send && !n.LastByte.IsZero() {
		return n.park(core.InDoubt, "the HIS refused it this time; an earlier try may have happened")
	}
	n.LastByte = time.Time{}
	if len(n.Finished) > 0 && n.undoable() {
		return n.takeBack(WhyRefused, "the HIS refused it")
	}
	if n.d.CancelWanted && len(n.Finished) == 0 {
		return n.is(Cancelled, "", "cancelled by a person; the HIS refused it too")
	}
	out := n.park(core.Rejected, "the HIS refused it")
	out.ShowPatient = showPatient
	return out
}

func (n next) refundNow(v core.Verdict) Next {
	n.Words, n.LastByte = v.Words, time.Time{}
	out := n.is(Cancelled, core.Rejected, "the HIS refused it for good; the money goes back")
	out.RefundNow, out.ShowPatient = true, v.ShowPatient
	return out
}

// takeBack undoes the finished steps in reverse, then ends as why says.
func (n next) takeBack(why Why, because string) Next {
	n.Why, n.Reason = why, because
	if len(n.Finished) == 0 {
		return n.gaveUp()
	}
	if !n.undoable() {
		return n.park(core.Rejected, because+"; a finished step cannot be taken back")
	}
	n.Phase, n.Step, n.Failures, n.Busy, n.PutOff = Undo, n.lastFinished(), 0, 0, PutOff{}
	return n.is(Sending, "", because+"; taking back step "+n.op.Steps[n.Step].Name)
}

func (n next) undone() Next {
	undid := n.lastFinished()
	n.Finished = n.Finished[:len(n.Finished)-1]
	n.Failures, n.Busy, n.PutOff, n.LastByte = 0, 0, PutOff{}, time.Time{}
	if n.Why == WhyExpired {
		n.Phase, n.Why, n.Step = Send, "", undid
		return n.is(Sending, "", "doing step "+n.op.Steps[undid].Name+" again")
	}
	if len(n.Finished) > 0 {
		n.Step = n.lastFinished()
		return n.is(Sending, "", "taking back step "+n.op.Steps[n.Step].Name)
	}
	return n.gaveUp()
}

func (n next) gaveUp() Next {
	n.Phase, n.Step = Send, 0
	if n.Why == WhyCancelled {
		return n.is(Cancelled, "", n.Reason)
	}
	return n.is(Parked, core.Rejected, n.Reason)
}

// expired finds the first finished step whose captures are too old.
func (n next) expired(now time.Time) (step int, yes bool) {
	for _, f := range n.Finished {
		if e := n.op.Steps[f.Step].Expires; e > 0 && now.Sub(f.At) > e && n.LastByte.IsZero() {
			return f.Step, true
		}
	}
	return 0, false
}

// redo does the steps from an expired one again, undoing it first where it can be.
func (n next) redo(step int) Next {
	if n.lastFinished() == step && n.op.Steps[step].Undo != nil {
		n.Phase, n.Why, n.Step = Undo, WhyExpired, step
		return n.is(Sending, "", "step "+n.op.Steps[step].Name+" expired; taking it back")
	}
	for len(n.Finished) > 0 && n.lastFinished() >= step {
		n.Finished = n.Finished[:len(n.Finished)-1]
	}
	n.Step = step
	return n.is(Sending, "", "step "+n.op.Steps[step].Name+" expired; doing it again")
}

func (n next) lastFinished() int { return n.Finished[len(n.Finished)-1].Step }

// undoable: no undo runs by machine when a finished step has none, because that
// is the step that moved the money.
func (n next) undoable() bool {
	for _, f := range n.Finished {
		if n.op.Steps[f.Step].Undo == nil {
			return false
		}
	}
	return true
}

// money: an appointment that costs nothing is cancelled without any.
func (n next) money() bool {
	t, _ := core.Lookup(n.d.Kind)
	priced, ok := n.d.Body.(core.Priced)
	return t.Money && !(ok && priced.Total() == 0)
}

// later queues the same exchange again and spends the budget.
func (n next) later(class core.Class, because string) Next {
	n.Failures++
	if class == core.Unavailable && n.cancellable() {
		return n.takeBack(WhyCancelled, "cancelled by a person; nothing reached the HIS")
	}
	if n.Failures > n.MaxFailures {
		return n.park(class, fmt.Sprintf("given up after %d tries: %s", n.Failures, because))
	}
	after := max(n.wait(n.Failures), n.a.Exchange.RetryAfter)
	if n.putOff(after) {
		return n.putOffLong(class, because)
	}
	out := n.is(Queued, class, because)
	out.After = after
	return out
}

// busy queues the same exchange again. The HIS is there and put it off, so it spends
// no budget of outages; where the HIS says for how long, it spends MaxPutOff.
func (n next) busy(because string) Next {
	if n.cancellable() {
		return n.takeBack(WhyCancelled, "cancelled by a person; nothing was done at the HIS")
	}
	if n.a.Exchange.RetryAfter == 0 {
		n.Busy++
	}
	if n.Busy > n.MaxBusy {
		return n.park(core.Unavailable, fmt.Sprintf("given up after the HIS was busy %d times: %s", n.Busy, because))
	}
	// It is there, so the first waits are short.
	after := max(n.wait(n.Busy)/4, n.a.Exchange.RetryAfter)
	if n.putOff(after) {
		return n.putOffLong(core.Unavailable, because)
	}
	out := n.is(Queued, core.Unavailable, because)
	out.After = after
	return out
}

// cancellable: a person wants it cancelled and nothing of this step is at the HIS.
// An earlier try in doubt stays in doubt.
func (n next) cancellable() bool {
	return n.Phase == Send && n.LastByte.IsZero() && n.d.CancelWanted
}

func (n next) askAgain(because string) Next {
	if x := n.a.Exchange; x.Verdict.Outcome != core.OutcomeBusy || x.RetryAfter == 0 {
		n.Inquiries++
	}
	if n.Inquiries > n.MaxInquiries {
		return n.park(core.InDoubt, fmt.Sprintf("given up after %d inquiries: %s", n.Inquiries, because))
	}
	after := max(n.wait(n.Inquiries), n.a.Exchange.RetryAfter)
	if n.putOff(after) {
		return n.putOffLong(core.InDoubt, because)
	}
	return n.ask(n.Why, after, because)
}

func (n next) ask(why Why, after time.Duration, because string) Next {
	n.Phase, n.Why = Inquire, why
	out := n.is(Queued, core.InDoubt, because)
	out.After = after
	if after <= 0 {
		out.State = Sending
	}
	return out
}

func (n next) park(class core.Class, because string) Next { return n.is(Parked, class, because) }

func (n next) is(s State, class core.Class, because string) Next {
	return Next{State: s, Progress: n.Progress, Class: class, Because: because}
}

func (p Policy) backoff(failures int) time.Duration {
	d := p.Base
	for i := 1; i < failures && d < p.Cap; i++ {
		d *= 2
	}
	return min(d, p.Cap)
}

func (p Policy) wait(failures int) time.Duration {
	d := p.backoff(failures)
	if p.Jitter != nil {
		return p.Jitter(d)
	}
	return d/2 + rand.N(d/2+1)
}

func receipt(answer any) *core.Receipt {
	r, _ := answer.(*core.Receipt)
	return r
}

// merge keeps what an earlier step gave and adds what a later one knows better.
func merge(old, with *core.Receipt) *core.Receipt {
	if old == nil {
		return with
	}
	out := *old
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&out.HisNo, with.HisNo}, {&out.InvoiceNo, with.InvoiceNo}, {&out.InvoiceURL, with.InvoiceURL},
		{&out.CardNo, with.CardNo}, {&out.QueueNo, with.QueueNo}, {&out.Number, with.Number},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if with.Amount != nil {
		out.Amount = with.Amount
	}
	return &out
}

func cause(err error) string {
	if err == nil {
		return "no cause given"
	}
	return err.Error()
}
