package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core/alert"
	"hishub/core/incident"
)

var _ alert.Store = (*Store)(nil)

// maxEntries bounds the alerts of one letter.
const maxEntries = 1000

// patient are the alerts that are not given up; $1 is alert.Patience in µs.
const patient = `a.told_at is null and a.made_at > clock_timestamp() - $1::bigint * interval '1 microsecond'`

// TakeLetters implements alert.Store.
func (s *Store) TakeLetters(ctx context.Context, routes []alert.Wanted, ttl time.Duration) ([]alert.Letter, error) {
	names, gathers := make([]string, len(routes)), make([]int64, len(routes))
	for i, r := range routes {
		names[i], gathers[i] = r.Route, r.Gather.Microseconds()
	}
	// Most looks find nothing, and write nothing.
	rows, err := s.calm.Query(ctx, `select w.name from unnest($2::text[], $3::bigint[]) as w(name, gather)
		left join hub.alert_route r on r.name = w.name
		where (r.name is null or r.next_at <= clock_timestamp() and (r.lease_until is null or r.lease_until <= clock_timestamp()))
			and exists (select from hub.alert a where a.route = w.name and `+patient+`
				and (a.letter is not null or a.made_at <= clock_timestamp() - w.gather * interval '1 microsecond'))`,
		alert.Patience.Microseconds(), names, gathers)
	var due []string
	if err == nil {
		due, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	var letters []alert.Letter
	for _, route := range due {
		if err == nil {
			err = s.inTransaction(ctx, func(tx pgx.Tx) error {
				l, taken, err := takeLetter(ctx, tx, route, ttl)
				if taken {
					letters = append(letters, l)
				}
				return err
			})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("take letters of alerts: %w", err)
	}
	return letters, nil
}

// takeLetter leases the route and gives its unfinished letter, or a new one of all
// that waits. Its number is saved before anything is sent.
func takeLetter(ctx context.Context, tx pgx.Tx, route string, ttl time.Duration) (l alert.Letter, taken bool, err error) {
	l.Route = route
	if _, err = tx.Exec(ctx, `insert into hub.alert_route (name) values ($1) on conflict do nothing`, route); err != nil {
		return l, false, err
	}
	err = tx.QueryRow(ctx, `with free as (select name from hub.alert_route where name = $1 and next_at <= clock_timestamp()
				and (lease_until is null or lease_until <= clock_timestamp()) for update skip locked)
		update hub.alert_route r set fence = fence + 1, lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
		from free where r.name = free.name returning r.fence, r.failures`, route, ttl.Microseconds()).Scan(&l.Fence, &l.Failures)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, false, nil // another process was faster
	}
	if err != nil {
		return l, false, err
	}
	err = tx.QueryRow(ctx, `select a.letter from hub.alert a where a.route = $2 and a.letter is not null and `+patient+` order by a.id limit 1`,
		alert.Patience.Microseconds(), route).Scan(&l.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		l.ID = rand.Text()
		_, err = tx.Exec(ctx, `update hub.alert set letter = $3 where id in (select a.id from hub.alert a where a.route = $2 and `+patient+` order by a.id limit $4)`,
			alert.Patience.Microseconds(), route, l.ID, maxEntries)
	}
	if err == nil {
		l.Entries, err = letterEntries(ctx, tx, l)
	}
	return l, err == nil, err
}

func letterEntries(ctx context.Context, tx pgx.Tx, l alert.Letter) ([]alert.Entry, error) {
	rows, err := tx.Query(ctx, `select i.id, i.hospital, coalesce(h.name, ''), i.kind, i.detail, i.chinese, i.opened_at, i.resolved_at, coalesce(i.looked_by, ''), i.looked_note,
			bool_or(a.transition = 'opened'), bool_or(a.transition = 'resolved')
		from hub.alert a join hub.incident i on i.id = a.incident left join hub.hospital h on h.id = i.hospital
		where a.route = $1 and a.letter = $2 and a.told_at is null group by i.id, h.name order by i.id`, l.Route, l.ID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e alert.Entry, err error) {
		err = row.Scan(&e.Incident, &e.Hospital, &e.Name, &e.Kind, &e.Detail.En, &e.Detail.Zh, &e.OpenedAt, &e.ResolvedAt, &e.LookedBy, &e.LookedNote, &e.Opened, &e.Resolved)
		return e, err
	})
}

// LetterTold implements alert.Store.
func (s *Store) LetterTold(ctx context.Context, l alert.Letter, pause time.Duration) error {
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		// Whoever else has the route by now: it is told.
		if _, err := tx.Exec(ctx, `update hub.alert set told_at = clock_timestamp() where route = $1 and letter = $2 and told_at is null`, l.Route, l.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update hub.alert_route set lease_until = null, failures = 0, problem = '', told_at = clock_timestamp(),
			next_at = clock_timestamp() + $3::bigint * interval '1 microsecond' where name = $1 and fence = $2`, l.Route, l.Fence, pause.Microseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("note that a letter was taken: %w", err)
	}
	return nil
}

// LetterFailed implements alert.Store.
func (s *Store) LetterFailed(ctx context.Context, l alert.Letter, retry time.Duration, why string) error {
	_, err := s.calm.Exec(ctx, `update hub.alert_route set lease_until = null, failures = failures + 1, problem = $3,
		next_at = clock_timestamp() + $4::bigint * interval '1 microsecond' where name = $1 and fence = $2`, l.Route, l.Fence, clean(why), retry.Microseconds())
	if err != nil {
		return fmt.Errorf("note that a letter was not taken: %w", err)
	}
	return nil
}

// ForgetAlerts implements alert.Store.
func (s *Store) ForgetAlerts(ctx context.Context) error {
	// As long as an incident is open, they say whom to tell that it is over.
	_, err := s.calm.Exec(ctx, `delete from hub.alert a using hub.incident i
		where i.id = a.incident and a.made_at < clock_timestamp() - interval '90 days' and i.resolved_at < clock_timestamp() - interval '90 days'`)
	if err != nil {
		return fmt.Errorf("forget alerts: %w", err)
	}
	return nil
}

// AlertRoute is how a route stands.
type AlertRoute struct {
	Name string
	// Waiting are the alerts that it was not told yet.
	Waiting int
	// Failures since it took something, and the last Problem.
	Failures int
	Problem  string
	ToldAt   *time.Time
}

// AlertRoutes lists the routes that ever were told something, or are to be.
func (s *Store) AlertRoutes(ctx context.Context) ([]AlertRoute, error) {
	rows, err := s.calm.Query(ctx, `select coalesce(r.name, w.route), coalesce(w.waiting, 0), coalesce(r.failures, 0), coalesce(r.problem, ''), r.told_at
		from hub.alert_route r full join (select a.route, count(*) as waiting from hub.alert a where `+patient+` group by a.route) w on w.route = r.name
		order by 1`, alert.Patience.Microseconds())
	var all []AlertRoute
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AlertRoute])
	}
	if err != nil {
		return nil, fmt.Errorf("list how routes of alerts stand: %w", err)
	}
	return all, nil
}

// LookAtIncident records who looks at an open one of these hospitals; nil are all. A
// look without a note leaves the note that is there; the audit has every one. The error
// is ErrNotFound when there is none that is open.
func (s *Store) LookAtIncident(ctx context.Context, hospitals []string, id int64, who, note string) (i incident.Incident, err error) {
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `update hub.incident set looked_by = $2, looked_at = clock_timestamp(), looked_note = coalesce(nullif($3, ''), looked_note)
			where id = $1 and resolved_at is null and ($4::text[] is null or hospital = any($4)) returning `+incidentColumns, id, clean(who), clean(note), hospitals)
		if err != nil {
			return err
		}
		i, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[incident.Incident])
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return decideAbout(ctx, tx, i.Hospital, fmt.Sprintf("incident %d", id), clean(who), "look at incident", clean(note), map[string]any{"incident": id, "kind": i.Kind})
	})
	if err != nil {
		return i, fmt.Errorf("look at incident %d: %w", id, err)
	}
	return i, nil
}
