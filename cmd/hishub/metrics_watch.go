package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/incident"
)

// openIncidents is the ledger's incidents, whose open ones the board gets to see
// when the watch reads them.
type openIncidents struct {
	incident.Store
	seen func(context.Context, []incident.Incident)
}

// OpenIncidents implements incident.Store.
func (o openIncidents) OpenIncidents(ctx context.Context, hospitals []string) ([]incident.Incident, error) {
	all, err := o.Store.OpenIncidents(ctx, hospitals)
	if err == nil {
		o.seen(ctx, all)
	}
	return all, err
}

// noteBoard puts on the board what the watch for incidents has just seen.
func (h *hub) noteBoard(ctx context.Context, signs []incident.Signs, open []incident.Incident) {
	lights, state := h.dispatcher.Lights(), make(map[string]standing, len(signs))
	for _, s := range signs {
		now := standing{Signs: s, Light: lights[s.Hospital], Unmapped: h.unmapped.of(s.Hospital)}
		if opened, err := h.hospitals.Hospital(ctx, s.Hospital, 0); err == nil {
			now.Certificates = h.metrics.certificates.of(opened.Dialect)
		}
		state[s.Hospital] = now
	}
	for _, i := range open {
		if now, ok := state[i.Hospital]; ok {
			if now.Open == nil {
				now.Open = map[incident.Kind]int{}
			}
			now.Open[i.Kind]++
			state[i.Hospital] = now
		}
	}
	h.metrics.hospitals.set(state)
}

const (
	servicesEvery = 5 * time.Second
	unmappedEvery = time.Minute
)

// watchServices looks at what this process depends on, how far the readers of the
// feed are and how long the worklists of codes are, until ctx ends.
func (h *hub) watchServices(ctx context.Context) {
	var codes time.Time
	for {
		for _, d := range h.dependencies() {
			look, cancel := context.WithTimeout(ctx, 2*time.Second)
			h.metrics.services.WithLabelValues(d.Name).Set(truth(d.Check(look) == nil))
			cancel()
		}
		h.watchFeed(ctx)
		if ids := h.mine(); time.Since(codes) > unmappedEvery && len(ids) > 0 {
			h.watchCodes(ctx, ids)
			codes = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(servicesEvery):
		}
	}
}

// watchFeed tells of the readers that this installation has; one process tells of
// them all.
func (h *hub) watchFeed(ctx context.Context) {
	h.metrics.behind.Reset()
	if !h.dispatcher.Holds(0) {
		return
	}
	look, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	behind, err := h.store.Behind(look)
	if err != nil {
		return // hishub_service_up tells
	}
	readers := map[string]bool{"webhooks": true, "hishub.events": h.broker != nil, lettersCursor: h.mailer != nil}
	for reader, lag := range behind {
		if readers[reader] {
			h.metrics.behind.WithLabelValues(reader).Set(lag.Seconds())
		}
	}
}

// watchCodes counts the codes that these hospitals' active folders do not map.
func (h *hub) watchCodes(ctx context.Context, hospitals []string) {
	counts, now := map[string]int{}, time.Now()
	for some := range slices.Chunk(hospitals, 50) { // the ledger lists so many at a time
		all, err := h.store.Unmapped(ctx, some, false)
		if err != nil {
			return
		}
		for _, u := range all {
			opened, err := h.hospitals.Hospital(ctx, u.Hospital, 0)
			if err != nil {
				continue
			}
			if state, _ := opened.CodeState(u.Use(), now); state == core.CodeUnmapped {
				counts[u.Hospital]++
			}
		}
	}
	h.unmapped.set(counts, hospitals)
}

// unmappedCodes are the counts by hospital at the last look.
type unmappedCodes struct {
	mu     sync.Mutex
	counts map[string]int
	looked map[string]bool
}

func (u *unmappedCodes) set(counts map[string]int, looked []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counts, u.looked = counts, make(map[string]bool, len(looked))
	for _, h := range looked {
		u.looked[h] = true
	}
}

// counted reports whether the hospital was looked at.
func (u *unmappedCodes) counted(hospital string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.looked[hospital]
}

func (u *unmappedCodes) of(hospital string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.counts[hospital]
}
