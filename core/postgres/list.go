package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// Filter narrows a list of messages. Zero fields don't.
type Filter struct {
	// Hospitals to look at; nil is all of them, empty is none.
	Hospitals []string
	Kind      core.Kind
	State     delivery.State
	Key       string
	HisNo     string
	Lane      string
	Class     core.Class
	// Since and Until bound AcceptedAt: from Since on, before Until.
	Since, Until time.Time
}

// List returns messages, newest first. cursor is "" for the first page and what
// the page before returned for the next; next is "" after the last.
func (s *Store) List(ctx context.Context, f Filter, cursor string, limit int) (page []Message, next string, err error) {
	before := int64(0)
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil || before <= 0 {
			return nil, "", ErrCursor
		}
	}
	sql, args := f.query(before, limit+1)
	rows, err := s.calm.Query(ctx, sql, args...)
	if err == nil {
		page, err = pgx.CollectRows(rows, scanMessage)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list messages: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = strconv.FormatInt(page[limit-1].ID, 10)
	}
	return page, next, nil
}

// query starts from the small queue for everything that is not decided, so that
// its cost does not grow with history, and else from an index of hub.message.
func (f Filter) query(before int64, limit int) (sql string, args []any) {
	var where []string
	and := func(condition string, value any) {
		args = append(args, value)
		where = append(where, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	from := `hub.message m left join hub.queue q on q.message = m.id`
	switch f.State {
	case delivery.Queued, delivery.Sending:
		from = `hub.queue q join hub.message m on m.id = q.message`
		leased := `coalesce(q.lease_until > clock_timestamp() or q.sent_at is not null and q.takeover_at > clock_timestamp(), false)`
		where = append(where, `q.state = 'queued'`)
		if f.State == delivery.Sending {
			where = append(where, leased)
		} else {
			where = append(where, `not `+leased)
		}
	case delivery.Parked:
		from = `hub.queue q join hub.message m on m.id = q.message`
		where = append(where, `q.state = 'parked'`)
	case "":
	default:
		and(`m.state = ?`, string(f.State))
	}
	if f.Hospitals != nil {
		and(`m.hospital = any(?)`, f.Hospitals)
		if f.State == delivery.Queued || f.State == delivery.Sending || f.State == delivery.Parked {
			and(`q.hospital = any(?)`, f.Hospitals)
		}
	}
	if f.Kind != "" {
		and(`m.kind = ?`, string(f.Kind))
	}
	if f.Key != "" {
		// Two conditions for the two partial indexes.
		and(`(m.key = ? and m.superseded_by is null or m.key = ? and m.superseded_by is not null)`, f.Key)
	}
	if f.HisNo != "" {
		and(`m.id in (select h.message from hub.his_no h where h.his_no = ?)`, f.HisNo)
	}
	if f.Lane != "" {
		and(`m.lane = ?`, f.Lane)
	}
	if f.Class != "" {
		and(`coalesce(q.class, m.class) = ?`, string(f.Class))
	}
	if !f.Since.IsZero() {
		and(`m.accepted_at >= ?`, f.Since)
	}
	if !f.Until.IsZero() {
		and(`m.accepted_at < ?`, f.Until)
	}
	if before > 0 {
		and(`m.id < ?`, before)
	}
	sql = `select ` + view + ` from ` + from
	if len(where) > 0 {
		sql += ` where ` + strings.Join(where, ` and `)
	}
	args = append(args, limit)
	return sql + ` order by m.id desc limit $` + strconv.Itoa(len(args)), args
}

// Waiting is what a hospital has in its queue.
type Waiting struct {
	Hospital string
	Queued   int
	Sending  int
	Parked   int
	// Oldest is when the oldest that is not parked was accepted; nil if none waits.
	Oldest *time.Time
	// InDoubt are those of the parked ones that may have happened.
	InDoubt int
}

// Lights tells, by hospital, what waits. Hospitals with an empty queue are
// missing. It reads the queue only, whatever the history.
func (s *Store) Lights(ctx context.Context) (map[string]Waiting, error) {
	rows, err := s.calm.Query(ctx, `
		select hospital,
			count(*) filter (where state = 'queued' and not leased), count(*) filter (where state = 'queued' and leased), count(*) filter (where state = 'parked'),
			min(accepted_at) filter (where state = 'queued'), count(*) filter (where state = 'parked' and class = 'in_doubt')
		from (select *, coalesce(lease_until > clock_timestamp() or sent_at is not null and takeover_at > clock_timestamp(), false) as leased from hub.queue) q
		group by hospital`)
	var all []Waiting
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Waiting])
	}
	if err != nil {
		return nil, fmt.Errorf("read the lights: %w", err)
	}
	lights := make(map[string]Waiting, len(all))
	for _, w := range all {
		lights[w.Hospital] = w
	}
	return lights, nil
}
