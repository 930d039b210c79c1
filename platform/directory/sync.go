package directory

import (
	"context"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// lists that the module has from a HIS. What is listed no more is closed and not deleted,
// because appointments and prescriptions name it.
var lists = []clinic.ListOf{
	{Name: "department", Kind: core.DepartmentList, Save: saveDepartments, Table: "directory.department"},
	{Name: "doctor", Kind: core.DoctorList, Save: saveDoctors, Table: "directory.doctor"},
}

// Sync has both lists from the HIS now; sure takes them also when they are suspicious
// (see clinic.Sync).
func (s *Service) Sync(ctx context.Context, hospital string, sure bool) ([]clinic.List, error) {
	return s.SyncLists(ctx, hospital, lists, sure)
}

// Lists tells when each was had.
func (s *Service) Lists(ctx context.Context, hospital string) ([]clinic.List, error) {
	return s.Clinic.Lists(ctx, hospital, lists)
}

// Jobs of the module.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{s.SyncJob("directory.sync", lists)}
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
