// Package changes says how two states of a hospital folder differ: file by file,
// and what that means. It shows no secret and no key.
package changes

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"hishub/core"
)

// File is one that differs.
type File struct {
	Name string `json:"name"`
	// Is added, removed or changed.
	Is string `json:"is"`
	// Diff is unified; of a key or what is no text only that it differs.
	Diff string `json:"diff"`
}

// Note is what a difference means.
type Note struct {
	// Warning: somebody should be sure that it is meant.
	Warning bool   `json:"warning,omitempty"`
	About   string `json:"about"` // a transaction, "connector default", "codes/sex.csv"
	What    string `json:"what"`
}

// Changes are all differences.
type Changes struct {
	Files []File `json:"files"`
	Notes []Note `json:"notes"`
}

// Side is one state of a folder; Dialect is what it compiles to.
type Side struct {
	Name    string // for people: "revision 3"
	Files   fs.FS
	Dialect *core.Dialect
}

// Between compares two states.
func Between(old, new Side) (*Changes, error) {
	before, err := read(old.Files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", old.Name, err)
	}
	after, err := read(new.Files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", new.Name, err)
	}
	c := &Changes{Files: []File{}, Notes: []Note{}}
	for _, name := range names(before, after) {
		a, was := before[name]
		b, is := after[name]
		if was && is && bytes.Equal(a, b) {
			continue
		}
		f := File{Name: name, Is: "changed"}
		switch {
		case !was:
			f.Is = "added"
		case !is:
			f.Is = "removed"
		}
		switch {
		case secret(name, a) || secret(name, b):
			f.Diff = "(a key; it is not shown)\n"
		case !utf8.Valid(a) || !utf8.Valid(b):
			f.Diff = fmt.Sprintf("(no text; %d and %d bytes)\n", len(a), len(b))
		default:
			f.Diff = string(diff.Diff(old.Name+"/"+name, shown(name, a), new.Name+"/"+name, shown(name, b)))
			if f.Diff == "" {
				f.Diff = "(only what is not shown differs)\n"
			}
		}
		c.Files = append(c.Files, f)
	}
	m := &meaning{Changes: c, old: parse(before), new: parse(after)}
	m.operations(old.Dialect, new.Dialect)
	m.hospital()
	m.variables()
	m.codes(before, after)
	return c, nil
}

// Differ reports whether anything does.
func (c *Changes) Differ() bool { return len(c.Files) > 0 }

// mostFolder bounds what is read, as the loader does.
const mostFolder = 32 << 20

func read(folder fs.FS) (map[string][]byte, error) {
	all, total := map[string][]byte{}, 0
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		hidden := name != "." && (strings.HasPrefix(base, ".") || strings.HasSuffix(base, "~"))
		switch {
		case err != nil:
			return err
		case hidden && d.IsDir():
			return fs.SkipDir
		case hidden || d.IsDir():
			return nil
		}
		data, err := fs.ReadFile(folder, name)
		if total += len(data); err == nil && total > mostFolder {
			err = fmt.Errorf("it is larger than %d MiB", mostFolder>>20)
		}
		all[name] = data
		return err
	})
	return all, err
}

func names[V any](a, b map[string]V) []string {
	both := map[string]bool{}
	for name := range a {
		both[name] = true
	}
	for name := range b {
		both[name] = true
	}
	return slices.Sorted(maps.Keys(both))
}

// secret files hold what opens something.
func secret(name string, data []byte) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".key", ".p12", ".pfx", ".jks":
		return true
	}
	return bytes.Contains(data, []byte("PRIVATE KEY"))
}

var (
	sampleSecret = regexp.MustCompile(`(?im)^([A-Z0-9_]*(?:PASSWORD|PASSWD|PWD|SECRET|TOKEN|KEY|SALT|DSN)[A-Z0-9_]*)=.*$`)
	// user:password before the host of an address.
	userinfo = regexp.MustCompile(`([\w.+-]+://)?([\w.%-]+):([^\s:/@"'${}]+)@`)
)

// shown is a file without what may be a secret in it.
func shown(name string, data []byte) []byte {
	if name == "env.sample" {
		data = sampleSecret.ReplaceAll(data, []byte("$1=***"))
	}
	return []byte(masked(string(data)))
}

func masked(text string) string { return userinfo.ReplaceAllString(text, "$1***@") }
