package alert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/incident"
	"hishub/core/report"
	"hishub/mocks/postbox"
	"hishub/mocks/robots"
)

var at = time.Date(2026, 1, 5, 0, 30, 0, 0, time.UTC)

func entry(n int, kind incident.Kind) Entry {
	return Entry{Incident: int64(n), Hospital: fmt.Sprintf("h%03d", n), Name: fmt.Sprintf("测试医院%d", n), Kind: kind, OpenedAt: at, Opened: true,
		Detail: incident.Words{En: "the HIS has not answered", Zh: "HIS 无应答"}}
}

func letter(n int, kind incident.Kind) Letter {
	l := Letter{ID: "L1", Route: "r"}
	for i := range n {
		l.Entries = append(l.Entries, entry(i+1, kind))
	}
	return l
}

func start(t *testing.T, o robots.Options) (*robots.Robots, weCom, dingTalk) {
	t.Helper()
	r, err := robots.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	v := view{language: "zh", zone: time.FixedZone("", 8*3600), pages: "https://hub.clinic.example"}
	return r, weCom{r.URL(), robots.WeComKey, v}, dingTalk{r.URL(), robots.DingTalkToken, robots.DingTalkSecret, time.Now, v}
}

func TestRobots(t *testing.T) {
	r, w, d := start(t, robots.Options{})
	over := entry(1, incident.Breaker)
	ended := at.Add(90 * time.Second)
	over.Opened, over.Resolved, over.ResolvedAt, over.LookedBy, over.LookedNote = false, true, &ended, "测试员", "网络中断至中午"
	for _, c := range []Channel{w, d} {
		for _, l := range []Letter{letter(1, incident.Breaker), {ID: "L2", Entries: []Entry{over}}, {ID: "L3", Test: true}, letter(3, incident.Parked), letter(100, incident.Breaker)} {
			if err := c.Send(t.Context(), l); err != nil {
				t.Fatalf("%T: %v", c, err)
			}
		}
	}
	shown := r.Messages()
	if len(shown) != 10 {
		t.Fatalf("%d messages", len(shown))
	}
	for i, want := range [][]string{
		{"[严重] 测试医院1（h001）：HIS 无应答", "2026-01-05 08:30:00 +0800 起", "https://hub.clinic.example/pages/hospitals"},
		{"[恢复] 测试医院1（h001）：HIS 无应答", "（2 分钟）", "测试员 正在处理：网络中断至中午"},
		{"测试", "什么都没有发生"},
		{"新增 3 项", "[警告] 测试医院2（h002）：有消息待人工处理"},
		{"新增 100 项", "[严重] HIS 无应答：100 家", "h001、h002", "另有 60 家"},
	} {
		for _, m := range []robots.Message{shown[i], shown[i+5]} {
			for _, one := range want {
				if !strings.Contains(m.Title+m.Text, one) {
					t.Errorf("%s lacks %q:\n%s", m.Robot, one, m.Text)
				}
			}
		}
	}
}

// A letter of any size is one message that the robot takes, and says what it leaves out.
func TestLettersFit(t *testing.T) {
	_, w, d := start(t, robots.Options{PerMinute: 1000})
	w.language, d.language = "en", "en"
	for _, n := range []int{1, 8, 9, 100, 1000} {
		for _, kind := range []incident.Kind{incident.Breaker, incident.Night} {
			l := letter(n, kind)
			for i := range l.Entries {
				l.Entries[i].Detail.En = strings.Repeat("of our words ", 100)
				l.Entries[i].Kind = incident.Kind(incident.Kind("").Values()[i%11])
			}
			for _, c := range []Channel{w, d} {
				if err := c.Send(t.Context(), l); err != nil {
					t.Errorf("%d to %T: %v", n, c, err)
				}
			}
			if n == 8 && !strings.Contains(w.content(l), "more, see the pages") {
				t.Error("what is left out is not said")
			}
		}
	}
}

func TestRobotsRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*robots.Robots, *weCom, *dingTalk)
		want   string
		after  [2]time.Duration
	}{
		"wrong key":     {func(_ *robots.Robots, w *weCom, d *dingTalk) { w.key, d.token = "top-secret", "top-secret" }, "not that of a robot", [2]time.Duration{}},
		"status":        {func(r *robots.Robots, _ *weCom, _ *dingTalk) { r.Strike(robots.Fault{Status: 502, Times: 2}) }, "answered 502", [2]time.Duration{}},
		"too many":      {func(r *robots.Robots, _ *weCom, _ *dingTalk) { r.Strike(robots.Fault{Status: 429, Times: 2}) }, "429", [2]time.Duration{time.Minute, time.Minute}},
		"no robot":      {func(r *robots.Robots, _ *weCom, _ *dingTalk) { r.Strike(robots.Fault{Garble: true, Times: 2}) }, "no errcode", [2]time.Duration{}},
		"silent":        {func(r *robots.Robots, _ *weCom, _ *dingTalk) { r.Strike(robots.Fault{Hang: true, Times: 2}) }, "deadline", [2]time.Duration{}},
		"answer lost":   {func(r *robots.Robots, _ *weCom, _ *dingTalk) { r.Strike(robots.Fault{Drop: true, Times: 2}) }, "EOF", [2]time.Duration{}},
		"other refusal": {func(r *robots.Robots, _ *weCom, _ *dingTalk) { r.Strike(robots.Fault{Code: 77, Times: 2}) }, "errcode 77", [2]time.Duration{}},
		"gone":          {func(r *robots.Robots, _ *weCom, _ *dingTalk) { r.Close() }, "call: ", [2]time.Duration{}},
		"a minute's worth": {func(r *robots.Robots, w *weCom, d *dingTalk) {
			for range 20 {
				_, _ = w.Send(context.Background(), letter(1, incident.Parked)), d.Send(context.Background(), letter(1, incident.Parked))
			}
		}, "too many; it takes 20 a minute", [2]time.Duration{time.Minute, 10 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			r, w, d := start(t, robots.Options{})
			c.change(r, &w, &d)
			for i, channel := range []Channel{w, d} {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				err := channel.Send(ctx, letter(1, incident.Parked))
				cancel()
				var later *Later
				if errors.As(err, &later); err == nil || !strings.Contains(err.Error(), c.want) || (c.after[i] > 0) != (later != nil) || later != nil && later.After != c.after[i] {
					t.Errorf("%T: %v, %v", channel, err, later)
				}
				if err != nil && (strings.Contains(err.Error(), w.key) || strings.Contains(err.Error(), d.token) || strings.Contains(err.Error(), "http://")) {
					t.Errorf("the error tells the address: %v", err)
				}
			}
		})
	}
	_, _, d := start(t, robots.Options{})
	if d.secret = "another"; !strings.Contains(fmt.Sprint(d.Send(t.Context(), letter(1, incident.Parked))), "signature") {
		t.Error("a wrong signature was taken")
	}
	d.secret, d.now = robots.DingTalkSecret, func() time.Time { return time.Now().Add(-2 * time.Hour) }
	if err := d.Send(t.Context(), letter(1, incident.Parked)); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("an old signature: %v", err)
	}
	keyword, _, d := start(t, robots.Options{Tokens: map[string]string{robots.DingTalkToken: ""}})
	if d.secret = ""; d.Send(t.Context(), letter(9, incident.Parked)) != nil || len(keyword.Messages()) != 1 {
		t.Error("a robot that goes by the keyword hishub did not take it")
	}
}

func TestWebhook(t *testing.T) {
	var got *http.Request
	var body []byte
	status := http.StatusNoContent
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
	}))
	defer s.Close()
	c := webhook{s.URL + "/x?token=top-secret", "s3cret", view{language: "en", zone: time.UTC}}
	l := letter(2, incident.Breaker)
	ended := at.Add(time.Hour + 123456789)
	l.Entries[1].Resolved, l.Entries[1].ResolvedAt, l.Entries[1].Zone, l.Entries[1].LookedNote = true, &ended, time.FixedZone("Asia/Shanghai", 8*3600), "their network"
	if err := c.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	var unix int64
	if _, err := fmt.Sscanf(got.Header.Get("Hishub-Signature"), "t=%d,", &unix); err != nil || got.Header.Get("Hishub-Signature") != core.Signature([]byte("s3cret"), time.Unix(unix, 0), body) {
		t.Errorf("signed %q: %v", got.Header.Get("Hishub-Signature"), err)
	}
	for _, want := range []string{`"id":"L1"`, `"transitions":["opened"]`, `"transitions":["opened","resolved"]`, `"severity":"critical"`, `"hospital":"h001"`, `"kind":"breaker"`,
		`"opened_at":"2026-01-05T00:30:00Z"`, `"opened_at":"2026-01-05T08:30:00+08:00","resolved_at":"2026-01-05T09:30:00+08:00"`, `"looked_note":"their network"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if got.Header.Get("Hishub-Alert") != "L1" {
		t.Error("the ID is not in the header")
	}
	status = http.StatusInternalServerError
	if err := c.Send(t.Context(), l); err == nil || strings.Contains(err.Error(), "top-secret") {
		t.Errorf("%v", err)
	}
}

func TestMailed(t *testing.T) {
	p, err := postbox.Start(t.Context(), postbox.Options{User: "hub", Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.Authority)
	c := letterbox{report.Mailer{Address: p.Addr(), User: "hub", Password: "s3cret", From: "hub@clinic.example", To: []string{"duty@clinic.example"}, TLS: &tls.Config{RootCAs: roots}}, view{language: "zh", zone: time.UTC}}
	p.Strike(postbox.Fault{Drop: true}) // it has the letter, and we do not know
	l := letter(1, incident.Breaker)
	if err := c.Send(t.Context(), l); err == nil {
		t.Error("no answer is no success")
	}
	if err := c.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	letters := p.Letters()
	if len(letters) != 2 || !letters[1].Private || letters[1].To[0] != "duty@clinic.example" {
		t.Fatalf("%+v", letters)
	}
	for _, one := range letters {
		m, err := mail.ReadMessage(strings.NewReader(one.Text))
		if err != nil {
			t.Fatal(err)
		}
		subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if m.Header.Get("Message-ID") != "<L1@clinic.example>" || subject != "hishub 告警 严重：测试医院1（h001），HIS 无应答" {
			t.Errorf("%s, %s", m.Header.Get("Message-ID"), subject)
		}
	}
	c.Password = "wrong"
	if err := c.Send(t.Context(), l); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v", err)
	}
}

// Nothing that comes from a folder or a HIS can end a line or begin a link.
func TestPlain(t *testing.T) {
	if got := plain("a\nb <font> [x](http://y) **c**"); got != "a b ＜font＞ x(http://y) c" {
		t.Errorf("%q", got)
	}
}

// A letter has one zone, the hospital's, with its name; no fractions of a second; how long
// it was; and what whoever looks at it noted.
func TestTimesAndNotes(t *testing.T) {
	urumqi := time.FixedZone("Asia/Urumqi", 6*3600)
	e := entry(1, incident.Breaker)
	e.OpenedAt, e.LookedBy, e.LookedNote = at.Add(123456789), "李 (key 7)", "their network is down `until` noon"
	for _, c := range []struct {
		zone     *time.Location
		over     time.Duration
		language string
		want     string
	}{
		{urumqi, 0, "en", "since 2026-01-05 06:30:00 Asia/Urumqi\n李 (key 7) looks at it: their network is down until noon"},
		{nil, 0, "zh", "2026-01-05 08:30:00 Asia/Shanghai 起\n李 (key 7) 正在处理：their network is down until noon"},
		{urumqi, 40 * time.Second, "en", "2026-01-05 06:30:00 to 2026-01-05 06:30:40 Asia/Urumqi (40 s)\n"},
		{urumqi, 47*time.Minute + time.Second, "zh", "2026-01-05 06:30:00 至 2026-01-05 07:17:01 Asia/Urumqi（47 分钟）\n"},
		{urumqi, 8 * time.Hour, "en", "2026-01-05 06:30:00 to 2026-01-05 14:30:00 Asia/Urumqi (8 h 0 min)\n"},
	} {
		e.Zone, e.Resolved = c.zone, c.over > 0
		ended := e.OpenedAt.Add(c.over)
		e.ResolvedAt = &ended
		v := view{language: c.language, zone: time.FixedZone("Asia/Shanghai", 8*3600)}
		if got := strings.Join(v.one(e).lines[1:], "\n"); !strings.HasPrefix(got, c.want) {
			t.Errorf("said\n%s\nwant\n%s", got, c.want)
		}
	}
	v := view{language: "en"}
	two := Letter{Entries: []Entry{entry(1, incident.Breaker), {Resolved: true, OpenedAt: at}}}
	if title := v.in(two).title; title != "hishub: 1 new incident, 1 over" {
		t.Error(title)
	}
}
