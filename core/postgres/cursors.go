package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Cursor returns what a reader of the feed saved under its name; "" if nothing.
func (s *Store) Cursor(ctx context.Context, name string) (value string, err error) {
	err = s.calm.QueryRow(ctx, `select value from hub.cursor where name = $1`, name).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the cursor %s: %w", name, err)
	}
	return value, nil
}

// SaveCursor saves it.
func (s *Store) SaveCursor(ctx context.Context, name, value string) error {
	_, err := s.calm.Exec(ctx, `insert into hub.cursor (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value`, name, value)
	if err != nil {
		return fmt.Errorf("save the cursor %s: %w", name, err)
	}
	return nil
}
