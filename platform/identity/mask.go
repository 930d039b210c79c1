package identity

import (
	"strings"
	"unicode/utf8"
)

// maskNumber keeps 138****8000 of a phone, 6 and 4 of an identity card's number, and
// the last two of anything else.
func maskNumber(s string) string {
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

// maskName keeps the first character.
func maskName(s string) string {
	_, first := utf8.DecodeRuneInString(s)
	return s[:first] + strings.Repeat("*", max(0, utf8.RuneCountInString(s)-1))
}

// maskAddress keeps the net: 203.0.*.* or 2001:db8:*.
func maskAddress(s string) string {
	s = strings.Trim(s, "[]")
	if parts := strings.Split(s, "."); len(parts) == 4 && !strings.Contains(s, ":") {
		return parts[0] + "." + parts[1] + ".*.*"
	}
	if parts := strings.SplitN(s, ":", 3); len(parts) == 3 {
		return parts[0] + ":" + parts[1] + ":*"
	}
	return ""
}
