// Package directory is who works where: the departments and doctors of each hospital,
// as its HIS lists them, and what the hospital writes about its doctors.
package directory

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// Department of a hospital (FHIR Organization).
type Department struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty" doc:"code of the one above it"`
	Closed bool   `json:"closed,omitempty" doc:"the HIS lists it no more, or as closed"`
}

// Doctor of a hospital (FHIR Practitioner, with his PractitionerRoles as departments).
type Doctor struct {
	Code         string   `json:"code"`
	Name         string   `json:"name"`
	Title        string   `json:"title,omitempty"`
	Departments  []string `json:"departments" doc:"codes"`
	Introduction string   `json:"introduction,omitempty"`
	GoodAt       string   `json:"good_at,omitempty"`
	Closed       bool     `json:"closed,omitempty"`
	Version      int      `json:"version" doc:"of what the hospital writes about the doctor"`
}

// Service is the module.
type Service struct{ *clinic.Clinic }

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "directory", schema)
}

// Departments of a hospital in the order of their codes, without those that are closed.
func (s *Service) Departments(ctx context.Context, hospital string) ([]Department, error) {
	rows, err := s.Database.Query(ctx, `select code, name, parent, closed from directory.department where hospital = $1 and not closed order by code`, hospital)
	if err != nil {
		return nil, fmt.Errorf("list departments: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Department])
}

const doctorColumns = `d.code, d.name, d.title, array(select x.department from directory.doctor_department x
	where x.hospital = d.hospital and x.doctor = d.code order by x.department), d.introduction, d.good_at, d.closed, d.version`

// Filter narrows a list of doctors; zero values do not.
type Filter struct {
	Department string
	// Words that are in the name, the title or what the doctor is good at.
	Words string
	// After is the code after which the page begins.
	After string
	Limit int
}

// Doctors of a hospital in the order of their codes, without those that are closed.
func (s *Service) Doctors(ctx context.Context, hospital string, f Filter) ([]Doctor, error) {
	rows, err := s.Database.Query(ctx, `select `+doctorColumns+` from directory.doctor d
		where d.hospital = $1 and not d.closed and d.code > $4
			and ($2 = '' or exists (select from directory.doctor_department x where x.hospital = $1 and x.doctor = d.code and x.department = $2))
			and ($3 = '' or position(lower($3) in lower(d.name || ' ' || d.title || ' ' || d.good_at)) > 0)
		order by d.code limit $5`, hospital, f.Department, f.Words, f.After, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list doctors: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Doctor])
}

// Doctor of a hospital, closed or not; clinic.ErrNotFound when it has none of that code.
func (s *Service) Doctor(ctx context.Context, hospital, code string) (Doctor, error) {
	rows, err := s.Database.Query(ctx, `select `+doctorColumns+` from directory.doctor d where d.hospital = $1 and d.code = $2`, hospital, code)
	if err != nil {
		return Doctor{}, fmt.Errorf("read doctor: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Doctor])
	if errors.Is(err, pgx.ErrNoRows) {
		return d, clinic.ErrNotFound
	}
	return d, err
}

// Page is what a hospital writes about a doctor.
type Page struct {
	Introduction string `json:"introduction" maxLength:"4000"`
	GoodAt       string `json:"good_at" maxLength:"500"`
	Version      int    `json:"version" minimum:"1" maximum:"2147483647" doc:"the version that was read; another one since is a conflict"`
}

// Describe writes what a doctor's page says.
func (s *Service) Describe(ctx context.Context, hospital, code string, p Page) (Doctor, error) {
	tag, err := s.Database.Exec(ctx, `update directory.doctor set introduction = $3, good_at = $4, version = version + 1, changed_at = clock_timestamp()
		where hospital = $1 and code = $2 and version = $5`, hospital, code, p.Introduction, p.GoodAt, p.Version)
	if err != nil {
		return Doctor{}, fmt.Errorf("describe doctor: %w", err)
	}
	d, err := s.Doctor(ctx, hospital, code)
	if err == nil && tag.RowsAffected() == 0 {
		return d, fmt.Errorf("describe doctor: %w: it is at version %d meanwhile; read it again", clinic.ErrState, d.Version)
	}
	return d, err
}
