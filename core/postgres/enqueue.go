package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/reconcile"
)

// EnqueueOptions say more about an acceptance.
type EnqueueOptions struct {
	// Submission is the submitter's own reference, echoed in every event of the
	// message; Announce adds the event "accepted" in the same transaction.
	Submission string
	Announce   bool
	// Trace is the W3C traceparent of the request.
	Trace string
}

// Enqueue accepts a message in a transaction of its own, together with whoever
// else enqueues at this moment. It returns when that is durable.
func (s *Store) Enqueue(ctx context.Context, hospital string, m core.Message) (core.Accepted, error) {
	return s.enqueue(ctx, hospital, m, EnqueueOptions{})
}

// EnqueueAs is Enqueue with more said about where the message comes from. What
// comes from elsewhere never moves money: it refuses what goes to a payment channel.
func (s *Store) EnqueueAs(ctx context.Context, hospital string, m core.Message, c EnqueueOptions) (core.Accepted, error) {
	if t, _ := core.Lookup(m.Kind); t.Mode == core.ToChannel {
		return core.Accepted{}, core.Problems{{Field: "kind", What: "only the hub itself tells a payment channel to pay back"}}
	}
	return s.enqueue(ctx, hospital, m, c)
}

func (s *Store) enqueue(ctx context.Context, hospital string, m core.Message, c EnqueueOptions) (core.Accepted, error) {
	e, err := s.enqueueing(hospital, m, c)
	if err != nil {
		return core.Accepted{}, err
	}
	began := time.Now()
	r, err := s.accepts.do(ctx, e)
	if err == nil && !r.held {
		r, err = s.acceptAlone(ctx, e)
	}
	if err != nil {
		return core.Accepted{}, fmt.Errorf("enqueue %s: %w", m.Kind, err)
	}
	s.Accepted(time.Since(began))
	if r.id != 0 && !e.done {
		s.Woken(hospital)
	}
	return s.accepted(ctx, s.calm, e, r)
}

// In returns an Outbox bound to the caller's transaction: what it accepts is
// accepted when that transaction commits, and telling a dispatcher of it (a
// wake-up) is up to the caller then.
//
// The transaction holds the message's lane until it ends, so it should end soon,
// and it must be READ COMMITTED. Two transactions that each enqueue into the
// same lanes in opposite order may deadlock, as with any rows; PostgreSQL undoes
// one of them (40P01).
func (s *Store) In(tx pgx.Tx) core.Outbox { return bound{s, tx} }

type bound struct {
	s  *Store
	tx pgx.Tx
}

func (b bound) Enqueue(ctx context.Context, hospital string, m core.Message) (core.Accepted, error) {
	e, err := b.s.enqueueing(hospital, m, EnqueueOptions{})
	if err != nil {
		return core.Accepted{}, err
	}
	r, err := acceptIn(ctx, b.tx, e)
	if err != nil {
		return core.Accepted{}, fmt.Errorf("enqueue %s: %w", m.Kind, err)
	}
	return b.s.accepted(ctx, b.tx, e, r)
}

// enqueueing is a message ready to be written.
type enqueueing struct {
	hospital, kind, key, lane string
	laneLock, keyLock         int64
	digest, sealed            []byte
	test                      bool
	done                      bool // nobody is told
	EnqueueOptions
	entry *ledgerEntry
	body  core.Body
	found []int64 // tokens, see found.go
}

// enqueued is what became of it. Neither id nor old are set for an unknown
// hospital; nothing is when its locks were not held.
type enqueued struct {
	held      bool
	known     bool
	id        int64
	old       int64
	oldDigest []byte
}

// ledgerEntry is the money that a message tells of.
type ledgerEntry struct {
	core.LedgerEntry
	business reconcile.Business
	untold   bool
}

// entryOf is nil for a message of no money.
func entryOf(b core.Body) *ledgerEntry {
	switch b := b.(type) {
	case *core.Payment:
		return &ledgerEntry{core.LedgerEntry{Type: core.EntryPayment, Number: b.OrderID, Channel: b.Channel, ChannelNo: b.ChannelNo,
			Amount: b.Amount, At: b.PaidAt, Bill: strings.Join(b.Bills, ",")}, reconcile.Outpatient, false}
	case *core.Refund:
		return &ledgerEntry{core.LedgerEntry{Type: core.EntryRefund, Number: b.RefundNo, OrderID: b.OrderID, Channel: b.Channel, ChannelNo: b.ChannelRefundNo,
			Amount: b.Amount, At: b.RefundedAt, Reversal: b.Reversal}, reconcile.Outpatient, false}
	case *core.AppointmentPayment:
		return &ledgerEntry{core.LedgerEntry{Type: core.EntryPayment, Number: b.OrderID, Channel: b.Channel, ChannelNo: b.ChannelNo,
			Amount: b.Amount, At: b.PaidAt}, reconcile.Registration, false}
	case *core.AppointmentCancelling:
		if b.Amount == 0 {
			return nil
		}
		return &ledgerEntry{core.LedgerEntry{Type: core.EntryRefund, Number: b.RefundNo, OrderID: b.OrderID, Channel: b.Channel, ChannelNo: b.ChannelRefundNo,
			Amount: b.Amount, At: b.CancelledAt}, reconcile.Registration, false}
	case *core.LedgerRecord:
		return &ledgerEntry{core.LedgerEntry{Type: b.Type, Number: b.Number, OrderID: b.OrderID, Channel: b.Channel, ChannelNo: b.ChannelNo,
			Amount: b.Amount, At: b.At}, reconcile.Outpatient, true}
	case *core.ChannelRefund:
		// The channel's number of the refund is known once it is delivered.
		return &ledgerEntry{core.LedgerEntry{Type: core.EntryRefund, Number: b.RefundNo, OrderID: b.OrderID, Channel: b.Channel,
			Amount: b.Amount, At: b.AskedAt}, reconcile.Outpatient, true}
	}
	return nil
}

func (s *Store) enqueueing(hospital string, m core.Message, c EnqueueOptions) (enqueueing, error) {
	if err := m.Validate(); err != nil {
		return enqueueing{}, err
	}
	if !printable(m.Lane) {
		return enqueueing{}, core.Problems{{Field: "lane", What: "holds characters that cannot be printed"}}
	}
	t, _ := core.Lookup(m.Kind)
	done := t.Mode == core.Record
	if !done && !s.Can(hospital, m.Kind) {
		return enqueueing{}, core.ErrCannot
	}
	c.Submission, c.Trace = clean(c.Submission), clean(c.Trace)
	content, err := json.Marshal(m.Body)
	if err != nil {
		return enqueueing{}, fmt.Errorf("write %s as JSON: %w", m.Kind, err)
	}
	e := enqueueing{
		hospital: hospital, kind: string(m.Kind), key: m.Key(), lane: m.LaneOrDefault(),
		digest: s.keys.Digest(content), sealed: s.sealBody(hospital, m.Kind, m.Key(), content),
		test: m.Test, done: done, EnqueueOptions: c, entry: entryOf(m.Body), body: m.Body,
	}
	e.laneLock, e.keyLock = laneLock(hospital, e.lane), keyLock(hospital, m.Kind, e.key)
	e.found = s.FoundBy(m.Body, e.key, e.lane)
	return e, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// accepted turns the result into the Outbox's answer. A repeated key is the same
// message when its content is; else it is a Conflict, which names the fields.
func (s *Store) accepted(ctx context.Context, q querier, e enqueueing, r enqueued) (core.Accepted, error) {
	switch {
	case r.id != 0:
		return core.Accepted{ID: r.id}, nil
	case !r.known:
		return core.Accepted{}, core.ErrUnknownHospital
	case slices.Equal(r.oldDigest, e.digest):
		return core.Accepted{ID: r.old, Duplicate: true}, nil
	}
	old, err := s.bodyOf(ctx, q, r.old)
	if errors.Is(err, ErrNotFound) { // its bytes are past their retention
		return core.Accepted{}, &core.Conflict{ID: r.old}
	}
	if err != nil {
		return core.Accepted{}, fmt.Errorf("enqueue %s: compare with the message that has this key: %w", e.kind, err)
	}
	if fields := differing(old, e.body); len(fields) > 0 {
		return core.Accepted{}, &core.Conflict{ID: r.old, Fields: fields}
	}
	return core.Accepted{ID: r.old, Duplicate: true}, nil
}

// refundKnown: the ledger has the refund of row f, by what did not give way to
// another message since.
const refundKnown = `exists (select from hub.ledger_entry l left join hub.message o on o.id = l.message
		where l.type = 'refund' and l.number = f.number and l.hospital = f.hospital and o.superseded_by is null)`

// accept writes messages. It is one statement, whose snapshot is taken after
// the locks of the statement before it were obtained: it sees all that those
// who held them before have committed.
//
// Each part that writes a table costs the server time before it has a row to write,
// so those of money and of announcements are left out of a batch that has none.
const (
	accept      = acceptRows + acceptMoney + acceptTold + acceptEnd
	acceptPlain = acceptRows + acceptEnd
)

const acceptRows = `
	with input as materialized (
		select i.*, h.id is not null as known, substr(current_setting('hub.held'), i.n::integer, 1) = '1' as held, old.id as old, old.digest as old_digest
		from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::boolean[], $8::text[], $9::text[], $10::boolean[],
			$11::text[], $12::text[], $13::text[], $14::bigint[], $15::timestamptz[], $16::boolean[], $17::text[], $18::text[], $19::text[], $20::text[],
			$21::boolean[], $22::boolean[])
			with ordinality as i(hospital, kind, key, lane, digest, sealed, test, submission, trace, announce,
				entry, channel, channel_no, amount, entry_at, done, number, order_id, business, bill, reversal, told, n)
		left join hub.hospital h on h.id = i.hospital
		-- The limit and the || leave no way but to look each key up in its index. A
		-- plan that was made while there were few messages would else read all of
		-- them, or all of the hospital, and still do so when there are many.
		left join lateral (select m.id, m.digest from hub.message m
			where m.key = i.key and m.hospital || '' = i.hospital and m.kind = i.kind and m.superseded_by is null limit 1) old on true
		where current_setting('transaction_isolation') = 'read committed'
	), fresh as materialized (
		-- Ids in the order in which they came, so that a lane keeps it.
		select nextval('hub.message_id') as id, clock_timestamp() as at,
			row_number() over (partition by o.hospital, o.lane, o.done order by o.n) = 1 as first, o.*
		from (select * from input where held and known and old is null order by n) o
		order by o.n
	), message as (
		insert into hub.message (id, hospital, kind, key, lane, place, state, digest, test, submission, trace, accepted_at, decided_at)
		select id, hospital, kind, key, lane, id, case when done then 'delivered' else 'queued' end, digest, test, nullif(submission, ''), nullif(trace, ''),
			at, case when done then at end from fresh
	), body as (
		insert into hub.body (message, accepted_at, sealed) select id, at, sealed from fresh
	), found_by as (
		insert into hub.found_by (token, message, accepted_at)
		select t.token, f.id, f.at from unnest($23::bigint[], $24::integer[]) as t(token, of) join fresh f on f.n = t.of
	), queue as (
		insert into hub.queue (message, hospital, kind, key, lane, place, head, due, accepted_at)
		select id, hospital, kind, key, lane, id,
			first and not exists (select from hub.queue h where h.hospital = f.hospital and h.lane = f.lane and h.head),
			at, at
		from fresh f where not done`

const acceptMoney = `
	), replaced as (
		-- The refund that a channel was told to pay was put down for want of the one
		-- that tells of it, which is this.
		delete from hub.ledger_entry l using fresh f
		where f.entry = 'refund' and f.kind <> 'channel.refund' and l.type = 'refund' and l.number = f.number and l.hospital = f.hospital
			and not l.told and exists (select from hub.message c where c.id = l.message and c.kind = 'channel.refund')
	), entry as (
		insert into hub.ledger_entry (message, hospital, at, type, number, channel, channel_no, amount, order_id, business, bill, reversal, told)
		select id, hospital, entry_at, entry, number, channel, channel_no, amount, order_id, business, bill, reversal, told from fresh f
		where entry is not null and (kind <> 'channel.refund' or not ` + refundKnown + `)`

const acceptTold = `
	), event as (
		insert into hub.event (hospital, message, kind, key, type, data)
		select hospital, id, kind, key, 'message.accepted', jsonb_strip_nulls(jsonb_build_object('submission', nullif(submission, ''))) from fresh where announce`

const acceptEnd = `
	)
	select n, true, true, id, 0, null::bytea from fresh
	union all
	-- What is known already may be known to this server alone, to be lost with it: see waitsForStandby.
	select n, held, known, 0, coalesce(old, 0), old_digest from input where not (held and known and old is null)
		and (old is null or ` + waitsForStandby + `)`

// waitsForStandby is true, and makes of a statement that only reads one whose commit waits for
// the synchronous standby, if there is one. What is visible is not always there, too:
// whoever wrote it may have been ended while he waited.
const waitsForStandby = `(current_setting('synchronous_standby_names') = '' or pg_logical_emit_message(true, 'hishub', '') is not null)`

// acceptOf is the statement that a batch needs.
func acceptOf(es []enqueueing) string {
	if slices.ContainsFunc(es, func(e enqueueing) bool { return e.entry != nil || e.Announce }) {
		return accept
	}
	return acceptPlain
}

// acceptAll accepts a batch in one round trip and one transaction.
func (s *Store) acceptAll(ctx context.Context, es []enqueueing) ([]enqueued, error) {
	lanes, keys := make([]int64, len(es)), make([]int64, len(es))
	seen := make(map[int64]bool, len(es))
	for i := range es {
		lanes[i], keys[i] = es[i].laneLock, es[i].keyLock
		if seen[keys[i]] {
			// The same key twice at once: the second must see the first committed.
			es[i].hospital = ""
		}
		seen[keys[i]] = true
	}
	b := &pgx.Batch{}
	b.Queue(tryLocks, lanes, keys)
	b.Queue(acceptOf(es), acceptArgs(es)...)
	var results []enqueued
	err := s.send(ctx, b, func(br pgx.BatchResults) (err error) {
		if _, err = br.Exec(); err != nil {
			return err
		}
		results, err = readAccepted(br, len(es))
		return err
	})
	for i := range results {
		if es[i].hospital == "" {
			results[i] = enqueued{}
		}
	}
	return results, err
}

// acceptAlone accepts one whose lane or key was busy, and waits for it.
func (s *Store) acceptAlone(ctx context.Context, e enqueueing) (r enqueued, err error) {
	err = s.alongside(ctx, func(tx pgx.Tx) error {
		r, err = acceptIn(ctx, tx, e)
		return err
	})
	return r, err
}

func acceptIn(ctx context.Context, tx pgx.Tx, e enqueueing) (enqueued, error) {
	locks := []int64{e.laneLock, e.keyLock}
	slices.Sort(locks)
	b := &pgx.Batch{}
	b.Queue(takeLocks, locks)
	b.Queue(acceptOf([]enqueueing{e}), acceptArgs([]enqueueing{e})...)
	br := tx.SendBatch(ctx, b)
	defer func() { _ = br.Close() }() // after an error; the good end is checked below
	if _, err := br.Exec(); err != nil {
		return enqueued{}, err
	}
	rs, err := readAccepted(br, 1)
	if err != nil {
		return enqueued{}, err
	}
	return rs[0], br.Close()
}

func acceptArgs(es []enqueueing) []any {
	n := len(es)
	hospital, kind, key, lane := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	digest, sealed := make([][]byte, n), make([][]byte, n)
	test, announce := make([]bool, n), make([]bool, n)
	submission, trace := make([]string, n), make([]string, n)
	entry, channel, channelNo := make([]*string, n), make([]*string, n), make([]*string, n)
	amount, at := make([]*int64, n), make([]*time.Time, n)
	number, orderID, business, bill := make([]*string, n), make([]*string, n), make([]*string, n), make([]*string, n)
	done, reversal, told := make([]bool, n), make([]bool, n), make([]bool, n)
	var tokens []int64
	var tokenOf []int32
	for i := range es {
		e := &es[i]
		hospital[i], kind[i], key[i], lane[i] = e.hospital, e.kind, e.key, e.lane
		digest[i], sealed[i] = e.digest, e.sealed
		test[i], announce[i] = e.test, e.Announce
		submission[i], trace[i], done[i] = e.Submission, e.Trace, e.done
		for _, token := range e.found {
			tokens, tokenOf = append(tokens, token), append(tokenOf, int32(i+1))
		}
		if l := e.entry; l != nil {
			kind, by, of, fen := string(l.Type), string(l.Channel), string(l.business), int64(l.Amount)
			entry[i], channel[i], channelNo[i], amount[i], at[i] = &kind, &by, &l.ChannelNo, &fen, &l.At
			number[i], orderID[i], business[i], bill[i], reversal[i], told[i] = &l.Number, &l.OrderID, &of, &l.Bill, l.Reversal, !l.untold
		}
	}
	return []any{hospital, kind, key, lane, digest, sealed, test, submission, trace, announce, entry, channel, channelNo, amount, at,
		done, number, orderID, business, bill, reversal, told, tokens, tokenOf}
}

func readAccepted(br pgx.BatchResults, n int) ([]enqueued, error) {
	rows, err := br.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	results, got := make([]enqueued, n), 0
	for rows.Next() {
		var i int
		var r enqueued
		if err := rows.Scan(&i, &r.held, &r.known, &r.id, &r.old, &r.oldDigest); err != nil {
			return nil, err
		}
		results[i-1] = r
		got++
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if got != n {
		return nil, errors.New("the transaction is not READ COMMITTED, which lanes need")
	}
	return results, nil
}
