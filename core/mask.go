package core

import (
	"strings"
	"unicode/utf8"
)

// What names a person is shown masked, unless somebody may see it and says why.

// MaskNumber keeps 138****8000 of a telephone, 6 and 4 of what is longer, and the last
// 2 of anything else.
func MaskNumber(s string) string {
	switch n := len(s); {
	case n == 11:
		return s[:3] + "****" + s[7:]
	case n >= 15:
		return s[:6] + strings.Repeat("*", n-10) + s[n-4:]
	case n > 2:
		return strings.Repeat("*", n-2) + s[n-2:]
	}
	return strings.Repeat("*", len(s))
}

// MaskName keeps the first character: 张***.
func MaskName(s string) string {
	_, first := utf8.DecodeRuneInString(s)
	return s[:first] + strings.Repeat("*", max(0, utf8.RuneCountInString(s)-1))
}

// MaskDate keeps the year.
func MaskDate(s string) string {
	if len(s) < 4 {
		return s
	}
	return s[:4] + strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '*'
		}
		return r
	}, s[4:])
}

// MaskPersonal masks a value by what its field's tag `personal` says it is.
func MaskPersonal(kind, value string) string {
	switch kind {
	case "name":
		return MaskName(value)
	case "date":
		return MaskDate(value)
	}
	return MaskNumber(value)
}
