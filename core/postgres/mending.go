package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Mending lists the hospitals with repairs that are approved and not carried
// out, or on their way.
func (s *Store) Mending(ctx context.Context) ([]string, error) {
	rows, err := s.calm.Query(ctx, `select distinct c.hospital from hub.repair r join hub.case c on c.id = r.case_id where r.state in ('approved', 'sent')`)
	var all []string
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return nil, fmt.Errorf("look for repairs: %w", err)
	}
	return all, nil
}

// RepairHospital implements reconcile.Store.
func (s *Store) RepairHospital(ctx context.Context, repair int64) (hospital string, err error) {
	err = s.calm.QueryRow(ctx, `select c.hospital from hub.repair r join hub.case c on c.id = r.case_id where r.id = $1`, repair).Scan(&hospital)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("read repair %d: %w", repair, err)
	}
	return hospital, nil
}
