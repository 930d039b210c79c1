package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/inbound"
)

// DecideAs settles what a HIS asked of us as a program or person decided it, with its
// record. What was decided before stays and is returned, with first false. ErrNotFound.
func (s *Store) DecideAs(ctx context.Context, id int64, f inbound.Fact, r core.Resolution, who, note string) (now core.Resolution, first bool, err error) {
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		now = r
		err := tx.QueryRow(ctx, `select state = 'open' from hub.inbound where id = $1 for update`, id).Scan(&first)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		} else if err != nil {
			return err
		}
		if err := s.decide(ctx, tx, id, f, &now); err != nil || !first {
			return err
		}
		return decide(ctx, tx, f.Hospital, id, who, "decide-inbound", note, map[string]any{"key": f.Body.Key(), "decision": now.State})
	})
	if err != nil {
		return now, false, fmt.Errorf("decide inbound %d: %w", id, err)
	}
	return now, first, nil
}

// TellsOf reports whether we told a HIS of the payment that its window gives back, whoever
// handed that in.
func (s *Store) TellsOf(ctx context.Context, hospital string, r *core.WindowRefund) (told bool, err error) {
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		_, channel, _, err := paymentOf(ctx, tx, hospital, r)
		told = channel != ""
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for the payment of a window's refund: %w", err)
	}
	return told, nil
}
