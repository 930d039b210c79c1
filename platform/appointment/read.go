package appointment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

const columns = `no, hospital, session, doctor, department, day::text, period, starts, ends, substitute, source, patient, channel, fee, state, order_no, his_no, queue_no, created_at,
	account, his_session, slot_no, replaces, lock_state, lock_no, book_state, cancel_told, untold, pay_state, pay_channel, pay_channel_no, paid_at, his_problem, him, why`

func (s *Service) scan(row pgx.CollectableRow) (a Appointment, err error) {
	var sealed, why []byte
	var paidAt *time.Time
	if err := row.Scan(&a.No, &a.Hospital, &a.Session, &a.Doctor, &a.Department, &a.Day, &a.Period, &a.Starts, &a.Ends, &a.Substitute, &a.Source, &a.Patient, &a.Channel, &a.Fee,
		&a.State, &a.Order, &a.HisNo, &a.QueueNo, &a.Created, &a.account, &a.hisSession, &a.slotNo, &a.replaces, &a.lockState, &a.lockNo, &a.bookState, &a.cancelTold,
		&a.untold, &a.payState, &a.paid.Channel, &a.paid.ChannelNo, &paidAt, &a.hisProblem, &sealed, &why); err != nil {
		return a, err
	}
	if paidAt != nil {
		a.paid.Amount, a.paid.At = a.Fee, *paidAt
	}
	if a.him, err = s.openHim(sealed, a.No); err != nil {
		return a, err
	}
	if why != nil {
		text, err := s.Vault.Open(why, "appointment why", a.No)
		if err != nil {
			return a, fmt.Errorf("read appointment %s: %w", a.No, err)
		}
		a.Why = string(text)
	}
	a.UnknownAtHIS = a.bookState != "" && a.bookState != agreed && (a.State == Confirmed || a.State == CheckedIn)
	return a, nil
}

func (s *Service) one(ctx context.Context, q order.Querier, where string, args ...any) (Appointment, error) {
	rows, err := q.Query(ctx, `select `+columns+` from appointment.appointment where `+where, args...)
	if err != nil {
		return Appointment{}, fmt.Errorf("read appointment: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, s.scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, clinic.ErrNotFound
	}
	return a, err
}

func (s *Service) many(ctx context.Context, where string, args ...any) ([]Appointment, error) {
	rows, err := s.Database.Query(ctx, `select `+columns+` from appointment.appointment where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list appointments: %w", err)
	}
	all, err := pgx.CollectRows(rows, s.scan)
	for i := range all {
		if err == nil {
			all[i], err = s.now(ctx, all[i])
		}
	}
	return all, err
}

// now is the appointment as its order says: one that is being paid, or whose time is over.
func (s *Service) now(ctx context.Context, a Appointment) (Appointment, error) {
	if a.State != Held {
		return a, nil
	}
	o, err := s.Orders.Get(ctx, a.Order)
	if err != nil {
		return a, err
	}
	a.PayUntil = &o.ExpiresAt
	switch {
	case o.State == order.Paying:
		a.State = Paying
	case o.State == order.Created && !time.Now().Before(o.ExpiresAt):
		a.State = Expired
	}
	return a, nil
}

// Get an appointment; clinic.ErrNotFound when the hospital has none of that number.
func (s *Service) Get(ctx context.Context, hospital, no string) (Appointment, error) {
	a, err := s.one(ctx, s.Database, `hospital = $1 and no = $2`, hospital, no)
	if err != nil {
		return a, err
	}
	return s.now(ctx, a)
}

// Own is an appointment of an account's own; another's does not exist for it.
func (s *Service) Own(ctx context.Context, account int64, no string) (Appointment, error) {
	a, err := s.one(ctx, s.Database, `account = $1 and no = $2`, account, no)
	if err != nil {
		return a, err
	}
	return s.now(ctx, a)
}

// OfAccount are an account's appointments, newest first; before is the last number of the
// page before.
func (s *Service) OfAccount(ctx context.Context, account int64, before string, limit int) ([]Appointment, error) {
	return s.many(ctx, `account = $1 and ($2 = '' or (created_at, no) < (select created_at, no from appointment.appointment where no = $2 and account = $1))
		order by created_at desc, no desc limit $3`, account, before, limit)
}

// OfSession are the appointments of a session in the order in which they were made.
func (s *Service) OfSession(ctx context.Context, hospital, session string) ([]Appointment, error) {
	return s.many(ctx, `hospital = $1 and session = $2 and state in ('held', 'confirmed', 'checked_in', 'done', 'no_show') order by created_at, no limit 500`, hospital, session)
}

// lock reads an appointment as it is kept, and holds it until tx ends.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, no string) (Appointment, error) {
	return s.one(ctx, tx, `hospital = $1 and no = $2 for update`, hospital, no)
}

// change holds the order, then the appointment, and changes it.
func (s *Service) change(ctx context.Context, hospital, no string, f func(pgx.Tx, change) error) error {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return err
	}
	return s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		c, err := s.held(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		c.place, c.outbox = place, outbox
		return f(tx, c)
	})
}

// change is an appointment and its order while both are held.
type change struct {
	place  clinic.Place
	outbox core.Outbox
	a      Appointment
	o      order.Order
}

// held locks an appointment's order, then the appointment.
func (s *Service) held(ctx context.Context, tx pgx.Tx, hospital, no string) (c change, err error) {
	a, err := s.one(ctx, tx, `hospital = $1 and no = $2`, hospital, no)
	if err != nil {
		return c, err
	}
	if c.o, err = s.Orders.Lock(ctx, tx, a.Order); err != nil {
		return c, err
	}
	c.a, err = s.lock(ctx, tx, hospital, no)
	return c, err
}
