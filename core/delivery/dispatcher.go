package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Dispatcher works the queue of the hospitals that this process owns. Each
// hospital has a desk of its own, so that a slow one holds nobody else.
type Dispatcher struct {
	// Process is this process's name, unique among those at the same database.
	Process   string
	Store     Store
	Hospitals Hospitals
	Wakes     Wakes
	Policy    Policy
	Log       *slog.Logger
	// Lease is how long a claim holds before its first byte; 0 means 30 s.
	Lease time.Duration
	// Ownership is how long the hold on a shard lasts without renewal; 0 means 10 s.
	Ownership time.Duration
	// Sweep is the time between two looks for due work that no hint told of;
	// 0 means 500 ms.
	Sweep time.Duration
	// Drain is how long a stop waits for exchanges in flight; 0 means 35 s.
	Drain time.Duration
	// Ended is called after each settlement, for metrics; may be nil.
	Ended func(hospital string, n Next)
	// Traced is called after each settlement, for traces; may be nil.
	Traced func(Round)

	mu    sync.Mutex
	desks map[string]*desk
	held  []int
	until time.Time
	wg    sync.WaitGroup
}

// Run works until ctx ends, then lets exchanges in flight finish, gives up what
// was not sent and returns.
func (d *Dispatcher) Run(ctx context.Context) error {
	d.setDefaults()
	// Exchanges outlive ctx by up to Drain.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()

	var loops sync.WaitGroup
	loops.Go(func() { d.own(ctx, work) })
	loops.Go(func() { d.sweep(ctx, work) })
	loops.Wait()

	d.mu.Lock()
	for _, k := range d.desks {
		k.close()
	}
	d.mu.Unlock()
	d.holds(nil, time.Time{})
	d.drain(context.WithoutCancel(ctx), stop)
	return d.leave(context.WithoutCancel(ctx), nil)
}

// drain lets exchanges in flight finish. Who takes over begins meanwhile, at once
// where nothing is in flight: no hospital waits for the slowest of all.
func (d *Dispatcher) drain(ctx context.Context, stop context.CancelFunc) {
	drained := make(chan struct{})
	go func() { d.wg.Wait(); close(drained) }()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	late := time.After(d.Drain)
	for first, left := true, []string(nil); ; {
		if busy := d.busy(); first || !slices.Equal(busy, left) {
			if err := d.leave(ctx, busy); err != nil {
				d.Log.Warn("give up what is not in flight; others take it when its time is over", "error", err)
			}
			first, left = false, busy
		}
		select {
		case <-drained:
			return
		case <-late:
			d.Log.Warn("exchanges still in flight at the end of the drain time; their outcome will be inquired")
			stop()
			<-drained
			return
		case <-look.C:
		}
	}
}

// busy are the hospitals with something in flight.
func (d *Dispatcher) busy() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for h, k := range d.desks {
		k.mu.Lock()
		if k.inFlight > 0 || k.settling > 0 {
			all = append(all, h)
		}
		k.mu.Unlock()
	}
	slices.Sort(all)
	return all
}

func (d *Dispatcher) leave(ctx context.Context, busy []string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return d.Store.Leave(ctx, d.Process, busy)
}

func (d *Dispatcher) setDefaults() {
	or := func(v *time.Duration, otherwise time.Duration) {
		if *v == 0 {
			*v = otherwise
		}
	}
	or(&d.Lease, 30*time.Second)
	or(&d.Ownership, 10*time.Second)
	or(&d.Sweep, 500*time.Millisecond)
	or(&d.Drain, 35*time.Second)
	d.desks = map[string]*desk{}
}

// own renews the hold on this process's shards and listens for their hints.
func (d *Dispatcher) own(ctx, work context.Context) {
	for first := true; ; first = false {
		asked := time.Now()
		shards, err := d.Store.Own(ctx, d.Process, d.Ownership)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.Log.Error("renew the hold on shards", "error", err)
		case d.holds(shards, asked.Add(d.Ownership)) || first:
			if err := d.Wakes.Listen(ctx, shards, func(h string) { d.desk(work, h).wake() }); err != nil && ctx.Err() == nil {
				d.Log.Warn("listen for hints; the sweep finds the work", "error", err)
			}
		}
		if !sleep(ctx, d.Ownership/3) {
			return
		}
	}
}

// holds notes the shards held; changed is true when they are others than before.
func (d *Dispatcher) holds(shards []int, until time.Time) (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed = !slices.Equal(d.held, shards)
	d.held, d.until = shards, until
	return changed
}

// Holds reports whether this process holds a shard now, for work that one
// process does for all.
func (d *Dispatcher) Holds(shard int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.until) && slices.Contains(d.held, shard)
}

func (d *Dispatcher) sweep(ctx, work context.Context) {
	for {
		due, err := d.Store.Due(ctx, d.Process)
		if err != nil && ctx.Err() == nil {
			d.Log.Error("look for due work", "error", err)
		}
		for _, h := range due {
			d.desk(work, h).wake()
		}
		if !sleep(ctx, d.Sweep) {
			return
		}
	}
}

// Wake tells the desk of a hospital to look for work, if this process has one.
func (d *Dispatcher) desk(work context.Context, hospital string) *desk {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.desks[hospital]
	if k == nil {
		k = newDesk(d, hospital)
		d.desks[hospital] = k
		go k.run(work)
	}
	return k
}

// Light is what a desk knows of its hospital.
type Light struct {
	// Problem says why the hospital's folder cannot be used here; "" if it can.
	Problem  string
	InFlight int
	// Breaker is closed, open or half-open.
	Breaker string
	// Broken is since when it is not closed; zero while it is. Failing is when the
	// first failed of those that nothing but failures followed.
	Broken, Failing time.Time
	// Probe is when the next one is tried while it is open; HeldUntil when the HIS,
	// which asked us to wait, is called again. Zero: neither.
	Probe, HeldUntil time.Time
	LastSuccess      time.Time
	LastFailure      time.Time
}

// Lights of the hospitals that this process has worked for.
func (d *Dispatcher) Lights() map[string]Light {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string]Light, len(d.desks))
	for h, k := range d.desks {
		all[h] = k.light()
	}
	return all
}

// sleep waits; false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// lost reports whether an exchange was given up because the claim is another's.
func lost(err error) bool { return errors.Is(err, ErrLeaseLost) }
