// Package clinic is what every module of the platform shares: the database, the
// outbox of the caller's transaction, the inbox of events, state machines as
// tables. A module owns one schema and is reached by its exported interface or
// by events; it knows hospitals by their ID only.
//
// A transaction takes its locks in one order, so that none waits in a circle:
// the payment, then prescriptions by number, then (by enqueueing) lanes.
package clinic

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
)

// Clinic is what a module is given.
type Clinic struct {
	Database *pgxpool.Pool
	// Outbox is bound to the caller's transaction: the fact and the duty to tell
	// it are saved together.
	Outbox func(pgx.Tx) core.Outbox
	// Wake tells the hub after a commit that a hospital has work.
	Wake func(hospital string)
	// Trail is bound to the caller's transaction: an act and its record are saved together.
	Trail func(pgx.Tx) Trail
	// Ask asks a hospital's HIS at once: the canonical answer, core.ErrCannot when the
	// HIS has no such question, a *core.Fault when it does not answer.
	Ask func(ctx context.Context, hospital string, kind core.Kind, body core.Body) (any, error)
	// Recent is Ask, or what was answered within the time that the catalogue allows for the
	// kind; asOf is when.
	Recent func(ctx context.Context, hospital string, kind core.Kind, body core.Body) (answer any, asOf time.Time, err error)
	// Heard is what a HIS told us, by the number in its event.
	Heard func(ctx context.Context, inbound int64) (core.Body, error)
	// Place is what the clinic knows of a hospital; ErrNotFound when there is none.
	// Places are all of them, by their id.
	Place  func(ctx context.Context, hospital string) (Place, error)
	Places func(ctx context.Context) ([]Place, error)
	// Seal and Open keep patient data unreadable at rest.
	Vault Vault
	Log   *slog.Logger
}

// Place is a hospital as the clinic knows it: never its dialect.
type Place struct {
	ID, Name string
	Zone     *time.Location
	// Can reports whether its HIS has a transaction.
	Can func(core.Kind) bool
}

// Vault seals bytes for one purpose and number; opening them for another fails.
type Vault interface {
	Seal(plain []byte, purpose, number string) ([]byte, error)
	Open(sealed []byte, purpose, number string) ([]byte, error)
	// Index is a digest of text, keyed, the same for ever: what is sealed is found by it,
	// and nobody who reads the database can try out numbers.
	Index(text, purpose string) []byte
}

// Errors that a person can mend; each module wraps them with what it was doing.
var (
	ErrNotFound = errors.New("no such record")
	// ErrState: the record is not in a state in which this can be done.
	ErrState = errors.New("not possible in this state")
	// ErrRule: a rule of the law or the house forbids it.
	ErrRule = errors.New("forbidden by a rule")
	// ErrNoService: what the installation was not given, or what does not answer now.
	ErrNoService = errors.New("this installation has no such service")
)

// TooMany is an act that has to wait.
type TooMany struct {
	After time.Duration
	What  string
}

func (t *TooMany) Error() string { return t.What }

// States is a state machine as a table: from each state, where it may go.
type States[S ~string] map[S][]S

// Move returns to, or ErrState when the table has no such way.
func (m States[S]) Move(from, to S) (S, error) {
	for _, s := range m[from] {
		if s == to {
			return to, nil
		}
	}
	return from, fmt.Errorf("%w: it is %s and cannot become %s", ErrState, from, to)
}

// Duplicate reports whether err is a row that is there already, under a unique
// constraint.
func Duplicate(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

// Transact runs f in one transaction, and after the commit wakes the hospital and does
// what was put off with AfterCommit.
func (c *Clinic) Transact(ctx context.Context, hospital string, f func(tx pgx.Tx, outbox core.Outbox) error) error {
	var putOff []func()
	err := pgx.BeginFunc(ctx, c.Database, func(tx pgx.Tx) error {
		after.Store(tx, &putOff)
		defer after.Delete(tx)
		return f(tx, c.Outbox(tx))
	})
	if err != nil {
		return err
	}
	c.Wake(hospital)
	for _, do := range putOff {
		do()
	}
	return nil
}

// after has what each transaction of Transact puts off.
var after sync.Map

// AfterCommit does something once the transaction is committed, such as telling who is
// listening; it is lost with the process, so it may only be what can be missed. In a
// transaction that is not Transact's it does nothing.
func AfterCommit(tx pgx.Tx, do func()) {
	if putOff, ok := after.Load(tx); ok {
		list := putOff.(*[]func())
		*list = append(*list, do)
	}
}

//go:embed schema.sql
var schema embed.FS

// Migrate makes the shared part of the schema and runs a module's own files,
// each once, in the order of their names.
func Migrate(ctx context.Context, db *pgxpool.Pool, module string, files fs.FS) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		shared, err := schema.ReadFile("schema.sql")
		if err != nil {
			return err
		}
		// One at a time: several processes may start together.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtext('hishub clinic migrate'))`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(shared)); err != nil {
			return err
		}
		names, err := fs.Glob(files, "*.sql")
		if err != nil {
			return err
		}
		for _, name := range names {
			tag, err := tx.Exec(ctx, `insert into clinic.migration (module, file) values ($1, $2) on conflict do nothing`, module, name)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				continue
			}
			sql, err := fs.ReadFile(files, name)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, string(sql)); err != nil {
				return fmt.Errorf("migrate %s: %s: %w", module, name, err)
			}
		}
		return nil
	})
}

// Inbox follows the hub's events for one module. What an event changes and the
// place in the feed are saved in one transaction, so that each event takes
// effect once; repeats and late ones are legal inputs all the same.
type Inbox struct {
	*Clinic
	Module string
	Feed   core.Feed
	// Take applies one event; an event that is none of the module's business is nil.
	Take func(ctx context.Context, tx pgx.Tx, e core.Event) error
	// Mine leaves out events that Take would find to be of what somebody else submitted:
	// one question for all of them in place of one for each. nil leaves out none.
	Mine func(ctx context.Context, tx pgx.Tx, events []core.Event) ([]core.Event, error)
}

// Known keeps of the events of these kinds those whose hospital and key the table has in
// these columns, and all of other kinds.
func Known(ctx context.Context, tx pgx.Tx, table, hospital, key string, events []core.Event, kinds ...core.Kind) ([]core.Event, error) {
	var hospitals, keys []string
	for _, e := range events {
		if slices.Contains(kinds, e.Kind) {
			hospitals, keys = append(hospitals, e.Hospital), append(keys, e.Key)
		}
	}
	if len(keys) == 0 {
		return events, nil
	}
	type of struct{ Hospital, Key string }
	rows, err := tx.Query(ctx, `select distinct i.hospital, i.key from unnest($1::text[], $2::text[]) as i(hospital, key)
		where exists (select from `+table+` t where t.`+hospital+` = i.hospital and t.`+key+` = i.key)`, hospitals, keys)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[of])
	if err != nil {
		return nil, err
	}
	known := make(map[of]bool, len(found))
	for _, o := range found {
		known[o] = true
	}
	return slices.DeleteFunc(events, func(e core.Event) bool {
		return slices.Contains(kinds, e.Kind) && !known[of{e.Hospital, e.Key}]
	}), nil
}

// Run follows until ctx ends.
func (in *Inbox) Run(ctx context.Context) {
	for {
		n, err := in.Step(ctx)
		if err != nil && ctx.Err() == nil {
			in.Log.Error("inbox", "module", in.Module, "error", err)
		}
		wait := 200 * time.Millisecond
		if err != nil {
			wait = 2 * time.Second
		} else if n > 0 {
			wait = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Step takes the events that are there now, up to 200, and returns how many. It
// reads before its transaction begins: the feed waits for transactions at work.
func (in *Inbox) Step(ctx context.Context) (n int, err error) {
	var cursor string
	if err := in.Database.QueryRow(ctx, `select coalesce((select cursor from clinic.inbox where module = $1), '')`, in.Module).Scan(&cursor); err != nil {
		return 0, err
	}
	events, next, err := in.Feed.Read(ctx, cursor, 200)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, in.Database, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into clinic.inbox (module, cursor) values ($1, $3)
			on conflict (module) do update set cursor = excluded.cursor where inbox.cursor = $2`, in.Module, cursor, next)
		if err != nil || tag.RowsAffected() == 0 {
			return err // another process has taken them meanwhile
		}
		n = len(events)
		if in.Mine != nil {
			if events, err = in.Mine(ctx, tx, events); err != nil {
				return err
			}
		}
		for _, e := range events {
			if err := in.Take(ctx, tx, e); err != nil {
				return fmt.Errorf("event %s of message %d: %w", e.Type, e.Message, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
