package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// carrier is what a repair may do in its transaction.
type carrier struct{ bound }

// Body implements reconcile.Carrier.
func (c carrier) Body(ctx context.Context, message int64) (core.Body, error) {
	b, err := c.s.bodyOf(ctx, c.tx, message)
	if err != nil {
		return nil, fmt.Errorf("read the body of message %d: %w", message, err)
	}
	return b, nil
}

// Undecided implements reconcile.Carrier.
func (c carrier) Undecided(ctx context.Context, message int64) (bool, error) {
	return undecided(ctx, c.tx, message)
}

func undecided(ctx context.Context, tx pgx.Tx, message int64) (bool, error) {
	id, state, _, err := newestOf(ctx, tx, message)
	if errors.Is(err, ErrNotFound) {
		return false, nil // the HIS told us of it
	}
	if err != nil {
		return false, fmt.Errorf("see what became of message %d: %w", id, err)
	}
	return state != delivery.Delivered && state != delivery.Cancelled, nil
}

// Resend implements reconcile.Carrier. What is decided goes out as a new message
// in the old one's place and under its key; what is parked goes on as it stands;
// what is under way already is left to itself. In each case the HIS is asked
// before it is sent anything that it may have. Problems when it must not be sent.
func (c carrier) Resend(ctx context.Context, message int64, who, note string) (int64, error) {
	id, err := c.resend(ctx, message, who, note)
	if err != nil {
		return 0, fmt.Errorf("send message %d again: %w", message, err)
	}
	return id, nil
}

func (c carrier) resend(ctx context.Context, message int64, who, note string) (int64, error) {
	id, _, _, err := newestOf(ctx, c.tx, message)
	if errors.Is(err, ErrNotFound) {
		return 0, core.Problems{{Field: "action", What: "there is no message of ours to send again: the HIS itself told us of this, and must book it; write it off when it has"}}
	}
	if err != nil {
		return 0, err
	}
	m := &subject{s: c.s, tx: c.tx, id: id}
	err = c.tx.QueryRow(ctx, `select hospital, kind, key, lane from hub.message where id = $1`, id).Scan(&m.hospital, &m.kind, &m.key, &m.lane)
	if err != nil {
		return 0, err
	}
	if err := lock(ctx, c.tx, laneLock(m.hospital, m.lane), keyLock(m.hospital, m.kind, m.key)); err != nil {
		return 0, err
	}
	if err := m.load(ctx); err != nil {
		return 0, err
	}
	goes, err := m.sendAgain(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := c.tx.Exec(ctx, promote, []string{m.hospital}, []string{m.lane}, []int32{1}); err != nil {
		return 0, err
	}
	return goes, m.decide(ctx, who, "resend", note, map[string]any{"by": goes})
}

// sendAgain names the message that goes out.
func (m *subject) sendAgain(ctx context.Context) (int64, error) {
	switch t, _ := core.Lookup(m.kind); {
	case m.supersededBy != 0:
		return 0, fmt.Errorf("message %d was superseded at this moment", m.id)
	case m.refundNow:
		return 0, core.Problems{{Field: "message", What: "the HIS refused it for good and the money goes back"}}
	case t.Mode == core.Record:
		return 0, core.Problems{{Field: "message", What: "it is a record of our own ledger; nobody is told of it"}}
	case !m.s.Can(m.hospital, m.kind):
		return 0, core.ErrCannot
	}
	if m.waiting && m.state == delivery.Parked {
		// What may be there is asked about, whatever it was parked for.
		m.progress.Unanswered = m.progress.Phase == delivery.Send && m.maybeThere() && !m.progress.LastByte.IsZero()
		return m.id, m.again(ctx, false)
	}
	if m.waiting {
		return m.id, nil
	}
	body, err := m.s.bodyOf(ctx, m.tx, m.id)
	if err != nil {
		return 0, err
	}
	last, err := m.lastSent(ctx)
	if err != nil {
		return 0, err
	}
	return m.replace(ctx, body, m.state, &delivery.Progress{Phase: delivery.Send, LastByte: last, Unanswered: !last.IsZero()})
}

// lastSent is when bytes of it were last on their way; zero when they never were.
// Attempts past their retention leave the time of the decision.
func (m *subject) lastSent(ctx context.Context) (time.Time, error) {
	var last, decided *time.Time
	var attempts int
	err := m.tx.QueryRow(ctx, `select (select max(a.at) from hub.attempt a where a.message = m.id and a.phase = 'send'), m.decided_at, m.attempts
		from hub.message m where m.id = $1`, m.id).Scan(&last, &decided, &attempts)
	switch {
	case err != nil:
		return time.Time{}, err
	case last != nil:
		return *last, nil
	case decided != nil && (attempts > 0 || m.state == delivery.Delivered):
		return *decided, nil
	}
	return time.Time{}, nil
}
