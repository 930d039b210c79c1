package inbound

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"hishub/core"
)

// Watched is one listener of a hospital that leaves its requests in a table.
type Watched struct {
	Hospital, Listener string
}

// Tables looks at tables in which HIS leave what they tell and ask us. For a moment
// two processes may look at one: what is taken is taken once, and marking a row
// twice is as good as once.
type Tables struct {
	Server *Server

	mu   sync.Mutex
	open map[Watched]func()
	work sync.WaitGroup
}

// Set makes the tables that are looked at those.
func (t *Tables) Set(wanted []Watched) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[Watched]func(){}
	}
	keep := map[Watched]bool{}
	for _, w := range wanted {
		keep[w] = true
		if t.open[w] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		t.open[w] = cancel
		t.work.Go(func() { (&watch{Watched: w, server: t.Server}).run(ctx) })
	}
	for w, cancel := range t.open {
		if !keep[w] {
			cancel()
			delete(t.open, w)
		}
	}
}

// Close ends all, after the row that is under way.
func (t *Tables) Close() {
	t.Set(nil)
	t.work.Wait()
}

// watch is the look at one table.
type watch struct {
	Watched
	server *Server
	// told is what the log was told last, so that a HIS that is away all night is one
	// line and not thousands.
	told string
	// strange are rows that nobody understands, by their digest: they stay in the
	// table, and are tried again after a while, when a new revision may know them.
	strange map[[sha256.Size]byte]time.Time
}

// strangeFor is how long a row that was not understood is left alone.
const strangeFor = 10 * time.Minute

func (w *watch) run(ctx context.Context) {
	for {
		every, err := w.look(ctx)
		switch {
		case err == nil:
			w.told = ""
		case ctx.Err() == nil && err.Error() != w.told:
			w.told = err.Error()
			w.server.Log.Error("look at a table", "hospital", w.Hospital, "listener", w.Listener, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

// look answers the rows that are there, one after the other. every is when to
// look again.
func (w *watch) look(ctx context.Context) (every time.Duration, err error) {
	every = 10 * time.Second
	defer func() {
		if p := recover(); p != nil {
			w.server.Log.Error("look at a table", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = fmt.Errorf("it broke (%T)", p)
		}
	}()
	c, table, err := w.call(ctx)
	if err != nil || table == nil {
		return every, err
	}
	every = c.listener.Every
	if now := time.Now().In(c.hospital.Zone); inMaintenance(c.hospital, now) {
		return every, nil
	}
	r, err := c.hospital.Carry(ctx, c.listener.Using, table.Take())
	if err != nil {
		return every, err
	}
	rows, err := table.Rows(r)
	if err != nil {
		return every, err
	}
	for _, row := range rows {
		if ctx.Err() != nil {
			return every, nil
		}
		if w.isStrange(row) {
			continue
		}
		if err := w.row(ctx, row); err != nil {
			return every, err
		}
	}
	return every, nil
}

// call begins with the revision that is active now; the table is nil when that has
// no such listener.
func (w *watch) call(ctx context.Context) (*call, core.Table, error) {
	c := &call{began: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var err error
	if c.hospital, err = w.server.Hospital(ctx, w.Hospital); err != nil {
		return nil, nil, fmt.Errorf("open hospital: %w", err)
	}
	if c.listener = c.hospital.Listeners[w.Listener]; c.listener == nil {
		return nil, nil, nil
	}
	table, _ := c.listener.Wire.(core.Table)
	return c, table, nil
}

func inMaintenance(h *core.Hospital, now time.Time) bool {
	for _, m := range h.Maintenance {
		if m.Contains(now) {
			return true
		}
	}
	return false
}

// row takes one and marks it. What is not decided yet stays as it is: the next
// look finds it and gets the verdict.
func (w *watch) row(ctx context.Context, row core.Incoming) error {
	c, table, err := w.call(ctx)
	if err != nil || table == nil {
		return err
	}
	out := w.server.hear(ctx, c, row)
	w.server.count(c, out)
	switch {
	case c.reply == nil:
		w.leave(row)
		return nil
	case c.result == string(core.ResultUnknown):
		return nil
	}
	mark, err := table.Mark(*c.reply)
	if err != nil {
		w.leave(row)
		return fmt.Errorf("answer a row: %w", err)
	}
	r, err := c.hospital.Carry(context.WithoutCancel(ctx), c.listener.Using, mark)
	if err == nil && r.Error != "" {
		err = fmt.Errorf("the database says %s", r.Error)
	}
	if err != nil {
		return fmt.Errorf("mark a row: %w", err)
	}
	return nil
}

func (w *watch) leave(row core.Incoming) {
	if w.strange == nil {
		w.strange = map[[sha256.Size]byte]time.Time{}
	}
	now := time.Now()
	for digest, at := range w.strange {
		if now.Sub(at) > strangeFor {
			delete(w.strange, digest)
		}
	}
	w.strange[sha256.Sum256(row.Body)] = now
}

func (w *watch) isStrange(row core.Incoming) bool {
	at, known := w.strange[sha256.Sum256(row.Body)]
	return known && time.Since(at) < strangeFor
}
