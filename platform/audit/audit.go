// Package audit reads the hub's chain of acts for people: auditors search it, patients see
// who has looked at them. What is in it is kept by the hub, and is never changed.
package audit

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
	"hishub/platform/patient"
)

// Checked is what going through the whole chain found.
type Checked struct {
	At      time.Time `json:"at"`
	Entries int64     `json:"entries"`
	Head    string    `json:"head" doc:"digest of the last entry: kept elsewhere, it proves what was there by then"`
	Faults  []string  `json:"faults" doc:"what somebody did to the audit; empty: nothing was found"`
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	// Patients is the patient module.
	Patients interface {
		Family(ctx context.Context, account int64) ([]patient.Record, error)
	}
	// Verify goes through the whole chain, by the hub.
	Verify func(ctx context.Context) (Checked, error)
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema, after the hub's own: it puts an index on its audit,
// and holds up acts while that is built the first time.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "audit", schema)
}

// Jobs goes through the chain every night.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "audit.verify", Times: "40 4 * * *", Lasts: time.Hour, Run: func(ctx context.Context) error { _, err := s.Check(ctx); return err }}}
}

// Check goes through the whole chain and keeps what was found.
func (s *Service) Check(ctx context.Context) (Checked, error) {
	c, err := s.Verify(ctx)
	if err == nil {
		if c.Faults == nil {
			c.Faults = []string{}
		}
		err = s.Database.QueryRow(ctx, `insert into audit.verified (entries, head, faults) values ($1, $2, $3) returning at`, c.Entries, c.Head, c.Faults).Scan(&c.At)
	}
	if err != nil {
		return c, fmt.Errorf("verify the audit: %w", err)
	}
	if len(c.Faults) > 0 {
		s.Log.Error("the audit was altered", "faults", len(c.Faults), "first", c.Faults[0])
	}
	return c, nil
}

// Last check; clinic.ErrNotFound before the first.
func (s *Service) Last(ctx context.Context) (c Checked, err error) {
	err = s.Database.QueryRow(ctx, `select at, entries, head, faults from audit.verified order by id desc limit 1`).Scan(&c.At, &c.Entries, &c.Head, &c.Faults)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, clinic.ErrNotFound
	} else if err != nil {
		return c, fmt.Errorf("read how the audit stands: %w", err)
	}
	return c, nil
}

// Entry of the chain.
type Entry struct {
	Number   int64     `json:"number"`
	At       time.Time `json:"at"`
	Actor    string    `json:"actor"`
	Role     string    `json:"role,omitempty"`
	Verb     string    `json:"verb" doc:"the operation's id"`
	Hospital string    `json:"hospital,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	Purpose  string    `json:"purpose,omitempty" doc:"why, in the person's words"`
	Request  string    `json:"request,omitempty"`
	Data     string    `json:"data,omitempty" doc:"as it is in the chain's digest"`
	Patients []string  `json:"patients" doc:"whose data it showed or changed, by our numbers"`
}

// Search narrows a list; what is missing does not.
type Search struct {
	Account  int64     `json:"account,omitempty" minimum:"0" doc:"who acted"`
	Actor    string    `json:"actor,omitempty" maxLength:"200" doc:"who acted, as the chain has him"`
	Patient  string    `json:"patient,omitempty" maxLength:"64" doc:"our number"`
	Verb     string    `json:"verb,omitempty" maxLength:"100"`
	Subject  string    `json:"subject,omitempty" maxLength:"200" example:"prescription RX1"`
	Hospital string    `json:"hospital,omitempty" maxLength:"64"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero" doc:"before"`
	Before   int64     `json:"before,omitempty" minimum:"0" doc:"the smallest number of the page before"`
	Limit    int       `json:"limit,omitempty" minimum:"0" maximum:"500" doc:"50 if 0"`
}

// Find entries, newest first, of these hospitals; nil is all, what is of none too.
func (s *Service) Find(ctx context.Context, hospitals []string, q Search) ([]Entry, error) {
	where, args := `true`, []any{}
	and := func(condition string, value any) {
		args = append(args, value)
		where += fmt.Sprintf(" and "+condition, len(args))
	}
	if hospitals != nil {
		and(`hospital = any($%d)`, hospitals)
	}
	if q.Patient != "" {
		and(of, []string{q.Patient})
	}
	if q.Account > 0 {
		and(`audit.account(actor) = $%d`, q.Account)
	}
	for _, text := range [][2]string{{"actor", q.Actor}, {"verb", q.Verb}, {"subject", q.Subject}, {"hospital", q.Hospital}} {
		if text[1] != "" {
			and(text[0]+` = $%d`, text[1])
		}
	}
	if !q.Since.IsZero() {
		and(`at >= $%d`, q.Since)
	}
	if !q.Until.IsZero() {
		and(`at < $%d`, q.Until)
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	return s.read(ctx, where, args, q.Before, q.Limit)
}

// of is what the index answers.
const of = `position('"patients"' in data) > 0 and audit.patients(data) && $%d::text[]`

func (s *Service) read(ctx context.Context, where string, args []any, before int64, limit int) ([]Entry, error) {
	n := len(args)
	rows, err := s.Database.Query(ctx, fmt.Sprintf(`select number, at, actor, role, verb, hospital, subject, purpose, request, data, audit.patients(data) from hub.audit
		where %s and ($%d = 0::bigint or number < $%d) order by number desc limit $%d`, where, n+1, n+1, n+2), append(args, before, limit)...)
	if err != nil {
		return nil, fmt.Errorf("search the audit: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Entry])
}

// Look is that somebody saw, or changed, what is a patient's.
type Look struct {
	Number   int64     `json:"number"`
	At       time.Time `json:"at"`
	Who      string    `json:"who"`
	Role     string    `json:"role,omitempty"`
	Verb     string    `json:"verb" doc:"the operation's id"`
	Hospital string    `json:"hospital,omitempty"`
	Patients []string  `json:"patients" doc:"of one's own family"`
}

var number = regexp.MustCompile(` \(account \d+\)$`)

// LookedAt is who has looked at an account's family, newest first, without the account
// itself; and the family's numbers. Why somebody did is not told: his words may name others.
func (s *Service) LookedAt(ctx context.Context, account, before int64, limit int) (looks []Look, family []string, err error) {
	records, err := s.Patients.Family(ctx, account)
	if err != nil {
		return nil, nil, fmt.Errorf("who looked: %w", err)
	}
	family = []string{}
	for _, r := range records {
		family = append(family, r.No)
	}
	all, err := s.read(ctx, fmt.Sprintf(of, 1)+` and audit.account(actor) is distinct from $2`, []any{family, account}, before, limit)
	if err != nil {
		return nil, nil, err
	}
	looks = make([]Look, len(all))
	for i, e := range all {
		own := slices.DeleteFunc(e.Patients, func(p string) bool { return !slices.Contains(family, p) })
		looks[i] = Look{e.Number, e.At, number.ReplaceAllString(e.Actor, ""), e.Role, e.Verb, e.Hospital, own}
	}
	return looks, family, nil
}
