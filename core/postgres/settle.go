package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// settlement is an attempt and what follows, ready to be written.
type settlement struct {
	message, fence int64
	lane           string
	hospital       string
	kind           core.Kind
	accepted       time.Time
	lock           int64 // of the lane; 0 when its membership stays

	state      string
	after      int64 // microseconds
	progress   *string
	secret     []byte
	attempts   int
	class      string
	reason     string
	words      []byte
	show       bool
	refund     bool
	receipt    *string
	hisNo      string
	pass       bool
	mayBeSent  bool
	attempted  bool
	number     int
	phase      string
	step       string
	connector  string
	operation  string
	outcome    string
	rule       string
	because    string
	said       []byte
	durationUS int64
	request    []byte
	answer     []byte
	stamp      []byte // the 16 bytes of attempt.id
	serial     int64
	askedAt    time.Time
	head       string
}

// settled is what became of it.
type settled struct {
	held         bool
	lost         bool
	promoted     bool
	leaseUntil   time.Time
	cancelWanted bool
}

// Settle implements delivery.Store. After a Next of Sending it updates d: the
// renewed lease, the progress, and the wish to cancel that a person may have had
// meanwhile. A Settle that is repeated because its answer was lost with the
// connection finds what it wrote and succeeds.
//
// A refusal with RefundNow is announced by the one event "refund_now" in place
// of "cancelled".
func (s *Store) Settle(ctx context.Context, d *delivery.Delivery, a *delivery.Attempt, n delivery.Next) (promoted bool, err error) {
	w := s.settlement(d, a, n)
	s.NoteCodes(d.Hospital, d.ID, n.Codes...)
	if a != nil {
		s.NoteCodes(d.Hospital, d.ID, a.Exchange.Codes...)
	}
	r, err := s.settles.do(ctx, w)
	if err == nil && !r.held {
		err = s.alongside(ctx, func(tx pgx.Tx) error {
			r, err = settleIn(ctx, tx, w)
			return err
		})
	}
	if err != nil {
		return false, fmt.Errorf("settle: %w", err)
	}
	if r.lost {
		return false, delivery.ErrLeaseLost
	}
	if n.State == delivery.Sending {
		d.Progress, d.LeaseUntil, d.CancelWanted = n.Progress, r.leaseUntil, r.cancelWanted
	}
	return r.promoted, nil
}

func (s *Store) settlement(d *delivery.Delivery, a *delivery.Attempt, n delivery.Next) settlement {
	w := settlement{
		message: d.ID, fence: d.Fence, hospital: d.Hospital, lane: d.Lane, kind: d.Kind, accepted: d.Accepted,
		state: string(n.State), after: n.After.Microseconds(), attempts: n.Attempts,
		class: string(n.Class), reason: clean(reasonOf(n, a)), show: n.ShowPatient, refund: n.RefundNow,
		mayBeSent: !n.LastByte.IsZero(), because: clean(n.Because),
		words: s.sealText(n.Words, sealedWords, d.ID),
	}
	w.progress, w.secret = s.sealProgress(d.ID, n.Progress)
	if r := storable(n.Receipt); r != nil {
		text, err := json.Marshal(r)
		if err != nil {
			panic(err) // three strings and a number
		}
		receipt := string(text)
		w.receipt, w.hisNo = &receipt, r.HisNo
	}
	if n.State == delivery.Parked {
		t, _ := core.Lookup(d.Kind)
		w.pass = !t.Money && s.PassWhenParked(d.Hospital, d.Kind)
	}
	if n.State == delivery.Delivered || n.State == delivery.Cancelled || w.pass {
		w.lock = laneLock(d.Hospital, d.Lane)
	}
	if a != nil {
		x := &a.Exchange
		w.attempted, w.number, w.phase, w.step = true, a.Number, string(a.Phase), clean(a.Step)
		w.connector, w.operation = clean(x.Connector), clean(x.Operation)
		w.outcome, w.rule = string(x.Verdict.Outcome), clean(x.Verdict.Rule)
		w.because = clean(becauseOf(reasonOf(n, a), x.Verdict.Forgave, x.Codes))
		w.durationUS = x.Ended.Sub(x.Started).Microseconds()
		w.said = s.sealText(x.Verdict.Words, sealedWords, d.ID)
		id := strconv.FormatInt(d.ID, 10)
		w.request = s.keys.Seal(x.Sent, sealedRequest, id)
		w.answer = s.keys.Seal(x.Received, sealedAnswer, id)
		w.stamp, w.serial, w.askedAt, w.head = rawID(x.Stamp.ID), x.Stamp.Serial, x.Stamp.At, clean(x.Head)
	}
	return w
}

// reasonOf is the decision with what made it necessary, where the HIS did not answer.
func reasonOf(n delivery.Next, a *delivery.Attempt) string {
	if a == nil || n.Class != core.Unavailable && n.Class != core.InDoubt {
		return n.Because
	}
	cause := a.Exchange.Cause().English
	if cause == "" || strings.HasSuffix(n.Because, cause) {
		return n.Because
	}
	return strings.TrimPrefix(n.Because+": "+cause, ": ")
}

// becauseOf is what an attempt says of its outcome: the reason, what a lenient
// format forgave on the way to it, and for which codes a default stood in.
func becauseOf(reason string, forgave []string, codes []core.CodeUse) string {
	if len(forgave) > 0 {
		reason += "; forgiven: " + strings.Join(forgave, "; ")
	}
	for _, u := range codes {
		if u.Defaulted {
			reason += "; " + u.String()
		}
	}
	return strings.TrimPrefix(reason, "; ")
}

// rawID is the id of a stamp in bytes; nil when it is none.
func rawID(id string) []byte {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) == 0 {
		return nil
	}
	return raw
}

// A settlement must never fail for what a HIS or a folder put into it: nobody
// else knows what the HIS answered.

// clean makes text storable: PostgreSQL takes neither broken UTF-8 nor NUL.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// maxReference bounds a HIS's own number, which is indexed, in bytes. Real ones
// have up to 64.
const maxReference = 256

// storable is the receipt with clean texts of bounded length.
func storable(r *core.Receipt) *core.Receipt {
	if r == nil {
		return nil
	}
	out := *r
	for _, text := range []*string{&out.HisNo, &out.InvoiceNo, &out.InvoiceURL, &out.CardNo, &out.QueueNo, &out.Number} {
		*text = clean((*text)[:min(len(*text), maxReference)])
	}
	return &out
}

// settle writes settlements. "mine" are those whose claim is still the current
// one; the attempts of the others are kept as late, and nothing else changes. A
// batch of which all ends, and no money was paid back, leaves out what is for the others.
const (
	settle    = settleGone + settleKept + settleDecided + settlePaidBack + settleTold
	settleEnd = settleGone + settleDecided + settleTold
)

const settleGone = `
	with input as materialized (
		select i.*, i.lock = 0 or substr(current_setting('hub.held'), i.n::integer, 1) = '1' as held
		from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::jsonb[], $7::bytea[], $8::integer[],
			$9::text[], $10::text[], $11::bytea[], $12::boolean[], $13::boolean[], $14::jsonb[], $15::text[], $16::boolean[], $17::boolean[],
			$18::boolean[], $19::integer[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[], $27::bytea[],
			$28::bigint[], $29::bytea[], $30::bytea[], $31::bytea[], $32::bigint[], $33::timestamptz[], $34::text[], $35::timestamptz[])
			with ordinality as i(message, fence, lock, state, after, progress, secret, attempts,
				class, reason, words, show, refund, receipt, his_no, pass, may_be_sent,
				attempted, number, phase, step, connector, operation, outcome, rule, because, said,
				duration, request, answer, stamp, serial, asked_at, head, accepted, n)
	), mine as materialized (
		select i.*, q.hospital, q.kind, q.key, q.revision, q.cancel_wanted, clock_timestamp() as now,
			clock_timestamp() + q.lease_us * interval '1 microsecond' as lease_until
		from input i join hub.queue q on q.message = any(array[i.message])
		where i.held and q.fence = i.fence and q.lease_until is not null
		for update of q
	), lost as materialized (
		-- After a failover the number may be another message's than the one that was claimed.
		select i.*, i.attempted and exists (select from hub.message g where g.id = i.message and g.accepted_at = i.accepted) as late,
			i.attempted and exists (select from hub.attempt a
			where a.message = i.message and a.fence = i.fence and a.number = i.number and not a.late) as repeated
		from input i where i.held and i.n not in (select n from mine)
	), gone as (
		delete from hub.queue q using mine m where q.message = any(array[m.message]) and m.state in ('delivered', 'cancelled')`

const settleKept = `
	), kept as (
		update hub.queue q set
			state = case m.state when 'parked' then 'parked' else 'queued' end,
			head = q.head and not m.pass, pass = m.pass,
			due = case m.state when 'queued' then m.now + m.after * interval '1 microsecond' else q.due end,
			process = case m.state when 'sending' then q.process end,
			lease_until = case m.state when 'sending' then m.lease_until end,
			takeover_at = case m.state when 'sending' then m.lease_until + q.deadline_us * interval '1 microsecond' end,
			sent_at = case when m.state = 'sending' and m.may_be_sent then q.sent_at end,
			attempts = m.attempts, class = nullif(m.class, ''), reason = m.reason, progress = m.progress, secret = m.secret,
			parked_at = case m.state when 'parked' then m.now end
		from mine m where q.message = any(array[m.message]) and m.state in ('queued', 'sending', 'parked')`

const settleDecided = `
	), decided as (
		update hub.message g set state = m.state, class = nullif(m.class, ''), reason = m.reason, words = m.words,
			show_patient = m.show, refund_now = m.refund, receipt = m.receipt, revision = m.revision, attempts = m.attempts,
			decided_at = case m.state when 'parked' then null else m.now end
		from mine m where g.id = m.message and m.state in ('delivered', 'cancelled', 'parked')
	), his_no as (
		insert into hub.his_no (his_no, hospital, message)
		select his_no, hospital, message from mine where state = 'delivered' and his_no <> '' on conflict do nothing`

const settlePaidBack = `
	), paid_back as (
		-- The number that the channel gave to the refund.
		update hub.ledger_entry l set channel_no = m.his_no from mine m
		where m.kind = 'channel.refund' and m.state = 'delivered' and m.his_no <> ''
			and l.type = 'refund' and l.number = any(array[m.key]) and l.hospital = m.hospital and l.channel_no = ''`

const settleTold = `
	), attempt as (
		insert into hub.attempt (message, number, fence, at, late, phase, step, connector, operation, outcome, rule, class, because, words, duration_us)
		select message, number, fence, now, false, phase, step, connector, operation, outcome, rule, class, because, said, duration from mine where attempted
		union all
		select message, number, fence, clock_timestamp(), true, phase, step, connector, operation, outcome, rule, class, because, said, duration
		from lost where late and not repeated
	), exchange as (
		insert into hub.exchange (message, number, late, at, request, answer, stamp, serial, asked_at, head)
		select message, number, false, now, request, answer, stamp, serial, asked_at, nullif(head, '') from mine
		where attempted and (request is not null or answer is not null)
		union all
		select message, number, true, clock_timestamp(), request, answer, stamp, serial, asked_at, nullif(head, '')
		from lost where late and not repeated and (request is not null or answer is not null)
	), event as (
		insert into hub.event (hospital, message, kind, key, type, data, words)
		select hospital, message, kind, key, 'message.' || case when refund then 'refund_now' else state end,
			jsonb_strip_nulls(jsonb_build_object(
				'class', nullif(class, ''), 'reason', case when state <> 'delivered' then reason end, 'show_patient', nullif(show, false),
				'receipt', receipt, 'submission', (select g.submission from hub.message g where g.id = m.message))),
			words
		from mine m where state in ('delivered', 'cancelled', 'parked')
	)
	select n, true, false, lease_until, cancel_wanted from mine
	union all
	select n, true, not repeated, now(), false from lost
	union all
	select n, false, false, now(), false from input where not held`

// settleOf is the statement that a batch needs.
func settleOf(ws []settlement) string {
	if slices.ContainsFunc(ws, func(w settlement) bool {
		return w.state != string(delivery.Delivered) && w.state != string(delivery.Cancelled) || (w.kind == core.PayBack || w.kind == "")
	}) {
		return settle
	}
	return settleEnd
}

// settleAll settles a batch in one round trip and one transaction.
func (s *Store) settleAll(ctx context.Context, ws []settlement) ([]settled, error) {
	locks, none := make([]int64, len(ws)), make([]int64, len(ws))
	for i := range ws {
		locks[i] = ws[i].lock
	}
	b := &pgx.Batch{}
	b.Queue(tryLocks, locks, none)
	return s.settleWith(ctx, b, ws)
}

func (s *Store) settleWith(ctx context.Context, b *pgx.Batch, ws []settlement) (results []settled, err error) {
	queueSettle(b, ws)
	err = s.send(ctx, b, func(br pgx.BatchResults) (err error) {
		results, err = readSettled(br, ws)
		return err
	})
	return results, err
}

// settleIn settles one whose lane was busy, and waits for it.
func settleIn(ctx context.Context, tx pgx.Tx, w settlement) (settled, error) {
	b := &pgx.Batch{}
	b.Queue(takeLocks, []int64{w.lock})
	ws := []settlement{w}
	queueSettle(b, ws)
	br := tx.SendBatch(ctx, b)
	defer func() { _ = br.Close() }() // after an error; the good end is checked below
	rs, err := readSettled(br, ws)
	if err != nil {
		return settled{}, err
	}
	return rs[0], br.Close()
}

type laneName struct{ hospital, lane string }

func queueSettle(b *pgx.Batch, ws []settlement) {
	b.Queue(settleOf(ws), settleArgs(ws)...)
	var hospitals, lanes []string
	var places []int32
	seen := map[laneName]bool{}
	for i := range ws {
		l := laneName{ws[i].hospital, ws[i].lane}
		if ws[i].lock != 0 && !seen[l] {
			seen[l] = true
			hospitals, lanes, places = append(hospitals, l.hospital), append(lanes, l.lane), append(places, int32(i+1))
		}
	}
	b.Queue(promote, hospitals, lanes, places)
}

func readSettled(br pgx.BatchResults, ws []settlement) ([]settled, error) {
	if _, err := br.Exec(); err != nil {
		return nil, err
	}
	rows, err := br.Query()
	if err != nil {
		return nil, err
	}
	results, got := make([]settled, len(ws)), 0
	for rows.Next() {
		var i int
		var r settled
		if err := rows.Scan(&i, &r.held, &r.lost, &r.leaseUntil, &r.cancelWanted); err != nil {
			rows.Close()
			return nil, err
		}
		results[i-1] = r
		got++
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if got != len(ws) {
		return nil, errors.New("not every settlement was answered")
	}
	promoted, err := readLanes(br)
	if err != nil {
		return nil, err
	}
	for i := range results {
		results[i].promoted = ws[i].lock != 0 && promoted[laneName{ws[i].hospital, ws[i].lane}]
	}
	return results, nil
}

func readLanes(br pgx.BatchResults) (map[laneName]bool, error) {
	rows, err := br.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lanes map[laneName]bool
	for rows.Next() {
		var l laneName
		if err := rows.Scan(&l.hospital, &l.lane); err != nil {
			return nil, err
		}
		if lanes == nil {
			lanes = map[laneName]bool{}
		}
		lanes[l] = true
	}
	return lanes, rows.Err()
}

func settleArgs(ws []settlement) []any {
	return []any{
		column(ws, func(w *settlement) int64 { return w.message }),
		column(ws, func(w *settlement) int64 { return w.fence }),
		column(ws, func(w *settlement) int64 { return w.lock }),
		column(ws, func(w *settlement) string { return w.state }),
		column(ws, func(w *settlement) int64 { return w.after }),
		column(ws, func(w *settlement) *string { return w.progress }),
		column(ws, func(w *settlement) []byte { return w.secret }),
		column(ws, func(w *settlement) int32 { return int32(w.attempts) }),
		column(ws, func(w *settlement) string { return w.class }),
		column(ws, func(w *settlement) string { return w.reason }),
		column(ws, func(w *settlement) []byte { return w.words }),
		column(ws, func(w *settlement) bool { return w.show }),
		column(ws, func(w *settlement) bool { return w.refund }),
		column(ws, func(w *settlement) *string { return w.receipt }),
		column(ws, func(w *settlement) string { return w.hisNo }),
		column(ws, func(w *settlement) bool { return w.pass }),
		column(ws, func(w *settlement) bool { return w.mayBeSent }),
		column(ws, func(w *settlement) bool { return w.attempted }),
		column(ws, func(w *settlement) int32 { return int32(w.number) }),
		column(ws, func(w *settlement) string { return w.phase }),
		column(ws, func(w *settlement) string { return w.step }),
		column(ws, func(w *settlement) string { return w.connector }),
		column(ws, func(w *settlement) string { return w.operation }),
		column(ws, func(w *settlement) string { return w.outcome }),
		column(ws, func(w *settlement) string { return w.rule }),
		column(ws, func(w *settlement) string { return w.because }),
		column(ws, func(w *settlement) []byte { return w.said }),
		column(ws, func(w *settlement) int64 { return w.durationUS }),
		column(ws, func(w *settlement) []byte { return w.request }),
		column(ws, func(w *settlement) []byte { return w.answer }),
		column(ws, func(w *settlement) []byte { return w.stamp }),
		column(ws, func(w *settlement) int64 { return w.serial }),
		column(ws, func(w *settlement) time.Time { return w.askedAt }),
		column(ws, func(w *settlement) string { return w.head }),
		column(ws, func(w *settlement) time.Time { return w.accepted }),
	}
}

// column is one field of all wishes, as an array parameter.
func column[W, T any](ws []W, field func(*W) T) []T {
	out := make([]T, len(ws))
	for i := range ws {
		out[i] = field(&ws[i])
	}
	return out
}
