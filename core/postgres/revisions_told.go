package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/shadow"
)

var _ shadow.Store = (*Store)(nil)

const (
	// toldPage is how many messages are held at once.
	toldPage = 100
	// astray is how far ids and times of acceptance may be out of order: as long as
	// the longest transaction that accepts messages.
	astray = time.Hour
)

// Told implements shadow.Store. It reads along the index of a hospital's ids, from
// the first to the last of the stretch: what it costs does not grow with history.
func (s *Store) Told(ctx context.Context, q shadow.Query) iter.Seq2[shadow.Message, error] {
	return func(yield func(shadow.Message, error) bool) {
		if err := s.told(ctx, q, yield); err != nil {
			yield(shadow.Message{}, fmt.Errorf("read what hospital %s was told: %w", q.Hospital, err))
		}
	}
}

func (s *Store) told(ctx context.Context, q shadow.Query, yield func(shadow.Message, error) bool) error {
	after, last, err := s.stretch(ctx, "message", "accepted_at", q)
	if err != nil {
		return err
	}
	for n := 0; after < last && n < q.Limit; {
		rows, err := s.calm.Query(ctx, `
			select m.id, m.kind, m.key, m.accepted_at, case when q.message is null then m.revision when `+begun+` then q.revision else 0 end, q.secret, b.sealed
			from hub.message m left join hub.queue q on q.message = m.id
			left join hub.body b on b.message = m.id and b.accepted_at = m.accepted_at
			where m.hospital = $1 and m.id > $2 and m.id <= $3 and ($4 = '' or m.kind = $4) order by m.id limit $5`, q.Hospital, after, last, string(q.Kind), toldPage)
		if err != nil {
			return err
		}
		type row struct {
			shadow.Message
			key            string
			secret, sealed []byte
		}
		page, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (m row, err error) {
			return m, r.Scan(&m.ID, &m.Kind, &m.key, &m.Accepted, &m.Revision, &m.secret, &m.sealed)
		})
		if err != nil {
			return err
		}
		for _, m := range page {
			after = m.ID
			if q.Only == 0 && (m.Accepted.Before(q.From) || !m.Accepted.Before(q.Until)) || m.sealed == nil {
				continue
			}
			if m.Body, err = s.openBody(ctx, m.sealed, q.Hospital, m.Kind, m.key); err != nil {
				return fmt.Errorf("message %d: %w", m.ID, err)
			}
			p, err := s.openProgress(ctx, m.ID, nil, m.secret)
			if err != nil {
				return fmt.Errorf("message %d: %w", m.ID, err)
			}
			m.Captured = p.Captured
			if m.Attempts, err = s.attemptsTold(ctx, m.ID, m.Accepted); err != nil {
				return fmt.Errorf("message %d: %w", m.ID, err)
			}
			if !yield(m.Message, nil) {
				return nil
			}
			if n++; n == q.Limit {
				return nil
			}
		}
		if len(page) < toldPage {
			return nil
		}
	}
	return nil
}

// stretch gives the ids between which everything of a query lies: after the first,
// up to the second. Ids grow with time, so both are found by halving.
func (s *Store) stretch(ctx context.Context, table, column string, q shadow.Query) (after, last int64, err error) {
	if q.Only != 0 {
		return q.Only - 1, q.Only, nil
	}
	if err := s.calm.QueryRow(ctx, `select coalesce(max(id), 0) from hub.`+table+` where hospital = $1`, q.Hospital).Scan(&last); err != nil {
		return 0, 0, err
	}
	// from finds the first id from which on all are of t or later.
	from := func(t time.Time) (int64, error) {
		low, high := int64(1), last+1
		for low < high {
			middle := low + (high-low)/2
			var id int64
			var at time.Time
			err := s.calm.QueryRow(ctx, `select id, `+column+` from hub.`+table+` where hospital = $1 and id >= $2 order by id limit 1`, q.Hospital, middle).Scan(&id, &at)
			if err != nil {
				return 0, err
			}
			if at.Before(t) {
				low = id + 1
			} else {
				high = middle
			}
		}
		return low, nil
	}
	if last == 0 {
		return 0, 0, nil
	}
	first, err := from(q.From.Add(-astray))
	if err != nil {
		return 0, 0, err
	}
	beyond, err := from(q.Until.Add(astray))
	return first - 1, beyond - 1, err
}

func (s *Store) attemptsTold(ctx context.Context, id int64, accepted time.Time) ([]shadow.Attempt, error) {
	// The time leaves the months before it alone.
	rows, err := s.calm.Query(ctx, `
		select a.number, a.at, a.duration_us, a.phase, a.step, a.outcome, a.rule, x.request, x.answer, x.stamp, x.serial, x.asked_at, x.head
		from hub.attempt a left join hub.exchange x on x.message = a.message and x.number = a.number and not x.late and x.at >= $2
		where a.message = $1 and not a.late and a.at >= $2 order by a.number limit 200`, id, accepted)
	if err != nil {
		return nil, err
	}
	whose := strconv.FormatInt(id, 10)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a shadow.Attempt, err error) {
		var us int64
		var id []byte
		var serial *int64
		var asked *time.Time
		var head *string
		if err := row.Scan(&a.Number, &a.At, &us, &a.Phase, &a.Step, &a.Outcome, &a.Rule, &a.Request, &a.Answer, &id, &serial, &asked, &head); err != nil {
			return a, err
		}
		a.Took = time.Duration(us) * time.Microsecond
		if id != nil && serial != nil && asked != nil {
			a.ID, a.Serial, a.Asked = hex.EncodeToString(id), *serial, *asked
		}
		if head != nil {
			a.Head = *head
		}
		if a.Request, err = s.open(ctx, a.Request, sealedRequest, whose); err != nil {
			return a, err
		}
		a.Answer, err = s.open(ctx, a.Answer, sealedAnswer, whose)
		return a, err
	})
}

// Heard implements shadow.Store.
func (s *Store) Heard(ctx context.Context, q shadow.Query) iter.Seq2[shadow.Arrival, error] {
	return func(yield func(shadow.Arrival, error) bool) {
		if err := s.heard(ctx, q, yield); err != nil {
			yield(shadow.Arrival{}, fmt.Errorf("read what hospital %s told us: %w", q.Hospital, err))
		}
	}
}

func (s *Store) heard(ctx context.Context, q shadow.Query, yield func(shadow.Arrival, error) bool) error {
	after, last, err := s.stretch(ctx, "inbound", "arrived_at", q)
	if err != nil {
		return err
	}
	for n := 0; after < last && n < q.Limit; {
		rows, err := s.calm.Query(ctx, `
			select i.id, i.kind, i.key, i.arrived_at, i.state, i.message, i.answer, b.sealed, x.request
			from hub.inbound i left join hub.body b on b.message = i.id and b.accepted_at = i.arrived_at
			left join hub.exchange x on x.message = i.id and x.number = 1 and x.at >= i.arrived_at
			where i.hospital = $1 and i.id > $2 and i.id <= $3 and ($4 = '' or i.kind = $4) order by i.id limit $5`, q.Hospital, after, last, string(q.Kind), toldPage)
		if err != nil {
			return err
		}
		type row struct {
			shadow.Arrival
			key, state     string
			answer, sealed []byte
		}
		page, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (a row, err error) {
			return a, r.Scan(&a.ID, &a.Kind, &a.key, &a.At, &a.state, &a.Message, &a.answer, &a.sealed, &a.Request)
		})
		if err != nil {
			return err
		}
		for _, a := range page {
			after = a.ID
			if q.Only == 0 && (a.At.Before(q.From) || !a.At.Before(q.Until)) || a.sealed == nil {
				continue
			}
			if a.Body, err = s.openBody(ctx, a.sealed, q.Hospital, a.Kind, a.key); err == nil {
				a.Arrival.Request, err = s.open(ctx, a.Arrival.Request, sealedRequest, strconv.FormatInt(a.ID, 10))
			}
			if a.State = core.ResultState(a.state); a.state == "open" {
				a.State = core.ResultUnknown
			}
			if t, _ := core.Lookup(a.Kind); err == nil && a.answer != nil && t.Answer != nil {
				a.Answer = t.Answer()
				err = json.Unmarshal(a.answer, a.Answer)
			}
			if err != nil {
				return fmt.Errorf("inbound %d: %w", a.ID, err)
			}
			if !yield(a.Arrival, nil) {
				return nil
			}
			if n++; n == q.Limit {
				return nil
			}
		}
		if len(page) < toldPage {
			return nil
		}
	}
	return nil
}
