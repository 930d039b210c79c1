package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// HangingRun is many hospitals with a steady rate, of which a tenth accepts
// connections and never answers, beside the same with all of them well.
type HangingRun struct {
	Hospitals int `json:"hospitals"`
	Hanging   int `json:"hanging"`
	PerSec    int `json:"per_second"` // of all together
	// Registered is how long it took to apply all folders, in seconds; First how long
	// until each had booked its first message.
	Registered float64 `json:"registered_s"`
	First      float64 `json:"first_s"`
	// Without and With are of the others: from when a request was due until the HIS
	// answers.
	Without Quantiles `json:"without"`
	With    Quantiles `json:"with"`
	Held    Held      `json:"held"`
}

// Held is what the hanging ones held at most, as looked at every two seconds.
type Held struct {
	Slots       int `json:"slots"`        // of one hospital, which has so many at most
	MostSlots   int `json:"most_slots"`   // in flight at one hospital
	Connections int `json:"connections"`  // to all hanging ones
	Database    int `json:"database"`     // connections of the hub to the database
	MostIdle    int `json:"most_idle_ms"` // of a transaction that did nothing
	BeforeMB    int `json:"memory_before_mb"`
	MostMB      int `json:"memory_most_mb"`
}

// Ratio of the others' p99 with to without.
func (h HangingRun) Ratio() float64 { return h.With.P99 / h.Without.P99 }

const (
	hangingName  = "hang-"
	wellName     = "well-"
	hangingSlots = 4
)

func (s *stage) hangingRun(ctx context.Context, tell func(string, ...any)) (r HangingRun, err error) {
	_, service, control, err := s.fake(ctx, latency)
	if err != nil {
		return r, err
	}
	r.Hospitals, r.PerSec = min(1000, max(100, s.Messages/10)), 100
	if s.Quick {
		r.Hospitals, r.PerSec = 10, 40
	}
	r.Hanging = r.Hospitals / 10
	g, err := openGate(strings.Split(strings.TrimPrefix(service, "http://"), "/")[0])
	if err != nil {
		return r, err
	}
	defer g.close()
	names := make([]string, r.Hospitals)
	for i := range names {
		names[i] = fmt.Sprintf("%s%03d", wellName, i)
		if i%10 == 0 {
			names[i] = fmt.Sprintf("%s%03d", hangingName, i)
		}
	}
	tell("%d hospitals", r.Hospitals)
	began := time.Now()
	if err := s.copies(ctx, names, func(name string) string {
		if strings.HasPrefix(name, hangingName) {
			return strings.Replace(service, g.to, g.Addr().String(), 1)
		}
		return service
	}, hangingSlots); err != nil {
		return r, err
	}
	r.Registered = time.Since(began).Seconds()
	l := newLoad(s, "").startAt(40_000_000)
	l.to = func(n int64) string { return names[n%int64(len(names))] }
	began = time.Now()
	if err := l.inOrder(ctx, inFlight, len(names)); err != nil {
		return r, err
	}
	if err := s.drained(ctx, ""); err != nil {
		return r, err
	}
	r.First = time.Since(began).Seconds()

	var without, with []time.Duration
	// Both are watched: to write the figures of a thousand hospitals is work too.
	turn := func(all *[]time.Duration, of string, h *Held) error {
		looked, stop := s.look(ctx, h, g)
		a, err := l.steady(ctx, r.PerSec, 20*l.second(), of)
		if stop(); err == nil {
			err = <-looked
		}
		if err != nil {
			return err
		}
		at, _, _, err := s.done(ctx, control)
		if err != nil {
			return err
		}
		took, err := l.answered(a, at, begins(wellName))
		*all = append(*all, took...)
		return err
	}
	r.Held.Slots = hangingSlots
	for range 2 {
		tell("%d messages a second, all well", r.PerSec)
		var before Held
		if err := turn(&without, "", &before); err != nil {
			return r, err
		}
		r.Held.BeforeMB = max(r.Held.BeforeMB, before.MostMB)
		tell("and with %d hanging", r.Hanging)
		g.hang(true)
		if err := l.crowd(ctx, names); err != nil {
			return r, err
		}
		if err := turn(&with, wellName, &r.Held); err != nil {
			return r, err
		}
		g.hang(false)
		if s.Quick {
			break // they ask, and wait for settle_after, before they send again
		}
		if err := s.drained(ctx, ""); err != nil {
			return r, err
		}
	}
	r.Without, r.With = quantiles(without), quantiles(with)
	return r, r.Held.check(r.Hanging)
}

// check says what was held beyond the hospitals' own slots.
func (h Held) check(hanging int) error {
	switch {
	case h.MostSlots > h.Slots:
		return fmt.Errorf("a hanging hospital held %d slots of %d", h.MostSlots, h.Slots)
	case h.Connections > hanging*h.Slots:
		return fmt.Errorf("%d hanging hospitals of %d slots each held %d connections", hanging, h.Slots, h.Connections)
	case h.MostIdle > 1000:
		return fmt.Errorf("a transaction did nothing for %d ms", h.MostIdle)
	}
	return nil
}

// crowd gives each hanging hospital more than its slots.
func (l *load) crowd(ctx context.Context, names []string) error {
	hanging := make([]string, 0, len(names)/10)
	for _, name := range names {
		if strings.HasPrefix(name, hangingName) {
			hanging = append(hanging, name)
		}
	}
	of := &load{stage: l.stage, caller: l.caller, sent: map[int64]time.Time{}, lane: l.lane}
	of.to = func(n int64) string { return hanging[n%int64(len(hanging))] }
	// Numbers of its own, far behind those of the load.
	of.startAt(l.last.Load() + 1_000_000)
	return of.inOrder(ctx, inFlight, (hangingSlots+2)*len(hanging))
}

// look watches what is held until it is stopped.
func (s *stage) look(ctx context.Context, h *Held, g *gate) (looked <-chan error, stop func()) {
	ctx, stop = context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := s.lookOnce(ctx, h); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
			h.Connections = max(h.Connections, g.held())
			sleep(ctx, 2*s.second())
		}
		done <- nil
	}()
	return done, stop
}

func (s *stage) lookOnce(ctx context.Context, h *Held) error {
	var connections, idle int
	err := s.database.QueryRow(ctx, `select count(*)::int, coalesce(max(extract(epoch from clock_timestamp() - state_change) * 1000)
		filter (where state = 'idle in transaction'), 0)::int from pg_stat_activity where application_name = 'hishub'`).Scan(&connections, &idle)
	if err != nil {
		return err
	}
	now, _ := memory(s.hub.pid)
	h.Database, h.MostIdle, h.MostMB = max(h.Database, connections), max(h.MostIdle, idle), max(h.MostMB, now)
	return s.gauges(ctx, "hishub_exchanges_in_flight", func(hospital string, v float64) {
		if strings.HasPrefix(hospital, hangingName) {
			h.MostSlots = max(h.MostSlots, int(v))
		}
	})
}

// gauges reads one metric of all hospitals.
func (s *stage) gauges(ctx context.Context, name string, f func(hospital string, v float64)) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api+"/metrics", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.keys[0])
	a, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(a.Body)
		return fmt.Errorf("/metrics: %s: %s", a.Status, text)
	}
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name+`{hospital="`)
		if !ok {
			continue
		}
		hospital, value, _ := strings.Cut(rest, `"} `)
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("/metrics: %s: %w", lines.Text(), err)
		}
		f(hospital, v)
	}
	return lines.Err()
}
