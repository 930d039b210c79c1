package books

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
