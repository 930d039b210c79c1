package core

import "time"

// Period is the part of a day that a clinic session covers.
type Period string

// Values of Period.
func (Period) Values() []string { return []string{"morning", "afternoon", "evening", "day"} }

// SlotLock holds a place of a clinic session until it is booked or the HIS lets
// it go by itself.
type SlotLock struct {
	OrderID        string    `json:"order_id" doc:"our order number; the business key" maxLength:"64"`
	PatientNo      string    `json:"patient_no" doc:"the HIS's number of the patient" maxLength:"64"`
	DepartmentCode string    `json:"department_code" maxLength:"64"`
	DoctorCode     string    `json:"doctor_code,omitempty" maxLength:"64"`
	ScheduleNo     string    `json:"schedule_no" doc:"the HIS's number of the clinic session" maxLength:"64"`
	SlotNo         string    `json:"slot_no,omitempty" doc:"the place in it, where the HIS has numbered ones" maxLength:"64"`
	Date           string    `json:"date" doc:"yyyy-MM-dd" maxLength:"10" example:"2026-01-05"`
	LockedAt       time.Time `json:"locked_at"`
}

func (l *SlotLock) Key() string  { return l.OrderID }
func (l *SlotLock) Lane() string { return l.OrderID }

// Validate implements Body.
func (l *SlotLock) Validate() error {
	var c check
	c.id("order_id", l.OrderID)
	c.id("patient_no", l.PatientNo)
	c.id("department_code", l.DepartmentCode)
	c.optional("doctor_code", l.DoctorCode, maxID)
	c.id("schedule_no", l.ScheduleNo)
	c.optional("slot_no", l.SlotNo, maxID)
	c.date("date", l.Date)
	c.time("locked_at", l.LockedAt)
	return c.OrNil()
}

// SlotRelease lets a locked place go.
type SlotRelease struct {
	OrderID    string    `json:"order_id" doc:"the order that locked it; the business key" maxLength:"64"`
	PatientNo  string    `json:"patient_no" maxLength:"64"`
	ScheduleNo string    `json:"schedule_no" maxLength:"64"`
	LockNo     string    `json:"lock_no,omitempty" doc:"the HIS's number of the lock, from its receipt" maxLength:"64"`
	Reason     string    `json:"reason,omitempty" personal:"text" maxLength:"200"`
	ReleasedAt time.Time `json:"released_at"`
}

func (r *SlotRelease) Key() string  { return r.OrderID }
func (r *SlotRelease) Lane() string { return r.OrderID }

// Validate implements Body.
func (r *SlotRelease) Validate() error {
	var c check
	c.id("order_id", r.OrderID)
	c.id("patient_no", r.PatientNo)
	c.id("schedule_no", r.ScheduleNo)
	c.optional("lock_no", r.LockNo, maxID)
	c.optional("reason", r.Reason, maxName)
	c.time("released_at", r.ReleasedAt)
	return c.OrNil()
}

// Appointment registers a patient for a clinic session (FHIR Appointment).
type Appointment struct {
	OrderID        string    `json:"order_id" doc:"our order number; the business key" maxLength:"64"`
	PatientNo      string    `json:"patient_no" maxLength:"64"`
	PatientName    string    `json:"patient_name" personal:"name" maxLength:"200"`
	DepartmentCode string    `json:"department_code" maxLength:"64"`
	DoctorCode     string    `json:"doctor_code,omitempty" maxLength:"64"`
	ScheduleNo     string    `json:"schedule_no" doc:"the HIS's number of the clinic session" maxLength:"64"`
	SlotNo         string    `json:"slot_no,omitempty" maxLength:"64"`
	LockNo         string    `json:"lock_no,omitempty" doc:"the HIS's number of the lock, where the place was locked first" maxLength:"64"`
	Date           string    `json:"date" doc:"yyyy-MM-dd" maxLength:"10" example:"2026-01-05"`
	Period         Period    `json:"period" enum:"morning,afternoon,evening,day"`
	Start          string    `json:"start,omitempty" doc:"HH:mm" maxLength:"5" example:"09:00"`
	End            string    `json:"end,omitempty" doc:"HH:mm" maxLength:"5" example:"09:15"`
	Fee            Fen       `json:"fee" doc:"fen; 0 where registration is free"`
	BookedAt       time.Time `json:"booked_at"`
}

func (a *Appointment) Key() string  { return a.OrderID }
func (a *Appointment) Lane() string { return a.OrderID }
func (a *Appointment) Total() Fen   { return a.Fee }

// Validate implements Body.
func (a *Appointment) Validate() error {
	var c check
	c.id("order_id", a.OrderID)
	c.id("patient_no", a.PatientNo)
	c.text("patient_name", a.PatientName, maxName)
	c.id("department_code", a.DepartmentCode)
	c.optional("doctor_code", a.DoctorCode, maxID)
	c.id("schedule_no", a.ScheduleNo)
	c.optional("slot_no", a.SlotNo, maxID)
	c.optional("lock_no", a.LockNo, maxID)
	c.date("date", a.Date)
	c.enum("period", string(a.Period), a.Period)
	c.clock("start", a.Start)
	c.clock("end", a.End)
	c.notNegative("fee", a.Fee)
	c.time("booked_at", a.BookedAt)
	return c.OrNil()
}

// AppointmentPayment tells that the registration fee was paid.
type AppointmentPayment struct {
	OrderID   string    `json:"order_id" doc:"the order of the appointment; the business key" maxLength:"64"`
	PatientNo string    `json:"patient_no" maxLength:"64"`
	HisNo     string    `json:"his_no,omitempty" doc:"the HIS's number of the appointment, from its receipt" maxLength:"64"`
	Amount    Fen       `json:"amount" doc:"fen, more than 0"`
	Channel   Channel   `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo string    `json:"channel_no" doc:"the channel's own transaction number" maxLength:"64"`
	PaidAt    time.Time `json:"paid_at" doc:"when the channel says the money came; nights go by this"`
}

func (p *AppointmentPayment) Key() string  { return p.OrderID }
func (p *AppointmentPayment) Lane() string { return p.OrderID }
func (p *AppointmentPayment) Total() Fen   { return p.Amount }

// Validate implements Body.
func (p *AppointmentPayment) Validate() error {
	var c check
	c.id("order_id", p.OrderID)
	c.id("patient_no", p.PatientNo)
	c.optional("his_no", p.HisNo, maxID)
	c.positive("amount", p.Amount)
	c.enum("channel", string(p.Channel), p.Channel)
	c.id("channel_no", p.ChannelNo)
	c.time("paid_at", p.PaidAt)
	return c.OrNil()
}

// AppointmentCancelling takes an appointment back; when it was paid, the money
// goes back with it.
type AppointmentCancelling struct {
	OrderID         string    `json:"order_id" doc:"the order of the appointment; the business key" maxLength:"64"`
	PatientNo       string    `json:"patient_no" maxLength:"64"`
	HisNo           string    `json:"his_no,omitempty" doc:"the HIS's number of the appointment" maxLength:"64"`
	RefundNo        string    `json:"refund_no,omitempty" doc:"our refund number; missing when it was not paid" maxLength:"64"`
	Amount          Fen       `json:"amount,omitempty" doc:"fen given back; 0 when it was not paid"`
	Channel         Channel   `json:"channel,omitempty" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo       string    `json:"channel_no,omitempty" doc:"the channel's number of the payment" maxLength:"64"`
	ChannelRefundNo string    `json:"channel_refund_no,omitempty" maxLength:"64"`
	Reason          string    `json:"reason" personal:"text" maxLength:"200"`
	OperatorCode    string    `json:"operator_code,omitempty" maxLength:"64"`
	CancelledAt     time.Time `json:"cancelled_at"`
}

func (a *AppointmentCancelling) Key() string  { return a.OrderID }
func (a *AppointmentCancelling) Lane() string { return a.OrderID }
func (a *AppointmentCancelling) Total() Fen   { return a.Amount }

// Validate implements Body.
func (a *AppointmentCancelling) Validate() error {
	var c check
	c.id("order_id", a.OrderID)
	c.id("patient_no", a.PatientNo)
	c.optional("his_no", a.HisNo, maxID)
	c.text("reason", a.Reason, maxName)
	c.optional("operator_code", a.OperatorCode, maxID)
	c.time("cancelled_at", a.CancelledAt)
	c.notNegative("amount", a.Amount)
	if a.Amount > 0 {
		c.id("refund_no", a.RefundNo)
		c.enum("channel", string(a.Channel), a.Channel)
		c.id("channel_no", a.ChannelNo)
		c.optional("channel_refund_no", a.ChannelRefundNo, maxID)
	}
	return c.OrNil()
}

// AppointmentQuery asks for one appointment.
type AppointmentQuery struct {
	OrderID    string `json:"order_id" maxLength:"64"`
	PatientNo  string `json:"patient_no,omitempty" maxLength:"64"`
	HisNo      string `json:"his_no,omitempty" maxLength:"64"`
	ScheduleNo string `json:"schedule_no,omitempty" maxLength:"64"`
	RefundNo   string `json:"refund_no,omitempty" maxLength:"64"`
}

func (q *AppointmentQuery) Key() string  { return q.OrderID }
func (q *AppointmentQuery) Lane() string { return q.OrderID }

// Validate implements Body.
func (q *AppointmentQuery) Validate() error {
	var c check
	c.id("order_id", q.OrderID)
	c.optional("patient_no", q.PatientNo, maxID)
	c.optional("his_no", q.HisNo, maxID)
	return c.OrNil()
}
