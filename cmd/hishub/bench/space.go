package bench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Space is what a delivered message takes.
type Space struct {
	// Bytes on disk with all indexes, after VACUUM, by all messages of the run.
	Bytes    float64 `json:"database_bytes_per_message"`
	WAL      float64 `json:"wal_bytes_per_message"`
	Messages int     `json:"messages"`
	Tables   []Table `json:"tables"`
	HubMB    int     `json:"hub_resident_mb"`
	HubMost  int     `json:"hub_resident_most_mb"`
}

// Table with its indexes and partitions, in bytes by message.
type Table struct {
	Name    string  `json:"name"`
	Rows    float64 `json:"rows_bytes"`
	Indexes float64 `json:"index_bytes"`
}

func (s *stage) space(ctx context.Context, messages int) (p Space, err error) {
	p.Messages = messages
	if _, err := s.database.Exec(ctx, `vacuum`); err != nil {
		return p, fmt.Errorf("vacuum: %w", err)
	}
	found, err := s.database.Query(ctx, `
		select coalesce(parent.relname, c.relname)::text,
			sum(pg_table_size(c.oid))::float8 / $1::float8, sum(pg_indexes_size(c.oid))::float8 / $1::float8
		from pg_class c left join pg_inherits i on i.inhrelid = c.oid left join pg_class parent on parent.oid = i.inhparent
		where c.relnamespace = 'hub'::regnamespace and c.relkind = 'r'
		group by 1 order by sum(pg_total_relation_size(c.oid)) desc`, messages)
	if err == nil {
		p.Tables, err = pgx.CollectRows(found, pgx.RowToStructByPos[Table])
	}
	if err != nil {
		return p, fmt.Errorf("measure the tables: %w", err)
	}
	for _, t := range p.Tables {
		p.Bytes += t.Rows + t.Indexes
	}
	return p, nil
}

// wal is how many bytes of log the server has written.
func (s *stage) wal(ctx context.Context) (bytes int64, err error) {
	err = s.database.QueryRow(ctx, `select (pg_current_wal_insert_lsn() - '0/0')::bigint`).Scan(&bytes)
	return bytes, err
}
