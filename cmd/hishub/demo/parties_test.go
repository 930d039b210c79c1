package demo

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"hishub/mapping/hospitals"
	"hishub/mocks/shipped"
)

// Whoever ships a folder shows it at work.
func TestEveryShippedFolderIsAParty(t *testing.T) {
	folders, err := fs.ReadDir(hospitals.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if !slices.ContainsFunc(parties, func(p party) bool { return p.id == f.Name() }) {
			t.Errorf("nobody starts %s", f.Name())
		}
	}
	if len(folders) != len(parties) {
		t.Errorf("%d folders and %d parties", len(folders), len(parties))
	}
}

// What a fake says of itself is what its folder asks for: no variable is misspelt,
// and none that leads somewhere is left as in the sample.
func TestFakesGiveWhatTheirFoldersAskFor(t *testing.T) {
	for _, p := range parties {
		if p.inDatabase {
			continue
		}
		his, env, err := p.start(t.Context(), shipped.Options{})
		if err != nil {
			t.Fatal(err)
		}
		his.Close()
		sample, err := fs.ReadFile(hospitals.FS, p.id+"/env.sample")
		if err != nil {
			t.Fatal(err)
		}
		asked := map[string]bool{}
		for line := range strings.Lines(string(sample)) {
			if name, _, is := strings.Cut(strings.TrimSpace(line), "="); is && !strings.HasPrefix(name, "#") {
				asked[name] = true
			}
		}
		for name := range env {
			if !asked[name] {
				t.Errorf("%s: its folder asks for no %s", p.id, name)
			}
		}
		for name := range maps.Keys(asked) {
			if env[name] == "" && name != "HEPING_LISTEN" && name != "HEPING_ALLOW" { // the hub's own
				t.Errorf("%s: nobody gives %s", p.id, name)
			}
		}
	}
}
