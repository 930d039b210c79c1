package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// Behind is how old the oldest event is that a reader of the feed has not taken, by
// the name of its cursor; 0 when it has all. "webhooks" are the enabled webhooks, the
// one furthest behind. It looks at one event each, whatever the history.
func (s *Store) Behind(ctx context.Context) (map[string]time.Duration, error) {
	rows, err := s.calm.Query(ctx, `
		with reader as (
			select name, value from hub.cursor
			union all select 'webhooks', cursor from hub.webhook where disabled_at is null
		), place as (
			select name, coalesce(nullif(split_part(value, '-', 1), ''), '0')::xid8 as xid,
				coalesce(nullif(split_part(value, '-', 2), ''), '0')::bigint as id from reader
		)
		select name, max(coalesce(extract(epoch from clock_timestamp() - (
			select at from hub.event e where (e.xid, e.id) > (p.xid, p.id) order by e.xid, e.id limit 1)), 0)::float8)
		from place p group by name`)
	if err != nil {
		return nil, fmt.Errorf("read how far readers of the feed are: %w", err)
	}
	behind := map[string]time.Duration{}
	var name string
	var seconds float64
	_, err = pgx.ForEachRow(rows, []any{&name, &seconds}, func() error {
		behind[name] = time.Duration(max(seconds, 0) * float64(time.Second))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read how far readers of the feed are: %w", err)
	}
	return behind, nil
}
