package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// querier is a pool or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// send carries several statements in one round trip. Without an explicit BEGIN
// they are one transaction, which commits at the end of the pipeline; the commit
// is known to be done only when Close returned nil.
func (s *Store) send(ctx context.Context, b *pgx.Batch, read func(pgx.BatchResults) error) error {
	br := s.hot.SendBatch(ctx, b)
	if err := read(br); err != nil {
		_ = br.Close() // the error that led here says more
		return err
	}
	return br.Close()
}

// alongside runs f in a transaction that may have to wait for a lane somebody
// holds. Few do so at a time, and each wait is bounded, so that one lane that is
// held for long does not keep others from theirs.
func (s *Store) alongside(ctx context.Context, f func(pgx.Tx) error) error {
	for {
		err := s.patiently(ctx, func() error {
			return pgx.BeginFunc(ctx, s.hot, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `select set_config('lock_timeout', '500ms', true)`); err != nil {
					return err
				}
				return f(tx)
			})
		})
		lockTimeout := sqlState(err) == "55P03"
		if !lockTimeout && !rolledBack(err) || ctx.Err() != nil {
			return err
		}
	}
}

// inTransaction runs f in a transaction, again when it met a deadlock.
func (s *Store) inTransaction(ctx context.Context, f func(tx pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, s.calm, f)
		if try == maxTries || !rolledBack(err) {
			return err
		}
	}
}

// atOnce runs a batch as one transaction in one round trip, again when it met a
// deadlock. Its statements read their results by themselves. Each try fills a batch of
// its own: the library notes in one what its connection has prepared, and the next try
// may get another connection.
func (s *Store) atOnce(ctx context.Context, fill func(*pgx.Batch)) error {
	for try := 1; ; try++ {
		b := &pgx.Batch{}
		fill(b)
		err := s.calm.SendBatch(ctx, b).Close()
		if try == maxTries || !rolledBack(err) {
			return err
		}
	}
}

// rolledBack reports whether the server undid the transaction for reasons that
// have gone when it is tried again: a deadlock or a serialization failure.
func rolledBack(err error) bool {
	code := sqlState(err)
	return code == "40P01" || code == "40001"
}

func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// Away reports whether err means that the database cannot be reached or is
// starting or ending: the same call may succeed later.
func Away(err error) bool {
	var connecting *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connecting) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrClosed) {
		return true
	}
	code := sqlState(err)
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P") || code == "53300"
}
