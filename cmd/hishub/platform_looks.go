package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/mapping"
)

// looks says what hospitals can by their folders alone: neither connectors nor accounts are
// opened or checked, and the environment is never read, so a process that asks no HIS needs
// no secrets of one. Each revision is read once.
type looks struct {
	store     *postgres.Store
	hospitals *hospitals

	mu    sync.Mutex
	known map[string]head
}

// of is core.ErrUnknownHospital for a hospital that is none.
func (l *looks) of(ctx context.Context, id string) (*core.Dialect, error) {
	revision, err := l.hospitals.revision(ctx, id)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.known[id]; ok && k.revision == revision {
		return k.dialect, nil
	}
	of, err := l.store.Revision(ctx, id, revision)
	if err != nil {
		return nil, err
	}
	files, err := mapping.Unpack(of.Archive)
	if err != nil {
		return nil, err
	}
	f, err := mapping.Load(files, mapping.Options{Env: func(string) (string, bool) { return "1", true }})
	if err != nil {
		return nil, fmt.Errorf("revision %d of %s does not load: %w", revision, id, err)
	}
	if l.known == nil {
		l.known = map[string]head{}
	}
	l.known[id] = head{revision, f.Dialect.WithChannels()}
	return l.known[id].dialect, nil
}

// revision of a hospital's folder that is active.
func (r *hospitals) revision(ctx context.Context, id string) (int, error) {
	for range 2 {
		r.mu.Lock()
		record, known := r.active[id]
		r.mu.Unlock()
		if known {
			return record.Revision, nil
		}
		if err := r.refresh(ctx); err != nil {
			return 0, err
		}
	}
	return 0, core.ErrUnknownHospital
}

// can is hospitals.can, by the folder alone.
func (l *looks) can(id string, kind core.Kind) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d, err := l.of(ctx, id)
	return err != nil || d.Operations[kind] != nil
}

func (l *looks) passWhenParked(id string, kind core.Kind) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d, err := l.of(ctx, id)
	return err == nil && d.Operations[kind] != nil && d.Operations[kind].PassWhenParked
}
