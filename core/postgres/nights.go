package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/reconcile"
)

var _ reconcile.Store = (*Store)(nil)

// errRunOver is what a run hears that is not going on any more.
var errRunOver = errors.New("the run is not going on any more")

// BeginNight implements reconcile.Store.
func (s *Store) BeginNight(ctx context.Context, a reconcile.Ask, lease time.Duration) (reconcile.Night, error) {
	n := reconcile.Night{Hospital: a.Hospital, Day: a.Day, Who: a.Who, State: reconcile.NightRunning}
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf("hub night", a.Hospital, a.Day)); err != nil {
			return err
		}
		// A run of a process that is gone must not block its day for ever.
		var dead int
		err := tx.QueryRow(ctx, `with dead as (
				update hub.night set state = 'failed', ended = clock_timestamp(), problem = 'the process that ran it ended', lease_until = null
				where hospital = $1 and day = $2::text::date and state = 'running' and lease_until < clock_timestamp() returning id, run),
			dropped as (delete from hub.finding f using dead where f.night = dead.id)
			select coalesce(max(run), 0) from dead`, a.Hospital, a.Day).Scan(&dead)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `insert into hub.night (hospital, day, run, state, who, lease_until)
			select $1, $2::text::date, coalesce(max(run), 0) + 1, 'running', $3, clock_timestamp() + $4 * interval '1 microsecond'
			from hub.night where hospital = $1 and day = $2::text::date
			having coalesce(bool_or(state = 'running'), false) = false 
				and ($5 = 0 or coalesce(max(run) filter (where state <> 'running' and run <> $6), 0) = greatest($5, 0))
			returning id, run, started`, a.Hospital, a.Day, clean(a.Who), lease.Microseconds(), a.After, dead).Scan(&n.ID, &n.Run, &n.Started)
		if errors.Is(err, pgx.ErrNoRows) {
			return reconcile.ErrNightRunning
		}
		return err
	})
	if err != nil {
		return reconcile.Night{}, fmt.Errorf("begin the night of %s at hospital %s: %w", a.Day, a.Hospital, err)
	}
	return n, nil
}

// Progress implements reconcile.Store.
func (s *Store) Progress(ctx context.Context, night int64, stage string, done int64, lease time.Duration) error {
	tag, err := s.calm.Exec(ctx, `update hub.night set stage = $2, done = $3, lease_until = clock_timestamp() + $4 * interval '1 microsecond'
		where id = $1 and state = 'running'`, night, clean(stage), done, lease.Microseconds())
	if err == nil && tag.RowsAffected() == 0 {
		err = errRunOver
	}
	if err != nil {
		return fmt.Errorf("tell the progress of night %d: %w", night, err)
	}
	return nil
}

// Found implements reconcile.Store. Matched ones are not kept.
func (s *Store) Found(ctx context.Context, night int64, findings []reconcile.Finding) error {
	var rows [][]any
	for i := range findings {
		f := &findings[i]
		if f.Class == reconcile.Matched {
			continue
		}
		channel, err1 := jsonOf(f.Channel)
		ours, err2 := jsonOf(f.Ours)
		his, err3 := jsonOf(f.HIS)
		if err := errors.Join(err1, err2, err3); err != nil {
			return fmt.Errorf("keep what night %d found: %w", night, err)
		}
		rows = append(rows, []any{night, string(f.Class), string(f.Type), clean(f.Number), channel, ours, his, int64(f.Amount), clean(f.Cause), clean(f.Of), string(f.Proposed())})
	}
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		var mine bool
		err := tx.QueryRow(ctx, `select state = 'running' from hub.night where id = $1 for share`, night).Scan(&mine)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !mine {
			return errRunOver
		}
		if err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"hub", "finding"},
			[]string{"night", "class", "type", "number", "channel", "ours", "his", "amount", "cause", "of_number", "proposed"}, pgx.CopyFromRows(rows))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep what night %d found: %w", night, err)
	}
	return nil
}

func jsonOf(es []reconcile.Entry) (*string, error) {
	if len(es) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(es)
	text := storableJSON(b)
	return &text, err
}

// storableJSON is JSON without the NULs that a foreign text may hold, which
// PostgreSQL does not take. Broken UTF-8 the encoder has replaced.
func storableJSON(b []byte) string {
	if !bytes.Contains(b, []byte(`\u0000`)) {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] != '\\':
			out = append(out, b[i])
		case bytes.HasPrefix(b[i:], []byte(`\u0000`)):
			i += 5
		default: // with what it escapes
			out = append(out, b[i], b[i+1])
			i++
		}
	}
	return string(out)
}

// EndNight implements reconcile.Store. Of a run that is not done nothing is kept
// but that it was.
func (s *Store) EndNight(ctx context.Context, n reconcile.Night) (reconcile.Night, error) {
	counts, err1 := json.Marshal(n.Counts)
	amounts, err2 := json.Marshal(n.Amounts)
	lines, err3 := json.Marshal(n.Lines)
	statements, err4 := json.Marshal(n.Statements)
	err := errors.Join(err1, err2, err3, err4)
	if err == nil {
		err = s.inTransaction(ctx, func(tx pgx.Tx) error {
			// Runs of neighbouring days may find the same number.
			if err := lock(ctx, tx, lockOf("hub cases", n.Hospital)); err != nil {
				return err
			}
			err := tx.QueryRow(ctx, `update hub.night n set state = $2, ended = clock_timestamp(), problem = $3, counts = $4, amounts = $5, lines = $6, statements = $7,
					detail = $8, why = $9, lease_until = null,
					closed = $2 = 'done' and $10 and not exists (select from hub.night c where c.hospital = n.hospital and c.day = n.day and c.closed)
				where id = $1 and state = 'running' returning ended, closed, started, hospital, to_char(day, 'YYYY-MM-DD'), run, who`,
				n.ID, string(n.State), clean(n.Problem), string(counts), string(amounts), storableJSON(lines), storableJSON(statements), string(n.Detail), clean(n.Why), n.Closed).
				Scan(&n.Ended, &n.Closed, &n.Started, &n.Hospital, &n.Day, &n.Run, &n.Who)
			if errors.Is(err, pgx.ErrNoRows) {
				return errRunOver
			}
			if err != nil {
				return err
			}
			if err := announceNight(ctx, tx, n); err != nil {
				return err
			}
			if n.State == reconcile.NightDone {
				return openCases(ctx, tx, n)
			}
			_, err = tx.Exec(ctx, `delete from hub.finding where night = $1`, n.ID)
			return err
		})
	}
	if err != nil {
		return reconcile.Night{}, fmt.Errorf("end the night of %s at hospital %s: %w", n.Day, n.Hospital, err)
	}
	return n, nil
}

// announceNight tells how a night ended. One that waits is late once, however
// often it is tried again.
func announceNight(ctx context.Context, tx pgx.Tx, n reconcile.Night) error {
	what, reason := core.EventNightFailed, n.Problem
	switch n.State {
	case reconcile.NightDone:
		what, reason = core.EventNightDone, fmt.Sprintf("%d differences", n.Differences())
	case reconcile.NightWaiting:
		what = core.EventNightLate
	}
	_, err := tx.Exec(ctx, `insert into hub.event (hospital, message, kind, key, type, data)
		select $1, 0, '', $2::text, $3::text, jsonb_build_object('reason', $4::text)
		where $3::text <> $5 or not exists (select from hub.night where hospital = $1 and day = $2::text::date and id <> $6 and state = 'waiting')`,
		n.Hospital, n.Day, string(what), clean(reason), string(core.EventNightLate), n.ID)
	return err
}

// Nights implements reconcile.Store.
func (s *Store) Nights(ctx context.Context, hospital, day string, limit int) ([]reconcile.Night, error) {
	return s.nights(ctx, `($1 = '' or hospital = $1) and ($2 = '' or day = nullif($2, '')::date) order by id desc limit $3`, hospital, day, limit)
}

// NightsEnded implements report.Books.
func (s *Store) NightsEnded(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.Night, error) {
	return s.nights(ctx, `hospital = $1 and state = 'done' and ended >= $2 and ended < $3 order by id`, hospital, from, to)
}

func (s *Store) nights(ctx context.Context, where string, args ...any) ([]reconcile.Night, error) {
	rows, err := s.calm.Query(ctx, `
		select id, hospital, to_char(day, 'YYYY-MM-DD'), run, state, started, ended, who, closed, detail, why, problem, stage, done, counts, amounts, lines, statements
		from hub.night where `+where, args...)
	var all []reconcile.Night
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n reconcile.Night, err error) {
			var ended *time.Time
			var counts, amounts, lines, statements []byte
			if err := row.Scan(&n.ID, &n.Hospital, &n.Day, &n.Run, &n.State, &n.Started, &ended, &n.Who, &n.Closed, &n.Detail, &n.Why, &n.Problem, &n.Stage, &n.Done,
				&counts, &amounts, &lines, &statements); err != nil {
				return n, err
			}
			if ended != nil {
				n.Ended = *ended
			}
			return n, errors.Join(readJSON(counts, &n.Counts), readJSON(amounts, &n.Amounts), readJSON(lines, &n.Lines), readJSON(statements, &n.Statements))
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
	rows, err := s.calm.Query(ctx, `select class, type, number, amount, cause, of_number, channel, ours, his from hub.finding
		where night = $1 order by array_position($2::text[], class), type, number, id`, night, classNames(false))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f reconcile.Finding, err error) {
		var channel, ours, his []byte
		if err := row.Scan(&f.Class, &f.Type, &f.Number, &f.Amount, &f.Cause, &f.Of, &channel, &ours, &his); err != nil {
			return f, err
		}
		return f, errors.Join(readJSON(channel, &f.Channel), readJSON(ours, &f.Ours), readJSON(his, &f.HIS))
	})
}

// classNames are those of all classes, or of the differences only, in the order of reports.
func classNames(differences bool) (names []string) {
	for _, m := range reconcile.Meanings {
		if m.Difference || !differences {
			names = append(names, string(m.Class))
		}
	}
	return names
}

// held are the classes of what is not settled although nobody need look into it.
var held = []string{string(reconcile.InTransit), string(reconcile.RefundInTransit), string(reconcile.CrossDay)}

// Days implements reconcile.Store.
func (s *Store) Days(ctx context.Context, hospital, from, to string) (closed, unsettled []string, err error) {
	err = s.calm.QueryRow(ctx, `
		with night as (
			select * from hub.night where hospital = $1 and day between $2::text::date and $3::text::date
		), newest as (
			select distinct on (day) day, counts from night where state = 'done' order by day, run desc
		)
		select array(select to_char(day, 'YYYY-MM-DD') from night where closed order by day),
			array(select to_char(day, 'YYYY-MM-DD') from (
				select day from hub.case where hospital = $1 and day between $2::text::date and $3::text::date and state in ('open', 'repairing')
				union
				select day from newest where exists (select from unnest($4::text[]) c where (counts->>c)::bigint > 0)) d order by day)`,
		hospital, from, to, held).Scan(&closed, &unsettled)
	if err != nil {
		return nil, nil, fmt.Errorf("list the days of hospital %s: %w", hospital, err)
	}
	return closed, unsettled, nil
}

func readJSON(text []byte, v any) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, v)
}
