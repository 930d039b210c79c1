package postgres

import (
	"context"
	"hash/fnv"
	"slices"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Lanes. Messages of a lane are delivered one after the other, in the order in
// which their acceptance was committed. Of a lane that is not empty exactly one
// row is the head, the only one that can be claimed; parked rows with "pass"
// don't count as members. The rule that keeps this true:
//
//	Who changes the membership of a lane first takes the lane's advisory lock,
//	which ends with the transaction, and looks at the lane in a later statement.
//
// Under READ COMMITTED a later statement sees everything that was committed by
// those who held the lock before. Without the lock, two transactions could each
// leave the promotion to the other, or both be first in an empty lane.

// A batch only *tries* its locks, because a caller's transaction may hold a lane
// for as long as it pleases and must not hold up a hundred others. The setting
// hub.held, local to the transaction, tells the following statements in the same
// round trip, with a digit for each wish, whether its locks were obtained.
const (
	tryLocks = `select set_config('hub.held', coalesce(string_agg(
		case when (a = 0 or pg_try_advisory_xact_lock(a)) and (b = 0 or pg_try_advisory_xact_lock(b)) then '1' else '0' end, '' order by n), ''), true)
		from unnest($1::bigint[], $2::bigint[]) with ordinality as l(a, b, n)`
	// takeLocks waits. In sorted order two waiters cannot wait for each other.
	takeLocks = `select set_config('hub.held', '1', true), count(*) from (
		select pg_advisory_xact_lock(l) from unnest($1::bigint[]) l) locked`

	// promote gives lanes without a head their first member as head.
	promote = `
		update hub.queue q set head = true
		from unnest($1::text[], $2::text[], $3::integer[]) l(hospital, lane, n)
		cross join lateral (
			select f.message from hub.queue f
			where f.hospital = l.hospital and f.lane = l.lane and not (f.state = 'parked' and f.pass)
			order by f.place limit 1) first
		where substr(current_setting('hub.held'), l.n, 1) = '1'
			and q.message = any(array[first.message]) and not q.head
			and not exists (select from hub.queue h where h.hospital = l.hospital and h.lane = l.lane and h.head)
		returning q.hospital, q.lane`
)

// lockOf is the advisory lock of a lane or key. Different lanes may share one:
// that costs a wait and nothing else.
func lockOf(parts ...string) int64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return int64(h.Sum64()) | 1 // never 0, which means none
}

func laneLock(hospital, lane string) int64 { return lockOf("hub lane", hospital, lane) }

// keyLock keeps two transactions from inserting the same key, which would make
// the second wait for the first's end inside the unique index.
func keyLock(hospital string, kind core.Kind, key string) int64 {
	return lockOf("hub key", hospital, string(kind), key)
}

// lock takes locks in a transaction and waits for them.
func lock(ctx context.Context, tx pgx.Tx, locks ...int64) error {
	slices.Sort(locks)
	_, err := tx.Exec(ctx, takeLocks, locks)
	return err
}

// patiently runs f while few others do: f waits for busy locks on a connection.
func (s *Store) patiently(ctx context.Context, f func() error) error {
	select {
	case s.alone <- struct{}{}:
		defer func() { <-s.alone }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}
