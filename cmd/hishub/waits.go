package main

import (
	"context"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/mapping"
)

// whyWaits says of each queued message, by its number, why it is not sent now. A
// command is not the process that works a hospital: what only that one knows is not in it.
func whyWaits(ctx context.Context, s *postgres.Store, all ...postgres.Message) (map[int64]*delivery.Waits, error) {
	var hospitals []string
	for _, m := range all {
		if _, ok := m.Waiting(); ok {
			hospitals = append(hospitals, m.Hospital)
		}
	}
	if hospitals == nil {
		return nil, nil
	}
	circumstances, err := s.Circumstances(ctx, core.Distinct(hospitals))
	if err != nil {
		return nil, err
	}
	for id, c := range circumstances {
		c.Dialect = activeDialect(ctx, s, id)
		circumstances[id] = c
	}
	why := map[int64]*delivery.Waits{}
	for _, m := range all {
		if row, ok := m.Waiting(); ok {
			w := delivery.WhyWaits(row, circumstances[m.Hospital])
			why[m.ID] = &w
		}
	}
	return why, nil
}

// activeDialect of a hospital, to look at; nil where it cannot be read here. This
// machine need not have its variables.
func activeDialect(ctx context.Context, s *postgres.Store, hospital string) *core.Dialect {
	revision, err := s.Revision(ctx, hospital, 0)
	if err != nil {
		return nil
	}
	files, err := mapping.Unpack(revision.Archive)
	if err != nil {
		return nil
	}
	if f, err := loadSample(files); err == nil {
		return f.Dialect
	}
	if d, err := mapping.Head(files); err == nil {
		return d
	}
	return nil
}

// waiting is a message with why it waits, for scripts.
type waiting struct {
	postgres.Message
	Waits *delivery.Waits `json:"waits,omitempty"`
}
