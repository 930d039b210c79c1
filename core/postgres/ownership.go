package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Shards is how many parts the hospitals are divided into; a part belongs to one
// process at a time. It is fixed: the rows are made by the migration.
const Shards = 16

// ShardOf is the shard of a hospital: the same in every version and process.
func ShardOf(hospital string) int {
	h := fnv.New32a()
	h.Write([]byte(hospital))
	return int(h.Sum32() % Shards)
}

// Own implements delivery.Store. Processes that call it agree on a fair share
// each within one round of calls; what a dead one held becomes free after its ttl.
func (s *Store) Own(ctx context.Context, process string, ttl time.Duration) ([]int, error) {
	// One at a time: the count of processes must not change under us. And all in one
	// round trip: a process that the network loses in the middle must not keep the
	// others from renewing what they hold.
	us := ttl.Microseconds()
	var held []int
	err := s.atOnce(ctx, func(b *pgx.Batch) {
		b.Queue(takeLocks, []int64{lockOf("hub ownership")})
		b.Queue(`insert into hub.process (id, seen_until) values ($1, clock_timestamp() + $2::bigint * interval '1 microsecond')
			on conflict (id) do update set seen_until = excluded.seen_until`, process, us)
		b.Queue(`delete from hub.process where seen_until <= clock_timestamp()`)
		// Ours that nobody took, even if we were late to renew them.
		b.Queue(`update hub.shard set until = clock_timestamp() + $2::bigint * interval '1 microsecond' where process = $1`, process, us)
		b.Queue(`with share as (select ceil($2::numeric / count(*))::bigint as size from hub.process)
			update hub.shard set process = null, until = null
			where number in (select number from hub.shard where process = $1 order by number offset (select size from share))`, process, Shards)
		b.Queue(`with share as (select ceil($3::numeric / count(*))::bigint as size from hub.process)
			update hub.shard set process = $1, until = clock_timestamp() + $2::bigint * interval '1 microsecond'
			where number in (select number from hub.shard where process is null or until <= clock_timestamp() order by number
				limit (select greatest(0, size - (select count(*) from hub.shard where process = $1)) from share))`, process, us, Shards)
		b.Queue(`select number from hub.shard where process = $1 order by number`, process).Query(func(rows pgx.Rows) (err error) {
			held, err = pgx.CollectRows(rows, pgx.RowTo[int])
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("own shards: %w", err)
	}
	return held, nil
}

// Leave implements delivery.Store.
func (s *Store) Leave(ctx context.Context, process string, busy []string) error {
	err := s.atOnce(ctx, func(b *pgx.Batch) {
		b.Queue(takeLocks, []int64{lockOf("hub ownership")})
		b.Queue(`delete from hub.process where id = $1`, process)
		b.Queue(`update hub.shard set process = null, until = null
			where process = $1 and number not in (select shard from hub.hospital where id = any($2::text[]))`, process, notNil(busy))
		// The new fence stops an exchange that is about to send.
		b.Queue(`update hub.queue set process = null, lease_until = null, takeover_at = null, fence = fence + 1
			where process = $1 and sent_at is null and lease_until is not null`, process)
	})
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// Workers is how many processes work hospitals now. One that was killed counts until
// the time ends for which it owned them.
func (s *Store) Workers(ctx context.Context) (n int, err error) {
	if err := s.calm.QueryRow(ctx, `select count(distinct process) from hub.shard where until > clock_timestamp()`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the processes that work hospitals: %w", err)
	}
	return n, nil
}

// notNil is what an array parameter needs: null is in no comparison.
func notNil(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
