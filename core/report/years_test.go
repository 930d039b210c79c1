package report

import (
	"errors"
	"testing"

	"hishub/core"
)

// The store knows no year 0; it is never asked.
func TestYearsWithoutBooks(t *testing.T) {
	for _, period := range []string{"0000-01-01", "0000-01", "0001-01-01", "1999-12-31", "1999-12", "2101-01-01", "9999-12"} {
		_, err := Gatherer{}.Document(t.Context(), "dongshan", period)
		var ps core.Problems
		if !errors.As(err, &ps) || ps[0].Field != "period" {
			t.Errorf("%s: %v", period, err)
		}
	}
}
