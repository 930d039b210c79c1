package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Limits are what an operator set in place of a folder's, until it is reset;
// where nil, the folder's hold.
type Limits struct {
	// Concurrency, from 1 to 1000, is how many exchanges may be in flight at once.
	Concurrency *int
	// Rate, up to 100000, is the most exchanges a second; 0 is unlimited.
	Rate *float64
}

// Over puts them in place of a folder's.
func (l Limits) Over(folder core.Limits) core.Limits {
	if l.Concurrency != nil {
		folder.Concurrency = *l.Concurrency
	}
	if l.Rate != nil {
		folder.Rate = *l.Rate
	}
	return folder
}

// Set reports whether any is set.
func (l Limits) Set() bool { return l.Concurrency != nil || l.Rate != nil }

// String is for people; "" when none is set.
func (l Limits) String() string {
	text := ""
	if l.Concurrency != nil {
		text = fmt.Sprintf("%d at once", *l.Concurrency)
	}
	if l.Rate != nil {
		if text != "" {
			text += ", "
		}
		if *l.Rate == 0 {
			return text + "no rate"
		}
		text += fmt.Sprintf("%g a second", *l.Rate)
	}
	return text
}

// SetLimits sets those of the limits that are not nil, after a reset to the
// folder's where that is wanted. Running processes follow within two seconds.
// core.Problems for values that cannot be, or when nothing would change.
func (s *Store) SetLimits(ctx context.Context, hospital string, l Limits, reset bool, who, why string) error {
	var ps core.Problems
	if c := l.Concurrency; c != nil && (*c < 1 || *c > 1000) {
		ps = append(ps, core.Problem{Field: "concurrency", What: "not from 1 to 1000"})
	}
	if r := l.Rate; r != nil && !(*r >= 0 && *r <= 100000) {
		ps = append(ps, core.Problem{Field: "rate", What: "not from 0 to 100000"})
	}
	if !l.Set() && !reset {
		ps = append(ps, core.Problem{Field: "concurrency", What: "nothing to change: give a concurrency, a rate or reset"})
	}
	if ps != nil {
		return ps
	}
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update hub.hospital set concurrency = coalesce($2, case when not $4 then concurrency end),
			rate = coalesce($3, case when not $4 then rate end) where id = $1`, hospital, l.Concurrency, l.Rate, reset)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		var now json.RawMessage
		err = tx.QueryRow(ctx, `select jsonb_build_object('concurrency', concurrency, 'rate', rate) from hub.hospital where id = $1`, hospital).Scan(&now)
		if err != nil {
			return err
		}
		return decide(ctx, tx, hospital, 0, who, "limits", why, now)
	})
	if err != nil {
		return fmt.Errorf("set the limits of hospital %s: %w", hospital, err)
	}
	return nil
}
