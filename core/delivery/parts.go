package delivery

import (
	"fmt"
	"strings"

	"hishub/core"
)

// parts is what the HIS did of several.
type parts struct {
	doubt   bool // of one of them at least
	taken   int
	refused []core.Part
}

func tally(all []core.Part) (p parts) {
	for _, part := range all {
		switch part.Outcome {
		case core.OutcomeOK:
			p.taken++
		case core.OutcomeRejected:
			p.refused = append(p.refused, part)
		default:
			p.doubt = true
		}
	}
	return p
}

func (p parts) keys() string {
	var keys []string
	for _, part := range p.refused {
		keys = append(keys, part.Key)
	}
	return strings.Join(keys, ", ")
}

func (p parts) words() string {
	var words []string
	for _, part := range p.refused {
		if part.Words != "" {
			words = append(words, part.Words)
		}
	}
	return strings.Join(words, "; ")
}

// inPart: what was taken stays taken, so it may neither be superseded nor sent
// again as a whole. Released, it asks the HIS, or is parked again where that
// cannot be asked.
func (n next) inPart(v core.Verdict, r *core.Receipt, p parts) Next {
	n.keep(v.Captured, r)
	n.LastByte, n.Words, n.Why = n.a.Now, p.words(), WhyInPart
	if n.step.Inquire != nil {
		n.Phase = Inquire
	}
	out := n.park(core.Rejected, fmt.Sprintf("the HIS took %d of %d parts; refused: %s", p.taken, p.taken+len(p.refused), p.keys()))
	out.ShowPatient = v.ShowPatient
	return out
}
