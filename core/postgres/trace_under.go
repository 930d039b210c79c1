package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// newest is among how many messages a trace's id is looked for: there is no index over it.
const newest = 100_000

// MessagesUnder are the messages that were accepted under a trace, by its id (W3C, 32 hex
// digits), oldest first: of the newest 100,000.
func (s *Store) MessagesUnder(ctx context.Context, trace string, limit int) ([]int64, error) {
	rows, err := s.calm.Query(ctx, `select id from (select id, trace from hub.message order by id desc limit $3) m where substr(trace, 4, 32) = $1 order by id limit $2`, trace, limit, newest)
	if err != nil {
		return nil, fmt.Errorf("look for a trace: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
