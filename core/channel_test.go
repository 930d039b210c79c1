package core

import (
	"testing"
	"time"
)

// A business day ends by the clock on the wall, also where it is put forward or
// back between midnight and the cut; days leave no gap and do not overlap.
func TestDayEndsByTheClockOnTheWall(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []*time.Location{berlin, time.FixedZone("east", 8*60*60)} {
		for _, cut := range []int{0, 1, 17 * 60, 24*60 - 1} {
			rules := NightRules{Cut: cut}
			for day := time.Date(2026, 1, 1, 0, 0, 0, 0, zone); day.Year() == 2026; day = day.AddDate(0, 0, 1) {
				from, to, err := rules.Day(day.Format(time.DateOnly), zone)
				if err != nil {
					t.Fatal(err)
				}
				next, _, err := rules.Day(day.AddDate(0, 0, 1).Format(time.DateOnly), zone)
				if err != nil || !next.Equal(to) {
					t.Errorf("%s ends at %s, the next begins at %s: %v", day.Format(time.DateOnly), to, next, err)
				}
				if at := from.Hour()*60 + from.Minute(); at != cut {
					t.Errorf("%s with its cut at minute %d begins at %s", day.Format(time.DateOnly), cut, from)
				}
			}
		}
	}
}
