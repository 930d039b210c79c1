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
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

const repairColumns = `r.id, r.case_id, r.action, r.params, r.note, r.amount, r.state, r.proposed_by, r.proposed_at, r.approved_by, r.second_by,
	coalesce(r.approved_at, 'epoch'), coalesce(r.message, 0), r.problem, r.people`

func scanRepair(row pgx.CollectableRow) (r reconcile.Repair, err error) {
	var params []byte
	err = row.Scan(&r.ID, &r.Case, &r.Action, &params, &r.Note, &r.Amount, &r.State, &r.ProposedBy, &r.ProposedAt, &r.ApprovedBy, &r.SecondBy,
		&r.ApprovedAt, &r.Message, &r.Problem, &r.People)
	if err != nil {
		return r, err
	}
	if r.ApprovedAt.Equal(time.Unix(0, 0)) {
		r.ApprovedAt = time.Time{}
	}
	return r, json.Unmarshal(params, &r.Params)
}

var errNobody = errors.New("an act needs a person")

// Propose implements reconcile.Store. Its amount is what is in question; nothing
// for a prescription or order. Problems when the class does not allow the action.
// A person may put another in the place of the own one, as long as nobody else
// has approved that.
func (s *Store) Propose(ctx context.Context, id int64, action reconcile.Action, p reconcile.Params, who, note string) (r reconcile.Repair, err error) {
	if who == "" {
		return r, errNobody
	}
	params, err := json.Marshal(p)
	if err != nil {
		return r, err
	}
	err = s.onCase(ctx, id, "propose a repair of", func(ctx context.Context, tx pgx.Tx, c reconcile.Case) error {
		if !live(c) {
			return reconcile.ErrNotOpen
		}
		if !slices.Contains(c.Class.Meaning().Repairs, action) {
			return core.Problems{{Field: "action", What: fmt.Sprintf("not a repair of %s; those are %v", c.Class, c.Class.Meaning().Repairs)}}
		}
		var open int64
		var by, approvedBy, state string
		err := tx.QueryRow(ctx, `select id, proposed_by, approved_by, state from hub.repair where case_id = $1 and state in ('proposed', 'approved', 'sent')`, id).
			Scan(&open, &by, &approvedBy, &state)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return err
		case state != "proposed" || by != policy && !samePerson(by, who) || approvedBy != "" && !samePerson(approvedBy, who):
			return reconcile.ErrNotOpen
		default:
			if _, err := tx.Exec(ctx, `update hub.repair set state = 'rejected', problem = $2, ended_at = clock_timestamp() where id = $1`, open, becauseAnother); err != nil {
				return err
			}
		}
		amount := c.Amount
		if ofState(c) {
			amount = 0
		}
		var made int64
		if err := tx.QueryRow(ctx, `insert into hub.repair (case_id, action, params, note, amount, proposed_by) values ($1, $2, $3, $4, $5, $6) returning id`,
			id, string(action), storableJSON(params), clean(note), int64(amount), clean(who)).Scan(&made); err != nil {
			return err
		}
		if err := acted(ctx, tx, c, who, "proposed", spoken(action, note)); err != nil {
			return err
		}
		r, err = oneRepair(ctx, tx, made)
		return err
	})
	return r, err
}

// ofState: a case of a prescription or order, in which no money moves.
func ofState(c reconcile.Case) bool {
	return c.Type == reconcile.EntryPrescription || c.Type == reconcile.EntryOrder
}

func spoken(a reconcile.Action, note string) string {
	if note == "" {
		return string(a)
	}
	return string(a) + ": " + note
}

func oneRepair(ctx context.Context, q querier, id int64) (r reconcile.Repair, err error) {
	rows, err := q.Query(ctx, `select `+repairColumns+` from hub.repair r where r.id = $1`, id)
	if err == nil {
		r, err = pgx.CollectExactlyOneRow(rows, scanRepair)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return r, err
}

// onRepair runs f with a repair and its case locked, and gives the repair as it
// is then.
func (s *Store) onRepair(ctx context.Context, id int64, what string, f func(context.Context, pgx.Tx, reconcile.Case, reconcile.Repair) error) (r reconcile.Repair, err error) {
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		// The case first, as everybody does.
		var of int64
		err := tx.QueryRow(ctx, `select case_id from hub.repair where id = $1`, id).Scan(&of)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		c, err := oneCase(ctx, tx, of, "for update")
		if err != nil {
			return err
		}
		if r, err = oneRepair(ctx, tx, id); err != nil {
			return err
		}
		if err := f(ctx, tx, c, r); err != nil {
			return err
		}
		r, err = oneRepair(ctx, tx, id)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("%s repair %d: %w", what, id, err)
	}
	return r, nil
}

// Approve implements reconcile.Store. From fourEyesFrom on two people must have
// said yes: who proposed it, if that was a person, and ApprovedBy; or ApprovedBy
// and SecondBy. How many it takes is kept at the first yes, so that a rule that is
// loosened between two does not let the first person finish alone. The policy may say yes only to telling the HIS of a prescription or
// order again, in which no money moves.
func (s *Store) Approve(ctx context.Context, repair int64, who, note string, fourEyesFrom core.Fen) (reconcile.Repair, error) {
	if who == "" {
		return reconcile.Repair{}, errNobody
	}
	return s.onRepair(ctx, repair, "approve", func(ctx context.Context, tx pgx.Tx, c reconcile.Case, r reconcile.Repair) error {
		if r.State != reconcile.RepairProposed || !live(c) {
			return reconcile.ErrNotOpen
		}
		harmless := ofState(c) && r.Action == reconcile.Resend && r.Amount == 0
		if who == policy && !harmless {
			return reconcile.ErrSecondPerson
		}
		enough, column, people := true, "approved_by", max(r.People, 1)
		if r.Amount > 0 && r.Amount >= fourEyesFrom {
			people = 2
		}
		if people > 1 {
			if r.ProposedBy != policy && samePerson(r.ProposedBy, who) || samePerson(r.ApprovedBy, who) {
				return reconcile.ErrSecondPerson
			}
			enough = r.ProposedBy != policy || r.ApprovedBy != ""
			if r.ApprovedBy != "" {
				column = "second_by"
			}
		}
		_, err := tx.Exec(ctx, `update hub.repair set `+column+` = $2, state = case when $3 then 'approved' else state end,
			approved_at = case when $3 then clock_timestamp() end, people = $4 where id = $1`, repair, clean(who), enough, people)
		if err != nil {
			return err
		}
		if enough {
			if _, err := tx.Exec(ctx, `update hub.case set state = 'repairing' where id = $1`, c.ID); err != nil {
				return err
			}
		}
		return acted(ctx, tx, c, who, "approved", spoken(r.Action, note))
	})
}

// Reject implements reconcile.Store. ErrNotOpen once it was approved.
func (s *Store) Reject(ctx context.Context, repair int64, who, note string) (reconcile.Repair, error) {
	return s.onRepair(ctx, repair, "reject", func(ctx context.Context, tx pgx.Tx, c reconcile.Case, r reconcile.Repair) error {
		if r.State != reconcile.RepairProposed {
			return reconcile.ErrNotOpen
		}
		_, err := tx.Exec(ctx, `update hub.repair set state = 'rejected', problem = $2, ended_at = clock_timestamp() where id = $1`, repair, clean(note))
		if err != nil {
			return err
		}
		return acted(ctx, tx, c, who, "rejected", spoken(r.Action, note))
	})
}

// ToCarryOut implements reconcile.Store; no hospital is all of them.
func (s *Store) ToCarryOut(ctx context.Context, hospital string) ([]reconcile.Repair, error) {
	rows, err := s.calm.Query(ctx, `select `+repairColumns+` from hub.repair r join hub.case c on c.id = r.case_id
		where r.state = 'approved' and ($1 = '' or c.hospital = $1) order by r.id`, hospital)
	var all []reconcile.Repair
	if err == nil {
		all, err = pgx.CollectRows(rows, scanRepair)
	}
	if err != nil {
		return nil, fmt.Errorf("list repairs to carry out: %w", err)
	}
	return all, nil
}

// CarryOut implements reconcile.Store. ErrNotOpen when it is not approved, or was
// carried out before. After a write-off the case is written off. The error that
// made a repair failed is returned with it.
func (s *Store) CarryOut(ctx context.Context, repair int64, f func(ctx context.Context, c reconcile.Case, r reconcile.Repair, do reconcile.Carrier) (message int64, err error)) (reconcile.Repair, error) {
	var hospital string
	var final error
	r, err := s.onRepair(ctx, repair, "carry out", func(ctx context.Context, tx pgx.Tx, c reconcile.Case, r reconcile.Repair) error {
		final = nil
		if r.State != reconcile.RepairApproved || !live(c) {
			return reconcile.ErrNotOpen
		}
		hospital = c.Hospital
		// A lane that somebody holds for long is tried again by the next sweep.
		if _, err := tx.Exec(ctx, `select set_config('lock_timeout', '10s', true)`); err != nil {
			return err
		}
		err := stillApproved(ctx, tx, c, r)
		var message int64
		if err == nil {
			message, err = s.attemptRepair(ctx, tx, c, r, f)
		}
		if problem, ok := unrepairable(err); ok {
			final = err
			return failed(ctx, tx, c.ID, r, problem)
		}
		if err != nil {
			return err
		}
		return executed(ctx, tx, c, r, message)
	})
	if err != nil {
		return r, err
	}
	s.Woken(hospital)
	return r, final
}

// stillApproved gives Problems when the repair is not what people said yes to any
// more, or when another one of the case may still take effect.
func stillApproved(ctx context.Context, tx pgx.Tx, c reconcile.Case, r reconcile.Repair) error {
	if !slices.Contains(c.Class.Meaning().Repairs, r.Action) || !ofState(c) && r.Amount != c.Amount {
		return core.Problems{{Field: "action", What: becauseChanged + " after it was approved; propose what repairs it now"}}
	}
	// A parked command of an earlier repair goes out when somebody releases it.
	rows, err := tx.Query(ctx, `select message from hub.repair where case_id = $1 and id <> $2 and action <> $3 and message is not null and state = 'failed'`, c.ID, r.ID, string(r.Action))
	if err != nil {
		return err
	}
	before, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for _, message := range before {
		switch open, err := undecided(ctx, tx, message); {
		case err != nil:
			return err
		case open:
			return core.Problems{{Field: "action", What: fmt.Sprintf("message %d of an earlier repair may still take effect: cancel it first, or release it", message)}}
		}
	}
	return nil
}

// attemptRepair runs f so that nothing of it stays when it fails.
func (s *Store) attemptRepair(ctx context.Context, tx pgx.Tx, c reconcile.Case, r reconcile.Repair, f func(context.Context, reconcile.Case, reconcile.Repair, reconcile.Carrier) (int64, error)) (message int64, err error) {
	err = pgx.BeginFunc(ctx, tx, func(part pgx.Tx) error {
		message, err = f(ctx, c, r, carrier{bound{s, part}})
		return err
	})
	return message, err
}

// unrepairable are the errors after which trying again is of no use.
func unrepairable(err error) (problem string, yes bool) {
	var ps core.Problems
	var conflict *core.Conflict
	switch {
	case errors.As(err, &ps):
		return ps.Error(), true
	case errors.As(err, &conflict):
		return fmt.Sprintf("message %d: %s", conflict.ID, conflict.Error()), true
	case errors.Is(err, core.ErrCannot):
		return core.ErrCannot.Error(), true
	}
	return "", false
}

func executed(ctx context.Context, tx pgx.Tx, c reconcile.Case, r reconcile.Repair, message int64) error {
	state, note := reconcile.RepairDone, string(r.Action)
	if message != 0 {
		state, note = reconcile.RepairSent, fmt.Sprintf("%s: message %d is on its way", r.Action, message)
	}
	_, err := tx.Exec(ctx, `update hub.repair set state = $2, message = nullif($3, 0), ended_at = case when $2 = 'done' then clock_timestamp() end where id = $1`,
		r.ID, string(state), message)
	if err == nil && r.Action == reconcile.WriteOff {
		_, err = tx.Exec(ctx, `update hub.case set state = 'written_off', ended_at = clock_timestamp() where id = $1`, c.ID)
	}
	if err != nil {
		return err
	}
	by := r.SecondBy
	if by == "" {
		by = r.ApprovedBy
	}
	return tell(ctx, tx, c.ID, by, "executed", note)
}

// failed ends a repair; its case waits for another one.
func failed(ctx context.Context, tx pgx.Tx, of int64, r reconcile.Repair, problem string) error {
	_, err := tx.Exec(ctx, `update hub.repair set state = 'failed', problem = $2, ended_at = clock_timestamp() where id = $1`, r.ID, clean(problem))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update hub.case set state = 'open' where id = $1 and state = 'repairing'`, of); err != nil {
		return err
	}
	return tell(ctx, tx, of, "hub", "failed", problem)
}

// Follow implements reconcile.Store; no hospital is all of them. A message that
// was superseded is followed to the one in its place.
func (s *Store) Follow(ctx context.Context, hospital string) error {
	rows, err := s.calm.Query(ctx, `select r.id from hub.repair r join hub.case c on c.id = r.case_id join hub.message m on m.id = r.message
		where r.state = 'sent' and ($1 = '' or c.hospital = $1) and (m.state <> 'queued' or m.superseded_by is not null) order by r.id`, hospital)
	var ids []int64
	if err == nil {
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return fmt.Errorf("follow repairs: %w", err)
	}
	for _, id := range ids {
		if _, err := s.onRepair(ctx, id, "follow", s.follow); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) follow(ctx context.Context, tx pgx.Tx, c reconcile.Case, r reconcile.Repair) error {
	if r.State != reconcile.RepairSent {
		return nil // somebody was faster
	}
	message, state, reason, err := newestOf(ctx, tx, r.Message)
	if err != nil {
		return err
	}
	if message != r.Message {
		if _, err := tx.Exec(ctx, `update hub.repair set message = $2 where id = $1`, r.ID, message); err != nil {
			return err
		}
	}
	switch state {
	case delivery.Delivered:
		if _, err := tx.Exec(ctx, `update hub.repair set state = 'done', ended_at = clock_timestamp() where id = $1`, r.ID); err != nil {
			return err
		}
		return tell(ctx, tx, c.ID, "hub", "executed", fmt.Sprintf("message %d is delivered; the next run must find it gone", message))
	case delivery.Parked, delivery.Cancelled:
		return failed(ctx, tx, c.ID, r, fmt.Sprintf("message %d is %s: %s", message, state, reason))
	}
	return nil
}

// newestOf is what stands in the place of a message now, itself or another.
func newestOf(ctx context.Context, tx pgx.Tx, message int64) (id int64, state delivery.State, reason string, err error) {
	err = tx.QueryRow(ctx, `with recursive chain(id, state, reason, by) as (
			select id, state, reason, superseded_by from hub.message where id = $1
			union all
			select m.id, m.state, m.reason, m.superseded_by from chain c join hub.message m on m.id = c.by
		) select id, state, coalesce(reason, '') from chain where by is null`, message).Scan(&id, &state, &reason)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return id, state, reason, err
}
