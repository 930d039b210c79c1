package core

import "time"

// A question's body holds what a hospital folder needs to ask it. When a
// question is asked as the inquiry of a write in doubt, its fields are filled
// from the fields of the same JSON name of that write.

// PrescriptionQuery asks for one prescription.
type PrescriptionQuery struct {
	No        string `json:"no" maxLength:"64"`
	VisitNo   string `json:"visit_no,omitempty" maxLength:"64"`
	PatientNo string `json:"patient_no,omitempty" maxLength:"64"`
	Amount    Fen    `json:"amount,omitempty"`
}

func (q *PrescriptionQuery) Key() string  { return q.No }
func (q *PrescriptionQuery) Lane() string { return lane(q.VisitNo, q.No) }

// Validate implements Body.
func (q *PrescriptionQuery) Validate() error {
	var c check
	c.id("no", q.No)
	c.optional("visit_no", q.VisitNo, maxID)
	c.optional("patient_no", q.PatientNo, maxID)
	return c.OrNil()
}

// PaymentQuery asks for one payment.
type PaymentQuery struct {
	OrderID   string    `json:"order_id" maxLength:"64"`
	VisitNo   string    `json:"visit_no,omitempty" maxLength:"64"`
	PatientNo string    `json:"patient_no,omitempty" maxLength:"64"`
	ChannelNo string    `json:"channel_no,omitempty" maxLength:"64"`
	Channel   Channel   `json:"channel,omitempty"`
	Amount    Fen       `json:"amount,omitempty"`
	PaidAt    time.Time `json:"paid_at,omitzero"`
}

func (q *PaymentQuery) Key() string  { return q.OrderID }
func (q *PaymentQuery) Lane() string { return lane(q.VisitNo, q.OrderID) }

// Validate implements Body.
func (q *PaymentQuery) Validate() error {
	var c check
	c.id("order_id", q.OrderID)
	c.optional("visit_no", q.VisitNo, maxID)
	c.optional("patient_no", q.PatientNo, maxID)
	c.optional("channel_no", q.ChannelNo, maxID)
	return c.OrNil()
}

// RefundQuery asks for one refund.
type RefundQuery struct {
	RefundNo        string    `json:"refund_no" maxLength:"64"`
	OrderID         string    `json:"order_id,omitempty" maxLength:"64"`
	VisitNo         string    `json:"visit_no,omitempty" maxLength:"64"`
	PatientNo       string    `json:"patient_no,omitempty" maxLength:"64"`
	ChannelRefundNo string    `json:"channel_refund_no,omitempty" maxLength:"64"`
	Amount          Fen       `json:"amount,omitempty"`
	RefundedAt      time.Time `json:"refunded_at,omitzero"`
}

func (q *RefundQuery) Key() string  { return q.RefundNo }
func (q *RefundQuery) Lane() string { return lane(q.VisitNo, q.RefundNo) }

// Validate implements Body.
func (q *RefundQuery) Validate() error {
	var c check
	c.id("refund_no", q.RefundNo)
	c.optional("order_id", q.OrderID, maxID)
	c.optional("visit_no", q.VisitNo, maxID)
	c.optional("patient_no", q.PatientNo, maxID)
	c.optional("channel_refund_no", q.ChannelRefundNo, maxID)
	return c.OrNil()
}

// BillQuery asks what a visit still has to pay.
type BillQuery struct {
	VisitNo   string `json:"visit_no" maxLength:"64"`
	PatientNo string `json:"patient_no" maxLength:"64"`
}

func (q *BillQuery) Key() string  { return q.VisitNo }
func (q *BillQuery) Lane() string { return q.VisitNo }

// Validate implements Body.
func (q *BillQuery) Validate() error {
	var c check
	c.id("visit_no", q.VisitNo)
	c.id("patient_no", q.PatientNo)
	return c.OrNil()
}

// Receipt is the canonical answer to a write. Every field may be empty: a HIS
// gives what it has.
type Receipt struct {
	// HisNo is the HIS's own reference for what it booked.
	HisNo     string `json:"his_no,omitempty"`
	InvoiceNo string `json:"invoice_no,omitempty"`
	// InvoiceURL is where the electronic invoice can be seen.
	InvoiceURL string `json:"invoice_url,omitempty"`
	// CardNo of a registered patient, QueueNo of an appointment.
	CardNo  string `json:"card_no,omitempty"`
	QueueNo string `json:"queue_no,omitempty"`
	// Number (ours) and Amount are what the HIS says it holds; when it answers
	// "already" they are compared with the message before it is believed.
	Number string `json:"number,omitempty"`
	Amount *Fen   `json:"amount,omitempty"`
}

// State is what a HIS knows of one write.
type State string

const (
	StateDone    State = "done"
	StateAbsent  State = "absent"
	StateRunning State = "running"
	StateRefused State = "refused"
	StateUnknown State = "unknown"
)

// Values of State.
func (State) Values() []string { return []string{"done", "absent", "running", "refused", "unknown"} }

// Stage is how far a prescription or order has come (FHIR MedicationRequest and
// MedicationDispense status, in one word).
type Stage string

const (
	StageActive    Stage = "active"    // written, nothing done yet
	StageVoided    Stage = "voided"    // taken back
	StageDispensed Stage = "dispensed" // the drugs were handed out
	StagePerformed Stage = "performed" // the tests or examinations were done
	StageReturned  Stage = "returned"  // handed out and taken back
)

// Values of Stage.
func (Stage) Values() []string {
	return []string{"active", "voided", "dispensed", "performed", "returned"}
}

// Status is the canonical answer to a question about one write.
type Status struct {
	State State `json:"state"`
	// At names the step of a transaction in several steps that the HIS has
	// reached; "" when State says all.
	At string `json:"at,omitempty"`
	// Stage is how far a prescription or order has come that the HIS has; "" when
	// it does not say. Nights compare it with what we believe.
	Stage Stage `json:"stage,omitempty"`
	Receipt
	// Message is the HIS's words.
	Message string `json:"message,omitempty"`
}

// Bills is the canonical answer to bill.unpaid. No bills is an answer too.
type Bills struct {
	Bills []Bill `json:"bills"`
}

// Bill is one unpaid bill of a visit, with the HIS's own amounts.
type Bill struct {
	BillNo         string     `json:"bill_no"`
	Title          string     `json:"title,omitempty"`
	PrescriptionNo string     `json:"prescription_no,omitempty"`
	Amount         Fen        `json:"amount"`
	Lines          []BillLine `json:"lines,omitempty"`
}

// BillLine is one line of a Bill.
type BillLine struct {
	// LineNo is how the HIS counts the line; a refund of it needs that.
	LineNo    string `json:"line_no,omitempty"`
	Code      string `json:"code,omitempty"`
	Name      string `json:"name"`
	Qty       string `json:"qty,omitempty"`
	UnitPrice string `json:"unit_price,omitempty"`
	Amount    Fen    `json:"amount"`
}

// Paged is implemented by answers that a HIS may give in pages.
type Paged interface {
	// Append adds the entries of the next page, an answer of the same type.
	Append(next any)
}

// Append implements Paged.
func (b *Bills) Append(next any) { b.Bills = append(b.Bills, next.(*Bills).Bills...) }
