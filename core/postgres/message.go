package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// Message is an accepted message as people and programs see it. It names no
// patient, but for Words.
type Message struct {
	ID       int64
	Hospital string
	Kind     core.Kind
	Key      string
	Lane     string
	State    delivery.State
	// Class and Reason say, in our words, why it waits, is parked or cancelled.
	Class  core.Class
	Reason string
	// Words are the HIS's own and may name a patient; empty in lists.
	Words       string
	ShowPatient bool
	RefundNow   bool
	Receipt     *core.Receipt
	// Revision of the hospital folder; 0 before anything was sent.
	Revision   int
	Test       bool
	Submission string
	Trace      string
	Attempts   int
	AcceptedAt time.Time
	// DecidedAt is when it was delivered or cancelled.
	DecidedAt *time.Time
	// Due is when a queued one is tried next, unless BlockedBy, the message before
	// it in its lane, is in its way (0: nothing is).
	Due       *time.Time
	BlockedBy int64
	// Pin is the revision that a replay wants it said by; 0 is none.
	Pin int
	// Phase is what the next exchange is for; "" when it is decided.
	Phase        delivery.Phase
	CancelWanted bool
	Supersedes   int64
	SupersededBy int64
}

// Attempt is one exchange of a message, without its bytes.
type Attempt struct {
	Number    int
	At        time.Time
	Late      bool // its claim had been taken over; it changed nothing
	Phase     delivery.Phase
	Step      string
	Connector string
	Operation string
	Outcome   core.Outcome
	Rule      string
	Class     core.Class
	Because   string
	// Words are the HIS's own and may name a patient.
	Words    string
	Duration time.Duration
}

// ExchangeBytes are what went over the wire, secrets masked. They name patients:
// showing them is an act to be audited.
type ExchangeBytes struct {
	Number            int
	At                time.Time
	Late              bool
	Request, Response []byte
	// Head stood before the response, see core.Response.Head.
	Head string
}

// view selects a Message from message m and queue q. "sending" is no stored
// state: it is a claim that has not run out, or whose bytes may still be at work.
const view = `m.id, m.hospital, m.kind, m.key, m.lane,
	case when q.message is null then m.state
		when q.state = 'parked' then 'parked'
		when q.lease_until > clock_timestamp() or q.sent_at is not null and q.takeover_at > clock_timestamp() then 'sending'
		else 'queued' end,
	coalesce(case when q.message is null then m.class else q.class end, ''),
	coalesce(case when q.message is null then m.reason else q.reason end, ''),
	m.show_patient, m.refund_now, coalesce(q.progress->'receipt', m.receipt),
	case when q.message is null then m.revision else q.revision end, m.test, coalesce(m.submission, ''), coalesce(m.trace, ''),
	case when q.message is null then m.attempts else q.attempts end, m.accepted_at, m.decided_at,
	case when q.state = 'queued' then q.due end,
	case when not q.head and not q.pass then coalesce((select h.message from hub.queue h where h.hospital = q.hospital and h.lane = q.lane and h.head), 0) else 0 end,
	case when q.message is null then '' else coalesce(q.progress->>'phase', 'send') end, coalesce(q.cancel_wanted, false),
	coalesce(m.supersedes, 0), coalesce(m.superseded_by, 0), coalesce(q.pin, 0)`

func scanMessage(row pgx.CollectableRow) (m Message, err error) {
	var receipt []byte
	err = row.Scan(&m.ID, &m.Hospital, &m.Kind, &m.Key, &m.Lane, &m.State, &m.Class, &m.Reason, &m.ShowPatient, &m.RefundNow, &receipt,
		&m.Revision, &m.Test, &m.Submission, &m.Trace, &m.Attempts, &m.AcceptedAt, &m.DecidedAt, &m.Due, &m.BlockedBy, &m.Phase, &m.CancelWanted,
		&m.Supersedes, &m.SupersededBy, &m.Pin)
	if err == nil && receipt != nil {
		err = json.Unmarshal(receipt, &m.Receipt)
	}
	return m, err
}

// Message returns a message with its attempts, in the order in which they were
// made. ErrNotFound when there is none.
func (s *Store) Message(ctx context.Context, id int64) (m Message, attempts []Attempt, err error) {
	if m, err = s.message(ctx, id); err == nil {
		attempts, err = s.attempts(ctx, id)
	}
	if err != nil {
		return Message{}, nil, fmt.Errorf("read message %d: %w", id, err)
	}
	return m, attempts, nil
}

func (s *Store) message(ctx context.Context, id int64) (Message, error) {
	rows, err := s.calm.Query(ctx, `select `+view+` from hub.message m left join hub.queue q on q.message = m.id where m.id = $1`, id)
	if err != nil {
		return Message{}, err
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanMessage)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, ErrNotFound
	}
	if err != nil {
		return m, err
	}
	var words []byte
	if err := s.calm.QueryRow(ctx, `select words from hub.message where id = $1`, id).Scan(&words); err != nil {
		return m, err
	}
	m.Words, err = s.openText(ctx, words, sealedWords, id)
	return m, err
}

func (s *Store) attempts(ctx context.Context, id int64) (all []Attempt, err error) {
	rows, err := s.calm.Query(ctx, `
		select number, at, late, phase, step, connector, operation, outcome, rule, class, because, words, duration_us
		from hub.attempt where message = $1 order by at, number`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a Attempt
		var words []byte
		var us int64
		if err := rows.Scan(&a.Number, &a.At, &a.Late, &a.Phase, &a.Step, &a.Connector, &a.Operation, &a.Outcome, &a.Rule, &a.Class, &a.Because, &words, &us); err != nil {
			return nil, err
		}
		a.Duration = time.Duration(us) * time.Microsecond
		if a.Words, err = s.openText(ctx, words, sealedWords, id); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// Exchange returns the bytes of an attempt by its number: one entry, and more
// where late attempts have the same number. ErrNotFound when nothing was
// exchanged, or the bytes are past their retention.
func (s *Store) Exchange(ctx context.Context, id int64, number int) ([]ExchangeBytes, error) {
	all, err := s.exchanges(ctx, s.calm, id, number)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read exchange %d of message %d: %w", number, id, err)
	}
	return all, nil
}

func (s *Store) exchanges(ctx context.Context, q querier, id int64, number int) (all []ExchangeBytes, err error) {
	rows, err := q.Query(ctx, `select number, at, late, request, answer, coalesce(head, '') from hub.exchange
		where message = $1 and ($2 = 0 or number = $2) order by number desc, late, at limit 50`, id, number)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	whose := strconv.FormatInt(id, 10)
	for rows.Next() {
		var x ExchangeBytes
		if err := rows.Scan(&x.Number, &x.At, &x.Late, &x.Request, &x.Response, &x.Head); err != nil {
			return nil, err
		}
		if x.Request, err = s.open(ctx, x.Request, sealedRequest, whose); err != nil {
			return nil, err
		}
		if x.Response, err = s.open(ctx, x.Response, sealedAnswer, whose); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, rows.Err()
}
