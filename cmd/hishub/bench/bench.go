// Package bench measures what this machine delivers: the hub, a fake hospital, a
// durable PostgreSQL and the load all on it. Every figure comes from the one run,
// so that they can be compared with one another.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Options of a run.
type Options struct {
	Binary   string // the program, for the hub and the fake hospital
	Messages int    // of the throughput run; a tenth of it warms up
	// Nights leaves the deliveries out and only compares books.
	Nights bool
	// Quick only shows that everything works: its figures mean nothing.
	Quick bool
	// Profile is a file for the hub's processor profile of the throughput run.
	Profile string
	// Told is told what is being done now.
	Told io.Writer
}

func (o Options) second() time.Duration {
	if o.Quick {
		return time.Second / 5
	}
	return time.Second
}

// Report is everything that was measured.
type Report struct {
	Machine    Machine    `json:"machine"`
	Bytes      int        `json:"message_bytes"`
	Throughput Throughput `json:"throughput"`
	OpenLoops  []OpenLoop `json:"open_loops"`
	Own        OwnRate    `json:"postgresql_own"`
	CPU        CPU        `json:"cpu_us_per_delivery"`
	Space      Space      `json:"space"`
	Encoding   Encoding   `json:"encoding"`
	// Nights are days of books compared.
	Nights []Comparison `json:"nights"`
	// Booked is how many messages the HIS has, each exactly once.
	Booked int `json:"booked"`
}

// Throughput is accepting and delivering at the same time, as fast as it goes.
type Throughput struct {
	Messages int       `json:"messages"`
	Clients  int       `json:"clients"`
	PerSec   float64   `json:"per_second"`
	Possible float64   `json:"possible_per_second"`
	Accept   Quantiles `json:"accept"`
}

// OpenLoop is a steady rate that waits for nobody.
type OpenLoop struct {
	PerSec int       `json:"per_second"`
	Accept Quantiles `json:"accept"`
	// Answered is from when the request was due to be sent until the HIS answers:
	// its own booking, after its 20 ms.
	Answered Quantiles `json:"answered"`
}

// CPU is processor time by delivery in the throughput run, in microseconds.
type CPU struct {
	Hub        float64 `json:"hub"`
	PostgreSQL float64 `json:"postgresql"`
	Mock       float64 `json:"mock"`
	Generator  float64 `json:"generator"`
	// Others is what the rest of the machine used, and its host took, as a share
	// of all its processors: high means that the figures are too low.
	Others float64 `json:"others_share"`
}

// Run measures. The error also tells of a message that the HIS does not have
// exactly once.
func Run(ctx context.Context, o Options) (r Report, err error) {
	s := &stage{Options: o}
	defer s.close()
	tell := func(format string, a ...any) { fmt.Fprintf(o.Told, format+"\n", a...) }

	tell("starting PostgreSQL, a fake hospital and the hub")
	if err := s.build(ctx); err != nil {
		return r, err
	}
	if r.Machine, err = s.machine(ctx); err != nil {
		return r, err
	}
	if o.Nights {
		r.Nights, err = s.comparisons(ctx, tell)
		return r, err
	}
	content, err := json.Marshal(prescription(1))
	if err != nil {
		return r, err
	}
	if r.Bytes = len(content); r.Bytes < 1200 || r.Bytes > 1280 {
		return r, fmt.Errorf("the message has %d bytes and not about 1.2 KB", r.Bytes)
	}
	l := &load{stage: s, sent: map[string]time.Time{}}
	tell("warming up with %d messages", max(o.Messages/10, 16))
	if _, err := l.closed(ctx, inFlight, max(o.Messages/10, 16)); err != nil {
		return r, err
	}
	tell("%d messages as fast as they go", o.Messages)
	if err := r.throughput(ctx, l); err != nil {
		return r, err
	}
	for _, rate := range []int{100, 500} {
		if float64(rate) > .9*r.Throughput.PerSec {
			continue
		}
		tell("%d messages a second", rate)
		if err := r.openLoop(ctx, l, rate); err != nil {
			return r, err
		}
	}
	if r.Booked, err = l.bookedOnce(ctx); err != nil {
		return r, err
	}
	now, most := memory(s.hub.pid)
	if err := s.hub.stop(); err != nil {
		return r, fmt.Errorf("the hub did not end well: %w: %s", err, s.hub.lastWords())
	}
	tell("the same rows by PostgreSQL alone")
	wal := r.Space.WAL
	if r.Space, err = s.space(ctx, r.Booked); err != nil {
		return r, err
	}
	r.Space.WAL, r.Space.HubMB, r.Space.HubMost = wal, now, most
	if r.Own, err = s.ownRate(ctx); err != nil {
		return r, err
	}
	tell("encoding, beside encoding/xml")
	if r.Encoding, err = encoding(4 * s.second()); err != nil {
		return r, err
	}
	r.Nights, err = s.comparisons(ctx, tell)
	return r, err
}

func (r *Report) throughput(ctx context.Context, l *load) error {
	profiled := l.profile(ctx)
	walBefore, err := l.wal(ctx)
	if err != nil {
		return err
	}
	before := l.used()
	a, err := l.closed(ctx, inFlight, l.Messages)
	if err != nil {
		return err
	}
	whole, used := time.Since(a.began), l.used().since(before)
	wal, err := l.wal(ctx)
	if err != nil {
		return err
	}
	if err := profiled(); err != nil {
		return err
	}
	booked, err := l.bookings(ctx)
	if err != nil {
		return err
	}
	last := a.began
	for n := a.from; n < a.to; n++ {
		if at := booked[key(n)]; at.After(last) {
			last = at
		}
	}
	r.Throughput = Throughput{
		Messages: l.Messages, Clients: inFlight, PerSec: float64(l.Messages) / last.Sub(a.began).Seconds(),
		Possible: inFlight / latency.Seconds(), Accept: quantiles(a.took),
	}
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(l.Messages) }
	r.CPU = CPU{Hub: each(used.Hub), PostgreSQL: each(used.PostgreSQL), Mock: each(used.Mock), Generator: each(used.Generator),
		Others: float64(used.others()+used.Stolen) / float64(whole) / float64(r.Machine.Cores)}
	r.Space.WAL = float64(wal-walBefore) / float64(l.Messages)
	return nil
}

func (r *Report) openLoop(ctx context.Context, l *load, rate int) error {
	a, err := l.open(ctx, rate, 20*l.second())
	if err != nil {
		return err
	}
	booked, err := l.bookings(ctx)
	if err != nil {
		return err
	}
	var answered []time.Duration
	for n := a.from; n < a.to; n++ {
		answered = append(answered, booked[key(n)].Sub(l.sent[key(n)]))
	}
	r.OpenLoops = append(r.OpenLoops, OpenLoop{PerSec: rate, Accept: quantiles(a.took), Answered: quantiles(answered)})
	return nil
}

// bookings are the times at which the HIS booked what has our number.
func (l *load) bookings(ctx context.Context) (map[string]time.Time, error) {
	b, err := l.books(ctx)
	at := make(map[string]time.Time, len(b.Prescriptions))
	for _, p := range b.Prescriptions {
		at[p.No] = p.At
	}
	return at, err
}

// bookedOnce compares all that was accepted with the HIS's journal, which shows
// every request that it read.
func (l *load) bookedOnce(ctx context.Context) (int, error) {
	b, err := l.books(ctx)
	if err != nil {
		return 0, err
	}
	times := map[string]int{}
	for _, e := range b.Journal {
		times[e.Key]++
	}
	for n := int64(1); n <= l.last.Load(); n++ {
		if times[key(n)] != 1 {
			return 0, fmt.Errorf("%s was sent to the HIS %d times", key(n), times[key(n)])
		}
	}
	if len(b.Prescriptions) != len(times) || int64(len(times)) != l.last.Load() {
		return 0, fmt.Errorf("%d accepted, %d booked by the HIS", l.last.Load(), len(b.Prescriptions))
	}
	return len(times), nil
}

// profile records the hub's processor profile until the returned function is
// called, at most for a while.
func (l *load) profile(ctx context.Context) (done func() error) {
	if l.Profile == "" {
		return func() error { return nil }
	}
	finished := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", l.profiles, max(1, l.Messages/400)), nil)
		if err != nil {
			finished <- err
			return
		}
		a, err := l.http.Do(r)
		if err != nil {
			finished <- err
			return
		}
		defer a.Body.Close()
		file, err := os.Create(l.Profile)
		if err != nil {
			finished <- err
			return
		}
		_, err = io.Copy(file, a.Body)
		finished <- errors.Join(err, file.Close())
	}()
	return func() error { return <-finished }
}
