// Package catalog is what can be prescribed: each hospital's drugs and diagnoses, as its
// HIS lists them, the platform's own frequencies and routes, and what is known of
// substances (interactions, doses, classes).
package catalog

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// Drug of a hospital (FHIR Medication).
type Drug struct {
	Code          string `json:"code"`
	Name          string `json:"name"`
	Spec          string `json:"spec,omitempty" doc:"as on the box"`
	Form          string `json:"form,omitempty"`
	Unit          string `json:"unit,omitempty" doc:"of what is dispensed, as a box"`
	DoseUnit      string `json:"dose_unit,omitempty"`
	DosePerUnit   string `json:"dose_per_unit,omitempty" doc:"how much of dose_unit is in one unit, decimal text"`
	Price         string `json:"price,omitempty" doc:"yuan a unit, decimal text with up to four decimals"`
	Pharmacy      string `json:"pharmacy,omitempty"`
	InsuranceCode string `json:"insurance_code,omitempty"`
	Closed        bool   `json:"closed,omitempty" doc:"the HIS lists it no more, or as closed"`
	Substance     string `json:"substance,omitempty" doc:"what it works by; said by the hospital, else its name"`
	Class         Class  `json:"class,omitempty" enum:",narcotic,psychotropic,toxic,radioactive,precursor" doc:"a class that is not prescribed online"`
	Version       int    `json:"version"`
}

// Class of drugs that the law keeps from being prescribed online.
type Class string

// The classes.
const (
	Narcotic     Class = "narcotic"
	Psychotropic Class = "psychotropic"
	Toxic        Class = "toxic"
	Radioactive  Class = "radioactive"
	Precursor    Class = "precursor"
)

// WorksBy is the substance, or the name where the hospital does not say.
func (d Drug) WorksBy() string {
	if d.Substance != "" {
		return d.Substance
	}
	return d.Name
}

// Term is a diagnosis of a hospital's own list (FHIR Condition.code).
type Term struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	System string `json:"system,omitempty"`
	Closed bool   `json:"closed,omitempty"`
}

// Service is the module.
type Service struct{ *clinic.Clinic }

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema and puts the sample of knowledge into an empty one.
func (s *Service) Migrate(ctx context.Context) error {
	if err := clinic.Migrate(ctx, s.Database, "catalog", schema); err != nil {
		return err
	}
	return s.sample(ctx)
}

const drugColumns = `code, name, spec, form, unit, dose_unit, dose_per_unit, price, pharmacy, insurance_code, closed, substance, class, version`

// Drug of a hospital, closed or not; clinic.ErrNotFound when it has none of that code.
func (s *Service) Drug(ctx context.Context, hospital, code string) (Drug, error) {
	rows, err := s.Database.Query(ctx, `select `+drugColumns+` from catalog.drug where hospital = $1 and code = $2`, hospital, code)
	if err != nil {
		return Drug{}, fmt.Errorf("read drug: %w", err)
	}
	return exactly(pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Drug]))
}

// Search drugs that can be prescribed, by words in name, spec or substance or by the
// beginning of the code, in the order of their codes.
func (s *Service) Search(ctx context.Context, hospital, words, after string, limit int) ([]Drug, error) {
	rows, err := s.Database.Query(ctx, `select `+drugColumns+` from catalog.drug where hospital = $1 and not closed and code > $3
		and ($2 = '' or position(lower($2) in lower(name || ' ' || spec || ' ' || substance)) > 0 or starts_with(lower(code), lower($2)))
		order by code limit $4`, hospital, words, after, limit)
	if err != nil {
		return nil, fmt.Errorf("search drugs: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Drug])
}

// Diagnosis of a hospital's list; clinic.ErrNotFound when it is not there or closed. A
// hospital without a list knows every code, by the name that is said.
func (s *Service) Diagnosis(ctx context.Context, hospital, code, said string) (Term, error) {
	var some bool
	if err := s.Database.QueryRow(ctx, `select exists (select from catalog.diagnosis where hospital = $1)`, hospital).Scan(&some); err != nil {
		return Term{}, fmt.Errorf("read diagnosis: %w", err)
	}
	if !some && code != "" && said != "" {
		return Term{Code: code, Name: said}, nil
	}
	rows, err := s.Database.Query(ctx, `select code, name, system, closed from catalog.diagnosis where hospital = $1 and code = $2 and not closed`, hospital, code)
	if err != nil {
		return Term{}, fmt.Errorf("read diagnosis: %w", err)
	}
	return exactly(pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Term]))
}

// Diagnoses by words in the name or the beginning of the code.
func (s *Service) Diagnoses(ctx context.Context, hospital, words, after string, limit int) ([]Term, error) {
	rows, err := s.Database.Query(ctx, `select code, name, system, closed from catalog.diagnosis where hospital = $1 and not closed and code > $3
		and ($2 = '' or position(lower($2) in lower(name)) > 0 or starts_with(lower(code), lower($2))) order by code limit $4`, hospital, words, after, limit)
	if err != nil {
		return nil, fmt.Errorf("search diagnoses: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Term])
}

func exactly[T any](v T, err error) (T, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return v, clinic.ErrNotFound
	}
	return v, err
}

// Addition is what a hospital says of a drug beside its HIS.
type Addition struct {
	Substance string `json:"substance" maxLength:"200"`
	Class     Class  `json:"class" enum:",narcotic,psychotropic,toxic,radioactive,precursor"`
	Version   int    `json:"version" minimum:"1" maximum:"2147483647" doc:"the version that was read; another one since is a conflict"`
}

// Say adds to what the HIS lists of a drug.
func (s *Service) Say(ctx context.Context, hospital, code string, a Addition) (Drug, error) {
	tag, err := s.Database.Exec(ctx, `update catalog.drug set substance = $3, class = $4, version = version + 1, changed_at = clock_timestamp()
		where hospital = $1 and code = $2 and version = $5`, hospital, code, a.Substance, a.Class, a.Version)
	if err != nil {
		return Drug{}, fmt.Errorf("describe drug: %w", err)
	}
	d, err := s.Drug(ctx, hospital, code)
	if err == nil && tag.RowsAffected() == 0 {
		return d, fmt.Errorf("describe drug: %w: it is at version %d meanwhile; read it again", clinic.ErrState, d.Version)
	}
	return d, err
}
