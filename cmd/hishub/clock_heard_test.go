package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/incident"
)

// answer is an exchange whose answer told the time, off by so much, after a while on the way.
func answer(at time.Time, off, took time.Duration) core.Exchange {
	return core.Exchange{Hospital: "h", Called: at, Answered: at.Add(took), Date: at.Add(took/2 + off).UTC().Format(http.TimeFormat)}
}

// The head of answers tells the HIS's clock, once three agree; what the way and whole
// seconds leave open is no offset.
func TestClockIsHeard(t *testing.T) {
	now := time.Now().Add(-10 * time.Minute)
	zone := func() *time.Location { return time.FixedZone("", 8*3600) }
	for name, c := range map[string]struct {
		offs  []time.Duration
		took  time.Duration
		every time.Duration
		want  time.Duration
		known bool
	}{
		"two are too few":         {[]time.Duration{time.Hour, time.Hour}, 0, time.Minute, 0, false},
		"three agree":             {[]time.Duration{time.Hour, time.Hour, time.Hour}, 0, time.Minute, time.Hour, true},
		"behind":                  {[]time.Duration{-time.Hour, -time.Hour, -time.Hour}, 0, time.Minute, -time.Hour, true},
		"one of two machines":     {[]time.Duration{time.Hour, 0, time.Hour, 0, time.Hour}, 0, time.Minute, 0, true},
		"mended":                  {[]time.Duration{time.Hour, time.Hour, time.Hour, 0}, 0, time.Minute, 0, true},
		"in one burst":            {[]time.Duration{time.Hour, time.Hour, time.Hour, time.Hour}, 0, time.Second, 0, false},
		"a slow way":              {[]time.Duration{4 * time.Second, 4 * time.Second, 4 * time.Second}, 9 * time.Second, time.Minute, 0, true},
		"too slow to say a thing": {[]time.Duration{time.Hour, time.Hour, time.Hour}, 20 * time.Second, time.Minute, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			var k clocks
			for i, off := range c.offs {
				k.hear(answer(now.Add(time.Duration(i)*c.every), off, c.took), zone)
			}
			s := incident.Signs{Hospital: "h"}
			k.tell(&s)
			if s.ClockAsked.IsZero() == c.known || (s.ClockOff-c.want).Abs() > 1500*time.Millisecond {
				t.Errorf("off by %s, asked %s; want %s", s.ClockOff, s.ClockAsked, c.want)
			}
		})
	}
}

// It is this process's clock that is wrong: all HISs agree with the database.
func TestClockOfThisProcess(t *testing.T) {
	k := clocks{database: func(context.Context) (time.Time, error) { return time.Now().Add(time.Hour), nil }}
	k.compare(t.Context())
	for i := range 3 {
		k.hear(answer(time.Now().Add(time.Duration(i-5)*time.Minute), time.Hour, 0), nil)
	}
	k.look(t.Context(), "asked", func(context.Context, string) (time.Time, error) { return time.Now().Add(time.Hour), nil })
	for _, h := range []string{"h", "asked"} {
		s := incident.Signs{Hospital: h}
		k.tell(&s)
		if s.ClockAsked.IsZero() || s.ClockOff.Abs() > 2*time.Second {
			t.Errorf("%s is off by %s, asked at %s", h, s.ClockOff, s.ClockAsked)
		}
	}
}

func TestMessageTime(t *testing.T) {
	zone := time.FixedZone("", 8*3600)
	want := time.Date(2026, 1, 5, 0, 30, 15, 0, time.UTC)
	for text, ok := range map[string]bool{
		"MSH|^~\\&|HIS|H|IH||20260105083015||ACK|1|P|2.4\rMSA|AA|1\r": true,
		"\x0bMSH|^~\\&|HIS|H|IH||20260105083015.0000||ACK|1|P|2.4\r":  true,
		"MSH|^~\\&|HIS|H|IH||20260105003015+0000||ACK|1|P|2.4\r":      true,
		"MSH|^~\\&|HIS|H|IH||202601050830||ACK|1|P|2.4\r":             false, // no seconds
		"MSH|^~\\&|HIS|H|IH||||ACK|1|P|2.4\r":                         false,
		"MSH|^~\\&":                                                   false,
		"MSH":                                                         false,
		"MSH|^~\\&|HIS|H|IH||20261305083015||ACK|1|P|2.4\r":           false,
	} {
		if got, told := messageTime([]byte(text), zone); told != ok || ok && !got.Equal(want) {
			t.Errorf("%q is %s, %v", text, got, told)
		}
	}
}

func FuzzMessageTime(f *testing.F) {
	f.Add([]byte("MSH|^~\\&|HIS|H|IH||20260105083015||ACK|1|P|2.4\r"))
	f.Add([]byte("\x0bMSH"))
	f.Fuzz(func(t *testing.T, message []byte) {
		if at, ok := messageTime(message, time.UTC); ok && at.IsZero() {
			t.Error("the zero time")
		}
	})
}

// The certificate that ends first counts, once every connector that speaks TLS was met.
func TestFirstCertificate(t *testing.T) {
	var c certificates
	d := &core.Dialect{Hospital: "h", Connectors: map[string]core.ConnectorSpec{
		"a": {Options: map[string]any{"endpoint": "https://his.example/a"}}, "b": {Options: map[string]any{"base": "https://his.example"}}, "c": {Options: map[string]any{"base": "http://his.example"}},
	}}
	later, soon := time.Now().Add(100*time.Hour), time.Now().Add(10*time.Hour)
	for _, step := range []struct {
		note func()
		ends time.Time
		name string
		met  bool
	}{
		{func() {}, time.Time{}, "", false},
		{func() { c.note("h", "a", true, later) }, later, "our certificate of connector a", false},
		{func() { c.note("h", "a", false, later) }, later, "the HIS's certificate of connector a", false},
		{func() { c.note("h", "b", false, soon) }, soon, "the HIS's certificate of connector b", true},
		{func() { c.note("h", "b", false, later.Add(1)) }, later, "the HIS's certificate of connector a", true},
	} {
		step.note()
		ends, which, met := c.first(d)
		if !ends.Equal(step.ends) || met != step.met || which.En != step.name {
			t.Errorf("%s ends %s, all met %v; want %+v", which.En, ends, met, step)
		}
	}
}
