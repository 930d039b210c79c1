package redis

import (
	"fmt"
	"testing"
)

// Two processes count into the same minutes; what is asked for is added up by minute.
func TestPulse(t *testing.T) {
	c := Embedded()
	t.Cleanup(func() { _ = c.Close() })
	here, there := NewPulse(c), NewPulse(c)
	ctx := t.Context()
	for _, add := range []struct {
		p      *Pulse
		minute int64
		by     map[string]Counts
	}{
		{here, 100, map[string]Counts{"": {"delivered": 3}, "xihu": {"delivered": 2}, "dongshan": {"delivered": 1}}},
		{there, 100, map[string]Counts{"": {"delivered": 1, "failed": 1}, "xihu": {"delivered": 1, "failed": 1}}},
		{here, 102, map[string]Counts{"": {"failed": 5}}},
	} {
		if err := add.p.Add(ctx, add.minute, add.by); err != nil {
			t.Fatal(err)
		}
	}
	for _, ask := range []struct {
		hospitals []string
		want      string
	}{
		{[]string{""}, "[map[delivered:4 failed:1] map[] map[failed:5]]"},
		{[]string{"xihu"}, "[map[delivered:3 failed:1] map[] map[]]"},
		{[]string{"xihu", "dongshan"}, "[map[delivered:4 failed:1] map[] map[]]"},
	} {
		got, err := there.Read(ctx, ask.hospitals, 100, 102)
		if err != nil || fmt.Sprint(got) != ask.want {
			t.Errorf("%v: %v %v, want %s", ask.hospitals, got, err, ask.want)
		}
	}
	if ttl := c.rdb.TTL(ctx, pulseKey(100, "xihu")).Val(); ttl <= 0 || ttl > PulseOfOne {
		t.Errorf("one hospital's minute stays for %v", ttl)
	}
	if ttl := c.rdb.TTL(ctx, pulseKey(100, "")).Val(); ttl <= PulseOfOne || ttl > PulseOfAll {
		t.Errorf("all hospitals' minute stays for %v", ttl)
	}
}
