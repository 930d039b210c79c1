package appointment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/schedule"
)

// want is a place for somebody.
type want struct {
	hospital, session, patient, channel string
	account                             int64
	him                                 him
	// waited: he is the one whom a place that becomes free is for.
	waited bool
	// replaces is the appointment that goes for it.
	replaces string
}

// lockWithin is how long a HIS has to agree to a place.
const lockWithin = 30 * time.Second

// hold takes a place and makes its order, or says why not.
func (s *Service) hold(ctx context.Context, tx pgx.Tx, outbox core.Outbox, place clinic.Place, rules Settings, w want) (Appointment, Reason, error) {
	var none Appointment
	if why, err := s.mayNot(ctx, tx, place, rules, w); why != "" || err != nil {
		return none, why, err
	}
	v, err := s.Schedule.Hold(ctx, tx, w.hospital, w.session, w.channel)
	switch {
	case errors.Is(err, schedule.ErrFull):
		return none, Full, nil
	case errors.Is(err, schedule.ErrNotReleased):
		return none, NotReleased, nil
	case errors.Is(err, schedule.ErrStopped):
		return none, Off, nil
	case errors.Is(err, schedule.ErrOver):
		return none, Over, nil
	case errors.Is(err, clinic.ErrNotFound):
		return none, NoSession, nil
	case err != nil:
		return none, "", err
	}
	no := clinic.NewNumber("AP", time.Now())
	sealed, err := s.sealHim(w.him, no)
	if err != nil {
		return none, "", err
	}
	state, lock := Held, ""
	// The HIS decides about a place that nobody has to pay for when it is booked.
	if v.Source == schedule.HIS && v.Fee > 0 && place.Can(core.AppointmentLock) {
		state, lock = Requested, asking
	}
	_, err = tx.Exec(ctx, `insert into appointment.appointment (no, hospital, session, doctor, department, day, period, starts, ends, substitute, source, his_session, slot_no,
			account, patient, channel, fee, state, replaces, him, lock_state, lock_until)
		values ($1, $2, $3, $4, $5, $6::date, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, clock_timestamp() + $22::interval)`,
		no, w.hospital, v.No, v.Doctor, v.Department, v.Day, v.Period, v.Starts, v.Ends, v.Substitute, v.Source, v.HisNo, v.SlotNo,
		w.account, w.patient, w.channel, v.Fee, state, w.replaces, sealed, lock, lockWithin)
	if err != nil {
		return none, "", err
	}
	o, err := s.Orders.Create(ctx, tx, outbox, order.New{Hospital: w.hospital, Subject: no, Patient: w.patient, Kind: order.Registration, Account: w.account,
		Lines: lines(v.Fee), Within: time.Duration(rules.PayWithin) * time.Minute})
	if err != nil {
		return none, "", err
	}
	if _, err := tx.Exec(ctx, `update appointment.appointment set order_no = $2 where no = $1`, no, o.No); err != nil {
		return none, "", err
	}
	a, err := s.lock(ctx, tx, w.hospital, no)
	if err == nil && a.State == Requested {
		err = s.askForPlace(ctx, outbox, a)
	}
	return a, "", err
}

// mayNot says why somebody gets no place, whatever the session has.
func (s *Service) mayNot(ctx context.Context, tx pgx.Tx, place clinic.Place, rules Settings, w want) (Reason, error) {
	if w.replaces == "" {
		// What an account asked for today is counted one after the other.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('appointment account ' || $1, 0))`, fmt.Sprint(w.account)); err != nil {
			return "", err
		}
	}
	var blacklisted, hasOne, awaited bool
	var today int
	err := tx.QueryRow(ctx, `select exists (select from appointment.blacklist where hospital = $1 and patient = $3 and until > clock_timestamp()),
		exists (select from appointment.appointment where hospital = $1 and session = $2 and patient = $3 and state in ('requested', 'held', 'confirmed', 'checked_in')),
		exists (select from appointment.waitlist where hospital = $1 and session = $2 and channel = $6 and state = 'waiting'),
		(select count(*) from appointment.appointment where account = $4 and state not in ('rejected', 'stopped') and replaces = ''
			and created_at >= date_trunc('day', clock_timestamp() at time zone $5) at time zone $5)`,
		w.hospital, w.session, w.patient, w.account, place.Zone.String(), w.channel).Scan(&blacklisted, &hasOne, &awaited, &today)
	switch {
	case err != nil:
		return "", err
	case blacklisted:
		return Blacklisted, nil
	case hasOne:
		return HasOne, nil
	case w.replaces == "" && today >= rules.Daily:
		return DailyLimit, nil
	case awaited && !w.waited:
		return Full, nil // who waits comes first
	}
	return "", nil
}

func (s *Service) sealHim(h him, number string) ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return s.Vault.Seal(text, "appointment patient", number)
}

func (s *Service) openHim(sealed []byte, number string) (h him, err error) {
	text, err := s.Vault.Open(sealed, "appointment patient", number)
	if err != nil {
		return h, fmt.Errorf("read the patient of %s: %w", number, err)
	}
	return h, json.Unmarshal(text, &h)
}
