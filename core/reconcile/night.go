package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// Asker asks a hospital a question at once.
type Asker interface {
	// Question returns the answer of the type in the catalogue, or a *core.Fault.
	Question(ctx context.Context, hospital string, kind core.Kind, q core.Body) (any, error)
}

// Place is what a night must know of a hospital.
type Place struct {
	Zone *time.Location
	core.NightRules
	// Rests reports when the HIS is left alone, see core.Dialect.Rests; nil: never.
	Rests func(core.Kind, time.Time) bool
	// Bills by way of paying. Where insurance is not among them its ledger is asked
	// of the HIS, if that can be.
	Bills map[core.Channel]core.Biller
	// Can tells which questions the HIS answers, and of core.LedgerPushed whether it
	// sends its ledger by itself. Nil is none.
	Can func(core.Kind) bool
}

// Runner runs nights.
type Runner struct {
	Store Store
	Asker Asker
	// Place of a hospital, as its active folder says.
	Place func(ctx context.Context, hospital string) (Place, error)
	// Now is time.Now if nil.
	Now func() time.Time
}

// Ask says what a run is to do.
type Ask struct {
	Hospital, Day, Who string
	// Full asks the HIS for each entry, whatever its totals say.
	Full bool
	// After is the newest run of the day that the asker has seen the end of, None if
	// none, and makes the end of a newer one ErrNightRunning: somebody else did what
	// is asked for. 0 asks for another run whatever there was.
	After int
}

// None of a day's runs had ended, see Ask.After.
const None = -1

// lease is how long a run may be silent before it counts as dead.
const lease = 2 * time.Minute

// told is what became of a message that the HIS has.
const told = delivery.Delivered

// Run compares one day of one hospital and stores what it found. A day that was
// run before is run again; nothing of the earlier run is changed. A run that
// waits for somebody's books is no error: its state and Problem say so. Errors
// with no night begun (ID 0): core.Problems, ErrNightRunning; with one, why it failed.
func (r *Runner) Run(ctx context.Context, a Ask) (Night, error) {
	place, err := r.Place(ctx, a.Hospital)
	if err != nil {
		return Night{}, err
	}
	if place.Can == nil {
		place.Can = func(core.Kind) bool { return false }
	}
	from, to, err := place.Day(a.Day, place.Zone)
	if err != nil {
		return Night{}, err
	}
	now := r.clock()
	if from.After(now) {
		return Night{}, core.Problems{{Field: "day", What: "has not begun yet"}}
	}
	if err := place.TooOld("day", a.Day, now); err != nil {
		return Night{}, err
	}
	n, err := r.Store.BeginNight(ctx, a, lease)
	if err != nil {
		return Night{}, err
	}
	one := &run{Runner: r, ask: a, place: place, night: &n, from: from, to: to, now: now,
		books: books{billed: map[core.Channel]bool{}, sources: map[string]bool{}}}
	err = one.whole(ctx)
	if lost := (*lostLease)(nil); errors.As(err, &lost) && ctx.Err() == nil {
		// The run is not ours any more: whoever took it decides what is kept of it.
		return n, err
	}
	n.Stage, n.Done, n.Ended = "", 0, r.clock()
	var wait *notYet
	switch {
	case err == nil:
		// A day that goes on cannot be closed, however well it stands.
		n.State, n.Closed = NightDone, !to.After(now)
	case ctx.Err() != nil:
		n.State, n.Problem = NightWaiting, "waits for another run: this one was stopped"
	case errors.As(err, &wait):
		n.State, n.Problem, err = NightWaiting, err.Error(), nil
	default:
		n.State, n.Problem = NightFailed, err.Error()
	}
	// The end is saved even when the caller is gone: an open run blocks the day.
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	ended, saveErr := r.Store.EndNight(save, n)
	if saveErr != nil {
		return n, errors.Join(err, fmt.Errorf("end the night: %w", saveErr))
	}
	return ended, err
}

func (r *Runner) clock() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// run is one run that is going on.
type run struct {
	*Runner
	ask   Ask
	place Place
	night *Night
	// from and to bound the day; now is when the run began, which decides what is
	// still on its way.
	from, to, now time.Time
	books         books

	mu    sync.Mutex
	stage string
	done  atomic.Int64
}

// whole is a run from the first bill to the last finding.
func (r *run) whole(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var renewing sync.WaitGroup
	defer renewing.Wait()
	ended := make(chan struct{})
	defer close(ended)
	renewing.Go(func() { r.renew(ctx, ended, stop) })

	err := r.parts(ctx)
	if lost := (*lostLease)(nil); errors.As(context.Cause(ctx), &lost) {
		return lost
	}
	return err
}

func (r *run) parts(ctx context.Context) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	if err := r.compare(ctx); err != nil {
		return err
	}
	if err := r.states(ctx); err != nil {
		return err
	}
	// The last check of the lease: what follows makes cases.
	return r.step(ctx, "the end")
}

// renew keeps the lease while a step takes long.
func (r *run) renew(ctx context.Context, ended <-chan struct{}, stop context.CancelCauseFunc) {
	tick := time.NewTicker(lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			r.mu.Lock()
			stage := r.stage
			r.mu.Unlock()
			if err := r.Store.Progress(ctx, r.night.ID, stage, r.done.Load(), lease); err != nil {
				stop(&lostLease{err})
				return
			}
		}
	}
}

// step begins the next part of the run and renews the lease.
func (r *run) step(ctx context.Context, stage string) error {
	r.mu.Lock()
	r.stage = stage
	r.mu.Unlock()
	r.done.Store(0)
	if err := r.Store.Progress(ctx, r.night.ID, stage, 0, lease); err != nil {
		return &lostLease{err}
	}
	return nil
}

// lostLease: the run is not ours any more, or we cannot tell.
type lostLease struct{ err error }

func (l *lostLease) Error() string { return "the run was lost: " + l.err.Error() }
func (l *lostLease) Unwrap() error { return l.err }

// day is the business day so many days from the night's.
func (r *run) day(days int) string { return after(r.night.Day, days) }

// batch is how many findings are kept at once.
const batch = 500

// compare compares the books and keeps what is not matched.
func (r *run) compare(ctx context.Context) error {
	if err := r.step(ctx, "the comparison"); err != nil {
		return err
	}
	n := r.night
	n.Counts, n.Amounts = map[Class]int{}, map[Class]core.Fen{}
	lines := lines{}
	f := finder{run: r}
	books := Books{Channel: r.read(ctx, r.books.channel), Ours: r.readOurs(ctx), HIS: r.read(ctx, r.books.his)}
	rules := Rules{From: r.from, To: r.to, Now: r.now, Billed: r.books.billed, NextKnown: r.nextKnown(), BeforeUnknown: r.beforeUnknown(), NightRules: r.place.NightRules}
	err := Compare(ctx, books, rules, func(found Finding) error {
		lines.add(found)
		return f.found(ctx, found)
	})
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := f.flush(ctx); err != nil {
		return err
	}
	n.Lines = append(lines.list(), r.books.totals...)
	for _, b := range slices.Concat(r.books.channel, r.books.his) {
		if !b.neighbour {
			n.Statements = append(n.Statements, b.Statement)
		}
	}
	return nil
}

// finder counts findings and keeps those that somebody may look at.
type finder struct {
	*run
	kept []Finding
}

func (f *finder) found(ctx context.Context, one Finding) error {
	f.night.Counts[one.Class]++
	f.night.Amounts[one.Class] += one.Amount
	if one.Class == Matched {
		return nil
	}
	f.kept = append(f.kept, one)
	if len(f.kept) < batch {
		return nil
	}
	return f.flush(ctx)
}

func (f *finder) flush(ctx context.Context) error {
	if len(f.kept) == 0 {
		return nil
	}
	err := f.Store.Found(ctx, f.night.ID, f.kept)
	f.kept = nil // the store may hold on to it
	if err != nil {
		return fmt.Errorf("keep what was found: %w", err)
	}
	return nil
}

// lines sums entries up by their sort.
type lines map[Line]Line

// add counts the entries of the day that a finding holds. Money that never
// moved is in nobody's totals.
func (l lines) add(f Finding) {
	// Not every HIS says of a row how it was paid and what for; the others know.
	business, channel := Outpatient, core.Channel("")
	for _, e := range f.Ours {
		business, channel = cmp.Or(e.Business, business), cmp.Or(channel, e.Channel)
	}
	for _, e := range f.Channel {
		channel = cmp.Or(channel, e.Channel)
	}
	for _, p := range Parties {
		for _, e := range f.Entries(p) {
			if e.Neighbour || e.State == core.EntryFailed {
				continue
			}
			key := Line{Party: p, Channel: cmp.Or(e.Channel, channel), Business: business, Type: e.Type}
			if p == HIS {
				key.Operator = e.Operator
			}
			if e.Business != "" {
				key.Business = e.Business
			}
			sum, ok := l[key]
			if !ok {
				sum = key
			}
			sum.Count++
			sum.Amount += e.Amount
			sum.Fee += e.Fee
			l[key] = sum
		}
	}
}

func (l lines) list() []Line {
	all := make([]Line, 0, len(l))
	for _, sum := range l {
		all = append(all, sum)
	}
	slices.SortFunc(all, compareLines)
	return all
}

// compareLines puts lines in the order of reports.
func compareLines(a, b Line) int {
	return cmp.Or(
		cmp.Compare(slices.Index(Parties, a.Party), slices.Index(Parties, b.Party)),
		strings.Compare(string(a.Channel), string(b.Channel)),
		strings.Compare(string(a.Business), string(b.Business)),
		strings.Compare(string(a.Type), string(b.Type)),
		strings.Compare(a.Operator, b.Operator),
	)
}
