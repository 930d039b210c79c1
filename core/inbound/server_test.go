package inbound

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"hishub/core"
)

func TestWhoIsAdmitted(t *testing.T) {
	from := func(address, name string, verified bool) *http.Request {
		r := &http.Request{RemoteAddr: address}
		if name != "" {
			cert := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
			if verified {
				r.TLS.VerifiedChains = [][]*x509.Certificate{{cert}}
			}
		}
		return r
	}
	nets := func(all ...string) (out []netip.Prefix) {
		for _, s := range all {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	for name, c := range map[string]struct {
		l    core.Listener
		r    *http.Request
		want bool
	}{
		"signed, from anywhere":      {core.Listener{Signed: true}, from("203.0.113.9:1", "", false), true},
		"nothing to tell it by":      {core.Listener{}, from("10.1.2.3:1", "", false), false},
		"in the network":             {core.Listener{Listening: core.Listening{Allow: nets("10.1.0.0/16")}}, from("10.1.2.3:1", "", false), true},
		"as IPv6 spells it":          {core.Listener{Listening: core.Listening{Allow: nets("10.1.0.0/16")}}, from("[::ffff:10.1.2.3]:1", "", false), true},
		"outside":                    {core.Listener{Listening: core.Listening{Allow: nets("10.1.0.0/16")}}, from("10.2.2.3:1", "", false), false},
		"signed, but outside":        {core.Listener{Signed: true, Listening: core.Listening{Allow: nets("10.1.0.0/16")}}, from("10.2.2.3:1", "", false), false},
		"no address":                 {core.Listener{Listening: core.Listening{Allow: nets("0.0.0.0/0")}}, from("@", "", false), false},
		"its certificate":            {core.Listener{Listening: core.Listening{Client: "his.example"}}, from("10.1.2.3:1", "his.example", true), true},
		"another certificate":        {core.Listener{Listening: core.Listening{Client: "his.example"}}, from("10.1.2.3:1", "other.example", true), false},
		"one that nobody verified":   {core.Listener{Listening: core.Listening{Client: "his.example"}}, from("10.1.2.3:1", "his.example", false), false},
		"no certificate":             {core.Listener{Signed: true, Listening: core.Listening{Client: "his.example"}}, from("10.1.2.3:1", "", false), false},
		"certificate, wrong network": {core.Listener{Listening: core.Listening{Client: "his.example", Allow: nets("10.1.0.0/16")}}, from("10.2.2.3:1", "his.example", true), false},
	} {
		if got := admitted(&c.l, c.r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheGateBoundsRateAndConcurrency(t *testing.T) {
	l := &core.Listener{Listening: core.Listening{Concurrency: 2, Rate: 4}}
	now := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	g := &gate{tokens: l.Rate, filled: now}
	first, why := g.enter(l, now)
	second, _ := g.enter(l, now)
	if why != "" || second == nil {
		t.Fatal("two were not let in")
	}
	if _, why := g.enter(l, now); why != "busy" {
		t.Errorf("the third got %q", why)
	}
	first()
	second()
	for range 2 {
		leave, why := g.enter(l, now)
		if why != "" {
			t.Fatalf("sent away for %q", why)
		}
		leave()
	}
	if _, why := g.enter(l, now); why != "rate" {
		t.Errorf("the fifth of this second got %q", why)
	}
	if leave, why := g.enter(l, now.Add(250*time.Millisecond)); why != "" {
		t.Errorf("a quarter of a second later: %q", why)
	} else {
		leave()
	}
}
