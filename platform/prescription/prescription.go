// Package prescription is the clinic's prescriptions: signed by a doctor,
// reviewed by a pharmacist, paid, told to the HIS.
package prescription

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// State of a prescription.
type State string

const (
	InReview State = "in_review"   // signed; a pharmacist must look
	Rejected State = "rejected"    // by the pharmacist; the doctor signs a new revision
	Approved State = "approved"    // may be paid
	Paid     State = "paid"        // the HIS is being told
	SentHIS  State = "sent_to_his" // the HIS has it
	Void     State = "void"
	Expired  State = "expired" // not paid by its last day; never stored, see by
)

// States is the machine; signing starts it in review.
var States = clinic.States[State]{
	InReview: {Approved, Rejected, Void, Expired},
	Rejected: {InReview, Void, Expired},
	Approved: {Paid, Void, Expired},
	Paid:     {SentHIS, Void},
	SentHIS:  {Void},
}

// Rx is a prescription as the clinic sees it.
type Rx struct {
	Hospital   string    `json:"hospital"`
	No         string    `json:"no"`
	Revision   int       `json:"revision"`
	State      State     `json:"state"`
	Doctor     string    `json:"doctor"`
	Pharmacist string    `json:"pharmacist,omitempty"`
	ReviewedAt time.Time `json:"reviewed_at,omitzero"`
	Reason     string    `json:"reason,omitempty"`
	ValidUntil time.Time `json:"valid_until"`
	// HisNo is the HIS's own number, once it has it; HisProblem says why it has not.
	HisNo      string `json:"his_no,omitempty"`
	HisProblem string `json:"his_problem,omitempty"`
	// Content is what the doctor signed, with the review once there is one.
	Content *core.Prescription `json:"-"`
}

// Service is the module.
type Service struct{ *clinic.Clinic }

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "prescription", schema)
}

const maxValidity = 3 * 24 * time.Hour

// Sign saves a prescription that its doctor has signed and sends it to review.
// Signing a rejected one again makes its next revision. PharmacistCode and Review
// are not the doctor's to say: the review fills them.
func (s *Service) Sign(ctx context.Context, hospital string, p core.Prescription) (Rx, error) {
	switch {
	case p.ValidUntil.Sub(p.WrittenAt) > maxValidity:
		return Rx{}, fmt.Errorf("sign prescription: %w: a prescription is valid for three days at most", clinic.ErrRule)
	case p.Category == "western" && len(p.Items) > 5:
		return Rx{}, fmt.Errorf("sign prescription: %w: a western prescription has five drugs at most", clinic.ErrRule)
	}
	reviewed := p
	reviewed.PharmacistCode, reviewed.Review = "pending", nil // everything else must be right already
	if err := reviewed.Validate(); err != nil {
		return Rx{}, err
	}
	if p.ValidUntil.Before(time.Now()) {
		return Rx{}, fmt.Errorf("sign prescription: %w: it would be expired already", clinic.ErrRule)
	}
	p.PharmacistCode, p.Review = "", nil
	content, err := json.Marshal(p)
	if err != nil {
		return Rx{}, err
	}
	sealed, err := s.Vault.Seal(content, "prescription", hospital+"/"+p.No)
	if err != nil {
		return Rx{}, err
	}
	var out Rx
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if err := s.save(ctx, tx, hospital, &p, content, sealed); err != nil {
			return err
		}
		out, err = s.lock(ctx, tx, hospital, p.No)
		return err
	})
	if err != nil {
		return Rx{}, fmt.Errorf("sign prescription: %w", err)
	}
	return out, nil
}

// save writes a new prescription, or the next revision of one that may have one.
func (s *Service) save(ctx context.Context, tx pgx.Tx, hospital string, p *core.Prescription, content, sealed []byte) error {
	hash := sha256.Sum256(content)
	tag, err := tx.Exec(ctx, `insert into prescription.prescription (hospital, no, state, doctor, content, content_hash, signed_at, valid_until)
		values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
		hospital, p.No, InReview, p.DoctorCode, sealed, hash[:], p.WrittenAt, p.ValidUntil)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	old, err := s.lock(ctx, tx, hospital, p.No)
	if err != nil {
		return err
	}
	if old.Doctor != p.DoctorCode {
		return fmt.Errorf("%w: another doctor wrote it", clinic.ErrRule)
	}
	return s.move(ctx, tx, old.by(time.Now()), InReview,
		`revision = revision + 1, content = $4, content_hash = $5, signed_at = $6, valid_until = $7, pharmacist = null, review = null, reason = ''`,
		sealed, hash[:], p.WrittenAt, p.ValidUntil)
}

// Pay is called by the payment module in its own transaction: the prescriptions
// are paid and the HIS must be told of them, in the order of their numbers. They
// must be of one visit. at is when the money came.
func (s *Service) Pay(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital string, nos []string, at time.Time) ([]*core.Prescription, error) {
	paid := make([]*core.Prescription, 0, len(nos))
	for _, no := range slices.Sorted(slices.Values(nos)) {
		p, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return nil, fmt.Errorf("pay prescription: %w", err)
		}
		if err := s.move(ctx, tx, p.by(at), Paid, ""); err != nil {
			return nil, fmt.Errorf("pay prescription: %w", err)
		}
		paid = append(paid, p.Content)
		if p.Content.VisitNo != paid[0].VisitNo || p.Content.PatientNo != paid[0].PatientNo {
			return nil, fmt.Errorf("pay prescription: %w: one payment pays prescriptions of one visit", clinic.ErrRule)
		}
	}
	for _, p := range paid {
		if _, err := outbox.Enqueue(ctx, hospital, core.Message{Kind: core.PrescriptionCreate, Body: p}); err != nil {
			return nil, err
		}
	}
	return paid, nil
}

// Void takes a prescription back; when the HIS was told of it, it is told of this too.
func (s *Service) Void(ctx context.Context, hospital, no, operator, reason string) (Rx, error) {
	return s.change(ctx, "void prescription", hospital, no, func(tx pgx.Tx, outbox core.Outbox, p Rx) error {
		if p.State == Paid || p.State == SentHIS {
			_, err := outbox.Enqueue(ctx, hospital, core.Message{Kind: core.PrescriptionVoid, Body: &core.PrescriptionVoiding{
				No: no, VisitNo: p.Content.VisitNo, PatientNo: p.Content.PatientNo, HisNo: p.HisNo,
				Reason: reason, OperatorCode: operator, VoidedAt: time.Now(),
			}})
			if err != nil {
				return err
			}
		}
		return s.move(ctx, tx, p, Void, `reason = $4`, reason)
	})
}

// Get returns one prescription with its content.
func (s *Service) Get(ctx context.Context, hospital, no string) (Rx, error) {
	p, err := s.read(ctx, s.Database, hospital, no, "")
	return p.by(time.Now()), err
}

// Mine are the events of prescriptions that were written here.
func (s *Service) Mine(ctx context.Context, tx pgx.Tx, events []core.Event) ([]core.Event, error) {
	return clinic.Known(ctx, tx, "prescription.prescription", "no", events, core.PrescriptionCreate, core.PrescriptionVoid)
}

// Take is the module's side of the inbox. It does not look at the content: one
// that was tampered with must not hold up the events of all others.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	if e.Kind != core.PrescriptionCreate && e.Kind != core.PrescriptionVoid {
		return nil
	}
	var from State
	err := tx.QueryRow(ctx, `select state from prescription.prescription where hospital = $1 and no = $2 for update`, e.Hospital, e.Key).Scan(&from)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // submitted by somebody else
	} else if err != nil {
		return err
	}
	to, no, problem := from, "", ""
	switch {
	case e.Type == core.EventDelivered && e.Kind == core.PrescriptionCreate:
		if e.Receipt != nil {
			no = e.Receipt.HisNo
		}
		if to, err = States.Move(from, SentHIS); err != nil {
			to = from // voided meanwhile, or told twice
		}
	case e.Type == core.EventDelivered:
	case e.Type != core.EventParked && e.Type != core.EventCancelled, e.Kind == core.PrescriptionCreate && from != Paid:
		return nil // the second: it came late, the HIS has it, or must not have it
	default:
		problem = e.Reason
	}
	_, err = tx.Exec(ctx, `update prescription.prescription set state = $3, his_no = coalesce(nullif($4, ''), his_no), his_problem = $5, updated_at = clock_timestamp()
		where hospital = $1 and no = $2`, e.Hospital, e.Key, to, no, problem)
	return err
}

func (s *Service) change(ctx context.Context, doing, hospital, no string, f func(pgx.Tx, core.Outbox, Rx) error) (out Rx, err error) {
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		p, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		if err := f(tx, outbox, p.by(time.Now())); err != nil {
			return err
		}
		out, err = s.lock(ctx, tx, hospital, no)
		return err
	})
	if err != nil {
		return Rx{}, fmt.Errorf("%s: %w", doing, err)
	}
	return out, nil
}

func (s *Service) move(ctx context.Context, tx pgx.Tx, p Rx, to State, set string, args ...any) error {
	if _, err := States.Move(p.State, to); err != nil {
		return err
	}
	if set != "" {
		set = ", " + set
	}
	_, err := tx.Exec(ctx, `update prescription.prescription set state = $3, updated_at = clock_timestamp()`+set+` where hospital = $1 and no = $2`,
		append([]any{p.Hospital, p.No, to}, args...)...)
	return err
}

// by is the prescription as it was at that time: one that was not paid by its
// last day is expired.
func (p Rx) by(at time.Time) Rx {
	if expired, err := States.Move(p.State, Expired); err == nil && at.After(p.ValidUntil) {
		p.State = expired
	}
	return p
}

// lock reads a prescription and holds it until tx ends.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, no string) (Rx, error) {
	return s.read(ctx, tx, hospital, no, " for update")
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// read reads a prescription and checks that its signed content is whole. What
// the content says is taken from there; the columns are to search by.
func (s *Service) read(ctx context.Context, q querier, hospital, no, suffix string) (Rx, error) {
	p := Rx{Hospital: hospital, No: no}
	var sealed, hash, review []byte
	err := q.QueryRow(ctx, `select revision, state, coalesce(pharmacist, ''), reason, his_no, his_problem, content, content_hash, review
		from prescription.prescription where hospital = $1 and no = $2`+suffix, hospital, no).
		Scan(&p.Revision, &p.State, &p.Pharmacist, &p.Reason, &p.HisNo, &p.HisProblem, &sealed, &hash, &review)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, clinic.ErrNotFound
	} else if err != nil {
		return p, err
	}
	content, err := s.Vault.Open(sealed, "prescription", hospital+"/"+no)
	if err != nil {
		return p, err
	}
	if sum := sha256.Sum256(content); !bytes.Equal(sum[:], hash) {
		return p, errors.New("the content of a signed prescription was changed")
	}
	p.Content = new(core.Prescription)
	if err = json.Unmarshal(content, p.Content); err != nil {
		return p, err
	}
	p.Doctor, p.ValidUntil = p.Content.DoctorCode, p.Content.ValidUntil
	return p, s.reviewed(&p, review)
}
