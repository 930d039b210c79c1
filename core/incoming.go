package core

import (
	"fmt"
	"time"
)

// The bodies below are what a HIS tells or asks us. Key is the HIS's own number
// of the fact where it has one: the same fact again gets the same answer.

// WindowRefund asks us to give money back that a cashier refunded at the
// hospital's window, or for drugs that were out of stock.
type WindowRefund struct {
	HisRefundNo string    `json:"his_refund_no" doc:"the HIS's number of the refund; the business key" maxLength:"64"`
	OrderID     string    `json:"order_id,omitempty" doc:"our order number, where the HIS keeps it" maxLength:"64"`
	ChannelNo   string    `json:"channel_no,omitempty" doc:"the channel's number of the payment, where it keeps only that" maxLength:"64"`
	HisNo       string    `json:"his_no,omitempty" doc:"the HIS's number of the payment" maxLength:"64"`
	Amount      Fen       `json:"amount" doc:"fen, more than 0"`
	Reversal    bool      `json:"reversal,omitempty" doc:"takes back a booking that nobody paid; left out of nights"`
	Reason      string    `json:"reason,omitempty" personal:"text" maxLength:"200"`
	Cashier     string    `json:"cashier,omitempty" maxLength:"64"`
	At          time.Time `json:"at,omitzero"`
	// Lines that go back, where the HIS names them; empty is a part of the whole.
	Lines []RefundLine `json:"lines,omitempty" maxItems:"100"`
}

func (r *WindowRefund) Key() string  { return r.HisRefundNo }
func (r *WindowRefund) Lane() string { return lane(r.OrderID, r.HisRefundNo) }
func (r *WindowRefund) Total() Fen   { return r.Amount }

// Validate implements Body.
func (r *WindowRefund) Validate() error {
	var c check
	c.id("his_refund_no", r.HisRefundNo)
	c.optional("order_id", r.OrderID, maxID)
	c.optional("channel_no", r.ChannelNo, maxID)
	c.optional("his_no", r.HisNo, maxID)
	if r.OrderID == "" && r.ChannelNo == "" && r.HisNo == "" {
		c.problem("order_id", "missing, and so are channel_no and his_no: which payment is it?")
	}
	c.positive("amount", r.Amount)
	c.optional("reason", r.Reason, maxName)
	c.optional("cashier", r.Cashier, maxID)
	c.count("lines", len(r.Lines), 0, maxLines)
	var sum Fen
	for i, l := range r.Lines {
		at := fmt.Sprintf("lines[%d].", i)
		c.optional(at+"bill_no", l.BillNo, maxID)
		c.id(at+"line_no", l.LineNo)
		c.positive(at+"amount", l.Amount)
		sum += l.Amount
	}
	if len(r.Lines) > 0 {
		c.sum("amount", sum, r.Amount)
	}
	return c.OrNil()
}

// WindowRefundQuery asks what became of a WindowRefund.
type WindowRefundQuery struct {
	HisRefundNo string `json:"his_refund_no" maxLength:"64"`
	OrderID     string `json:"order_id,omitempty" maxLength:"64"`
}

func (q *WindowRefundQuery) Key() string  { return q.HisRefundNo }
func (q *WindowRefundQuery) Lane() string { return lane(q.OrderID, q.HisRefundNo) }

// Validate implements Body.
func (q *WindowRefundQuery) Validate() error {
	var c check
	c.id("his_refund_no", q.HisRefundNo)
	c.optional("order_id", q.OrderID, maxID)
	return c.OrNil()
}

// ClinicStop tells that a clinic session does not take place, or that another
// doctor takes it.
type ClinicStop struct {
	StopNo         string    `json:"stop_no" doc:"the HIS's number of the notice, or what makes it unique; the business key" maxLength:"64"`
	ScheduleNo     string    `json:"schedule_no,omitempty" maxLength:"64"`
	DepartmentCode string    `json:"department_code" maxLength:"64"`
	DoctorCode     string    `json:"doctor_code,omitempty" maxLength:"64"`
	Date           string    `json:"date" doc:"yyyy-MM-dd" maxLength:"10"`
	Period         Period    `json:"period,omitempty" enum:"morning,afternoon,evening,day"`
	Substitute     string    `json:"substitute,omitempty" doc:"code of the doctor who takes it; missing: nobody does" maxLength:"64"`
	Reason         string    `json:"reason,omitempty" personal:"text" maxLength:"200"`
	At             time.Time `json:"at,omitzero"`
}

func (s *ClinicStop) Key() string  { return s.StopNo }
func (s *ClinicStop) Lane() string { return s.StopNo }

// Validate implements Body.
func (s *ClinicStop) Validate() error {
	var c check
	c.id("stop_no", s.StopNo)
	c.optional("schedule_no", s.ScheduleNo, maxID)
	c.id("department_code", s.DepartmentCode)
	c.optional("doctor_code", s.DoctorCode, maxID)
	c.date("date", s.Date)
	c.optional("substitute", s.Substitute, maxID)
	c.optional("reason", s.Reason, maxName)
	return c.OrNil()
}

// DispenseNotice tells that the hospital's pharmacy handed drugs out, or took
// them back.
type DispenseNotice struct {
	No       string    `json:"no" doc:"our prescription number" maxLength:"64"`
	HisNo    string    `json:"his_no,omitempty" maxLength:"64"`
	Returned bool      `json:"returned,omitempty"`
	Operator string    `json:"operator,omitempty" maxLength:"64"`
	At       time.Time `json:"at,omitzero"`
}

// Key is the prescription and what happened: each is told once.
func (d *DispenseNotice) Key() string {
	if d.Returned {
		return d.No + "/returned"
	}
	return d.No + "/dispensed"
}
func (d *DispenseNotice) Lane() string { return d.No }

// Validate implements Body.
func (d *DispenseNotice) Validate() error {
	var c check
	c.id("no", d.No)
	c.optional("his_no", d.HisNo, maxID)
	c.optional("operator", d.Operator, maxID)
	return c.OrNil()
}

// ReviewNotice tells what the hospital's own pharmacist decided.
type ReviewNotice struct {
	No         string    `json:"no" doc:"our prescription number; the business key" maxLength:"64"`
	HisNo      string    `json:"his_no,omitempty" maxLength:"64"`
	Approved   bool      `json:"approved"`
	Pharmacist string    `json:"pharmacist,omitempty" maxLength:"64"`
	Reason     string    `json:"reason,omitempty" personal:"text" maxLength:"200"`
	At         time.Time `json:"at,omitzero"`
}

func (r *ReviewNotice) Key() string  { return r.No }
func (r *ReviewNotice) Lane() string { return r.No }

// Validate implements Body.
func (r *ReviewNotice) Validate() error {
	var c check
	c.id("no", r.No)
	c.optional("his_no", r.HisNo, maxID)
	c.optional("pharmacist", r.Pharmacist, maxID)
	c.optional("reason", r.Reason, maxName)
	return c.OrNil()
}

// ReportNotice tells that a report is ready to be asked for.
type ReportNotice struct {
	ReportNo  string     `json:"report_no" doc:"the business key" maxLength:"64"`
	PatientNo string     `json:"patient_no" maxLength:"64"`
	VisitNo   string     `json:"visit_no,omitempty" maxLength:"64"`
	Title     string     `json:"title,omitempty" maxLength:"200"`
	Type      ReportType `json:"type,omitempty" enum:"lab,microbiology,exam"`
	At        time.Time  `json:"at,omitzero"`
}

func (r *ReportNotice) Key() string  { return r.ReportNo }
func (r *ReportNotice) Lane() string { return r.ReportNo }

// Validate implements Body.
func (r *ReportNotice) Validate() error {
	var c check
	c.id("report_no", r.ReportNo)
	c.id("patient_no", r.PatientNo)
	c.optional("visit_no", r.VisitNo, maxID)
	c.optional("title", r.Title, maxName)
	return c.OrNil()
}

// BillNotice tells that a visit has something new to pay; its amount is asked
// for again before anybody pays.
type BillNotice struct {
	BillNo    string    `json:"bill_no" doc:"the business key" maxLength:"64"`
	VisitNo   string    `json:"visit_no" maxLength:"64"`
	PatientNo string    `json:"patient_no" maxLength:"64"`
	Title     string    `json:"title,omitempty" maxLength:"200"`
	At        time.Time `json:"at,omitzero"`
}

func (b *BillNotice) Key() string  { return b.BillNo }
func (b *BillNotice) Lane() string { return lane(b.VisitNo, b.BillNo) }

// Validate implements Body.
func (b *BillNotice) Validate() error {
	var c check
	c.id("bill_no", b.BillNo)
	c.id("visit_no", b.VisitNo)
	c.id("patient_no", b.PatientNo)
	c.optional("title", b.Title, maxName)
	return c.OrNil()
}

// LedgerPull asks for what we booked on a day: the HIS compares by itself.
type LedgerPull struct {
	// Day is yyyy-MM-dd in the hospital's zone.
	Day string `json:"day" maxLength:"10"`
}

func (l *LedgerPull) Key() string  { return l.Day }
func (l *LedgerPull) Lane() string { return l.Day }

// Validate implements Body.
func (l *LedgerPull) Validate() error {
	var c check
	c.date("day", l.Day)
	return c.OrNil()
}
