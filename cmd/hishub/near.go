package main

import (
	"os"
	"path/filepath"
	"strings"

	"hishub/connectors/option"
)

// didYouMean ends an error about a name that is not there: with those that come near,
// or with all when none does and they are few.
func didYouMean(name string, names []string) string {
	if near := option.Near(name, names); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	if len(names) == 0 || len(names) > 24 {
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

// namesIn are the names in a folder of a hospital's folder, without an ending; those
// that are hidden, and files without the ending, are none.
func namesIn(dir, ending string) (names []string) {
	all, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil
	}
	for _, e := range all {
		name, is := strings.CutSuffix(e.Name(), ending)
		if is && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names
}
