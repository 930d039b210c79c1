package main

import (
	"context"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/core/replay"
	"hishub/core/shadow"
)

// replays works on the replays of this process's hospitals.
func (h *hub) replays() *replay.Worker {
	return &replay.Worker{Process: h.dispatcher.Process, Store: h.store, Rules: h.hospitals.repeats, Log: h.log, Told: h.metrics.replays.told, Left: h.metrics.replays.left}
}

// repeats is what a hospital's folder says of telling a transaction again.
func (r *hospitals) repeats(ctx context.Context, id string, kind core.Kind, revision int) (replay.Repeats, error) {
	h, err := r.Hospital(ctx, id, revision)
	if err != nil {
		return replay.Repeats{}, err
	}
	return replay.RepeatsOf(h.Operations[kind]), nil
}

// repeatsStored is the same where no hospital is open: from the stored folders.
func repeatsStored(s *postgres.Store) replay.Rules {
	known := map[string]*sides{}
	return func(ctx context.Context, hospital string, kind core.Kind, revision int) (replay.Repeats, error) {
		if known[hospital] == nil {
			known[hospital] = &sides{store: s, hospital: hospital, revisions: map[int]*shadow.Side{}}
		}
		side, err := known[hospital].old(ctx, revision)
		if err != nil {
			return replay.Repeats{}, err
		}
		return replay.RepeatsOf(side.Operations[kind]), nil
	}
}

// saidNewest compares what a hospital's newest folder says with the revisions that
// messages were said with.
func saidNewest(ctx context.Context, s *postgres.Store, of shadow.Store, hospital string, limit int) (*shadow.Report, error) {
	sides := &sides{store: s, hospital: hospital, revisions: map[int]*shadow.Side{}}
	defer sides.close()
	newest, err := sides.old(ctx, 0)
	if err != nil {
		return nil, err
	}
	seen := &dated{Store: of}
	run := &shadow.Run{Store: seen, Old: sides.old, New: newest, Text: decoded, Mask: api.MaskText}
	r, err := run.Do(ctx, shadow.Query{Hospital: hospital, Limit: limit})
	if err == nil {
		r.From, r.Until = seen.first, seen.last
	}
	return r, err
}

// dated notes of when the messages are that it gives.
type dated struct {
	shadow.Store
	first, last time.Time
}

func (d *dated) Told(ctx context.Context, q shadow.Query) iter.Seq2[shadow.Message, error] {
	return func(yield func(shadow.Message, error) bool) {
		for m, err := range d.Store.Told(ctx, q) {
			if err == nil && (d.first.IsZero() || m.Accepted.Before(d.first)) {
				d.first = m.Accepted
			}
			if m.Accepted.After(d.last) {
				d.last = m.Accepted
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// replayMetrics count what replays do.
type replayMetrics struct {
	items   *prometheus.CounterVec
	waiting *prometheus.GaugeVec
}

func newReplayMetrics() *replayMetrics {
	return &replayMetrics{
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hishub_replay_messages_total", Help: "Messages of replays whose turn came here, by hospital and outcome: released, skipped (decided meanwhile), refused.",
		}, []string{"hospital", "outcome"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hishub_replay_waiting", Help: "Messages that wait for their turn in replays that run, by hospital; told by the process that works it.",
		}, []string{"hospital"}),
	}
}

func (m *replayMetrics) told(hospital string, o replay.Outcome) {
	m.items.WithLabelValues(hospital, string(o)).Inc()
}

// left sets how many wait; hospitals without a replay are not shown.
func (m *replayMetrics) left(waiting map[string]int) {
	m.waiting.Reset()
	for hospital, n := range waiting {
		m.waiting.WithLabelValues(hospital).Set(float64(n))
	}
}
