package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"hishub/core/incident"
)

func TestClocks(t *testing.T) {
	var c clocks
	signs := func() incident.Signs {
		s := incident.Signs{Hospital: "h"}
		c.tell(&s)
		return s
	}
	if !signs().ClockAsked.IsZero() {
		t.Error("known before it was asked")
	}
	c.look(t.Context(), "h", func(context.Context, string) (time.Time, error) { return time.Time{}, errors.New("away") })
	c.look(t.Context(), "h", func(context.Context, string) (time.Time, error) { return time.Time{}, nil })
	if !signs().ClockAsked.IsZero() {
		t.Error("a HIS that does not tell has a clock")
	}
	c.look(t.Context(), "h", func(context.Context, string) (time.Time, error) { return time.Now().Add(-5 * time.Minute), nil })
	if off := signs().ClockOff; off.Round(time.Second) != -5*time.Minute {
		t.Errorf("five minutes behind is %s", off)
	}
}

// Each hospital is asked when it comes to this process and every ten minutes.
func TestClocksDue(t *testing.T) {
	var c clocks
	begin := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after time.Duration
		ids   []string
		want  []string
	}{
		{0, nil, nil},
		{5 * time.Second, []string{"h1"}, []string{"h1"}},
		{10 * time.Second, []string{"h1", "h2"}, []string{"h2"}},
		{9 * time.Minute, []string{"h1", "h2"}, nil},
		{10*time.Minute + 6*time.Second, []string{"h1", "h2"}, []string{"h1"}},
		{11 * time.Minute, []string{"h1"}, nil},
		{11*time.Minute + time.Second, []string{"h1", "h2"}, []string{"h2"}}, // it came back
	} {
		if got := c.due(step.ids, begin.Add(step.after)); !slices.Equal(got, step.want) {
			t.Errorf("after %s: asks %v, want %v", step.after, got, step.want)
		}
	}
}
