package postgres

import (
	"context"
	"encoding/json"
	"time"

	"hishub/core/reconcile"
)

var _ reconcile.Store = (*Store)(nil)

// BeginNight implements reconcile.Store.
func (s *Store) BeginNight(ctx context.Context, hospital, day, who string, lease time.Duration) (reconcile.Night, error) {
	panic("not built yet")
}

// EndNight implements reconcile.Store.
func (s *Store) EndNight(ctx context.Context, n reconcile.Night) (reconcile.Night, error) {
	panic("not built yet")
}

// Nights implements reconcile.Store.
func (s *Store) Nights(ctx context.Context, hospital, day string, limit int) ([]reconcile.Night, error) {
	return nil, nil
}

// Findings implements reconcile.Store.
func (s *Store) Findings(ctx context.Context, night int64) ([]reconcile.Finding, error) {
	return nil, nil
}

// Ours implements reconcile.Store.
func (s *Store) Ours(ctx context.Context, hospital string, from, to time.Time) reconcile.Stream {
	panic("not built yet")
}

func readJSON(text []byte, v any) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, v)
}
