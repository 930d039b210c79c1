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
	"hishub/platform/schedule"
)

// What the HIS is told of an appointment is one lane, that of its order: it keeps the order.

func (s *Service) askForPlace(ctx context.Context, outbox core.Outbox, a Appointment) error {
	_, err := outbox.Enqueue(ctx, a.Hospital, core.Message{Kind: core.AppointmentLock, Body: &core.SlotLock{OrderID: a.Order, PatientNo: a.him.No, DepartmentCode: a.Department,
		DoctorCode: a.Doctor, ScheduleNo: a.hisSession, SlotNo: a.slotNo, Date: a.Day, LockedAt: time.Now()}})
	return err
}

// unlock lets the place go that the HIS holds, or will.
func (s *Service) unlock(ctx context.Context, c change) error {
	if !c.place.Can(core.AppointmentUnlock) {
		return nil // the HIS lets it go by itself
	}
	_, err := c.outbox.Enqueue(ctx, c.a.Hospital, core.Message{Kind: core.AppointmentUnlock, Body: &core.SlotRelease{OrderID: c.a.Order, PatientNo: c.a.him.No,
		ScheduleNo: c.a.hisSession, LockNo: c.a.lockNo, ReleasedAt: time.Now()}})
	return err
}

// tellPaid tells the HIS of a booked place, or the ledger of money that no HIS counts. Of
// the money the HIS is told once it has agreed to the booking: it wants its own number of it.
func (s *Service) tellPaid(ctx context.Context, tx pgx.Tx, c change, book string, p order.Payment) error {
	a := c.a
	if book == asking {
		zone := c.place.Zone
		_, err := c.outbox.Enqueue(ctx, a.Hospital, core.Message{Kind: core.AppointmentBook, Body: &core.Appointment{OrderID: c.o.No, PatientNo: a.him.No, PatientName: a.him.Name,
			DepartmentCode: a.Department, DoctorCode: a.Doctor, ScheduleNo: a.hisSession, SlotNo: a.slotNo, LockNo: a.lockNo, Date: a.Day, Period: a.Period,
			Start: a.Starts.In(zone).Format("15:04"), End: a.Ends.In(zone).Format("15:04"), Fee: c.o.Amount, BookedAt: p.At}})
		if err != nil {
			return err
		}
	}
	if p.Amount == 0 {
		return nil
	}
	if book == asking && c.place.Can(core.AppointmentPay) {
		_, err := tx.Exec(ctx, `update appointment.appointment set pay_state = $2, untold = true, pay_channel = $3, pay_channel_no = $4, paid_at = $5 where no = $1`,
			a.No, payWaits, p.Channel, p.ChannelNo, p.At)
		return err
	}
	return s.recordPaid(ctx, c, p)
}

func (s *Service) recordPaid(ctx context.Context, c change, p order.Payment) error {
	_, err := c.outbox.Enqueue(ctx, c.a.Hospital, core.Message{Kind: core.RecordMoney, Body: &core.LedgerRecord{
		Type: core.EntryPayment, Number: c.o.No, OrderID: c.o.No, Amount: p.Amount, Channel: p.Channel, ChannelNo: p.ChannelNo, At: p.At, Reason: "registration fee"}})
	return err
}

// pay tells the HIS of the money of a booking that it has agreed to.
func (s *Service) pay(ctx context.Context, tx pgx.Tx, c change) error {
	if c.a.payState != payWaits {
		return nil
	}
	if _, err := tx.Exec(ctx, `update appointment.appointment set pay_state = $2 where no = $1`, c.a.No, payTold); err != nil {
		return err
	}
	_, err := c.outbox.Enqueue(ctx, c.a.Hospital, core.Message{Kind: core.AppointmentPay, Body: &core.AppointmentPayment{OrderID: c.o.No, PatientNo: c.a.him.No, HisNo: c.a.HisNo,
		Amount: c.a.paid.Amount, Channel: c.a.paid.Channel, ChannelNo: c.a.paid.ChannelNo, PaidAt: c.a.paid.At}})
	return err
}

// payIntoLedger puts money into the ledger of the night of which the HIS was to be told,
// had the booking not been given up before it agreed.
func (s *Service) payIntoLedger(ctx context.Context, tx pgx.Tx, c change) error {
	if c.a.payState != payWaits {
		return nil
	}
	if _, err := tx.Exec(ctx, `update appointment.appointment set pay_state = $2, untold = false where no = $1`, c.a.No, payLedger); err != nil {
		return err
	}
	return s.recordPaid(ctx, c, c.a.paid)
}

// tellCancelled tells the HIS that an appointment is taken back, once; of one to which it
// has not agreed, when it does.
func (s *Service) tellCancelled(ctx context.Context, tx pgx.Tx, c change, m core.AppointmentCancelling) error {
	if c.a.cancelTold || !c.place.Can(core.AppointmentCancel) {
		return nil
	}
	if c.a.bookState == asking && m.Amount == 0 {
		_, err := tx.Exec(ctx, `update appointment.appointment set untold = true where no = $1`, c.a.No)
		return err
	}
	if _, err := tx.Exec(ctx, `update appointment.appointment set cancel_told = true where no = $1`, c.a.No); err != nil {
		return err
	}
	m.OrderID, m.PatientNo, m.HisNo = c.o.No, c.a.him.No, c.a.HisNo
	if m.Reason == "" {
		m.Reason = "取消预约"
	}
	if m.CancelledAt.IsZero() {
		m.CancelledAt = time.Now()
	}
	_, err := c.outbox.Enqueue(ctx, c.a.Hospital, core.Message{Kind: core.AppointmentCancel, Body: &m})
	return err
}

// Mine are the events of appointments that were made here, and what HIS say of sessions.
func (s *Service) Mine(ctx context.Context, tx pgx.Tx, events []core.Event) ([]core.Event, error) {
	return clinic.Known(ctx, tx, "appointment.appointment", "hospital", "order_no", events, core.AppointmentLock, core.AppointmentUnlock, core.AppointmentBook, core.AppointmentPay, core.AppointmentCancel)
}

// Take is the module's side of the inbox. It only writes down what was said: many events
// are one transaction, which must not hold orders and sessions. The job heed acts on it.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	if e.Type == "inbound."+core.EventType(core.ClinicStopped) {
		_, err := tx.Exec(ctx, `insert into appointment.notice (hospital, inbound) values ($1, $2) on conflict do nothing`, e.Hospital, e.Inbound)
		return err
	}
	if e.Inbound != 0 {
		return nil
	}
	var column, number string
	switch e.Kind {
	case core.AppointmentLock:
		column, number = "lock_state", "lock_no"
	case core.AppointmentBook, core.AppointmentPay:
		column, number = "book_state", "his_no"
	case core.AppointmentCancel:
		if e.Type == core.EventParked {
			_, err := tx.Exec(ctx, `update appointment.appointment set his_problem = $3 where hospital = $1 and order_no = $2`, e.Hospital, e.Key, e.Reason)
			return err
		}
		return nil
	default:
		return nil
	}
	said, hisNo, queueNo, problem := "", "", "", e.Reason
	switch {
	case e.Type == core.EventDelivered:
		if said = agreed; e.Kind == core.AppointmentPay {
			return nil // that the place is booked, the HIS has said before
		}
		if e.Receipt != nil {
			hisNo, queueNo = e.Receipt.HisNo, e.Receipt.QueueNo
		}
		problem = ""
	case e.Type == core.EventRefundNow && e.Kind == core.AppointmentPay:
		said = unpaid
	case e.Type == core.EventRefundNow, e.Type == core.EventParked && e.Class == core.Rejected && e.Kind != core.AppointmentPay, e.Type == core.EventParked && e.Kind == core.AppointmentLock:
		said = refused
	case e.Type == core.EventParked, e.Type == core.EventCancelled:
		// Nobody knows; a person looks. It stays unknown at the HIS.
	default:
		return nil
	}
	// What was agreed to is not refused by an older word; what was refused may be agreed to
	// later, when a person sent it again.
	_, err := tx.Exec(ctx, `update appointment.appointment set `+column+` = case when $3 = '' or `+column+` = 'unpaid' or $3 = 'refused' and `+column+` = 'agreed' then `+column+` else $3 end,
		`+number+` = coalesce(nullif($4, ''), `+number+`), queue_no = coalesce(nullif($5, ''), queue_no), his_problem = $6, due = due or $3 <> '' where hospital = $1 and order_no = $2 and `+column+` <> ''`,
		e.Hospital, e.Key, said, hisNo, queueNo, problem)
	return err
}

// heed acts on what HIS said, and on what one did not say in time.
func (s *Service) heed(ctx context.Context) error {
	return errors.Join(s.notices(ctx), s.each(ctx, `select hospital, no from appointment.appointment where due union
		select hospital, no from appointment.appointment where untold and book_state = 'agreed' union
		select hospital, no from appointment.appointment where state = 'requested' and lock_until <= clock_timestamp() limit 500`, s.heedOne))
}

func (s *Service) heedOne(ctx context.Context, tx pgx.Tx, c change) error {
	a := c.a
	var late bool
	if err := tx.QueryRow(ctx, `update appointment.appointment set due = false, untold = untold and book_state <> 'agreed' where no = $1 returning coalesce(lock_until <= clock_timestamp(), false)`, a.No).Scan(&late); err != nil {
		return err
	}
	switch {
	case a.State == Requested && a.lockState == agreed:
		return s.agreed(ctx, tx, c)
	case a.State == Requested && (a.lockState == refused || late):
		reason := "医院未同意该号源"
		return s.giveUp(ctx, tx, c, Rejected, reason)
	case a.State == Confirmed && (a.bookState == refused || a.bookState == unpaid):
		return s.giveUp(ctx, tx, c, Rejected, "医院系统未接受该预约")
	case (a.State == Confirmed || a.State == CheckedIn || a.State == Done || a.State == NoShow) && a.bookState == agreed:
		if err := s.Schedule.Agreed(ctx, tx, a.Hospital, a.Session, a.No); err != nil {
			return err
		}
		return s.pay(ctx, tx, c)
	case (a.State == Cancelled || a.State == Stopped) && a.bookState == agreed && a.untold:
		return s.tellCancelled(ctx, tx, c, core.AppointmentCancelling{Reason: a.Why})
	case a.State == Rejected && a.bookState == agreed:
		return s.tellCancelled(ctx, tx, c, core.AppointmentCancelling{Reason: "医院此前未接受，费用已退"})
	}
	return nil
}

// agreed: the HIS holds the place, which is to be paid from now on. The appointment that
// it replaces goes; where that one is gone, or its patient came, the place is wanted no more.
func (s *Service) agreed(ctx context.Context, tx pgx.Tx, c change) error {
	a := c.a
	var old change
	if a.replaces != "" {
		var err error
		if old, err = s.held(ctx, tx, a.Hospital, a.replaces); err != nil {
			return err
		}
		if old.a.State != Held && old.a.State != Confirmed {
			return s.giveUp(ctx, tx, c, Cancelled, "原预约已失效")
		}
		old.place, old.outbox = c.place, c.outbox
	}
	rules, err := s.settings(ctx, tx, a.Hospital)
	if err != nil {
		return err
	}
	if err := s.move(ctx, tx, a, Held, ""); err != nil {
		return err
	}
	var until time.Time
	if err := tx.QueryRow(ctx, `select clock_timestamp() + make_interval(mins => $1)`, rules.PayWithin).Scan(&until); err != nil {
		return err
	}
	if err := s.Orders.Extend(ctx, tx, a.Order, until); err != nil {
		return err
	}
	if err := s.answer(ctx, tx, `appointment = $5 and state = 'locking'`, Granted, "", a.No, a.No); err != nil || a.replaces == "" {
		return err
	}
	return s.giveUp(ctx, tx, old, Cancelled, "改约")
}

// each changes appointments one by one, each in a transaction of its own.
func (s *Service) each(ctx context.Context, query string, f func(context.Context, pgx.Tx, change) error, args ...any) error {
	rows, err := s.Database.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("look for appointments: %w", err)
	}
	type due struct{ Hospital, No string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
	if err != nil {
		return fmt.Errorf("look for appointments: %w", err)
	}
	var failed error
	for _, d := range all {
		err := s.change(ctx, d.Hospital, d.No, func(tx pgx.Tx, c change) error { return f(ctx, tx, c) })
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("appointment %s: %w", d.No, err))
		}
	}
	return failed
}

// notices stop the sessions that HIS said do not take place.
func (s *Service) notices(ctx context.Context) error {
	rows, err := s.Database.Query(ctx, `select hospital, inbound from appointment.notice where done_at is null order by created_at limit 50`)
	if err != nil {
		return fmt.Errorf("look for notices: %w", err)
	}
	type notice struct {
		Hospital string
		Inbound  int64
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[notice])
	if err != nil {
		return fmt.Errorf("look for notices: %w", err)
	}
	var failed error
	for _, n := range all {
		body, err := s.Heard(ctx, n.Inbound)
		if err == nil {
			stop, ok := body.(*core.ClinicStop)
			err = s.Transact(ctx, n.Hospital, func(tx pgx.Tx, _ core.Outbox) error {
				if _, err := tx.Exec(ctx, `update appointment.notice set done_at = clock_timestamp() where hospital = $1 and inbound = $2`, n.Hospital, n.Inbound); err != nil || !ok {
					return err
				}
				return s.stopFor(ctx, tx, n.Hospital, stop)
			})
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("notice %d of %s: %w", n.Inbound, n.Hospital, err))
		}
	}
	return failed
}

func (s *Service) stopFor(ctx context.Context, tx pgx.Tx, hospital string, n *core.ClinicStop) error {
	sessions, err := s.Schedule.Find(ctx, tx, hospital, n)
	if err != nil {
		return err
	}
	reason := n.Reason
	if reason == "" {
		reason = "医院通知停诊"
	}
	for _, v := range sessions {
		if err := s.stop(ctx, tx, hospital, v.No, 0, schedule.Stop{Substitute: n.Substitute, Reason: reason}); err != nil && !errors.Is(err, clinic.ErrState) {
			return err
		}
	}
	return nil
}
