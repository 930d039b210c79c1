package appointment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// Settings are a hospital's rules of appointments.
type Settings struct {
	PayWithin    int `json:"pay_within" minimum:"1" maximum:"1440" doc:"minutes that a place is held"`
	CancelBefore int `json:"cancel_before" minimum:"0" maximum:"10080" doc:"minutes before it begins until which a paid one is cancelled or moved by the patient"`
	Daily        int `json:"daily" minimum:"1" maximum:"100" doc:"appointments an account makes in a day"`
	NoShows      int `json:"no_shows" minimum:"1" maximum:"100" doc:"so many missed appointments …"`
	WithinDays   int `json:"within_days" minimum:"1" maximum:"3650" doc:"… within so many days …"`
	BlockedDays  int `json:"blocked_days" minimum:"1" maximum:"3650" doc:"… keep a patient from booking for so many"`
}

// usual are the rules of a hospital that has set none.
var usual = Settings{PayWithin: 15, CancelBefore: 120, Daily: 5, NoShows: 3, WithinDays: 180, BlockedDays: 90}

type rowQuerier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Settings of a hospital.
func (s *Service) Settings(ctx context.Context, hospital string) (Settings, error) {
	return s.settings(ctx, s.Database, hospital)
}

func (s *Service) settings(ctx context.Context, q rowQuerier, hospital string) (Settings, error) {
	var r Settings
	err := q.QueryRow(ctx, `select pay_within, cancel_before, daily, no_shows, within_days, blocked_days from appointment.settings where hospital = $1`, hospital).
		Scan(&r.PayWithin, &r.CancelBefore, &r.Daily, &r.NoShows, &r.WithinDays, &r.BlockedDays)
	if errors.Is(err, pgx.ErrNoRows) {
		return usual, nil
	}
	if err != nil {
		err = fmt.Errorf("read the settings of appointments: %w", err)
	}
	return r, err
}

// Set a hospital's rules.
func (s *Service) Set(ctx context.Context, hospital string, r Settings) (Settings, error) {
	_, err := s.Database.Exec(ctx, `insert into appointment.settings (hospital, pay_within, cancel_before, daily, no_shows, within_days, blocked_days) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (hospital) do update set pay_within = excluded.pay_within, cancel_before = excluded.cancel_before, daily = excluded.daily, no_shows = excluded.no_shows,
			within_days = excluded.within_days, blocked_days = excluded.blocked_days`, hospital, r.PayWithin, r.CancelBefore, r.Daily, r.NoShows, r.WithinDays, r.BlockedDays)
	if err != nil {
		return r, fmt.Errorf("set the rules of appointments: %w", err)
	}
	return r, nil
}

// Blocked is a patient who may not book for a while.
type Blocked struct {
	Patient string    `json:"patient" doc:"our number"`
	Until   time.Time `json:"until"`
	Since   time.Time `json:"since"`
}

// Blacklist of a hospital: who may not book now.
func (s *Service) Blacklist(ctx context.Context, hospital string) ([]Blocked, error) {
	rows, err := s.Database.Query(ctx, `select patient, until, created_at from appointment.blacklist where hospital = $1 and until > clock_timestamp() order by until limit 500`, hospital)
	if err != nil {
		return nil, fmt.Errorf("read the blacklist: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Blocked])
}

// Pardon takes a patient off the blacklist.
func (s *Service) Pardon(ctx context.Context, hospital, patientNo string) error {
	tag, err := s.Database.Exec(ctx, `delete from appointment.blacklist where hospital = $1 and patient = $2`, hospital, patientNo)
	if err == nil && tag.RowsAffected() == 0 {
		err = clinic.ErrNotFound
	}
	return err
}

// ends says of appointments whose session is over that the patient was seen, or did not
// come. Of one that the HIS does not know nobody can say that.
func (s *Service) ends(ctx context.Context) error {
	return s.each(ctx, `select hospital, no from appointment.appointment where state in ('confirmed', 'checked_in') and ends <= clock_timestamp()
		and (state = 'checked_in' or book_state in ('', 'agreed')) order by ends limit 500`,
		func(ctx context.Context, tx pgx.Tx, c change) error {
			var over bool
			if err := tx.QueryRow(ctx, `select $1::timestamptz <= clock_timestamp()`, c.a.Ends).Scan(&over); err != nil || !over {
				return err
			}
			switch {
			case c.a.State == CheckedIn:
				return s.move(ctx, tx, c.a, Done, "")
			case c.a.State == Confirmed && (c.a.bookState == "" || c.a.bookState == agreed):
				return s.missed(ctx, tx, c.a)
			}
			return nil
		})
}

// missed: the patient did not come, and may be kept from booking for that.
func (s *Service) missed(ctx context.Context, tx pgx.Tx, a Appointment) error {
	if err := s.move(ctx, tx, a, NoShow, ""); err != nil {
		return err
	}
	rules, err := s.settings(ctx, tx, a.Hospital)
	if err != nil {
		return err
	}
	// One after the other: two that are missed at once are two.
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('appointment missed ' || $1 || '/' || $2, 0))`, a.Hospital, a.Patient); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into appointment.blacklist (hospital, patient, until)
		select $1, $2, clock_timestamp() + make_interval(days => $5) where (select count(*) from appointment.appointment
			where hospital = $1 and patient = $2 and state = 'no_show' and ends > clock_timestamp() - make_interval(days => $4)) >= $3
		on conflict (hospital, patient) do update set until = excluded.until, created_at = clock_timestamp()`,
		a.Hospital, a.Patient, rules.NoShows, rules.WithinDays, rules.BlockedDays)
	return err
}
