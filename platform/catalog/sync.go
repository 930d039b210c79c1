package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// lists that the module has from a HIS. What is listed no more is closed and not deleted,
// because prescriptions name it.
var lists = []clinic.ListOf{
	{Name: "drug", Kind: core.DrugList, Save: saveDrugs, Table: "catalog.drug"},
	{Name: "icd", Kind: core.ICDList, Save: saveTerms, Table: "catalog.diagnosis"},
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
	return []clinic.Job{s.SyncJob("catalog.sync", lists)}
}

// saveDrugs makes the catalogue what the HIS lists. A drug whose price, spec or unit
// changes has a new version; what it was before stays in drug_version.
func saveDrugs(ctx context.Context, tx pgx.Tx, hospital string, answer any) (int, error) {
	columns := make([][]string, 10)
	var closed []bool
	seen := map[string]bool{}
	for _, d := range answer.(*core.Drugs).Drugs {
		if d.Code == "" || seen[d.Code] { // the same drug of another pharmacy: the first counts
			continue
		}
		seen[d.Code] = true
		for i, v := range []string{d.Code, d.Name, d.Spec, d.Form, d.Unit, d.DoseUnit, d.DosePerUnit, d.Price, d.Pharmacy, d.InsuranceCode} {
			columns[i] = append(columns[i], v)
		}
		closed = append(closed, d.Closed)
	}
	args := []any{hospital}
	for _, c := range columns {
		args = append(args, c)
	}
	b := &pgx.Batch{}
	b.Queue(`insert into catalog.drug as o (hospital, code, name, spec, form, unit, dose_unit, dose_per_unit, price, pharmacy, insurance_code, closed)
		select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[])
		on conflict (hospital, code) do update set name = excluded.name, spec = excluded.spec, form = excluded.form, unit = excluded.unit,
			dose_unit = excluded.dose_unit, dose_per_unit = excluded.dose_per_unit, price = excluded.price, pharmacy = excluded.pharmacy,
			insurance_code = excluded.insurance_code, closed = excluded.closed, changed_at = clock_timestamp(),
			version = o.version + case when (o.price, o.spec, o.unit) is distinct from (excluded.price, excluded.spec, excluded.unit) then 1 else 0 end
		where (o.name, o.spec, o.form, o.unit, o.dose_unit, o.dose_per_unit, o.price, o.pharmacy, o.insurance_code, o.closed) is distinct from
			(excluded.name, excluded.spec, excluded.form, excluded.unit, excluded.dose_unit, excluded.dose_per_unit, excluded.price, excluded.pharmacy, excluded.insurance_code, excluded.closed)`,
		append(args, closed)...)
	b.Queue(`update catalog.drug set closed = true, changed_at = clock_timestamp() where hospital = $1 and not closed and code <> all($2)`, hospital, columns[0])
	b.Queue(`insert into catalog.drug_version (hospital, code, version, price, spec, unit)
		select hospital, code, version, price, spec, unit from catalog.drug where hospital = $1 on conflict do nothing`, hospital)
	return len(columns[0]), tx.SendBatch(ctx, b).Close()
}

func saveTerms(ctx context.Context, tx pgx.Tx, hospital string, answer any) (int, error) {
	var codes, names, systems []string
	var closed []bool
	seen := map[string]bool{}
	for _, t := range answer.(*core.Terms).Terms {
		if t.Code == "" || seen[t.Code] {
			continue
		}
		seen[t.Code] = true
		codes, names, systems, closed = append(codes, t.Code), append(names, t.Name), append(systems, t.System), append(closed, t.Closed)
	}
	b := &pgx.Batch{}
	b.Queue(`insert into catalog.diagnosis (hospital, code, name, system, closed) select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::boolean[])
		on conflict (hospital, code) do update set name = excluded.name, system = excluded.system, closed = excluded.closed`, hospital, codes, names, systems, closed)
	b.Queue(`update catalog.diagnosis set closed = true where hospital = $1 and not closed and code <> all($2)`, hospital, codes)
	return len(codes), tx.SendBatch(ctx, b).Close()
}
