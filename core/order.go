package core

import (
	"fmt"
	"time"
)

// OrderCategory tells what is ordered.
type OrderCategory string

// Values of OrderCategory.
func (OrderCategory) Values() []string { return []string{"lab", "exam"} }

// Order asks for laboratory tests or examinations (FHIR ServiceRequest).
type Order struct {
	No             string        `json:"no" doc:"our order number; the business key" maxLength:"64"`
	VisitNo        string        `json:"visit_no" doc:"the visit in the HIS; the default lane" maxLength:"64"`
	PatientNo      string        `json:"patient_no" maxLength:"64"`
	PatientName    string        `json:"patient_name" personal:"name" maxLength:"200"`
	Sex            Sex           `json:"sex" enum:"male,female,other,unknown"`
	BirthDate      string        `json:"birth_date" personal:"date" doc:"yyyy-MM-dd" maxLength:"10"`
	DepartmentCode string        `json:"department_code" maxLength:"64"`
	DoctorCode     string        `json:"doctor_code" maxLength:"64"`
	DoctorName     string        `json:"doctor_name,omitempty" maxLength:"200"`
	Category       OrderCategory `json:"category" enum:"lab,exam"`
	Diagnoses      []Diagnosis   `json:"diagnoses" minItems:"1" maxItems:"20"`
	Items          []OrderItem   `json:"items" minItems:"1" maxItems:"50"`
	Amount         Fen           `json:"amount" doc:"fen; the sum of the lines' amounts"`
	OrderedAt      time.Time     `json:"ordered_at"`
	Note           string        `json:"note,omitempty" personal:"text" maxLength:"1000"`
}

// OrderItem is one test or examination.
type OrderItem struct {
	Code      string   `json:"code" maxLength:"64"`
	Name      string   `json:"name" maxLength:"200"`
	Qty       string   `json:"qty" doc:"decimal text" maxLength:"24" example:"1"`
	UnitPrice string   `json:"unit_price" doc:"yuan, decimal text, up to four decimals" maxLength:"24"`
	Amount    Fen      `json:"amount" doc:"fen; qty x unit_price rounded half up"`
	Specimen  string   `json:"specimen,omitempty" doc:"the platform's code; of a test" maxLength:"64"`
	BodySites []string `json:"body_sites,omitempty" doc:"the platform's codes; of an examination" maxItems:"20"`
	Methods   []string `json:"methods,omitempty" doc:"the platform's codes; of an examination" maxItems:"20"`
	Note      string   `json:"note,omitempty" personal:"text" maxLength:"1000"`
}

func (o *Order) Key() string  { return o.No }
func (o *Order) Lane() string { return lane(o.VisitNo, o.No) }
func (o *Order) Total() Fen   { return o.Amount }

// Validate refuses an order whose lines don't add up to its total, with both sums.
func (o *Order) Validate() error {
	var c check
	c.id("no", o.No)
	c.optional("visit_no", o.VisitNo, maxID)
	c.id("patient_no", o.PatientNo)
	c.text("patient_name", o.PatientName, maxName)
	c.enum("sex", string(o.Sex), o.Sex)
	c.date("birth_date", o.BirthDate)
	c.id("department_code", o.DepartmentCode)
	c.id("doctor_code", o.DoctorCode)
	c.optional("doctor_name", o.DoctorName, maxName)
	c.enum("category", string(o.Category), o.Category)
	c.diagnoses(o.Diagnoses)
	c.count("items", len(o.Items), 1, 50)
	var total Fen
	for i, it := range o.Items {
		at := fmt.Sprintf("items[%d].", i)
		c.id(at+"code", it.Code)
		c.text(at+"name", it.Name, maxName)
		c.line(at, it.Qty, it.UnitPrice, it.Amount)
		c.optional(at+"specimen", it.Specimen, maxID)
		c.count(at+"body_sites", len(it.BodySites), 0, 20)
		for j, s := range it.BodySites {
			c.id(fmt.Sprintf("%sbody_sites[%d]", at, j), s)
		}
		c.count(at+"methods", len(it.Methods), 0, 20)
		for j, m := range it.Methods {
			c.id(fmt.Sprintf("%smethods[%d]", at, j), m)
		}
		c.optional(at+"note", it.Note, maxNote)
		total += it.Amount
	}
	c.sum("amount", total, o.Amount)
	c.time("ordered_at", o.OrderedAt)
	c.optional("note", o.Note, maxNote)
	return c.OrNil()
}

// OrderCancelling takes an order back.
type OrderCancelling struct {
	No           string    `json:"no" doc:"our order number; the business key" maxLength:"64"`
	VisitNo      string    `json:"visit_no" maxLength:"64"`
	PatientNo    string    `json:"patient_no" maxLength:"64"`
	HisNo        string    `json:"his_no,omitempty" doc:"the HIS's own number, from the receipt" maxLength:"64"`
	Reason       string    `json:"reason" personal:"text" maxLength:"200"`
	OperatorCode string    `json:"operator_code" maxLength:"64"`
	CancelledAt  time.Time `json:"cancelled_at"`
}

func (o *OrderCancelling) Key() string  { return o.No }
func (o *OrderCancelling) Lane() string { return lane(o.VisitNo, o.No) }

// Validate implements Body.
func (o *OrderCancelling) Validate() error {
	var c check
	c.id("no", o.No)
	c.optional("visit_no", o.VisitNo, maxID)
	c.id("patient_no", o.PatientNo)
	c.optional("his_no", o.HisNo, maxID)
	c.text("reason", o.Reason, maxName)
	c.id("operator_code", o.OperatorCode)
	c.time("cancelled_at", o.CancelledAt)
	return c.OrNil()
}

// OrderQuery asks for one order.
type OrderQuery struct {
	No        string `json:"no" maxLength:"64"`
	VisitNo   string `json:"visit_no,omitempty" maxLength:"64"`
	PatientNo string `json:"patient_no,omitempty" maxLength:"64"`
	HisNo     string `json:"his_no,omitempty" maxLength:"64"`
}

func (q *OrderQuery) Key() string  { return q.No }
func (q *OrderQuery) Lane() string { return lane(q.VisitNo, q.No) }

// Validate implements Body.
func (q *OrderQuery) Validate() error {
	var c check
	c.id("no", q.No)
	c.optional("visit_no", q.VisitNo, maxID)
	c.optional("patient_no", q.PatientNo, maxID)
	c.optional("his_no", q.HisNo, maxID)
	return c.OrNil()
}
