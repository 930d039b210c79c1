package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/postgres/seal"
)

// keysLock is held by whoever adds data keys or wraps them anew.
const keysLock = "hub data keys"

// loadKeys opens the database's data keys with the key file, or makes the first
// ones in a database that has none.
func (s *Store) loadKeys(ctx context.Context) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf(keysLock)); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `select count(*) from hub.data_key`).Scan(&n); err != nil {
			return err
		}
		// A new key could not open what is sealed already.
		master, err := seal.LoadOrCreateKey(s.KeyFile, s.CreateKey && n == 0)
		if err != nil {
			return err
		}
		s.master.Store(master)
		if n == 0 {
			for _, purpose := range []string{"digest", "seal"} {
				if _, err := s.addKey(ctx, tx, purpose, seal.AES); err != nil {
					return err
				}
			}
		}
		return s.readKeys(ctx, tx)
	})
}

func (s *Store) addKey(ctx context.Context, tx pgx.Tx, purpose string, with seal.Cipher) (id int64, err error) {
	master := s.master.Load()
	err = tx.QueryRow(ctx, `insert into hub.data_key (purpose, master, wrapped, cipher) values ($1, $2, $3, $4) returning id`,
		purpose, master.ID, master.Wrap(seal.NewKey(), purpose), string(with)).Scan(&id)
	return id, err
}

// wrappedKey is a data key as it is kept.
type wrappedKey struct {
	ID      uint32
	Purpose string
	Master  string
	Wrapped []byte
	Cipher  seal.Cipher
}

func wrappedKeys(ctx context.Context, q querier) ([]wrappedKey, error) {
	rows, err := q.Query(ctx, `select id, purpose, master, wrapped, cipher from hub.data_key order by id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[wrappedKey])
}

// readKeys takes up the data keys as they are now. When they were wrapped with a
// master key that this process does not know, the key file is read again: the key was
// rotated meanwhile.
func (s *Store) readKeys(ctx context.Context, q querier) error {
	all, err := wrappedKeys(ctx, q)
	if err != nil {
		return err
	}
	master := s.master.Load()
	opened, err := s.unwrap(master, all)
	if err != nil {
		again, readErr := seal.LoadOrCreateKey(s.KeyFile, false)
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		if opened, err = s.unwrap(again, all); err != nil {
			return err
		}
		s.master.CompareAndSwap(master, again)
	}
	digest := false
	for i, k := range all {
		if k.Purpose == "digest" {
			s.keys.SetDigestKey(opened[i])
			digest = true
		} else {
			s.keys.Add(k.ID, opened[i], k.Cipher)
		}
	}
	if !digest {
		return errors.New("the database has no digest key")
	}
	return nil
}

func (s *Store) unwrap(master *seal.Master, all []wrappedKey) (opened [][32]byte, err error) {
	for _, k := range all {
		key, err := master.Unwrap(k.Wrapped, k.Purpose)
		if err != nil {
			return nil, fmt.Errorf("the key in %s (%s) does not open this database, whose keys were sealed with key %s: "+
				"put back the key file that belongs to it: %w", s.KeyFile, strings.Join(master.IDs(), ", "), k.Master, err)
		}
		opened = append(opened, key)
	}
	return opened, nil
}

// ReloadKeys reads the key file again; the former keys stay when it does not open the
// database.
func (s *Store) ReloadKeys(ctx context.Context) error {
	fresh, err := seal.LoadOrCreateKey(s.KeyFile, false)
	var all []wrappedKey
	if err == nil {
		all, err = wrappedKeys(ctx, s.calm)
	}
	if err == nil {
		_, err = s.unwrap(fresh, all)
	}
	if err != nil {
		return fmt.Errorf("read the master key again: %w", err)
	}
	s.master.Store(fresh)
	return s.readKeys(ctx, s.calm)
}

// NewDataKey makes a data key with which everything is sealed from now on; what
// is stored stays readable with the old ones. "" is the cipher of the newest one. Other
// processes of the hub take the new key up when they first read something sealed with
// it, or restart.
func (s *Store) NewDataKey(ctx context.Context, with seal.Cipher) error {
	return s.newDataKey(ctx, with, 0)
}

// RenewDataKey is NewDataKey when the newest one is older than that. Of several
// processes one makes it.
func (s *Store) RenewDataKey(ctx context.Context, age time.Duration) error {
	return s.newDataKey(ctx, "", age)
}

func (s *Store) newDataKey(ctx context.Context, with seal.Cipher, olderThan time.Duration) error {
	if with != "" && with != seal.AES && with != seal.SM4 {
		return core.Problems{{Field: "cipher", What: "not one of aes, sm4"}}
	}
	made := false
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf(keysLock)); err != nil {
			return err
		}
		// With the key file as it is now: its newest key may be newer than this process.
		if err := s.readKeys(ctx, tx); err != nil {
			return err
		}
		var newest seal.Cipher
		var old bool
		err := tx.QueryRow(ctx, `select cipher, created_at <= clock_timestamp() - $1::bigint * interval '1 microsecond' from hub.data_key
			where purpose = 'seal' order by id desc limit 1`, olderThan.Microseconds()).Scan(&newest, &old)
		if err != nil || !old {
			return err
		}
		if with == "" {
			with = newest
		}
		id, err := s.addKey(ctx, tx, "seal", with)
		if err != nil {
			return err
		}
		made = true
		return record(ctx, tx, Act{Verb: "new data key", Subject: fmt.Sprintf("data key %d", id), Data: map[string]any{"cipher": with}})
	})
	if err == nil && made {
		err = s.readKeys(ctx, s.calm)
	}
	if err != nil {
		return fmt.Errorf("make a data key: %w", err)
	}
	return nil
}
