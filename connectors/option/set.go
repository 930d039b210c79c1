// Package option reads the options of a connector as a hospital folder writes
// them. It finds every mistake at once and names each by its path.
package option

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/core"
)

// Set is the options of one connector, or of one of its nested maps. A name
// that nobody asked for is a mistake, so that a misspelt option never goes
// unnoticed.
type Set struct {
	path   string
	values map[string]any
	known  []string
	found  *core.Problems
	nested []*Set
}

// New reads the options of a connector.
func New(values map[string]any) *Set {
	return &Set{values: values, found: new(core.Problems)}
}

// Problem notes what is wrong with an option; what never holds its value.
func (s *Set) Problem(name, what string) {
	*s.found = append(*s.found, core.Problem{Field: s.path + name, What: what})
}

// Err is everything that is wrong as core.Problems, nil if nothing is. To be
// called last, because it takes what nobody asked for as unknown.
func (s *Set) Err() error {
	s.unknown()
	return s.found.OrNil()
}

func (s *Set) unknown() {
	names := make([]string, 0, len(s.values))
	for name := range s.values {
		if !slices.Contains(s.known, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		what := "no such option; there are " + strings.Join(s.known, ", ")
		if near := Near(name, s.known); len(near) > 0 {
			what = "no such option; did you mean " + near[0] + "?"
		}
		s.Problem(name, what)
	}
	for _, n := range s.nested {
		n.unknown()
	}
}

func (s *Set) get(name string) (any, bool) {
	s.known = append(s.known, name)
	v, ok := s.values[name]
	return v, ok && v != nil
}

// Refuse names an option that is deliberately not offered, and the cure.
func (s *Set) Refuse(name, cure string) {
	if _, ok := s.values[name]; ok {
		s.Problem(name, cure)
		s.known = append(s.known, name)
	}
}

// Value is an option as it was written, nil if it is missing.
func (s *Set) Value(name string) any {
	v, _ := s.get(name)
	return v
}

// Text is a text, or otherwise if it is missing.
func (s *Set) Text(name, otherwise string) string {
	v, ok := s.get(name)
	if !ok {
		return otherwise
	}
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	}
	s.Problem(name, "not a text")
	return otherwise
}

// Needed is a text that must be there.
func (s *Set) Needed(name string) string {
	t := s.Text(name, "")
	if t == "" && s.values[name] == nil {
		s.Problem(name, "missing")
	} else if t == "" {
		s.Problem(name, "empty (is the environment variable set?)")
	}
	return t
}

// OneOf is one of the choices; the first is the default.
func (s *Set) OneOf(name string, choices ...string) string {
	t := s.Text(name, choices[0])
	if !slices.Contains(choices, t) {
		s.Problem(name, "not one of "+strings.Join(choices, ", "))
		return choices[0]
	}
	return t
}

// Bool is true or false.
func (s *Set) Bool(name string, otherwise bool) bool {
	v, ok := s.get(name)
	if !ok {
		return otherwise
	}
	switch v {
	case true, "true":
		return true
	case false, "false":
		return false
	}
	s.Problem(name, "not true or false")
	return otherwise
}

// Count is a whole number of at least 1; 0 if it is missing.
func (s *Set) Count(name string) int {
	v, ok := s.get(name)
	if !ok {
		return 0
	}
	n, isInt := v.(int)
	if t, isText := v.(string); isText {
		var err error
		n, err = strconv.Atoi(t)
		isInt = err == nil
	}
	if !isInt || n < 1 {
		s.Problem(name, "not a whole number above 0")
		return 0
	}
	return n
}

// Duration is a stretch of time above zero, "30s" or "2m".
func (s *Set) Duration(name string, otherwise time.Duration) time.Duration {
	t := s.Text(name, "")
	if t == "" {
		return otherwise
	}
	d, err := time.ParseDuration(t)
	if err != nil || d <= 0 {
		s.Problem(name, "not a duration like 30s or 2m")
		return otherwise
	}
	return d
}

// Size is a number of bytes, "8MiB", "512KiB" or "1048576".
func (s *Set) Size(name string, otherwise int64) int64 {
	t := s.Text(name, "")
	if t == "" {
		return otherwise
	}
	digits, unit := t, int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if d, ok := strings.CutSuffix(t, suffix); ok {
			digits, unit = strings.TrimSpace(d), size
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > (1<<31)/unit {
		s.Problem(name, "not a size like 8MiB or 512KiB, at most 2GiB")
		return otherwise
	}
	return n * unit
}

// Map is a nested map of options, nil if it is missing.
func (s *Set) Map(name string) *Set {
	v, ok := s.get(name)
	if !ok {
		return nil
	}
	values, ok := v.(map[string]any)
	if !ok {
		s.Problem(name, "not a map of options")
		return nil
	}
	n := &Set{path: s.path + name + ".", values: values, found: s.found}
	s.nested = append(s.nested, n)
	return n
}

// File is the content of the folder's file that the option names, or the PEM
// text that stands in its place (line ends may be written \n); nil if it is
// missing or cannot be read.
func (s *Set) File(name string, files fs.FS) []byte {
	t := s.Text(name, "")
	switch {
	case t == "":
		return nil
	case strings.HasPrefix(strings.TrimSpace(t), "-----BEGIN "):
		// A file of variables holds one line a variable: its line ends are written \n.
		return []byte(strings.ReplaceAll(t, `\n`, "\n"))
	case files == nil:
		s.Problem(name, "names a file, but there is no folder")
		return nil
	}
	b, err := fs.ReadFile(files, t)
	switch {
	case err == nil:
		return b
	case !fileName.MatchString(t):
		// It may be a key, whose text must not be shown.
		s.Problem(name, "neither the name of a file in the hospital folder nor PEM text that begins with -----BEGIN")
	default:
		s.Problem(name, fmt.Sprintf("no readable file %q in the hospital folder", t))
	}
	return nil
}

// fileName is what may be repeated in an error: short, and with an ending.
var fileName = regexp.MustCompile(`^[\w./ -]{0,60}\.[a-zA-Z]{2,8}$`)
