// Package rx is the clinic's prescriptions: written by a doctor in a consultation,
// checked by rules, signed and never changed after, reviewed by a pharmacist, paid, told
// to the HIS, and followed until the drugs are handed out.
package rx

import (
	"context"
	"embed"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/catalog"
	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/order"
	"hishub/platform/patient"
)

// State of a prescription.
type State string

// The states.
const (
	Draft     State = "draft"       // the doctor writes
	InReview  State = "in_review"   // signed; a pharmacist must look
	Rejected  State = "rejected"    // by the pharmacist; the doctor signs a new revision
	Approved  State = "approved"    // may be paid
	Paid      State = "paid"        // the HIS is being told
	SentHIS   State = "sent_to_his" // the HIS has it, paid
	Dispensed State = "dispensed"   // the drugs were handed out
	Returned  State = "returned"    // and taken back
	Void      State = "void"
	Expired   State = "expired" // not paid by its last day
)

// States is the machine.
var States = clinic.States[State]{
	Draft:     {InReview, Void},
	InReview:  {Approved, Rejected, Void, Expired},
	Rejected:  {InReview, Void, Expired},
	Approved:  {Paid, Void, Expired},
	Paid:      {SentHIS, Dispensed, Void},
	SentHIS:   {Dispensed, Void},
	Dispensed: {Returned},
}

// Content is what a doctor signs.
type Content struct {
	No              string           `json:"no"`
	Hospital        string           `json:"hospital"`
	Consult         string           `json:"consult"`
	VisitNo         string           `json:"visit_no"`
	Patient         string           `json:"patient" doc:"our number of the patient"`
	PatientNo       string           `json:"patient_no" doc:"the HIS's number"`
	PatientName     string           `json:"patient_name"`
	Sex             core.Sex         `json:"sex"`
	BirthDate       string           `json:"birth_date"`
	IDNo            string           `json:"id_no,omitempty"`
	DepartmentCode  string           `json:"department_code"`
	DepartmentName  string           `json:"department_name,omitempty"`
	DoctorCode      string           `json:"doctor_code"`
	DoctorName      string           `json:"doctor_name"`
	Knowledge       int              `json:"knowledge" doc:"version of the facts that it was checked with"`
	WrittenAt       time.Time        `json:"written_at"`
	ValidUntil      time.Time        `json:"valid_until"`
	Items           []Item           `json:"items"`
	Diagnoses       []core.Diagnosis `json:"diagnoses"`
	Category        core.Category    `json:"category"`
	LongReason      string           `json:"long_reason,omitempty"`
	GuardianPresent bool             `json:"guardian_present,omitempty"`
	Note            string           `json:"note,omitempty"`
	Answers         []Answer         `json:"answers,omitempty"`
}

// Item is one drug (FHIR MedicationRequest.dosageInstruction). It has no price: that is
// the order's.
type Item struct {
	Code      string `json:"code" minLength:"1" maxLength:"64"`
	Name      string `json:"name,omitempty" readOnly:"true" maxLength:"200"`
	Spec      string `json:"spec,omitempty" readOnly:"true" maxLength:"200"`
	Qty       string `json:"qty" maxLength:"24" doc:"packs to dispense, decimal text"`
	Unit      string `json:"unit,omitempty" readOnly:"true" maxLength:"64"`
	Dose      string `json:"dose" maxLength:"24" doc:"one dose, decimal text"`
	DoseUnit  string `json:"dose_unit" minLength:"1" maxLength:"64"`
	Frequency string `json:"frequency" minLength:"1" maxLength:"64"`
	Route     string `json:"route" minLength:"1" maxLength:"64"`
	Days      int    `json:"days" minimum:"1" maximum:"180"`
	Note      string `json:"note,omitempty" maxLength:"200"`
}

// Answer is a doctor's word to a warning.
type Answer struct {
	Hit    Hit    `json:"hit"`
	Reason string `json:"reason" minLength:"1" maxLength:"200"`
}

// Writing is what a doctor writes of a draft; the rest is known.
type Writing struct {
	Category        core.Category    `json:"category" enum:"western,patent,herbal"`
	Diagnoses       []core.Diagnosis `json:"diagnoses" minItems:"1" maxItems:"5"`
	Items           []Item           `json:"items" minItems:"1" maxItems:"30"`
	ValidDays       int              `json:"valid_days" minimum:"1" maximum:"3" doc:"to the end of that day: 1 is today"`
	LongReason      string           `json:"long_reason,omitempty" maxLength:"200" doc:"why more than seven days of drugs"`
	GuardianPresent bool             `json:"guardian_present,omitempty" doc:"of a child under six"`
	Note            string           `json:"note,omitempty" maxLength:"500"`
	Answers         []Answer         `json:"answers,omitempty" maxItems:"50" doc:"to warnings, each as it was given"`
	Version         int              `json:"version,omitempty" minimum:"0" maximum:"2147483647" doc:"of the draft that was read; 0 for a new one"`
}

// Rx is a prescription as the clinic sees it.
type Rx struct {
	No         string     `json:"no"`
	Hospital   string     `json:"hospital"`
	Consult    string     `json:"consult"`
	State      State      `json:"state" enum:"draft,in_review,rejected,approved,paid,sent_to_his,dispensed,returned,void,expired"`
	Revision   int        `json:"revision" doc:"the last that was signed; 0: none"`
	Version    int        `json:"version" doc:"of the draft"`
	Patient    string     `json:"patient"`
	Doctor     string     `json:"doctor" doc:"code"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
	HisNo      string     `json:"his_no,omitempty"`
	HisProblem string     `json:"his_problem,omitempty" doc:"why the HIS has not got it"`
	Why        string     `json:"why,omitempty" doc:"it was rejected or voided"`
	Order      string     `json:"order,omitempty" doc:"the order that pays for it"`
	// Content is the draft, or what was signed last.
	Content Content `json:"content"`
	// Hits of the rules on the content.
	Hits []Hit `json:"hits"`

	author, account int64
	told            bool
}

// Consult is what a prescription needs to know of the consultation in which it is written.
type Consult struct {
	No, VisitNo, Patient           string
	Account                        int64
	DepartmentCode, DepartmentName string
	DoctorCode, DoctorName         string
	DoctorAccount                  int64
	Complaint, History, Allergies  string
	StartedAt                      time.Time
}

// What the module needs of others.
type (
	// Consults is the consult module. Active is ErrState for a consultation that is not going
	// on, and ErrNotFound for one of another doctor.
	Consults interface {
		Active(ctx context.Context, hospital, no, doctor string) (Consult, error)
		Get(ctx context.Context, hospital, no string) (Consult, error)
	}
	// Patients is the patient module.
	Patients interface {
		Get(ctx context.Context, no string) (patient.Record, error)
		Identity(ctx context.Context, hospital, no string) (patient.Identity, error)
	}
	// Drugs is the catalog module.
	Drugs interface {
		Drug(ctx context.Context, hospital, code string) (catalog.Drug, error)
		Diagnosis(ctx context.Context, hospital, code, said string) (catalog.Term, error)
		Knowledge(ctx context.Context, hospital string) (catalog.Knowledge, error)
	}
	// Orders is the order module.
	Orders interface {
		Create(ctx context.Context, tx pgx.Tx, outbox core.Outbox, n order.New) (order.Order, error)
		OfSubject(ctx context.Context, q order.Querier, hospital string, kind order.Kind, subject string) (order.Order, error)
		Lock(ctx context.Context, tx pgx.Tx, no string) (order.Order, error)
		Close(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no, why string, fromPaying bool) (order.Order, error)
	}
	// Licences is the identity module; ErrRule with the rule's name when somebody has none.
	Licences interface {
		Licensed(ctx context.Context, account int64, hospital string, kind identity.LicenceKind, at time.Time) error
	}
	// People is the identity module.
	People interface {
		Account(ctx context.Context, id int64) (identity.Account, error)
	}
	// Cards tells the patient, in the conversation of the consultation, what became of it.
	Cards interface {
		Card(ctx context.Context, tx pgx.Tx, hospital, consult, kind, no, text string) error
	}
	// Payback gives the money of an order back, all that is left of it; nothing when none was paid.
	Payback interface {
		GiveBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, reason string) error
	}
	// Notices is the notify module.
	Notices interface {
		Send(ctx context.Context, tx pgx.Tx, account int64, event string, params map[string]string) error
	}
	// Fulfilment hands out the drugs of what is paid, and not those of what is taken back.
	// It takes its locks after the prescription's.
	Fulfilment interface {
		Start(ctx context.Context, tx pgx.Tx, hospital, no, patient string, account int64, validUntil time.Time) error
		Stop(ctx context.Context, tx pgx.Tx, hospital, no string) error
	}
)

// Service is the module.
type Service struct {
	*clinic.Clinic
	Consults   Consults
	Patients   Patients
	Drugs      Drugs
	Orders     Orders
	Licences   Licences
	People     People
	Cards      Cards
	Payback    Payback
	Fulfilment Fulfilment
	Notices    Notices
	Signer     Signer
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "rx", schema)
}
