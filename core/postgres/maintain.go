package postgres

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
)

// partitioned tables, one partition a month (UTC).
var partitioned = []string{"body", "attempt", "exchange", "event"}

// monthsAhead is how far partitions are made in advance: without one nothing can
// be accepted, so each start and each Maintain sees to it.
const monthsAhead = 3

// partitionsAhead makes the partitions of the month of now (zero: of the
// database's clock), the month before it and the months ahead.
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
			have, err := partitionsOf(ctx, tx, table)
			if err != nil {
				return err
			}
			for i := -1; i <= monthsAhead; i++ {
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

var partitionPattern = regexp.MustCompile(`_(\d{4}_\d\d)$`)

// partitionsOf are the months for which a table has a partition.
func partitionsOf(ctx context.Context, q querier, table string) (map[time.Time]bool, error) {
	rows, err := q.Query(ctx, `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = ('hub.' || $1)::regclass`, table)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	months := map[time.Time]bool{}
	for _, name := range names {
		if found := partitionPattern.FindStringSubmatch(name); found != nil {
			if m, err := time.Parse("2006_01", found[1]); err == nil {
				months[m] = true
			}
		}
	}
	return months, nil
}
