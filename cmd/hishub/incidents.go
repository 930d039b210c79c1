package main

import (
	"context"
	"time"

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
		return signs, err
	}
	store := openIncidents{h.store, func(ctx context.Context, open []incident.Incident) { h.noteBoard(ctx, signs, open) }}
	return &incident.Watch{Store: store, Look: look, Log: h.log}
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
		h.clocks.tell(s)
		s.Variables = h.hospitals.outdated(s.Hospital)
		if opened, err := h.hospitals.Hospital(ctx, s.Hospital, 0); err == nil {
			s.Held = s.Held || opened.Rests("", time.Now())
		}
	}
	return all, nil
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
