package postgres

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/replay"
	"hishub/core/shadow"
)

// selection is what a filter names at one hospital, as SQL over m (hub.message) and,
// of what is parked, q (hub.queue).
type selection struct {
	from  string
	where []string
	args  []any
}

func (c *selection) and(condition string, values ...any) {
	for _, v := range values {
		c.args = append(c.args, v)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(c.args)), 1)
	}
	c.where = append(c.where, condition)
}

// sql is the statement; what comes after may go on with $n from len(args)+1 on.
func (c *selection) sql(columns, rest string) string {
	return `select ` + columns + ` from ` + c.from + ` where ` + strings.Join(c.where, " and ") + " " + rest
}

func (s *Store) selection(ctx context.Context, f replay.Filter, hospital string) (*selection, error) {
	c := &selection{from: `hub.message m`}
	class, reason := `m.class`, `m.reason`
	if f.State == delivery.Parked {
		c.from, class, reason = `hub.queue q join hub.message m on m.id = q.message`, `q.class`, `q.reason`
		c.and(`q.hospital = ? and q.state = 'parked'`, hospital)
	} else {
		// What was superseded has another in its place.
		c.and(`m.hospital = ? and m.superseded_by is null`, hospital)
		c.and(`m.state = ?`, string(f.State))
	}
	if f.Kind != "" {
		c.and(`m.kind = ?`, string(f.Kind))
	}
	if f.Class != "" {
		c.and(class+` = ?`, string(f.Class))
	}
	if f.Reason != "" {
		c.and(`position(lower(?) in lower(`+reason+`)) > 0`, f.Reason)
	}
	if f.Code != "" {
		table, code := core.Marks(f.Codes, f.Code)
		c.and(class+` = ?`, string(core.Invalid))
		c.and(`position(? in `+reason+`) > 0 and position(? in `+reason+`) > 0`, table, code)
	}
	if f.Keys != nil {
		c.and(`m.key = any(?)`, f.Keys)
	}
	if f.Messages != nil {
		c.and(`m.id = any(?)`, f.Messages)
	}
	if f.Since.IsZero() && f.Until.IsZero() {
		return c, nil
	}
	until := f.Until
	if until.IsZero() {
		until = time.Now().Add(24 * time.Hour)
	}
	c.and(`m.accepted_at >= ? and m.accepted_at < ?`, f.Since, until)
	if f.State != delivery.Parked { // of which there are few
		after, last, err := s.stretch(ctx, "message", "accepted_at", shadow.Query{Hospital: hospital, From: f.Since, Until: until})
		if err != nil {
			return nil, err
		}
		c.and(`m.id > ? and m.id <= ?`, after, last)
	}
	return c, nil
}

// subjectColumns are those of replay.Subject, by which messages are alike.
func subjectColumns(state delivery.State) string {
	gone := `not exists (select from hub.body b where b.message = m.id and b.accepted_at = m.accepted_at)`
	if state == delivery.Parked {
		return `m.kind, coalesce(q.class, ''), coalesce(q.progress->>'phase', 'send'), coalesce((q.progress->>'step')::integer, 0),
			q.sent_at is not null or coalesce(q.progress, '{}') ? 'last_byte', jsonb_array_length(coalesce(q.progress->'finished', '[]')) > 0,
			false, q.revision, m.refund_now, ` + gone
	}
	return `m.kind, coalesce(m.class, ''), 'send', 0, false, false, m.attempts > 0 or m.state = 'delivered', m.revision, m.refund_now, ` + gone
}

func subjectFields(u *replay.Subject) []any {
	return []any{&u.Kind, &u.Class, &u.Phase, &u.Step, &u.Doubt, &u.Finished, &u.Told, &u.Revision, &u.RefundNow, &u.Gone}
}

// PreviewReplay says what a plan would do. Problems when the plan does not hold,
// core.ErrUnknownHospital when there is no such hospital.
func (s *Store) PreviewReplay(ctx context.Context, p replay.Plan, rules replay.Rules) (v replay.Preview, err error) {
	if err := p.Check(); err != nil {
		return v, err
	}
	hospitals, err := s.replayed(ctx, p.Filter.Hospitals)
	for _, h := range hospitals {
		if err == nil {
			err = s.preview(ctx, &v, p, h.ID, rules)
		}
	}
	if err != nil {
		return v, fmt.Errorf("preview a replay: %w", err)
	}
	return v, nil
}

func (s *Store) preview(ctx context.Context, v *replay.Preview, p replay.Plan, hospital string, rules replay.Rules) error {
	c, err := s.selection(ctx, p.Filter, hospital)
	if err != nil {
		return err
	}
	rows, err := s.calm.Query(ctx, c.sql(subjectColumns(p.Filter.State)+`, count(*), min(m.accepted_at), max(m.accepted_at)`, `group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10`), c.args...)
	if err != nil {
		return err
	}
	type alike struct {
		replay.Subject
		replay.Group
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a alike, err error) {
		a.Subject.State = p.Filter.State
		return a, row.Scan(append(subjectFields(&a.Subject), &a.Count, &a.Oldest, &a.Newest)...)
	})
	if err != nil {
		return err
	}
	for _, a := range all {
		g := a.Group
		g.Hospital, g.Kind, g.Class = hospital, a.Subject.Kind, a.Subject.Class
		again, err := rules(ctx, hospital, a.Subject.Kind, p.With.Revision(a.Subject))
		switch revision := p.With.Revision(a.Subject); {
		case err == nil:
			g.Refusal = a.Subject.Refusal(p.With, again)
		case revision != 0 && !Away(err) && ctx.Err() == nil:
			g.Refusal = becauseNotOpen(revision)
		default:
			return fmt.Errorf("hospital %s: %w", hospital, err)
		}
		v.Groups = append(v.Groups, g)
		if v.Oldest.IsZero() || g.Oldest.Before(v.Oldest) {
			v.Oldest = g.Oldest
		}
		if g.Newest.After(v.Newest) {
			v.Newest = g.Newest
		}
		v.Money = v.Money || takesTwo(p.Filter.State, g.Kind)
	}
	if p.Filter.State != delivery.Parked {
		return s.later(ctx, v, c, hospital)
	}
	var behind int
	err = s.calm.QueryRow(ctx, `select count(*) from hub.queue w where w.hospital = $1 and w.state = 'queued' and not w.head and exists (`+
		c.sql(``, `and q.head and q.lane = w.lane)`), c.args...).Scan(&behind)
	v.Behind += behind
	return err
}

// later counts what was told after a selection in its lanes, and is not in it.
func (s *Store) later(ctx context.Context, v *replay.Preview, c *selection, hospital string) error {
	var later int
	args := append(c.args[:len(c.args):len(c.args)], hospital)
	err := s.calm.QueryRow(ctx, `with chosen as materialized (`+c.sql(`m.id, m.lane, m.place`, ``)+`)
		select count(*) from (select lane, min(place) as place from chosen group by lane) f
		join hub.message w on w.lane = f.lane and w.hospital = $`+strconv.Itoa(len(args))+` and w.place > f.place
		where w.state = 'delivered' and w.superseded_by is null and not exists (select from chosen o where o.id = w.id)`, args...).Scan(&later)
	v.Later += later
	return err
}

// takesTwo: what was decided about money is told again by two people only.
func takesTwo(state delivery.State, kind core.Kind) bool {
	t, _ := core.Lookup(kind)
	return state != delivery.Parked && t.Money && t.Mode != core.Record
}

// replayed are the hospitals of a filter, nil being all.
func (s *Store) replayed(ctx context.Context, named []string) ([]HospitalRecord, error) {
	all, err := s.Hospitals(ctx)
	if err != nil || named == nil {
		return all, err
	}
	var found []HospitalRecord
	for _, h := range all {
		if slices.Contains(named, h.ID) {
			found = append(found, h)
		}
	}
	for _, name := range named {
		if !slices.ContainsFunc(found, func(h HospitalRecord) bool { return h.ID == name }) {
			return nil, core.ErrUnknownHospital
		}
	}
	return found, nil
}

// ToldOf gives the messages of a filter to a shadow, which says them by another
// revision: those of its query's hospital, oldest first, up to its limit.
func (s *Store) ToldOf(f replay.Filter) shadow.Store { return toldOf{s, f} }

type toldOf struct {
	s *Store
	f replay.Filter
}

func (t toldOf) Told(ctx context.Context, q shadow.Query) iter.Seq2[shadow.Message, error] {
	return func(yield func(shadow.Message, error) bool) {
		said, err := t.s.saidWith(ctx, t.f, q.Hospital, q.Limit)
		if err != nil {
			yield(shadow.Message{}, fmt.Errorf("list what hospital %s was told: %w", q.Hospital, err))
			return
		}
		for _, one := range said {
			only := q
			only.Only, only.Kind, only.Limit = one.message, "", 1
			for m, err := range t.s.Told(ctx, only) {
				m.Revision = one.revision
				if !yield(m, err) || err != nil {
					return
				}
			}
		}
	}
}

type said struct {
	message  int64
	revision int
}

// saidWith lists messages with the revision that each was said with last, or could
// not be said with: of those that never were on their way, the one in force when
// that was found.
func (s *Store) saidWith(ctx context.Context, f replay.Filter, hospital string, limit int) ([]said, error) {
	c, err := s.selection(ctx, f, hospital)
	if err != nil {
		return nil, err
	}
	revision, at := `m.revision`, `m.decided_at`
	if f.State == delivery.Parked {
		revision, at = `q.revision`, `q.parked_at`
	}
	rows, err := s.calm.Query(ctx, c.sql(`m.id, coalesce(nullif(`+revision+`, 0),
		(select max(r.number) from hub.revision r where r.hospital = m.hospital and r.applied_at <= `+at+`), 0)`, `order by m.id limit `+strconv.Itoa(limit)), c.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (one said, err error) {
		return one, row.Scan(&one.message, &one.revision)
	})
}

// Heard gives none: what a HIS told us is not replayed.
func (toldOf) Heard(context.Context, shadow.Query) iter.Seq2[shadow.Arrival, error] {
	return func(func(shadow.Arrival, error) bool) {}
}
