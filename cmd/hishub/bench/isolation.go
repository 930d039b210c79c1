package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Isolation is what a hospital's trouble costs itself, and what it costs the others.
// Whatever is compared was measured in turns, in one run.
type Isolation struct {
	Busy    BusyRun    `json:"busy"`
	Ordered OrderedRun `json:"ordered"`
	Hanging HangingRun `json:"hanging"`
	Backlog BacklogRun `json:"backlog"`
}

// isolation measures it with fake hospitals of its own.
func (s *stage) isolation(ctx context.Context, tell func(string, ...any)) (*Isolation, error) {
	var r Isolation
	for _, part := range []func() error{
		func() (err error) { r.Busy, err = s.busyRun(ctx, tell); return err },
		func() (err error) { r.Ordered, err = s.orderedRun(ctx, tell); return err },
		func() (err error) { r.Backlog, err = s.backlogRun(ctx, tell); return err },
		func() (err error) { r.Hanging, err = s.hangingRun(ctx, tell); return err },
	} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return &r, nil
}

// isolation measures it on a database and a hub of its own, too.
func (o Options) isolation(ctx context.Context, tell func(string, ...any)) (*Isolation, error) {
	o.Profile = ""
	s := &stage{Options: o}
	defer s.close()
	if err := s.build(ctx); err != nil {
		return nil, err
	}
	return s.isolation(ctx, tell)
}

func (r *Isolation) print(row func(what, format string, a ...any)) {
	row("", "")
	b := r.Busy
	row("busy", "%.0f/s where %.1f %% of first attempts are answered HTTP 500, which the folder calls busy; %.0f/s without: %.1f %% less", b.Busy, 100*b.Struck, b.Calm, 100*b.Lost())
	o := r.Ordered
	row("ordered", "%.0f/s in %d lanes, %d messages, %.1f %% of first attempts fail; each lane in its order, each once", o.PerSec, o.Lanes, o.Messages, 100*o.Struck)
	g := r.Backlog
	row("backlog", "%d wait at a slow hospital; another at %d/s: %s", g.Queued, g.PerSec, g.With)
	row("", "without them: %s", g.Without)
	h := r.Hanging
	row("hanging", "%d of %d hospitals hang; the others at %d/s: %s", h.Hanging, h.Hospitals, h.PerSec*9/10, h.With)
	row("", "all well: %s; p99 is %.2f times that", h.Without, h.Ratio())
	row("", "held at most: %d of %d slots of a hospital, %d connections to all hanging ones, %d to the database; hub %d MB, before %d MB",
		h.Held.MostSlots, h.Held.Slots, h.Held.Connections, h.Held.Database, h.Held.MostMB, h.Held.BeforeMB)
	row("", "%d folders applied in %.1f s, first message of each delivered within %.1f s", h.Hospitals, h.Registered, h.First)
}

// copies makes the shipped folder into hospitals of its own, each at the address of
// the same service, which take so much at once, and applies them.
func (s *stage) copies(ctx context.Context, names []string, url func(name string) string, concurrency int) error {
	shipped, err := s.folder(hospital)
	if err != nil {
		return err
	}
	made, err := os.MkdirTemp(s.dir, "copies-")
	if err != nil {
		return err
	}
	for _, name := range names {
		folder := filepath.Join(made, name)
		if err := os.CopyFS(folder, os.DirFS(shipped)); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(folder, "cases")); err != nil { // they were run with the original
			return err
		}
		file := filepath.Join(folder, "hospital.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, change := range [][2]string{
			{"hospital: " + hospital + "\n", "hospital: " + name + "\n"},
			{"${DONGSHAN_URL}", url(name)},
			{"concurrency: 16,", fmt.Sprintf("concurrency: %d,", concurrency)},
			// HTTP 500 with a SOAP fault: this one has done nothing then.
			{"      unknown: wire.error == \"fault\"\n      busy: answer.ResultCode == \"-99\"\n", "      busy: wire.error == \"fault\" || answer.ResultCode == \"-99\"\n"},
		} {
			if !bytes.Contains(text, []byte(change[0])) {
				return fmt.Errorf("the folder of %s does not say %q any more", hospital, change[0])
			}
			text = bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
	}
	return s.apply(ctx, made)
}

// faults replaces the fault script of a fake hospital.
func (s *stage) faults(ctx context.Context, control string, rules ...map[string]any) error {
	if err := s.control1(ctx, http.MethodDelete, control+"/faults", nil); err != nil || len(rules) == 0 {
		return err
	}
	return s.control1(ctx, http.MethodPost, control+"/faults", rules)
}

func (s *stage) control1(ctx context.Context, method, url string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	a, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode >= 300 {
		text, _ := io.ReadAll(a.Body)
		return fmt.Errorf("%s: %s: %s", url, a.Status, text)
	}
	return nil
}

// done is when the fake hospital booked each number, in order; the error names one
// that it booked twice. struck is how many requests met a fault.
func (s *stage) done(ctx context.Context, control string) (at map[string]time.Time, order []string, struck int, err error) {
	b, err := s.books(ctx, control)
	if err != nil {
		return nil, nil, 0, err
	}
	at = make(map[string]time.Time, len(b.Journal))
	for _, e := range b.Journal {
		switch {
		case e.Effect == "done":
			if _, twice := at[e.Key]; twice {
				return nil, nil, 0, fmt.Errorf("the HIS booked %s twice", e.Key)
			}
			at[e.Key] = e.At
			order = append(order, e.Key)
		case e.Effect == "again" || e.Effect == "already":
			return nil, nil, 0, fmt.Errorf("%s was sent again after the HIS had booked it", e.Key)
		case e.Fault != "":
			struck++
		}
	}
	return at, order, struck, nil
}

// waiting is how many messages of hospitals whose names begin so are not delivered.
func (s *stage) waiting(ctx context.Context, prefix string) (n int, err error) {
	err = s.database.QueryRow(ctx, `select count(*) from hub.queue where starts_with(hospital, $1)`, prefix).Scan(&n)
	return n, err
}

// drained waits until none is left.
func (s *stage) drained(ctx context.Context, prefix string) error {
	for {
		n, err := s.waiting(ctx, prefix)
		if err != nil || n == 0 {
			return err
		}
		if sleep(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("%d messages of %s… are not delivered: %w: %s", n, prefix, ctx.Err(), s.hub.lastWords())
		}
	}
}

// answered is how long each of a load's messages of some hospitals took from the
// moment at which it was due to be handed in until the HIS answered.
func (l *load) answered(a accepted, at map[string]time.Time, of func(hospital string) bool) (all []time.Duration, err error) {
	for n := a.from; n < a.to; n++ {
		if !of(l.to(n)) {
			continue
		}
		booked, ok := at[key(n)]
		if !ok {
			return nil, fmt.Errorf("the HIS does not have %s", key(n))
		}
		all = append(all, booked.Sub(l.sent[n]))
	}
	return all, nil
}

// steady hands in a rate for a time and waits for the hospitals whose names begin so.
func (l *load) steady(ctx context.Context, rate int, during time.Duration, of string) (accepted, error) {
	a, err := l.open(ctx, rate, during, func(string) bool { return false })
	if err != nil {
		return a, err
	}
	return a, l.drained(ctx, of)
}

// startAt says behind which number a part's messages begin: parts share a database.
func (l *load) startAt(n int64) *load { l.last.Store(n); return l }

func begins(prefix string) func(string) bool {
	return func(hospital string) bool { return strings.HasPrefix(hospital, prefix) }
}
