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

// story plays signs at times and gives what was told at each.
func story(t *testing.T, steps []struct {
	after time.Duration
	signs Signs
	told  string
}) {
	t.Helper()
	t0 := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	b := &board{open: map[int64]Incident{}}
	var signs Signs
	w := &Watch{Store: b, Log: slog.New(slog.DiscardHandler), Look: func(context.Context) ([]Signs, error) { return []Signs{signs}, nil }}
	for i, step := range steps {
		signs, b.told = step.signs, nil
		signs.Hospital = "h"
		if err := w.Round(t.Context(), t0.Add(step.after)); err != nil {
			t.Fatal(err)
		}
		slices.Sort(b.told)
		if told := strings.ReplaceAll(strings.Join(b.told, " "), "h ", ""); told != step.told {
			t.Errorf("step %d: told %q, want %q", i, told, step.told)
		}
	}
}

type steps = []struct {
	after time.Duration
	signs Signs
	told  string
}

// What is said has the hospital's clock, counts in words, and why the HIS does not answer.
func TestDetails(t *testing.T) {
	now := time.Date(2026, 1, 5, 0, 30, 0, 0, time.UTC)
	refused := Words{"the HIS refused the connection", "HIS 拒绝连接"}
	for _, c := range []struct {
		signs Signs
		kind  Kind
		want  Words
	}{
		{Signs{Queued: 1, Oldest: now.Add(-11 * time.Minute)}, Backlog, Words{"1 message waits, the oldest for over 11 minutes", "1 条在等待，最早一条已超过 11 分钟"}},
		{Signs{Parked: 1, Counted: true}, Parked, Words{"1 message waits for a person", "1 条待人工处理"}},
		{Signs{Parked: 30, InDoubt: 1, Lately: 30}, Parked, Words{"30 messages wait for a person, 1 of them may have happened", "30 条待人工处理，其中 1 条结果不明"}},
		{Signs{Parked: 30, Lately: 30}, ParkedGrowth, Words{"30 messages were parked within 30 minutes", "30 分钟内新增 30 条待人工处理"}},
		{Signs{Unmapped: 1, Counted: true}, Codes, Words{"1 code has no mapping", "1 个编码没有对照"}},
		{Signs{Unmapped: 7, Counted: true}, Codes, Words{"7 codes have no mapping", "7 个编码没有对照"}},
		{Signs{Broken: now.Add(-2*time.Minute - time.Nanosecond)}, Breaker, Words{"the HIS has not answered since 2026-01-05 08:27:59 Asia/Shanghai", "HIS 自 2026-01-05 08:27:59 Asia/Shanghai 起无应答"}},
		{Signs{Broken: now.Add(-2 * time.Minute), Zone: time.FixedZone("Asia/Urumqi", 6*3600), Cause: refused}, Breaker,
			Words{"the HIS has not answered since 2026-01-05 06:28:00 Asia/Urumqi: the HIS refused the connection", "HIS 自 2026-01-05 06:28:00 Asia/Urumqi 起无应答：HIS 拒绝连接"}},
		{Signs{Broken: now.Add(-2 * time.Minute), Zone: time.FixedZone("", -3600), Cause: Words{En: "unread"}}, Breaker,
			Words{"the HIS has not answered since 2026-01-04 23:28:00 -0100: unread", "HIS 自 2026-01-04 23:28:00 -0100 起无应答：unread"}},
	} {
		if got := c.signs.troubles(now, DefaultThresholds())[c.kind]; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.kind, got, c.want)
		}
	}
}

// A backlog that is over says how many waited at most, not the few of its end.
func TestABacklogEndsWithItsPeak(t *testing.T) {
	t0 := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	b := &board{open: map[int64]Incident{}}
	var signs Signs
	w := &Watch{Store: b, Log: slog.New(slog.DiscardHandler), Look: func(context.Context) ([]Signs, error) { return []Signs{signs}, nil }}
	look := func(minute int, s Signs) (detail Words) {
		t.Helper()
		b.noted = Words{}
		s.Hospital, signs = "h1", s
		if err := w.Round(t.Context(), t0.Add(time.Duration(minute)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		return b.noted
	}
	look(11, Signs{Queued: 20, Oldest: t0})
	look(12, Signs{Queued: 300, Oldest: t0})
	look(13, Signs{Queued: 4, Oldest: t0})
	if got := look(14, Signs{Queued: 4, Oldest: t0.Add(13 * time.Minute)}); got != (Words{"300 messages waited at most", "最多时有 300 条在等待"}) || len(b.open) != 0 {
		t.Errorf("over with %+v, %d open", got, len(b.open))
	}
	look(30, Signs{Queued: 1, Oldest: t0.Add(13 * time.Minute)})
	if got := look(31, Signs{}); got.En != "1 message waited at most" {
		t.Errorf("the second ends with %+v", got)
	}
	// What another process opened keeps what that one said.
	look(50, Signs{Queued: 9, Oldest: t0})
	w.peaks = nil
	if got := look(51, Signs{}); got != (Words{}) {
		t.Errorf("a process that saw nothing of it says %+v", got)
	}
}

// Each kind opens once and resolves once, with a gap between its beginning and end.
func TestFailures(t *testing.T) {
	story(t, steps{
		{0, Signs{Exchanges: 19, Failed: 19}, ""}, // too few to say
		{1, Signs{Exchanges: 100, Failed: 19}, ""},
		{2, Signs{Exchanges: 100, Failed: 20}, "+failures"},
		{3, Signs{Exchanges: 100, Failed: 90}, ""},
		{4, Signs{Exchanges: 100, Failed: 11}, ""},                                  // in between
		{5, Signs{Exchanges: 3}, ""},                                                // a new process has seen little
		{6, Signs{Exchanges: 100, Failed: 90, Broken: time.Unix(1, 0)}, "+breaker"}, // the breaker tells
		{7, Signs{Exchanges: 100, Failed: 9, Answered: true}, "-failures"},
		{6 + Steady, Signs{Exchanges: 100, Failed: 9, Answered: true}, "-breaker"},
		{8 + Steady, Signs{Exchanges: 100, Failed: 90, Broken: time.Unix(1, 0)}, "+breaker"}, // and alone
		{9 + Steady, Signs{Exchanges: 100, Failed: 50, Answered: true}, "+failures"},
		{8 + 2*Steady, Signs{Exchanges: 0, Whole: true, Answered: true}, "-breaker -failures"}, // nothing is said to it any more
	})
}

// A HIS that is away for 70 s and back for 10 s, all night, is one incident, which is
// over when it has been back for a while.
func TestAHISThatComesAndGoesIsOneIncident(t *testing.T) {
	var all steps
	look := func(after time.Duration, s Signs, told string) {
		all = append(all, struct {
			after time.Duration
			signs Signs
			told  string
		}{after, s, told})
	}
	t0 := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	const night, cycle, away = 8 * time.Hour, 80 * time.Second, 70 * time.Second
	for after := time.Duration(0); after < night; after += 5 * time.Second {
		s, told := Signs{Answered: true}, ""
		if in := after % cycle; in < away {
			s.Broken = t0.Add(after - in)
		}
		if after == 65*time.Second {
			told = "+breaker"
		}
		look(after, s, told)
	}
	back := night - cycle + away - 5*time.Second // it was seen broken for the last time
	look(back+Steady-time.Second, Signs{Answered: true}, "")
	look(back+Steady, Signs{Answered: true}, "-breaker")
	look(back+2*Steady, Signs{Answered: true}, "")
	story(t, all)
}

func TestParkedGrowth(t *testing.T) {
	story(t, steps{
		{0, Signs{Parked: 3, Lately: 3}, "+parked"},
		{1, Signs{Parked: 19, Lately: 19}, ""},
		{2, Signs{Parked: 30, Lately: 27}, "+parked_growth"},
		{3, Signs{Parked: 300, Lately: 290}, ""},
		{4, Signs{Parked: 300, Lately: 10}, ""},
		{5, Signs{Parked: 300, Lately: 9}, "-parked_growth"}, // they are known by now
		{6, Signs{Parked: 330, Lately: 30}, "+parked_growth"},
		{7, Signs{}, "-parked -parked_growth"},
	})
}

func TestCodes(t *testing.T) {
	story(t, steps{
		{0, Signs{Unmapped: 0}, ""},
		{1, Signs{Unmapped: 2, Counted: true}, "+codes"},
		{2, Signs{Unmapped: 9, Counted: true}, ""},
		{3, Signs{}, ""}, // another process, which has not counted yet
		{4, Signs{Counted: true}, "-codes"},
	})
}

func TestCertificates(t *testing.T) {
	const day = 24 * time.Hour
	ends := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) // 55 days after the beginning
	with := func(ends time.Time, met bool) Signs {
		return Signs{Ends: ends, Met: met, Certificate: Words{"the HIS's certificate of connector default", "证书"}}
	}
	story(t, steps{
		{0, with(time.Time{}, false), ""},
		{1, with(ends, true), ""},
		{25 * day, with(ends, true), "+certificate"},
		{30 * day, with(ends, true), ""},
		{40 * day, with(time.Time{}, false), ""},          // a new process has met none
		{40 * day, with(ends.Add(365*day), false), ""},    // and only another one
		{48 * day, with(ends, true), "+certificate_ends"}, // one that knows of weeks hears again
		{60 * day, with(ends, true), ""},
		{61 * day, with(ends.Add(365*day), true), "-certificate -certificate_ends"},
	})
	got := with(ends, true).troubles(ends.Add(-6*day), DefaultThresholds())
	if got[CertificateEnds].En != "the HIS's certificate of connector default ends on 2026-03-01" || got[Certificate].Zh != "证书将于 2026-03-01 到期" {
		t.Errorf("%+v", got)
	}
	if got = with(ends, true).troubles(ends.Add(day), DefaultThresholds()); got[CertificateEnds].Zh != "证书已于 2026-03-01 到期" {
		t.Errorf("%+v", got)
	}
}

// Thresholds are each hospital's own, and the routes are asked once.
func TestThresholdsAndRoutes(t *testing.T) {
	b := &board{open: map[int64]Incident{}}
	asked := 0
	w := &Watch{
		Store: b, Log: slog.New(slog.DiscardHandler),
		Look: func(context.Context) ([]Signs, error) {
			return []Signs{{Hospital: "h1", Lately: 5}, {Hospital: "h2", Lately: 5}}, nil
		},
		Thresholds: func(h string) Thresholds {
			d := DefaultThresholds()
			if h == "h1" {
				d.ParkedGrowth = 5
			}
			return d
		},
		Routes: func(h string, k Kind) []string { asked++; return []string{h + string(k)} },
	}
	for range 3 {
		if err := w.Round(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(b.told) != "[h1 +parked_growth]" || asked != 1 {
		t.Errorf("told %v, asked %d times", b.told, asked)
	}
}

func TestRates(t *testing.T) {
	var r Rates
	t0 := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	look := func(after time.Duration, all, failed int, whole bool) {
		t.Helper()
		if a, f, w := r.Look("h", t0.Add(after)); a != all || f != failed || w != whole {
			t.Errorf("after %s: %d of %d, %v; want %d of %d, %v", after, f, a, w, failed, all, whole)
		}
	}
	look(0, 0, 0, false)
	for i := range 100 {
		at := t0.Add(time.Duration(i) * time.Second)
		r.Note("h", i%4 == 0, at, at)
		r.Note("other", true, t0, t0)
	}
	look(50*time.Second, 100, 25, false) // those of the last seconds are counted by their slots
	for i := 1; i <= 9; i++ {
		look(time.Duration(i)*time.Minute, 100, 25, false)
	}
	look(10*time.Minute, 70, 17, true) // the first half minute is over
	look(10*time.Minute+50*time.Second, 40, 10, true)
	look(11*time.Minute+40*time.Second, 0, 0, true)
	look(20*time.Minute, 0, 0, false) // it was another process's meanwhile
	r.Note("h", true, t0.Add(20*time.Minute), t0.Add(20*time.Minute))
	look(20*time.Minute+time.Second, 1, 1, false)
}

// An outage is told by the breaker, and does not open failures as it is over; what
// fails before it and after it counts, and so does one that was no incident.
func TestRatesLeaveOutWhatTheBreakerTells(t *testing.T) {
	var r Rates
	t0 := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }
	note := func(failed bool, from, until int) {
		for s := from; s < until; s++ {
			r.Note("h", failed, at(s), at(s))
		}
	}
	look := func(seconds, all, failed int) {
		t.Helper()
		if a, f, _ := r.Look("h", at(seconds)); a != all || f != failed {
			t.Errorf("after %d s: %d of %d failed, want %d of %d", seconds, f, a, failed, all)
		}
	}
	note(false, 0, 60)
	note(true, 60, 120) // the breaker is open from the fifth on, which is no incident yet
	r.Breaker("h", time.Time{}, at(120))
	look(120, 120, 60)
	r.Breaker("h", at(60), at(121)) // now it is one
	look(121, 60, 0)
	note(true, 122, 150)
	r.Breaker("h", at(60), at(150))
	r.Note("h", true, at(151), at(151))
	r.Note("h", false, at(152), at(152)) // the probe
	r.Breaker("h", time.Time{}, at(155)) // and the first look that sees it closed
	r.Note("h", true, at(140), at(181))  // this one hung meanwhile
	look(181, 60, 0)
	note(false, 182, 190)
	note(true, 190, 200)
	r.Breaker("h", time.Time{}, at(200))
	look(200, 78, 10)
	note(true, 200, 230)
	look(230, 108, 40) // a breaker that was open for too short a time
}

// Every kind says itself in both languages.
func TestKinds(t *testing.T) {
	for _, k := range Kind("").Values() {
		if title := Kind(k).Title(); title.En == "" || title.Zh == "" || title.In("zh") != title.Zh || title.In("en") != title.En {
			t.Errorf("%s: %+v", k, title)
		}
	}
	if Breaker.Severity() != Critical || Parked.Severity() != Warning || (Words{En: "x"}).In("zh") != "x" {
		t.Error("severities or words")
	}
}
