package certify

import (
	"strconv"
	"strings"

	"hishub/core"
	"hishub/mapping"
)

// Covered is how far a folder goes with one transaction of the catalogue.
type Covered struct {
	Kind core.Kind `json:"kind"`
	// Inquiry, RepeatSafe: how a write gets out of doubt; of one in several steps,
	// all of them do. Undo: a step can be taken back.
	Inquiry    bool `json:"inquiry,omitempty"`
	RepeatSafe bool `json:"repeat_safe,omitempty"`
	Undo       bool `json:"undo,omitempty"`
	Cases      int  `json:"cases"`
}

// Coverage lists what the folder has, in the order of the catalogue.
func Coverage(d *core.Dialect, cases []mapping.CaseResult) []Covered {
	number := map[core.Kind]int{}
	for _, c := range cases {
		if parts := strings.SplitN(c.Name, ".", 3); len(parts) > 1 {
			number[core.Kind(parts[0]+"."+parts[1])]++
		}
	}
	out := []Covered{}
	for _, t := range core.Catalogue {
		op := d.Operations[t.Kind]
		if t.Mode == core.Inbound && number[t.Kind] > 0 {
			// What a listener takes, the dialect does not tell; a case of it could not run otherwise.
			out = append(out, Covered{Kind: t.Kind, Cases: number[t.Kind]})
		}
		if op == nil {
			continue
		}
		c := Covered{Kind: t.Kind, Inquiry: t.Mode == core.Write, RepeatSafe: t.Mode == core.Write, Cases: number[t.Kind]}
		for i := range op.Steps {
			s := &op.Steps[i]
			c.Inquiry = c.Inquiry && s.Inquire != nil
			c.RepeatSafe = c.RepeatSafe && s.RepeatSafe
			c.Undo = c.Undo || s.Undo != nil
		}
		out = append(out, c)
	}
	return out
}

// String is a cell of the table: the number of cases and the letters of its legend.
func (c Covered) String() string {
	out := strconv.Itoa(c.Cases)
	for _, f := range []struct {
		is     bool
		letter string
	}{{c.Inquiry, "i"}, {c.RepeatSafe, "r"}, {c.Undo, "u"}} {
		if f.is {
			out += " " + f.letter
		}
	}
	return out
}
