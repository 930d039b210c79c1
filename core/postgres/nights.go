package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core/reconcile"
)

var _ reconcile.Store = (*Store)(nil)

// BeginNight implements reconcile.Store.
func (s *Store) BeginNight(ctx context.Context, hospital, day, who string) (reconcile.Night, error) {
	n := reconcile.Night{Hospital: hospital, Day: day, Who: who, State: reconcile.NightRunning}
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf("hub night", hospital, day)); err != nil {
			return err
		}
		// A run of a process that is gone must not block its day for ever.
		_, err := tx.Exec(ctx, `update hub.night set state = 'failed', ended = clock_timestamp(), problem = 'the process that ran it ended'
			where hospital = $1 and day = $2::text::date and state = 'running' and started < clock_timestamp() - interval '1 hour'`, hospital, day)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `insert into hub.night (hospital, day, run, state, who)
			select $1, $2::text::date, coalesce(max(run), 0) + 1, 'running', $3 from hub.night where hospital = $1 and day = $2::text::date
			having coalesce(bool_or(state = 'running'), false) = false
			returning id, run, started`, hospital, day, who).Scan(&n.ID, &n.Run, &n.Started)
		if errors.Is(err, pgx.ErrNoRows) {
			return reconcile.ErrNightRunning
		}
		return err
	})
	if err != nil {
		return reconcile.Night{}, fmt.Errorf("begin the night of %s at hospital %s: %w", day, hospital, err)
	}
	return n, nil
}

// EndNight implements reconcile.Store.
func (s *Store) EndNight(ctx context.Context, n reconcile.Night, findings []reconcile.Finding) error {
	counts, err1 := json.Marshal(n.Counts)
	ours, err2 := json.Marshal(n.Ours)
	theirs, err3 := json.Marshal(n.Theirs)
	err := errors.Join(err1, err2, err3)
	var rows [][]any
	for _, f := range findings {
		if f.Class == reconcile.Matched {
			continue
		}
		o, err1 := json.Marshal(f.Ours)
		t, err2 := json.Marshal(f.Theirs)
		err = errors.Join(err, err1, err2)
		rows = append(rows, []any{n.ID, string(f.Class), string(f.Type), clean(f.Number), clean(string(o)), clean(string(t))})
	}
	if err == nil {
		err = s.inTransaction(ctx, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `update hub.night set state = $2, ended = clock_timestamp(), problem = $3, counts = $4, ours = $5, theirs = $6
				where id = $1 and state = 'running'`, n.ID, string(n.State), clean(n.Problem), string(counts), string(ours), string(theirs))
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				return errors.New("the run is not open any more")
			}
			_, err = tx.CopyFrom(ctx, pgx.Identifier{"hub", "difference"}, []string{"night", "class", "type", "number", "ours", "theirs"}, pgx.CopyFromRows(rows))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("end the night of %s at hospital %s: %w", n.Day, n.Hospital, err)
	}
	return nil
}

// Nights implements reconcile.Store.
func (s *Store) Nights(ctx context.Context, hospital, day string, limit int) ([]reconcile.Night, error) {
	rows, err := s.calm.Query(ctx, `
		select id, hospital, to_char(day, 'YYYY-MM-DD'), run, state, started, ended, who, problem, counts, ours, theirs from hub.night
		where ($1 = '' or hospital = $1) and ($2 = '' or day = nullif($2, '')::date) order by id desc limit $3`, hospital, day, limit)
	var all []reconcile.Night
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n reconcile.Night, err error) {
			var ended *time.Time
			var counts, ours, theirs []byte
			if err := row.Scan(&n.ID, &n.Hospital, &n.Day, &n.Run, &n.State, &n.Started, &ended, &n.Who, &n.Problem, &counts, &ours, &theirs); err != nil {
				return n, err
			}
			if ended == nil {
				return n, nil
			}
			n.Ended = *ended
			return n, errors.Join(readJSON(counts, &n.Counts), readJSON(ours, &n.Ours), readJSON(theirs, &n.Theirs))
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list nights: %w", err)
	}
	return all, nil
}

// Findings implements reconcile.Store. ErrNotFound when there is no such run.
func (s *Store) Findings(ctx context.Context, night int64) ([]reconcile.Finding, error) {
	all, err := s.findings(ctx, night)
	if err == nil && len(all) == 0 {
		var exists bool
		if err = s.calm.QueryRow(ctx, `select exists(select from hub.night where id = $1)`, night).Scan(&exists); err == nil && !exists {
			err = ErrNotFound
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the findings of night %d: %w", night, err)
	}
	return all, nil
}

func (s *Store) findings(ctx context.Context, night int64) ([]reconcile.Finding, error) {
	rows, err := s.calm.Query(ctx, `select class, type, number, ours, theirs from hub.difference where night = $1 order by id`, night)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f reconcile.Finding, err error) {
		var ours, theirs []byte
		if err := row.Scan(&f.Class, &f.Type, &f.Number, &ours, &theirs); err != nil {
			return f, err
		}
		return f, errors.Join(readJSON(ours, &f.Ours), readJSON(theirs, &f.Theirs))
	})
}

// Ours implements reconcile.Store. What was superseded is left out, as the
// message that came in its place tells of the same money. A refund that the HIS
// started is as good as delivered: it told us.
func (s *Store) Ours(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.Entry, error) {
	rows, err := s.calm.Query(ctx, `
		select l.type, l.number, coalesce(m.receipt->>'his_no', i.key, ''), l.channel_no, l.amount, l.at, l.message,
			case when m.id is null then 'delivered' when q.message is null then m.state when q.state = 'parked' then 'parked'
				when q.lease_until > clock_timestamp() then 'sending' else 'queued' end
		from hub.ledger_entry l
		left join hub.message m on m.id = l.message
		left join hub.inbound i on i.id = l.message
		left join hub.queue q on q.message = l.message
		where l.hospital = $1 and l.at >= $2 and l.at < $3 and coalesce(not m.test and m.superseded_by is null, true)
		order by l.at, l.message`, hospital, from, to)
	var all []reconcile.Entry
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e reconcile.Entry, err error) {
			err = row.Scan(&e.Type, &e.Number, &e.HisNo, &e.ChannelNo, &e.Amount, &e.At, &e.Message, &e.State)
			return e, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read our ledger: %w", err)
	}
	return all, nil
}

func readJSON(text []byte, v any) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, v)
}
