// Package identity is who uses the clinic: accounts and how they sign in, sessions,
// roles by hospital, licences, consents. It knows no patient's records; which patients
// belong to an account is the patient module's.
package identity

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Service is the module. Make it with New.
type Service struct {
	*clinic.Clinic
	Memory Memory
	// Sender of codes; nil: codes cannot be sent, and every wish for one is told so.
	Sender Sender
	// WeChat and RealName are services of others; nil: there is none, and who asks is told so.
	WeChat   WeChat
	RealName RealName
	Limits   Limits

	now     func() time.Time // time.Now; tests turn it
	hashing chan struct{}    // bounds the memory that password hashes take
	compare func(password, hash string) (bool, error)

	mu    sync.Mutex
	known map[int64]remembered
}

// Limits of sessions and tries; zero values are the usual ones.
type Limits struct {
	// Idle and Absolute bound a session: without use, and at all.
	PatientIdle, PatientAbsolute time.Duration // 30 and 180 days
	StaffIdle, StaffAbsolute     time.Duration // 30 minutes and 12 hours
	// CodesPerHour and CodesPerDay of one phone; AddressCodes and AddressTries are those of
	// one address in an hour, which may be a whole hospital's.
	CodesPerHour, CodesPerDay, AddressCodes, AddressTries int // 5, 10, 100, 300
}

func (l Limits) filled() Limits {
	day := 24 * time.Hour
	for field, usual := range map[*time.Duration]time.Duration{&l.PatientIdle: 30 * day, &l.PatientAbsolute: 180 * day, &l.StaffIdle: 30 * time.Minute, &l.StaffAbsolute: 12 * time.Hour} {
		if *field <= 0 {
			*field = usual
		}
	}
	for field, usual := range map[*int]int{&l.CodesPerHour: 5, &l.CodesPerDay: 10, &l.AddressCodes: 100, &l.AddressTries: 300} {
		if *field <= 0 {
			*field = usual
		}
	}
	return l
}

// Sender tells a person something on the phone. Its error names neither the number
// nor the text.
type Sender interface {
	Send(ctx context.Context, phone, text string) error
}

// Errors beside those of the clinic.
var (
	// ErrRefused answers every sign-in that does not hold, whatever it was that did not.
	ErrRefused = errors.New("that does not sign you in: it is wrong, over, or was used already")
	// ErrCannotSend: no code can be sent now.
	ErrCannotSend = errors.New("codes cannot be sent now")
)

// New makes the module.
func New(c *clinic.Clinic, m Memory, l Limits) *Service {
	return &Service{Clinic: c, Memory: m, Limits: l.filled(), now: time.Now, hashing: make(chan struct{}, 4), compare: compareHash}
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "identity", schema)
}

// Kind of an account.
type Kind string

const (
	PatientAccount Kind = "patient"
	StaffAccount   Kind = "staff"
)

// Values of Kind.
func (Kind) Values() []string { return []string{string(PatientAccount), string(StaffAccount)} }

// Account as it is shown; what names a person is masked.
type Account struct {
	ID           int64          `json:"account"`
	Kind         Kind           `json:"kind"`
	Name         string         `json:"name,omitempty" doc:"by which staff sign in"`
	Title        string         `json:"title,omitempty" doc:"as others see it"`
	Phone        string         `json:"phone,omitempty" example:"138****8000"`
	RealName     string         `json:"real_name,omitempty" doc:"masked"`
	IDNo         string         `json:"id_no,omitempty" doc:"masked"`
	VerifiedAt   time.Time      `json:"verified_at,omitzero" doc:"when the real name was verified"`
	HasPassword  bool           `json:"has_password"`
	SecondFactor bool           `json:"second_factor"`
	Disabled     bool           `json:"disabled"`
	Grants       []clinic.Grant `json:"grants"`
}

// record is a row of the table, opened.
type record struct {
	Account
	realName, idNo, phone string
	password              string
	second, offer         string // TOTP secrets
	generation            int
}

// querier is the pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// find reads an account. where has its value as $1. ErrNotFound when there is none.
func (s *Service) find(ctx context.Context, q querier, where string, value any) (r record, err error) {
	var phone, realName, idNo, second, offer []byte
	var verified *time.Time
	err = q.QueryRow(ctx, `select id, kind, coalesce(name, ''), title, phone, real_name, id_no, verified_at, password, second, second_offer, generation, disabled_at is not null
		from identity.account where `+where, value).
		Scan(&r.ID, &r.Kind, &r.Name, &r.Title, &phone, &realName, &idNo, &verified, &r.password, &second, &offer, &r.generation, &r.Disabled)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, clinic.ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("read an account: %w", err)
	}
	for purpose, field := range map[string]struct {
		sealed []byte
		plain  *string
	}{
		"phone": {phone, &r.phone}, "real name": {realName, &r.realName}, "id number": {idNo, &r.idNo}, "second factor": {second, &r.second}, "second factor offer": {offer, &r.offer},
	} {
		plain, err := s.open(field.sealed, purpose, r.ID)
		if err != nil {
			return r, err
		}
		*field.plain = plain
	}
	if verified != nil {
		r.VerifiedAt = *verified
	}
	r.Phone, r.RealName, r.IDNo = core.MaskNumber(r.phone), core.MaskName(r.realName), core.MaskNumber(r.idNo)
	r.HasPassword, r.SecondFactor = r.password != "", r.second != ""
	if r.Grants, err = grantsOf(ctx, q, r); err != nil {
		return r, err
	}
	return r, nil
}

func grantsOf(ctx context.Context, q querier, r record) ([]clinic.Grant, error) {
	grants := []clinic.Grant{}
	if r.Kind == PatientAccount {
		grants = append(grants, clinic.Grant{Role: clinic.Patient})
	}
	rows, err := q.Query(ctx, `select role, hospital, code from identity.role_grant where account = $1 and state = 'active' order by id`, r.ID)
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	more, err := pgx.CollectRows(rows, pgx.RowToStructByPos[clinic.Grant])
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	return append(grants, more...), nil
}

// seal keeps a text about an account; "" is nothing.
func (s *Service) seal(plain, purpose string, account int64) ([]byte, error) {
	if plain == "" {
		return nil, nil
	}
	return s.Vault.Seal([]byte(plain), "identity "+purpose, strconv.FormatInt(account, 10))
}

func (s *Service) open(sealed []byte, purpose string, account int64) (string, error) {
	if sealed == nil {
		return "", nil
	}
	plain, err := s.Vault.Open(sealed, "identity "+purpose, strconv.FormatInt(account, 10))
	if err != nil {
		return "", fmt.Errorf("open the %s of account %d: %w", purpose, account, err)
	}
	return string(plain), nil
}

// believed is how long an account and its grants are believed without asking the
// database again: how long a change that another process made may take to hold here.
const believed = 3 * time.Second

// maxKnown bounds the memory; beyond it everything is looked up again.
const maxKnown = 20_000

type remembered struct {
	record
	until time.Time
}

// account reads an account, or remembers it.
func (s *Service) account(ctx context.Context, id int64) (record, error) {
	now := s.now()
	s.mu.Lock()
	r, ok := s.known[id]
	s.mu.Unlock()
	if ok && now.Before(r.until) {
		return r.record, nil
	}
	found, err := s.find(ctx, s.Database, "id = $1", id)
	if err != nil {
		return found, err
	}
	found.password, found.second, found.offer, found.idNo = "", "", "", "" // not needed there, and not to be kept
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = map[int64]remembered{}
	}
	s.known[id] = remembered{found, now.Add(believed)}
	return found, nil
}

// forget makes an account be looked up again.
func (s *Service) forget(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, id)
}

// change runs f in one transaction with its record in the audit, and makes this
// process look the account up again.
func (s *Service) change(ctx context.Context, account int64, a clinic.Act, f func(tx pgx.Tx) error) error {
	if a.Subject == "" {
		a.Subject = Subject(account)
	}
	err := pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.Trail(tx).Keep(ctx, a)
	})
	s.forget(account)
	return err
}

// note keeps an act that changes nothing in the database.
func (s *Service) note(ctx context.Context, a clinic.Act) error {
	return pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error { return s.Trail(tx).Keep(ctx, a) })
}

// Subject is how the audit names an account.
func Subject(account int64) string { return fmt.Sprintf("account %d", account) }
