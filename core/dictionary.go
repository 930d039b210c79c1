package core

import "time"

// DictionaryQuery asks for a list that a HIS keeps. Most fields are empty for
// most lists; a HIS that cannot narrow gives everything.
type DictionaryQuery struct {
	// Since asks for what changed from then on; zero asks for everything.
	Since          time.Time `json:"since,omitzero" doc:"only what changed from then on; missing: everything"`
	DepartmentCode string    `json:"department_code,omitempty" maxLength:"64"`
	DoctorCode     string    `json:"doctor_code,omitempty" maxLength:"64"`
	Pharmacy       string    `json:"pharmacy,omitempty" maxLength:"64"`
	Code           string    `json:"code,omitempty" doc:"of one entry" maxLength:"64"`
	// From and To bound the dates of clinic sessions, yyyy-MM-dd, both included.
	From string `json:"from,omitempty" doc:"yyyy-MM-dd" maxLength:"10"`
	To   string `json:"to,omitempty" doc:"yyyy-MM-dd" maxLength:"10"`
}

func (q *DictionaryQuery) Key() string  { return q.Code }
func (q *DictionaryQuery) Lane() string { return q.Code }

// Validate implements Body.
func (q *DictionaryQuery) Validate() error {
	var c check
	c.optional("department_code", q.DepartmentCode, maxID)
	c.optional("doctor_code", q.DoctorCode, maxID)
	c.optional("pharmacy", q.Pharmacy, maxID)
	c.optional("code", q.Code, maxID)
	if q.From != "" || q.To != "" {
		c.date("from", q.From)
		c.date("to", q.To)
		if q.From > q.To {
			c.problem("to", "before from")
		}
	}
	return c.OrNil()
}

// Departments is the canonical answer to department.list.
type Departments struct {
	Departments []Department `json:"departments"`
}

// Department of a hospital; Parent is the code of the one above it.
type Department struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	Closed bool   `json:"closed,omitempty"`
}

// Doctors is the canonical answer to doctor.list. A doctor who works in several
// departments is in it once for each.
type Doctors struct {
	Doctors []Doctor `json:"doctors"`
}

// Doctor in one department.
type Doctor struct {
	Code           string `json:"code"`
	Name           string `json:"name"`
	DepartmentCode string `json:"department_code,omitempty"`
	Title          string `json:"title,omitempty"`
	Closed         bool   `json:"closed,omitempty"`
}

// Schedules is the canonical answer to schedule.list.
type Schedules struct {
	Schedules []Schedule `json:"schedules"`
}

// Schedule is one clinic session with its places.
type Schedule struct {
	ScheduleNo     string `json:"schedule_no"`
	SlotNo         string `json:"slot_no,omitempty"`
	DepartmentCode string `json:"department_code,omitempty"`
	DoctorCode     string `json:"doctor_code,omitempty"`
	Date           string `json:"date"`
	Period         Period `json:"period,omitempty"`
	Start          string `json:"start,omitempty"`
	End            string `json:"end,omitempty"`
	// Remaining places, decimal text; "" is unlimited.
	Remaining string `json:"remaining,omitempty"`
	Fee       Fen    `json:"fee"`
	Stopped   bool   `json:"stopped,omitempty"`
}

// Drugs is the canonical answer to drug.list.
type Drugs struct {
	Drugs []Drug `json:"drugs"`
}

// Drug of a HIS's catalogue. Price is yuan as decimal text, up to four decimals.
type Drug struct {
	Code          string `json:"code"`
	Name          string `json:"name"`
	Spec          string `json:"spec,omitempty"`
	Form          string `json:"form,omitempty"`
	Unit          string `json:"unit,omitempty"`
	DoseUnit      string `json:"dose_unit,omitempty"`
	DosePerUnit   string `json:"dose_per_unit,omitempty"`
	Price         string `json:"price,omitempty"`
	Pharmacy      string `json:"pharmacy,omitempty"`
	InsuranceCode string `json:"insurance_code,omitempty"`
	Closed        bool   `json:"closed,omitempty"`
}

// Stocks is the canonical answer to stock.list.
type Stocks struct {
	Stocks []Stock `json:"stocks"`
}

// Stock of a drug in a pharmacy; Qty is decimal text.
type Stock struct {
	Code     string `json:"code"`
	Pharmacy string `json:"pharmacy,omitempty"`
	Qty      string `json:"qty"`
	Unit     string `json:"unit,omitempty"`
}

// Terms is the canonical answer to icd.list.
type Terms struct {
	Terms []Term `json:"terms"`
}

// Term is a coded diagnosis of a HIS's own list.
type Term struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	System string `json:"system,omitempty"`
	Closed bool   `json:"closed,omitempty"`
}

// SystemTime is the canonical answer to system.time.
type SystemTime struct {
	Time time.Time `json:"time"`
}

// Append implements Paged.
func (d *Departments) Append(next any) {
	d.Departments = append(d.Departments, next.(*Departments).Departments...)
}

// Append implements Paged.
func (d *Doctors) Append(next any) { d.Doctors = append(d.Doctors, next.(*Doctors).Doctors...) }

// Append implements Paged.
func (s *Schedules) Append(next any) {
	s.Schedules = append(s.Schedules, next.(*Schedules).Schedules...)
}

// Append implements Paged.
func (d *Drugs) Append(next any) { d.Drugs = append(d.Drugs, next.(*Drugs).Drugs...) }

// Append implements Paged.
func (s *Stocks) Append(next any) { s.Stocks = append(s.Stocks, next.(*Stocks).Stocks...) }

// Append implements Paged.
func (t *Terms) Append(next any) { t.Terms = append(t.Terms, next.(*Terms).Terms...) }
