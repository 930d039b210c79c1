package core

import (
	"slices"
	"strings"
	"unicode"
)

// FoundBy is what a person may have in hand who looks for a message: numbers other
// than its business key, and what names its patient. Names of people are no numbers,
// and nobody is found by them.
func FoundBy(b Body) (numbers, patient []string) {
	switch b := b.(type) {
	case *Patient:
		patient = []string{b.PersonID, b.IDNo, b.Phone}
		if g := b.Guardian; g != nil {
			patient = append(patient, g.IDNo, g.Phone)
		}
	case *SlotLock:
		patient = []string{b.PatientNo}
	case *SlotRelease:
		numbers, patient = []string{b.LockNo}, []string{b.PatientNo}
	case *Appointment:
		numbers, patient = []string{b.LockNo}, []string{b.PatientNo}
	case *AppointmentPayment:
		numbers, patient = []string{b.HisNo, b.ChannelNo}, []string{b.PatientNo}
	case *AppointmentCancelling:
		numbers, patient = []string{b.HisNo, b.RefundNo, b.ChannelNo, b.ChannelRefundNo}, []string{b.PatientNo}
	case *Prescription:
		numbers, patient = []string{b.VisitNo}, []string{b.PatientNo, b.IDNo}
		if c := b.Consultation; c != nil {
			numbers = append(numbers, c.No)
		}
	case *PrescriptionVoiding:
		numbers, patient = []string{b.VisitNo, b.HisNo}, []string{b.PatientNo}
	case *Dispense:
		numbers, patient = []string{b.No, b.VisitNo, b.HisNo, b.TrackingNo}, []string{b.PatientNo}
	case *Order:
		numbers, patient = []string{b.VisitNo}, []string{b.PatientNo}
	case *OrderCancelling:
		numbers, patient = []string{b.VisitNo, b.HisNo}, []string{b.PatientNo}
	case *Payment:
		numbers, patient = append([]string{b.VisitNo, b.ChannelNo}, b.Bills...), []string{b.PatientNo}
	case *Refund:
		numbers, patient = []string{b.OrderID, b.VisitNo, b.HisNo, b.ChannelNo, b.ChannelRefundNo}, []string{b.PatientNo}
		for _, l := range b.Lines {
			numbers = append(numbers, l.BillNo)
		}
	case *Invoice:
		numbers, patient = []string{b.VisitNo, b.HisNo}, []string{b.PatientNo, b.Phone}
	case *ChannelRefund:
		numbers = []string{b.OrderID, b.ChannelNo}
	case *LedgerRecord:
		numbers = []string{b.Number, b.OrderID, b.ChannelNo}
	case *WindowRefund:
		numbers = []string{b.OrderID, b.ChannelNo, b.HisNo}
		for _, l := range b.Lines {
			numbers = append(numbers, l.BillNo)
		}
	case *DispenseNotice:
		numbers = []string{b.No, b.HisNo}
	case *ReviewNotice:
		numbers = []string{b.HisNo}
	case *ReportNotice:
		numbers, patient = []string{b.VisitNo}, []string{b.PatientNo}
	case *BillNotice:
		numbers, patient = []string{b.VisitNo}, []string{b.PatientNo}
	}
	return numbers, patient
}

// PatientTerm is how an identity card number, telephone or patient number is spelled
// where patients are looked for: without the blanks and dashes that people put into
// them, and with a capital X. "" names nobody.
func PatientTerm(s string) string {
	s = strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return r
	}, s))
	if rest, ok := strings.CutPrefix(s, "+86"); ok {
		return rest
	}
	return s
}

// Distinct drops what is empty, what is in without, and what comes twice.
func Distinct(all []string, without ...string) (distinct []string) {
	for _, s := range all {
		if s != "" && !slices.Contains(without, s) && !slices.Contains(distinct, s) {
			distinct = append(distinct, s)
		}
	}
	return distinct
}
