package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hishub/core/postgres"
)

// History is what a long one changes: the same hub on two databases of one server, one
// empty, the other with a year of messages.
type History struct {
	Messages int     `json:"messages"`
	Loaded   float64 `json:"loaded_seconds"`
	MB       int64   `json:"database_mb"`
	// Empty and Full are rounds in turns; Ratio is that of their medians.
	Empty []Throughput `json:"empty"`
	Full  []Throughput `json:"full"`
	Ratio float64      `json:"ratio"`
	// Looks are searches and lists over HTTP.
	Looks []Look `json:"looks"`
	// Drops are months that retention takes away while messages come in.
	Drops []Drop `json:"drops"`
	// Stalled is how long, at most, an acceptance took meanwhile, in ms.
	Stalled float64 `json:"accept_max_ms_meanwhile"`
	Ready   float64 `json:"ready_ms"`
}

// Look is one kind of search or list.
type Look struct {
	What  string    `json:"what"`
	Took  Quantiles `json:"took"`
	Found float64   `json:"found"` // on average
	Most  float64   `json:"most_ms"`
}

// Drop is a month of a class that is gone.
type Drop struct {
	Class string  `json:"class"`
	MB    int64   `json:"mb"`
	Took  float64 `json:"seconds"`
}

// rounds of each database.
const rounds = 3

// history measures with what the runs before have left, over and over, as history.
func (s *stage) history(ctx context.Context, tell func(string, ...any)) (h *History, err error) {
	h = &History{Messages: s.History}
	sampled, err := s.sample(ctx)
	if err != nil {
		return h, fmt.Errorf("read a sample of the rows: %w", err)
	}
	empty, err := s.side(ctx, "empty")
	if err != nil {
		return h, err
	}
	if err := empty.raise(ctx, "empty"); err != nil {
		return h, err
	}
	warm := newLoad(empty, hospital)
	if _, err := warm.closed(ctx, closing{clients: inFlight, count: inFlight, ahead: inFlight}); err != nil {
		return h, err
	}
	full, err := s.side(ctx, "full")
	if err != nil {
		return h, err
	}
	if err := full.raise(ctx, "full"); err != nil {
		return h, err
	}
	// While it is loaded there is no hub: it would read all of the feed.
	if err := full.hub.stop(); err != nil {
		return h, fmt.Errorf("the hub did not end well: %w: %s", err, full.hub.lastWords())
	}
	ledger, err := postgres.Open(ctx, postgres.Options{URL: full.cluster.URL("full"), KeyFile: filepath.Join(full.dir, "master.key")})
	if err != nil {
		return h, err
	}
	defer ledger.Close()
	tell("loading %d messages of a year by COPY", h.Messages)
	p := &past{stage: full, ledger: ledger, rows: sampled, count: h.Messages}
	began := time.Now()
	if err := p.load(ctx, empty, tell); err != nil {
		return h, fmt.Errorf("load a history: %w", err)
	}
	h.Loaded = time.Since(began).Seconds()
	if err := full.serveHub(ctx); err != nil {
		return h, err
	}
	if err := full.database.QueryRow(ctx, `select pg_database_size(current_database()) / 1000000`).Scan(&h.MB); err != nil {
		return h, err
	}
	if err := h.rates(ctx, [2]*load{warm, newLoad(full, hospital)}, tell); err != nil {
		return h, err
	}
	tell("searching")
	if h.Looks, err = p.looks(ctx); err != nil {
		return h, err
	}
	tell("dropping months")
	return h, h.drop(ctx, p)
}

// side is a place for a hub on another database of the same server.
func (s *stage) side(ctx context.Context, name string) (*stage, error) {
	if err := s.cluster.CreateDatabase(ctx, name); err != nil {
		return nil, err
	}
	d := &stage{Options: s.Options, dir: filepath.Join(s.dir, name), cluster: s.cluster, http: s.http}
	s.later(d.close)
	d.Profile = ""
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		return nil, err
	}
	return d, nil
}

// rates lets both work in turns, as much in flight as the machine can do.
func (h *History) rates(ctx context.Context, loads [2]*load, tell func(string, ...any)) (err error) {
	c := closing{clients: many, count: max(loads[0].Messages/2, many), ahead: 4 * many}
	for _, l := range loads {
		l.caller.close() // the hub has ended what was idle for so long
		if err := l.limit(ctx, hospital, many); err != nil {
			return err
		}
		for began := time.Now(); time.Since(began) < 3*l.second(); { // the hub follows new limits within two seconds
			if _, err := l.closed(ctx, closing{clients: many, count: c.count/4 + many, ahead: c.ahead}); err != nil {
				return err
			}
		}
	}
	into := [2]*[]Throughput{&h.Empty, &h.Full}
	for round := range rounds {
		tell("with and without history, round %d of %d", round+1, rounds)
		for i := range loads {
			which := (i + round) % 2 // the first of a round is the second of the next
			t, err := loads[which].throughput(ctx, many, c)
			if err != nil {
				return err
			}
			*into[which] = append(*into[which], t)
		}
	}
	h.Ratio = median(h.Full) / median(h.Empty)
	for _, l := range loads {
		if _, err := l.bookedOnce(ctx); err != nil {
			return err
		}
	}
	h.Ready, err = loads[1].ready(ctx)
	return err
}

func median(all []Throughput) float64 {
	var rates []float64
	for _, t := range all {
		rates = append(rates, t.PerSec)
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}

// looks are asked of the hub as people and programs do.
func (p *past) looks(ctx context.Context) (all []Look, err error) {
	const list, number = 100, 50 // ms
	deep := fmt.Sprint(p.count / 2)
	longAgo := p.at(p.count / 3)
	day := map[string]any{"since": longAgo, "until": longAgo.Add(24 * time.Hour)}
	with := func(more map[string]any, of map[string]any) map[string]any {
		for k, v := range of {
			more[k] = v
		}
		return more
	}
	for _, q := range []struct {
		what string
		most float64
		ask  func(n int) map[string]any
		none bool
	}{
		{"our number", number, func(n int) map[string]any { return map[string]any{"number": p.message(n).key} }, false},
		{"the channel's number", number, func(n int) map[string]any { return map[string]any{"number": p.payment(n).ChannelNo} }, false},
		{"a bill's number", number, func(n int) map[string]any { return map[string]any{"number": p.payment(n).Bills[0]} }, false},
		{"the visit", number, func(n int) map[string]any { return map[string]any{"number": p.message(n).lane} }, false},
		{"the HIS's number", number, func(n int) map[string]any { return map[string]any{"his_no": p.message(n).hisNo} }, false},
		{"patient", number, func(n int) map[string]any { return map[string]any{"patient": patientNo(n), "purpose": "a benchmark"} }, false},
		{"list", list, func(int) map[string]any { return map[string]any{} }, false},
		{"list, half way back", list, func(int) map[string]any { return map[string]any{"cursor": deep} }, false},
		{"of a hospital", list, func(n int) map[string]any { return map[string]any{"hospital": hospitalOf(n)} }, false},
		{"of a hospital, half way back", list, func(n int) map[string]any { return map[string]any{"hospital": hospitalOf(n), "cursor": deep} }, false},
		{"of a kind and a day, months ago", list, func(int) map[string]any { return with(map[string]any{"kind": "payment.settle"}, day) }, false},
		{"cancelled", list, func(int) map[string]any { return map[string]any{"state": "cancelled"} }, false},
		{"rejected of a hospital", list, func(n int) map[string]any { return map[string]any{"class": "rejected", "hospital": hospitalOf(n)} }, true},
		{"parked", list, func(int) map[string]any { return map[string]any{"state": "parked"} }, true},
		{"of a kind that there is not", list, func(int) map[string]any { return map[string]any{"kind": "invoice.issue"} }, true},
	} {
		l := Look{What: q.what, Most: q.most}
		var took []time.Duration
		found := 0
		for i := range 60 {
			// Spread over all of it; the first ones warm nothing that the others use.
			n := 1 + (i*7919*101+13)%p.count
			began := time.Now()
			got, err := p.search(ctx, q.ask(n))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", q.what, err)
			}
			took = append(took, time.Since(began))
			if found += got; got == 0 && !q.none {
				return nil, fmt.Errorf("%s: message %d is not found", q.what, n)
			}
		}
		l.Took, l.Found = quantiles(took), float64(found)/float64(len(took))
		all = append(all, l)
	}
	return all, nil
}

// search returns how many messages a page has.
func (s *stage) search(ctx context.Context, body map[string]any) (int, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.api+"/v1/messages:search", bytes.NewReader(content))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+s.keys[0])
	r.Header.Set("Content-Type", "application/json")
	a, err := s.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	var page struct {
		Title    string
		Messages []struct{ ID int64 }
	}
	if err := json.NewDecoder(a.Body).Decode(&page); err != nil {
		return 0, err
	}
	if a.StatusCode != http.StatusOK {
		return 0, errors.New(a.Status + ": " + page.Title)
	}
	return len(page.Messages), nil
}

// drop takes the oldest month of each class away while messages come in.
func (h *History) drop(ctx context.Context, p *past) error {
	l := newLoad(p.stage, hospital)
	l.last.Store(50_000_000) // numbers that the HIS does not have yet
	coming, stop := context.WithCancel(ctx)
	defer stop()
	type came struct {
		accepted
		err error
	}
	done := make(chan came, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		a, err := l.open(coming, 100, 15*p.second(), all)
		done <- came{a, err}
	}()
	<-started
	classes := []struct {
		name, table string
		keep        func(*postgres.Retention, time.Duration)
	}{
		{"bodies", "body", func(r *postgres.Retention, d time.Duration) { r.Bodies = d }},
		{"attempts", "attempt", func(r *postgres.Retention, d time.Duration) { r.Attempts = d }},
		{"events", "event", func(r *postgres.Retention, d time.Duration) { r.Events = d }},
		{"search", "found_by", func(r *postgres.Retention, d time.Duration) { r.Search = d }},
	}
	month := p.oldest() // the first may be a part of one
	for _, c := range classes {
		second := month.AddDate(0, 1, 0)
		now := time.Now()
		d := Drop{Class: c.name}
		err := p.database.QueryRow(ctx, `select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint / 1000000 from pg_class c where c.relnamespace = 'hub'::regnamespace and c.relkind = 'r' and c.relname = any($1)`,
			[]string{c.table + month.Format("_2006_01"), c.table + second.Format("_2006_01")}).Scan(&d.MB)
		if err != nil {
			return err
		}
		var r postgres.Retention
		c.keep(&r, now.Sub(second.AddDate(0, 1, 0)))
		gone, err := p.ledger.Maintain(ctx, now, r)
		if d.Took = time.Since(now).Seconds(); err != nil {
			return err
		}
		if len(gone) != 2 {
			return fmt.Errorf("%d months of %s are gone and not the two oldest: %v", len(gone), c.name, gone)
		}
		h.Drops = append(h.Drops, d)
	}
	a := <-done
	for _, took := range a.took {
		h.Stalled = max(h.Stalled, ms(took))
	}
	return a.err
}

func (h History) print(row func(what, format string, a ...any)) {
	row("", "")
	row(fmt.Sprintf("history of %d", h.Messages), "messages over a year, loaded by COPY in %.0f s, %d MB with all indexes", h.Loaded, h.MB)
	last := func(all []Throughput) Throughput { return all[len(all)-1] }
	row("", "%.0f/s with it, %.0f/s on an empty database beside it: %.0f %% (medians of %d rounds in turns, %d in flight)", median(h.Full), median(h.Empty), 100*h.Ratio, rounds, many)
	row("", "PostgreSQL's time by delivery in the last round: %.0f us with it, %.0f us without", last(h.Full).CPU.PostgreSQL, last(h.Empty).CPU.PostgreSQL)
	for _, l := range h.Looks {
		row("  "+l.What, "%s, asked for: %.0f ms; %.0f found", l.Took, l.Most, l.Found)
	}
	for _, d := range h.Drops {
		row("  two months of "+d.Class, "%d MB gone in %.2f s", d.MB, d.Took)
	}
	row("", "at 100/s meanwhile an acceptance took %.0f ms at most; a hub on it is ready in %.0f ms", h.Stalled, h.Ready)
}
