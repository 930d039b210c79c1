package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// The lists that a HIS may have.
const (
	departments = "department"
	doctors     = "doctor"
)

// Sync has both lists from the HIS. What it lists no more is closed and not deleted,
// because appointments and prescriptions name it. A list that is empty, or that would
// close more than half of what is open, is taken only when a person says so (sure):
// a HIS in trouble answers that way. A HIS that has no such list changes nothing.
func (s *Service) Sync(ctx context.Context, hospital string, sure bool) ([]List, error) {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return nil, fmt.Errorf("sync directory: %w", err)
	}
	for _, l := range []struct {
		name string
		kind core.Kind
		save func(context.Context, pgx.Tx, string, any) (int, error)
	}{
		{departments, core.DepartmentList, saveDepartments},
		{doctors, core.DoctorList, saveDoctors},
	} {
		if !place.Can(l.kind) {
			continue
		}
		if err := s.sync(ctx, hospital, l.name, sure, func() (any, error) {
			return s.Ask(ctx, hospital, l.kind, &core.DictionaryQuery{})
		}, l.save); err != nil {
			return nil, fmt.Errorf("sync directory: %w", err)
		}
	}
	return s.Lists(ctx, hospital)
}

// problem is why a list was not taken: something that a person reads.
type problem string

func (p problem) Error() string { return string(p) }

// sync has one list and saves it. What is wrong with the list is kept beside it and is
// no error of ours.
func (s *Service) sync(ctx context.Context, hospital, list string, sure bool, ask func() (any, error), save func(context.Context, pgx.Tx, string, any) (int, error)) error {
	asOf := time.Now()
	answer, err := ask()
	if err != nil {
		return s.note(ctx, hospital, list, said(err))
	}
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		// One at a time; an older answer never comes after a newer one.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, "directory "+hospital+"/"+list); err != nil {
			return err
		}
		var newer bool
		if err := tx.QueryRow(ctx, `select exists (select from directory.sync where hospital = $1 and list = $2 and as_of > $3)`, hospital, list, asOf).Scan(&newer); err != nil || newer {
			return err
		}
		before, err := open(ctx, tx, hospital, list)
		if err != nil {
			return err
		}
		n, err := save(ctx, tx, hospital, answer)
		if err != nil {
			return err
		}
		after, err := open(ctx, tx, hospital, list)
		if err != nil {
			return err
		}
		switch {
		case !sure && n == 0 && before > 0:
			return problem("the HIS lists nothing, and had entries before; nothing was changed. Sync with sure=true if that is right")
		case !sure && before >= 4 && after < before/2:
			return problem(fmt.Sprintf("the HIS's list would close %d of %d entries; nothing was changed. Sync with sure=true if that is right", before-after, before))
		}
		_, err = tx.Exec(ctx, `insert into directory.sync (hospital, list, as_of, entries, tried_at) values ($1, $2, $3, $4, $3)
			on conflict (hospital, list) do update set as_of = excluded.as_of, entries = excluded.entries, tried_at = excluded.tried_at, problem = ''`,
			hospital, list, asOf, n)
		return err
	})
	var wrong problem
	if errors.As(err, &wrong) {
		return s.note(ctx, hospital, list, wrong.Error())
	}
	return err
}

// said is what an error of a question tells a person; never what the HIS's words name.
func said(err error) string {
	var fault *core.Fault
	switch {
	case errors.As(err, &fault) && fault.Class == core.Invalid:
		return "the question cannot be said in the HIS's dialect: mend the hospital's folder"
	case errors.As(err, &fault):
		return "the HIS did not answer"
	}
	return "the HIS refused to answer"
}

func (s *Service) note(ctx context.Context, hospital, list, why string) error {
	_, err := s.Database.Exec(ctx, `insert into directory.sync (hospital, list, tried_at, problem) values ($1, $2, clock_timestamp(), $3)
		on conflict (hospital, list) do update set tried_at = excluded.tried_at, problem = excluded.problem`, hospital, list, why)
	return err
}

// open counts the entries of a list that are not closed. Within the transaction it
// counts what was just saved.
func open(ctx context.Context, tx pgx.Tx, hospital, list string) (n int, err error) {
	err = tx.QueryRow(ctx, `select count(*) from directory.`+list+` where hospital = $1 and not closed`, hospital).Scan(&n)
	return n, err
}

func saveDepartments(ctx context.Context, tx pgx.Tx, hospital string, answer any) (int, error) {
	all := answer.(*core.Departments).Departments
	var codes, names, parents []string
	var closed []bool
	at := map[string]int{}
	for _, d := range all {
		i, seen := at[d.Code]
		if d.Code == "" || seen {
			if seen { // listed twice: open if one of them is
				closed[i] = closed[i] && d.Closed
			}
			continue
		}
		at[d.Code] = len(codes)
		codes, names, parents, closed = append(codes, d.Code), append(names, d.Name), append(parents, d.Parent), append(closed, d.Closed)
	}
	_, err := tx.Exec(ctx, `insert into directory.department as o (hospital, code, name, parent, closed)
		select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::boolean[])
		on conflict (hospital, code) do update set name = excluded.name, parent = excluded.parent, closed = excluded.closed, changed_at = clock_timestamp()
		where (o.name, o.parent, o.closed) is distinct from (excluded.name, excluded.parent, excluded.closed)`, hospital, codes, names, parents, closed)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `update directory.department set closed = true, changed_at = clock_timestamp() where hospital = $1 and not closed and code <> all($2)`, hospital, codes)
	return len(codes), err
}

func saveDoctors(ctx context.Context, tx pgx.Tx, hospital string, answer any) (int, error) {
	all := answer.(*core.Doctors).Doctors
	var codes, names, titles []string
	var closed []bool
	var who, where []string
	at := map[string]int{}
	for _, d := range all {
		if d.Code == "" {
			continue
		}
		if !d.Closed && d.DepartmentCode != "" {
			who, where = append(who, d.Code), append(where, d.DepartmentCode)
		}
		i, seen := at[d.Code]
		if seen { // in another department: open if open in one of them
			closed[i] = closed[i] && d.Closed
			continue
		}
		at[d.Code] = len(codes)
		codes, names, titles, closed = append(codes, d.Code), append(names, d.Name), append(titles, d.Title), append(closed, d.Closed)
	}
	b := &pgx.Batch{}
	b.Queue(`insert into directory.doctor as o (hospital, code, name, title, closed)
		select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::boolean[])
		on conflict (hospital, code) do update set name = excluded.name, title = excluded.title, closed = excluded.closed, changed_at = clock_timestamp()
		where (o.name, o.title, o.closed) is distinct from (excluded.name, excluded.title, excluded.closed)`, hospital, codes, names, titles, closed)
	b.Queue(`update directory.doctor set closed = true, changed_at = clock_timestamp() where hospital = $1 and not closed and code <> all($2)`, hospital, codes)
	b.Queue(`delete from directory.doctor_department where hospital = $1`, hospital)
	b.Queue(`insert into directory.doctor_department (hospital, doctor, department) select distinct $1, a, b from unnest($2::text[], $3::text[]) x(a, b)`, hospital, who, where)
	return len(codes), tx.SendBatch(ctx, b).Close()
}

// Jobs has both lists of every hospital once a night and, after a failure or for a
// new hospital, within the hour.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "directory.sync", Times: "7 * * * *", Lasts: 30 * time.Minute, Run: s.syncAll}}
}

// old is when a list is had again.
const old = 20 * time.Hour

func (s *Service) syncAll(ctx context.Context) error {
	places, err := s.Places(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, p := range places {
		if !p.Can(core.DepartmentList) && !p.Can(core.DoctorList) {
			continue
		}
		lists, err := s.Lists(ctx, p.ID)
		if err == nil && (len(lists) == 0 || stale(lists, time.Now())) {
			_, err = s.Sync(ctx, p.ID, false)
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return failed
}

func stale(lists []List, now time.Time) bool {
	for _, l := range lists {
		if l.AsOf == nil || now.Sub(*l.AsOf) > old {
			return true
		}
	}
	return false
}
