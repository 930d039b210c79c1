package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

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
