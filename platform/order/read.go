package order

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

const columns = `no, hospital, kind, subject, account, patient, state, amount, refunded, lines, version, expires_at, paid_at, channel, why`

// scan reads one order with its lines.
func (s *Service) scan(row pgx.CollectableRow) (Order, error) {
	var o Order
	var sealed []byte
	if err := row.Scan(&o.No, &o.Hospital, &o.Kind, &o.Subject, &o.Account, &o.Patient, &o.State, &o.Amount, &o.Refunded, &sealed, &o.Version, &o.ExpiresAt, &o.PaidAt, &o.Channel, &o.Why); err != nil {
		return o, err
	}
	text, err := s.Vault.Open(sealed, "order lines", o.No)
	if err != nil {
		return o, fmt.Errorf("read the lines of order %s: %w", o.No, err)
	}
	return o, json.Unmarshal(text, &o.Lines)
}

// Querier is the database, or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (s *Service) one(ctx context.Context, q Querier, where string, args ...any) (Order, error) {
	rows, err := q.Query(ctx, `select `+columns+` from clinic_order.orders where `+where, args...)
	if err != nil {
		return Order{}, fmt.Errorf("read order: %w", err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, s.scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, clinic.ErrNotFound
	}
	return o, err
}

// Get an order; clinic.ErrNotFound when there is none.
func (s *Service) Get(ctx context.Context, no string) (Order, error) {
	return s.one(ctx, s.Database, `no = $1`, no)
}

// Lock reads an order and holds it until tx ends.
func (s *Service) Lock(ctx context.Context, tx pgx.Tx, no string) (Order, error) {
	return s.one(ctx, tx, `no = $1 for update`, no)
}

// OfSubject is the order that pays for a thing, or may; clinic.ErrNotFound when it has none.
func (s *Service) OfSubject(ctx context.Context, q Querier, hospital string, kind Kind, subject string) (Order, error) {
	return s.one(ctx, q, `hospital = $1 and kind = $2 and subject = $3 and state in ('created', 'paying', 'paid')`, hospital, kind, subject)
}

// List gives an account's orders, newest first; before is the last number of the page
// before, "" for the first.
func (s *Service) List(ctx context.Context, account int64, before string, limit int) ([]Order, error) {
	rows, err := s.Database.Query(ctx, `select `+columns+` from clinic_order.orders where account = $1
		and ($2 = '' or (created_at, no) < (select created_at, no from clinic_order.orders where no = $2 and account = $1))
		order by created_at desc, no desc limit $3`, account, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return pgx.CollectRows(rows, s.scan)
}

// Jobs closes what was not paid in its time.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "order.expire", Times: "@every 5s", Run: func(ctx context.Context) error {
		_, err := s.Expire(ctx)
		return err
	}}}
}

// Expire closes orders whose time is over and that no channel is at, and returns how many.
func (s *Service) Expire(ctx context.Context) (closed int, err error) {
	for {
		rows, err := s.Database.Query(ctx, `select no, hospital from clinic_order.orders where state = 'created' and expires_at <= clock_timestamp() order by expires_at limit 200`)
		if err != nil {
			return closed, fmt.Errorf("look for expired orders: %w", err)
		}
		type due struct{ No, Hospital string }
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
		if err != nil {
			return closed, fmt.Errorf("look for expired orders: %w", err)
		}
		var failed error
		for _, d := range all {
			err := s.Transact(ctx, d.Hospital, func(tx pgx.Tx, outbox core.Outbox) error {
				_, err := s.Close(ctx, tx, outbox, d.No, "not paid in time", false)
				return err
			})
			if err != nil && !errors.Is(err, clinic.ErrState) { // paid or closed meanwhile
				failed = errors.Join(failed, fmt.Errorf("expire order %s: %w", d.No, err))
				continue
			}
			closed++
		}
		if len(all) < 200 || failed != nil || ctx.Err() != nil {
			return closed, failed
		}
	}
}

// Extend gives a payer until then, if that is later: a channel is at it.
func (s *Service) Extend(ctx context.Context, tx pgx.Tx, no string, until time.Time) error {
	_, err := tx.Exec(ctx, `update clinic_order.orders set expires_at = greatest(expires_at, $2) where no = $1`, no, until)
	return err
}
