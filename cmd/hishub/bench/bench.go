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
	"runtime"
	"time"
)

// Options of a run.
type Options struct {
	Binary   string // the program, for the hub and the fake hospital
	Messages int    // of the throughput run; a tenth of it warms up
	// Nights leaves the deliveries out and only compares books.
	Nights bool
	// Rates leaves out what is not a closed loop of deliveries.
	Rates bool
	// History is how many messages the run with a long history has; 0 leaves it out.
	History int
	// Long leaves everything else out.
	Long bool
	// Isolated leaves all but a hospital's trouble out.
	Isolated bool
	// Chat leaves all but the messages of the chat out.
	Chat bool
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
	// Concurrent is the same with as much in flight as the machine can do, and AtMost
	// a steady 70 % of what came of it.
	Concurrent Throughput `json:"concurrent"`
	AtMost     OpenLoop   `json:"at_seventy_percent"`
	// Ready is from the start of a hub on a migrated database to its first 202, in
	// milliseconds.
	Ready     float64    `json:"ready_ms"`
	Own       OwnRate    `json:"postgresql_own"`
	Space     Space      `json:"space"`
	Encoding  Encoding   `json:"encoding"`
	History   *History   `json:"history,omitempty"`
	Isolation *Isolation `json:"isolation,omitempty"`
	Chat      *Chat      `json:"chat,omitempty"`
	// Nights are days of books compared.
	Nights []Comparison `json:"nights"`
	// Booked is how many messages the HIS has, each exactly once.
	Booked int `json:"booked"`
}

// Throughput is accepting and delivering at the same time, as fast as it goes.
type Throughput struct {
	Messages int       `json:"messages"`
	Clients  int       `json:"clients"`
	InFlight int       `json:"in_flight"`
	PerSec   float64   `json:"per_second"`
	Possible float64   `json:"possible_per_second"`
	Accept   Quantiles `json:"accept"`
	CPU      CPU       `json:"cpu_us_per_delivery"`
	WAL      float64   `json:"wal_bytes_per_message"`
}

// OpenLoop is a steady rate that waits for nobody.
type OpenLoop struct {
	PerSec int       `json:"per_second"`
	Accept Quantiles `json:"accept"`
	// Answered is from when the request was due to be sent until the HIS answers:
	// its own booking, after its 20 ms.
	Answered Quantiles `json:"answered"`
}

// CPU is processor time by delivery, in microseconds.
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
	if o.Long {
		if _, err := newLoad(s, hospital).closed(ctx, closing{clients: inFlight, count: 16 * inFlight, ahead: 256}); err != nil {
			return r, err
		}
		r.History, err = s.history(ctx, tell)
		return r, err
	}
	if o.Isolated {
		r.Isolation, err = s.isolation(ctx, tell)
		return r, err
	}
	if o.Chat {
		r.Chat, err = s.chat(ctx, tell)
		return r, err
	}
	content, err := json.Marshal(prescription(1))
	if err != nil {
		return r, err
	}
	if r.Bytes = len(content); r.Bytes < 1200 || r.Bytes > 1280 {
		return r, fmt.Errorf("the message has %d bytes and not about 1.2 KB", r.Bytes)
	}
	l := newLoad(s, hospital)
	if err := r.deliver(ctx, l, tell); err != nil {
		return r, err
	}
	now, most := memory(s.hub.pid)
	tell("stopping the hub and starting it again")
	if r.Ready, err = l.ready(ctx); err != nil {
		return r, err
	}
	if r.Booked, err = l.bookedOnce(ctx); err != nil {
		return r, err
	}
	if err := s.hub.stop(); err != nil {
		return r, fmt.Errorf("the hub did not end well: %w: %s", err, s.hub.lastWords())
	}
	tell("the same rows by PostgreSQL alone")
	if r.Space, err = s.space(ctx, r.Booked); err != nil {
		return r, err
	}
	r.Space.WAL, r.Space.HubMB, r.Space.HubMost = r.Throughput.WAL, now, most
	if o.Rates {
		return r, nil
	}
	if r.Own, err = s.ownRate(ctx); err != nil {
		return r, err
	}
	if o.History > 0 {
		if r.History, err = s.history(ctx, tell); err != nil {
			return r, err
		}
	}
	if r.Isolation, err = o.isolation(ctx, tell); err != nil {
		return r, err
	}
	tell("encoding, beside encoding/xml")
	if r.Encoding, err = encoding(4 * s.second()); err != nil {
		return r, err
	}
	if r.Chat, err = s.chat(ctx, tell); err != nil {
		return r, err
	}
	r.Nights, err = s.comparisons(ctx, tell)
	return r, err
}

// deliver makes all the runs in which messages are delivered.
func (r *Report) deliver(ctx context.Context, l *load, tell func(string, ...any)) (err error) {
	warm := closing{clients: inFlight, count: max(l.Messages/10, 16), ahead: 256}
	tell("warming up with %d messages", warm.count)
	if _, err := l.closed(ctx, warm); err != nil {
		return err
	}
	tell("%d messages as fast as they go", l.Messages)
	if r.Throughput, err = l.throughput(ctx, inFlight, closing{clients: inFlight, count: l.Messages, ahead: 256}); err != nil {
		return err
	}
	for _, rate := range []int{100, 500} {
		if l.Rates || float64(rate) > .9*r.Throughput.PerSec {
			continue
		}
		tell("%d messages a second", rate)
		o, err := l.openLoop(ctx, rate, 20*l.second())
		if err != nil {
			return err
		}
		r.OpenLoops = append(r.OpenLoops, o)
	}
	return r.concurrent(ctx, l, tell)
}

// throughput of a closed loop with so much in flight, with whose time it took.
func (l *load) throughput(ctx context.Context, inFlight int, c closing) (t Throughput, err error) {
	profiled := l.profile(ctx, inFlight)
	walBefore, err := l.wal(ctx)
	if err != nil {
		return t, err
	}
	before := l.used()
	a, err := l.closed(ctx, c)
	if err != nil {
		return t, err
	}
	whole, used := time.Since(a.began), l.used().since(before)
	wal, err := l.wal(ctx)
	if err != nil {
		return t, err
	}
	if err := profiled(); err != nil {
		return t, err
	}
	booked, err := l.bookings(ctx)
	if err != nil {
		return t, err
	}
	last := a.began
	for n := a.from; n < a.to; n++ {
		if at := booked[key(n)]; at.After(last) {
			last = at
		}
	}
	t = Throughput{
		Messages: c.count, Clients: c.clients, InFlight: inFlight, PerSec: float64(c.count) / last.Sub(a.began).Seconds(),
		Possible: float64(inFlight) / latency.Seconds(), Accept: quantiles(a.took),
	}
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(c.count) }
	t.CPU = CPU{Hub: each(used.Hub), PostgreSQL: each(used.PostgreSQL), Mock: each(used.Mock), Generator: each(used.Generator),
		Others: float64(used.others()+used.Stolen) / float64(whole) / float64(runtime.GOMAXPROCS(0))}
	t.WAL = float64(wal-walBefore) / float64(c.count)
	return t, nil
}

// openLoop is a steady rate for a time.
func (l *load) openLoop(ctx context.Context, rate int, during time.Duration) (o OpenLoop, err error) {
	a, err := l.open(ctx, rate, during, all)
	if err != nil {
		return o, err
	}
	booked, err := l.bookings(ctx)
	if err != nil {
		return o, err
	}
	var answered []time.Duration
	for n := a.from; n < a.to; n++ {
		answered = append(answered, booked[key(n)].Sub(l.sent[n]))
	}
	return OpenLoop{PerSec: rate, Accept: quantiles(a.took), Answered: quantiles(answered)}, nil
}

// bookings are the times at which the HIS booked what has our number.
func (l *load) bookings(ctx context.Context) (map[string]time.Time, error) {
	b, err := l.books(ctx, l.control)
	at := make(map[string]time.Time, len(b.Prescriptions))
	for _, p := range b.Prescriptions {
		at[p.No] = p.At
	}
	return at, err
}

// bookedOnce compares all that was accepted with the HIS's journal, which shows
// every request that it read.
func (l *load) bookedOnce(ctx context.Context) (int, error) {
	b, err := l.books(ctx, l.control)
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

// profile records the hub's processor profile for about as long as a run takes; the
// returned function waits for it. The file of the concurrent run has its number in
// flight behind its name.
func (l *load) profile(ctx context.Context, inFlight int) (done func() error) {
	if l.Profile == "" {
		return func() error { return nil }
	}
	name, seconds := l.Profile, max(1, l.Messages/400)
	if inFlight == many {
		name, seconds = fmt.Sprintf("%s-%d", name, inFlight), max(1, l.Messages/800)
	}
	finished := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", l.profiles, seconds), nil)
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
		file, err := os.Create(name)
		if err != nil {
			finished <- err
			return
		}
		_, err = io.Copy(file, a.Body)
		finished <- errors.Join(err, file.Close())
	}()
	return func() error { return <-finished }
}
