package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Key is an API key. Only its hash is kept.
type Key struct {
	ID     int64
	Prefix string // finds it; no secret
	Hash   []byte
	Name   string
	Role   string
	// Hospitals that it is good for; nil is all of them.
	Hospitals  []string
	CreatedAt  time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
}

const keyColumns = `id, prefix, hash, name, role, hospitals, created_at, revoked_at, last_used_at`

// AddKey keeps a new key and returns its number.
func (s *Store) AddKey(ctx context.Context, k Key) (id int64, err error) {
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `insert into hub.api_key (prefix, hash, name, role, hospitals) values ($1, $2, $3, $4, $5) returning id`,
			k.Prefix, k.Hash, k.Name, k.Role, k.Hospitals).Scan(&id)
		if err != nil {
			return err
		}
		return record(ctx, tx, Act{Verb: "make key", Subject: fmt.Sprintf("key %d", id), Data: map[string]any{"name": k.Name, "role": k.Role, "hospitals": k.Hospitals}})
	})
	if err != nil {
		return 0, fmt.Errorf("add an API key: %w", err)
	}
	return id, nil
}

// Key finds a key by its prefix. ErrNotFound when there is none, or it was revoked.
func (s *Store) Key(ctx context.Context, prefix string) (Key, error) {
	rows, err := s.calm.Query(ctx, `select `+keyColumns+` from hub.api_key where prefix = $1 and revoked_at is null`, prefix)
	var k Key
	if err == nil {
		k, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Key])
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, ErrNotFound
	}
	if err != nil {
		return Key{}, fmt.Errorf("find an API key: %w", err)
	}
	return k, nil
}

// Keys lists all keys, revoked ones too.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	rows, err := s.calm.Query(ctx, `select `+keyColumns+` from hub.api_key order by id`)
	var all []Key
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Key])
	}
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return all, nil
}

// RevokeKey ends a key. ErrNotFound when there is none; again is harmless.
func (s *Store) RevokeKey(ctx context.Context, id int64) error {
	return s.recorded(ctx, "revoke an API key", Act{Verb: "revoke key", Subject: fmt.Sprintf("key %d", id)}, `update hub.api_key set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = $1`, id)
}

// KeyUsed notes that keys were used; the caller gathers, it need not be exact.
func (s *Store) KeyUsed(ctx context.Context, ids []int64) error {
	_, err := s.calm.Exec(ctx, `update hub.api_key set last_used_at = clock_timestamp() where id = any($1)`, ids)
	if err != nil {
		return fmt.Errorf("note the use of API keys: %w", err)
	}
	return nil
}

// change runs an update of one row; ErrNotFound when it is not there.
func (s *Store) change(ctx context.Context, doing, sql string, args ...any) error {
	tag, err := s.calm.Exec(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}
