package rx

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/catalog"
	"hishub/platform/clinic"
	"hishub/platform/identity"
)

// Write makes a draft in a consultation that its doctor has open, or writes a draft or a
// rejected prescription anew. Nothing is final: the hits say what keeps it from being
// signed. no is "" for a new one.
func (s *Service) Write(ctx context.Context, p clinic.Person, hospital, consult, no string, w Writing) (Rx, error) {
	content, err := s.content(ctx, p, hospital, consult, w)
	if err != nil {
		return Rx{}, fmt.Errorf("write prescription: %w", err)
	}
	fresh := no == ""
	if fresh {
		no = clinic.NewNumber("RX", time.Now())
	}
	content.No = no
	sealed, err := s.sealed(content, "prescription draft", no)
	if err != nil {
		return Rx{}, fmt.Errorf("write prescription: %w", err)
	}
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if fresh {
			k, err := s.Consults.Get(ctx, hospital, consult)
			if err == nil {
				_, err = tx.Exec(ctx, `insert into rx.prescription (no, hospital, consult, author, doctor, patient, account, state, draft) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
					no, hospital, consult, p.Account, content.DoctorCode, content.Patient, k.Account, Draft, sealed)
			}
			return err
		}
		old, err := s.lock(ctx, tx, hospital, no)
		switch {
		case err != nil:
			return err
		case old.author != p.Account || old.Consult != consult:
			return clinic.ErrNotFound
		case old.State != Draft && old.State != Rejected:
			return fmt.Errorf("%w: it is %s; what was signed never changes", clinic.ErrState, old.State)
		case old.Version != w.Version:
			return fmt.Errorf("%w: the draft is at version %d meanwhile; read it again", clinic.ErrState, old.Version)
		}
		_, err = tx.Exec(ctx, `update rx.prescription set draft = $2, version = version + 1, updated_at = clock_timestamp() where no = $1`, no, sealed)
		return err
	})
	if err != nil {
		return Rx{}, fmt.Errorf("write prescription: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

// content is what the doctor writes, with all that is known beside it.
func (s *Service) content(ctx context.Context, p clinic.Person, hospital, consult string, w Writing) (*Content, error) {
	doctor := p.Code(clinic.Doctor, hospital)
	k, err := s.Consults.Active(ctx, hospital, consult, doctor)
	if err != nil {
		return nil, err
	}
	if err := s.Licences.Licensed(ctx, p.Account, hospital, identity.Physician, time.Now()); err != nil {
		return nil, err
	}
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return nil, err
	}
	who, err := s.Patients.Get(ctx, k.Patient)
	if err != nil {
		return nil, err
	}
	at, err := s.Patients.Identity(ctx, hospital, k.Patient)
	if err != nil {
		return nil, err
	}
	now := time.Now().In(place.Zone).Truncate(time.Second)
	c := &Content{
		Hospital: hospital, Consult: consult, VisitNo: k.VisitNo, Patient: k.Patient, PatientNo: at.PatientNo, PatientName: who.Name, Sex: who.Sex, BirthDate: who.BirthDate, IDNo: who.IDNo,
		DepartmentCode: k.DepartmentCode, DepartmentName: k.DepartmentName, DoctorCode: doctor, DoctorName: k.DoctorName,
		WrittenAt: now, ValidUntil: endOfDay(now, w.ValidDays), Items: w.Items, Diagnoses: w.Diagnoses, Category: w.Category,
		LongReason: w.LongReason, GuardianPresent: w.GuardianPresent, Note: w.Note, Answers: w.Answers,
	}
	var ps core.Problems
	if w.ValidDays < leastValidDays || w.ValidDays > maxValidDays {
		ps = append(ps, core.Problem{Field: "valid_days", What: "rule validity: a prescription is valid for one to three days"})
	}
	for i := range c.Diagnoses {
		d, err := s.Drugs.Diagnosis(ctx, hospital, c.Diagnoses[i].Code, c.Diagnoses[i].Name)
		if errors.Is(err, clinic.ErrNotFound) {
			ps = append(ps, core.Problem{Field: fmt.Sprintf("diagnoses[%d].code", i), What: "is not in the hospital's list"})
			continue
		} else if err != nil {
			return nil, err
		}
		c.Diagnoses[i].Name = d.Name
	}
	for i := range c.Items {
		it := &c.Items[i]
		for field, value := range map[string]string{"qty": it.Qty, "dose": it.Dose} {
			if !core.IsDecimal(value) || !positive(value) {
				ps = append(ps, core.Problem{Field: fmt.Sprintf("items[%d].%s", i, field), What: "is no number above 0"})
			}
		}
		if d, err := s.Drugs.Drug(ctx, hospital, it.Code); err == nil {
			it.Name, it.Spec, it.Unit = d.Name, d.Spec, d.Unit
		} else if !errors.Is(err, clinic.ErrNotFound) {
			return nil, err
		}
	}
	return c, ps.OrNil()
}

// endOfDay is the last moment of the given day of validity, in the zone of now.
func endOfDay(now time.Time, days int) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location()).Add(-time.Second)
}

func (s *Service) sealed(c *Content, purpose, number string) ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return s.Vault.Seal(text, purpose, number)
}

// hits are what the rules say of a content, with the knowledge that holds now.
func (s *Service) hits(ctx context.Context, c *Content) ([]Hit, int, error) {
	know, err := s.Drugs.Knowledge(ctx, c.Hospital)
	if err != nil && !errors.Is(err, clinic.ErrNotFound) {
		return nil, 0, err
	}
	who, err := s.Patients.Get(ctx, c.Patient)
	if err != nil {
		return nil, 0, err
	}
	k, err := s.Consults.Get(ctx, c.Hospital, c.Consult)
	if err != nil {
		return nil, 0, err
	}
	look := &checked{Content: c, age: who.Age(c.WrittenAt), facts: know.Facts, allergies: k.Allergies}
	for _, it := range c.Items {
		d, err := s.Drugs.Drug(ctx, c.Hospital, it.Code)
		if err != nil && !errors.Is(err, clinic.ErrNotFound) {
			return nil, 0, err
		}
		if err != nil {
			d = catalog.Drug{}
		}
		look.drugs = append(look.drugs, d)
	}
	return check(look), know.Version, nil
}

// Refused: rules keep a prescription from being signed.
type Refused struct{ Hits []Hit }

func (r *Refused) Error() string {
	return fmt.Sprintf("%d rules keep it from being signed: mend what stops, and answer the warnings", len(r.Hits))
}

// problems are the hits by line, as a caller reads them.
func (r *Refused) problems() core.Problems {
	var ps core.Problems
	for _, h := range r.Hits {
		field := "prescription"
		if h.Line >= 0 {
			field = fmt.Sprintf("items[%d]", h.Line)
		}
		ps = append(ps, core.Problem{Field: field, What: fmt.Sprintf("rule %s: %s", h.Rule, h.Text)})
	}
	return ps
}

// Unwrap makes it a rule.
func (r *Refused) Unwrap() error { return clinic.ErrRule }

// Sign a draft, or the next revision of a rejected prescription: it goes to review, and
// what was signed never changes. version is the draft's that the doctor saw.
func (s *Service) Sign(ctx context.Context, p clinic.Person, hospital, no string, version int) (Rx, error) {
	draft, err := s.Get(ctx, hospital, no)
	if err == nil && draft.author != p.Account {
		err = clinic.ErrNotFound
	}
	if err != nil {
		return draft, fmt.Errorf("sign prescription: %w", err)
	}
	if draft.State != Draft && draft.State != Rejected {
		return draft, fmt.Errorf("sign prescription: %w: it is %s", clinic.ErrState, draft.State)
	}
	if draft.Version != version {
		return draft, fmt.Errorf("sign prescription: %w: the draft is at version %d meanwhile; read it again", clinic.ErrState, draft.Version)
	}
	// What was true when it was written may not be any more.
	c, err := s.content(ctx, p, hospital, draft.Consult, Writing{
		Category: draft.Content.Category, Diagnoses: draft.Content.Diagnoses, Items: draft.Content.Items, ValidDays: validDays(draft.Content),
		LongReason: draft.Content.LongReason, GuardianPresent: draft.Content.GuardianPresent, Note: draft.Content.Note, Answers: draft.Content.Answers,
	})
	if err != nil {
		return draft, fmt.Errorf("sign prescription: %w", err)
	}
	c.No = no
	hits, know, err := s.hits(ctx, c)
	if err != nil {
		return draft, fmt.Errorf("sign prescription: %w", err)
	}
	if left := open(hits, c.Answers); len(left) > 0 {
		return draft, fmt.Errorf("sign prescription: %w", &Refused{left})
	}
	c.Knowledge = know
	text, err := json.Marshal(c)
	if err != nil {
		return draft, err
	}
	signature, err := s.Signer.Sign(ctx, p.Account, text)
	if err != nil {
		return draft, fmt.Errorf("sign prescription: %w", err)
	}
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		now, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		if now.Version != version {
			return fmt.Errorf("%w: the draft is at version %d meanwhile; read it again", clinic.ErrState, now.Version)
		}
		if err := s.move(ctx, tx, now, InReview, `revision = revision + 1, valid_until = $3, why = null`, c.ValidUntil); err != nil {
			return err
		}
		sealed, err := s.Vault.Seal(text, "prescription", fmt.Sprintf("%s/%d", no, now.Revision+1))
		if err != nil {
			return err
		}
		hash := sha256.Sum256(text)
		_, err = tx.Exec(ctx, `insert into rx.revision (no, revision, content, hash, algorithm, signature, certificate, author, signed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			no, now.Revision+1, sealed, hash[:], signature.Algorithm, signature.Value, signature.Certificate, p.Account, c.WrittenAt)
		return err
	})
	if err != nil {
		return draft, fmt.Errorf("sign prescription: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

// validDays is how many days a draft was meant to be valid.
func validDays(c Content) int {
	y, m, d := c.WrittenAt.Date()
	first := time.Date(y, m, d, 0, 0, 0, 0, c.WrittenAt.Location())
	return int(c.ValidUntil.Add(time.Second).Sub(first).Round(24*time.Hour) / (24 * time.Hour))
}
