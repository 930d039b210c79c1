package appointment

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/schedule"
)

var (
	_ order.Subject = (*Service)(nil)
	_ order.Ender   = (*Service)(nil)
)

// Price implements order.Subject: the session's fee now, asked where the HIS has it.
func (s *Service) Price(ctx context.Context, o order.Order) ([]order.Line, error) {
	a, err := s.one(ctx, s.Database, `hospital = $1 and no = $2`, o.Hospital, o.Subject)
	if err != nil {
		return nil, err
	}
	if a.State != Held {
		return nil, fmt.Errorf("%w: the appointment is %s", clinic.ErrState, a.State)
	}
	if a.Source == schedule.HIS {
		if _, err := s.Schedule.Sessions(ctx, a.Hospital, schedule.Filter{Department: a.Department, Doctor: a.Doctor, From: a.Day, To: a.Day}); err != nil {
			return nil, err
		}
	}
	v, err := s.Schedule.Get(ctx, a.Hospital, a.Session)
	if err == nil && v.Stopped {
		err = schedule.ErrStopped
	}
	return lines(v.Fee), err
}

// Paid implements order.Subject: the place is booked, and the HIS told where it counts.
func (s *Service) Paid(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, p order.Payment) error {
	a, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	place, err := s.Place(ctx, o.Hospital)
	if err != nil {
		return err
	}
	c := change{place: place, outbox: outbox, a: a, o: o}
	book := ""
	if a.Source == schedule.HIS && place.Can(core.AppointmentBook) {
		book = asking
	}
	if err := s.move(ctx, tx, a, Confirmed, `order_no = $3, fee = $4, book_state = $5`, o.No, o.Amount, book); err != nil {
		return err
	}
	if err := s.Schedule.Book(ctx, tx, a.Hospital, a.Session, a.Channel); err != nil {
		return err
	}
	if a.Source == schedule.HIS {
		if err := s.Schedule.OnWay(ctx, tx, a.Hospital, a.Session, a.No); err != nil {
			return err
		}
	}
	return s.tellPaid(ctx, tx, c, book, p)
}

// Closed implements order.Subject: nobody paid in time, or the patient took the order back.
func (s *Service) Closed(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order) error {
	a, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil || a.State != Held && a.State != Requested {
		return err // given up, and the order closed for that
	}
	place, err := s.Place(ctx, o.Hospital)
	if err != nil {
		return err
	}
	var late bool
	if err := tx.QueryRow(ctx, `select clock_timestamp() >= $1::timestamptz`, o.ExpiresAt).Scan(&late); err != nil {
		return err
	}
	to := Cancelled
	if late && a.State == Held {
		to = Expired
	}
	if err := s.move(ctx, tx, a, to, ""); err != nil {
		return err
	}
	return s.let(ctx, tx, change{place: place, outbox: outbox, a: a, o: o}, to)
}

// Refunded implements order.Subject. When all of it goes back the place is free, unless
// the patient came. A part that goes back changes nothing of the appointment.
func (s *Service) Refunded(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, r order.Refund) error {
	a, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	if r.ByPatient {
		if err := s.patientMay(ctx, tx, a, o, r); err != nil {
			return err
		}
	}
	switch {
	case o.Refunded+r.Amount < o.Amount, a.State != Confirmed && a.State != CheckedIn:
		return nil
	case a.State == CheckedIn && !r.ByWindow:
		return fmt.Errorf("%w: the patient was checked in", clinic.ErrRule)
	case a.State == CheckedIn:
		return nil
	}
	place, err := s.Place(ctx, o.Hospital)
	if err != nil {
		return err
	}
	why, err := s.Vault.Seal([]byte(r.Reason), "appointment why", a.No)
	if err != nil {
		return err
	}
	if err := s.move(ctx, tx, a, Cancelled, `why = $3`, why); err != nil {
		return err
	}
	return s.let(ctx, tx, change{place: place, outbox: outbox, a: a, o: o}, Cancelled)
}

// patientMay: on his own word a patient has back what cancelling gives him, which is all of it,
// as long as he may cancel.
func (s *Service) patientMay(ctx context.Context, tx pgx.Tx, a Appointment, o order.Order, r order.Refund) error {
	switch {
	case a.State != Confirmed:
		return fmt.Errorf("%w: the appointment is %s; the hospital decides", clinic.ErrRule, a.State)
	case o.Refunded+r.Amount < o.Amount:
		return fmt.Errorf("%w: an appointment goes back as a whole; the hospital decides about a part", clinic.ErrRule)
	}
	return s.inTime(ctx, tx, a)
}

// Ended implements order.Ender: the place was let go.
func (s *Service) Ended(ctx context.Context, tx pgx.Tx, o order.Order) (bool, error) {
	a, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	return a.State == Cancelled || a.State == Stopped || a.State == Rejected, err
}

// Returned implements order.Subject: the HIS hears that the appointment is taken back,
// with the money; of money that it does not know the ledger hears.
func (s *Service) Returned(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, r order.Refund, b order.Back) error {
	a, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	place, err := s.Place(ctx, o.Hospital)
	if err != nil {
		return err
	}
	c := change{place: place, outbox: outbox, a: a, o: o}
	knows := (a.State == Cancelled || a.State == Stopped) && (a.bookState == asking || a.bookState == agreed)
	knowsMoney := knows && a.payState != payWaits && a.payState != payLedger
	if knowsMoney && !a.cancelTold && r.Amount == o.Amount && place.Can(core.AppointmentCancel) && place.Can(core.AppointmentPay) {
		return s.tellCancelled(ctx, tx, c, core.AppointmentCancelling{RefundNo: r.No, Amount: r.Amount, Channel: b.Payment.Channel, ChannelNo: b.Payment.ChannelNo,
			ChannelRefundNo: b.ChannelRefundNo, Reason: r.Reason, CancelledAt: b.At})
	}
	_, err = outbox.Enqueue(ctx, o.Hospital, core.Message{Kind: core.RecordMoney, Body: &core.LedgerRecord{
		Type: core.EntryRefund, Number: r.No, OrderID: o.No, Amount: r.Amount, Channel: b.Payment.Channel, ChannelNo: b.ChannelRefundNo, At: b.At, Reason: "registration fee"}})
	if err == nil && knows && o.Refunded == o.Amount {
		// The HIS does not know the money, but it has the place.
		err = s.tellCancelled(ctx, tx, c, core.AppointmentCancelling{Reason: r.Reason})
	}
	return err
}
