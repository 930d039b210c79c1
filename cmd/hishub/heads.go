package main

import (
	"context"
	"sync"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/mapping"
)

// heads says of any hospital when and how much it may be called, also of those that
// another process works, whose folders this one need not compile. Each revision is
// read once.
type heads struct {
	store *postgres.Store
	mu    sync.Mutex
	known map[string]head
}

type head struct {
	revision int
	dialect  *core.Dialect
}

func newHeads(store *postgres.Store) *heads {
	return &heads{store: store, known: map[string]head{}}
}

func (r *heads) of(ctx context.Context, hospital string, revision int) (*core.Dialect, error) {
	r.mu.Lock()
	h, ok := r.known[hospital]
	r.mu.Unlock()
	if ok && h.revision == revision {
		return h.dialect, nil
	}
	of, err := r.store.Revision(ctx, hospital, revision)
	if err != nil {
		return nil, err
	}
	files, err := mapping.Unpack(of.Archive)
	if err != nil {
		return nil, err
	}
	d, err := mapping.Head(files)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[hospital] = head{revision, d}
	return d, nil
}
