package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Unmasked is all that a message says of its patient.
type Unmasked struct {
	Hospital string
	Body     core.Body // nil once it is past its retention
	// Exchanges are the bytes of up to 50 attempts, the last first.
	Exchanges []ExchangeBytes
}

// Unmask opens a message for a person, for a purpose. That they looked is kept in the
// transaction that reads it, and nothing is given out unless that is committed.
// ErrNotFound when there is no such message; core.Problems without a purpose.
func (s *Store) Unmask(ctx context.Context, id int64, who, purpose string) (u Unmasked, err error) {
	switch {
	case who == "":
		return u, errNobody
	case strings.TrimSpace(clean(purpose)) == "":
		return u, core.Problems{{Field: "purpose", What: "missing: say why the patient must be seen"}}
	}
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		u = Unmasked{}
		err := tx.QueryRow(ctx, `select hospital from hub.message where id = $1`, id).Scan(&u.Hospital)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if u.Body, err = s.bodyOf(ctx, tx, id); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if u.Exchanges, err = s.exchanges(ctx, tx, id, 0); err != nil {
			return err
		}
		return decide(ctx, tx, u.Hospital, id, who, "unmask", purpose, nil)
	})
	if err != nil {
		return Unmasked{}, fmt.Errorf("unmask message %d: %w", id, err)
	}
	return u, nil
}
