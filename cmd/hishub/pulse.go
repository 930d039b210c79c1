package main

import (
	"context"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/delivery"
	"hishub/core/redis"
)

// pulse counts what this process does and adds it, every few seconds, to what all
// processes did in that minute.
type pulse struct {
	kept *redis.Pulse
	now  func() time.Time

	mu   sync.Mutex
	more map[int64]map[string]redis.Counts // by minute and hospital, "" for all
}

const pulseEvery = 5 * time.Second

func newPulse(c *redis.Client) *pulse {
	return &pulse{kept: redis.NewPulse(c), now: time.Now, more: map[int64]map[string]redis.Counts{}}
}

// count adds one under each name.
func (p *pulse) count(hospital string, names ...string) {
	minute := p.now().Unix() / 60
	p.mu.Lock()
	defer p.mu.Unlock()
	by := p.more[minute]
	if by == nil {
		by = map[string]redis.Counts{}
		p.more[minute] = by
	}
	for _, of := range []string{"", hospital} {
		if by[of] == nil {
			by[of] = redis.Counts{}
		}
		for _, name := range names {
			by[of][name]++
		}
	}
}

// carried notes an exchange, for incidents and for the charts.
func (h *hub) carried(x core.Exchange) {
	h.exchanged(x)
	if x.Called.IsZero() {
		return // nothing was said
	}
	names := []string{api.PulseExchanges, api.PulseTook(x.Ended.Sub(x.Started))}
	if x.Verdict.Outcome == core.OutcomeUnavailable || x.Verdict.Outcome == core.OutcomeInDoubt {
		names = append(names, api.PulseFailed)
	}
	h.pulse.count(x.Hospital, names...)
}

// ended notes what followed after an exchange.
func (h *hub) ended(hospital string, n delivery.Next) {
	h.metrics.ended(hospital, n)
	switch n.State {
	case delivery.Delivered:
		h.pulse.count(hospital, api.PulseDelivered)
	case delivery.Parked:
		h.pulse.count(hospital, api.PulseParked)
	}
}

func (p *pulse) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pulseEvery):
			p.flush(ctx)
		}
	}
}

// flush hands over what was counted. What Redis does not take is lost, and the chart
// has a gap: counting never holds up a delivery, nor does it grow.
func (p *pulse) flush(ctx context.Context) {
	p.mu.Lock()
	more := p.more
	p.more = map[int64]map[string]redis.Counts{}
	p.mu.Unlock()
	for minute, by := range more {
		_ = p.kept.Add(ctx, minute, by)
	}
}

// read is api.Options.Pulse.
func (p *pulse) read(ctx context.Context, hospitals []string, first, last int64) ([]map[string]int64, error) {
	if hospitals == nil {
		hospitals = []string{""}
	}
	all, err := p.kept.Read(ctx, hospitals, first, last)
	out := make([]map[string]int64, len(all))
	for i := range all {
		out[i] = all[i]
	}
	return out, err
}

// seen is what this process knows of the hospitals that it works.
func (b *board) seen() map[string]api.Seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now().Sub(b.at) > stale {
		return nil
	}
	all := make(map[string]api.Seen, len(b.state))
	for id, s := range b.state {
		all[id] = api.Seen{
			Exchanges: s.Exchanges, Failed: s.Failed, Unmapped: s.Unmapped, ClockOff: s.ClockOff, ClockAsked: s.ClockAsked, LastFailure: s.LastFailure,
		}
	}
	return all
}
