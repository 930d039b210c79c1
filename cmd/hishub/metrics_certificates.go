package main

import (
	"crypto/tls"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hishub/core"
	"hishub/core/incident"
)

// certificates remembers when the certificates of TLS expire, as connectors meet
// them.
type certificates struct {
	mu  sync.Mutex
	all map[certificate]time.Time // without expires
}

// certificate is one end of a connector's TLS.
type certificate struct {
	hospital, connector string
	// whose is ours or his.
	whose   string
	expires time.Time
}

func (c *certificates) note(hospital, connector string, ours bool, expires time.Time) {
	k := certificate{hospital: hospital, connector: connector, whose: "his"}
	if ours {
		k.whose = "ours"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[certificate]time.Time{}
	}
	c.all[k] = expires
}

// of lists those of a hospital whose connectors are still in its folder.
func (c *certificates) of(d *core.Dialect) (list []certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, connector := range slices.Sorted(maps.Keys(d.Connectors)) {
		for _, whose := range []string{"his", "ours"} {
			k := certificate{hospital: d.Hospital, connector: connector, whose: whose}
			if expires, ok := c.all[k]; ok {
				k.expires = expires
				list = append(list, k)
			}
		}
	}
	return list
}

// first is the one of a hospital that ends first. met: all those of its connectors
// that speak TLS were met since this process began.
func (c *certificates) first(d *core.Dialect) (ends time.Time, which incident.Words, met bool) {
	seen := map[string]bool{}
	for _, one := range c.of(d) {
		if one.whose == "his" {
			seen[one.connector] = true
		}
		if !ends.IsZero() && !one.expires.Before(ends) {
			continue
		}
		ends = one.expires
		which = incident.Words{En: "the HIS's certificate of connector " + one.connector, Zh: "连接 " + one.connector + " 的 HIS 证书"}
		if one.whose == "ours" {
			which = incident.Words{En: "our certificate of connector " + one.connector, Zh: "连接 " + one.connector + " 的我方证书"}
		}
	}
	for name, spec := range d.Connectors {
		if speaksTLS(spec) && !seen[name] {
			return ends, which, false
		}
	}
	return ends, which, true
}

func speaksTLS(spec core.ConnectorSpec) bool {
	for _, option := range []string{"endpoint", "base"} {
		if text, _ := spec.Options[option].(string); strings.HasPrefix(strings.ToLower(text), "https://") {
			return true
		}
	}
	return spec.Options["tls"] != nil
}

// watched is a dialect whose connectors tell of their certificates.
func (c *certificates) watched(d *core.Dialect) *core.Dialect {
	if c == nil {
		return d
	}
	same := *d
	same.Connectors, same.Channels = maps.Clone(d.Connectors), maps.Clone(d.Channels)
	for name, spec := range same.Connectors {
		spec.Certificate = func(ours bool, expires time.Time) { c.note(d.Hospital, name, ours, expires) }
		same.Connectors[name] = spec
	}
	for channel, spec := range same.Channels {
		spec.Certificate = func(ours bool, expires time.Time) {
			c.note(d.Hospital, core.ChannelConnector(channel), ours, expires)
		}
		same.Channels[channel] = spec
	}
	return &same
}

// apiCertificate shows when the API's own certificate expires.
func (m *metrics) apiCertificate(c *tls.Config) {
	if c == nil || len(c.Certificates) == 0 || c.Certificates[0].Leaf == nil {
		return
	}
	expires := c.Certificates[0].Leaf.NotAfter
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "hishub_api_certificate_expiry_timestamp_seconds", Help: "When the certificate of the API expires, when it speaks https itself."})
	g.Set(seconds(expires))
	m.registry.MustRegister(g)
}
