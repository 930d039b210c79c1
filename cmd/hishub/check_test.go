package main

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	shipped "hishub/mapping/hospitals"
)

// The cases of every shipped folder pass also where the environment has other keys
// than its env.sample, as every real one has.
func TestCasesRunWithTheSample(t *testing.T) {
	all, err := fs.ReadDir(shipped.FS, ".")
	ok(t, err)
	changed := 0
	for _, f := range all {
		files, err := fs.Sub(shipped.FS, f.Name())
		ok(t, err)
		sample, err := readSample(files)
		ok(t, err)
		for name, value := range sample {
			if strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_DSN") || strings.HasSuffix(name, "_DRIVER") {
				continue
			}
			other := []byte(value)
			slices.Reverse(other) // as long, and of the same letters: it may be one in hex
			t.Setenv(name, string(other))
			changed++
		}
		if r := checkFolder(f.Name(), files); r.bad() || r.Cases == 0 {
			t.Errorf("%s: %d cases, %d mistakes; failed: %s", f.Name(), r.Cases, len(r.Mistakes), strings.Join(r.Failed, "\n"))
		}
	}
	if _, set := os.LookupEnv("XIHU_NOTICE_KEY"); !set || changed < 6 {
		t.Errorf("%d variables changed", changed)
	}
}
