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
	Expired  State = "expired"
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
	Reason     string    `json:"reason,omitempty"`
	ValidUntil time.Time `json:"valid_until"`
	// HisNo is the HIS's own number, once it has it; HisProblem says why it has not.
	HisNo      string             `json:"his_no,omitempty"`
	HisProblem string             `json:"his_problem,omitempty"`
	Content    *core.Prescription `json:"-"`
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
// Signing a rejected one again makes its next revision. PharmacistCode is left
// empty by the doctor and filled by the review.
func (s *Service) Sign(ctx context.Context, hospital string, p core.Prescription) (Rx, error) {
	if p.ValidUntil.Sub(p.WrittenAt) > maxValidity {
		return Rx{}, fmt.Errorf("sign: %w: a prescription is valid for three days at most", clinic.ErrRule)
	}
	if p.Category == "western" && len(p.Items) > 5 {
		return Rx{}, fmt.Errorf("sign: %w: a western prescription has five drugs at most", clinic.ErrRule)
	}
	reviewed := p
	reviewed.PharmacistCode = "pending" // everything else must be right already
	if err := reviewed.Validate(); err != nil {
		return Rx{}, err
	}
	p.PharmacistCode = ""
	content, err := json.Marshal(p)
	if err != nil {
		return Rx{}, err
	}
	hash := sha256.Sum256(content)
	var out Rx
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		revision := 1
		switch old, err := s.lock(ctx, tx, hospital, p.No); {
		case err == nil:
			if _, err := States.Move(old.State, InReview); err != nil {
				return err
			}
			revision = old.Revision + 1
		case !errors.Is(err, clinic.ErrNotFound):
			return err
		}
		sealed, err := s.Vault.Seal(content, "prescription", hospital+"/"+p.No)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `insert into prescription.prescription (hospital, no, revision, state, doctor, content, content_hash, signed_at, valid_until)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (hospital, no) do update set revision = excluded.revision, state = excluded.state, doctor = excluded.doctor, content = excluded.content,
				content_hash = excluded.content_hash, signed_at = excluded.signed_at, valid_until = excluded.valid_until, pharmacist = null, reason = '', updated_at = clock_timestamp()`,
			hospital, p.No, revision, InReview, p.DoctorCode, sealed, hash[:], p.WrittenAt, p.ValidUntil)
		if err != nil {
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

// Review approves or rejects a prescription. The doctor who wrote it cannot.
func (s *Service) Review(ctx context.Context, hospital, no, pharmacist string, approve bool, reason string) (Rx, error) {
	return s.change(ctx, "review prescription", hospital, no, func(tx pgx.Tx, _ core.Outbox, p Rx) error {
		switch {
		case pharmacist == "":
			return core.Problems{{Field: "pharmacist", What: "missing"}}
		case pharmacist == p.Doctor:
			return fmt.Errorf("%w: who wrote a prescription cannot review it", clinic.ErrRule)
		case !approve && reason == "":
			return core.Problems{{Field: "reason", What: "missing: a rejection says why"}}
		}
		to := Approved
		if !approve {
			to = Rejected
		}
		return s.move(ctx, tx, p, to, `pharmacist = $4, reason = $5`, pharmacist, reason)
	})
}

// Pay is called by the payment module in its own transaction: the prescription
// is paid and the HIS must be told of it.
func (s *Service) Pay(ctx context.Context, tx pgx.Tx, outbox core.Outbox, hospital, no string, at time.Time) (*core.Prescription, error) {
	p, err := s.lock(ctx, tx, hospital, no)
	if err != nil {
		return nil, fmt.Errorf("pay prescription: %w", err)
	}
	if at.After(p.ValidUntil) {
		return nil, fmt.Errorf("pay prescription: %w: it expired", clinic.ErrRule)
	}
	if err := s.move(ctx, tx, p, Paid, ""); err != nil {
		return nil, fmt.Errorf("pay prescription: %w", err)
	}
	p.Content.PharmacistCode = p.Pharmacist
	_, err = outbox.Enqueue(ctx, hospital, core.Message{Kind: core.PrescriptionCreate, Body: p.Content})
	return p.Content, err
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
func (s *Service) Get(ctx context.Context, hospital, no string) (p Rx, err error) {
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		p, err = s.lock(ctx, tx, hospital, no)
		return err
	})
	return p, err
}

// Take is the module's side of the inbox.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, e core.Event) error {
	if e.Kind != core.PrescriptionCreate {
		return nil
	}
	p, err := s.lock(ctx, tx, e.Hospital, e.Key)
	if errors.Is(err, clinic.ErrNotFound) {
		return nil // submitted by somebody else
	} else if err != nil {
		return err
	}
	switch e.Type {
	case core.EventDelivered:
		no := ""
		if e.Receipt != nil {
			no = e.Receipt.HisNo
		}
		to := SentHIS
		if _, err := States.Move(p.State, to); err != nil {
			to = p.State // voided meanwhile, or told twice
		}
		_, err = tx.Exec(ctx, `update prescription.prescription set state = $3, his_no = $4, his_problem = '', updated_at = clock_timestamp() where hospital = $1 and no = $2`,
			e.Hospital, e.Key, to, no)
	case core.EventParked, core.EventCancelled:
		_, err = tx.Exec(ctx, `update prescription.prescription set his_problem = $3, updated_at = clock_timestamp() where hospital = $1 and no = $2`,
			e.Hospital, e.Key, e.Reason)
	}
	return err
}

func (s *Service) change(ctx context.Context, doing, hospital, no string, f func(pgx.Tx, core.Outbox, Rx) error) (out Rx, err error) {
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		p, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		if err := f(tx, outbox, p); err != nil {
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

// lock reads a prescription for update and checks that its signed content is whole.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, no string) (Rx, error) {
	p := Rx{Hospital: hospital, No: no}
	var sealed, hash []byte
	var pharmacist *string
	err := tx.QueryRow(ctx, `select revision, state, doctor, pharmacist, reason, valid_until, his_no, his_problem, content, content_hash
		from prescription.prescription where hospital = $1 and no = $2 for update`, hospital, no).
		Scan(&p.Revision, &p.State, &p.Doctor, &pharmacist, &p.Reason, &p.ValidUntil, &p.HisNo, &p.HisProblem, &sealed, &hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, clinic.ErrNotFound
	} else if err != nil {
		return p, err
	}
	if pharmacist != nil {
		p.Pharmacist = *pharmacist
	}
	content, err := s.Vault.Open(sealed, "prescription", hospital+"/"+no)
	if err != nil {
		return p, err
	}
	if sum := sha256.Sum256(content); !bytes.Equal(sum[:], hash) {
		return p, errors.New("the content of a signed prescription was changed")
	}
	p.Content = new(core.Prescription)
	return p, json.Unmarshal(content, p.Content)
}
