package core

import "time"

// ReportQuery asks for a patient's reports, or for one of them.
type ReportQuery struct {
	PatientNo string `json:"patient_no" maxLength:"64"`
	VisitNo   string `json:"visit_no,omitempty" maxLength:"64"`
	ReportNo  string `json:"report_no,omitempty" doc:"of one report; required for report.detail" maxLength:"64"`
	From      string `json:"from,omitempty" doc:"yyyy-MM-dd" maxLength:"10"`
	To        string `json:"to,omitempty" doc:"yyyy-MM-dd" maxLength:"10"`
}

func (q *ReportQuery) Key() string  { return q.PatientNo }
func (q *ReportQuery) Lane() string { return q.PatientNo }

// Validate implements Body.
func (q *ReportQuery) Validate() error {
	var c check
	c.id("patient_no", q.PatientNo)
	c.optional("visit_no", q.VisitNo, maxID)
	c.optional("report_no", q.ReportNo, maxID)
	if q.From != "" || q.To != "" {
		c.date("from", q.From)
		c.date("to", q.To)
	}
	return c.OrNil()
}

// ReportType tells the three shapes of a report apart.
type ReportType string

// Values of ReportType: laboratory, microbiology with susceptibilities, examination.
func (ReportType) Values() []string { return []string{"lab", "microbiology", "exam"} }

// Reports is the canonical answer to report.list.
type Reports struct {
	Reports []ReportHead `json:"reports"`
}

// ReportHead is one report in a list.
type ReportHead struct {
	ReportNo string     `json:"report_no"`
	Title    string     `json:"title"`
	Type     ReportType `json:"type,omitempty"`
	At       time.Time  `json:"at,omitzero"`
	Ready    bool       `json:"ready"`
}

// Append implements Paged.
func (r *Reports) Append(next any) { r.Reports = append(r.Reports, next.(*Reports).Reports...) }

// Report is the canonical answer to report.detail (FHIR DiagnosticReport).
type Report struct {
	ReportNo   string     `json:"report_no"`
	Title      string     `json:"title"`
	Type       ReportType `json:"type,omitempty"`
	At         time.Time  `json:"at,omitzero"`
	Findings   string     `json:"findings,omitempty" personal:"text"`
	Conclusion string     `json:"conclusion,omitempty" personal:"text"`
	Results    []Result   `json:"results,omitempty"`
}

// Result is one line of a report. Of microbiology, Organism is what grew, Name
// the drug and Flag the susceptibility (S, I, R).
type Result struct {
	Code     string `json:"code,omitempty"`
	Name     string `json:"name"`
	Value    string `json:"value,omitempty"`
	Unit     string `json:"unit,omitempty"`
	Range    string `json:"range,omitempty"`
	Flag     string `json:"flag,omitempty"`
	Organism string `json:"organism,omitempty"`
}

// QueueQuery asks where a patient stands in the waiting line.
type QueueQuery struct {
	PatientNo string `json:"patient_no" maxLength:"64"`
	VisitNo   string `json:"visit_no,omitempty" maxLength:"64"`
	OrderID   string `json:"order_id,omitempty" doc:"the order of the appointment" maxLength:"64"`
}

func (q *QueueQuery) Key() string  { return q.PatientNo }
func (q *QueueQuery) Lane() string { return q.PatientNo }

// Validate implements Body.
func (q *QueueQuery) Validate() error {
	var c check
	c.id("patient_no", q.PatientNo)
	c.optional("visit_no", q.VisitNo, maxID)
	c.optional("order_id", q.OrderID, maxID)
	return c.OrNil()
}

// QueuePlaces is the canonical answer to queue.status.
type QueuePlaces struct {
	Places []QueuePlace `json:"places"`
}

// QueuePlace is a patient's place in one waiting line; numbers are decimal text.
type QueuePlace struct {
	Number         string `json:"number"`
	Ahead          string `json:"ahead,omitempty"`
	Calling        string `json:"calling,omitempty"`
	DepartmentCode string `json:"department_code,omitempty"`
	DepartmentName string `json:"department_name,omitempty"`
	Room           string `json:"room,omitempty"`
}

// Append implements Paged.
func (q *QueuePlaces) Append(next any) { q.Places = append(q.Places, next.(*QueuePlaces).Places...) }

// DispenseState is what became of the drugs of a prescription outside the HIS.
type DispenseState string

// Values of DispenseState.
func (DispenseState) Values() []string {
	return []string{"picked_up", "shipped", "delivered", "returned"}
}

// Dispense tells the HIS what became of the drugs of a prescription that the
// platform fulfils (FHIR MedicationDispense).
type Dispense struct {
	No         string        `json:"no" doc:"our prescription number" maxLength:"64"`
	VisitNo    string        `json:"visit_no" maxLength:"64"`
	PatientNo  string        `json:"patient_no" maxLength:"64"`
	HisNo      string        `json:"his_no,omitempty" doc:"the HIS's number of the prescription" maxLength:"64"`
	State      DispenseState `json:"state" enum:"picked_up,shipped,delivered,returned"`
	Carrier    string        `json:"carrier,omitempty" maxLength:"64"`
	TrackingNo string        `json:"tracking_no,omitempty" maxLength:"64"`
	At         time.Time     `json:"at"`
}

// Key is the prescription and the state: each state is told once.
func (d *Dispense) Key() string  { return d.No + "/" + string(d.State) }
func (d *Dispense) Lane() string { return lane(d.VisitNo, d.No) }

// Validate implements Body.
func (d *Dispense) Validate() error {
	var c check
	c.id("no", d.No)
	c.optional("visit_no", d.VisitNo, maxID)
	c.id("patient_no", d.PatientNo)
	c.optional("his_no", d.HisNo, maxID)
	c.enum("state", string(d.State), d.State)
	c.optional("carrier", d.Carrier, maxID)
	c.optional("tracking_no", d.TrackingNo, maxID)
	c.time("at", d.At)
	return c.OrNil()
}

// Invoice asks the HIS to issue the electronic invoice of a payment; a HIS may
// settle and fail at the invoice.
type Invoice struct {
	OrderID   string    `json:"order_id" doc:"the payment; the business key" maxLength:"64"`
	VisitNo   string    `json:"visit_no" maxLength:"64"`
	PatientNo string    `json:"patient_no" maxLength:"64"`
	HisNo     string    `json:"his_no,omitempty" doc:"the HIS's number of the payment" maxLength:"64"`
	Amount    Fen       `json:"amount" doc:"fen, more than 0"`
	Payer     string    `json:"payer,omitempty" personal:"name" maxLength:"200"`
	Phone     string    `json:"phone,omitempty" personal:"number" maxLength:"64"`
	AskedAt   time.Time `json:"asked_at"`
}

func (i *Invoice) Key() string  { return i.OrderID }
func (i *Invoice) Lane() string { return lane(i.VisitNo, i.OrderID) }
func (i *Invoice) Total() Fen   { return i.Amount }

// Validate implements Body.
func (i *Invoice) Validate() error {
	var c check
	c.id("order_id", i.OrderID)
	c.optional("visit_no", i.VisitNo, maxID)
	c.id("patient_no", i.PatientNo)
	c.optional("his_no", i.HisNo, maxID)
	c.positive("amount", i.Amount)
	c.optional("payer", i.Payer, maxName)
	c.optional("phone", i.Phone, maxID)
	c.time("asked_at", i.AskedAt)
	return c.OrNil()
}
