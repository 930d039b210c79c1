package main

import (
	"fmt"
	"strings"

	"hishub/cmd/hishub/certify"
	"hishub/core"
)

// printCoverage prints transaction x hospital, for the folders that could be loaded.
func printCoverage(all []checked) error {
	head := []string{"TRANSACTION", "MODE"}
	cells := map[core.Kind]map[string]certify.Covered{}
	var hospitals []string
	for _, r := range all {
		if r.wrong() {
			continue
		}
		head, hospitals = append(head, strings.ToUpper(r.Hospital)), append(hospitals, r.Hospital)
		for _, c := range r.Coverage {
			if cells[c.Kind] == nil {
				cells[c.Kind] = map[string]certify.Covered{}
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
