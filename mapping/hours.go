package mapping

import (
	"slices"
	"strings"
	"time"

	"hishub/core"
)

// readHours reads when the HIS may be called: maintenance windows and working hours.
func (l *loader) readHours(h map[string]*node, d *core.Dialect) {
	if n := h["maintenance"]; n != nil {
		for _, w := range n.items {
			if window, ok := readWindow(w.text); ok {
				d.Maintenance = append(d.Maintenance, window)
			} else {
				l.mistake(w.pos, `write "01:00-02:30"`, "%q is not a window of the day", w.text)
			}
		}
	}
	if n := h["working_hours"]; n != nil {
		for _, w := range n.items {
			if hours, ok := readDays(w.text); ok {
				d.Open = append(d.Open, hours)
			} else {
				l.mistake(w.pos, `write "Mon-Sat 07:00-18:30", "Mon,Wed 08:00-12:00" or "08:00-24:00" for every day`, "%q is no working hours", w.text)
			}
		}
		if len(n.items) == 0 {
			l.mistake(n.pos, "leave it out if the HIS may be called at any time", "working_hours is empty")
		}
	}
}

// readWindow reads "HH:mm-HH:mm".
func readWindow(text string) (core.Window, bool) {
	from, to, ok := strings.Cut(text, "-")
	start, ok1 := readMinute(from)
	end, ok2 := readMinute(to)
	return core.Window{Start: start, End: end}, ok && ok1 && ok2 && start < 24*60 && start != end && (start != 0 || end != 0)
}

// readMinute gives a time of day, up to 24:00, as minutes after midnight.
func readMinute(text string) (int, bool) {
	text = strings.TrimSpace(text)
	if text == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err == nil && len(text) == len("15:04")
}

var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// readDays reads "Mon-Fri,Sun HH:mm-HH:mm"; without days it holds every day.
func readDays(text string) (h core.Hours, ok bool) {
	days, window, named := strings.Cut(strings.TrimSpace(text), " ")
	if !named {
		days, window = "Sun-Sat", days
	}
	if h.Window, ok = readWindow(window); !ok {
		return h, false
	}
	for part := range strings.SplitSeq(days, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if !isRange {
			to = from
		}
		if from < 0 || to < 0 {
			return h, false
		}
		for day := from; ; day = (day + 1) % 7 {
			h.Days[day] = true
			if day == to {
				break
			}
		}
	}
	return h, true
}
