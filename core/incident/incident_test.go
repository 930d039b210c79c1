package incident

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// board is a Store in memory that remembers what was told.
type board struct {
	open map[int64]Incident
	next int64
	told []string
	// noted is the latest detail.
	noted Words
}

func (b *board) OpenIncidents(_ context.Context, hospitals []string) (all []Incident, _ error) {
	for _, i := range b.open {
		if slices.Contains(hospitals, i.Hospital) {
			all = append(all, i)
		}
	}
	return all, nil
}

func (b *board) OpenIncident(_ context.Context, hospital string, kind Kind, detail Words, _ []string) (bool, error) {
	b.next++
	b.open[b.next] = Incident{ID: b.next, Hospital: hospital, Kind: kind, Detail: detail.En}
	b.told = append(b.told, fmt.Sprintf("%s +%s", hospital, kind))
	return true, nil
}

func (b *board) NoteIncident(_ context.Context, id int64, detail Words) error {
	i := b.open[id]
	i.Detail, b.noted = detail.En, detail
	b.open[id] = i
	return nil
}

func (b *board) ResolveIncident(_ context.Context, id int64) (bool, error) {
	b.told = append(b.told, fmt.Sprintf("%s -%s", b.open[id].Hospital, b.open[id].Kind))
	delete(b.open, id)
	return true, nil
}

// Each trouble is told once when it begins and once when it is over, however
// often one looks and however it grows.
func TestWatchTellsOnce(t *testing.T) {
	t0 := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	minute := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }
	b := &board{open: map[int64]Incident{}}
	var signs Signs
	w := &Watch{Store: b, Log: slog.New(slog.DiscardHandler), Look: func(context.Context) ([]Signs, error) { return []Signs{signs, {Hospital: "h2"}}, nil }}
	for i, step := range []struct {
		minute int
		signs  Signs
		told   string
	}{
		{0, Signs{}, ""},
		{1, Signs{Queued: 3, Oldest: minute(0), Broken: minute(1)}, ""},
		{2, Signs{Queued: 5, Oldest: minute(0), Broken: minute(1)}, ""}, // a minute, not over
		{3, Signs{Queued: 5, Oldest: minute(0), Broken: minute(1)}, "h1 +breaker"},
		{10, Signs{Queued: 9, Oldest: minute(0), Broken: minute(1)}, ""},
		{11, Signs{Queued: 9, Oldest: minute(0), Broken: minute(1)}, "h1 +backlog"},
		{12, Signs{Queued: 99, Oldest: minute(0), Broken: minute(1), Parked: 1}, "h1 +parked"},
		{13, Signs{Queued: 99, Oldest: minute(0), Broken: minute(1), Parked: 50, InDoubt: 2}, ""},
		{14, Signs{Held: true, Queued: 99, Oldest: minute(0), Broken: minute(1), Parked: 50}, ""}, // paused: the backlog stays as it is
		{15, Signs{Held: true, Queued: 99, Oldest: minute(0), Parked: 50}, ""},                    // taken over by another process: nothing is known of the breaker
		{30, Signs{Queued: 99, Oldest: minute(0), Answered: true, Parked: 50}, "h1 -breaker"},
		{31, Signs{Parked: 50}, "h1 -backlog"},
		{32, Signs{}, "h1 -parked"},
		{33, Signs{Night: "2026-01-04 failed"}, "h1 +night"},
		{34, Signs{Night: "2026-01-05 has 2 differences"}, ""},
		{35, Signs{}, "h1 -night"},
		{40, Signs{Held: true, Queued: 1, Oldest: minute(20)}, ""}, // a window: no backlog because of it
		{49, Signs{Queued: 1, Oldest: minute(20)}, ""},
		{51, Signs{Queued: 1, Oldest: minute(20)}, "h1 +backlog"},
		{52, Signs{}, "h1 -backlog"},
	} {
		signs, b.told = step.signs, nil
		signs.Hospital = "h1"
		if err := w.Round(t.Context(), minute(step.minute)); err != nil {
			t.Fatal(err)
		}
		if told := strings.Join(b.told, ", "); told != step.told {
			t.Errorf("step %d, minute %d: told %q, want %q", i, step.minute, told, step.told)
		}
		if step.minute == 13 {
			for _, in := range b.open {
				if in.Kind == Parked && in.Detail != "50 messages wait for a person, 2 of them may have happened" {
					t.Errorf("the detail did not grow: %s", in.Detail)
				}
			}
		}
	}
}

func TestAClockThatIsOff(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		off   time.Duration
		asked time.Time
		want  string
	}{
		{0, time.Time{}, "left"},
		{time.Hour, time.Time{}, "left"},
		{-time.Minute, now, "over"},
		{-5 * time.Minute, now, "the HIS's clock is behind by 5 minutes"},
		{3 * time.Minute, now, "the HIS's clock is ahead by 3 minutes"},
	} {
		detail, found := Signs{ClockOff: c.off, ClockAsked: c.asked}.troubles(now, DefaultThresholds())[Clock]
		got := detail.En
		if !found {
			got = "over"
		} else if detail == left {
			got = "left"
		}
		if got != c.want {
			t.Errorf("%s off: %s, want %s", c.off, got, c.want)
		}
	}
}
