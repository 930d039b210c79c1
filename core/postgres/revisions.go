package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Revision is one applied state of a hospital's folder.
type Revision struct {
	Hospital  string
	Number    int
	Archive   []byte // as it was given to Apply; nil in lists
	Digest    string
	AppliedAt time.Time
	AppliedBy string
	Note      string
	// Active and Unfinished are set in lists: whether it is the one that is used for
	// what begins now, and how many messages that were begun with it have not ended.
	Active     bool
	Unfinished int
}

// HospitalRecord is a hospital as the ledger knows it.
type HospitalRecord struct {
	ID, Name string
	// Revision is the active one.
	Revision  int
	Shard     int
	PausedAt  *time.Time
	PausedBy  string
	PausedWhy string
	Limits
}

// Apply makes a folder the hospital's active revision and returns its number,
// from 1. Applying what is active already changes nothing but the name.
func (s *Store) Apply(ctx context.Context, hospital, name string, archive []byte, digest, who, note string) (number int, err error) {
	return s.apply(ctx, hospital, name, archive, digest, who, note, 0)
}

// Restore makes what revision of was active again, as a new revision: history only
// grows. ErrNotFound when there is no such revision. Restoring what is active
// already changes nothing.
func (s *Store) Restore(ctx context.Context, hospital, name string, of int, who, why string) (number int, err error) {
	r, err := s.Revision(ctx, hospital, of)
	if err != nil {
		return 0, err
	}
	return s.apply(ctx, hospital, name, r.Archive, r.Digest, who, why, of)
}

// apply records who brought which revision back, if one was.
func (s *Store) apply(ctx context.Context, hospital, name string, archive []byte, digest, who, note string, back int) (number int, err error) {
	verb := "apply"
	if back != 0 {
		verb = "rollback"
	}
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := lock(ctx, tx, lockOf("hub revision", hospital)); err != nil {
			return err
		}
		var active string
		err := tx.QueryRow(ctx, `select h.active_revision, r.digest from hub.hospital h
			join hub.revision r on r.hospital = h.id and r.number = h.active_revision where h.id = $1`, hospital).Scan(&number, &active)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if active != digest {
			if err := tx.QueryRow(ctx, `select coalesce(max(number), 0) + 1 from hub.revision where hospital = $1`, hospital).Scan(&number); err != nil {
				return err
			}
		}
		told := map[string]any{"revision": number}
		if back != 0 {
			told["back_to"] = back
		}
		b := &pgx.Batch{}
		b.Queue(`insert into hub.hospital (id, name, active_revision, shard) values ($1, $2, $3, $4)
			on conflict (id) do update set name = excluded.name, active_revision = excluded.active_revision`, hospital, name, number, ShardOf(hospital))
		if active != digest {
			b.Queue(`insert into hub.revision (hospital, number, archive, digest, applied_by, note) values ($1, $2, $3, $4, $5, $6)`,
				hospital, number, archive, digest, who, note)
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil || active == digest {
			return err
		}
		return decideAbout(ctx, tx, hospital, fmt.Sprintf("revision %d", number), who, verb, note, told)
	})
	if err != nil {
		return 0, fmt.Errorf("apply a revision of hospital %s: %w", hospital, err)
	}
	return number, nil
}

// Revision returns a revision with its archive; number 0 is the active one.
func (s *Store) Revision(ctx context.Context, hospital string, number int) (Revision, error) {
	r := Revision{Hospital: hospital}
	err := s.calm.QueryRow(ctx, `
		select r.number, r.archive, r.digest, r.applied_at, r.applied_by, r.note from hub.revision r
		join hub.hospital h on h.id = r.hospital
		where h.id = $1 and r.number = case $2::integer when 0 then h.active_revision else $2 end`, hospital, number).
		Scan(&r.Number, &r.Archive, &r.Digest, &r.AppliedAt, &r.AppliedBy, &r.Note)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Revision{}, fmt.Errorf("read revision %d of hospital %s: %w", number, hospital, err)
	}
	return r, nil
}

// begun: bytes of it may have reached the HIS, so it keeps the revision that it was
// begun with; as delivery.Progress.Sent, or interrupted while it was sent.
const begun = `(coalesce(jsonb_array_length(q.progress->'finished'), 0) > 0 or q.progress->>'last_byte' is not null or q.sent_at is not null)`

// Revisions lists a hospital's revisions, newest first, without archives. It reads
// the queue for what is on its way, whatever the history.
func (s *Store) Revisions(ctx context.Context, hospital string) ([]Revision, error) {
	rows, err := s.calm.Query(ctx, `select r.hospital, r.number, null::bytea, r.digest, r.applied_at, r.applied_by, r.note,
			r.number = h.active_revision, coalesce(w.n, 0)
		from hub.revision r join hub.hospital h on h.id = r.hospital
		left join (select q.revision, count(*) as n from hub.queue q where q.hospital = $1 and `+begun+` group by q.revision) w on w.revision = r.number
		where r.hospital = $1 order by r.number desc`, hospital)
	var all []Revision
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Revision])
	}
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	return all, nil
}

// Hospitals lists all hospitals by id.
func (s *Store) Hospitals(ctx context.Context) ([]HospitalRecord, error) {
	rows, err := s.calm.Query(ctx, `select id, name, active_revision, shard, paused_at, coalesce(paused_by, ''), coalesce(paused_why, ''), concurrency, rate
		from hub.hospital order by id`)
	var all []HospitalRecord
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[HospitalRecord])
	}
	if err != nil {
		return nil, fmt.Errorf("list hospitals: %w", err)
	}
	return all, nil
}

// Pause stops a hospital: once it returns, nothing more is sent. A call that is in
// flight ends as it would; its further steps wait.
func (s *Store) Pause(ctx context.Context, hospital, who, why string) error {
	if err := s.pause(ctx, hospital, who, why, true); err != nil {
		return err
	}
	if err := s.endClaims(ctx, hospital); err != nil {
		return fmt.Errorf("pause hospital %s: it is paused, but what was claimed before may still be sent; pause it again: %w", hospital, err)
	}
	return nil
}

// endClaims ends the leases under which nothing was sent, after a pause is
// committed. A mark that began before, and does not know of the pause, finds the lease
// over, or has its row and is waited for. It waits for no row while it holds one,
// because such a mark may hold some and want others. A question that follows what it is
// about in the same claim is marked as that was, so its lease ends in any case: its
// answer is settled all the same.
func (s *Store) endClaims(ctx context.Context, hospital string) error {
	for {
		var left bool
		err := s.calm.QueryRow(ctx, `
			with unsent as (
				select message from hub.queue where hospital = $1 and head and state = 'queued' and lease_until > statement_timestamp()
					and (sent_at is null or progress->>'phase' = 'inquire')
			), free as (
				select q.message from hub.queue q where q.message in (select message from unsent) and (q.sent_at is null or q.progress->>'phase' = 'inquire') for update skip locked
			), ended as (
				update hub.queue q set lease_until = statement_timestamp() from free where q.message = free.message returning q.message
			)
			select exists (select message from unsent except select message from ended)`, hospital).Scan(&left)
		if err != nil || !left {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Resume lets claims go on.
func (s *Store) Resume(ctx context.Context, hospital, who, why string) error {
	err := s.pause(ctx, hospital, who, why, false)
	if err == nil {
		s.Woken(hospital)
	}
	return err
}

// notPutOff takes the pause that ends out of the waits that the HIS asked for: of a
// message that is put off, only the time in which its hospital could be called counts,
// see delivery.PutOff. What is being settled was in flight, and begins a wait anew.
const notPutOff = `
	with put as (
		select q.message, (q.progress->'put_off'->>'until')::timestamptz as until,
			least((q.progress->'put_off'->>'until')::timestamptz, clock_timestamp()) - greatest((q.progress->'put_off'->>'from')::timestamptz, h.paused_at) as paused
		from hub.hospital h join hub.queue q on q.hospital = h.id
		where h.id = $1 and h.paused_at is not null and q.progress->'put_off' ? 'until'
		for update of q skip locked
	)
	update hub.queue q set progress = jsonb_set(q.progress, '{put_off,until}', to_jsonb(p.until - p.paused))
	from put p where q.message = p.message and p.paused > interval '0'`

func (s *Store) pause(ctx context.Context, hospital, who, why string, pause bool) error {
	verb := "resume"
	if pause {
		verb = "pause"
	}
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		if !pause {
			if _, err := tx.Exec(ctx, notPutOff, hospital); err != nil {
				return err
			}
		}
		tag, err := tx.Exec(ctx, `update hub.hospital set paused_at = case when $4 then coalesce(paused_at, clock_timestamp()) end,
			paused_by = case when $4 then $2 end, paused_why = case when $4 then $3 end where id = $1`, hospital, who, why, pause)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return decide(ctx, tx, hospital, 0, who, verb, why, nil)
	})
	if err != nil {
		return fmt.Errorf("%s hospital %s: %w", verb, hospital, err)
	}
	return nil
}

// Name of a hospital; core.ErrUnknownHospital when there is none.
func (s *Store) Name(ctx context.Context, hospital string) (name string, err error) {
	err = s.calm.QueryRow(ctx, `select name from hub.hospital where id = $1`, hospital).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", core.ErrUnknownHospital
	}
	if err != nil {
		return "", fmt.Errorf("read a hospital's name: %w", err)
	}
	return name, nil
}
