package certify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"hishub/core"
)

// errNone: there is no message to begin with.
type errNone struct{ kind core.Kind }

func (e errNone) Error() string {
	return fmt.Sprintf("no message of %s: add a case whose outcome is ok, or --messages with %s.json", e.kind, e.kind)
}

// errMoney: it needs a message that moves money.
var errMoney = errors.New("money is not moved at this endpoint; say --with-money")

// fresh makes a message with a number that nobody used, and has the HIS told what
// must be there before: a payment has bills, a refund has a payment.
func (r *run) fresh(kind core.Kind) (core.Body, error) {
	if r.withoutMoney(kind) {
		return nil, errMoney
	}
	if err := r.closedKind(kind); err != nil {
		return nil, err
	}
	template, err := r.of(kind)
	if err != nil {
		return nil, err
	}
	if template == nil {
		return nil, errNone{kind}
	}
	body := copyOf(template)
	bringUp(body, r.now, r.hospital.Zone)
	if err := r.renew(body); err != nil {
		return nil, err
	}
	if err := body.Validate(); err != nil {
		return nil, fmt.Errorf("%s made from its template: %w", kind, err)
	}
	return body, nil
}

func (r *run) renew(body core.Body) error {
	switch b := body.(type) {
	case *core.Patient:
		b.PersonID = r.numbers.like(b.PersonID)
		// Another person needs another document, and identity cards have a check digit.
		b.IDType, b.IDNo = "passport", r.numbers.like("T00000000")
	case *core.Prescription:
		b.No = r.numbers.like(b.No)
	case *core.PrescriptionVoiding:
		p, err := r.needed(core.PrescriptionCreate)
		if err != nil {
			return err
		}
		of := p.body.(*core.Prescription)
		b.No, b.VisitNo, b.PatientNo, b.HisNo = of.No, of.VisitNo, of.PatientNo, p.hisNo()
	case *core.Dispense:
		p, err := r.needed(core.PrescriptionCreate)
		if err != nil {
			return err
		}
		of := p.body.(*core.Prescription)
		b.No, b.VisitNo, b.PatientNo, b.HisNo = of.No, of.VisitNo, of.PatientNo, p.hisNo()
	case *core.Order:
		b.No = r.numbers.like(b.No)
	case *core.OrderCancelling:
		p, err := r.needed(core.OrderCreate)
		if err != nil {
			return err
		}
		of := p.body.(*core.Order)
		b.No, b.VisitNo, b.PatientNo, b.HisNo = of.No, of.VisitNo, of.PatientNo, p.hisNo()
	case *core.Payment:
		return r.renewPayment(b)
	case *core.Refund:
		p, err := r.needed(core.PaymentSettle)
		if err != nil {
			return err
		}
		fill(b, p)
		b.RefundNo, b.ChannelRefundNo = r.numbers.like(b.RefundNo), r.numbers.like(b.ChannelRefundNo)
	case *core.Invoice:
		p, err := r.needed(core.PaymentSettle)
		if err != nil {
			return err
		}
		of := p.body.(*core.Payment)
		b.OrderID, b.VisitNo, b.PatientNo, b.HisNo, b.Amount = of.OrderID, of.VisitNo, of.PatientNo, p.hisNo(), of.Amount
	default:
		return r.renewAppointment(body)
	}
	return nil
}

// renewPayment pays a new prescription, by the number that the HIS's own bill has.
func (r *run) renewPayment(b *core.Payment) error {
	b.OrderID, b.ChannelNo = r.numbers.like(b.OrderID), r.numbers.like(b.ChannelNo)
	if r.hospital.Operations[core.PrescriptionCreate] == nil {
		for i := range b.Bills {
			b.Bills[i] = r.numbers.like(b.Bills[i])
		}
		return nil
	}
	p, err := r.needed(core.PrescriptionCreate)
	if err != nil {
		return err
	}
	of := p.body.(*core.Prescription)
	b.VisitNo, b.PatientNo, b.PatientName, b.Amount = of.VisitNo, of.PatientNo, of.PatientName, of.Amount
	b.Bills = []string{of.No}
	if p.hisNo() != "" {
		b.Bills = []string{p.hisNo()}
	}
	if r.hospital.Operations[core.BillUnpaid] == nil {
		return nil
	}
	bills, _ := r.ask(core.BillUnpaid, &core.BillQuery{VisitNo: of.VisitNo, PatientNo: of.PatientNo}).Verdict.Answer.(*core.Bills)
	if bills == nil {
		return nil
	}
	if i := slices.IndexFunc(bills.Bills, func(x core.Bill) bool {
		return x.PrescriptionNo == of.No || x.BillNo == of.No || p.hisNo() != "" && x.BillNo == p.hisNo()
	}); i >= 0 {
		b.Bills, b.Amount = []string{bills.Bills[i].BillNo}, bills.Bills[i].Amount
	}
	return nil
}

// renewAppointment takes a place that the HIS offers, where it can be asked.
func (r *run) renewAppointment(body core.Body) error {
	switch b := body.(type) {
	case *core.SlotLock:
		b.OrderID = r.numbers.like(b.OrderID)
		if s, ok := r.offered(); ok {
			b.DepartmentCode, b.DoctorCode, b.ScheduleNo, b.SlotNo, b.Date = s.DepartmentCode, s.DoctorCode, s.ScheduleNo, s.SlotNo, s.Date
		}
	case *core.SlotRelease:
		p, err := r.needed(core.AppointmentLock)
		if err != nil {
			return err
		}
		of := p.body.(*core.SlotLock)
		b.OrderID, b.PatientNo, b.ScheduleNo, b.LockNo = of.OrderID, of.PatientNo, of.ScheduleNo, p.hisNo()
	case *core.Appointment:
		return r.renewBooking(b)
	case *core.AppointmentPayment:
		p, err := r.needed(core.AppointmentBook)
		if err != nil {
			return err
		}
		of := p.body.(*core.Appointment)
		b.OrderID, b.PatientNo, b.HisNo, b.ChannelNo = of.OrderID, of.PatientNo, p.hisNo(), r.numbers.like(b.ChannelNo)
		if of.Fee > 0 {
			b.Amount = of.Fee
		}
	case *core.AppointmentCancelling:
		return r.renewCancelling(b)
	}
	return nil
}

func (r *run) renewBooking(b *core.Appointment) error {
	b.OrderID, b.LockNo = r.numbers.like(b.OrderID), ""
	if r.hospital.Operations[core.AppointmentLock] != nil {
		if p, err := r.needed(core.AppointmentLock); err == nil {
			of := p.body.(*core.SlotLock)
			b.OrderID, b.PatientNo, b.LockNo = of.OrderID, of.PatientNo, p.hisNo()
			b.DepartmentCode, b.DoctorCode, b.ScheduleNo, b.SlotNo, b.Date = of.DepartmentCode, of.DoctorCode, of.ScheduleNo, of.SlotNo, of.Date
			for _, s := range r.schedules {
				if s.ScheduleNo == of.ScheduleNo {
					b.Fee = s.Fee
					b.Period, b.Start, b.End = or(s.Period, b.Period), or(s.Start, b.Start), or(s.End, b.End)
				}
			}
			return nil
		}
	}
	if s, ok := r.offered(); ok {
		b.DepartmentCode, b.DoctorCode, b.ScheduleNo, b.SlotNo, b.Date, b.Fee = s.DepartmentCode, s.DoctorCode, s.ScheduleNo, s.SlotNo, s.Date, s.Fee
		b.Period, b.Start, b.End = or(s.Period, b.Period), or(s.Start, b.Start), or(s.End, b.End)
	}
	return nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// renewCancelling cancels a new appointment, with its money where it may be paid.
func (r *run) renewCancelling(b *core.AppointmentCancelling) error {
	if r.hospital.Operations[core.AppointmentPay] != nil {
		p, err := r.needed(core.AppointmentPay)
		if err != nil {
			return err
		}
		r.cancelPaid(b, p.body.(*core.AppointmentPayment))
		return nil
	}
	p, err := r.needed(core.AppointmentBook)
	if err != nil {
		return err
	}
	cancelUnpaid(b, p.body.(*core.Appointment), p.hisNo())
	return nil
}

func (r *run) cancelPaid(b *core.AppointmentCancelling, of *core.AppointmentPayment) {
	b.OrderID, b.PatientNo, b.HisNo, b.Amount, b.Channel, b.ChannelNo = of.OrderID, of.PatientNo, of.HisNo, of.Amount, of.Channel, of.ChannelNo
	b.RefundNo, b.ChannelRefundNo = r.numbers.like(or(b.RefundNo, "R00000000000")), r.numbers.like(or(b.ChannelRefundNo, "5000000000000000"))
}

func cancelUnpaid(b *core.AppointmentCancelling, of *core.Appointment, hisNo string) {
	b.OrderID, b.PatientNo, b.HisNo = of.OrderID, of.PatientNo, hisNo
	b.RefundNo, b.Amount, b.Channel, b.ChannelNo, b.ChannelRefundNo = "", 0, "", "", ""
}

// offered is the next place of those that the HIS offers.
func (r *run) offered() (core.Schedule, bool) {
	if r.schedules == nil && r.hospital.Operations[core.ScheduleList] != nil {
		from := r.now.In(r.hospital.Zone)
		for _, q := range []*core.DictionaryQuery{{}, {From: from.Format(time.DateOnly), To: from.AddDate(0, 0, 7).Format(time.DateOnly)}} {
			all, _ := r.ask(core.ScheduleList, q).Verdict.Answer.(*core.Schedules)
			if all == nil {
				continue
			}
			for _, s := range all.Schedules {
				if !s.Stopped && s.Remaining != "0" {
					r.schedules = append(r.schedules, s)
				}
			}
			if len(r.schedules) > 0 {
				break
			}
		}
	}
	if len(r.schedules) == 0 {
		return core.Schedule{}, false
	}
	r.place++
	return r.schedules[r.place%len(r.schedules)], true
}

func (m *made) hisNo() string {
	if m.receipt == nil {
		return ""
	}
	return m.receipt.HisNo
}

// fill makes a refund that of a whole payment.
func fill(b *core.Refund, p *made) {
	of := p.body.(*core.Payment)
	b.OrderID, b.VisitNo, b.PatientNo, b.HisNo = of.OrderID, of.VisitNo, of.PatientNo, p.hisNo()
	b.Amount, b.Paid, b.Channel, b.ChannelNo = of.Amount, of.Amount, of.Channel, of.ChannelNo
	b.Lines, b.Reversal = nil, false
}
