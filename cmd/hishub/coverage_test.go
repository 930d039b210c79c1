package main

import (
	"path/filepath"
	"testing"

	"hishub/core"
)

// Every transaction that goes to a HIS is said by at least two of the shipped
// hospitals, with a case of each.
func TestEveryTransactionIsShippedTwice(t *testing.T) {
	found, err := folders(filepath.Join("..", "..", "mapping", "hospitals"))
	if err != nil {
		t.Fatal(err)
	}
	shipped := map[core.Kind]int{}
	for name, folder := range found {
		r := checkFolder(name, folder)
		if r.bad() {
			t.Errorf("%s: %+v %q", name, r.Mistakes, r.Failed)
		}
		for _, c := range r.Coverage {
			shipped[c.Kind]++
			if c.Cases == 0 {
				t.Errorf("%s has no case of %s", name, c.Kind)
			}
		}
	}
	for _, k := range core.Catalogue {
		if (k.Mode == core.Write || k.Mode == core.Question) && shipped[k.Kind] < 2 {
			t.Errorf("%s is shipped by %d hospitals", k.Kind, shipped[k.Kind])
		}
	}
}
