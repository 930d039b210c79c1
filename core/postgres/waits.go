package postgres

import (
	"context"
	"fmt"

	"hishub/core/delivery"
)

// Waiting is what delivery.WhyWaits looks at; ok is false unless it is queued.
func (m Message) Waiting() (w delivery.Waiting, ok bool) {
	return delivery.Waiting{Kind: m.Kind, BlockedBy: m.BlockedBy, Due: m.Due, Attempts: m.Attempts, Reason: m.Reason, Pin: m.Pin}, m.State == delivery.Queued
}

// Circumstances tells, by hospital, what the ledger knows of why its messages wait:
// all but the folder and what only the process that works it knows.
func (s *Store) Circumstances(ctx context.Context, hospitals []string) (map[string]delivery.Circumstances, error) {
	all := make(map[string]delivery.Circumstances, len(hospitals))
	rows, err := s.calm.Query(ctx, `select h.id, clock_timestamp(), h.paused_at, coalesce(h.paused_by, ''), coalesce(h.paused_why, ''),
			case when s.until > clock_timestamp() then coalesce(s.process, '') else '' end
		from hub.hospital h join hub.shard s on s.number = h.shard where h.id = any($1)`, notNil(hospitals))
	if err != nil {
		return nil, fmt.Errorf("read why messages wait: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var c delivery.Circumstances
		if err := rows.Scan(&id, &c.Now, &c.PausedAt, &c.PausedBy, &c.PausedWhy, &c.Owner); err != nil {
			return nil, fmt.Errorf("read why messages wait: %w", err)
		}
		all[id] = c
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read why messages wait: %w", err)
	}
	return all, nil
}
