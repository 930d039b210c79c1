package codes

import (
	"fmt"
	"strings"
	"time"
)

// Day is a date as the number yyyymmdd, so that days compare as numbers; 0 is no
// bound.
type Day int32

// DayOf is the day of t in t's own zone.
func DayOf(t time.Time) Day {
	y, m, d := t.Date()
	return Day(y*10000 + int(m)*100 + d)
}

// ParseDay reads yyyy-MM-dd.
func ParseDay(text string) (Day, bool) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1 {
		return 0, false
	}
	return DayOf(t), true
}

// String is yyyy-MM-dd, "" for no bound.
func (d Day) String() string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d/10000, d/100%100, d%100)
}

// written are the ways in which spreadsheets and people write a day.
var written = []string{time.DateOnly, "2006/1/2", "2006-1-2", "2006.1.2", "2006年1月2日", "20060102", "2006-01-02 15:04:05", "2006/1/2 15:04", "2006/1/2 15:04:05"}

// readDay reads a day as people write it; midnight beside it does no harm.
func readDay(text string) (Day, bool) {
	text = strings.TrimSpace(text)
	for _, layout := range written {
		if t, err := time.Parse(layout, text); err == nil && t.Equal(t.Truncate(24*time.Hour)) && t.Year() > 0 {
			return DayOf(t), true
		}
	}
	return 0, false
}
