package core

import (
	"fmt"
	"time"
)

// Text limits, in bytes of UTF-8: wide enough for every HIS seen, small enough to
// bound a message.
const (
	maxID   = 64
	maxName = 200
	maxNote = 1000
	// maxLines bounds the lines of a prescription. The law allows five drugs on a
	// western one; herbal ones have dozens.
	maxLines = 100
)

// Sex is a patient's administrative sex (FHIR administrative-gender).
type Sex string

// Values of Sex.
func (Sex) Values() []string { return []string{"male", "female", "other", "unknown"} }

// Channel is how a patient paid.
type Channel string

// Values of Channel.
func (Channel) Values() []string {
	return []string{"wechat", "alipay", "unionpay", "insurance", "bank", "cash"}
}

// Category is the class of a prescription.
type Category string

// Values of Category: western medicine, Chinese patent medicine, herbal pieces.
func (Category) Values() []string { return []string{"western", "patent", "herbal"} }

// Enumeration is implemented by types with a closed set of values, so that a
// code table can be checked for completeness.
type Enumeration interface{ Values() []string }

// Prescription is a signed and reviewed prescription (FHIR MedicationRequest
// group). All identifiers are text: leading zeros live.
type Prescription struct {
	No             string      `json:"no" doc:"our prescription number; the business key" maxLength:"64" example:"RX20260105000001"`
	VisitNo        string      `json:"visit_no" doc:"the visit in the HIS; the default lane" maxLength:"64" example:"V0000345678"`
	PatientNo      string      `json:"patient_no" doc:"the HIS's number of the patient" maxLength:"64" example:"0000024772"`
	PatientName    string      `json:"patient_name" personal:"name" maxLength:"200"`
	Sex            Sex         `json:"sex" enum:"male,female,other,unknown"`
	BirthDate      string      `json:"birth_date" personal:"date" doc:"yyyy-MM-dd" maxLength:"10" example:"1990-01-01"`
	IDNo           string      `json:"id_no,omitempty" personal:"number" doc:"identity card number" maxLength:"64"`
	DepartmentCode string      `json:"department_code" maxLength:"64"`
	DepartmentName string      `json:"department_name,omitempty" maxLength:"200"`
	DoctorCode     string      `json:"doctor_code" maxLength:"64"`
	DoctorName     string      `json:"doctor_name,omitempty" maxLength:"200"`
	PharmacistCode string      `json:"pharmacist_code" doc:"who reviewed it" maxLength:"64"`
	Category       Category    `json:"category" enum:"western,patent,herbal"`
	Diagnoses      []Diagnosis `json:"diagnoses" minItems:"1" maxItems:"20"`
	Items          []Item      `json:"items" minItems:"1" maxItems:"100"`
	Amount         Fen         `json:"amount" doc:"fen; the sum of the lines' amounts"`
	WrittenAt      time.Time   `json:"written_at" doc:"with its zone"`
	ValidUntil     time.Time   `json:"valid_until" doc:"with its zone"`
	Note           string      `json:"note,omitempty" personal:"text" maxLength:"1000"`
	// Who answers for it and how it came about, where somebody asks: regulators do.
	Writing      *Writing      `json:"writing,omitempty"`
	Review       *Review       `json:"review,omitempty"`
	Consultation *Consultation `json:"consultation,omitempty"`
}

// Diagnosis is a coded diagnosis in the platform's coding (ICD-10).
type Diagnosis struct {
	Code string `json:"code" maxLength:"64" example:"J06.900"`
	Name string `json:"name" maxLength:"200"`
}

// Item is one line of a prescription. Quantities, doses and prices are decimal text.
type Item struct {
	Code      string `json:"code" doc:"the platform's drug code" maxLength:"64"`
	Name      string `json:"name" maxLength:"200"`
	Spec      string `json:"spec,omitempty" doc:"specification, as on the box" maxLength:"200"`
	Qty       string `json:"qty" doc:"packs to dispense, decimal text" maxLength:"24" example:"2"`
	Unit      string `json:"unit" doc:"unit of qty" maxLength:"64"`
	UnitPrice string `json:"unit_price" doc:"yuan, decimal text, up to four decimals" maxLength:"24" example:"12.3450"`
	Amount    Fen    `json:"amount" doc:"fen; qty x unit_price rounded half up"`
	Dose      string `json:"dose" doc:"one dose, decimal text" maxLength:"24" example:"0.5"`
	DoseUnit  string `json:"dose_unit" maxLength:"64" example:"g"`
	Frequency string `json:"frequency" doc:"the platform's code" maxLength:"64" example:"tid"`
	Route     string `json:"route" doc:"the platform's code" maxLength:"64" example:"oral"`
	Days      int    `json:"days" minimum:"1" maximum:"180"`
	Note      string `json:"note,omitempty" personal:"text" maxLength:"1000"`
}

func (p *Prescription) Key() string  { return p.No }
func (p *Prescription) Lane() string { return lane(p.VisitNo, p.No) }

// Validate refuses a prescription whose lines don't add up to its total, with
// both sums.
func (p *Prescription) Validate() error {
	var c check
	c.id("no", p.No)
	c.optional("visit_no", p.VisitNo, maxID)
	c.id("patient_no", p.PatientNo)
	c.text("patient_name", p.PatientName, maxName)
	c.enum("sex", string(p.Sex), p.Sex)
	c.date("birth_date", p.BirthDate)
	c.optional("id_no", p.IDNo, maxID)
	c.id("department_code", p.DepartmentCode)
	c.optional("department_name", p.DepartmentName, maxName)
	c.id("doctor_code", p.DoctorCode)
	c.optional("doctor_name", p.DoctorName, maxName)
	c.id("pharmacist_code", p.PharmacistCode)
	c.enum("category", string(p.Category), p.Category)
	c.diagnoses(p.Diagnoses)
	c.count("items", len(p.Items), 1, maxLines)
	var total Fen
	for i := range p.Items {
		p.Items[i].validate(&c, fmt.Sprintf("items[%d].", i))
		total += p.Items[i].Amount
	}
	c.sum("amount", total, p.Amount)
	c.time("written_at", p.WrittenAt)
	c.time("valid_until", p.ValidUntil)
	if p.ValidUntil.Before(p.WrittenAt) {
		c.problem("valid_until", "before written_at")
	}
	c.optional("note", p.Note, maxNote)
	p.Writing.validate(&c)
	p.Review.validate(&c)
	p.Consultation.validate(&c)
	return c.OrNil()
}

func (it *Item) validate(c *check, at string) {
	c.id(at+"code", it.Code)
	c.text(at+"name", it.Name, maxName)
	c.optional(at+"spec", it.Spec, maxName)
	c.text(at+"unit", it.Unit, maxID)
	c.text(at+"dose_unit", it.DoseUnit, maxID)
	c.id(at+"frequency", it.Frequency)
	c.id(at+"route", it.Route)
	c.decimal(at+"dose", it.Dose, maxDecimal)
	c.optional(at+"note", it.Note, maxNote)
	if it.Days < 1 || it.Days > 180 {
		c.problem(at+"days", "not between 1 and 180")
	}
	c.line(at, it.Qty, it.UnitPrice, it.Amount)
}

// PrescriptionVoiding voids a prescription that was uploaded.
type PrescriptionVoiding struct {
	No           string    `json:"no" doc:"our prescription number; the business key" maxLength:"64"`
	VisitNo      string    `json:"visit_no" maxLength:"64"`
	PatientNo    string    `json:"patient_no" maxLength:"64"`
	HisNo        string    `json:"his_no,omitempty" doc:"the HIS's own number, from the receipt" maxLength:"64"`
	Reason       string    `json:"reason" personal:"text" maxLength:"200"`
	OperatorCode string    `json:"operator_code" doc:"who voided it" maxLength:"64"`
	VoidedAt     time.Time `json:"voided_at"`
}

func (v *PrescriptionVoiding) Key() string  { return v.No }
func (v *PrescriptionVoiding) Lane() string { return lane(v.VisitNo, v.No) }

// Validate implements Body.
func (v *PrescriptionVoiding) Validate() error {
	var c check
	c.id("no", v.No)
	c.optional("visit_no", v.VisitNo, maxID)
	c.id("patient_no", v.PatientNo)
	c.optional("his_no", v.HisNo, maxID)
	c.text("reason", v.Reason, maxName)
	c.id("operator_code", v.OperatorCode)
	c.time("voided_at", v.VoidedAt)
	return c.OrNil()
}

// Payment tells that a patient paid bills of a visit through a channel.
type Payment struct {
	OrderID     string    `json:"order_id" doc:"our order number, the channel's out_trade_no; the business key" maxLength:"64" example:"IH20260105000002"`
	VisitNo     string    `json:"visit_no" maxLength:"64"`
	PatientNo   string    `json:"patient_no" maxLength:"64"`
	PatientName string    `json:"patient_name,omitempty" personal:"name" maxLength:"200"`
	Bills       []string  `json:"bills" doc:"numbers of the bills or prescriptions paid, as the HIS knows them" minItems:"1" maxItems:"50"`
	Amount      Fen       `json:"amount" doc:"fen, more than 0"`
	Channel     Channel   `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo   string    `json:"channel_no" doc:"the channel's own transaction number" maxLength:"64"`
	PaidAt      time.Time `json:"paid_at" doc:"when the channel says the money came; nights go by this"`
}

func (p *Payment) Key() string  { return p.OrderID }
func (p *Payment) Lane() string { return lane(p.VisitNo, p.OrderID) }

// Validate implements Body.
func (p *Payment) Validate() error {
	var c check
	c.id("order_id", p.OrderID)
	c.optional("visit_no", p.VisitNo, maxID)
	c.id("patient_no", p.PatientNo)
	c.optional("patient_name", p.PatientName, maxName)
	c.count("bills", len(p.Bills), 1, 50)
	for i, b := range p.Bills {
		c.id(fmt.Sprintf("bills[%d]", i), b)
	}
	c.positive("amount", p.Amount)
	c.enum("channel", string(p.Channel), p.Channel)
	c.id("channel_no", p.ChannelNo)
	c.time("paid_at", p.PaidAt)
	return c.OrNil()
}

// Refund tells that money of a payment went back to the patient.
type Refund struct {
	RefundNo        string    `json:"refund_no" doc:"our refund number; the business key" maxLength:"64"`
	OrderID         string    `json:"order_id" doc:"the payment that it takes back" maxLength:"64"`
	VisitNo         string    `json:"visit_no" maxLength:"64"`
	PatientNo       string    `json:"patient_no" maxLength:"64"`
	HisNo           string    `json:"his_no,omitempty" doc:"the HIS's number of the payment, from its receipt" maxLength:"64"`
	Amount          Fen       `json:"amount" doc:"fen, more than 0, at most what was paid"`
	Paid            Fen       `json:"paid" doc:"fen; what the payment was"`
	Channel         Channel   `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo       string    `json:"channel_no" doc:"the channel's number of the payment" maxLength:"64"`
	ChannelRefundNo string    `json:"channel_refund_no" doc:"the channel's number of the refund" maxLength:"64"`
	Reason          string    `json:"reason" personal:"text" maxLength:"200"`
	RefundedAt      time.Time `json:"refunded_at"`
	// Reversal: a booking is taken back of which no money ever moved; the channel has no part in it.
	Reversal bool `json:"reversal,omitempty"`
	// Lines that go back, where only some do; empty is the whole amount.
	Lines []RefundLine `json:"lines,omitempty" maxItems:"100"`
}

// RefundLine is one line of a bill that goes back.
type RefundLine struct {
	BillNo string `json:"bill_no" maxLength:"64"`
	LineNo string `json:"line_no" doc:"as the HIS counts it" maxLength:"64"`
	Code   string `json:"code,omitempty" maxLength:"64"`
	Qty    string `json:"qty,omitempty" doc:"decimal text" maxLength:"24"`
	Amount Fen    `json:"amount" doc:"fen, more than 0"`
}

func (r *Refund) Key() string  { return r.RefundNo }
func (r *Refund) Lane() string { return lane(r.VisitNo, r.OrderID) }

// Validate implements Body.
func (r *Refund) Validate() error {
	var c check
	c.id("refund_no", r.RefundNo)
	c.id("order_id", r.OrderID)
	c.optional("visit_no", r.VisitNo, maxID)
	c.id("patient_no", r.PatientNo)
	c.optional("his_no", r.HisNo, maxID)
	c.positive("amount", r.Amount)
	c.positive("paid", r.Paid)
	if r.Amount > r.Paid {
		c.problem("amount", fmt.Sprintf("%d fen is more than the %d fen that were paid", r.Amount, r.Paid))
	}
	c.enum("channel", string(r.Channel), r.Channel)
	c.id("channel_no", r.ChannelNo)
	c.id("channel_refund_no", r.ChannelRefundNo)
	c.text("reason", r.Reason, maxName)
	c.time("refunded_at", r.RefundedAt)
	c.count("lines", len(r.Lines), 0, maxLines)
	var sum Fen
	for i, l := range r.Lines {
		at := fmt.Sprintf("lines[%d].", i)
		c.id(at+"bill_no", l.BillNo)
		c.id(at+"line_no", l.LineNo)
		c.optional(at+"code", l.Code, maxID)
		c.positive(at+"amount", l.Amount)
		sum += l.Amount
	}
	if len(r.Lines) > 0 {
		c.sum("amount", sum, r.Amount)
	}
	return c.OrNil()
}

// Priced is implemented by bodies that carry an amount, so that what a HIS says
// it holds can be compared with it.
type Priced interface{ Total() Fen }

func (p *Prescription) Total() Fen { return p.Amount }
func (p *Payment) Total() Fen      { return p.Amount }
func (r *Refund) Total() Fen       { return r.Amount }

func lane(visit, otherwise string) string {
	if visit != "" {
		return visit
	}
	return otherwise
}
