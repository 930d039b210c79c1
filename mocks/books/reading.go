package books

import "fmt"

// Prescription by the caller's number or the HIS's.
func (b *Books) Prescription(no string) (Prescription, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.rx[no]; p != nil {
		return *p, true
	}
	return Prescription{}, false
}

// Settlement by the caller's order number.
func (b *Books) Settlement(order string) (Settlement, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.orders[order]; s != nil {
		return *s, true
	}
	return Settlement{}, false
}

// RefundOf finds a refund by the caller's number.
func (b *Books) RefundOf(no string) (Refund, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.backs[no]; r != nil {
		return *r, true
	}
	return Refund{}, false
}

// Unpaid lists what is saved and neither settled nor voided, of a visit or of a patient.
func (b *Books) Unpaid(visit, patient string) []Prescription {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []Prescription
	for _, p := range b.prescriptions {
		if p.State == Saved && (visit == "" || p.VisitNo == visit) && (patient == "" || p.PatientID == patient) {
			found = append(found, *p)
		}
	}
	return found
}

// Row of the ledger.
type Row struct {
	Refund                                  bool
	Order, RefundNo, ChannelNo, HisNo, Time string
	Operator                                string
	AmountFen                               int64
}

// Ledger lists the settlements and refunds of a day (yyyy-MM-dd) by the caller's
// own times; operator "" is everybody.
func (b *Books) Ledger(day, operator string) []Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rows []Row
	for _, s := range b.settlements {
		if Day(s.PaidAt) == day && (operator == "" || s.Operator == operator) {
			rows = append(rows, Row{Order: s.Order, ChannelNo: s.ChannelNo, HisNo: s.HisNo, Time: s.PaidAt, Operator: s.Operator, AmountFen: s.AmountFen})
		}
	}
	for _, r := range b.refunds {
		if Day(r.RefundedAt) == day && (operator == "" || r.Operator == operator) {
			rows = append(rows, Row{Refund: true, Order: r.Order, RefundNo: r.No, ChannelNo: r.ChannelNo, HisNo: r.HisNo, Time: r.RefundedAt, Operator: r.Operator, AmountFen: r.AmountFen})
		}
	}
	return rows
}

// Export copies the books.
func (b *Books) Export() Export {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Export{
		Prescriptions: copies(b.prescriptions), Settlements: copies(b.settlements), Refunds: copies(b.refunds),
		Voids: append([]Void{}, b.voids...), Journal: append([]Entry{}, b.journal...),
		ClinicExport: b.clinic.export(),
	}
}

// copies never gives nil, so that an empty list is [] in JSON.
func copies[T any](from []*T) []T {
	to := make([]T, len(from))
	for i := range from {
		to[i] = *from[i]
	}
	return to
}

// Edit changes the books behind everybody's back, so that the night has
// something to find. One of Settlement, Refund and Add.
type Edit struct {
	Settlement string      `json:"settlement"` // the caller's order number
	Refund     string      `json:"refund"`     // the caller's refund number
	Remove     bool        `json:"remove"`
	AmountFen  *int64      `json:"amount_fen"`
	Add        *Settlement `json:"add"`
}

// Check refuses an edit that says nothing or too much.
func (e Edit) Check() error {
	targets := 0
	for _, is := range []bool{e.Settlement != "", e.Refund != "", e.Add != nil} {
		if is {
			targets++
		}
	}
	switch {
	case targets != 1:
		return fmt.Errorf("edit: name one of settlement, refund, add")
	case e.Add != nil && (e.Add.Order == "" || e.Add.AmountFen == 0):
		return fmt.Errorf("edit: add needs order and amount_fen")
	case e.Add == nil && e.Remove == (e.AmountFen != nil):
		return fmt.Errorf("edit: say either remove or amount_fen")
	}
	return nil
}

// Edit applies e, or says what is not there.
func (b *Books) Edit(e Edit) error {
	if err := e.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.Add != nil:
		s := *e.Add
		b.settle(&s)
		return nil
	case e.Settlement != "":
		s := b.orders[e.Settlement]
		if s == nil {
			return fmt.Errorf("edit: no settlement %s", e.Settlement)
		}
		if e.Remove {
			b.settlements = drop(b.settlements, func(x *Settlement) bool { return x.Order == e.Settlement })
			delete(b.orders, e.Settlement)
			return nil
		}
		s.AmountFen = *e.AmountFen
		return nil
	}
	r := b.backs[e.Refund]
	if r == nil {
		return fmt.Errorf("edit: no refund %s", e.Refund)
	}
	if e.Remove {
		b.refunds = drop(b.refunds, func(x *Refund) bool { return x.No == e.Refund })
		delete(b.backs, e.Refund)
		return nil
	}
	r.AmountFen = *e.AmountFen
	return nil
}

func drop[T any](list []*T, gone func(*T) bool) []*T {
	var kept []*T
	for _, x := range list {
		if !gone(x) {
			kept = append(kept, x)
		}
	}
	return kept
}
