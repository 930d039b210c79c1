package alert

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core/incident"
	"hishub/core/report"
)

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func load(t *testing.T, text string) *Plan {
	t.Helper()
	p, err := Load([]byte(text), Options{File: "alerts.yaml", Env: env("KEY", "k", "TOKEN", "t", "SECRET", "s"), Mail: &report.Mailer{Address: "mail:25", From: "hub@clinic.example"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const whole = `
url: https://hub.clinic.example/
thresholds:
  backlog: 5m
  failures: 30%
  certificate: 21d
  hospitals:
    nanyuan: {backlog: 1h}
routes:
  duty:
    wecom: {key: "${KEY}"}
    severity: critical
  office:
    dingtalk: {token: "${TOKEN}", secret: "${SECRET}"}
    hospitals: [dongshan, hub]
    quiet: 22:00-07:00
    gather: 0s
  it:
    mail: {to: it@clinic.example}
    kinds: [certificate, certificate_ends]
    language: en
  elsewhere:
    webhook: {url: "http://127.0.0.1:1/x", secret: "${SECRET}"}
`

func TestLoad(t *testing.T) {
	p := load(t, whole)
	if of := p.Of("dongshan"); of.Backlog != 5*time.Minute || of.Failures != 0.3 || of.Certificate != 21*24*time.Hour || of.Breaker != time.Minute {
		t.Errorf("thresholds: %+v", of)
	}
	if of := p.Of("nanyuan"); of.Backlog != time.Hour || of.Failures != 0.3 {
		t.Errorf("of nanyuan: %+v", of)
	}
	for _, c := range []struct {
		hospital string
		kind     incident.Kind
		want     string
	}{
		{"dongshan", incident.Breaker, "duty office elsewhere"},
		{"xihu", incident.Breaker, "duty elsewhere"},
		{"xihu", incident.Parked, "elsewhere"},
		{incident.Hub, incident.Certificate, "office it elsewhere"},
		{"xihu", incident.CertificateEnds, "duty it elsewhere"},
	} {
		if got := strings.Join(p.For(c.hospital, c.kind), " "); got != c.want {
			t.Errorf("%s at %q goes to %s, want %s", c.kind, c.hospital, got, c.want)
		}
	}
	office, _ := p.Route("office")
	for clock, quiet := range map[string]bool{"21:59": false, "22:00": true, "03:00": true, "06:59": true, "07:00": false, "12:00": false} {
		at, _ := time.ParseInLocation("2006-01-02 15:04", "2026-01-05 "+clock, time.FixedZone("", 8*3600))
		if office.Quiet(at) != quiet {
			t.Errorf("at %s it is quiet: %v", clock, !quiet)
		}
		waits := !slices.ContainsFunc(p.wanted(at), func(w Wanted) bool { return w.Route == "office" })
		if waits != quiet || len(p.wanted(at)) < 3 {
			t.Errorf("at %s told: %v", clock, p.wanted(at))
		}
	}
	if duty, _ := p.Route("duty"); duty.Quiet(time.Now()) || duty.Address() != "qyapi.weixin.qq.com:443" || duty.Gather != DefaultGather {
		t.Errorf("duty: %+v", duty)
	}
	if p := load(t, ""); len(p.Routes) != 0 || p.Of("x") != incident.DefaultThresholds() {
		t.Errorf("an empty file: %+v", p)
	}
}

// Every mistake is named with its place, all at once.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"routes: {a: {wecom: {key: abc}}}":                             "alerts.yaml:1:27: key stands here in clear; write \"${NAME}\" and set the variable NAME",
		"routes: {a: {wecom: {key: \"${NONE}\"}}}":                     "alerts.yaml:1:27: the variable NONE is not set; set it, or give --env FILE",
		"routes: {a: {wecom: {key: \"${EMPTY}\"}}}":                    "alerts.yaml:1:27: the variable EMPTY is empty; give it its value",
		"routes:\n  a: {severity: critical}":                           "alerts.yaml:2:3: route a leads nowhere; give it one of wecom, dingtalk, mail, webhook",
		"routes:\n  a: {webhook: {url: ftp://x}}":                      "alerts.yaml:2:22: url is no address; write it like https://host/path",
		"routes:\n  a: {webhook: {}}":                                  "alerts.yaml:2:16: webhook has no url; give it",
		"routes:\n  a: {mail: {to: [x, b@c.example]}}":                 "alerts.yaml:2:19: not a mail address; write it like duty@clinic.example|alerts.yaml:2:13: the process has no mail server; set HISHUB_MAIL_SERVER and HISHUB_MAIL_FROM",
		"routes:\n  A B: {wecom: {key: \"${KEY}\"}}":                   "alerts.yaml:2:3: \"A B\" is no name of a route; small letters, digits and - up to 40",
		"routes:\n  a: {wecom: {key: \"${KEY}\"}, kinds: [parkd]}":     "alerts.yaml:2:39: a kind is not \"parkd\"; there are backlog, parked,",
		"routes:\n  a: {wecom: {key: \"${KEY}\"}, quiet: 25:00-07:00}": "alerts.yaml:2:38: quiet is no hours; write them like 22:00-07:00",
		"routes:\n  a: {wecom: {key: \"${KEY}\"}, zone: Mars/Base}":    "alerts.yaml:2:37: there is no such zone; write it like Asia/Shanghai",
		"thresholds: {backlog: 1s}":                                    "alerts.yaml:1:23: backlog is not such a time; from 10s to 7d, like 90s, 10m, 2h or 30d",
		"thresholds: {failures: 0.2}":                                  "alerts.yaml:1:24: failures is not such a share; from 1% to 100%",
		"thresholds: {parked_growth: 0}":                               "alerts.yaml:1:29: parked_growth is not such a number; from 1 to 100000",
		"thresholds:\n  hospitals: {h1: {backlogg: 5m}}":               "alerts.yaml:2:20: thresholds has no \"backlogg\"; there are backlog,",
		"url: hub":    "alerts.yaml:1:6: the address is no address",
		"languag: zh": "alerts.yaml:1:1: the file has no \"languag\"; there are url, language,",
		"url: https://a.example\nurl: https://b.example": "alerts.yaml:2:1: \"url\" is here a second time; keep one of them",
		"routes: [a, b]":                         "alerts.yaml:1:9: routes is a map; write keys with values",
		"a: [":                                   "alerts.yaml:1:4: not YAML",
		"---\nurl: https://a.example\n---\nx: y": "alerts.yaml:4:2: a second document",
	} {
		p, err := Load([]byte(text), Options{File: "alerts.yaml", Env: env("KEY", "top-secret-key", "EMPTY", "")})
		var ms Mistakes
		if !errors.As(err, &ms) || p != nil {
			t.Errorf("%s: no mistake: %v", text, err)
			continue
		}
		for _, one := range strings.Split(want, "|") {
			if !slices.ContainsFunc(ms, func(m Mistake) bool { return strings.HasPrefix(m.String(), one) }) {
				t.Errorf("%s:\ngot\n%s\nwant\n%s", text, err, one)
			}
		}
		if strings.Contains(err.Error(), "top-secret") {
			t.Errorf("the mistake tells the secret: %v", err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(whole)
	f.Add("routes: {a: {wecom: {key: \"${KEY}\"}}}")
	f.Add("a: &x [*x]")
	f.Add("? - b\n: !!map {}")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Load([]byte(text), Options{File: "a.yaml", Env: env("KEY", "k")})
		var ms Mistakes
		if err == nil && p == nil || err != nil && !errors.As(err, &ms) {
			t.Fatalf("%v %v", p, err)
		}
		for _, m := range ms {
			if m.Line < 1 || m.What == "" {
				t.Fatalf("%+v", m)
			}
		}
		if p != nil {
			for _, r := range p.Routes {
				r.Address()
				_ = r.channel.Pause()
			}
		}
	})
}
