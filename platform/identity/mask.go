package identity

import "strings"

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
