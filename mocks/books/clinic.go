package books

import (
	"strconv"
	"time"
)

// What a hospital keeps beside prescriptions and money: patients, appointments
// with the places they hold, orders for tests and examinations, electronic
// invoices, what became of drugs outside. A fake hospital that offers none of it
// leaves these books empty, and they do not show in its export.

// ClinicExport is the part of an Export that is about the clinic.
type ClinicExport struct {
	Patients     []Patient     `json:"patients,omitempty"`
	Appointments []Appointment `json:"appointments,omitempty"`
	Orders       []Order       `json:"orders,omitempty"`
	Invoices     []Invoice     `json:"invoices,omitempty"`
	Dispenses    []Dispense    `json:"dispenses,omitempty"`
}

type clinic struct {
	sessions     []*Session
	patients     []*Patient
	appointments []*Appointment
	orders       []*Order
	invoices     []*Invoice
	dispenses    []*Dispense
}

func (c *clinic) export() ClinicExport {
	return ClinicExport{
		Patients: copies(c.patients), Appointments: copies(c.appointments), Orders: copies(c.orders),
		Invoices: copies(c.invoices), Dispenses: copies(c.dispenses),
	}
}

// first finds the first entry that fits, nil if none does.
func first[T any](list []*T, fits func(*T) bool) *T {
	for _, x := range list {
		if fits(x) {
			return x
		}
	}
	return nil
}

// Patient as registered. Values keep the caller's spelling.
type Patient struct {
	PersonID  string    `json:"person_id"` // the caller's number
	PatientNo string    `json:"patient_no"`
	CardNo    string    `json:"card_no"`
	Name      string    `json:"name"`
	Sex       string    `json:"sex"`
	BirthDate string    `json:"birth_date"`
	IDType    string    `json:"id_type"`
	IDNo      string    `json:"id_no"`
	Phone     string    `json:"phone"`
	Guardian  string    `json:"guardian,omitempty"` // the guardian's document number
	At        time.Time `json:"at"`
}

// Register books a person; the caller's number and the document are both keys.
// A child has its guardian's document and its own name.
func (b *Books) Register(p Patient) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := Done
	held := first(b.clinic.patients, func(x *Patient) bool {
		return x.PersonID == p.PersonID || x.Name == p.Name && x.IDType == p.IDType && x.IDNo == p.IDNo && x.Guardian == p.Guardian
	})
	if held != nil {
		if b.repeats != Double {
			return b.repeated(held.PatientNo, 0, 0)
		}
		effect = Again
	}
	if p.IDNo == "" && p.Guardian == "" {
		return Result{Effect: Refused, Words: "证件号码不能为空"}
	}
	p.At = b.now()
	b.clinic.add(&p, b.number)
	return Result{Effect: effect, HisNo: p.PatientNo}
}

func (c *clinic) add(p *Patient, number func(string) string) {
	if p.PatientNo == "" {
		p.PatientNo = "00" + number("9")
	}
	if p.CardNo == "" {
		p.CardNo = number("K")
	}
	c.patients = append(c.patients, p)
}

// Admit puts patients into the books before anybody asks, as a HIS has them.
func (b *Books) Admit(patients ...Patient) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range patients {
		p.At = b.now()
		b.clinic.add(&p, b.number)
	}
}

// Patient by the HIS's number.
func (b *Books) Patient(patientNo string) (Patient, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := first(b.clinic.patients, func(p *Patient) bool { return p.PatientNo == patientNo }); p != nil {
		return *p, true
	}
	return Patient{}, false
}

// FindPatients by the caller's number, or by document and name.
func (b *Books) FindPatients(personID, name, idNo string) []Patient {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []Patient
	for _, p := range b.clinic.patients {
		if personID != "" && p.PersonID == personID || idNo != "" && p.IDNo == idNo && p.Name == name {
			found = append(found, *p)
		}
	}
	return found
}

// Order for laboratory tests or examinations.
type Order struct {
	No        string    `json:"no"` // the caller's number
	HisNo     string    `json:"his_no"`
	VisitNo   string    `json:"visit_no"`
	PatientNo string    `json:"patient_no"`
	Category  string    `json:"category"`
	AmountFen int64     `json:"amount_fen"`
	Lines     []Line    `json:"lines"`
	State     string    `json:"state"` // Saved, Settled, Voided
	At        time.Time `json:"at"`
}

// SaveOrder books an order. It is refused when its lines do not add up.
func (b *Books) SaveOrder(o Order) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := Done
	if held := b.order(o.No); held != nil {
		if b.repeats != Double {
			return b.repeated(held.HisNo, held.AmountFen, o.AmountFen)
		}
		effect = Again
	}
	var sum int64
	for _, line := range o.Lines {
		sum += line.AmountFen
	}
	switch {
	case len(o.Lines) == 0:
		return Result{Effect: Refused, Words: "申请单无项目"}
	case sum != o.AmountFen:
		return Result{Effect: Refused, Words: "项目金额与总额不符"}
	}
	o.HisNo, o.State, o.At = b.number("A"), Saved, b.now()
	b.clinic.orders = append(b.clinic.orders, &o)
	return Result{Effect: effect, HisNo: o.HisNo, AmountFen: o.AmountFen}
}

func (b *Books) order(no string) *Order {
	return first(b.clinic.orders, func(o *Order) bool { return no != "" && (o.No == no || o.HisNo == no) })
}

// CancelOrder takes an order back. Doing it twice is Already and harmless.
func (b *Books) CancelOrder(no string) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.order(no)
	switch {
	case held == nil:
		return Result{Effect: Refused, Words: "申请单不存在"}
	case held.State == Voided:
		return Result{Effect: Already, HisNo: held.HisNo, AmountFen: held.AmountFen}
	case held.State != Saved:
		return Result{Effect: Refused, Words: "申请单已收费，不能作废"}
	}
	held.State = Voided
	return Result{Effect: Done, HisNo: held.HisNo, AmountFen: held.AmountFen}
}

// OrderOf finds an order by the caller's number or the HIS's.
func (b *Books) OrderOf(no string) (Order, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.order(no); o != nil {
		return *o, true
	}
	return Order{}, false
}

// UnpaidOrders lists what is saved and neither paid nor cancelled, of a visit or of a patient.
func (b *Books) UnpaidOrders(visit, patient string) []Order {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []Order
	for _, o := range b.clinic.orders {
		if o.State == Saved && (visit == "" || o.VisitNo == visit) && (patient == "" || o.PatientNo == patient) {
			found = append(found, *o)
		}
	}
	return found
}

// settleOrders and cancelledOrder let an order be a bill like any other.
func (b *Books) settleOrders(bills []string) {
	for _, bill := range bills {
		if o := b.order(bill); o != nil && o.State == Saved {
			o.State = Settled
		}
	}
}

func (b *Books) cancelledOrder(bills []string) bool {
	for _, bill := range bills {
		if o := b.order(bill); o != nil && o.State == Voided {
			return true
		}
	}
	return false
}

// Invoice is the electronic invoice of a settlement.
type Invoice struct {
	Order     string    `json:"order"` // the caller's order number
	No        string    `json:"no"`
	URL       string    `json:"url"`
	AmountFen int64     `json:"amount_fen"`
	At        time.Time `json:"at"`
}

// Issue makes the electronic invoice of a settlement.
func (b *Books) Issue(i Invoice) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := Done
	if held := b.invoice(i.Order); held != nil {
		if b.repeats != Double {
			return b.repeated(held.No, held.AmountFen, i.AmountFen)
		}
		effect = Again
	}
	paid := b.orders[i.Order]
	switch {
	case paid == nil:
		return Result{Effect: Refused, Words: "未找到收费记录"}
	case paid.AmountFen != i.AmountFen:
		return Result{Effect: Refused, Words: "开票金额与收费金额不符"}
	}
	i.No, i.At = b.number("E"), b.now()
	i.URL = "https://invoice.example/" + i.No
	b.clinic.invoices = append(b.clinic.invoices, &i)
	return Result{Effect: effect, HisNo: i.No, AmountFen: i.AmountFen}
}

func (b *Books) invoice(order string) *Invoice {
	return first(b.clinic.invoices, func(i *Invoice) bool { return i.Order == order })
}

// InvoiceOf finds the invoice of one of the caller's orders.
func (b *Books) InvoiceOf(order string) (Invoice, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.invoice(order); i != nil {
		return *i, true
	}
	return Invoice{}, false
}

// Dispense is one state of the drugs of a prescription that others hand out.
type Dispense struct {
	Prescription string    `json:"prescription"` // the caller's number
	State        string    `json:"state"`
	Carrier      string    `json:"carrier,omitempty"`
	TrackingNo   string    `json:"tracking_no,omitempty"`
	At           time.Time `json:"at"`
}

// Dispense notes a state; each one is told once.
func (b *Books) Dispense(d Dispense) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := Done
	p := b.rx[d.Prescription]
	switch {
	case p == nil:
		return Result{Effect: Refused, Words: "处方不存在"}
	case p.State == Voided:
		return Result{Effect: Refused, Words: "处方已作废"}
	}
	d.Prescription = p.No
	if b.dispense(d.Prescription, d.State) != nil {
		if b.repeats != Double {
			return b.repeated(p.HisNo, 0, 0)
		}
		effect = Again
	}
	d.At = b.now()
	b.clinic.dispenses = append(b.clinic.dispenses, &d)
	return Result{Effect: effect, HisNo: p.HisNo}
}

func (b *Books) dispense(no, state string) *Dispense {
	return first(b.clinic.dispenses, func(x *Dispense) bool { return x.Prescription == no && x.State == state })
}

// RefundLine is one line of a bill that goes back.
type RefundLine struct {
	Bill      string `json:"bill"`
	No        string `json:"no"` // counted from 1
	AmountFen int64  `json:"amount_fen"`
}

// RefundLines gives lines of a settlement back; a line goes back once and whole.
func (b *Books) RefundLines(r Refund, receipt string) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.backs[r.No] == nil || b.repeats == Double {
		if words := b.wrongLines(r); words != "" {
			return Result{Effect: Refused, Words: words}
		}
	}
	return b.refund(r, receipt)
}

func (b *Books) wrongLines(r Refund) string {
	var sum int64
	for _, line := range r.Lines {
		no, err := strconv.Atoi(line.No)
		lines := b.lines(line.Bill)
		if err != nil || no < 1 || no > len(lines) {
			return "未找到收费明细"
		}
		if lines[no-1].AmountFen != line.AmountFen {
			return "退费明细金额不符"
		}
		if b.wentBack(r.Order, line) {
			return "明细已退费"
		}
		sum += line.AmountFen
	}
	if sum != r.AmountFen {
		return "退费明细与总额不符"
	}
	return ""
}

func (b *Books) lines(bill string) []Line {
	if p := b.rx[bill]; p != nil {
		return p.Lines
	}
	if o := b.order(bill); o != nil {
		return o.Lines
	}
	return nil
}

func (b *Books) wentBack(order string, line RefundLine) bool {
	for _, r := range b.refunds {
		for _, gone := range r.Lines {
			if r.Order == order && gone.Bill == line.Bill && gone.No == line.No {
				return true
			}
		}
	}
	return false
}
