package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/replay"
)

// listedAtOnce is how many messages of a replay are listed in one transaction. A long
// one would hold the feed back, and with it everybody who reads events.
const listedAtOnce = 5000

// CreateReplay lists the messages of a plan, all of them, and lets it run; where money
// that was decided would be told again, it waits for a second person. expect, unless it
// is below 0, is how many the person saw before: a *replay.Changed when it is another
// number now. Problems when the plan does not hold or nothing fits it.
func (s *Store) CreateReplay(ctx context.Context, p replay.Plan, expect int, who string) (replay.Replay, error) {
	r, err := s.createReplay(ctx, p, expect, who)
	if err != nil {
		return r, fmt.Errorf("make a replay: %w", err)
	}
	return r, nil
}

func (s *Store) createReplay(ctx context.Context, p replay.Plan, expect int, who string) (r replay.Replay, err error) {
	if who == "" {
		return r, errNobody
	}
	if err := p.Check(); err != nil {
		return r, err
	}
	hospitals, err := s.replayed(ctx, p.Filter.Hospitals)
	if err != nil {
		return r, err
	}
	filter, err := json.Marshal(p.Filter)
	if err != nil {
		return r, err
	}
	var id int64
	err = s.calm.QueryRow(ctx, `insert into hub.replay (state, filter, revision, rate, concurrency, stop_after, note, created_by)
		values ('listing', $1, $2, $3, $4, $5, $6, $7) returning id`,
		storableJSON(filter), string(p.With), p.Rate, p.Concurrency, p.StopAfter, clean(p.Note), clean(who)).Scan(&id)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil { // nobody has seen it; what a killed process leaves can be cancelled
			_, _ = s.calm.Exec(context.WithoutCancel(ctx), `delete from hub.replay where id = $1 and state = 'listing'`, id)
		}
	}()
	total := 0
	for _, h := range hospitals {
		n, err := s.listReplayed(ctx, id, p.Filter, h)
		if err != nil {
			return r, fmt.Errorf("list messages of hospital %s: %w", h.ID, err)
		}
		total += n
	}
	switch {
	case expect >= 0 && expect != total:
		return r, &replay.Changed{Expected: expect, Now: total}
	case total == 0:
		return r, core.Problems{{Field: "filter", What: "no message fits it"}}
	}
	if err := s.startReplay(ctx, id, who); err != nil {
		return r, err
	}
	return s.Replay(ctx, id)
}

// listReplayed lists the messages of one hospital, in several transactions.
func (s *Store) listReplayed(ctx context.Context, id int64, f replay.Filter, h HospitalRecord) (total int, err error) {
	for after := int64(0); ; {
		c, err := s.selection(ctx, f, h.ID)
		if err != nil {
			return total, err
		}
		c.and(`m.id > ?`, after)
		c.args = append(c.args, id)
		var n int
		var last int64
		err = s.calm.QueryRow(ctx, fmt.Sprintf(`with listed as (
				insert into hub.replay_item (replay, message, hospital, kind, place) `+
			c.sql(fmt.Sprintf(`$%d::bigint, m.id, m.hospital, m.kind, m.place`, len(c.args)), `order by m.id limit %d`)+` returning message
			) select count(*), coalesce(max(message), 0) from listed`, listedAtOnce), c.args...).Scan(&n, &last)
		if err != nil {
			return total, err
		}
		if total, after = total+n, last; n < listedAtOnce {
			break
		}
	}
	if total == 0 {
		return 0, nil
	}
	_, err = s.calm.Exec(ctx, `insert into hub.replay_part (replay, hospital, shard, items, waiting) values ($1, $2, $3, $4, $4)`, id, h.ID, h.Shard, total)
	return total, err
}

// startReplay ends the listing.
func (s *Store) startReplay(ctx context.Context, id int64, who string) error {
	return s.onReplay(ctx, id, who, "replay", "", func(ctx context.Context, tx pgx.Tx, r *replay.Replay) error {
		if r.State != replay.Listing {
			return &replay.NotPossible{State: r.State, Why: "somebody cancelled it while its messages were listed"}
		}
		rows, err := tx.Query(ctx, `select distinct kind from hub.replay_item where replay = $1`, id)
		if err != nil {
			return err
		}
		kinds, err := pgx.CollectRows(rows, pgx.RowTo[core.Kind])
		if err != nil {
			return err
		}
		r.State = replay.Running
		for _, k := range kinds {
			if takesTwo(r.Filter.State, k) {
				r.State, r.Money = replay.Proposed, true
			}
		}
		return nil
	})
}

// ApproveReplay lets a replay of money run. ErrFourEyes when who made it.
func (s *Store) ApproveReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error) {
	return s.actOnReplay(ctx, id, who, "approve replay", note, func(_ context.Context, _ pgx.Tx, r *replay.Replay) error {
		switch {
		case r.State != replay.Proposed:
			return &replay.NotPossible{State: r.State, Why: "only one that is proposed waits for a second person"}
		case samePerson(r.CreatedBy, who):
			return ErrFourEyes
		}
		r.State, r.ApprovedBy = replay.Running, who
		return nil
	})
}

// PauseReplay lets nothing more be told; what is on its way goes on. When it returns,
// no process tells another message of it.
func (s *Store) PauseReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error) {
	return s.actOnReplay(ctx, id, who, "pause replay", note, func(_ context.Context, _ pgx.Tx, r *replay.Replay) error {
		if r.State != replay.Running {
			return &replay.NotPossible{State: r.State, Why: "only one that is running can be paused"}
		}
		r.State, r.PausedBy, r.Problem = replay.Paused, who, note
		return nil
	})
}

// ResumeReplay goes on with a paused one, also where it stopped by itself.
func (s *Store) ResumeReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error) {
	return s.actOnReplay(ctx, id, who, "resume replay", note, func(ctx context.Context, tx pgx.Tx, r *replay.Replay) error {
		stopped := false
		for _, p := range r.Parts {
			stopped = stopped || p.Stopped != ""
		}
		if r.State != replay.Paused && (r.State != replay.Running || !stopped) {
			return &replay.NotPossible{State: r.State, Why: "only one that is paused can be resumed"}
		}
		r.State, r.PausedBy, r.Problem = replay.Running, "", ""
		_, err := tx.Exec(ctx, `update hub.replay_part set stopped = '', failing = 0, cause = '' where replay = $1 and ended_at is null`, id)
		return err
	})
}

// CancelReplay ends one. What is on its way goes on and is followed; the rest stays
// as it is.
func (s *Store) CancelReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error) {
	return s.actOnReplay(ctx, id, who, "cancel replay", note, func(ctx context.Context, tx pgx.Tx, r *replay.Replay) error {
		if r.State == replay.Done || r.State == replay.Cancelled {
			return &replay.NotPossible{State: r.State, Why: "it has ended"}
		}
		r.State, r.Problem = replay.Cancelled, note
		for _, p := range r.Parts {
			if p.EndedAt != nil {
				continue
			}
			if err := endPart(ctx, tx, p, "cancelled: "+p.Tally.String()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) actOnReplay(ctx context.Context, id int64, who, verb, note string, f func(context.Context, pgx.Tx, *replay.Replay) error) (replay.Replay, error) {
	if err := s.onReplay(ctx, id, who, verb, note, f); err != nil {
		return replay.Replay{}, fmt.Errorf("%s %d: %w", verb, id, err)
	}
	return s.Replay(ctx, id)
}

// onReplay runs f with a replay locked, saves what it changed, and records the act at
// every hospital.
func (s *Store) onReplay(ctx context.Context, id int64, who, verb, note string, f func(context.Context, pgx.Tx, *replay.Replay) error) error {
	if who == "" {
		return errNobody
	}
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		// Whoever tells a message of it shares this lock until it is told.
		if _, err := tx.Exec(ctx, `select from hub.replay where id = $1 for no key update`, id); err != nil {
			return err
		}
		r, err := oneReplay(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := f(ctx, tx, &r); err != nil {
			return err
		}
		if err := saveReplay(ctx, tx, r); err != nil {
			return err
		}
		if note == "" && verb == "replay" {
			note = r.Note
		}
		for _, p := range r.Parts {
			data := map[string]any{"replay": id, "messages": p.Items, "state": r.Filter.State, "with": r.With}
			if err := decideAbout(ctx, tx, p.Hospital, fmt.Sprintf("replay %d", id), who, verb, note, data); err != nil {
				return err
			}
		}
		return nil
	})
}

func saveReplay(ctx context.Context, tx pgx.Tx, r replay.Replay) error {
	_, err := tx.Exec(ctx, `update hub.replay set state = $2, money = $3, approved_by = $4, paused_by = $5, problem = $6,
		ended_at = case when $2 in ('done', 'cancelled') then coalesce(ended_at, clock_timestamp()) end where id = $1`,
		r.ID, string(r.State), r.Money, clean(r.ApprovedBy), clean(r.PausedBy), clean(r.Problem))
	return err
}

// endPart ends one and tells so.
func endPart(ctx context.Context, tx pgx.Tx, p replay.Part, reason string) error {
	_, err := tx.Exec(ctx, `update hub.replay_part set ended_at = clock_timestamp() where replay = $1 and hospital = $2`, p.Replay, p.Hospital)
	if err != nil {
		return err
	}
	return announceReplay(ctx, tx, p, core.EventReplayEnded, reason)
}

func announceReplay(ctx context.Context, tx pgx.Tx, p replay.Part, e core.EventType, reason string) error {
	_, err := tx.Exec(ctx, `insert into hub.event (hospital, message, kind, key, type, data)
		values ($1, 0, '', $2::bigint::text, $3, jsonb_build_object('replay', $2::bigint, 'reason', $4::text))`, p.Hospital, p.Replay, string(e), clean(reason))
	return err
}

const replayColumns = `r.id, r.state, r.filter, r.revision, r.rate, r.concurrency, r.stop_after, r.note, r.money, r.created_by, r.created_at, r.approved_by,
	r.paused_by, r.problem, r.ended_at`

func scanReplay(row pgx.CollectableRow) (r replay.Replay, err error) {
	var filter []byte
	err = row.Scan(&r.ID, &r.State, &filter, &r.With, &r.Rate, &r.Concurrency, &r.StopAfter, &r.Note, &r.Money, &r.CreatedBy, &r.CreatedAt, &r.ApprovedBy,
		&r.PausedBy, &r.Problem, &r.EndedAt)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(filter, &r.Filter)
}

const partColumns = `p.replay, p.hospital, p.items, p.waiting, p.on_way, p.delivered, p.parked, p.cancelled, p.skipped, p.refused, p.stopped, p.ended_at`

func partFields(p *replay.Part) []any {
	return []any{&p.Replay, &p.Hospital, &p.Items, &p.Waiting, &p.OnWay, &p.Delivered, &p.Tally.Parked, &p.Cancelled, &p.Skipped, &p.Refused, &p.Stopped, &p.EndedAt}
}

// Replay reads one with its parts. ErrNotFound when there is none.
func (s *Store) Replay(ctx context.Context, id int64) (replay.Replay, error) {
	r, err := oneReplay(ctx, s.calm, id)
	if err != nil {
		return r, fmt.Errorf("read replay %d: %w", id, err)
	}
	return r, nil
}

func oneReplay(ctx context.Context, q querier, id int64) (r replay.Replay, err error) {
	rows, err := q.Query(ctx, `select `+replayColumns+` from hub.replay r where r.id = $1`, id)
	if err == nil {
		r, err = pgx.CollectExactlyOneRow(rows, scanReplay)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return r, ErrNotFound
	}
	if err != nil {
		return r, err
	}
	one := []replay.Replay{r}
	err = withParts(ctx, q, one)
	return one[0], err
}

// withParts adds the parts to each.
func withParts(ctx context.Context, q querier, all []replay.Replay) error {
	ids, at := make([]int64, len(all)), map[int64]*replay.Replay{}
	for i := range all {
		ids[i], at[all[i].ID] = all[i].ID, &all[i]
	}
	rows, err := q.Query(ctx, `select `+partColumns+` from hub.replay_part p where p.replay = any($1) order by p.replay, p.hospital`, ids)
	if err != nil {
		return err
	}
	var p replay.Part
	_, err = pgx.ForEachRow(rows, partFields(&p), func() error {
		at[p.Replay].Parts = append(at[p.Replay].Parts, p)
		return nil
	})
	return err
}

// Replays lists up to limit of them, newest first: those of which every hospital is
// among these (nil: all), with a smaller number than before (0: from the newest), and
// with open only those that have not ended.
func (s *Store) Replays(ctx context.Context, hospitals []string, open bool, before int64, limit int) (all []replay.Replay, err error) {
	rows, err := s.calm.Query(ctx, `select `+replayColumns+` from hub.replay r
		where ($1::bigint = 0 or r.id < $1) and (not $2 or r.state in ('listing', 'proposed', 'running', 'paused'))
			and ($3::text[] is null or exists (select from hub.replay_part p where p.replay = r.id)
				and not exists (select from hub.replay_part p where p.replay = r.id and p.hospital <> all($3)))
		order by r.id desc limit $4`, before, open, hospitals, limit)
	if err == nil {
		all, err = pgx.CollectRows(rows, scanReplay)
	}
	if err == nil {
		err = withParts(ctx, s.calm, all)
	}
	if err != nil {
		return nil, fmt.Errorf("list replays: %w", err)
	}
	return all, nil
}

// Worked reports whether any hub works at this database.
func (s *Store) Worked(ctx context.Context) (yes bool, err error) {
	err = s.calm.QueryRow(ctx, `select exists (select from hub.process where seen_until > clock_timestamp())`).Scan(&yes)
	if err != nil {
		return false, fmt.Errorf("look for processes: %w", err)
	}
	return yes, nil
}

// ReplayItems lists up to limit messages of a replay, by number, with a greater one
// than after; outcome "" is every one.
func (s *Store) ReplayItems(ctx context.Context, id int64, outcome replay.Outcome, after int64, limit int) (all []replay.Item, err error) {
	rows, err := s.calm.Query(ctx, `select i.message, i.hospital, i.kind, coalesce(m.key, ''), i.state, i.why, case when i.goes <> i.message then i.goes else 0 end, i.released_at, i.known_at
		from hub.replay_item i left join hub.message m on m.id = i.message
		where i.replay = $1 and i.message > $2 and ($3 = '' or i.state = $3) order by i.message limit $4`, id, after, string(outcome), limit)
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i replay.Item, err error) {
			var goes *int64
			err = row.Scan(&i.Message, &i.Hospital, &i.Kind, &i.Key, &i.Outcome, &i.Why, &goes, &i.ReleasedAt, &i.KnownAt)
			if goes != nil {
				i.Goes = *goes
			}
			return i, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list messages of replay %d: %w", id, err)
	}
	return all, nil
}

// forgetReplays forgets those of the months that ended before a moment, with their
// messages; what was decided about these stays in the audit. One of which something is
// still followed stays. A list can have any length, so it goes in pieces, the replay last.
func (s *Store) forgetReplays(ctx context.Context, before time.Time) error {
	rows, err := s.calm.Query(ctx, `select r.id from hub.replay r where r.ended_at < $1
		and not exists (select from hub.replay_part p where p.replay = r.id and p.on_way > 0) order by r.id`, month(before))
	if err != nil {
		return err
	}
	old, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for _, id := range old {
		for n := int64(listedAtOnce); n == listedAtOnce; {
			tag, err := s.calm.Exec(ctx, `delete from hub.replay_item where replay = $1
				and message in (select message from hub.replay_item where replay = $1 order by message limit $2)`, id, listedAtOnce)
			if err != nil {
				return err
			}
			n = tag.RowsAffected()
		}
		if _, err := s.calm.Exec(ctx, `delete from hub.replay where id = $1`, id); err != nil {
			return err
		}
	}
	return nil
}
