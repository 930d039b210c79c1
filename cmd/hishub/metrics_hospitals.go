package main

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hishub/core/delivery"
	"hishub/core/incident"
)

// board is how the hospitals of this process stood when its watch last looked.
// Each hospital is on the board of the process that works it.
type board struct {
	now func() time.Time

	mu    sync.Mutex
	at    time.Time
	state map[string]standing
}

// standing is what is shown of one hospital.
type standing struct {
	incident.Signs
	delivery.Light
	Unmapped     int
	Certificates []certificate
	// Open incidents by kind.
	Open map[incident.Kind]int
}

// stale is the age from which on nothing is shown rather than what was: the
// database is away, and hishub_service_up says so.
const stale = time.Minute

func (b *board) set(state map[string]standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at, b.state = b.now(), state
}

func perHospital(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"hospital"}, labels...), nil)
}

var (
	descQueue      = perHospital("hishub_queue_messages", "Messages that are not delivered, by state: queued, sending, parked; in_doubt are those of the parked ones that may have happened.", "state")
	descOldest     = perHospital("hishub_queue_oldest_seconds", "How long the oldest message waits that is not parked; 0 when none does.")
	descHeld       = perHospital("hishub_hospital_held", "1 while it is paused, in a maintenance window or outside its working hours.")
	descBreaker    = perHospital("hishub_breaker_state", "0 closed, 1 half-open, 2 open.")
	descInFlight   = perHospital("hishub_exchanges_in_flight", "Slots taken by exchanges now.")
	descContact    = perHospital("hishub_last_contact_timestamp_seconds", "When the HIS last answered an exchange (result answered), or did not (failed), since this process began.", "result")
	descUnmapped   = perHospital("hishub_unmapped_codes", "Codes of the worklist that the active folder does not map.")
	descClock      = perHospital("hishub_clock_offset_seconds", "How far the HIS's clock is ahead of ours, where its folder can ask for the time.")
	descIncidents  = perHospital("hishub_incidents_open", "Open incidents, by kind.", "kind")
	descNightLate  = perHospital("hishub_night_late", "1 while the books of the latest night have been waited for over six hours.")
	descNightWrong = perHospital("hishub_night_wrong", "1 while the latest night failed, is late or found differences.")
	descVariables  = perHospital("hishub_folder_outdated", "1 while its folder does not load with variables that were changed.")
	descExpiry     = perHospital("hishub_certificate_expiry_timestamp_seconds", "When a certificate expires: ours, of the folder; his, as seen in the last handshake.", "connector", "whose")
	descSeen       = prometheus.NewDesc("hishub_hospitals_seen_timestamp_seconds", "When the hospitals were last looked at; what is said of them is gone once that is a minute old.", nil, nil)
	descHospitals  = prometheus.NewDesc("hishub_hospitals", "Hospitals that this process works.", nil, nil)
)

// Describe implements prometheus.Collector.
func (b *board) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descQueue, descOldest, descHeld, descBreaker, descInFlight, descContact, descUnmapped, descClock,
		descIncidents, descNightLate, descNightWrong, descVariables, descExpiry, descSeen, descHospitals} {
		all <- d
	}
}

// Collect implements prometheus.Collector.
func (b *board) Collect(all chan<- prometheus.Metric) {
	b.mu.Lock()
	at, state := b.at, b.state
	b.mu.Unlock()
	now := b.now()
	if at.IsZero() {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descSeen, seconds(at))
	if now.Sub(at) > stale {
		return
	}
	gauge(descHospitals, float64(len(state)))
	for id, s := range state {
		gauge(descQueue, float64(s.Queued-s.Sending), id, "queued")
		gauge(descQueue, float64(s.Sending), id, "sending")
		gauge(descQueue, float64(s.Parked), id, "parked")
		gauge(descQueue, float64(s.InDoubt), id, "in_doubt")
		oldest := 0.0
		if !s.Oldest.IsZero() {
			oldest = max(0, now.Sub(s.Oldest).Seconds())
		}
		gauge(descOldest, oldest, id)
		gauge(descHeld, truth(s.Held), id)
		gauge(descBreaker, breakers[s.Breaker], id)
		gauge(descInFlight, float64(s.InFlight), id)
		if !s.LastSuccess.IsZero() {
			gauge(descContact, seconds(s.LastSuccess), id, "answered")
		}
		if !s.LastFailure.IsZero() {
			gauge(descContact, seconds(s.LastFailure), id, "failed")
		}
		gauge(descUnmapped, float64(s.Unmapped), id)
		if !s.ClockAsked.IsZero() {
			gauge(descClock, s.ClockOff.Seconds(), id)
		}
		for kind, n := range s.Open {
			gauge(descIncidents, float64(n), id, string(kind))
		}
		gauge(descNightLate, truth(s.NightLate), id)
		gauge(descNightWrong, truth(s.Night != ""), id)
		gauge(descVariables, truth(s.Variables != ""), id)
		for _, c := range s.Certificates {
			gauge(descExpiry, seconds(c.expires), id, c.connector, c.whose)
		}
	}
}

// breakers are the states of a delivery.Light; none at all is closed.
var breakers = map[string]float64{"closed": 0, "half-open": 1, "open": 2}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
