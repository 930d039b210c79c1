package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Template is a session that is held every week.
type Template struct {
	ID         int64          `json:"id" readOnly:"true"`
	Doctor     string         `json:"doctor" minLength:"1" maxLength:"64" doc:"code"`
	Department string         `json:"department" minLength:"1" maxLength:"64" doc:"code"`
	Weekday    int            `json:"weekday" minimum:"1" maximum:"7" doc:"1 is Monday"`
	Period     core.Period    `json:"period" enum:"morning,afternoon,evening,day"`
	Starts     string         `json:"starts" pattern:"^[0-2][0-9]:[0-5][0-9]$" doc:"HH:mm in the hospital's zone"`
	Ends       string         `json:"ends" pattern:"^[0-2][0-9]:[0-5][0-9]$"`
	Capacity   int            `json:"capacity" minimum:"1" maximum:"500"`
	Fee        core.Fen       `json:"fee" minimum:"0" doc:"fen"`
	Quota      map[string]int `json:"quota,omitempty" doc:"places kept for a channel; the channels that are not named share the rest"`
	// The places of a day are sold from this time of an earlier day on, to the second.
	ReleaseDays int    `json:"release_days" minimum:"0" maximum:"90" doc:"days before"`
	ReleaseTime string `json:"release_time" pattern:"^[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?$" example:"07:30"`
	ValidFrom   string `json:"valid_from" maxLength:"10" doc:"yyyy-MM-dd"`
	ValidUntil  string `json:"valid_until,omitempty" maxLength:"10" doc:"yyyy-MM-dd, included; missing: until it is ended"`
}

// ahead is how many days of sessions there are, beyond the days of release.
const ahead = 14

func (t Template) check() error {
	var ps core.Problems
	date := func(field, value string) {
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			ps = append(ps, core.Problem{Field: field, What: "is no date, as 2026-01-05"})
		}
	}
	clock := func(field, value string) {
		if _, err := time.Parse("15:04", value[:min(5, len(value))]); err != nil {
			ps = append(ps, core.Problem{Field: field, What: "is no time of a day, as 08:00"})
		}
	}
	date("valid_from", t.ValidFrom)
	if t.ValidUntil != "" {
		date("valid_until", t.ValidUntil)
	}
	clock("starts", t.Starts)
	clock("ends", t.Ends)
	clock("release_time", t.ReleaseTime)
	if len(ps) == 0 && t.Ends <= t.Starts {
		ps = append(ps, core.Problem{Field: "ends", What: "not after starts"})
	}
	kept := 0
	for channel, n := range t.Quota {
		if n < 0 || channel == "" {
			ps = append(ps, core.Problem{Field: "quota", What: "a channel has a name and not fewer than 0 places"})
		}
		kept += n
	}
	if kept > t.Capacity {
		ps = append(ps, core.Problem{Field: "quota", What: fmt.Sprintf("keeps %d of %d places", kept, t.Capacity)})
	}
	return ps.OrNil()
}

// Plan adds a template and makes its sessions.
func (s *Service) Plan(ctx context.Context, hospital string, t Template) (Template, error) {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return t, err
	}
	if err := t.check(); err != nil {
		return t, err
	}
	if t.Quota == nil {
		t.Quota = map[string]int{}
	}
	quota, err := json.Marshal(t.Quota)
	if err != nil {
		return t, err
	}
	err = s.Database.QueryRow(ctx, `insert into schedule.template (hospital, doctor, department, weekday, period, starts, ends, capacity, fee, quota, release_days, release_time, valid_from, valid_until)
		values ($1, $2, $3, $4, $5, $6::time, $7::time, $8, $9, $10, $11, $12::time, $13::date, nullif($14, '')::date) returning id`,
		hospital, t.Doctor, t.Department, t.Weekday, t.Period, t.Starts, t.Ends, t.Capacity, t.Fee, quota, t.ReleaseDays, t.ReleaseTime, t.ValidFrom, t.ValidUntil).Scan(&t.ID)
	if err != nil {
		return t, fmt.Errorf("plan sessions: %w", err)
	}
	return t, s.generate(ctx, place)
}

// Templates that hold.
func (s *Service) Templates(ctx context.Context, hospital string) ([]Template, error) {
	rows, err := s.Database.Query(ctx, `select id, doctor, department, weekday, period, to_char(starts, 'HH24:MI'), to_char(ends, 'HH24:MI'), capacity, fee, quota, release_days,
		to_char(release_time, 'HH24:MI:SS'), valid_from::text, coalesce(valid_until::text, '') from schedule.template where hospital = $1 and ended_at is null order by weekday, starts, id`, hospital)
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Template])
}

// End a template: no more sessions are made of it, and those of which nothing is sold go.
func (s *Service) End(ctx context.Context, hospital string, id int64) error {
	return pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update schedule.template set ended_at = clock_timestamp() where hospital = $1 and id = $2 and ended_at is null`, hospital, id)
		if err != nil {
			return fmt.Errorf("end template: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return clinic.ErrNotFound
		}
		if _, err = tx.Exec(ctx, `delete from schedule.quota q using schedule.session v where v.hospital = q.hospital and v.no = q.session and v.template = $1 and v.starts > clock_timestamp() and v.held + v.booked = 0`, id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `delete from schedule.session where template = $1 and starts > clock_timestamp() and held + booked = 0`, id)
		return err
	})
}

// generate makes the sessions of a hospital's templates for the days to come. Those that
// are there already stay as they are.
func (s *Service) generate(ctx context.Context, place clinic.Place) error {
	return pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `with made as (
			insert into schedule.session (no, hospital, doctor, department, day, period, starts, ends, capacity, fee, source, release_at, template)
			select 'S' || t.id || '-' || to_char(d.day, 'YYMMDD'), t.hospital, t.doctor, t.department, d.day, t.period,
				(d.day + t.starts) at time zone $2, (d.day + t.ends) at time zone $2, t.capacity, t.fee, 'platform', (d.day - t.release_days + t.release_time) at time zone $2, t.id
			from schedule.template t, lateral (
				select day::date from generate_series((clock_timestamp() at time zone $2)::date, (clock_timestamp() at time zone $2)::date + t.release_days + $3::integer, interval '1 day') g(day)) d
			where t.hospital = $1 and t.ended_at is null and extract(isodow from d.day) = t.weekday and d.day >= t.valid_from and (t.valid_until is null or d.day <= t.valid_until)
			on conflict do nothing returning hospital, no, template)
			insert into schedule.quota (hospital, session, channel, capacity)
			select m.hospital, m.no, q.key, q.value::integer from made m join schedule.template t on t.id = m.template, jsonb_each_text(t.quota) q`,
			place.ID, place.Zone.String(), ahead)
		if err != nil {
			return fmt.Errorf("make sessions: %w", err)
		}
		return nil
	})
}

// Jobs of the module.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "schedule.generate", Times: "3 * * * *", Lasts: 10 * time.Minute, Run: func(ctx context.Context) error {
		places, err := s.Places(ctx)
		if err != nil {
			return err
		}
		var failed error
		for _, p := range places {
			failed = errors.Join(failed, s.generate(ctx, p))
		}
		return failed
	}}}
}

// Stop says that a session does not take place, or that another doctor takes it.
type Stop struct {
	Substitute string `json:"substitute,omitempty" maxLength:"64" doc:"code of the doctor who takes it; missing: nobody does, everybody is cancelled and has the money back"`
	Reason     string `json:"reason" minLength:"1" maxLength:"200" doc:"patients read it"`
}

// Stop a session in the caller's transaction: nothing of it is sold any more. What was
// sold is the appointment module's, which calls this. Stopping again changes nothing.
func (s *Service) Stop(ctx context.Context, tx pgx.Tx, hospital, no string, stop Stop) (Session, error) {
	v, err := one(ctx, tx, `hospital = $1 and no = $2 for update`, hospital, no)
	if err != nil {
		return v, err
	}
	if stop.Substitute != "" {
		if v.Stopped {
			return v, fmt.Errorf("replace the doctor: %w", ErrStopped)
		}
		_, err = tx.Exec(ctx, `update schedule.session set substitute = $3, stop_reason = $4 where hospital = $1 and no = $2`, hospital, no, stop.Substitute, stop.Reason)
	} else {
		_, err = tx.Exec(ctx, `update schedule.session set stopped_at = coalesce(stopped_at, clock_timestamp()), stop_reason = $3 where hospital = $1 and no = $2`, hospital, no, stop.Reason)
	}
	if err != nil {
		return v, fmt.Errorf("stop session: %w", err)
	}
	return one(ctx, tx, `hospital = $1 and no = $2`, hospital, no)
}

// Find sessions of a day that a HIS's notice is about.
func (s *Service) Find(ctx context.Context, tx pgx.Tx, hospital string, n *core.ClinicStop) ([]Session, error) {
	rows, err := tx.Query(ctx, `select `+columns+` from schedule.session where hospital = $1 and stopped_at is null and day = $2::date
		and case when $3 <> '' then his_no = $3 or no = $3 else department = $4 and ($5 = '' or doctor = $5) and ($6 = '' or period = $6) end order by no`,
		hospital, n.Date, n.ScheduleNo, n.DepartmentCode, n.DoctorCode, n.Period)
	if err != nil {
		return nil, fmt.Errorf("find stopped sessions: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Session])
}

// Extra adds places to a session.
func (s *Service) Extra(ctx context.Context, hospital, no string, places int) (Session, error) {
	tag, err := s.Database.Exec(ctx, `update schedule.session set capacity = capacity + $3 where hospital = $1 and no = $2 and stopped_at is null and source = 'platform'`, hospital, no, places)
	if err != nil {
		return Session{}, fmt.Errorf("add places: %w", err)
	}
	v, err := s.Get(ctx, hospital, no)
	switch {
	case err != nil || tag.RowsAffected() > 0:
		return v, err
	case v.Source == HIS:
		return v, fmt.Errorf("add places: %w: the HIS counts this session's places", clinic.ErrRule)
	}
	return v, fmt.Errorf("add places: %w", ErrStopped)
}
