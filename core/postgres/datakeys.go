package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core/postgres/seal"
)

// loadKeys opens the database's data keys with the key file, or makes the first
// ones in a database that has none.
func (s *Store) loadKeys(ctx context.Context) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf("hub data keys")); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `select count(*) from hub.data_key`).Scan(&n); err != nil {
			return err
		}
		var err error
		// A new key could not open what is sealed already.
		if s.master, err = seal.LoadOrCreateKey(s.KeyFile, s.CreateKey && n == 0); err != nil {
			return err
		}
		if n == 0 {
			for _, purpose := range []string{"digest", "seal"} {
				if err := s.addKey(ctx, tx, purpose); err != nil {
					return err
				}
			}
		}
		return s.readKeys(ctx, tx)
	})
}

func (s *Store) addKey(ctx context.Context, tx pgx.Tx, purpose string) error {
	_, err := tx.Exec(ctx, `insert into hub.data_key (purpose, master, wrapped) values ($1, $2, $3)`,
		purpose, s.master.ID, s.master.Wrap(seal.NewKey(), purpose))
	return err
}

func (s *Store) readKeys(ctx context.Context, q querier) error {
	rows, err := q.Query(ctx, `select id, purpose, master, wrapped from hub.data_key order by id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	digest := false
	for rows.Next() {
		var id uint32
		var purpose, master string
		var wrapped []byte
		if err := rows.Scan(&id, &purpose, &master, &wrapped); err != nil {
			return err
		}
		key, err := s.master.Unwrap(wrapped, purpose)
		if err != nil {
			return fmt.Errorf("the key in %s (%s) does not open this database, whose keys were sealed with key %s: "+
				"put back the key file that belongs to it: %w", s.KeyFile, s.master.ID, master, err)
		}
		if purpose == "digest" {
			s.keys.SetDigestKey(key)
			digest = true
		} else {
			s.keys.Add(id, key)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if !digest {
		return errors.New("the database has no digest key")
	}
	return nil
}

// NewDataKey makes a data key with which everything is sealed from now on; what
// is stored stays readable with the old ones. Other processes of the hub take
// the new key up when they first read something sealed with it, or restart.
func (s *Store) NewDataKey(ctx context.Context) error {
	err := s.inTransaction(ctx, func(tx pgx.Tx) error { return s.addKey(ctx, tx, "seal") })
	if err == nil {
		err = s.readKeys(ctx, s.calm)
	}
	if err != nil {
		return fmt.Errorf("make a data key: %w", err)
	}
	return nil
}
