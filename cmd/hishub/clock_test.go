package main

import (
	"context"
	"errors"
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
