package formats

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"hishub/core"
)

// separators is how a value keeps away from the separators around it: what is
// replaced in it, and what escapes those that remain.
type separators struct {
	replace *strings.Replacer
	escape  string   // one character, or ""
	all     []string // the separators that an escape stands before
}

// newSeparators reads the options replace and escape; reason says which of them
// is wrong.
func newSeparators(s settings, all ...string) (_ separators, option, reason string) {
	out := separators{escape: s.text("escape"), all: all}
	if len(out.escape) > 1 || out.escape != "" && out.escape[0] > '~' {
		return out, "escape", "is one ASCII character"
	}
	for _, sep := range all {
		if out.escape != "" && strings.Contains(sep, out.escape) {
			return out, "escape", "must not be a part of a separator"
		}
	}
	// The longest first: with "|" and "||" both replaced, "||" is one of its own.
	pairs := s.pairs("replace")
	old := slices.SortedFunc(maps.Keys(pairs), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	var replacements []string
	for _, o := range old {
		if o == "" {
			return out, "replace", "cannot replace an empty text"
		}
		replacements = append(replacements, o, pairs[o])
	}
	out.replace = strings.NewReplacer(replacements...)
	return out, "", ""
}

// put is the value as it is written.
func (s *separators) put(value string) (string, *Error) {
	value = s.replace.Replace(value)
	if s.escape == "" {
		for _, sep := range s.all {
			if !s.keepsApart(value, sep) {
				return "", wrong("holds a separator; give option replace what shall stand for it")
			}
		}
		return value, nil
	}
	// The first byte of a separator is enough: without it there is none.
	var out []byte
	for i := range len(value) {
		if value[i] == s.escape[0] || s.begins(value[i]) {
			out = append(out, s.escape[0])
		}
		out = append(out, value[i])
	}
	return string(out), nil
}

func (s *separators) begins(c byte) bool {
	for _, sep := range s.all {
		if sep[0] == c {
			return true
		}
	}
	return false
}

// take is the value that was written; lenient leaves alone what escapes nothing.
func (s *separators) take(value string, lenient func(i int)) (string, *Error) {
	if s.escape == "" || !strings.Contains(value, s.escape) {
		return value, nil
	}
	var out []byte
	for i := 0; i < len(value); i++ {
		if value[i] == s.escape[0] {
			if i+1 < len(value) && (value[i+1] == s.escape[0] || s.begins(value[i+1])) {
				i++
			} else if lenient == nil {
				return "", wrong("an escape stands before what needs none")
			} else {
				lenient(i)
			}
		}
		out = append(out, value[i])
	}
	return string(out), nil
}

// index is where the first separator that is not escaped begins, and which one
// it is; the length of text and -1 if there is none.
func (s *separators) index(text string) (i, which int) {
	for i := 0; i < len(text); i++ {
		if s.escape != "" && text[i] == s.escape[0] {
			i++
			continue
		}
		for which, sep := range s.all {
			if text[i] == sep[0] && strings.HasPrefix(text[i:], sep) {
				return i, which
			}
		}
	}
	return len(text), -1
}

// keepsApart reports whether a reader finds the separator that follows value
// where it is: "a|" before "||" would be cut one character early.
func (s *separators) keepsApart(value, separator string) bool {
	if len(separator) == 1 {
		return !strings.Contains(value, separator)
	}
	return strings.Index(value+separator, separator) == len(value)
}

// records is what formats of rows give: none is nil, one is itself.
func records(list core.List) core.Value {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

// eachRecord calls do for the one map or each map of the list.
func eachRecord(v core.Value, do func(core.Tree) *Error) *Error {
	switch v := v.(type) {
	case nil:
		return nil
	case core.Tree:
		return do(v)
	case core.List:
		for i, item := range v {
			tree, ok := item.(core.Tree)
			if !ok {
				return wrong("wants a map").underItem(i)
			}
			if err := do(tree); err != nil {
				return err.underItem(i)
			}
		}
		return nil
	}
	return wrong("wants a map or a list of maps")
}
