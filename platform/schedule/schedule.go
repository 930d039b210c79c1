// Package schedule is when doctors see patients, and how many places are left. The
// counters of a session are the truth of what was sold: a place is held, then booked or
// let go, in the transaction of whoever does so, and never more of them than there are.
package schedule

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Source of a hospital's sessions.
type Source string

// The sources.
const (
	Platform Source = "platform" // templates of ours
	HIS      Source = "his"      // asked from the HIS, live
)

// Session is one clinic session of a doctor (FHIR Schedule with its free Slots counted).
type Session struct {
	No         string      `json:"no" doc:"our number of the session"`
	Hospital   string      `json:"hospital"`
	Doctor     string      `json:"doctor" doc:"code"`
	Department string      `json:"department" doc:"code"`
	Day        string      `json:"day" doc:"yyyy-MM-dd"`
	Period     core.Period `json:"period" enum:"morning,afternoon,evening,day"`
	Starts     time.Time   `json:"starts"`
	Ends       time.Time   `json:"ends"`
	Capacity   int         `json:"capacity"`
	Held       int         `json:"held" doc:"places that are being paid for"`
	Booked     int         `json:"booked"`
	Fee        core.Fen    `json:"fee" doc:"fen"`
	Source     Source      `json:"source" enum:"platform,his"`
	HisNo      string      `json:"-"`
	SlotNo     string      `json:"-"`
	ReleaseAt  time.Time   `json:"release_at" doc:"nothing is sold before"`
	Stopped    bool        `json:"stopped"`
	Substitute string      `json:"substitute,omitempty" doc:"code of the doctor who takes it"`
	AsOf       time.Time   `json:"as_of" doc:"when the HIS said so; of our own, now"`
	// Free places that are sold now: 0 before release_at, when stopped and when begun.
	Free int `json:"free"`
}

// Errors of Hold, each ErrState.
var (
	ErrFull        = fmt.Errorf("%w: no place is left", clinic.ErrState)
	ErrNotReleased = fmt.Errorf("%w: its places are not on sale yet", clinic.ErrState)
	ErrStopped     = fmt.Errorf("%w: it does not take place", clinic.ErrState)
	ErrOver        = fmt.Errorf("%w: it has begun", clinic.ErrState)
)

// Service is the module.
type Service struct{ *clinic.Clinic }

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "schedule", schema)
}

const columns = `no, hospital, doctor, department, day::text, period, starts, ends, capacity, held, booked, fee, source, his_no, slot_no, release_at, stopped_at is not null, substitute,
	case when source = 'his' then as_of else clock_timestamp() end,
	case when stopped_at is null and release_at <= clock_timestamp() and starts > clock_timestamp() then capacity - held - booked else 0 end`

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func one(ctx context.Context, q querier, where string, args ...any) (Session, error) {
	rows, err := q.Query(ctx, `select `+columns+` from schedule.session where `+where, args...)
	if err != nil {
		return Session{}, fmt.Errorf("read session: %w", err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Session])
	if errors.Is(err, pgx.ErrNoRows) {
		return v, clinic.ErrNotFound
	}
	return v, err
}

// Get a session; clinic.ErrNotFound when there is none.
func (s *Service) Get(ctx context.Context, hospital, no string) (Session, error) {
	return one(ctx, s.Database, `hospital = $1 and no = $2`, hospital, no)
}

// Hold takes a place for a payer of a channel ("app", "wechat", …), until Book or Let.
// What is not for sale is ErrFull, ErrNotReleased, ErrStopped or ErrOver. It holds the
// session's row until tx ends, so tx should end soon.
func (s *Service) Hold(ctx context.Context, tx pgx.Tx, hospital, no, channel string) (Session, error) {
	v, err := one(ctx, tx, `hospital = $1 and no = $2 for update`, hospital, no)
	if err != nil {
		return v, err
	}
	var now time.Time
	if err := tx.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
		return v, err
	}
	switch {
	case v.Stopped:
		return v, ErrStopped
	case now.Before(v.ReleaseAt):
		return v, ErrNotReleased
	case !now.Before(v.Starts):
		return v, ErrOver
	case v.Held+v.Booked >= v.Capacity:
		return v, ErrFull
	}
	if err := s.count(ctx, tx, v, channel, 1, 0); err != nil {
		return v, err
	}
	v.Held++
	return v, nil
}

// Book makes a held place a booked one.
func (s *Service) Book(ctx context.Context, tx pgx.Tx, hospital, no, channel string) error {
	return s.change(ctx, tx, hospital, no, channel, -1, 1)
}

// Let gives a place back: a held one, or a booked one.
func (s *Service) Let(ctx context.Context, tx pgx.Tx, hospital, no, channel string, booked bool) error {
	if booked {
		return s.change(ctx, tx, hospital, no, channel, 0, -1)
	}
	return s.change(ctx, tx, hospital, no, channel, -1, 0)
}

func (s *Service) change(ctx context.Context, tx pgx.Tx, hospital, no, channel string, held, booked int) error {
	v, err := one(ctx, tx, `hospital = $1 and no = $2 for update`, hospital, no)
	if err != nil {
		return err
	}
	return s.count(ctx, tx, v, channel, held, booked)
}

// count changes the counters of a session and of the channel's own quota, or of the rest
// that the channels without one share. The session's row is held.
func (s *Service) count(ctx context.Context, tx pgx.Tx, v Session, channel string, held, booked int) error {
	rows, err := tx.Query(ctx, `select channel, capacity, held, booked from schedule.quota where hospital = $1 and session = $2`, v.Hospital, v.No)
	if err != nil {
		return err
	}
	type quota struct {
		Channel                string
		Capacity, Held, Booked int
	}
	quotas, err := pgx.CollectRows(rows, pgx.RowToStructByPos[quota])
	if err != nil {
		return err
	}
	restCapacity, restTaken, own := v.Capacity, v.Held+v.Booked, false
	for _, q := range quotas {
		restCapacity -= q.Capacity
		restTaken -= q.Held + q.Booked
		if q.Channel != channel {
			continue
		}
		own = true
		if held > 0 && q.Held+q.Booked >= q.Capacity {
			return ErrFull
		}
	}
	if !own && held > 0 && len(quotas) > 0 && restTaken >= restCapacity {
		return ErrFull
	}
	if own {
		if _, err := tx.Exec(ctx, `update schedule.quota set held = held + $4, booked = booked + $5 where hospital = $1 and session = $2 and channel = $3`, v.Hospital, v.No, channel, held, booked); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `update schedule.session set held = held + $3, booked = booked + $4 where hospital = $1 and no = $2`, v.Hospital, v.No, held, booked)
	return err
}

// Filter of sessions; zero values do not narrow.
type Filter struct {
	Department, Doctor string
	From, To           string // yyyy-MM-dd, both included
}

// Sessions of a hospital from today on, in the order of their beginning; live from the
// HIS where that is the source. A HIS that does not answer leaves what it said last, whose
// as_of tells how old that is; err is then its *core.Fault beside the sessions.
func (s *Service) Sessions(ctx context.Context, hospital string, f Filter) ([]Session, error) {
	source, err := s.Source(ctx, hospital)
	if err != nil {
		return nil, err
	}
	var fault *core.Fault
	if source == HIS {
		if err := s.ask(ctx, hospital, f); err != nil && !errors.As(err, &fault) {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
	}
	rows, err := s.Database.Query(ctx, `select `+columns+` from schedule.session where hospital = $1 and source = $2
		and day between $3::date and $4::date and ($5 = '' or department = $5) and ($6 = '' or doctor = $6) order by starts, department, doctor, no`,
		hospital, source, f.From, f.To, f.Department, f.Doctor)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Session])
	if err == nil && fault != nil {
		err = fault
	}
	return all, err
}

// Source of a hospital's sessions: what it chose, else its HIS where that has them.
func (s *Service) Source(ctx context.Context, hospital string) (Source, error) {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return "", err
	}
	var source Source
	err = s.Database.QueryRow(ctx, `select source from schedule.source where hospital = $1`, hospital).Scan(&source)
	switch {
	case err == nil:
		return source, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return "", fmt.Errorf("read the source of sessions: %w", err)
	case place.Can(core.ScheduleList):
		return HIS, nil
	}
	return Platform, nil
}

// Choose where a hospital's sessions come from.
func (s *Service) Choose(ctx context.Context, hospital string, source Source) error {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return err
	}
	if source == HIS && !place.Can(core.ScheduleList) {
		return fmt.Errorf("choose the source of sessions: %w: the hospital's folder has no schedule.list", clinic.ErrRule)
	}
	_, err = s.Database.Exec(ctx, `insert into schedule.source (hospital, source) values ($1, $2) on conflict (hospital) do update set source = excluded.source`, hospital, source)
	return err
}
