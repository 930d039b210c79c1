package alert

import (
	"cmp"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"hishub/core/incident"
	"hishub/core/report"
)

// Options for Load.
type Options struct {
	// File is what mistakes call it.
	File string
	// Env gives the variables that the file names.
	Env func(name string) (string, bool)
	// Mail is the server of the process, without receivers; nil where it has none.
	Mail *report.Mailer
}

// common is what routes have beside their channel, and the file for all of them.
type common struct {
	url      string
	language string
	zone     *time.Location
}

// Load reads an alerts file. The error is Mistakes: all of them, with their places.
func Load(text []byte, o Options) (*Plan, error) {
	r := &reader{file: o.File, env: o.Env}
	p := &Plan{Thresholds: incident.DefaultThresholds(), Hospitals: map[string]incident.Thresholds{}}
	_, all, _ := r.fields(r.document(text), "the file", []string{"url", "language", "zone", "thresholds", "routes"})
	c := common{language: r.oneOf(all["language"], "language", "zh", languages)}
	c.zone = r.zone(all["zone"], nil)
	c.url = r.base(all["url"], "")
	r.thresholds(p, all["thresholds"])
	names, routes, places := r.fields(all["routes"], "routes", nil)
	for _, name := range names {
		if !routeName.MatchString(name) {
			r.wrong(places[name], "small letters, digits and - up to 40", "%q is no name of a route", name)
			continue
		}
		p.Routes = append(p.Routes, r.route(name, places[name], routes[name], c, o.Mail))
	}
	if len(r.found) > 0 {
		slices.SortStableFunc(r.found, func(a, b Mistake) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
		return nil, r.found
	}
	return p, nil
}

var (
	routeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	languages = []string{"zh", "en"}
	channels  = []string{"wecom", "dingtalk", "mail", "webhook"}
)

var thresholdKeys = []string{"backlog", "breaker", "failures", "failures_of", "parked_growth", "clock", "certificate", "certificate_ends"}

func (r *reader) thresholds(p *Plan, n ast.Node) {
	_, all, _ := r.fields(n, "thresholds", append(slices.Clone(thresholdKeys), "hospitals"))
	p.Thresholds = r.threshold(all, p.Thresholds)
	ids, hospitals, _ := r.fields(all["hospitals"], "hospitals", nil)
	for _, id := range ids {
		_, own, _ := r.fields(hospitals[id], "thresholds", thresholdKeys)
		p.Hospitals[id] = r.threshold(own, p.Thresholds)
	}
}

func (r *reader) threshold(all map[string]ast.Node, t incident.Thresholds) incident.Thresholds {
	const day = 24 * time.Hour
	t.Backlog = r.duration(all["backlog"], "backlog", t.Backlog, 10*time.Second, 7*day)
	t.Breaker = r.duration(all["breaker"], "breaker", t.Breaker, time.Second, day)
	t.Failures = r.share(all["failures"], "failures", t.Failures)
	t.FailuresOf = r.count(all["failures_of"], "failures_of", t.FailuresOf, 100_000)
	t.ParkedGrowth = r.count(all["parked_growth"], "parked_growth", t.ParkedGrowth, 100_000)
	t.Clock = r.duration(all["clock"], "clock", t.Clock, 5*time.Second, day)
	t.Certificate = r.duration(all["certificate"], "certificate", t.Certificate, day, 365*day)
	t.CertificateEnds = r.duration(all["certificate_ends"], "certificate_ends", t.CertificateEnds, day, 365*day)
	return t
}

func (r *reader) route(name string, at, n ast.Node, c common, server *report.Mailer) Route {
	what := "route " + name
	_, all, _ := r.fields(n, what, append(slices.Clone(channels), "hospitals", "kinds", "severity", "quiet", "zone", "gather", "language"))
	out := Route{Name: name, zone: r.zone(all["zone"], c.zone)}
	out.Hospitals, _ = r.list(all["hospitals"], "hospitals")
	kinds, places := r.list(all["kinds"], "kinds")
	for i, k := range kinds {
		out.Kinds = append(out.Kinds, incident.Kind(r.oneOf(places[i], "a kind", k, incident.Kind("").Values())))
	}
	out.Severity = incident.Severity(r.oneOf(all["severity"], "severity", string(incident.Warning), incident.Warning.Values()))
	out.Gather = r.duration(all["gather"], "gather", DefaultGather, 0, 10*time.Minute)
	out.quiet = r.hours(all["quiet"])
	v := view{language: r.oneOf(all["language"], "language", c.language, languages), zone: out.zone, pages: c.url}
	for _, kind := range channels {
		if all[kind] == nil {
			continue
		}
		if out.Kind != "" {
			r.wrong(all[kind], "make two routes of it", "%s has %s and %s", what, out.Kind, kind)
			continue
		}
		out.Kind, out.channel = kind, r.channel(kind, all[kind], v, server)
	}
	if out.Kind == "" {
		r.wrong(at, "give it one of "+strings.Join(channels, ", "), "%s leads nowhere", what)
	}
	return out
}

func (r *reader) channel(kind string, n ast.Node, v view, server *report.Mailer) Channel {
	needed := func(all map[string]ast.Node, keys ...string) {
		for _, k := range keys {
			if all[k] == nil {
				r.wrong(n, "give it", "%s has no %s", kind, k)
			}
		}
	}
	switch kind {
	case "wecom":
		_, all, _ := r.fields(n, kind, []string{"key", "base"})
		needed(all, "key")
		return weCom{base: r.base(all["base"], weComBase), key: r.secret(all["key"], "key"), view: v}
	case "dingtalk":
		_, all, _ := r.fields(n, kind, []string{"token", "secret", "base"})
		needed(all, "token")
		return dingTalk{base: r.base(all["base"], dingTalkBase), token: r.secret(all["token"], "token"), secret: r.secret(all["secret"], "secret"), now: time.Now, view: v}
	case "webhook":
		_, all, _ := r.fields(n, kind, []string{"url", "secret"})
		needed(all, "url")
		return webhook{url: r.address(all["url"], "url"), secret: r.secret(all["secret"], "secret"), view: v}
	}
	_, all, _ := r.fields(n, kind, []string{"to"})
	needed(all, "to")
	to, places := r.list(all["to"], "to")
	for i, one := range to {
		if _, err := mail.ParseAddress(one); err != nil {
			r.wrong(places[i], "write it like duty@clinic.example", "not a mail address")
		}
	}
	if server == nil {
		r.wrong(n, "set HISHUB_MAIL_SERVER and HISHUB_MAIL_FROM", "the process has no mail server")
		return letterbox{}
	}
	box := letterbox{Mailer: *server, view: v}
	box.To = to
	return box
}

// address of http or https; it may hold secrets and is never repeated.
func (r *reader) address(n ast.Node, what string) string {
	text := r.text(n, what)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.wrong(n, "write it like https://host/path", "%s is no address", what)
		return ""
	}
	return text
}

// base is an address that paths are added to.
func (r *reader) base(n ast.Node, otherwise string) string {
	return strings.TrimRight(cmp.Or(r.address(n, "the address"), otherwise), "/")
}

func (r *reader) zone(n ast.Node, otherwise *time.Location) *time.Location {
	raw, ok := r.raw(n, "zone")
	if !ok && otherwise != nil {
		return otherwise
	}
	z, err := time.LoadLocation(cmp.Or(raw, incident.UsualZone))
	if err != nil {
		r.wrong(n, "write it like Asia/Shanghai", "there is no such zone")
		return time.UTC
	}
	return z
}

var span = regexp.MustCompile(`^([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)$`)

// hours of a text like 22:00-07:00.
func (r *reader) hours(n ast.Node) *hours {
	raw, ok := r.raw(n, "quiet")
	if !ok {
		return nil
	}
	m := span.FindStringSubmatch(raw)
	if m == nil {
		r.wrong(n, "write them like 22:00-07:00", "quiet is no hours")
		return nil
	}
	minutes := func(h, m string) int {
		hour, _ := strconv.Atoi(h)
		minute, _ := strconv.Atoi(m)
		return hour*60 + minute
	}
	out := &hours{minutes(m[1], m[2]), minutes(m[3], m[4])}
	if out.from == out.until {
		r.wrong(n, "leave it out to be told at any hour", "quiet is no hours")
	}
	return out
}
