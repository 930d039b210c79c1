package prescription

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Verdict is what a pharmacist found. Name, identity number and signature are for
// regulators: without the name, whoever is told hears only the pharmacist's code.
type Verdict struct {
	Pharmacist     string `json:"pharmacist" maxLength:"64" doc:"the pharmacist's code"`
	PharmacistName string `json:"pharmacist_name,omitempty" maxLength:"200" doc:"a regulator takes no prescription without it"`
	PharmacistIDNo string `json:"pharmacist_id_no,omitempty" maxLength:"64" doc:"identity card number"`
	Signature      string `json:"signature,omitempty" maxLength:"16384" doc:"the pharmacist's electronic signature, base64"`
	Approve        bool   `json:"approve"`
	Reason         string `json:"reason,omitempty" maxLength:"200" doc:"why it is rejected"`
}

// Review approves or rejects a prescription. The doctor who wrote it cannot.
func (s *Service) Review(ctx context.Context, hospital, no string, v Verdict) (Rx, error) {
	return s.change(ctx, "review prescription", hospital, no, func(tx pgx.Tx, _ core.Outbox, p Rx) error {
		switch {
		case v.Pharmacist == "":
			return core.Problems{{Field: "pharmacist", What: "missing"}}
		case v.Pharmacist == p.Doctor:
			return fmt.Errorf("%w: who wrote a prescription cannot review it", clinic.ErrRule)
		case !v.Approve && v.Reason == "":
			return core.Problems{{Field: "reason", What: "missing: a rejection says why"}}
		case v.PharmacistName == "" && (v.PharmacistIDNo != "" || v.Signature != ""):
			return core.Problems{{Field: "pharmacist_name", What: "missing: an identity number or a signature is somebody's"}}
		}
		r := core.Review{PharmacistName: v.PharmacistName, PharmacistIDNo: v.PharmacistIDNo, ReviewedAt: time.Now(), Signature: v.Signature}
		// What it will be told with must be right now: after it was paid is too late.
		p.Pharmacist = v.Pharmacist
		p.review(r)
		if err := p.Content.Validate(); err != nil {
			return err
		}
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		sealed, err := s.Vault.Seal(text, "prescription review", p.revision())
		if err != nil {
			return err
		}
		to := Approved
		if !v.Approve {
			to = Rejected
		}
		return s.move(ctx, tx, p, to, `pharmacist = $4, reason = $5, review = $6`, v.Pharmacist, v.Reason, sealed)
	})
}

// reviewed puts the sealed review of a prescription where it belongs.
func (s *Service) reviewed(p *Rx, sealed []byte) error {
	if sealed == nil { // nobody looked yet, or before reviews were kept
		p.Content.PharmacistCode = p.Pharmacist
		return nil
	}
	text, err := s.Vault.Open(sealed, "prescription review", p.revision())
	if err != nil {
		return err
	}
	var r core.Review
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	p.review(r)
	return nil
}

// review makes the content what the HIS is told.
func (p *Rx) review(r core.Review) {
	p.ReviewedAt = r.ReviewedAt
	p.Content.PharmacistCode = p.Pharmacist
	if r.PharmacistName != "" { // core has no review by nobody
		p.Content.Review = &r
	}
}

// revision names what a review was of: it must not be put beside another.
func (p *Rx) revision() string { return fmt.Sprintf("%s/%s/%d", p.Hospital, p.No, p.Revision) }
