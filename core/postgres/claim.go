package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// claimable: not claimed, or its claim ran out. One whose bytes may have left is
// left alone until the call that carries them must have ended too.
const claimable = `q.head and q.state = 'queued' and q.due <= statement_timestamp()
	and (q.lease_until is null or case when q.sent_at is null then q.lease_until else q.takeover_at end <= statement_timestamp())`

// due hospitals of a process: one look into the index for each. The limit keeps
// it so; without it a plan that was made while the queue was empty walks all of it.
const due = `
	select h.id from hub.hospital h join hub.shard s on s.number = h.shard
		cross join lateral (select from hub.queue q where q.hospital = h.id and ` + claimable + ` order by q.due limit 1) q
	where s.process = $1 and s.until > clock_timestamp() and h.paused_at is null`

// Due implements delivery.Store.
func (s *Store) Due(ctx context.Context, process string) ([]string, error) {
	rows, err := s.hot.Query(ctx, due, process)
	var hospitals []string
	if err == nil {
		hospitals, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return nil, fmt.Errorf("look for due hospitals: %w", err)
	}
	return hospitals, nil
}

// claiming is a hospital's wish for claims.
type claiming struct {
	process, hospital string
	wanted            int
	leaseUS           int64
	deadlineUS        int64
	kinds             string // those wanted, with commas between; "" is all
}

// claimRow is a claim as it was stored.
type claimRow struct {
	delivery.Delivery
	key                      string
	takeover                 time.Time
	pin                      int // the revision that a replay wants, see Store.ReplayNext; 0 is the newest
	progress, secret, sealed []byte
}

// claim gives a fence that was never given before, also not by a claim that was lost
// with a crash of the database or a failover: its holder may still be there, and must
// neither send nor settle under what another holds now.
//
// It keeps sent_at of a claim that ran out: if this process ends too before
// it has settled anything, the next one must still know that bytes may have left.
//
// It serves several hospitals at once, each with its own number: a thousand of
// them take no more connections than one, and wait for nobody, because rows that
// are locked are left to the next look.
const claim = `
	with asked as materialized (
		select a.* from unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::text[])
			with ordinality as a(process, hospital, wanted, lease_us, deadline_us, kinds, n)
		where exists (select from hub.hospital h join hub.shard s on s.number = h.shard
			where h.id = a.hospital and h.paused_at is null and s.process = a.process and s.until > clock_timestamp())
	), picked as materialized (
		select q.*, a.n, a.process, a.lease_us, a.deadline_us from asked a cross join lateral (
			select q.message, q.sent_at, q.takeover_at from hub.queue q
			where q.hospital = a.hospital and ` + claimable + `
				and (a.kinds = '' or q.kind = any(string_to_array(a.kinds, ',')))
			order by q.due limit a.wanted
			for update of q skip locked) q
	), claimed as (
		update hub.queue q set fence = q.fence + 1 + floor(random() * 1000000000)::bigint, process = p.process, lease_us = p.lease_us, deadline_us = p.deadline_us,
			lease_until = clock_timestamp() + p.lease_us * interval '1 microsecond',
			takeover_at = clock_timestamp() + (p.lease_us + p.deadline_us) * interval '1 microsecond'
		from picked p where q.message = any(array[p.message])
		returning q.*, p.n, p.sent_at as was_sent, p.takeover_at as was_until
	)
	select c.n, c.hospital, c.message, c.kind, c.key, c.lane, c.accepted_at, c.revision, c.fence, c.lease_until,
		c.was_sent is not null, coalesce(c.was_until, 'epoch'), c.cancel_wanted, coalesce(c.pin, 0), c.progress, c.secret, b.sealed
	from claimed c left join hub.body b on b.message = c.message and b.accepted_at = c.accepted_at
	order by c.due`

// claimTraced gives the trace, too; a message's row is looked up for it.
var claimTraced = strings.Replace(strings.Replace(claim, "c.secret, b.sealed", "c.secret, b.sealed, coalesce(m.trace, '')", 1),
	"order by c.due", "left join hub.message m on m.id = c.message order by c.due", 1)

// Claim implements delivery.Store. What cannot be opened is parked instead.
func (s *Store) Claim(ctx context.Context, process, hospital string, n int, lease, deadline time.Duration, kinds ...core.Kind) ([]delivery.Delivery, error) {
	only := make([]string, len(kinds))
	for i, k := range kinds {
		only[i] = string(k)
	}
	rows, err := s.claims.do(ctx, claiming{process, hospital, n, lease.Microseconds(), deadline.Microseconds(), strings.Join(only, ",")})
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	claimed := make([]delivery.Delivery, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		d := &r.Delivery
		err := s.unpack(ctx, d, r.key, r.progress, r.secret, r.sealed)
		if d.Interrupted && (err != nil || d.Phase != delivery.Inquire && d.LastByte.Before(r.takeover)) {
			d.LastByte = r.takeover
		}
		if err != nil {
			because := delivery.Next{State: delivery.Parked, Progress: d.Progress, Class: core.Invalid, Because: err.Error()}
			if _, err := s.Settle(ctx, d, nil, because); err != nil {
				return claimed, fmt.Errorf("claim: park what cannot be opened: %w", err)
			}
			continue
		}
		if !d.Sent() && !d.Interrupted {
			d.Revision = r.pin // nothing of it is at the HIS: the newest folder says it, unless it is pinned
		}
		claimed = append(claimed, *d)
	}
	return claimed, nil
}

// claimAll claims for several hospitals in one transaction.
func (s *Store) claimAll(ctx context.Context, as []claiming) ([][]claimRow, error) {
	b := &pgx.Batch{}
	// Not waiting for the disk here loses nothing: a claim that a crash of the
	// database undoes is a row that can be claimed again, and nothing was sent
	// under it, because Sent, which is durable, is committed after it.
	b.Queue(`select set_config('synchronous_commit', 'off', true)`)
	sql := claim
	if s.Traced {
		sql = claimTraced
	}
	b.Queue(sql, claimArgs(as)...)
	claimed := make([][]claimRow, len(as))
	began, size := time.Now(), 0
	err := s.send(ctx, b, func(br pgx.BatchResults) error {
		if _, err := br.Exec(); err != nil {
			return err
		}
		rows, err := br.Query()
		if err != nil {
			return err
		}
		defer rows.Close()
		for ; rows.Next(); size++ {
			var i int
			var r claimRow
			d := &r.Delivery
			columns := []any{&i, &d.Hospital, &d.ID, &d.Kind, &r.key, &d.Lane, &d.Accepted, &d.Revision, &d.Fence, &d.LeaseUntil,
				&d.Interrupted, &r.takeover, &d.CancelWanted, &r.pin, &r.progress, &r.secret, &r.sealed}
			if s.Traced {
				columns = append(columns, &d.Trace)
			}
			if err := rows.Scan(columns...); err != nil {
				return err
			}
			claimed[i-1] = append(claimed[i-1], r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	s.Batch("claim", size, time.Since(began))
	return claimed, nil
}

func claimArgs(as []claiming) []any {
	return []any{
		column(as, func(a *claiming) string { return a.process }),
		column(as, func(a *claiming) string { return a.hospital }),
		column(as, func(a *claiming) int32 { return int32(a.wanted) }),
		column(as, func(a *claiming) int64 { return a.leaseUS }),
		column(as, func(a *claiming) int64 { return a.deadlineUS }),
		column(as, func(a *claiming) string { return a.kinds }),
	}
}

// secret is the part of delivery.Progress that may name a patient or unlock
// something.
type secret struct {
	Captured map[string]string `json:"captured,omitempty"`
	Words    string            `json:"words,omitempty"`
}

func (s *Store) unpack(ctx context.Context, d *delivery.Delivery, key string, progress, sealedSecret, sealedBody []byte) (err error) {
	if d.Progress, err = s.openProgress(ctx, d.ID, progress, sealedSecret); err != nil {
		return err
	}
	if sealedBody == nil {
		return fmt.Errorf("the stored body is missing")
	}
	if d.Body, err = s.openBody(ctx, sealedBody, d.Hospital, d.Kind, key); err != nil {
		return fmt.Errorf("the stored body cannot be read: %w", err)
	}
	return nil
}

func (s *Store) openProgress(ctx context.Context, id int64, plain, sealed []byte) (p delivery.Progress, err error) {
	p.Phase = delivery.Send
	if plain != nil {
		if err := json.Unmarshal(plain, &p); err != nil {
			return p, fmt.Errorf("the stored progress cannot be read: %w", err)
		}
	}
	if sealed != nil {
		text, err := s.openText(ctx, sealed, sealedProgress, id)
		var hidden secret
		if err == nil {
			err = json.Unmarshal([]byte(text), &hidden)
		}
		if err != nil {
			return p, fmt.Errorf("what was captured cannot be read: %w", err)
		}
		p.Captured, p.Words = hidden.Captured, hidden.Words
	}
	return p, nil
}

// sealProgress splits a progress into what may stand in the open and what may not.
func (s *Store) sealProgress(id int64, p delivery.Progress) (plain *string, sealed []byte) {
	hidden := secret{p.Captured, p.Words}
	p.Captured, p.Words = nil, ""
	p.Receipt, p.Reason = storable(p.Receipt), clean(p.Reason)
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings, numbers and times within their years
	}
	if len(hidden.Captured) > 0 || hidden.Words != "" {
		h, err := json.Marshal(hidden)
		if err != nil {
			panic(err)
		}
		sealed = s.sealText(string(h), sealedProgress, id)
	}
	open := string(text)
	return &open, sealed
}

// mark is a wish to send.
type mark struct {
	message, fence int64
	revision       int
}

// Sent implements delivery.Store. It sets d.Revision.
func (s *Store) Sent(ctx context.Context, d *delivery.Delivery, revision int) error {
	ok, err := s.marks.do(ctx, mark{d.ID, d.Fence, revision})
	if err != nil {
		return fmt.Errorf("mark as sent: %w", err)
	}
	if !ok {
		return delivery.ErrLeaseLost
	}
	d.Revision = revision
	return nil
}

// markSent finds nothing where the lease is over, or where the hospital is paused:
// what was claimed before a pause, and a further step of what was in flight, waits. A
// pause that is answered in the middle of a mark has waited for it, see Store.Pause.
const markSent = `
	update hub.queue q set sent_at = clock_timestamp(), revision = i.revision
	from unnest($1::bigint[], $2::bigint[], $3::integer[]) i(message, fence, revision)
	where q.message = any(array[i.message]) and q.fence = i.fence and q.lease_until > clock_timestamp()
		and (select h.paused_at is null from hub.hospital h where h.id = q.hospital)
	returning q.message, q.fence`

func (s *Store) markAll(ctx context.Context, ms []mark) ([]bool, error) {
	message, fence, revision := make([]int64, len(ms)), make([]int64, len(ms)), make([]int, len(ms))
	at := make(map[mark]int, len(ms))
	for i, m := range ms {
		message[i], fence[i], revision[i] = m.message, m.fence, m.revision
		at[mark{message: m.message, fence: m.fence}] = i
	}
	rows, err := s.hot.Query(ctx, markSent, message, fence, revision)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ok := make([]bool, len(ms))
	for rows.Next() {
		var m mark
		if err := rows.Scan(&m.message, &m.fence); err != nil {
			return nil, err
		}
		ok[at[m]] = true
	}
	return ok, rows.Err()
}
