package appointment

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/schedule"
)

// move writes a new state down and tells the patient of it once that is committed.
func (s *Service) move(ctx context.Context, tx pgx.Tx, a Appointment, to State, set string, args ...any) error {
	if _, err := States.Move(a.State, to); err != nil {
		return err
	}
	if set != "" {
		set = ", " + set
	}
	_, err := tx.Exec(ctx, `update appointment.appointment set state = $2, due = false, updated_at = clock_timestamp()`+set+` where no = $1`, append([]any{a.No, to}, args...)...)
	if err != nil {
		return err
	}
	s.tell(tx, a.account, news{Type: "appointment", No: a.No, State: string(to)})
	event := map[State]string{Confirmed: "confirmed", Cancelled: "cancelled", Rejected: "cancelled", Stopped: "stopped"}[to]
	if event == "" || a.State == Requested {
		return nil // a wish that came to nothing is answered by its ticket
	}
	return s.notice(ctx, tx, a.account, event, map[string]string{"hospital": a.Hospital, "no": a.No})
}

// notice tells an account what it should hear of though nobody looks.
func (s *Service) notice(ctx context.Context, tx pgx.Tx, account int64, event string, params map[string]string) error {
	if s.Notices == nil {
		return nil
	}
	return s.Notices.Send(ctx, tx, account, "appointment."+event, params)
}

// giveUp ends an appointment that is held or confirmed: what was paid goes back, what was
// not can be paid no more, and the place is free. One whose payment is on its way is
// ErrState.
func (s *Service) giveUp(ctx context.Context, tx pgx.Tx, c change, to State, reason string) error {
	a := c.a
	why, err := s.Vault.Seal([]byte(reason), "appointment why", a.No)
	if err != nil {
		return err
	}
	if err := s.move(ctx, tx, a, to, `why = $3`, why); err != nil {
		return err
	}
	switch {
	case c.o.State == order.Paid && c.o.Refunded < c.o.Amount:
		err = s.Payback.GiveBack(ctx, tx, c.outbox, c.o, reason)
	case c.o.State == order.Created || c.o.State == order.Paying:
		_, err = s.Orders.Close(ctx, tx, c.outbox, c.o.No, "the appointment was given up", false)
	}
	if err != nil {
		return err
	}
	if err := s.let(ctx, tx, c, to); err != nil {
		return err
	}
	if a.bookState != unpaid && (c.o.Amount > 0 || a.bookState == "" || a.bookState == refused) {
		return nil // the HIS hears of it with the refund, or never heard of the appointment
	}
	return s.tellCancelled(ctx, tx, c, core.AppointmentCancelling{Reason: reason})
}

// let gives the place of an appointment back that became to, here and where the HIS holds
// it. c.a is as it was before.
func (s *Service) let(ctx context.Context, tx pgx.Tx, c change, to State) error {
	booked := c.a.State == Confirmed || c.a.State == CheckedIn
	if err := s.Schedule.Let(ctx, tx, c.a.Hospital, c.a.Session, c.a.Channel, booked); err != nil {
		return err
	}
	if booked && c.a.Source == schedule.HIS {
		if err := s.Schedule.OffWay(ctx, tx, c.a.Hospital, c.a.Session, c.a.No); err != nil {
			return err
		}
	}
	if err := s.payIntoLedger(ctx, tx, c); err != nil {
		return err
	}
	if c.a.State == Requested {
		why := TakenBack
		switch {
		case to == Stopped:
			why = Off
		case to == Rejected && c.a.lockState == refused:
			why = RefusedHIS
		case to == Rejected:
			why = SilentHIS
		}
		if err := s.answer(ctx, tx, `appointment = $5 and state = 'locking'`, Refused, why, "", c.a.No); err != nil {
			return err
		}
	}
	if booked || c.a.lockState == "" || c.a.lockState == refused {
		return nil
	}
	return s.unlock(ctx, c)
}

// Cancel an appointment of the account's own: one that is not paid at any time, a paid
// one until the hospital's limit before it begins. What was paid goes back.
func (s *Service) Cancel(ctx context.Context, p clinic.Person, no string) (Appointment, error) {
	a, err := s.one(ctx, s.Database, `account = $1 and no = $2`, p.Account, no)
	if err == nil {
		err = s.cancel(ctx, a.Hospital, no, "患者取消", s.inTime)
	}
	if err != nil {
		return Appointment{}, fmt.Errorf("cancel appointment: %w", err)
	}
	return s.Own(ctx, p.Account, no)
}

// CancelFor cancels an appointment for the hospital, at any time until it is done.
func (s *Service) CancelFor(ctx context.Context, hospital, no, reason string) (Appointment, error) {
	if err := s.cancel(ctx, hospital, no, reason, nil); err != nil {
		return Appointment{}, fmt.Errorf("cancel appointment: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

func (s *Service) cancel(ctx context.Context, hospital, no, reason string, may func(context.Context, pgx.Tx, Appointment) error) error {
	return s.change(ctx, hospital, no, func(tx pgx.Tx, c change) error {
		if may != nil {
			if err := may(ctx, tx, c.a); err != nil {
				return err
			}
		}
		return s.giveUp(ctx, tx, c, Cancelled, reason)
	})
}

// inTime: a paid place is given back early enough that another one can take it. One of
// which the doctor changed is given back at any time.
func (s *Service) inTime(ctx context.Context, tx pgx.Tx, a Appointment) error {
	if a.State != Confirmed || a.Substitute != "" {
		return nil
	}
	rules, err := s.settings(ctx, tx, a.Hospital)
	if err != nil {
		return err
	}
	var late bool
	if err := tx.QueryRow(ctx, `select clock_timestamp() > $1::timestamptz - $2::interval`, a.Starts, time.Duration(rules.CancelBefore)*time.Minute).Scan(&late); err != nil {
		return err
	}
	if late {
		return fmt.Errorf("%w: cancel in time: until %d minutes before it begins", clinic.ErrRule, rules.CancelBefore)
	}
	return nil
}

// Reschedule an appointment of the account's own to another session. The new place is
// held first, then the old one let go, in one transaction: nobody is without one, or has
// two. A paid place of our own counting moves where the fee is the same; everywhere else
// the new one is to be paid and the money of the old one goes back.
func (s *Service) Reschedule(ctx context.Context, p clinic.Person, no, session string) (Appointment, error) {
	a, err := s.reschedule(ctx, p, no, session)
	if err != nil {
		return Appointment{}, fmt.Errorf("reschedule appointment: %w", err)
	}
	return a, nil
}

func (s *Service) reschedule(ctx context.Context, p clinic.Person, no, session string) (Appointment, error) {
	old, err := s.one(ctx, s.Database, `account = $1 and no = $2`, p.Account, no)
	if err != nil {
		return old, err
	}
	v, err := s.Schedule.Get(ctx, old.Hospital, session)
	if err != nil {
		return old, err
	}
	who, err := s.whom(ctx, p, old.Hospital, old.Patient, v.Source)
	if err != nil {
		return old, err
	}
	rules, err := s.Settings(ctx, old.Hospital)
	if err != nil {
		return old, err
	}
	got := no
	err = s.change(ctx, old.Hospital, no, func(tx pgx.Tx, c change) error {
		a := c.a
		switch {
		case a.State != Held && a.State != Confirmed:
			return fmt.Errorf("%w: it is %s", clinic.ErrState, a.State)
		case a.Session == session:
			return fmt.Errorf("%w: it is in this session", clinic.ErrState)
		}
		if err := s.inTime(ctx, tx, a); err != nil {
			return err
		}
		var over, moving bool
		if err := tx.QueryRow(ctx, `select $1 and clock_timestamp() >= $2::timestamptz, exists (select from appointment.appointment where replaces = $3 and state = 'requested')`,
			c.o.State == order.Created, c.o.ExpiresAt, no).Scan(&over, &moving); err != nil {
			return err
		}
		switch {
		case over:
			return fmt.Errorf("%w: it was not paid in time", clinic.ErrState)
		case moving:
			return fmt.Errorf("%w: the hospital is being asked for another place instead of it; wait for its answer, or cancel that one", clinic.ErrState)
		}
		// Two sessions are held here and nowhere else, so one after the other.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('appointment reschedule ' || $1, 0))`, a.Hospital); err != nil {
			return err
		}
		w := want{hospital: a.Hospital, session: session, account: a.account, patient: a.Patient, channel: a.Channel, him: who, replaces: no}
		if a.State == Confirmed && a.Source == schedule.Platform && v.Source == schedule.Platform && v.Fee == a.Fee {
			return s.carry(ctx, tx, c, rules, w)
		}
		fresh, why, err := s.hold(ctx, tx, c.outbox, c.place, rules, w)
		switch {
		case err != nil:
			return err
		case why != "":
			return fmt.Errorf("%w: %s", clinic.ErrState, why)
		}
		got = fresh.No
		if fresh.State == Requested {
			return nil // the old one goes once the HIS has agreed
		}
		return s.giveUp(ctx, tx, c, Cancelled, "改约")
	})
	if err != nil {
		return old, err
	}
	return s.Own(ctx, p.Account, got)
}

// carry moves a paid appointment to another session.
func (s *Service) carry(ctx context.Context, tx pgx.Tx, c change, rules Settings, w want) error {
	why, err := s.mayNot(ctx, tx, c.place, rules, w)
	if err == nil && why != "" {
		err = fmt.Errorf("%w: %s", clinic.ErrState, why)
	}
	if err != nil {
		return err
	}
	v, err := s.Schedule.Hold(ctx, tx, w.hospital, w.session, w.channel)
	if err != nil {
		return err
	}
	if err := s.Schedule.Book(ctx, tx, w.hospital, w.session, w.channel); err != nil {
		return err
	}
	if err := s.Schedule.Let(ctx, tx, c.a.Hospital, c.a.Session, c.a.Channel, true); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update appointment.appointment set session = $2, doctor = $3, department = $4, day = $5::date, period = $6, starts = $7, ends = $8, substitute = $9,
		updated_at = clock_timestamp() where no = $1`, c.a.No, v.No, v.Doctor, v.Department, v.Day, v.Period, v.Starts, v.Ends, v.Substitute)
	if err == nil {
		s.tell(tx, c.a.account, news{Type: "appointment", No: c.a.No, State: string(c.a.State)})
	}
	return err
}

// CheckIn says that the patient is at the desk, on the day and before the session's end.
func (s *Service) CheckIn(ctx context.Context, hospital, no string) (Appointment, error) {
	return s.desk(ctx, "check in", hospital, no, func(tx pgx.Tx, c change) error {
		var today bool
		if err := tx.QueryRow(ctx, `select (clock_timestamp() at time zone $1)::date = $2::date and clock_timestamp() < $3`, c.place.Zone.String(), c.a.Day, c.a.Ends).Scan(&today); err != nil {
			return err
		}
		if c.a.State == Confirmed && !today {
			return fmt.Errorf("%w: it is on %s, until %s", clinic.ErrState, c.a.Day, c.a.Ends.In(c.place.Zone).Format("15:04"))
		}
		return s.move(ctx, tx, c.a, CheckedIn, "")
	})
}

// Finish says that the doctor has seen the patient.
func (s *Service) Finish(ctx context.Context, hospital, no string) (Appointment, error) {
	return s.desk(ctx, "finish appointment", hospital, no, func(tx pgx.Tx, c change) error { return s.move(ctx, tx, c.a, Done, "") })
}

func (s *Service) desk(ctx context.Context, doing, hospital, no string, f func(pgx.Tx, change) error) (Appointment, error) {
	if err := s.change(ctx, hospital, no, f); err != nil {
		return Appointment{}, fmt.Errorf("%s: %w", doing, err)
	}
	return s.Get(ctx, hospital, no)
}
