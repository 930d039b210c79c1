package replay

import (
	"fmt"

	"hishub/core"
	"hishub/core/delivery"
)

// Repeats is what a hospital's folder says of telling one transaction again.
type Repeats struct {
	// Can: there is such a transaction.
	Can bool
	// Asks: the HIS can be asked what became of its first step, from which all else
	// follows.
	Asks bool
	// Safe: every step may be repeated.
	Safe bool
	// AsksAt and SafeAt are the same step by step.
	AsksAt, SafeAt []bool
	// UndoSafe: every step that can be undone may be undone twice.
	UndoSafe bool
}

// RepeatsOf reads that from a compiled transaction; nil is none.
func RepeatsOf(op *core.Operation) Repeats {
	if op == nil || len(op.Steps) == 0 {
		return Repeats{}
	}
	r := Repeats{Can: true, Asks: op.Steps[0].Inquire != nil, Safe: true, UndoSafe: true}
	for i := range op.Steps {
		s := &op.Steps[i]
		r.AsksAt, r.SafeAt = append(r.AsksAt, s.Inquire != nil), append(r.SafeAt, s.RepeatSafe)
		r.Safe = r.Safe && s.RepeatSafe
		r.UndoSafe = r.UndoSafe && (s.Undo == nil || s.Undo.RepeatSafe)
	}
	return r
}

// Subject is what decides whether a message may be told again.
type Subject struct {
	Kind  core.Kind
	State delivery.State
	Class core.Class
	// Step, Phase, Doubt and Finished are of a parked one's progress: the step that it
	// is at, whether bytes of that step may be at the HIS, and whether the HIS has
	// steps before it.
	Step            int
	Phase           delivery.Phase
	Doubt, Finished bool
	// Told: it was on its way to the HIS at least once.
	Told bool
	// Revision that it was said with last; 0 if never.
	Revision  int
	RefundNow bool
	// Gone: its content is past its retention.
	Gone bool
}

// Sent reports whether the HIS may have any of it.
func (s Subject) Sent() bool {
	if s.State == delivery.Parked {
		return s.Doubt || s.Finished
	}
	return s.Told
}

// Revision is the one that says it again: 0 is the newest.
func (w With) Revision(s Subject) int {
	if w == Original || w == Fitting && s.Sent() {
		return s.Revision
	}
	return 0
}

// Refusal says why a message may not be told again; "" if it may. Repeats is of the
// revision that would say it. Nothing that may be at the HIS is ever sent blindly:
// the HIS is asked first, or it is known to take repeats for one.
func (s Subject) Refusal(w With, r Repeats) string {
	t, ok := core.Lookup(s.Kind)
	switch {
	case !ok || t.Mode == core.Record:
		return "it is a record of our own ledger; nobody is told of it"
	case s.Gone:
		return "its content is past its retention"
	case s.RefundNow:
		return "the HIS refused it for good and the money goes back"
	case !r.Can:
		return core.ErrCannot.Error()
	case w == Newest && s.State == delivery.Parked && s.Finished:
		return "the HIS has steps of it that another revision said; replay it with the original, or cancel it"
	case s.State == delivery.Parked:
		return s.parked(r)
	case !s.Told || r.Asks || r.Safe:
		return ""
	}
	return fmt.Sprintf("the HIS may have it, cannot be asked, and does not refuse repeats: %s again could book it twice", told(t))
}

func told(t core.Transaction) string {
	if t.Money {
		return "telling of money"
	}
	return "telling it"
}

// parked: what is in doubt is only released where that is not blind.
func (s Subject) parked(r Repeats) string {
	at := func(steps []bool) bool { return s.Step < len(steps) && steps[s.Step] }
	switch {
	case s.Phase == delivery.Undo && s.Class == core.InDoubt && !r.UndoSafe:
		return "a step may have been taken back, and taking it back twice is not harmless; look at the HIS, then decide it by itself"
	case s.Phase == delivery.Send && s.Doubt && !at(r.AsksAt) && !at(r.SafeAt):
		return "it may have happened and the HIS cannot be asked; look there, then release it as delivered or cancel it"
	}
	return ""
}
