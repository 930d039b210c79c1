package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hishub/core"
	"hishub/core/delivery"
)

// metrics are bounded: a label is a hospital, an outcome or a state, never a
// number that grows with the messages.
type metrics struct {
	registry  *prometheus.Registry
	exchanges *prometheus.HistogramVec
	ends      *prometheus.CounterVec
	inbound   *prometheus.CounterVec
	unlimited prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		exchanges: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hishub_exchange_seconds", Help: "Time of one exchange with a HIS, by hospital and outcome.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
		}, []string{"hospital", "outcome"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hishub_settlements_total", Help: "What followed after an exchange, by hospital and state.",
		}, []string{"hospital", "state"}),
		inbound: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hishub_inbound_total", Help: "What HIS told or asked us, by hospital, kind (empty: not recognised) and result, or why it was refused.",
		}, []string{"hospital", "kind", "result"}),
		unlimited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hishub_unlimited_requests_total", Help: "Requests let through unlimited because Redis was away.",
		}),
	}
	m.registry.MustRegister(m.exchanges, m.ends, m.inbound, m.unlimited, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) exchange(x core.Exchange) {
	m.exchanges.WithLabelValues(x.Hospital, string(x.Verdict.Outcome)).Observe(x.Ended.Sub(x.Started).Seconds())
}

func (m *metrics) ended(hospital string, n delivery.Next) {
	m.ends.WithLabelValues(hospital, string(n.State)).Inc()
}

func (m *metrics) served(hospital string, kind core.Kind, result string) {
	m.inbound.WithLabelValues(hospital, string(kind), result).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
