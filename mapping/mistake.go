package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hishub/mapping/codes"
)

// Mistake is one thing that is wrong with a hospital folder.
type Mistake struct {
	File         string // path within the folder
	Line, Column int    // from 1; the column counts characters
	What         string // what is wrong
	Cure         string // what would be right; "" where What says it
	Warning      bool   // the folder can be used all the same
}

func (m Mistake) String() string {
	s := fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.What)
	if m.Cure != "" {
		s += "; " + m.Cure
	}
	if m.Warning {
		s += " (warning)"
	}
	return s
}

// Mistakes is everything that is wrong with a folder, in file order.
type Mistakes []Mistake

func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// sorted puts hospital.yaml first, then the other files by name, and drops what
// was found twice: an envelope is compiled once for each operation that uses it.
func (ms Mistakes) sorted() Mistakes {
	rank := func(m Mistake) int {
		if m.File == hospitalFile {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(ms)
}

// pos is a place in a file.
type pos struct {
	file         string
	line, column int
}

func (p pos) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }

// ledger of what was found while loading; shared by all parts of the loader.
type findings struct {
	all Mistakes
	// unfilled are the places of cells that say TODO: what else is wrong there
	// follows from it, and is not worth a line.
	unfilled map[pos]bool
}

const (
	// todo is what a draft leaves where somebody must decide. In quotes it is text.
	todo     = "TODO"
	unfilled = codes.Unfilled
)

// Unfilled tells a place that a draft left open from a mistake.
func (m Mistake) Unfilled() bool { return m.What == unfilled }

// notFilled reports a place that a draft left open, and keeps quiet about it then.
func (f *findings) notFilled(at pos, cure string) {
	f.mistake(at, cure, unfilled)
	if f.unfilled == nil {
		f.unfilled = map[pos]bool{}
	}
	f.unfilled[at] = true
}

func (f *findings) mistake(at pos, cure, what string, args ...any) {
	f.add(at, false, cure, what, args...)
}

func (f *findings) warn(at pos, cure, what string, args ...any) {
	f.add(at, true, cure, what, args...)
}

// wrong reports whether anything is worse than a warning.
func (f *findings) wrong() bool {
	return slices.ContainsFunc(f.all, func(m Mistake) bool { return !m.Warning })
}

func (f *findings) add(at pos, warning bool, cure, what string, args ...any) {
	if f.unfilled[at] {
		return
	}
	if len(args) > 0 {
		what = fmt.Sprintf(what, args...)
	}
	f.all = append(f.all, Mistake{File: at.file, Line: at.line, Column: at.column, What: what, Cure: cure, Warning: warning})
}

// didYouMean is a cure that names the nearest of the names, or all of them when
// none is near and they are few.
func didYouMean(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(names) == 0 || len(names) > 24 {
		return ""
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return "there are " + strings.Join(names, ", ")
}

func nearest(name string, names []string) string {
	best, least := "", max(1, len([]rune(name))/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least || d == least && best != "" && n < best {
			best, least = n, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			same := 1
			if x[i-1] == y[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
