package main

import (
	"fmt"
	"strconv"
	"strings"

	"hishub/core"
	"hishub/mapping"
)

// covered is how far a folder goes with one transaction of the catalogue.
type covered struct {
	Kind core.Kind `json:"kind"`
	// Inquiry, RepeatSafe: how a write gets out of doubt; of one in several steps,
	// all of them do. Undo: a step can be taken back.
	Inquiry    bool `json:"inquiry,omitempty"`
	RepeatSafe bool `json:"repeat_safe,omitempty"`
	Undo       bool `json:"undo,omitempty"`
	Cases      int  `json:"cases"`
}

// coverageOf lists what the folder has, in the order of the catalogue.
func coverageOf(d *core.Dialect, cases []mapping.CaseResult) []covered {
	number := map[core.Kind]int{}
	for _, c := range cases {
		if parts := strings.SplitN(c.Name, ".", 3); len(parts) > 1 {
			number[core.Kind(parts[0]+"."+parts[1])]++
		}
	}
	var out []covered
	for _, t := range core.Catalogue {
		op := d.Operations[t.Kind]
		if t.Mode == core.Inbound && number[t.Kind] > 0 {
			// What a listener takes, the dialect does not tell; a case of it could not run otherwise.
			out = append(out, covered{Kind: t.Kind, Cases: number[t.Kind]})
		}
		if op == nil {
			continue
		}
		c := covered{Kind: t.Kind, Inquiry: t.Mode == core.Write, RepeatSafe: t.Mode == core.Write, Cases: number[t.Kind]}
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
func (c covered) String() string {
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

// printCoverage prints transaction x hospital, for the folders that could be loaded.
func printCoverage(all []checked) error {
	head := []string{"TRANSACTION", "MODE"}
	cells := map[core.Kind]map[string]covered{}
	var hospitals []string
	for _, r := range all {
		if r.wrong() {
			continue
		}
		head, hospitals = append(head, strings.ToUpper(r.Hospital)), append(hospitals, r.Hospital)
		for _, c := range r.Coverage {
			if cells[c.Kind] == nil {
				cells[c.Kind] = map[string]covered{}
			}
			cells[c.Kind][r.Hospital] = c
		}
	}
	t := newTable(append(head, "HOSPITALS")...)
	for _, k := range core.Catalogue {
		if k.Mode == core.Record || k.Mode == core.ToChannel {
			continue // no folder says them
		}
		row := []any{k.Kind, k.Mode}
		for _, h := range hospitals {
			if c, ok := cells[k.Kind][h]; ok {
				row = append(row, c)
			} else {
				row = append(row, "-")
			}
		}
		t.row(append(row, len(cells[k.Kind]))...)
	}
	if err := t.print(); err != nil {
		return err
	}
	fmt.Println("\nA cell is the number of cases; i: the HIS can be asked in doubt; r: it knows a repeat; u: a step can be taken back; -: not in the folder.")
	return nil
}
