package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/incident"
	"hishub/core/reconcile"
)

var _ incident.Store = (*Store)(nil)

// Signs are what the ledger knows of these hospitals; what only their process
// knows is left empty.
func (s *Store) Signs(ctx context.Context, hospitals []string) ([]incident.Signs, error) {
	rows, err := s.calm.Query(ctx, `
		select h.id, h.paused_at is not null, coalesce(w.queued, 0), coalesce(w.sending, 0), w.oldest, coalesce(w.parked, 0), coalesce(w.in_doubt, 0), coalesce(w.lately, 0),
			coalesce(n.day, ''), coalesce(n.state, ''), coalesce(n.problem, ''), n.counts
		from hub.hospital h
		left join (select hospital, count(*) filter (where state = 'queued') as queued,
				count(*) filter (where state = 'queued' and (lease_until > clock_timestamp() or sent_at is not null and takeover_at > clock_timestamp())) as sending, min(accepted_at) filter (where state = 'queued') as oldest,
				count(*) filter (where state = 'parked') as parked, count(*) filter (where state = 'parked' and class = 'in_doubt') as in_doubt,
				count(*) filter (where state = 'parked' and parked_at > clock_timestamp() - $2::bigint * interval '1 microsecond') as lately
			from hub.queue where hospital = any($1) group by hospital) w on w.hospital = h.id
		left join lateral (select to_char(day, 'YYYY-MM-DD') as day, state, problem, counts from hub.night
			where hospital = h.id and (state in ('done', 'failed') or state = 'waiting' and exists (
				-- late: the day was tried first hours ago
				select from hub.night w where w.hospital = h.id and w.day = night.day and w.started < clock_timestamp() - interval '6 hours'))
			order by night.day desc, run desc limit 1) n on true
		where h.id = any($1) order by h.id`, hospitals, incident.GrowthWindow.Microseconds())
	var all []incident.Signs
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g incident.Signs, err error) {
			var oldest *time.Time
			var night reconcile.Night
			var counts []byte
			if err := row.Scan(&g.Hospital, &g.Held, &g.Queued, &g.Sending, &oldest, &g.Parked, &g.InDoubt, &g.Lately, &night.Day, &night.State, &night.Problem, &counts); err != nil {
				return g, err
			}
			if oldest != nil {
				g.Oldest = *oldest
			}
			if counts != nil {
				err = readJSON(counts, &night.Counts)
			}
			switch {
			case night.State == reconcile.NightFailed:
				g.Night = "the night of " + night.Day + " failed: " + night.Problem
			case night.State == reconcile.NightWaiting:
				g.Night, g.NightLate = "the night of "+night.Day+" is late: "+night.Problem, true
			case night.Differences() > 0:
				g.Night = fmt.Sprintf("the night of %s has %d differences", night.Day, night.Differences())
			}
			return g, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read the signs of hospitals: %w", err)
	}
	return all, nil
}

// OpenIncidents implements incident.Store.
func (s *Store) OpenIncidents(ctx context.Context, hospitals []string) ([]incident.Incident, error) {
	return s.incidents(ctx, `resolved_at is null and hospital = any($1) order by id`, hospitals)
}

// Incidents lists incidents, newest first; nil hospitals are all of them.
func (s *Store) Incidents(ctx context.Context, hospitals []string, open bool, limit int) ([]incident.Incident, error) {
	return s.incidents(ctx, `($1::text[] is null or hospital = any($1)) and (not $2 or resolved_at is null) order by id desc limit $3`, hospitals, open, limit)
}

// incidentColumns are the fields of an incident, in their order.
const incidentColumns = `id, hospital, kind, detail, chinese, opened_at, resolved_at, coalesce(looked_by, ''), looked_at, looked_note`

func (s *Store) incidents(ctx context.Context, where string, args ...any) ([]incident.Incident, error) {
	rows, err := s.calm.Query(ctx, `select `+incidentColumns+` from hub.incident where `+where, args...)
	var all []incident.Incident
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[incident.Incident])
	}
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	return all, nil
}

// tellIncident makes the event of what the statement before it, called told,
// opened or resolved, and the duty to alert its routes, which are called routed.
const tellIncident = `
	, event as (insert into hub.event (hospital, message, kind, key, type, data)
		select hospital, 0, '', kind, $1, jsonb_build_object('incident', id, 'reason', detail) from told)
	, duty as (insert into hub.alert (incident, transition, route)
		select told.id, split_part($1, '.', 2), routed.route from told, routed on conflict do nothing)
	select id from told`

// OpenIncident implements incident.Store.
func (s *Store) OpenIncident(ctx context.Context, hospital string, kind incident.Kind, detail incident.Words, routes []string) (opened bool, err error) {
	return s.tell(ctx, "open an incident", `with told as (insert into hub.incident (hospital, kind, detail, chinese) values ($2, $3, $4, $5)
		on conflict do nothing returning *), routed as (select unnest($6::text[]) as route)`+tellIncident,
		string(core.EventIncidentOpened), hospital, string(kind), clean(detail.En), clean(detail.Zh), routes)
}

// ResolveIncident implements incident.Store.
func (s *Store) ResolveIncident(ctx context.Context, id int64) (resolved bool, err error) {
	return s.tell(ctx, "resolve an incident", `with told as (update hub.incident set resolved_at = clock_timestamp()
		where id = $2 and resolved_at is null returning *), routed as (select route from hub.alert where incident = $2 and transition = 'opened')`+tellIncident,
		string(core.EventIncidentResolved), id)
}

func (s *Store) tell(ctx context.Context, doing, sql string, args ...any) (bool, error) {
	var id int64
	switch err := s.calm.QueryRow(ctx, sql, args...).Scan(&id); {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	return true, nil
}

// NoteIncident implements incident.Store.
func (s *Store) NoteIncident(ctx context.Context, id int64, detail incident.Words) error {
	_, err := s.calm.Exec(ctx, `update hub.incident set detail = $2, chinese = $3 where id = $1 and resolved_at is null`, id, clean(detail.En), clean(detail.Zh))
	if err != nil {
		return fmt.Errorf("note how an incident stands: %w", err)
	}
	return nil
}
