package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/reconcile"
)

// policy is who proposes where no person did.
const policy = "policy"

// What people read about repairs that fell away.
const (
	becauseGone    = "a later run did not find it any more"
	becauseChanged = "a later run found it otherwise"
	becauseAnother = "another repair was proposed"
)

// found are the differences of run $1, one of each number: the first in the order
// of classes, $2. Others of the number have no case of their own; more says in the
// trail that there are some.
const found = `found as materialized (
	select distinct on (f.type, f.number) f.id, f.type, f.number, f.class, f.amount, f.proposed,
		coalesce('; and ' || nullif(count(*) over (partition by f.type, f.number) - 1, 0) || ' more of this number', '') as more
	from hub.finding f where f.night = $1 and f.class = any($2)
	order by f.type, f.number, array_position($2::text[], f.class), f.id)`

// whole is finding f as a case keeps it.
const whole = `(select jsonb_strip_nulls(jsonb_build_object('class', w.class, 'type', w.type, 'number', w.number, 'channel', w.channel, 'ours', w.ours,
	'his', w.his, 'amount', w.amount, 'cause', nullif(w.cause, ''), 'of', nullif(w.of_number, ''))) from hub.finding w where w.id = f.id)`

// ownerOf is the default owner of a class: those of $2 are in $4.
const ownerOf = `(select owner from unnest($2::text[], $4::text[]) o(class, owner) where o.class = f.class)`

// openCases makes cases of what a run found and ends those of its day that it did
// not find, all of them at once: a HIS that was down may make thousands. The
// caller holds the hospital's cases.
func openCases(ctx context.Context, tx pgx.Tx, n reconcile.Night) error {
	classes := classNames(true)
	owners := make([]string, len(classes))
	for i, c := range classes {
		owners[i] = string(reconcile.Class(c).Meaning().Owner)
	}
	run := fmt.Sprintf("run %d of %s", n.Run, n.Day)
	// Nobody has counted yet what this transaction wrote. Planned as if there were a
	// few rows, each case would be looked for among all of them, or all of the
	// hospital, which the || '' below keeps from being looked up.
	if _, err := tx.Exec(ctx, `select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`); err != nil {
		return err
	}

	// Those that are live. One under repair is open again when its repair was done
	// before this run began. What was proposed for another finding falls away, and
	// what the policy proposed and would not propose now.
	_, err := tx.Exec(ctx, `with `+found+`, live as materialized (
			select c.id, c.class <> f.class or c.amount <> f.amount as changed, f.id as finding, f.proposed, f.more,
				c.state = 'repairing' and coalesce((select r.state in ('done', 'failed', 'rejected') and coalesce(r.ended_at < $6, true)
					from hub.repair r where r.case_id = c.id order by r.id desc limit 1), true) as back
			from found f join hub.case c on c.hospital || '' = $3 and c.type = f.type and c.number = f.number and c.state in ('open', 'repairing')
			for update of c
		), again as (
			update hub.case c set class = f.class, amount = f.amount, night = $1, finding = `+whole+`, state = case when l.back then 'open' else c.state end,
				owner = case when c.class <> f.class then `+ownerOf+` else c.owner end
			from live l join hub.finding f on f.id = l.finding where c.id = l.id
		), moot as (
			update hub.repair r set state = 'rejected', problem = $8, ended_at = clock_timestamp() from live l
			where r.case_id = l.id and r.state = 'proposed' and (l.changed or r.proposed_by = $9 and r.approved_by = '' and r.action <> l.proposed)
		)
		insert into hub.case_trail (case_id, who, verb, note) select id, $5, case when back then 'reopened' else 'found' end, $7 || more from live`,
		n.ID, classes, n.Hospital, owners, n.Who, n.Started, run, becauseChanged, policy)
	if err != nil {
		return fmt.Errorf("add to cases: %w", err)
	}

	// Those that were resolved and are back. One that was written off stays so, as
	// long as it is the same.
	_, err = tx.Exec(ctx, `with `+found+`, was as materialized (
			select c.id, f.id as finding, f.more from found f cross join lateral (
				select c.id, c.state from hub.case c where c.hospital || '' = $3 and c.number = f.number and c.type = f.type order by c.id desc limit 1) c
			where c.state = 'resolved'
		), again as (
			update hub.case c set state = 'open', ended_at = null, class = f.class, amount = f.amount, night = $1, finding = `+whole+`, owner = `+ownerOf+`
			from was w join hub.finding f on f.id = w.finding where c.id = w.id
		)
		insert into hub.case_trail (case_id, who, verb, note) select id, $5, 'reopened', $6 || more from was`, n.ID, classes, n.Hospital, owners, n.Who, run)
	if err != nil {
		return fmt.Errorf("reopen cases: %w", err)
	}
	_, err = tx.Exec(ctx, `with `+found+`, made as (
			insert into hub.case (hospital, day, type, number, class, amount, owner, night, finding)
			select $3, $7::text::date, f.type, f.number, f.class, f.amount, `+ownerOf+`, $1, `+whole+` from found f
			where not exists (select from hub.case c where c.hospital || '' = $3 and c.number = f.number and c.type = f.type
				and (c.state in ('open', 'repairing') or c.state = 'written_off' and c.class = f.class and c.amount = f.amount))
			order by f.id returning id, type, number
		)
		insert into hub.case_trail (case_id, who, verb, note) select m.id, $5, 'opened', $6 || f.more from made m join found f using (type, number)`, n.ID, classes, n.Hospital, owners, n.Who, run, n.Day)
	if err != nil {
		return fmt.Errorf("open cases: %w", err)
	}

	// What the policy proposes, unless that was decided about this case before.
	_, err = tx.Exec(ctx, `with `+found+`, made as (
			insert into hub.repair (case_id, action, amount, proposed_by)
			select c.id, f.proposed, case when f.type in ('prescription', 'order') then 0 else f.amount end, $4
			from found f join hub.case c on c.hospital || '' = $3 and c.type = f.type and c.number = f.number and c.state in ('open', 'repairing')
			where f.proposed <> '' and not exists (select from hub.repair r where r.case_id = c.id
				and (r.state in ('proposed', 'approved', 'sent') or r.action = f.proposed and r.state = 'done'
					or r.action = f.proposed and r.state = 'rejected' and r.problem not in ($5, $6, $7)))
			order by c.id returning case_id, action
		)
		insert into hub.case_trail (case_id, who, verb, note) select case_id, $4, 'proposed', action from made`,
		n.ID, classes, n.Hospital, policy, becauseGone, becauseChanged, becauseAnother)
	if err != nil {
		return fmt.Errorf("propose repairs: %w", err)
	}

	// Those of the day that are gone. What is on its way is not gone, nor what the
	// newest run of another day has, which found it last; and where the HIS's books
	// took no part, nothing is said of what they have or lack.
	//
	// Nor is anything said of a channel whose bill took no part: the folder has lost
	// it, perhaps. ways are the ways of paying that a case hangs on: those of its lines
	// in a bill, or of a booking without money; "" is any. last and now are whose
	// bills the run had that found it, and this one. A way that has no bill of its
	// own name came in another's. What a rule of the folder leaves out needs no bill.
	//
	// A payment that nobody knew of has a record since somebody said that it goes
	// back, and is no difference any more. It is one until the money went back.
	_, err = tx.Exec(ctx, `with gone as materialized (
			select c.id from hub.case c join hub.night l on l.id = c.night
			cross join lateral (select array(select case s->>'source' when 'ledger.insurance' then 'insurance' else s->>'source' end
				from jsonb_array_elements(case jsonb_typeof(l.statements) when 'array' then l.statements else '[]' end) s where s->>'party' = 'channel') as last) b
			cross join lateral (select case when c.finding ? 'channel' then array(select distinct coalesce(e->>'channel', '') from jsonb_array_elements(c.finding->'channel') e)
				when c.class = 'without_money' then array[coalesce(nullif(c.finding->'ours'->0->>'channel', ''), c.finding->'his'->0->>'channel', '')] else '{}' end as ways) w
			where c.hospital = $2 and c.day = $3::text::date and c.state in ('open', 'repairing') and c.night <> $1
				and ($4 <> '' or c.type not in ('payment', 'refund') or c.class <> 'missing_at_his' and c.finding->'his' is null)
				and (not exists (select from unnest(w.ways) way where way <> all($10) and (way = any(b.last) or not b.last <@ $10))
					or not c.finding ? 'channel' and exists (select from hub.finding f where f.night = $1 and f.type = c.type and f.number = c.number
						and f.class = 'excluded' and f.cause = $11 and (f.ours is not null or not c.finding ? 'ours')))
				and not exists (select from hub.finding f where f.night = $1 and f.type = c.type and f.number = c.number and f.class = any($5))
				and not exists (select from hub.finding f where f.type = c.type and f.number = c.number and f.class = any($9) and f.night = (
					select max(o.id) from hub.night o where o.hospital = $2 and o.state = 'done' and o.day <> $3::text::date and o.day = l.day))
				and not (c.type = 'payment' and c.finding->'ours' is null and coalesce((select r.action = 'pay_back' and r.state <> 'done' from hub.repair r
					where r.case_id = c.id and r.message is not null order by r.id desc limit 1), false))
			for update of c
		), ended as (
			update hub.case c set state = 'resolved', ended_at = clock_timestamp() from gone g where c.id = g.id
		), moot as (
			update hub.repair r set state = 'rejected', problem = $8, ended_at = clock_timestamp() from gone g where r.case_id = g.id and r.state in ('proposed', 'approved')
		)
		insert into hub.case_trail (case_id, who, verb, note) select id, $6, 'resolved', $7 from gone`,
		n.ID, n.Hospital, n.Day, string(n.Detail), held, n.Who, run, becauseGone, slices.Concat(classes, held), billed(n), reconcile.ByRule)
	if err != nil {
		return fmt.Errorf("resolve cases: %w", err)
	}
	return nil
}

// billed are the ways of paying whose bills took part in a run. The insurance's
// may be one that the HIS gave.
func billed(n reconcile.Night) []string {
	ways := []string{}
	for _, s := range n.Statements {
		switch {
		case s.Party != reconcile.Channel:
		case s.Source == string(core.InsuranceLedger):
			ways = append(ways, "insurance")
		default:
			ways = append(ways, s.Source)
		}
	}
	return ways
}

const caseColumns = `c.id, c.hospital, to_char(c.day, 'YYYY-MM-DD'), c.type, c.number, c.class, c.amount, c.state, c.owner, c.opened_at, c.ended_at, c.night, c.finding`

func scanCase(row pgx.CollectableRow) (c reconcile.Case, err error) {
	var finding []byte
	var ended *time.Time
	err = row.Scan(&c.ID, &c.Hospital, &c.Day, &c.Type, &c.Number, &c.Class, &c.Amount, &c.State, &c.Owner, &c.OpenedAt, &ended, &c.Night, &finding)
	if err != nil {
		return c, err
	}
	if ended != nil {
		c.EndedAt = *ended
	}
	return c, json.Unmarshal(finding, &c.Finding)
}

// Cases implements reconcile.Store, newest first.
func (s *Store) Cases(ctx context.Context, q reconcile.CaseQuery) ([]reconcile.Case, error) {
	all, err := s.cases(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	return all, nil
}

func (s *Store) cases(ctx context.Context, q reconcile.CaseQuery) ([]reconcile.Case, error) {
	limit := q.Limit
	if limit == 0 {
		limit = 100
	}
	// Only what is given stands in the statement, so that its plan is for that.
	sql := &query{}
	sql.text.WriteString(`select ` + caseColumns + ` from hub.case c where true`)
	if q.Live {
		sql.text.WriteString(` and c.state in ('open', 'repairing')`)
	}
	for _, c := range []struct {
		given bool
		sql   string
		value any
	}{
		{q.Hospitals != nil, ` and c.hospital = any(?)`, q.Hospitals},
		{q.State != "", ` and c.state = ?`, string(q.State)},
		{q.Class != "", ` and c.class = ?`, string(q.Class)},
		{q.Day != "", ` and c.day = ?::text::date`, q.Day},
		{q.Number != "", ` and c.number = ?`, q.Number},
		{q.Before != 0, ` and c.id < ?`, q.Before},
	} {
		if c.given {
			sql.add(c.sql, c.value)
		}
	}
	// By itself: a few cases of a number, or that are open, are sorted; all of them in
	// the order of their ids would be read.
	order := ` order by c.id desc limit ?`
	if q.Number != "" || q.Live {
		order = ` order by c.id + 0 desc limit ?`
	}
	rows, err := s.calm.Query(ctx, sql.add(order, limit).text.String(), sql.args...)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, scanCase)
	if err != nil {
		return nil, err
	}
	return all, s.withRepairs(ctx, all)
}

// withRepairs adds the newest repair of each case.
func (s *Store) withRepairs(ctx context.Context, cases []reconcile.Case) error {
	of := make(map[int64]*reconcile.Case, len(cases))
	ids := make([]int64, len(cases))
	for i := range cases {
		ids[i], of[cases[i].ID] = cases[i].ID, &cases[i]
	}
	rows, err := s.calm.Query(ctx, `select distinct on (r.case_id) `+repairColumns+` from hub.repair r where r.case_id = any($1) order by r.case_id, r.id desc`, ids)
	if err != nil {
		return err
	}
	repairs, err := pgx.CollectRows(rows, scanRepair)
	for i := range repairs {
		of[repairs[i].Case].Repair = &repairs[i]
	}
	return err
}

// Case implements reconcile.Store.
func (s *Store) Case(ctx context.Context, id int64) (reconcile.Case, []reconcile.Trail, error) {
	c, trail, err := s.caseByID(ctx, id)
	if err != nil {
		return reconcile.Case{}, nil, fmt.Errorf("read case %d: %w", id, err)
	}
	return c, trail, nil
}

func (s *Store) caseByID(ctx context.Context, id int64) (c reconcile.Case, trail []reconcile.Trail, err error) {
	if c, err = oneCase(ctx, s.calm, id, ""); err != nil {
		return c, nil, err
	}
	one := []reconcile.Case{c}
	if err := s.withRepairs(ctx, one); err != nil {
		return c, nil, err
	}
	rows, err := s.calm.Query(ctx, `select at, who, verb, note from hub.case_trail where case_id = $1 order by id`, id)
	if err != nil {
		return c, nil, err
	}
	trail, err = pgx.CollectRows(rows, pgx.RowToStructByPos[reconcile.Trail])
	return one[0], trail, err
}

// oneCase reads a case; how may lock it.
func oneCase(ctx context.Context, q querier, id int64, how string) (c reconcile.Case, err error) {
	rows, err := q.Query(ctx, `select `+caseColumns+` from hub.case c where c.id = $1 `+how, id)
	if err == nil {
		c, err = pgx.CollectExactlyOneRow(rows, scanCase)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return c, err
}

func live(c reconcile.Case) bool {
	return c.State == reconcile.CaseOpen || c.State == reconcile.CaseRepairing
}

// tell adds to a case's trail.
func tell(ctx context.Context, tx pgx.Tx, id int64, who, verb, note string) error {
	_, err := tx.Exec(ctx, `insert into hub.case_trail (case_id, who, verb, note) values ($1, $2, $3, $4)`, id, clean(who), verb, clean(note))
	return err
}

// acted is tell for what a person did, which is in the audit, too.
func acted(ctx context.Context, tx pgx.Tx, c reconcile.Case, who, verb, note string) error {
	if err := tell(ctx, tx, c.ID, who, verb, note); err != nil {
		return err
	}
	if who == policy {
		return nil
	}
	return record(ctx, tx, Act{Who: who, Verb: verb + " case", Hospital: c.Hospital, Subject: fmt.Sprintf("case %d", c.ID), Purpose: note})
}

// Note implements reconcile.Store; a case that ended may be noted on, too.
func (s *Store) Note(ctx context.Context, id int64, who, note string) error {
	return s.onCase(ctx, id, "note on", func(ctx context.Context, tx pgx.Tx, c reconcile.Case) error {
		return acted(ctx, tx, c, who, "noted", note)
	})
}

// Assign implements reconcile.Store. ErrNotOpen when the case has ended.
func (s *Store) Assign(ctx context.Context, id int64, who, owner string) error {
	return s.onCase(ctx, id, "assign", func(ctx context.Context, tx pgx.Tx, c reconcile.Case) error {
		if !live(c) {
			return reconcile.ErrNotOpen
		}
		if _, err := tx.Exec(ctx, `update hub.case set owner = $2 where id = $1`, id, clean(owner)); err != nil {
			return err
		}
		return acted(ctx, tx, c, who, "assigned", owner)
	})
}

// onCase runs f with a case locked.
func (s *Store) onCase(ctx context.Context, id int64, what string, f func(context.Context, pgx.Tx, reconcile.Case) error) error {
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		c, err := oneCase(ctx, tx, id, "for update")
		if err != nil {
			return err
		}
		return f(ctx, tx, c)
	})
	if err != nil {
		return fmt.Errorf("%s case %d: %w", what, id, err)
	}
	return nil
}
