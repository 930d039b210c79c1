package core

import (
	"encoding/base64"
	"time"
)

// What stands behind a prescription. A HIS seldom asks for it; a regulator does,
// and it cannot be added later: it is collected while the doctor and the
// pharmacist are at it.

// maxSignature bounds an electronic signature with its certificates, in bytes of base64.
const maxSignature = 16 << 10

// Consultation is the encounter in which a prescription was written (FHIR Encounter).
type Consultation struct {
	No        string    `json:"no" doc:"our number of the consultation" maxLength:"64"`
	StartedAt time.Time `json:"started_at" doc:"with its zone"`
	Complaint string    `json:"complaint" personal:"text" doc:"what the patient came with (Encounter.reasonCode)" maxLength:"1000"`
	History   string    `json:"history,omitempty" personal:"text" doc:"of the present illness and before (Condition.note)" maxLength:"1000"`
	Allergies string    `json:"allergies,omitempty" personal:"text" doc:"what the patient does not bear (AllergyIntolerance.code); missing: asked, and none is known" maxLength:"200"`
}

// Review is what the pharmacist answered for (FHIR Provenance of the verification).
type Review struct {
	PharmacistName string    `json:"pharmacist_name" maxLength:"200"`
	PharmacistIDNo string    `json:"pharmacist_id_no,omitempty" personal:"number" doc:"identity card number (Practitioner.identifier)" maxLength:"64"`
	ReviewedAt     time.Time `json:"reviewed_at" doc:"with its zone (Provenance.recorded)"`
	Signature      string    `json:"signature,omitempty" doc:"electronic signature, base64 (Provenance.signature.data)" maxLength:"16384"`
}

// Writing is what the doctor answered for (FHIR Provenance of the authoring).
type Writing struct {
	DoctorIDNo string `json:"doctor_id_no,omitempty" personal:"number" doc:"identity card number (Practitioner.identifier)" maxLength:"64"`
	Signature  string `json:"signature,omitempty" doc:"electronic signature, base64 (Provenance.signature.data)" maxLength:"16384"`
}

func (k *Consultation) validate(c *check) {
	if k == nil {
		return
	}
	c.id("consultation.no", k.No)
	c.time("consultation.started_at", k.StartedAt)
	c.text("consultation.complaint", k.Complaint, maxNote)
	c.optional("consultation.history", k.History, maxNote)
	c.optional("consultation.allergies", k.Allergies, maxName)
}

func (r *Review) validate(c *check) {
	if r == nil {
		return
	}
	c.text("review.pharmacist_name", r.PharmacistName, maxName)
	c.optional("review.pharmacist_id_no", r.PharmacistIDNo, maxID)
	c.time("review.reviewed_at", r.ReviewedAt)
	c.signature("review.signature", r.Signature)
}

func (w *Writing) validate(c *check) {
	if w == nil {
		return
	}
	c.optional("writing.doctor_id_no", w.DoctorIDNo, maxID)
	c.signature("writing.signature", w.Signature)
}

func (c *check) signature(field, text string) {
	c.optional(field, text, maxSignature)
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		c.problem(field, "not base64")
	}
}
