package reconcile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// Key names a prescription or order among the answers of a HIS.
func (p Prescribed) Key() string { return string(p.Type) + " " + p.Number }

// CompareStates compares what we believe of prescriptions and orders with what
// the HIS answered about each, by Prescribed.Key. One without an answer, or with
// an answer that says nothing, is unanswered: that is no difference. What is on
// its way to the HIS since less than transit is in transit. Findings come in the
// order of (type, number).
func CompareStates(ours []Prescribed, theirs map[string]*core.Status, now time.Time, transit time.Duration) (findings []Finding, unanswered []Prescribed) {
	ours = slices.Clone(ours)
	slices.SortFunc(ours, func(a, b Prescribed) int {
		return cmp.Or(strings.Compare(string(a.Type), string(b.Type)), strings.Compare(a.Number, b.Number),
			cmp.Compare(a.Message, b.Message), a.At.Compare(b.At))
	})
	for _, p := range ours {
		s := theirs[p.Key()]
		if s == nil || s.State == core.StateUnknown || s.State == "" {
			unanswered = append(unanswered, p)
			continue
		}
		class, cause := compareState(p, s, !p.At.IsZero() && now.Sub(p.At) < transit)
		f := Finding{Class: class, Type: p.Type, Number: p.Number, Amount: p.Amount, Cause: cause}
		f.Ours = []Entry{p.entry()}
		if s.State == core.StateDone || s.State == core.StateRunning {
			his := core.LedgerEntry{Type: p.Type, Number: p.Number, HisNo: s.HisNo, Amount: p.Amount, At: p.At}
			if s.Amount != nil {
				his.Amount = *s.Amount
			}
			f.HIS = []Entry{{LedgerEntry: his}}
			if class == AmountDiffers {
				f.Amount = apart(p.Amount, his.Amount)
			}
		}
		findings = append(findings, f)
	}
	return findings, unanswered
}

// entry is how it stands in our books.
func (p Prescribed) entry() Entry {
	return Entry{
		LedgerEntry: core.LedgerEntry{Type: p.Type, Number: p.Number, Amount: p.Amount, At: p.At},
		Message:     p.Message, Told: delivery.State(p.Told),
	}
}

func waiting(told string) bool {
	return told == string(delivery.Queued) || told == string(delivery.Sending)
}

func compareState(p Prescribed, s *core.Status, young bool) (Class, string) {
	there := s.State == core.StateDone
	voided := !there || s.Stage == core.StageVoided // nobody can act on it at the HIS
	switch {
	case s.State == core.StateRunning:
		return InTransit, "the HIS is still at work on it"
	case waiting(p.Told) && (there || young):
		return InTransit, "the HIS has not been told yet"
	case waiting(p.VoidTold):
		return InTransit, "the HIS has not been told yet that it was taken back"
	}
	gone := p.Stage == core.StageVoided || p.VoidTold == string(delivery.Delivered) || p.Told == string(delivery.Cancelled)
	switch {
	case gone && voided && p.Told == string(delivery.Delivered):
		return Matched, ""
	case gone && voided:
		return Excluded, "it was taken back before it took effect, and the HIS has not got it"
	case gone:
		return voidedHere(p, s)
	case !there && waiting(p.Told):
		return MissingAtHIS, "the HIS has not been told yet, for longer than that may take"
	case !there && p.Told == string(delivery.Parked):
		return MissingAtHIS, "our message that tells the HIS is parked"
	case s.State == core.StateRefused:
		return MissingAtHIS, "the HIS said that it has it, and now that it refused it"
	case !there:
		return MissingAtHIS, "the HIS said that it has it, and now that it has not"
	case p.Told == string(delivery.Parked):
		return StateDiffers, "the HIS has it, and our message that tells it is parked"
	}
	return bothHave(p, s)
}

// voidedHere and not at the HIS.
func voidedHere(p Prescribed, s *core.Status) (Class, string) {
	if p.Told == string(delivery.Cancelled) {
		return StateDiffers, "our message was cancelled, and the HIS has it"
	}
	switch s.Stage {
	case core.StageDispensed:
		return StateDiffers, "voided here, dispensed there"
	case core.StagePerformed:
		return StateDiffers, "cancelled here, performed there"
	case core.StageActive:
		return StateDiffers, "voided here, still active there"
	}
	return Matched, "" // returned is as good as voided; no stage decides nothing
}

// bothHave it; how far are they?
func bothHave(p Prescribed, s *core.Status) (Class, string) {
	if s.Amount != nil && p.Amount != 0 && *s.Amount != p.Amount {
		return AmountDiffers, "the HIS holds another amount than we told it"
	}
	if s.Stage == "" || p.Stage == "" || s.Stage == p.Stage {
		return Matched, ""
	}
	// A HIS that is further than we were told contradicts nobody.
	if p.Stage == core.StageActive && (s.Stage == core.StageDispensed || s.Stage == core.StagePerformed) {
		return Matched, ""
	}
	return StateDiffers, string(p.Stage) + " here, " + string(s.Stage) + " there"
}
