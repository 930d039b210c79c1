package inbound

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	// strange are rows that nobody understands, or that no mark reaches, by their
	// digest: they stay in the table, and are tried again after a while, when a new
	// revision may know them.
	strange map[[sha256.Size]byte]time.Time
	// marked are rows that were answered and marked, while they are there.
	marked map[[sha256.Size]byte]*marking
}

// marking is a row that was marked and may be there at the next look again.
type marking struct {
	kind core.Kind
	// looks are the looks in a row at which it was marked.
	looks int
	// told: the log has it.
	told bool
}

// oftenEnough is how many looks in a row mark the same row. The second one is for a
// mark that was lost; after that it is the statement that misses the row.
const oftenEnough = 2

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
	here := map[[sha256.Size]byte]bool{}
	for _, row := range rows {
		if ctx.Err() != nil {
			return every, nil
		}
		digest := sha256.Sum256(row.Body)
		again := here[digest] // two rows that are the same to the letter
		here[digest] = true
		if w.isStrange(digest) || !again && w.isUnmarked(c, digest) {
			continue
		}
		kind, marked, err := w.row(ctx, row)
		if err != nil {
			return every, err
		}
		if marked && !again {
			w.mark(digest, kind)
		}
	}
	for digest := range w.marked {
		if !here[digest] {
			delete(w.marked, digest)
		}
	}
	return every, nil
}

func (w *watch) mark(digest [sha256.Size]byte, kind core.Kind) {
	if w.marked == nil {
		w.marked = map[[sha256.Size]byte]*marking{}
	}
	m := w.marked[digest]
	if m == nil {
		m = &marking{}
		w.marked[digest] = m
	}
	m.kind, m.looks = kind, m.looks+1
}

// isUnmarked finds a row that was marked often enough and is here unchanged. It is
// left alone for a while, and then marked once more: the folder may have been mended.
func (w *watch) isUnmarked(c *call, digest [sha256.Size]byte) bool {
	m := w.marked[digest]
	if m == nil || m.looks < oftenEnough {
		return false
	}
	if !m.told {
		w.server.Log.Error("a row that was marked is here again: does done name it?", "hospital", w.Hospital, "listener", w.Listener, "kind", m.kind, "row", hex.EncodeToString(digest[:6]))
	}
	if w.server.Served != nil {
		w.server.Served(c.hospital.ID(), m.kind, "unmarked")
	}
	m.looks, m.told = oftenEnough-1, true
	w.leave(digest)
	return true
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
func (w *watch) row(ctx context.Context, row core.Incoming) (kind core.Kind, marked bool, err error) {
	c, table, err := w.call(ctx)
	if err != nil || table == nil {
		return "", false, err
	}
	out := w.server.hear(ctx, c, row)
	w.server.count(c, out)
	switch {
	case c.reply == nil:
		w.leave(sha256.Sum256(row.Body))
		return c.kind, false, nil
	case c.result == string(core.ResultUnknown):
		return c.kind, false, nil
	}
	mark, err := table.Mark(*c.reply)
	if err != nil {
		w.leave(sha256.Sum256(row.Body))
		return c.kind, false, fmt.Errorf("answer a row: %w", err)
	}
	r, err := c.hospital.Carry(context.WithoutCancel(ctx), c.listener.Using, mark)
	if err == nil && r.Error != "" {
		err = fmt.Errorf("the database says %s", r.Error)
	}
	if err != nil {
		return c.kind, false, fmt.Errorf("mark a row: %w", err)
	}
	return c.kind, true, nil
}

func (w *watch) leave(digest [sha256.Size]byte) {
	if w.strange == nil {
		w.strange = map[[sha256.Size]byte]time.Time{}
	}
	now := time.Now()
	for known, at := range w.strange {
		if now.Sub(at) > strangeFor {
			delete(w.strange, known)
		}
	}
	w.strange[digest] = now
}

func (w *watch) isStrange(digest [sha256.Size]byte) bool {
	at, known := w.strange[digest]
	return known && time.Since(at) < strangeFor
}
