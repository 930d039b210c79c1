package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/replay"
)

var _ replay.Store = (*Store)(nil)

const workColumns = partColumns + `, r.state, r.rate, r.concurrency, (select count(*) from hub.replay_item i join hub.queue q on q.message = i.goes and q.head
	where i.replay = p.replay and i.hospital = p.hospital and i.state = 'released')`

func scanWork(row pgx.CollectableRow) (w replay.Work, err error) {
	return w, row.Scan(append(partFields(&w.Part), &w.State, &w.Rate, &w.Concurrency, &w.AtHIS)...)
}

// ReplayWork implements replay.Store.
func (s *Store) ReplayWork(ctx context.Context, process string) (all []replay.Work, err error) {
	rows, err := s.calm.Query(ctx, `select `+workColumns+` from hub.replay_part p join hub.replay r on r.id = p.replay
		join hub.shard s on s.number = p.shard
		where (p.ended_at is null or p.on_way > 0) and s.process = $1 and s.until > clock_timestamp()
			and (p.on_way > 0 or r.state = 'running' and p.stopped = '') order by r.id, p.hospital`, process)
	if err == nil {
		all, err = pgx.CollectRows(rows, scanWork)
	}
	if err != nil {
		return nil, fmt.Errorf("look for replays: %w", err)
	}
	return all, nil
}

// ReplayNext implements replay.Store.
func (s *Store) ReplayNext(ctx context.Context, process string, id int64, hospital string, rules replay.Rules) (o replay.Outcome, err error) {
	err = s.alongside(ctx, func(tx pgx.Tx) (err error) {
		o, err = s.replayNext(ctx, tx, process, id, hospital, rules)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("replay %d at hospital %s: %w", id, hospital, err)
	}
	if o == replay.Released {
		s.Woken(hospital)
	}
	return o, nil
}

func (s *Store) replayNext(ctx context.Context, tx pgx.Tx, process string, id int64, hospital string, rules replay.Rules) (replay.Outcome, error) {
	// Shared with other parts; who pauses or cancels waits for it to end. Then the part,
	// so that two processes never work on one at a time, and then the lane.
	one := step{s: s, tx: tx, replay: id, rules: rules}
	err := tx.QueryRow(ctx, `select revision, note, created_by from hub.replay where id = $1 and state = 'running' for share`, id).Scan(&one.with, &one.note, &one.who)
	if err == nil {
		err = tx.QueryRow(ctx, `select (select filter->>'state' from hub.replay where id = $1), hospital from hub.replay_part p
			where p.replay = $1 and p.hospital = $2 and p.ended_at is null and p.stopped = ''
				and exists (select from hub.shard s where s.number = p.shard and s.process = $3 and s.until > clock_timestamp()) for update`, id, hospital, process).
			Scan(&one.state, &hospital)
	}
	if err == nil {
		err = tx.QueryRow(ctx, `select message from hub.replay_item where replay = $1 and hospital = $2 and state = 'waiting' order by place, message limit 1`, id, hospital).Scan(&one.message)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return replay.Waiting, nil
	}
	if err != nil {
		return "", err
	}
	o, why, goes, err := one.try(ctx)
	if err != nil {
		return "", err
	}
	// One that was not released has its end.
	_, err = tx.Exec(ctx, `update hub.replay_item set state = $3, why = $4, goes = nullif($5, 0),
		released_at = case when $3 = 'released' then clock_timestamp() end, known_at = case when $3 <> 'released' then clock_timestamp() end
		where replay = $1 and message = $2`, id, one.message, string(o), clean(why), goes)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `update hub.replay_part set waiting = waiting - 1, on_way = on_way + ($3 = 'released')::integer,
		skipped = skipped + ($3 = 'skipped')::integer, refused = refused + ($3 = 'refused')::integer where replay = $1 and hospital = $2`, id, hospital, string(o))
	return o, err
}

// step is one message of a replay whose turn it is.
type step struct {
	s       *Store
	tx      pgx.Tx
	replay  int64
	message int64
	state   delivery.State // that the replay is about
	with    replay.With
	note    string
	who     string
	rules   replay.Rules
}

// try tells it again so that nothing stays of what fails. Only what is wrong with the
// message itself becomes its outcome; everything else is an error, and tried again.
func (t step) try(ctx context.Context) (o replay.Outcome, why string, goes int64, err error) {
	err = pgx.BeginFunc(ctx, t.tx, func(part pgx.Tx) error {
		t.tx = part
		goes, err = t.tell(ctx)
		return err
	})
	var refusal *Refusal
	var problems core.Problems
	switch {
	case err == nil:
		return replay.Released, "", goes, nil
	case errors.As(err, &refusal):
		return replay.Skipped, refusal.Error(), 0, nil
	case errors.As(err, &problems):
		return replay.Refused, problems[0].What, 0, nil
	case errors.Is(err, core.ErrCannot):
		return replay.Refused, core.ErrCannot.Error(), 0, nil
	case errors.Is(err, ErrNotFound):
		return replay.Refused, "its content is past its retention", 0, nil
	case errors.Is(err, errSealed):
		return replay.Refused, errSealed.Error(), 0, nil
	}
	return "", "", 0, err
}

// errSealed: it would stay so, however often it is tried.
var errSealed = errors.New("what is stored of it cannot be read")

// tell is one Resend of a repair, for a message that is as it was when it was listed.
func (t step) tell(ctx context.Context) (goes int64, err error) {
	m := &subject{s: t.s, tx: t.tx, id: t.message}
	if err := t.tx.QueryRow(ctx, `select hospital, kind, key, lane from hub.message where id = $1`, m.id).Scan(&m.hospital, &m.kind, &m.key, &m.lane); err != nil {
		return 0, err
	}
	if err := lock(ctx, t.tx, laneLock(m.hospital, m.lane), keyLock(m.hospital, m.kind, m.key)); err != nil {
		return 0, err
	}
	if err := m.load(ctx); err != nil {
		return 0, sealed(err)
	}
	switch {
	case m.supersededBy != 0:
		return 0, &Refusal{m.state, "message " + strconv.FormatInt(m.supersededBy, 10) + " is in its place"}
	case m.state != t.state:
		return 0, &Refusal{m.state, "somebody decided about it meanwhile"}
	}
	u := replay.Subject{Kind: m.kind, State: m.state, Class: m.class, Step: m.progress.Step, Phase: m.progress.Phase,
		Doubt: m.sent || !m.progress.LastByte.IsZero(), Finished: len(m.progress.Finished) > 0, RefundNow: m.refundNow}
	err = t.tx.QueryRow(ctx, `select m.attempts > 0 or m.state = 'delivered', coalesce(q.revision, m.revision), not exists (select from hub.body b where b.message = m.id and b.accepted_at = m.accepted_at)
		from hub.message m left join hub.queue q on q.message = m.id where m.id = $1`, m.id).Scan(&u.Told, &u.Revision, &u.Gone)
	if err != nil {
		return 0, err
	}
	again, err := t.rules(ctx, m.hospital, m.kind, t.with.Revision(u))
	switch gone := t.with.Revision(u) != 0 && !Away(err) && ctx.Err() == nil; {
	case err != nil && gone: // the newest one is waited for, as its deliveries do
		return 0, core.Problems{{Field: "message", What: becauseNotOpen(t.with.Revision(u))}}
	case err != nil:
		return 0, err
	}
	if why := u.Refusal(t.with, again); why != "" {
		return 0, core.Problems{{Field: "message", What: why}}
	}
	if goes, err = m.sendAgain(ctx); err != nil {
		return 0, sealed(err)
	}
	// What is begun is said with its queue row's revision, what is not with the pin.
	revision := t.with.Revision(u)
	if _, err := t.tx.Exec(ctx, `update hub.queue set revision = case when $3 then $2 else revision end, pin = nullif($2, 0) where message = $1`,
		goes, revision, t.with == replay.Newest || m.state != delivery.Parked); err != nil {
		return 0, err
	}
	if err := m.first(ctx); err != nil {
		return 0, err
	}
	return goes, m.decide(ctx, t.who, "replay", t.note, map[string]any{"replay": t.replay, "by": goes})
}

func becauseNotOpen(revision int) string {
	return fmt.Sprintf("revision %d of the hospital's folder, which would say it again, cannot be opened; replay it with the newest", revision)
}

// sealed marks the error of stored bytes that cannot be opened. What the database or
// the network says is none.
func sealed(err error) error {
	var refusal *Refusal
	var problems core.Problems
	if err == nil || sqlState(err) != "" || Away(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &refusal) || errors.As(err, &problems) || errors.Is(err, core.ErrCannot) || errors.Is(err, ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: %w", errSealed, err)
}

// first gives the lane's head to its first member: what was released comes before
// those behind it, unless one of them is on its way already.
func (m *subject) first(ctx context.Context) error {
	_, err := m.tx.Exec(ctx, `update hub.queue set head = false where hospital = $1 and lane = $2 and head and place > $3 and lease_until is null and sent_at is null`,
		m.hospital, m.lane, m.place)
	if err != nil {
		return err
	}
	_, err = m.tx.Exec(ctx, promote, []string{m.hospital}, []string{m.lane}, []int32{1})
	return err
}

// ReplayFollow implements replay.Store.
func (s *Store) ReplayFollow(ctx context.Context, id int64, hospital string) (w replay.Work, err error) {
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		if w, err = partWork(ctx, tx, id, hospital); err != nil || !w.Live() && w.EndedAt != nil {
			return err
		}
		if w.OnWay == 0 && w.Waiting > 0 {
			return nil
		}
		if err := follow(ctx, tx, id, hospital); err != nil {
			return err
		}
		w, err = partWork(ctx, tx, id, hospital)
		return err
	})
	if err != nil {
		return w, fmt.Errorf("follow replay %d at hospital %s: %w", id, hospital, err)
	}
	return w, nil
}

func partWork(ctx context.Context, tx pgx.Tx, id int64, hospital string) (w replay.Work, err error) {
	rows, err := tx.Query(ctx, `select `+workColumns+` from hub.replay_part p join hub.replay r on r.id = p.replay where p.replay = $1 and p.hospital = $2`, id, hospital)
	if err == nil {
		w, err = pgx.CollectExactlyOneRow(rows, scanWork)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return w, err
}

// known is what became of one that was on its way.
type known struct {
	message, goes int64
	by            int64 // the message that took its place since; 0 is none
	state         delivery.State
	class         core.Class
	reason        string
}

// knownAtOnce bounds one transaction of follow.
const knownAtOnce = 2000

func follow(ctx context.Context, tx pgx.Tx, id int64, hospital string) error {
	// In the order in which they became known, for the count of those in a row.
	rows, err := tx.Query(ctx, `select i.message, i.goes, coalesce(m.superseded_by, 0), m.state, coalesce(m.class, ''), coalesce(m.reason, '')
		from hub.replay_item i join hub.message m on m.id = i.goes left join hub.queue q on q.message = i.goes
		where i.replay = $1 and i.hospital = $2 and i.state = 'released' and (m.state <> 'queued' or m.superseded_by is not null)
		order by coalesce(m.decided_at, q.parked_at), i.message limit $3`, id, hospital, knownAtOnce)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k known, err error) {
		return k, row.Scan(&k.message, &k.goes, &k.by, &k.state, &k.class, &k.reason)
	})
	if err != nil {
		return err
	}
	var part replay.Part
	var stopAfter, failing int
	var cause string
	// The replay before the part, as ReplayNext does.
	err = tx.QueryRow(ctx, `select stop_after from hub.replay where id = $1 for no key update`, id).Scan(&stopAfter)
	if err == nil {
		err = tx.QueryRow(ctx, `select `+partColumns+`, failing, cause from hub.replay_part p where p.replay = $1 and p.hospital = $2 for update`, id, hospital).
			Scan(append(partFields(&part), &failing, &cause)...)
	}
	if err != nil {
		return err
	}
	for _, k := range all {
		tag, err := k.note(ctx, tx, id)
		if err != nil {
			return err
		}
		if !tag {
			continue // another process was faster, or it goes on as another message
		}
		part.OnWay--
		switch k.state {
		case delivery.Delivered:
			part.Delivered++
			failing, cause = 0, ""
		case delivery.Cancelled:
			part.Cancelled++
		case delivery.Parked:
			part.Tally.Parked++
			if cause != string(k.class) {
				failing, cause = 0, string(k.class)
			}
			failing++
			if failing >= stopAfter && part.Stopped == "" && part.Waiting > 0 && part.EndedAt == nil {
				part.Stopped = fmt.Sprintf("%d in a row were parked again as %s, the last one because %s", failing, k.class, k.reason)
				if err := announceReplay(ctx, tx, part, core.EventReplayStopped, part.Stopped); err != nil {
					return err
				}
			}
		}
	}
	_, err = tx.Exec(ctx, `update hub.replay_part set on_way = $3, delivered = $4, parked = $5, cancelled = $6, failing = $7, cause = $8, stopped = $9 where replay = $1 and hospital = $2`,
		id, hospital, part.OnWay, part.Delivered, part.Tally.Parked, part.Cancelled, failing, cause, clean(part.Stopped))
	if err != nil {
		return err
	}
	if part.EndedAt == nil && part.Waiting == 0 && part.OnWay == 0 {
		now := time.Now()
		part.EndedAt = &now
		if err := endPart(ctx, tx, part, part.Tally.String()); err != nil {
			return err
		}
	}
	return together(ctx, tx, id)
}

// note keeps what became of one; false when it is not known yet after all.
func (k known) note(ctx context.Context, tx pgx.Tx, id int64) (bool, error) {
	if k.by != 0 {
		_, err := tx.Exec(ctx, `update hub.replay_item set goes = $3 where replay = $1 and message = $2 and state = 'released'`, id, k.message, k.by)
		return false, err
	}
	tag, err := tx.Exec(ctx, `update hub.replay_item set state = $3, why = $4, known_at = clock_timestamp() where replay = $1 and message = $2 and state = 'released'`,
		id, k.message, string(k.state), k.why())
	return tag.RowsAffected() > 0, err
}

func (k known) why() string {
	if k.state == delivery.Delivered {
		return ""
	}
	return clean(k.reason)
}

// together ends a replay of which every part has ended, and pauses one of which the
// rest has stopped by itself.
func together(ctx context.Context, tx pgx.Tx, id int64) error {
	r, err := oneReplay(ctx, tx, id)
	if err != nil || r.State != replay.Running && r.State != replay.Paused {
		return err
	}
	problem := ""
	for _, p := range r.Parts {
		switch {
		case p.EndedAt != nil:
		case p.Stopped == "":
			return nil
		default:
			if problem != "" {
				problem += "; "
			}
			problem += p.Hospital + ": " + p.Stopped
		}
	}
	switch {
	case problem == "":
		r.State, r.PausedBy, r.Problem = replay.Done, "", ""
	case r.State == replay.Paused: // by a person: their words stay
		return nil
	default:
		r.State, r.PausedBy, r.Problem = replay.Paused, "hub", problem
	}
	return saveReplay(ctx, tx, r)
}
