package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"hishub/core"
)

// consulted are the variables that a folder asked for when it was compiled, and what
// they were; nil is one that was not set.
type consulted map[string]*string

// look is an environment that notes what is asked of it.
func (c consulted) look(name string) (string, bool) {
	value, ok := os.LookupEnv(name)
	c[name] = nil
	if ok {
		c[name] = &value
	}
	return value, ok
}

// changed reports whether one of them is something else now.
func (c consulted) changed() bool {
	for name, was := range c {
		now, ok := os.LookupEnv(name)
		if ok != (was != nil) || ok && now != *was {
			return true
		}
	}
	return false
}

// hangups reads the key file, the files of --env and the alerts file again at every
// SIGHUP, until ctx ends; of both there may be none (nil).
func (h *hub) hangups(ctx context.Context, v *variables, alerts func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		if err := h.store.ReloadKeys(ctx); err != nil {
			h.log.Error("the former master key stays", "error", err)
		} else {
			h.log.Info("the master key was read again")
		}
		if v != nil {
			h.variablesAgain(ctx, v)
		}
		if alerts != nil {
			alerts()
		}
	}
}

func (h *hub) variablesAgain(ctx context.Context, v *variables) {
	if err := v.again(); err != nil {
		// A half of them would be worse than the former ones.
		h.log.Error("read the variables again; the former ones stay", "error", err)
		return
	}
	compiled, failed := h.hospitals.again(ctx)
	for k, err := range failed {
		h.log.Error("the changed variables do not fit; the former ones stay", "hospital", k.hospital, "revision", k.number, "error", err)
	}
	h.log.Info("the variables were read again", "compiled", len(compiled), "failed", len(failed))
}

// again opens every revision anew whose variables changed. One that does not open
// goes on as it was.
func (r *hospitals) again(ctx context.Context) (compiled []revisionKey, failed map[revisionKey]error) {
	r.mu.Lock()
	open := make(map[revisionKey]*opening, len(r.open))
	for k, o := range r.open {
		open[k] = o
	}
	r.mu.Unlock()
	failed = map[revisionKey]error{}
	for k, o := range open {
		select {
		case <-o.ready:
		case <-ctx.Done():
			return compiled, failed
		}
		if o.err == nil && !o.consulted.changed() {
			r.note(k, o, nil)
			continue
		}
		fresh := &opening{ready: make(chan struct{})}
		r.openRevision(k, fresh)
		if fresh.err != nil {
			failed[k] = fresh.err
			r.note(k, o, fresh.err)
			continue
		}
		was := o.hospital
		r.mu.Lock()
		if r.open[k] == o {
			r.open[k] = fresh
			compiled = append(compiled, k)
		} else {
			was = fresh.hospital // it had failed, and somebody has opened it meanwhile
		}
		r.mu.Unlock()
		if was != nil {
			r.retire(was)
		}
	}
	return compiled, failed
}

// note keeps why a revision goes on with variables that are not those of now.
func (r *hospitals) note(k revisionKey, o *opening, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[k] == o {
		o.former = why
	}
}

// graceOfRetired is how long exchanges that began with a hospital may use it after
// another took its place: longer than any of them lasts, with its login and pages.
const graceOfRetired = 15 * time.Minute

// retire closes a hospital once nobody can be using it any more.
func (r *hospitals) retire(h *core.Hospital) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retired[h] = time.AfterFunc(graceOfRetired, func() {
		r.mu.Lock()
		_, ours := r.retired[h]
		delete(r.retired, h)
		r.mu.Unlock()
		if ours {
			h.Close()
		}
	})
}

// outdated says that a hospital's active revision goes on with former variables; "" if not.
func (r *hospitals) outdated(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := revisionKey{id, r.active[id].Revision}
	if o := r.open[k]; o == nil || o.former == nil {
		return ""
	}
	return fmt.Sprintf("revision %d does not load with its variables as they were changed, so it goes on with the former ones; the log of this process says why", k.number)
}
