package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// Refusal is returned when an act is not possible as the message stands.
type Refusal struct {
	State delivery.State
	// Why, and what would be possible, in lower case.
	Why string
}

func (r *Refusal) Error() string { return "the message is " + string(r.State) + ": " + r.Why }

// subject is a message that a person acts on. Its lane is held and its queue row
// locked, so no process can claim, mark or settle it meanwhile.
type subject struct {
	s  *Store
	tx pgx.Tx

	id           int64
	hospital     string
	kind         core.Kind
	key, lane    string
	place        int64
	state        delivery.State
	class        core.Class
	accepted     time.Time
	supersededBy int64
	refundNow    bool

	// Of the queue row; waiting is false when there is none.
	waiting  bool
	pass     bool
	leased   bool // a process holds it
	sent     bool // its bytes may have left and nothing was settled since
	fence    int64
	progress delivery.Progress
}

// act runs f on a message in a transaction that also holds the decision. data
// may be nil.
func (s *Store) act(ctx context.Context, id int64, who, verb, note string, data any, f func(context.Context, *subject) error) error {
	if who == "" {
		return errNobody
	}
	var hospital, lane, key string
	var kind core.Kind
	err := s.calm.QueryRow(ctx, `select hospital, lane, kind, key from hub.message where id = $1`, id).Scan(&hospital, &lane, &kind, &key)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s message %d: %w", verb, id, err)
	}
	err = s.alongside(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, laneLock(hospital, lane), keyLock(hospital, kind, key)); err != nil {
			return err
		}
		m := &subject{s: s, tx: tx, id: id}
		if err := m.load(ctx); err != nil {
			return err
		}
		if err := f(ctx, m); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, promote, []string{hospital}, []string{lane}, []int32{1}); err != nil {
			return err
		}
		return m.decide(ctx, who, verb, note, data)
	})
	if err != nil {
		return fmt.Errorf("%s message %d: %w", verb, id, err)
	}
	s.Woken(hospital)
	return nil
}

func (m *subject) load(ctx context.Context) error {
	err := m.tx.QueryRow(ctx, `select hospital, kind, key, lane, place, state, coalesce(class, ''), accepted_at, coalesce(superseded_by, 0), refund_now
		from hub.message where id = $1 for update`, m.id).
		Scan(&m.hospital, &m.kind, &m.key, &m.lane, &m.place, &m.state, &m.class, &m.accepted, &m.supersededBy, &m.refundNow)
	if err != nil {
		return err
	}
	var plain, secret []byte
	var class string
	err = m.tx.QueryRow(ctx, `select pass, lease_until is not null and case when sent_at is null then lease_until else takeover_at end > clock_timestamp(),
		sent_at is not null, fence, progress, secret, coalesce(class, '') from hub.queue where message = $1 for update`, m.id).
		Scan(&m.pass, &m.leased, &m.sent, &m.fence, &plain, &secret, &class)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	m.waiting = true
	if m.leased {
		m.state = delivery.Sending
	}
	m.progress, err = m.s.openProgress(ctx, m.id, plain, secret)
	return err
}

// maybeThere: bytes of it may have reached the HIS and were not refused or
// taken back.
func (m *subject) maybeThere() bool { return m.sent || m.progress.Sent() }

func (m *subject) decide(ctx context.Context, who, verb, note string, data any) error {
	return decide(ctx, m.tx, m.hospital, m.id, who, verb, note, data)
}

// decide keeps an act on a hospital, or on a message of it (0 is none), where it is
// shown and in the audit. data may be nil.
func decide(ctx context.Context, tx pgx.Tx, hospital string, message int64, who, verb, note string, data any) error {
	subject := ""
	if message != 0 {
		subject = fmt.Sprintf("message %d", message)
	}
	return decideOn(ctx, tx, hospital, message, Act{Who: who, Verb: verb, Hospital: hospital, Subject: subject, Purpose: note, Data: data})
}

func decideOn(ctx context.Context, tx pgx.Tx, hospital string, message int64, a Act) error {
	_, err := tx.Exec(ctx, `insert into hub.decision (hospital, message, who, verb, note, data) values ($1, nullif($2, 0), $3, $4, $5, $6)`,
		hospital, message, a.Who, a.Verb, clean(a.Purpose), a.Data)
	if err != nil {
		return err
	}
	return record(ctx, tx, a)
}

// again queues a parked one as it stands, with fresh budgets: it was parked
// because they were spent, or for what has been mended since.
func (m *subject) again(ctx context.Context, cancel bool) error {
	p := m.progress
	p.Failures, p.Busy, p.Inquiries, p.PutOff, p.Running = 0, 0, 0, delivery.PutOff{}, time.Time{}
	plain, secret := m.s.sealProgress(m.id, p)
	_, err := m.tx.Exec(ctx, `update hub.queue set state = 'queued', pass = false, due = clock_timestamp(), class = null, reason = null,
		parked_at = null, progress = $2, secret = $3, cancel_wanted = $4, pin = null where message = $1`, m.id, plain, secret, cancel)
	if err != nil {
		return err
	}
	_, err = m.tx.Exec(ctx, `update hub.message set state = 'queued', class = null, reason = null, words = null, show_patient = false where id = $1`, m.id)
	return err
}

// end takes it out of the queue for good and tells so.
func (m *subject) end(ctx context.Context, state delivery.State, event core.EventType, reason string) error {
	if _, err := m.tx.Exec(ctx, `delete from hub.queue where message = $1`, m.id); err != nil {
		return err
	}
	var receipt *string
	var hisNo string
	if r := m.progress.Receipt; r != nil && state == delivery.Delivered {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		open := string(text)
		receipt, hisNo = &open, r.HisNo
	}
	_, err := m.tx.Exec(ctx, `update hub.message set state = $2, reason = $3, receipt = coalesce($4::jsonb, receipt), attempts = $5,
		class = case when $2 = 'delivered' then null else class end, decided_at = clock_timestamp() where id = $1`,
		m.id, string(state), reason, receipt, m.progress.Attempts)
	if err != nil {
		return err
	}
	if hisNo != "" {
		if _, err := m.tx.Exec(ctx, `insert into hub.his_no (his_no, hospital, message) values ($1, $2, $3) on conflict do nothing`, hisNo, m.hospital, m.id); err != nil {
			return err
		}
		if m.kind == core.PayBack {
			_, err := m.tx.Exec(ctx, `update hub.ledger_entry set channel_no = $3 where type = 'refund' and number = $1 and hospital = $2 and channel_no = ''`, m.key, m.hospital, hisNo)
			if err != nil {
				return err
			}
		}
	}
	_, err = m.tx.Exec(ctx, `
		insert into hub.event (hospital, message, kind, key, type, data)
		select hospital, id, kind, key, $2, jsonb_strip_nulls(jsonb_build_object('reason', reason, 'class', class, 'receipt', receipt, 'submission', submission))
		from hub.message where id = $1`, m.id, string(event))
	return err
}

// Retry makes one that waits for its back-off due now.
func (s *Store) Retry(ctx context.Context, id int64, who string) error {
	return s.act(ctx, id, who, "retry", "", nil, func(ctx context.Context, m *subject) error {
		if m.state != delivery.Queued {
			return &Refusal{m.state, "only one that is queued can be retried; a parked one is released"}
		}
		_, err := m.tx.Exec(ctx, `update hub.queue set due = least(due, clock_timestamp()) where message = $1`, m.id)
		return err
	})
}

// Verdict is a person's decision about a parked message.
type Verdict string

const (
	// Again: go on where it was parked (in doubt: ask, where the HIS can be asked).
	Again Verdict = "again"
	// Confirmed: the HIS has it; the person looked.
	Confirmed Verdict = "delivered"
)

// Release ends the parking of a message. *Refusal unless it is parked.
func (s *Store) Release(ctx context.Context, id int64, who string, v Verdict, note string) error {
	if v != Again && v != Confirmed {
		return core.Problems{{Field: "decision", What: "not one of again, delivered"}}
	}
	return s.act(ctx, id, who, "release", note, map[string]any{"decision": v}, func(ctx context.Context, m *subject) error {
		if m.state != delivery.Parked {
			return &Refusal{m.state, "only a parked one can be released"}
		}
		if v == Confirmed {
			return m.end(ctx, delivery.Delivered, core.EventDelivered, "confirmed by a person: the HIS has it")
		}
		return m.again(ctx, false)
	})
}

// Cancel keeps a message from taking effect. What was never sent, or was refused
// as a whole, is cancelled at once (done). For the rest it is a wish, recorded
// and decided as soon as it is known what the HIS has: not done, no error. A
// parked one is asked about again for it, unless nobody but a person can tell.
func (s *Store) Cancel(ctx context.Context, id int64, who, note string) (done bool, err error) {
	err = s.act(ctx, id, who, "cancel", note, nil, func(ctx context.Context, m *subject) error {
		done = false
		if !m.waiting {
			return &Refusal{m.state, "it is decided"}
		}
		if !m.maybeThere() {
			done = true
			return m.end(ctx, delivery.Cancelled, core.EventCancelled, "cancelled by a person")
		}
		// The policy undoes what is finished, or inquires about what is in doubt.
		decidable := m.progress.Phase == delivery.Inquire || m.progress.Phase == delivery.Send && m.progress.LastByte.IsZero()
		if m.state == delivery.Parked && decidable {
			return m.again(ctx, true)
		}
		_, err := m.tx.Exec(ctx, `update hub.queue set cancel_wanted = true where message = $1`, m.id)
		return err
	})
	return done, err
}

// Decision is an act of a person.
type Decision struct {
	ID       int64
	At       time.Time
	Hospital string
	Message  int64 // 0: on the hospital
	Who      string
	Verb     string
	Note     string
	Data     json.RawMessage
}

// Decisions lists the acts on a message, oldest first.
func (s *Store) Decisions(ctx context.Context, message int64) ([]Decision, error) {
	return s.decisions(ctx, `message = $1 order by id`, message)
}

// HospitalDecisions lists the acts on a hospital and its messages, newest first.
func (s *Store) HospitalDecisions(ctx context.Context, hospital string, limit int) ([]Decision, error) {
	return s.decisions(ctx, `hospital = $1 order by id desc limit $2`, hospital, limit)
}

func (s *Store) decisions(ctx context.Context, where string, args ...any) ([]Decision, error) {
	rows, err := s.calm.Query(ctx, `select id, at, hospital, coalesce(message, 0), who, verb, note, data from hub.decision where `+where, args...)
	var all []Decision
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Decision])
	}
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return all, nil
}

// Record keeps an act of a person that changes nothing here, such as the look at
// a patient's data. message 0 is none.
func (s *Store) Record(ctx context.Context, hospital string, message int64, who, verb, note string) error {
	err := s.inTransaction(ctx, func(tx pgx.Tx) error { return decide(ctx, tx, hospital, message, who, verb, note, nil) })
	if err != nil {
		return fmt.Errorf("record %s: %w", verb, err)
	}
	return nil
}
