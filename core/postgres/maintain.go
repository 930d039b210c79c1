package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// partitioned tables, one partition a month (UTC).
var partitioned = []string{"body", "attempt", "exchange", "event", "statement_entry", "found_by"}

// monthsAhead is how far partitions are made in advance: without one nothing can
// be accepted, so each start and each Maintain sees to it.
const monthsAhead = 3

// partitionsAhead makes the partitions of the month of now (zero: of the
// database's clock) and of the months ahead.
func (s *Store) partitionsAhead(ctx context.Context, now time.Time) error {
	if now.IsZero() {
		var err error
		if now, err = s.Now(ctx); err != nil {
			return err
		}
	}
	first := month(now)
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf("hub partitions")); err != nil {
			return err
		}
		for _, table := range partitioned {
			tables, err := partitionTables(ctx, tx, table)
			if err != nil {
				return err
			}
			have := map[time.Time]bool{}
			for _, p := range tables {
				have[p.month] = true
			}
			for i := range monthsAhead + 1 {
				m := first.AddDate(0, i, 0)
				if have[m] {
					continue
				}
				if err := addPartition(ctx, tx, table, m); err != nil {
					return fmt.Errorf("make the partition of %s for %s: %w", table, m.Format("2006-01"), err)
				}
			}
		}
		return nil
	})
}

// Retention says how long what is kept by months stays, counted from the end of
// its month. Zero keeps for ever.
type Retention struct {
	// Bodies of messages; what is not yet delivered keeps its months in any case.
	Bodies time.Duration
	// Exchanges are the bytes that went over the wire, Attempts what is told of them;
	// replays stay as long as these, from the end of the month in which they ended.
	Exchanges, Attempts time.Duration
	// Events of the feed. A reader that is further behind misses the rest.
	Events time.Duration
	// Statements of channels and HIS's, from the end of the month of their day. Nights
	// and what they found stay for ever.
	Statements time.Duration
	// Search is by what messages are found beside their keys and lanes.
	Search time.Duration
}

// Maintain makes the partitions of the coming months, drops those past their
// retention, and forgets replays and expired answers. It is run daily; again is harmless.
// It returns the names of the dropped partitions.
func (s *Store) Maintain(ctx context.Context, now time.Time, r Retention) (dropped []string, err error) {
	if err := s.partitionsAhead(ctx, now); err != nil {
		return nil, fmt.Errorf("maintain the ledger: %w", err)
	}
	for table, keep := range map[string]time.Duration{"body": r.Bodies, "exchange": r.Exchanges, "attempt": r.Attempts, "event": r.Events, "statement_entry": r.Statements, "found_by": r.Search} {
		if keep <= 0 {
			continue
		}
		gone, err := s.dropOld(ctx, table, now.Add(-keep))
		dropped = append(dropped, gone...)
		if err != nil {
			return dropped, fmt.Errorf("maintain the ledger: drop old partitions of %s: %w", table, err)
		}
	}
	if r.Attempts > 0 {
		if err := s.forgetReplays(ctx, now.Add(-r.Attempts)); err != nil {
			return dropped, fmt.Errorf("maintain the ledger: forget old replays: %w", err)
		}
	}
	_, err = s.calm.Exec(ctx, `delete from hub.idempotency where expires < clock_timestamp()`)
	if err != nil {
		return dropped, fmt.Errorf("maintain the ledger: forget old answers: %w", err)
	}
	if err := s.indexLate(ctx); err != nil {
		return dropped, fmt.Errorf("maintain the ledger: add indexes: %w", err)
	}
	return dropped, nil
}

// dropOld drops the months that ended before a moment, and finishes what an
// earlier run that was interrupted began.
func (s *Store) dropOld(ctx context.Context, table string, before time.Time) (dropped []string, err error) {
	tables, err := partitionTables(ctx, s.calm, table)
	if err != nil {
		return nil, err
	}
	for _, p := range tables {
		if p.month.AddDate(0, 1, 0).After(before) {
			continue
		}
		if p.attached && !p.detaching {
			needed, err := s.needed(ctx, table, p)
			if err != nil {
				return dropped, err
			}
			if needed {
				continue
			}
		}
		if table == "statement_entry" {
			// First: books without their entries must not be taken for empty ones.
			if _, err := s.calm.Exec(ctx, `delete from hub.statement where day >= $1 and day < $2`, p.month, p.month.AddDate(0, 1, 0)); err != nil {
				return dropped, err
			}
		}
		name := partitionName(table, p.month)
		if p.attached {
			// Concurrently: readers and writers of the other months go on.
			how := "concurrently"
			if p.detaching {
				how = "finalize"
			}
			if _, err := s.calm.Exec(ctx, fmt.Sprintf(`alter table hub.%s detach partition hub.%s %s`, table, name, how), pgx.QueryExecModeSimpleProtocol); err != nil {
				return dropped, err
			}
		}
		if _, err := s.calm.Exec(ctx, fmt.Sprintf(`drop table hub.%s`, name)); err != nil {
			return dropped, err
		}
		dropped = append(dropped, name)
	}
	return dropped, nil
}

// partitionOf makes the month of a day of statements, which may be long past.
func (s *Store) partitionOf(ctx context.Context, day string) error {
	d, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return core.Problems{{Field: "day", What: "not a date like 2026-01-05"}}
	}
	if now := time.Now(); d.After(now.AddDate(0, 1, 0)) || d.Before(now.AddDate(-10, 0, 0)) {
		return core.Problems{{Field: "day", What: "more than ten years back or a month ahead"}}
	}
	have := func(q querier) (yes bool, err error) {
		err = q.QueryRow(ctx, `select exists(select from pg_inherits where inhparent = 'hub.statement_entry'::regclass and inhrelid = to_regclass($1))`,
			"hub."+partitionName("statement_entry", d)).Scan(&yes)
		return yes, err
	}
	if yes, err := have(s.calm); err != nil || yes {
		return err
	}
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf("hub partitions")); err != nil {
			return err
		}
		if yes, err := have(tx); err != nil || yes {
			return err
		}
		return addPartition(ctx, tx, "statement_entry", month(d))
	})
}

// addPartition makes the table first and attaches it then, which, unlike CREATE
// TABLE … PARTITION OF, lets everybody else go on reading and writing.
func addPartition(ctx context.Context, tx pgx.Tx, table string, m time.Time) error {
	name := partitionName(table, m)
	_, err := tx.Exec(ctx, fmt.Sprintf(`create table hub.%s (like hub.%s including defaults)`, name, table))
	if err != nil {
		return err
	}
	// Sealed bytes do not compress again.
	for _, column := range map[string][]string{"body": {"sealed"}, "exchange": {"request", "answer"}}[table] {
		if _, err := tx.Exec(ctx, fmt.Sprintf(`alter table hub.%s alter column %s set storage external`, name, column)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`alter table hub.%s attach partition hub.%s for values from ('%s') to ('%s')`,
		table, name, m.Format(time.RFC3339), m.AddDate(0, 1, 0).Format(time.RFC3339)))
	return err
}

func month(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func partitionName(table string, m time.Time) string { return table + m.Format("_2006_01") }

type partition struct {
	month     time.Time
	attached  bool
	detaching bool // a detach was interrupted
}

// partitionTables are the tables of a table's months, oldest first.
func partitionTables(ctx context.Context, q querier, table string) ([]partition, error) {
	rows, err := q.Query(ctx, `
		select c.relname, i.inhrelid is not null, coalesce(i.inhdetachpending, false)
		from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'hub'
		left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = ('hub.' || $1)::regclass
		where c.relkind = 'r' and c.relname ~ ('^' || $1 || '_[0-9]{4}_[0-9]{2}$') order by c.relname`, table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p partition, err error) {
		var name string
		if err := row.Scan(&name, &p.attached, &p.detaching); err != nil {
			return p, err
		}
		p.month, err = time.Parse("2006_01", name[len(name)-len("2006_01"):])
		return p, err
	})
}
