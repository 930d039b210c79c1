package certify

import (
	"bytes"
	"slices"

	"hishub/core"
	"hishub/mapping"
)

// knownByToken tells whether a listener whose rule verify holds for this request
// looks at something beside the content only: it refuses another header or
// parameter, and no byte of the body makes a difference to it. Such a dialect signs
// nothing, so there is no signature that a changed content could break.
func (r *run) knownByToken(l *core.Listener, q core.Incoming) bool {
	for i := range q.Body {
		changed := q
		changed.Body = bytes.Clone(q.Body)
		changed.Body[i] = another(q.Body[i])
		if asked, holds := r.verifies(l, changed); asked && !holds {
			return false
		}
	}
	for _, part := range []func(*core.Incoming) *core.Tree{
		func(q *core.Incoming) *core.Tree { return &q.Headers },
		func(q *core.Incoming) *core.Tree { return &q.Query },
	} {
		for i, f := range *part(&q) {
			s, ok := f.Value.(string)
			if !ok || s == "" {
				continue
			}
			changed := q
			*part(&changed) = slices.Clone(*part(&q))
			(*part(&changed))[i].Value = s[:len(s)-1] + string(another(s[len(s)-1]))
			if asked, holds := r.verifies(l, changed); asked && !holds {
				return true
			}
		}
	}
	return false
}

// verifies asks the rule verify only; asked is false when the request did not get so
// far, because nobody could tell what it is.
func (r *run) verifies(l *core.Listener, q core.Incoming) (asked, holds bool) {
	arrival, err := l.Wire.Read(q)
	if err != nil {
		return false, false
	}
	for _, rule := range mapping.ExplainOpening(l.Door, arrival, r.hospital.Stamp("", r.now, 1)).Rules {
		if rule.Name == "verify" && rule.Asked {
			return true, rule.Holds
		}
	}
	return false, false
}

// another byte that may stand where this one stood: a digit for a digit, a letter for
// a letter.
func another(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return '0' + (c-'0'+1)%10
	case c >= 'a' && c < 'z' || c >= 'A' && c < 'Z':
		return c + 1
	case c == 'z' || c == 'Z':
		return c - 1
	}
	return c ^ 1
}
