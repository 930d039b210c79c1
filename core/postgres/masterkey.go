package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/postgres/seal"
)

// Rotation is how a change of the master key stands.
type Rotation struct {
	// Newest is the id of the key that wraps, Older are those that the file still has.
	Newest string   `json:"newest"`
	Older  []string `json:"older"`
	// Keys are the data keys; Behind is how many of them an older key wrapped.
	Keys   int `json:"keys"`
	Behind int `json:"behind"`
}

// MasterKey says how it stands.
func (s *Store) MasterKey(ctx context.Context) (Rotation, error) {
	all, err := wrappedKeys(ctx, s.calm)
	if err != nil {
		return Rotation{}, fmt.Errorf("look at the data keys: %w", err)
	}
	return rotation(s.master.Load(), all), nil
}

func rotation(master *seal.Master, all []wrappedKey) Rotation {
	r := Rotation{Newest: master.ID, Older: master.IDs()[1:], Keys: len(all)}
	for _, k := range all {
		if k.Master != master.ID {
			r.Behind++
		}
	}
	return r
}

// PrepareMaster puts a key first in the key file, before those that it has: the newest
// of the file newKey, or a new one if that is "". It changes nothing else; a key that
// is there already stays where it is, unless newKey names one.
func (s *Store) PrepareMaster(ctx context.Context, newKey string) (r Rotation, err error) {
	if r, err = s.MasterKey(ctx); err != nil {
		return r, err
	}
	if newKey == "" && r.Behind > 0 {
		return r, nil // an earlier preparation, which was not gone on with
	}
	fresh := seal.NewMaster()
	if newKey != "" {
		if fresh, err = seal.LoadOrCreateKey(newKey, true); err != nil {
			return r, err
		}
	}
	ring := s.master.Load().Before(fresh)
	if err := ring.Save(s.KeyFile); err != nil {
		return r, err
	}
	s.master.Store(ring)
	return s.MasterKey(ctx)
}

// WrapAnew wraps every data key with the newest key of the key file, in one
// transaction. Nothing that they seal is touched. Every process must have the newest key
// in its file by then; one that was not told reads its file again when it needs to.
func (s *Store) WrapAnew(ctx context.Context) (r Rotation, err error) {
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf(keysLock)); err != nil {
			return err
		}
		master := s.master.Load()
		all, err := wrappedKeys(ctx, tx)
		if err != nil {
			return err
		}
		opened, err := s.unwrap(master, all)
		if err != nil {
			return err
		}
		from := map[string]int{}
		for i, k := range all {
			if k.Master == master.ID {
				continue
			}
			from[k.Master]++
			wrapped := master.Wrap(opened[i], k.Purpose)
			if again, err := master.Alone().Unwrap(wrapped, k.Purpose); err != nil || again != opened[i] {
				return fmt.Errorf("data key %d does not open as it was just wrapped", k.ID)
			}
			if _, err := tx.Exec(ctx, `update hub.data_key set master = $2, wrapped = $3 where id = $1`, k.ID, master.ID, wrapped); err != nil {
				return err
			}
			all[i].Master = master.ID
		}
		r = rotation(master, all)
		if len(from) == 0 {
			return nil
		}
		return record(ctx, tx, Act{Verb: "rotate master key", Subject: "master key " + master.ID, Data: map[string]any{"from": from}})
	})
	if err != nil {
		return r, fmt.Errorf("wrap the data keys with the new master key: %w", err)
	}
	return r, nil
}

// ForgetMasters takes the older keys out of the key file. core.Problems while one of
// them is still needed.
func (s *Store) ForgetMasters(ctx context.Context) (forgotten []string, err error) {
	r, err := s.MasterKey(ctx)
	if err != nil {
		return nil, err
	}
	if r.Behind > 0 {
		return nil, core.Problems{{Field: "key file", What: fmt.Sprintf("%d of %d data keys still need an older key; run it without --forget first", r.Behind, r.Keys)}}
	}
	ring := s.master.Load()
	if err := ring.Alone().Save(s.KeyFile); err != nil {
		return nil, err
	}
	s.master.Store(ring.Alone())
	return slices.Clone(r.Older), nil
}
