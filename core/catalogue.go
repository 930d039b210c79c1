package core

import "time"

// Kind names a transaction of the canonical catalogue, "payment.settle".
type Kind string

// The transactions that hishub knows.
const (
	PatientRegister    Kind = "patient.register"
	PatientFind        Kind = "patient.find"
	AppointmentLock    Kind = "appointment.lock"
	AppointmentUnlock  Kind = "appointment.unlock"
	AppointmentBook    Kind = "appointment.book"
	AppointmentPay     Kind = "appointment.pay"
	AppointmentCancel  Kind = "appointment.cancel"
	AppointmentStatus  Kind = "appointment.status"
	QueueStatus        Kind = "queue.status"
	PrescriptionCreate Kind = "prescription.create"
	PrescriptionVoid   Kind = "prescription.void"
	PrescriptionStatus Kind = "prescription.status"
	DispenseReport     Kind = "prescription.dispense-status"
	OrderCreate        Kind = "order.create"
	OrderCancel        Kind = "order.cancel"
	OrderStatus        Kind = "order.status"
	BillUnpaid         Kind = "bill.unpaid"
	PaymentSettle      Kind = "payment.settle"
	PaymentStatus      Kind = "payment.status"
	RefundCreate       Kind = "refund.create"
	RefundStatus       Kind = "refund.status"
	InvoiceIssue       Kind = "invoice.issue"
	ReportList         Kind = "report.list"
	ReportDetail       Kind = "report.detail"
	DepartmentList     Kind = "department.list"
	DoctorList         Kind = "doctor.list"
	ScheduleList       Kind = "schedule.list"
	DrugList           Kind = "drug.list"
	StockList          Kind = "stock.list"
	ICDList            Kind = "icd.list"
	LedgerTotal        Kind = "ledger.total"
	LedgerDetail       Kind = "ledger.detail"
	SystemTimeAsk      Kind = "system.time"
	RefundApply        Kind = "refund.apply"
	RefundQueried      Kind = "refund.query"
	ClinicStopped      Kind = "clinic.stop"
	PrescriptionSeen   Kind = "prescription.reviewed"
	DrugsDispensed     Kind = "prescription.dispensed"
	ReportReady        Kind = "report.ready"
	BillCreated        Kind = "bill.created"
	LedgerPulled       Kind = "ledger.pull"
	LedgerPushed       Kind = "ledger.push"
	InsuranceLedger    Kind = "ledger.insurance"
	PayBack            Kind = "channel.refund"
	RecordMoney        Kind = "ledger.record"
)

// Mode tells how a transaction travels.
type Mode string

const (
	// Write: accepted, queued and delivered; changes something at the HIS.
	Write Mode = "write"
	// Question: answered at once, without the queue; changes nothing.
	Question Mode = "question"
	// Inbound: told or asked by the HIS; answered at once, and kept.
	Inbound Mode = "inbound"
	// Record: accepted into the ledger and done; nobody is told.
	Record Mode = "record"
	// ToChannel: a write that goes to a payment channel; no folder maps it.
	ToChannel Mode = "to_channel"
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
	// *Receipt for a write, a *Status for a question about one write. What we
	// answer to something inbound is a *Receipt, empty for a notice.
	Body   func() Body
	Answer func() any
}

// Catalogue is every transaction, in the order of a patient's way.
var Catalogue = []Transaction{
	{PatientRegister, Write, "patient", false, 0, "register a person, so that the HIS has a patient number",
		func() Body { return new(Patient) }, func() any { return new(Receipt) }},
	{PatientFind, Question, "patient", false, 0, "which records the HIS has of a person",
		func() Body { return new(PatientQuery) }, func() any { return new(Patients) }},
	{AppointmentLock, Write, "appointment", false, 0, "hold a place of a clinic session",
		func() Body { return new(SlotLock) }, func() any { return new(Receipt) }},
	{AppointmentUnlock, Write, "appointment", false, 0, "let a held place go",
		func() Body { return new(SlotRelease) }, func() any { return new(Receipt) }},
	{AppointmentBook, Write, "appointment", false, 0, "register a patient for a clinic session",
		func() Body { return new(Appointment) }, func() any { return new(Receipt) }},
	{AppointmentPay, Write, "appointment", true, 0, "tell the HIS that the registration fee was paid",
		func() Body { return new(AppointmentPayment) }, func() any { return new(Receipt) }},
	{AppointmentCancel, Write, "appointment", true, 0, "take an appointment back, with its money if it was paid",
		func() Body { return new(AppointmentCancelling) }, func() any { return new(Receipt) }},
	{AppointmentStatus, Question, "appointment", false, 0, "what the HIS knows of an appointment",
		func() Body { return new(AppointmentQuery) }, func() any { return new(Status) }},
	{QueueStatus, Question, "queue", false, 3 * time.Second, "where a patient stands in the waiting line",
		func() Body { return new(QueueQuery) }, func() any { return new(QueuePlaces) }},
	{PrescriptionCreate, Write, "prescription", false, 0, "upload a signed and reviewed prescription",
		func() Body { return new(Prescription) }, func() any { return new(Receipt) }},
	{PrescriptionVoid, Write, "prescription", false, 0, "void a prescription that was uploaded",
		func() Body { return new(PrescriptionVoiding) }, func() any { return new(Receipt) }},
	{PrescriptionStatus, Question, "prescription", false, 3 * time.Second, "what the HIS knows of a prescription",
		func() Body { return new(PrescriptionQuery) }, func() any { return new(Status) }},
	{DispenseReport, Write, "prescription", false, 0, "tell the HIS what became of the drugs that the platform hands out",
		func() Body { return new(Dispense) }, func() any { return new(Receipt) }},
	{OrderCreate, Write, "order", false, 0, "ask for laboratory tests or examinations",
		func() Body { return new(Order) }, func() any { return new(Receipt) }},
	{OrderCancel, Write, "order", false, 0, "take such an order back",
		func() Body { return new(OrderCancelling) }, func() any { return new(Receipt) }},
	{OrderStatus, Question, "order", false, 0, "what the HIS knows of an order",
		func() Body { return new(OrderQuery) }, func() any { return new(Status) }},
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
	{InvoiceIssue, Write, "invoice", false, 0, "have the electronic invoice of a payment issued",
		func() Body { return new(Invoice) }, func() any { return new(Receipt) }},
	{ReportList, Question, "report", false, 0, "which reports a patient has",
		func() Body { return new(ReportQuery) }, func() any { return new(Reports) }},
	{ReportDetail, Question, "report", false, 0, "one report with its results",
		func() Body { return new(ReportQuery) }, func() any { return new(Report) }},
	{DepartmentList, Question, "department", false, 5 * time.Minute, "the departments of the hospital",
		func() Body { return new(DictionaryQuery) }, func() any { return new(Departments) }},
	{DoctorList, Question, "doctor", false, 5 * time.Minute, "the doctors, in each of their departments",
		func() Body { return new(DictionaryQuery) }, func() any { return new(Doctors) }},
	{ScheduleList, Question, "schedule", false, 2 * time.Second, "clinic sessions with their places",
		func() Body { return new(DictionaryQuery) }, func() any { return new(Schedules) }},
	{DrugList, Question, "drug", false, 5 * time.Minute, "the drug catalogue with prices",
		func() Body { return new(DictionaryQuery) }, func() any { return new(Drugs) }},
	{StockList, Question, "stock", false, 2 * time.Second, "what the pharmacies have",
		func() Body { return new(DictionaryQuery) }, func() any { return new(Stocks) }},
	{ICDList, Question, "icd", false, 5 * time.Minute, "the HIS's own list of diagnoses",
		func() Body { return new(DictionaryQuery) }, func() any { return new(Terms) }},
	{LedgerTotal, Question, "ledger", false, 0, "counts and sums of what the HIS booked for us on a day",
		func() Body { return new(LedgerQuery) }, func() any { return new(LedgerTotals) }},
	{LedgerDetail, Question, "ledger", false, 0, "every payment and refund the HIS booked for us on a day",
		func() Body { return new(LedgerQuery) }, func() any { return new(Ledger) }},
	{InsuranceLedger, Question, "ledger", false, 0, "what the medical insurance settled on a day, asked through the hospital",
		func() Body { return new(LedgerQuery) }, func() any { return new(Ledger) }},
	{SystemTimeAsk, Question, "system", false, 0, "the HIS's clock",
		func() Body { return new(DictionaryQuery) }, func() any { return new(SystemTime) }},

	{RefundApply, Inbound, "refund", true, 0, "the HIS asks us to pay money back that was refunded at its window",
		func() Body { return new(WindowRefund) }, func() any { return new(Receipt) }},
	{RefundQueried, Inbound, "refund", false, 0, "the HIS asks what became of such a refund",
		func() Body { return new(WindowRefundQuery) }, func() any { return new(Status) }},
	{ClinicStopped, Inbound, "clinic", false, 0, "a clinic session does not take place, or another doctor takes it",
		func() Body { return new(ClinicStop) }, func() any { return new(Receipt) }},
	{PrescriptionSeen, Inbound, "prescription", false, 0, "the hospital's own pharmacist reviewed a prescription",
		func() Body { return new(ReviewNotice) }, func() any { return new(Receipt) }},
	{DrugsDispensed, Inbound, "prescription", false, 0, "the hospital's pharmacy handed drugs out, or took them back",
		func() Body { return new(DispenseNotice) }, func() any { return new(Receipt) }},
	{ReportReady, Inbound, "report", false, 0, "a report can be asked for",
		func() Body { return new(ReportNotice) }, func() any { return new(Receipt) }},
	{BillCreated, Inbound, "bill", false, 0, "a visit has something new to pay",
		func() Body { return new(BillNotice) }, func() any { return new(Receipt) }},
	{LedgerPulled, Inbound, "ledger", false, 0, "the HIS asks for what we booked on a day",
		func() Body { return new(LedgerPull) }, func() any { return new(Ledger) }},
	{LedgerPushed, Inbound, "ledger", false, 0, "the HIS sends what it booked on a day",
		func() Body { return new(LedgerPush) }, func() any { return new(Receipt) }},

	{PayBack, ToChannel, "channel", true, 0, "have a payment channel pay money back, without the HIS",
		func() Body { return new(ChannelRefund) }, func() any { return new(Receipt) }},
	{RecordMoney, Record, "ledger", true, 0, "put money into our ledger of which the HIS is not told",
		func() Body { return new(LedgerRecord) }, func() any { return new(Receipt) }},
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
