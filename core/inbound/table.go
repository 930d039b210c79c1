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
	// rows are those that are in the table, as it was last seen.
	rows map[digest]*seen
}

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
	if c.hospital.Rests("", time.Now()) {
		return every, nil
	}
	rows, err := table.Rows(c.hospital.Carry(ctx, c.listener.Using, table.Take()))
	if err != nil {
		return every, err
	}
	here := map[digest]bool{}
	for _, row := range rows {
		if ctx.Err() != nil {
			return every, nil
		}
		d := digest(sha256.Sum256(row.Body))
		again := here[d] // two rows that are the same to the letter
		here[d] = true
		known := w.known(d)
		if known.leftAlone() || !again && w.isUnmarked(c, known) {
			continue
		}
		if err := w.row(ctx, row, known, again); err != nil {
			return every, err
		}
	}
	w.forget(here)
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

// row takes one and marks it. What is not decided yet stays as it is: the next
// look finds it and gets the verdict. The error ends the look: nothing can be marked
// now. A row that alone cannot be marked is left alone, and holds up nobody.
func (w *watch) row(ctx context.Context, row core.Incoming, known *seen, again bool) error {
	c, table, err := w.call(ctx)
	if err != nil || table == nil {
		return err
	}
	c.repeats = known.repeats
	out := w.server.hear(ctx, c, row)
	w.server.count(c, out)
	known.kind = c.kind
	switch {
	case c.reply == nil:
		known.leave()
		return nil
	case c.result == string(core.ResultUnknown):
		return nil
	}
	mark, err := table.Mark(*c.reply)
	if err != nil {
		w.unmarked(c, known, "a row cannot be answered", err)
		return nil
	}
	r, err := c.hospital.Carry(context.WithoutCancel(ctx), c.listener.Using, mark)
	if away(err) && !known.ended {
		known.ended = true
		return fmt.Errorf("mark a row: %w", err)
	}
	if err == nil && r.Error != "" {
		err = fmt.Errorf("the database says %s", r.Error)
	}
	if err != nil {
		w.unmarked(c, known, "a row cannot be marked", err)
		return nil
	}
	known.ended = false
	if !again {
		known.marked++
		n, counted := table.Touched(r)
		known.missed = counted && n == 0
	}
	return nil
}

// away: nobody knows whether it is the database or this row.
func away(err error) bool {
	return err != nil && (core.ClassOf(err) == core.Unavailable || core.ClassOf(err) == core.InDoubt)
}
