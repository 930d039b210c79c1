package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Class of what is kept by months. Messages, nights, cases and the audit are in none:
// they stay for ever.
type Class struct {
	Name string
	// Days from the end of its month, unless an operator set another number; 0 is for ever.
	Days  int
	table string
	what  string
}

// Classes are all of them.
var Classes = []Class{
	{"bodies", 0, "body", "contents of messages"},
	{"exchanges", 180, "exchange", "bytes that went over the wire"},
	{"attempts", 730, "attempt", "what is told of each exchange, and of each message of replays that ended"},
	{"events", 90, "event", "the feed; who is further behind misses the rest"},
	{"statements", 400, "statement_entry", "books of channels and HIS's, by their day"},
	{"search", 0, "found_by", "other numbers and patients that messages are found by"},
}

// minDays keeps a slip of a finger from taking what was needed yesterday.
const minDays = 7

// Kept is a class as it stands.
type Kept struct {
	Class  string `json:"class"`
	What   string `json:"what"`
	Days   int    `json:"days"` // 0 is for ever
	Usual  int    `json:"usual"`
	Months int    `json:"months"` // that there are, three of them ahead
	Oldest string `json:"oldest"` // as 2026-01; "" is none
	Bytes  int64  `json:"bytes"`  // on the disk, indexes included
}

// Retention is how long each class stays, as it is set now.
func (s *Store) Retention(ctx context.Context) (r Retention, err error) {
	days, err := s.daysSet(ctx)
	if err != nil {
		return r, err
	}
	for _, c := range Classes {
		keep := time.Duration(days[c.Name]) * 24 * time.Hour
		switch c.Name {
		case "bodies":
			r.Bodies = keep
		case "exchanges":
			r.Exchanges = keep
		case "attempts":
			r.Attempts = keep
		case "events":
			r.Events = keep
		case "statements":
			r.Statements = keep
		case "search":
			r.Search = keep
		}
	}
	return r, nil
}

func (s *Store) daysSet(ctx context.Context) (map[string]int, error) {
	days := map[string]int{}
	for _, c := range Classes {
		days[c.Name] = c.Days
	}
	rows, err := s.calm.Query(ctx, `select class, days from hub.retention`)
	if err == nil {
		var class string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&class, &n}, func() error { days[class] = n; return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("read the retention: %w", err)
	}
	return days, nil
}

// Kept says how every class stands.
func (s *Store) Kept(ctx context.Context) (all []Kept, err error) {
	days, err := s.daysSet(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range Classes {
		k := Kept{Class: c.Name, What: c.what, Days: days[c.Name], Usual: c.Days}
		months, err := partitionTables(ctx, s.calm, c.table)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", c.Name, err)
		}
		k.Months = len(months)
		for i, m := range months {
			if i == 0 {
				k.Oldest = m.month.Format("2006-01")
			}
			var n int64
			if err := s.calm.QueryRow(ctx, `select coalesce(pg_total_relation_size(to_regclass($1)), 0)`, "hub."+partitionName(c.table, m.month)).Scan(&n); err != nil {
				return nil, fmt.Errorf("look at %s: %w", c.Name, err)
			}
			k.Bytes += n
		}
		all = append(all, k)
	}
	return all, nil
}

// Keep sets how many days a class stays, from 7 on or 0 for ever; it holds from the
// next maintenance on, within six hours. core.Problems for what cannot be.
func (s *Store) Keep(ctx context.Context, class string, days int, who, why string) error {
	i := slices.IndexFunc(Classes, func(c Class) bool { return c.Name == class })
	var names []string
	for _, c := range Classes {
		names = append(names, c.Name)
	}
	switch {
	case i < 0:
		return core.Problems{{Field: "class", What: "not one of " + strings.Join(names, ", ") + "; everything else stays for ever"}}
	case days != 0 && days < minDays || days > 100*366:
		return core.Problems{{Field: "days", What: fmt.Sprintf("not 0 (for ever) or from %d on", minDays)}}
	}
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into hub.retention (class, days) values ($1, $2) on conflict (class) do update set days = excluded.days`, class, days)
		if err != nil {
			return err
		}
		return record(ctx, tx, Act{Who: who, Verb: "set retention", Subject: class, Purpose: why, Data: map[string]any{"days": days}})
	})
	if err != nil {
		return fmt.Errorf("set the retention of %s: %w", class, err)
	}
	return nil
}

// needed reports whether something of a month is needed by what is not over yet: a
// message that is not delivered, or a case that is open.
func (s *Store) needed(ctx context.Context, table string, p partition) (yes bool, err error) {
	from, to := p.month, p.month.AddDate(0, 1, 0)
	var sql string
	args := []any{from, to}
	switch table {
	case "body":
		// A repair tells a message again; a case's day may begin a little before the month.
		sql = `select exists(select from hub.queue where accepted_at >= $1 and accepted_at < $2)
			or exists(select from hub.case where state in ('open', 'repairing') and day >= $1::timestamptz::date - 1 and day <= $2::timestamptz::date)`
	case "attempt", "exchange":
		// Of each that waits, by the index of the month.
		sql = fmt.Sprintf(`select exists(select from hub.queue q, lateral (select from hub.%s t where t.message = q.message limit 1) its)`, partitionName(table, p.month))
		args = nil
	case "statement_entry":
		sql = `select exists(select from hub.case where state in ('open', 'repairing') and day >= $1::timestamptz::date and day < $2::timestamptz::date)`
	default:
		return false, nil
	}
	err = s.calm.QueryRow(ctx, sql, args...).Scan(&yes)
	return yes, err
}
