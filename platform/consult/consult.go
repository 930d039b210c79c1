// Package consult is the follow-up consultation online: opened by a patient with proof
// that a physical hospital has seen the disease before, paid, accepted or refused by the
// doctor, held as a chat, ended with a summary.
package consult

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/directory"
	"hishub/platform/identity"
	"hishub/platform/order"
	"hishub/platform/patient"
)

// State of a consultation.
type State string

// The states.
const (
	Created   State = "created"   // to be paid
	Waiting   State = "waiting"   // paid; the doctor has not answered
	Active    State = "active"    // doctor and patient talk
	Ended     State = "ended"     // the doctor can still write the summary
	Archived  State = "archived"  // nothing of it changes any more
	Refused   State = "refused"   // by the doctor; the money goes back
	TimedOut  State = "timed_out" // the doctor did not answer; the money goes back
	Cancelled State = "cancelled" // by the patient, or not paid
)

// States is the machine.
var States = clinic.States[State]{
	Created: {Waiting, Cancelled},
	Waiting: {Active, Refused, TimedOut, Cancelled},
	Active:  {Ended},
	Ended:   {Archived},
}

// Proof that a physical hospital has diagnosed the disease: only follow-ups are held online.
type Proof struct {
	Hospital  string   `json:"hospital" minLength:"1" maxLength:"100" doc:"where it was diagnosed"`
	Diagnosis string   `json:"diagnosis" minLength:"1" maxLength:"200"`
	Date      string   `json:"date" maxLength:"10" doc:"yyyy-MM-dd"`
	Images    []string `json:"images,omitempty" maxItems:"9" doc:"numbers of pictures of the record"`
}

// Details are what the patient tells.
type Details struct {
	Complaint string `json:"complaint" minLength:"2" maxLength:"1000" doc:"what the patient comes with"`
	History   string `json:"history,omitempty" maxLength:"1000"`
	Allergies string `json:"allergies,omitempty" maxLength:"200"`
	Proof     Proof  `json:"proof"`
}

// Summary is what the doctor concludes.
type Summary struct {
	Diagnosis string `json:"diagnosis" minLength:"1" maxLength:"500"`
	Advice    string `json:"advice" minLength:"1" maxLength:"2000"`
	// Refer: the disease is not one for online treatment; the patient is sent to a hospital.
	Refer bool `json:"refer,omitempty" doc:"the patient must see a doctor in person"`
}

// Consult is a consultation (FHIR Encounter, class VR).
type Consult struct {
	No           string     `json:"no"`
	Hospital     string     `json:"hospital"`
	Doctor       string     `json:"doctor" doc:"code"`
	Department   string     `json:"department" doc:"code"`
	Patient      string     `json:"patient" doc:"our number"`
	State        State      `json:"state" enum:"created,waiting,active,ended,archived,refused,timed_out,cancelled"`
	Fee          core.Fen   `json:"fee" doc:"fen"`
	Order        string     `json:"order,omitempty" doc:"the order that pays for it"`
	Conversation string     `json:"conversation,omitempty"`
	AcceptUntil  *time.Time `json:"accept_until,omitempty"`
	StartedAt    *time.Time `json:"started_at,omitempty"`
	EndsAt       *time.Time `json:"ends_at,omitempty"`
	EndedAt      *time.Time `json:"ended_at,omitempty"`
	Rating       *int       `json:"rating,omitempty"`
	Why          string     `json:"why,omitempty" doc:"it was refused or cancelled"`
	Details      Details    `json:"details"`
	Summary      *Summary   `json:"summary,omitempty"`
	Who          *Who       `json:"who,omitempty" doc:"whom the doctor treats; for him alone"`

	account, doctorAccount int64
	acceptWithin, lasts    int
}

// Who is treated, as the doctor must know him.
type Who struct {
	Name     string         `json:"name"`
	Sex      core.Sex       `json:"sex"`
	Age      int            `json:"age" doc:"whole years"`
	Guardian *core.Guardian `json:"guardian,omitempty" doc:"of a child under 14"`
}

// What the module needs of others.
type (
	// Patients is the patient module.
	Patients interface {
		Bookable(ctx context.Context, account int64, no string) (patient.Record, error)
		Identity(ctx context.Context, hospital, no string) (patient.Identity, error)
		Get(ctx context.Context, no string) (patient.Record, error)
	}
	// Doctors is the directory module.
	Doctors interface {
		Doctor(ctx context.Context, hospital, code string) (directory.Doctor, error)
		Departments(ctx context.Context, hospital string) ([]directory.Department, error)
	}
	// People is the identity module.
	People interface {
		Licensed(ctx context.Context, account int64, hospital string, kind identity.LicenceKind, at time.Time) error
		Consented(ctx context.Context, account int64, kind identity.ConsentKind) error
	}
	// Orders is the order module.
	Orders interface {
		Create(ctx context.Context, tx pgx.Tx, outbox core.Outbox, n order.New) (order.Order, error)
		OfSubject(ctx context.Context, q order.Querier, hospital string, kind order.Kind, subject string) (order.Order, error)
		Lock(ctx context.Context, tx pgx.Tx, no string) (order.Order, error)
		Close(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no, why string, fromPaying bool) (order.Order, error)
	}
	// Payback gives the money of an order back.
	Payback interface {
		GiveBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, reason string) error
	}
	// Chat is the chat module. Open makes a conversation of two accounts, about a patient, and returns its
	// number; Card shows something in it that no person wrote; Close ends it: it can be read
	// and not written.
	Chat interface {
		Open(ctx context.Context, tx pgx.Tx, hospital, subject, patient string, account, doctor int64) (string, error)
		Card(ctx context.Context, tx pgx.Tx, conversation, kind, no, text string) error
		Close(ctx context.Context, tx pgx.Tx, conversation string) error
	}
	// Notices is the notify module.
	Notices interface {
		Send(ctx context.Context, tx pgx.Tx, account int64, event string, params map[string]string) error
	}
	// Video gives an address at which somebody joins a consultation's call.
	Video interface {
		Join(ctx context.Context, consult string, p clinic.Person) (url string, err error)
	}
)

// Service is the module.
type Service struct {
	*clinic.Clinic
	Patients Patients
	Doctors  Doctors
	People   People
	Orders   Orders
	Payback  Payback
	Chat     Chat
	Notices  Notices // nil: people see what is new when they look
	Video    Video   // nil: this installation has no video
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "consult", schema)
}

// payWithin is how long a new consultation may be paid.
const payWithin = 15 * time.Minute

// young is the age below which a guardian is with the child (rule guardian).
const young = 6

// Open a consultation with a doctor for one of an account's patients; paying its order
// puts it before the doctor. One of nothing waits at once.
func (s *Service) Open(ctx context.Context, p clinic.Person, hospital, doctor, patientNo string, d Details) (Consult, error) {
	k, err := s.open(ctx, p, hospital, doctor, patientNo, d)
	if err != nil {
		return Consult{}, fmt.Errorf("open consultation: %w", err)
	}
	return k, nil
}

func (s *Service) open(ctx context.Context, p clinic.Person, hospital, doctor, patientNo string, d Details) (Consult, error) {
	if err := d.check(time.Now()); err != nil {
		return Consult{}, err
	}
	if err := s.People.Consented(ctx, p.Account, identity.InternetDiagnosis); err != nil {
		return Consult{}, err
	}
	who, err := s.Patients.Bookable(ctx, p.Account, patientNo)
	if err != nil {
		return Consult{}, err
	}
	if who.Age(time.Now()) < young && who.Guardian == nil {
		return Consult{}, fmt.Errorf("%w: guardian: a child under six is brought by its guardian", clinic.ErrRule)
	}
	if _, err := s.Patients.Identity(ctx, hospital, patientNo); err != nil {
		return Consult{}, err
	}
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return Consult{}, err
	}
	var o Offer
	var account int64
	err = s.Database.QueryRow(ctx, `select account, department, fee, accept_within, lasts, daily, open from consult.service where hospital = $1 and doctor = $2`, hospital, doctor).
		Scan(&account, &o.Department, &o.Fee, &o.AcceptWithin, &o.Lasts, &o.Daily, &o.Open)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Consult{}, clinic.ErrNotFound
	case err != nil:
		return Consult{}, err
	case !o.Open:
		return Consult{}, fmt.Errorf("%w: this doctor takes no consultations now", clinic.ErrState)
	case account == p.Account:
		return Consult{}, fmt.Errorf("%w: nobody consults himself", clinic.ErrRule)
	}
	if err := s.People.Licensed(ctx, account, hospital, identity.Physician, time.Now()); err != nil {
		return Consult{}, err
	}
	no := clinic.NewNumber("CS", time.Now())
	text, err := json.Marshal(d)
	if err != nil {
		return Consult{}, err
	}
	sealed, err := s.Vault.Seal(text, "consultation", no)
	if err != nil {
		return Consult{}, err
	}
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		// The day's places of a doctor are counted one after the other.
		if _, err := tx.Exec(ctx, `select from consult.service where hospital = $1 and doctor = $2 for update`, hospital, doctor); err != nil {
			return err
		}
		var today int
		if err := tx.QueryRow(ctx, `select count(*) from consult.consult where hospital = $1 and doctor = $2 and state <> 'cancelled'
			and created_at >= date_trunc('day', clock_timestamp() at time zone $3) at time zone $3`, hospital, doctor, place.Zone.String()).Scan(&today); err != nil {
			return err
		}
		if today >= o.Daily {
			return fmt.Errorf("%w: this doctor's consultations of today are taken", clinic.ErrState)
		}
		_, err := tx.Exec(ctx, `insert into consult.consult (no, hospital, doctor, doctor_account, department, account, patient, state, details, fee, accept_within, lasts)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			no, hospital, doctor, account, o.Department, p.Account, patientNo, Created, sealed, o.Fee, o.AcceptWithin, o.Lasts)
		if clinic.Duplicate(err) {
			return fmt.Errorf("%w: this patient has a consultation with this doctor", clinic.ErrState)
		} else if err != nil {
			return err
		}
		pays, err := s.Orders.Create(ctx, tx, outbox, order.New{Hospital: hospital, Subject: no, Patient: patientNo, Kind: order.Consultation, Account: p.Account, Lines: lines(o.Fee), Within: payWithin})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update consult.consult set order_no = $2 where no = $1`, no, pays.No)
		return err
	})
	if err != nil {
		return Consult{}, err
	}
	return s.Get(ctx, hospital, no)
}

func lines(fee core.Fen) []order.Line {
	return []order.Line{{Name: "在线复诊", Qty: "1", Amount: fee}}
}

func (d Details) check(now time.Time) error {
	var ps core.Problems
	if strings.TrimSpace(d.Complaint) == "" {
		ps = append(ps, core.Problem{Field: "complaint", What: "missing"})
	}
	switch day, err := time.Parse(time.DateOnly, d.Proof.Date); {
	case strings.TrimSpace(d.Proof.Hospital) == "" || strings.TrimSpace(d.Proof.Diagnosis) == "":
		ps = append(ps, core.Problem{Field: "proof", What: "rule follow-up: say where and as what a hospital has diagnosed it before"})
	case err != nil:
		ps = append(ps, core.Problem{Field: "proof.date", What: "is no date, as 2026-01-05"})
	case day.After(now):
		ps = append(ps, core.Problem{Field: "proof.date", What: "rule follow-up: is in the future"})
	}
	return ps.OrNil()
}

// Accept a consultation that waits: the doctor has looked at the proof and confirms that
// it is a follow-up. The conversation begins.
func (s *Service) Accept(ctx context.Context, p clinic.Person, hospital, no string, followUp bool) (Consult, error) {
	if !followUp {
		return Consult{}, fmt.Errorf("accept consultation: %w: follow-up: only what a hospital has diagnosed before is treated online; refuse it", clinic.ErrRule)
	}
	return s.doctors(ctx, "accept consultation", p, hospital, no, func(tx pgx.Tx, _ core.Outbox, k Consult) error {
		if err := s.People.Licensed(ctx, p.Account, hospital, identity.Physician, time.Now()); err != nil {
			return err
		}
		if _, err := States.Move(k.State, Active); err != nil {
			return err
		}
		conversation, err := s.Chat.Open(ctx, tx, hospital, no, k.Patient, k.account, k.doctorAccount)
		if err != nil {
			return err
		}
		return s.move(ctx, tx, k, Active, `conversation = $3, started_at = statement_timestamp(), ends_at = statement_timestamp() + make_interval(mins => lasts)`, conversation)
	})
}

// Refuse a consultation that waits; the money goes back.
func (s *Service) Refuse(ctx context.Context, p clinic.Person, hospital, no, reason string) (Consult, error) {
	return s.doctors(ctx, "refuse consultation", p, hospital, no, func(tx pgx.Tx, outbox core.Outbox, k Consult) error {
		return s.giveUp(ctx, tx, outbox, k, Refused, reason)
	})
}

// End a consultation, with what the doctor concludes.
func (s *Service) End(ctx context.Context, p clinic.Person, hospital, no string, sum Summary) (Consult, error) {
	return s.doctors(ctx, "end consultation", p, hospital, no, func(tx pgx.Tx, _ core.Outbox, k Consult) error {
		if k.State == Active {
			if err := s.end(ctx, tx, k); err != nil {
				return err
			}
		} else if k.State != Ended {
			return fmt.Errorf("%w: it is %s", clinic.ErrState, k.State)
		}
		text, err := json.Marshal(sum)
		if err != nil {
			return err
		}
		sealed, err := s.Vault.Seal(text, "consultation summary", no)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update consult.consult set summary = $2, updated_at = clock_timestamp() where no = $1`, no, sealed)
		return err
	})
}

func (s *Service) end(ctx context.Context, tx pgx.Tx, k Consult) error {
	if err := s.move(ctx, tx, k, Ended, `ended_at = clock_timestamp()`); err != nil {
		return err
	}
	if err := s.Chat.Card(ctx, tx, k.Conversation, "consult", k.No, "本次复诊已结束"); err != nil {
		return err
	}
	return s.Chat.Close(ctx, tx, k.Conversation)
}

// Cancel a consultation that no doctor has accepted; what was paid goes back.
func (s *Service) Cancel(ctx context.Context, p clinic.Person, no string) (Consult, error) {
	k, err := s.Own(ctx, p.Account, no)
	if err != nil {
		return k, err
	}
	return s.change(ctx, "cancel consultation", k.Hospital, no, func(tx pgx.Tx, outbox core.Outbox, k Consult) error {
		return s.giveUp(ctx, tx, outbox, k, Cancelled, "患者取消")
	})
}

// Rate a consultation that is over, once.
func (s *Service) Rate(ctx context.Context, p clinic.Person, no string, stars int) (Consult, error) {
	tag, err := s.Database.Exec(ctx, `update consult.consult set rating = $3 where no = $1 and account = $2 and state in ('ended', 'archived') and rating is null`, no, p.Account, stars)
	if err != nil {
		return Consult{}, fmt.Errorf("rate consultation: %w", err)
	}
	k, err := s.Own(ctx, p.Account, no)
	if err == nil && tag.RowsAffected() == 0 {
		return k, fmt.Errorf("rate consultation: %w: it is rated, or not over", clinic.ErrState)
	}
	return k, err
}

// giveUp ends a consultation before it began. Its order is held: what was paid goes back,
// what was not is closed.
func (s *Service) giveUp(ctx context.Context, tx pgx.Tx, outbox core.Outbox, k Consult, to State, reason string) error {
	why, err := s.Vault.Seal([]byte(reason), "consultation why", k.No)
	if err != nil {
		return err
	}
	if err := s.move(ctx, tx, k, to, `why = $3`, why); err != nil {
		return err
	}
	o, err := s.Orders.OfSubject(ctx, tx, k.Hospital, order.Consultation, k.No)
	switch {
	case errors.Is(err, clinic.ErrNotFound):
		return nil
	case err != nil:
		return err
	case o.State == order.Paid && o.Amount > 0:
		return s.Payback.GiveBack(ctx, tx, outbox, o, reason)
	case o.State == order.Paid:
		return nil
	}
	_, err = s.Orders.Close(ctx, tx, outbox, o.No, "the consultation was cancelled", false)
	return err
}

// doctors changes a consultation of the doctor's own; another's does not exist for him.
func (s *Service) doctors(ctx context.Context, doing string, p clinic.Person, hospital, no string, f func(pgx.Tx, core.Outbox, Consult) error) (Consult, error) {
	return s.change(ctx, doing, hospital, no, func(tx pgx.Tx, outbox core.Outbox, k Consult) error {
		if code := p.Code(clinic.Doctor, hospital); code == "" || code != k.Doctor || p.Account != k.doctorAccount {
			return clinic.ErrNotFound
		}
		return f(tx, outbox, k)
	})
}

// change holds the order, if there is one, then the consultation, and changes it.
func (s *Service) change(ctx context.Context, doing, hospital, no string, f func(pgx.Tx, core.Outbox, Consult) error) (Consult, error) {
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		o, err := s.Orders.OfSubject(ctx, tx, hospital, order.Consultation, no)
		if err == nil {
			_, err = s.Orders.Lock(ctx, tx, o.No)
		}
		if err != nil && !errors.Is(err, clinic.ErrNotFound) {
			return err
		}
		k, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		return f(tx, outbox, k)
	})
	if err != nil {
		return Consult{}, fmt.Errorf("%s: %w", doing, err)
	}
	return s.Get(ctx, hospital, no)
}
