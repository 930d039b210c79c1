package main

import (
	"crypto/tls"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hishub/core"
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
