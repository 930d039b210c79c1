package clinic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// List is one of the lists that a module has from a HIS, and when it was had.
type List struct {
	List    string     `json:"list" example:"doctor"`
	AsOf    *time.Time `json:"as_of,omitempty" doc:"when the HIS gave it; missing: never yet"`
	Entries int        `json:"entries" doc:"how many it had"`
	TriedAt time.Time  `json:"tried_at"`
	Problem string     `json:"problem,omitempty" doc:"why it was not had at the last try; what was had before holds on"`
}

// ListOf is how a module has one list from every HIS that gives it.
type ListOf struct {
	Name string
	Kind core.Kind
	// Save makes the module's rows those of the answer, closes what it lists no more, and
	// returns how many the answer has.
	Save func(ctx context.Context, tx pgx.Tx, hospital string, answer any) (int, error)
	// Table of the entries, with its schema; it has the columns hospital and closed.
	Table string
}

// open counts the entries that are not closed, within the transaction that saves.
func (l ListOf) open(ctx context.Context, tx pgx.Tx, hospital string) (n int, err error) {
	err = tx.QueryRow(ctx, `select count(*) from `+l.Table+` where hospital = $1 and not closed`, hospital).Scan(&n)
	return n, err
}

// SyncLists has several lists from a hospital's HIS now, see Sync.
func (c *Clinic) SyncLists(ctx context.Context, hospital string, of []ListOf, sure bool) ([]List, error) {
	for _, l := range of {
		if err := c.Sync(ctx, hospital, l, sure); err != nil {
			return nil, err
		}
	}
	return c.Lists(ctx, hospital, of)
}

// Sync has a list from a hospital's HIS. A HIS in trouble answers with nothing or with
// little, so a list that is empty, or that would close more than half of what is open, is
// taken only when a person says so (sure). What is wrong is kept beside the list and is no
// error. A HIS that has no such list changes nothing.
func (c *Clinic) Sync(ctx context.Context, hospital string, l ListOf, sure bool) error {
	place, err := c.Place(ctx, hospital)
	if err != nil || !place.Can(l.Kind) {
		return err
	}
	asOf := time.Now()
	answer, err := c.Ask(ctx, hospital, l.Kind, &core.DictionaryQuery{})
	if err != nil {
		return c.noteList(ctx, hospital, l.Name, said(err))
	}
	err = pgx.BeginFunc(ctx, c.Database, func(tx pgx.Tx) error { return l.take(ctx, tx, hospital, answer, asOf, sure) })
	var wrong problem
	if errors.As(err, &wrong) {
		return c.noteList(ctx, hospital, l.Name, wrong.Error())
	}
	if err != nil {
		return fmt.Errorf("sync the list of %ss: %w", l.Name, err)
	}
	return nil
}

// problem is why a list was not taken: something that a person reads.
type problem string

func (p problem) Error() string { return string(p) }

func (l ListOf) take(ctx context.Context, tx pgx.Tx, hospital string, answer any, asOf time.Time, sure bool) error {
	// One at a time; an older answer never comes after a newer one.
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, "list "+hospital+"/"+l.Name); err != nil {
		return err
	}
	var newer bool
	if err := tx.QueryRow(ctx, `select exists (select from clinic.list where hospital = $1 and list = $2 and as_of > $3)`, hospital, l.Name, asOf).Scan(&newer); err != nil || newer {
		return err
	}
	before, err := l.open(ctx, tx, hospital)
	if err != nil {
		return err
	}
	n, err := l.Save(ctx, tx, hospital, answer)
	if err != nil {
		return err
	}
	after, err := l.open(ctx, tx, hospital)
	if err != nil {
		return err
	}
	switch {
	case !sure && n == 0 && before > 0:
		return problem("the HIS lists nothing, and had entries before; nothing was changed. Sync with sure=true if that is right")
	case !sure && before >= 4 && after < before/2:
		return problem(fmt.Sprintf("the HIS's list would close %d of %d entries; nothing was changed. Sync with sure=true if that is right", before-after, before))
	}
	_, err = tx.Exec(ctx, `insert into clinic.list (hospital, list, as_of, entries, tried_at) values ($1, $2, $3, $4, $3)
		on conflict (hospital, list) do update set as_of = excluded.as_of, entries = excluded.entries, tried_at = excluded.tried_at, problem = ''`,
		hospital, l.Name, asOf, n)
	return err
}

// said is what an error of a question tells a person; never what the HIS's words name.
func said(err error) string {
	var fault *core.Fault
	switch {
	case errors.As(err, &fault) && fault.Class == core.Invalid:
		return "the question cannot be said in the HIS's dialect: mend the hospital's folder"
	case errors.As(err, &fault):
		return "the HIS did not answer"
	}
	return "the HIS refused to answer"
}

func (c *Clinic) noteList(ctx context.Context, hospital, list, why string) error {
	_, err := c.Database.Exec(ctx, `insert into clinic.list (hospital, list, tried_at, problem) values ($1, $2, clock_timestamp(), $3)
		on conflict (hospital, list) do update set tried_at = excluded.tried_at, problem = excluded.problem`, hospital, list, why)
	return err
}

// Lists tells when a hospital's lists of these names were had, by name.
func (c *Clinic) Lists(ctx context.Context, hospital string, of []ListOf) ([]List, error) {
	rows, err := c.Database.Query(ctx, `select list, as_of, entries, tried_at, problem from clinic.list where hospital = $1 and list = any($2) order by list`,
		hospital, each(of, func(l ListOf) string { return l.Name }))
	if err != nil {
		return nil, fmt.Errorf("read when lists were had: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[List])
}

// old is when a list is had again.
const old = 20 * time.Hour

// SyncJob has lists of every hospital once a night and, after a failure or at a new
// hospital, within the hour.
func (c *Clinic) SyncJob(name string, of []ListOf) Job {
	return Job{Name: name, Times: "7 * * * *", Lasts: 30 * time.Minute, Run: func(ctx context.Context) error { return c.syncAll(ctx, of) }}
}

func (c *Clinic) syncAll(ctx context.Context, of []ListOf) error {
	places, err := c.Places(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, p := range places {
		lists, err := c.Lists(ctx, p.ID, of)
		if err != nil {
			return err
		}
		had := map[string]time.Time{}
		for _, l := range lists {
			if l.AsOf != nil {
				had[l.List] = *l.AsOf
			}
		}
		for _, l := range of {
			if time.Since(had[l.Name]) > old {
				failed = errors.Join(failed, c.Sync(ctx, p.ID, l, false))
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return failed
}
