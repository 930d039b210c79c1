package core

import "fmt"

// Count says how many of what: "1 fault", "2 faults".
func Count[N ~int | ~int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
