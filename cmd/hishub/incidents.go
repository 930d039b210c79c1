package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/incident"
	"hishub/core/postgres"
)

// watch for incidents; what it sees is what the metrics show.
func (h *hub) watch() *incident.Watch {
	var signs []incident.Signs
	look := func(ctx context.Context) (_ []incident.Signs, err error) {
		signs, err = h.signs(ctx)
		if err == nil && len(signs) == 0 {
			h.noteBoard(ctx, nil, nil)
		}
		return slices.Concat(signs, h.own()), err
	}
	store := openIncidents{h.store, func(ctx context.Context, open []incident.Incident) { h.noteBoard(ctx, signs, open) }}
	return &incident.Watch{
		Store: store, Look: look, Log: h.log, Routes: func(id string, kind incident.Kind) []string { return h.alerts.Plan().For(id, kind) },
		Thresholds: func(id string) incident.Thresholds { return h.alerts.Plan().Of(id) },
	}
}

// signs are what is known of the hospitals that this process works.
func (h *hub) signs(ctx context.Context) ([]incident.Signs, error) {
	all, err := h.store.Signs(ctx, h.mine())
	if err != nil {
		return nil, err
	}
	lights := h.dispatcher.Lights()
	for i := range all {
		s := &all[i]
		light := lights[s.Hospital]
		s.Broken, s.Answered = light.Broken, !light.LastSuccess.IsZero()
		s.Cause, s.Zone = h.rates.Cause(s.Hospital), h.hospitals.zone(s.Hospital)
		h.clocks.tell(s)
		s.Variables = h.hospitals.outdated(s.Hospital)
		h.outage(s.Hospital, light, time.Now())
		s.Exchanges, s.Failed, s.Whole = h.rates.Look(s.Hospital, time.Now())
		s.Unmapped, s.Counted = h.unmapped.of(s.Hospital), h.unmapped.counted(s.Hospital)
		if opened, err := h.hospitals.Hospital(ctx, s.Hospital, 0); err == nil {
			s.Ends, s.Certificate, s.Met = h.metrics.certificates.first(opened.Dialect)
			s.Held = s.Held || opened.Rests("", time.Now())
		}
	}
	return all, nil
}

// outage leaves what a breaker incident tells of out of the rate of failures.
func (h *hub) outage(hospital string, light delivery.Light, now time.Time) {
	var failing time.Time
	if !light.Broken.IsZero() && now.Sub(light.Broken) > h.alerts.Plan().Of(hospital).Breaker {
		failing = light.Failing.Add(-time.Second) // the exchange was noted a moment before
	}
	h.rates.Breaker(hospital, failing, now)
}

// own are the signs of the hub itself, which one process tells of for all.
func (h *hub) own() []incident.Signs {
	if !h.dispatcher.Holds(0) {
		return nil
	}
	s := incident.Signs{Hospital: incident.Hub, Counted: true, Met: true, Certificate: incident.Words{En: "the API's certificate", Zh: "本平台 API 的证书"}}
	if h.tls != nil && len(h.tls.Certificates) > 0 && h.tls.Certificates[0].Leaf != nil {
		s.Ends = h.tls.Certificates[0].Leaf.NotAfter
	}
	return []incident.Signs{s}
}

// exchanged notes what an exchange says about the HIS: whether it failed, and its clock.
func (h *hub) exchanged(x core.Exchange) {
	h.metrics.exchange(x)
	if x.Called.IsZero() {
		return // nothing was said to it
	}
	h.rates.Note(x.Hospital, x.Verdict.Outcome == core.OutcomeUnavailable || x.Verdict.Outcome == core.OutcomeInDoubt, x.Called, x.Answered)
	if strings.HasPrefix(x.Connector, core.ChannelConnector("")) {
		return // a payment channel's cause and clock are not the HIS's
	}
	cause := x.Cause()
	h.rates.Because(x.Hospital, incident.Words{En: cause.English, Zh: cause.Chinese})
	h.clocks.hear(x, func() *time.Location { return h.hospitals.zone(x.Hospital) })
}

// mine are the hospitals that this process works.
func (h *hub) mine() []string {
	return h.hospitals.ids(func(id string) bool { return h.dispatcher.Holds(postgres.ShardOf(id)) })
}

// ids of the hospitals that are wanted.
func (r *hospitals) ids(want func(id string) bool) (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.active {
		if want(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *hospitals) paused(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active[id].PausedAt != nil
}

// zone of a hospital whose active revision is open; nil if it is not.
func (r *hospitals) zone(id string) *time.Location {
	r.mu.Lock()
	o := r.open[revisionKey{id, r.active[id].Revision}]
	r.mu.Unlock()
	if o == nil {
		return nil
	}
	select {
	case <-o.ready:
	default:
		return nil
	}
	if o.hospital == nil {
		return nil
	}
	return o.hospital.Zone
}
