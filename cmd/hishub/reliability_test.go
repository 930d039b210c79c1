package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hishub/core"
	shipped "hishub/mapping/hospitals"
)

// What docs/reliability.md says of the shipped hospitals' nights is what their folders
// have. A cell names them, or says "all but" those that it names.
func TestReliabilityNamesTheShippedHospitals(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository(t), "docs", "reliability.md"))
	ok(t, err)
	folders, err := fs.ReadDir(shipped.FS, ".")
	ok(t, err)
	dialects := map[string]*core.Dialect{}
	for _, f := range folders {
		files, err := fs.Sub(shipped.FS, f.Name())
		ok(t, err)
		folder, err := loadSample(files)
		ok(t, err)
		dialects[f.Name()] = folder.Dialect
	}
	word := regexp.MustCompile(`[a-z]+`)
	named := func(row, cell string) (names []string) {
		for line := range strings.Lines(string(page)) {
			if !strings.HasPrefix(line, "| "+row+" |") {
				continue
			}
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			for _, part := range strings.Split(cells[len(cells)-1], ";") {
				about, list, split := strings.Cut(part, ":")
				if !split {
					about, list = "", part
				}
				if strings.TrimSpace(about) != cell {
					continue
				}
				for _, w := range word.FindAllString(list, -1) {
					if dialects[w] != nil {
						names = append(names, w)
					}
				}
				if strings.Contains(list, "all but") {
					but := names
					names = nil
					for name := range dialects {
						if !slices.Contains(but, name) {
							names = append(names, name)
						}
					}
				}
				slices.Sort(names)
				return names
			}
		}
		t.Fatalf("no row %q with %q", row, cell)
		return nil
	}
	has := func(kind core.Kind) func(*core.Dialect) bool {
		return func(d *core.Dialect) bool { return d.Operations[kind] != nil }
	}
	for _, c := range []struct {
		row, cell string
		is        func(*core.Dialect) bool
	}{
		{"totals, too", "", has(core.LedgerTotal)},
		{"no ledger", "", func(d *core.Dialect) bool { return !has(core.LedgerTotal)(d) && !has(core.LedgerDetail)(d) }},
		{"dates by its own clock", "", func(d *core.Dialect) bool { return d.Night.HISClock }},
		{"its own day by itself", "", func(d *core.Dialect) bool {
			for _, l := range d.Listeners {
				if slices.Contains(l.Kinds, core.LedgerPushed) {
					return true
				}
			}
			return false
		}},
		{"the state of one prescription or order", "prescriptions", func(d *core.Dialect) bool { return has(core.PrescriptionStatus)(d) && d.Night.States }},
		{"the state of one prescription or order", "orders", has(core.OrderStatus)},
	} {
		var want []string
		for name, d := range dialects {
			if c.is(d) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if got := named(c.row, c.cell); !slices.Equal(got, want) {
			t.Errorf("%s %s: the page says %v, the folders %v", c.row, c.cell, got, want)
		}
	}
}
