package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// metrics are bounded: a label is a hospital, a connector of its folder, an
// outcome or a state, never a number that grows with the messages. A scrape asks
// nobody anything: what it shows was counted, or seen by those who look anyway.
type metrics struct {
	registry  *prometheus.Registry
	exchanges *prometheus.CounterVec
	took      *prometheus.HistogramVec
	ends      *prometheus.CounterVec
	inbound   *prometheus.CounterVec
	unlimited prometheus.Counter

	accepted  prometheus.Histogram
	batchSize *prometheus.HistogramVec
	batchTook *prometheus.HistogramVec

	alerts *prometheus.CounterVec

	replays      *replayMetrics
	hospitals    *board
	certificates *certificates
	services     *prometheus.GaugeVec
	behind       *prometheus.GaugeVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hishub_exchanges_total", Help: "Exchanges with a HIS, by hospital and outcome.",
		}, []string{"hospital", "outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hishub_exchange_seconds", Help: "Time of one exchange with a HIS, by hospital.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
		}, []string{"hospital"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hishub_settlements_total", Help: "What followed after an exchange, by hospital and state: delivered, queued (again), sending (next step), parked, cancelled.",
		}, []string{"hospital", "state"}),
		inbound: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hishub_inbound_total", Help: "What HIS told or asked us, by hospital, kind (empty: not recognised) and result, or why it was refused.",
		}, []string{"hospital", "kind", "result"}),
		unlimited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hishub_unlimited_requests_total", Help: "Requests let through unlimited because Redis was away.",
		}),
		accepted: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hishub_accept_seconds", Help: "How long a submitter waits until its message is durable.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5},
		}),
		batchSize: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hishub_ledger_batch_size", Help: "How many messages share a transaction of the ledger, by work: accept, claim, mark, settle.",
			Buckets: []float64{0, 1, 2, 4, 8, 16, 32, 64, 128},
		}, []string{"work"}),
		batchTook: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hishub_ledger_batch_seconds", Help: "Time of such a transaction.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .5, 1, 5, 30},
		}, []string{"work"}),
		services: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hishub_service_up", Help: "1 when this process reached the service at its last look: database, rabbitmq, redis.",
		}, []string{"service"}),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hishub_feed_lag_seconds", Help: "Age of the oldest event that a reader of the feed has not taken: hishub.events (RabbitMQ), webhooks, mail. Told by one process.",
		}, []string{"reader"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hishub_alerts_total", Help: "Tries to tell a route of incidents, by route and result: sent, failed.",
		}, []string{"route", "result"}),
		replays:      newReplayMetrics(),
		hospitals:    &board{now: time.Now},
		certificates: &certificates{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "hishub_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.exchanges, m.took, m.ends, m.inbound, m.unlimited, m.accepted, m.batchSize, m.batchTook, m.services, m.behind, m.alerts, m.replays.items, m.replays.waiting, m.hospitals, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) exchange(x core.Exchange) {
	m.exchanges.WithLabelValues(x.Hospital, string(x.Verdict.Outcome)).Inc()
	m.took.WithLabelValues(x.Hospital).Observe(x.Ended.Sub(x.Started).Seconds())
}

func (m *metrics) ended(hospital string, n delivery.Next) {
	m.ends.WithLabelValues(hospital, string(n.State)).Inc()
}

func (m *metrics) served(hospital string, kind core.Kind, result string) {
	m.inbound.WithLabelValues(hospital, string(kind), result).Inc()
}

func (m *metrics) alerted(route, result string) { m.alerts.WithLabelValues(route, result).Inc() }

// ledger is what the store is to tell.
func (m *metrics) ledger() postgres.Measure {
	return postgres.Measure{
		Accepted: func(took time.Duration) { m.accepted.Observe(took.Seconds()) },
		Batch: func(work string, size int, took time.Duration) {
			m.batchSize.WithLabelValues(work).Observe(float64(size))
			m.batchTook.WithLabelValues(work).Observe(took.Seconds())
		},
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
