package certify

import (
	"hishub/core"
	"hishub/core/delivery"
)

// takeBack takes back what the run made at the HIS, the last first, and lists what
// stays.
func (r *run) takeBack() {
	taken := r.taken()
	all := r.made
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		if final(m.kind) || taken[m.mark()] {
			continue
		}
		kind, body := r.undoing(m)
		if body == nil || r.hospital.Operations[kind] == nil || r.withoutMoney(kind) {
			r.left(m, text{"配置中没有可以撤销它的交易", "the folder has nothing that takes it back"})
			continue
		}
		if err := body.Validate(); err != nil {
			r.left(m, text{"无法生成撤销报文", "no message that takes it back can be made"})
			continue
		}
		sent := r.send(kind, body, watch{})
		if sent.last.State != delivery.Delivered {
			r.left(m, text{"撤销未成功：" + ended(sent), "taking it back failed: " + ended(sent)})
			continue
		}
		taken[m.mark()] = true
		for _, mark := range r.made[len(r.made)-1].takes() {
			taken[mark] = true
		}
	}
	for _, m := range r.unclear {
		if m.last.Class == core.InDoubt || m.last.State != delivery.Parked && m.last.State != delivery.Cancelled {
			r.left(&made{kind: m.Kind, body: m.Body, receipt: m.last.Receipt}, text{"不清楚 HIS 是否受理：" + ended(m), "it is not known whether the HIS has it: " + ended(m)})
		}
	}
}

// final is what leaves nothing behind that could be taken back: it takes back itself.
func final(kind core.Kind) bool {
	switch kind {
	case core.RefundCreate, core.PrescriptionVoid, core.OrderCancel, core.AppointmentUnlock, core.AppointmentCancel, core.DispenseReport:
		return true
	}
	return false
}

func (r *run) left(m *made, why text) {
	r.cert.Left = append(r.cert.Left, Left{Kind: m.kind, Number: m.body.Key(), HisNo: m.hisNo(), Why: why.in(r.Lang)})
}

func (m *made) mark() string { return string(m.kind) + " " + m.body.Key() }

// takes are the marks of what a message takes back, or takes over.
func (m *made) takes() []string {
	switch b := m.body.(type) {
	case *core.Refund:
		return []string{string(core.PaymentSettle) + " " + b.OrderID}
	case *core.PrescriptionVoiding:
		return []string{string(core.PrescriptionCreate) + " " + b.No}
	case *core.OrderCancelling:
		return []string{string(core.OrderCreate) + " " + b.No}
	case *core.SlotRelease:
		return []string{string(core.AppointmentLock) + " " + b.OrderID}
	case *core.Appointment:
		return []string{string(core.AppointmentLock) + " " + b.OrderID}
	case *core.AppointmentCancelling:
		return []string{string(core.AppointmentBook) + " " + b.OrderID, string(core.AppointmentPay) + " " + b.OrderID, string(core.AppointmentLock) + " " + b.OrderID}
	}
	return nil
}

func (r *run) taken() map[string]bool {
	all := map[string]bool{}
	for _, m := range r.made {
		for _, mark := range m.takes() {
			all[mark] = true
		}
	}
	return all
}

// undoing makes the message that takes one back; nil if there is none.
func (r *run) undoing(m *made) (core.Kind, core.Body) {
	template := func(kind core.Kind) core.Body {
		if b, err := r.of(kind); err == nil && b != nil {
			b = copyOf(b)
			bringUp(b, r.now, r.hospital.Zone)
			return b
		}
		return nil
	}
	switch of := m.body.(type) {
	case *core.Payment:
		if b, ok := template(core.RefundCreate).(*core.Refund); ok {
			fill(b, m)
			b.RefundNo, b.ChannelRefundNo = r.numbers.like(b.RefundNo), r.numbers.like(b.ChannelRefundNo)
			return core.RefundCreate, b
		}
	case *core.Prescription:
		if b, ok := template(core.PrescriptionVoid).(*core.PrescriptionVoiding); ok {
			b.No, b.VisitNo, b.PatientNo, b.HisNo = of.No, of.VisitNo, of.PatientNo, m.hisNo()
			return core.PrescriptionVoid, b
		}
	case *core.Order:
		if b, ok := template(core.OrderCancel).(*core.OrderCancelling); ok {
			b.No, b.VisitNo, b.PatientNo, b.HisNo = of.No, of.VisitNo, of.PatientNo, m.hisNo()
			return core.OrderCancel, b
		}
	case *core.SlotLock:
		if b, ok := template(core.AppointmentUnlock).(*core.SlotRelease); ok {
			b.OrderID, b.PatientNo, b.ScheduleNo, b.LockNo = of.OrderID, of.PatientNo, of.ScheduleNo, m.hisNo()
			return core.AppointmentUnlock, b
		}
	case *core.Appointment:
		if b, ok := template(core.AppointmentCancel).(*core.AppointmentCancelling); ok {
			cancelUnpaid(b, of, m.hisNo())
			return core.AppointmentCancel, b
		}
	case *core.AppointmentPayment:
		if b, ok := template(core.AppointmentCancel).(*core.AppointmentCancelling); ok {
			r.cancelPaid(b, of)
			return core.AppointmentCancel, b
		}
	}
	return "", nil
}
