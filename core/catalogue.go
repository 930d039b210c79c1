package core

import "time"

// Kind names a transaction of the canonical catalogue, "payment.settle".
type Kind string

// The transactions that hishub knows.
const (
	PrescriptionCreate Kind = "prescription.create"
	PrescriptionVoid   Kind = "prescription.void"
	PrescriptionStatus Kind = "prescription.status"
	PaymentSettle      Kind = "payment.settle"
	PaymentStatus      Kind = "payment.status"
	RefundCreate       Kind = "refund.create"
	RefundStatus       Kind = "refund.status"
	BillUnpaid         Kind = "bill.unpaid"
	LedgerDetail       Kind = "ledger.detail"
)

// Mode tells how a transaction travels.
type Mode string

const (
	// Write: accepted, queued and delivered; changes something at the HIS.
	Write Mode = "write"
	// Question: answered at once, without the queue; changes nothing.
	Question Mode = "question"
)

// Transaction is one entry of the catalogue.
type Transaction struct {
	Kind Kind
	Mode Mode
	// Noun is the name under which a hospital folder sees the message.
	Noun string
	// Money is true when doing it twice, or not at all, costs somebody money.
	// Money always blocks its lane when parked and takes four eyes to supersede.
	Money bool
	// Keep is how long the answer to a question may be served again; 0 asks every time.
	Keep time.Duration
	// Title says what it does, for people.
	Title string
	// Body makes an empty message of this kind, Answer an empty answer: a
	// *Receipt for a write, a *Status for a question about one write.
	Body   func() Body
	Answer func() any
}

// Catalogue is every transaction, in the order of a patient's way.
var Catalogue = []Transaction{
	{PrescriptionCreate, Write, "prescription", false, 0, "upload a signed and reviewed prescription",
		func() Body { return new(Prescription) }, func() any { return new(Receipt) }},
	{PrescriptionVoid, Write, "prescription", false, 0, "void a prescription that was uploaded",
		func() Body { return new(PrescriptionVoiding) }, func() any { return new(Receipt) }},
	{PrescriptionStatus, Question, "prescription", false, 3 * time.Second, "what the HIS knows of a prescription",
		func() Body { return new(PrescriptionQuery) }, func() any { return new(Status) }},
	{BillUnpaid, Question, "bill", false, 0, "what a visit still has to pay, with the HIS's own amounts",
		func() Body { return new(BillQuery) }, func() any { return new(Bills) }},
	{PaymentSettle, Write, "payment", true, 0, "tell the HIS that bills were paid",
		func() Body { return new(Payment) }, func() any { return new(Receipt) }},
	{PaymentStatus, Question, "payment", false, 0, "what the HIS knows of a payment",
		func() Body { return new(PaymentQuery) }, func() any { return new(Status) }},
	{RefundCreate, Write, "refund", true, 0, "tell the HIS that money went back",
		func() Body { return new(Refund) }, func() any { return new(Receipt) }},
	{RefundStatus, Question, "refund", false, 0, "what the HIS knows of a refund",
		func() Body { return new(RefundQuery) }, func() any { return new(Status) }},
	{LedgerDetail, Question, "ledger", false, 0, "every payment and refund the HIS booked for us on a day",
		func() Body { return new(LedgerQuery) }, func() any { return new(Ledger) }},
}

// Lookup finds a transaction by its kind.
func Lookup(kind Kind) (Transaction, bool) {
	for _, t := range Catalogue {
		if t.Kind == kind {
			return t, true
		}
	}
	return Transaction{}, false
}
