package chat

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// retention of messages: three years, by law, and the month in which they end. A picture is
// sent within a day, so that it must outlive the month before that of its message.
const retention = 37 // months

// kept are the tables of a partition a month, and for how many months.
var kept = []struct {
	table  string
	months int
}{{"chat.message", retention}, {"chat.picture_bytes", retention + 1}}

// Jobs makes the coming months, drops those that are past their retention, and takes away
// the pictures that nobody sent.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{
		{Name: "chat.months", Times: "11 3 * * *", Lasts: 5 * time.Minute, Run: s.months},
		{Name: "chat.pictures", Times: "41 * * * *", Lasts: 5 * time.Minute, Run: s.unsent},
	}
}

func (s *Service) months(ctx context.Context) error {
	var now time.Time
	if err := s.Database.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
		return fmt.Errorf("chat: read the clock: %w", err)
	}
	now = now.UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtext('chat months'))`); err != nil {
			return err
		}
		for _, k := range kept {
			if err := s.monthsOf(ctx, tx, k.table, first, first.AddDate(0, -k.months, 0)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `delete from chat.picture where at < $1`, first.AddDate(0, -retention-1, 0))
		return err
	})
}

// monthsOf makes a table's months around the first day of this one, and drops those before
// the oldest.
func (s *Service) monthsOf(ctx context.Context, tx pgx.Tx, table string, first, oldest time.Time) error {
	for i := -1; i <= 2; i++ {
		from := first.AddDate(0, i, 0)
		sql := fmt.Sprintf(`create table if not exists %s_%s partition of %s for values from ('%s') to ('%s')`,
			table, from.Format("2006_01"), table, from.Format(time.RFC3339), from.AddDate(0, 1, 0).Format(time.RFC3339))
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("chat: make the month %s: %w", from.Format("2006-01"), err)
		}
	}
	rows, err := tx.Query(ctx, `select inhrelid::regclass::text from pg_inherits where inhparent = $1::regclass and inhrelid::regclass::text < $2`,
		table, table+"_"+oldest.Format("2006_01"))
	if err != nil {
		return err
	}
	old, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, partition := range old {
		if _, err := tx.Exec(ctx, `drop table `+partition); err != nil {
			return fmt.Errorf("chat: drop %s: %w", partition, err)
		}
		s.Log.Info("dropped a month of chat past its retention", "partition", partition)
	}
	return nil
}
