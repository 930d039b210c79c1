package rx

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/order"
)

// Checks are the seven that a pharmacist makes (处方管理办法 第三十五条).
var Checks = []string{"skin_test", "diagnosis", "dose", "route", "duplicate", "interaction", "other"}

// Verdict is what a pharmacist found.
type Verdict struct {
	Revision int  `json:"revision" minimum:"1" maximum:"2147483647" doc:"the one that was read; another one since is a conflict"`
	Approve  bool `json:"approve"`
	// Checks are all seven: true where it is right.
	Checks map[string]bool `json:"checks" doc:"skin_test, diagnosis, dose, route, duplicate, interaction and other, each true where it is right"`
	Reason string          `json:"reason,omitempty" maxLength:"200" doc:"why it is rejected; or why it is approved although a check is not right, which the doctor answered for"`
}

func (v Verdict) check() error {
	var ps core.Problems
	wrong := 0
	for _, name := range Checks {
		right, said := v.Checks[name]
		if !said {
			ps = append(ps, core.Problem{Field: "checks." + name, What: "missing: all seven are made"})
		} else if !right {
			wrong++
		}
	}
	for name := range v.Checks {
		if !slices.Contains(Checks, name) {
			ps = append(ps, core.Problem{Field: "checks", What: "holds one that is none of the seven"})
		}
	}
	if len(ps) == 0 && v.Reason == "" && (!v.Approve || wrong > 0) {
		ps = append(ps, core.Problem{Field: "reason", What: "missing: a rejection, and an approval against a check, say why"})
	}
	return ps.OrNil()
}

// review is what is kept of a verdict, sealed.
type review struct {
	Checks map[string]bool `json:"checks"`
	Reason string          `json:"reason,omitempty"`
}

// Review approves or rejects a prescription. Its author cannot, in whatever role. An
// approval against a check is a second signature under the doctor's own answer: it is
// possible only where the doctor answered a warning (rule double sign). On the day of the
// approval the author's licence counts as well; the order is made that pays for it.
func (s *Service) Review(ctx context.Context, p clinic.Person, hospital, no string, v Verdict) (Rx, error) {
	if err := v.check(); err != nil {
		return Rx{}, err
	}
	if err := s.Licences.Licensed(ctx, p.Account, hospital, identity.PharmacistLicence, time.Now()); err != nil {
		return Rx{}, fmt.Errorf("review prescription: %w", err)
	}
	rx, err := s.Get(ctx, hospital, no)
	if err != nil {
		return rx, fmt.Errorf("review prescription: %w", err)
	}
	if rx.author == p.Account {
		return rx, fmt.Errorf("review prescription: %w: who wrote a prescription cannot review it", clinic.ErrRule)
	}
	if v.Approve && slices.Contains(values(v.Checks), false) && len(rx.Content.Answers) == 0 {
		return rx, fmt.Errorf("review prescription: %w: double sign: a check that is not right is approved only when the doctor answered for it, too; reject it", clinic.ErrRule)
	}
	if v.Approve {
		if err := s.Licences.Licensed(ctx, rx.author, hospital, identity.Physician, time.Now()); err != nil {
			return rx, fmt.Errorf("review prescription: licence of the doctor who signed it, on the day of the review: %w; reject it", err)
		}
	}
	findings, err := json.Marshal(review{v.Checks, v.Reason})
	if err != nil {
		return rx, err
	}
	sealed, err := s.Vault.Seal(findings, "prescription review", fmt.Sprintf("%s/%d", no, v.Revision))
	if err != nil {
		return rx, err
	}
	var lines []order.Line
	if v.Approve {
		if lines, err = s.price(ctx, hospital, rx.Content.Items); err != nil {
			return rx, fmt.Errorf("review prescription: %w", err)
		}
	}
	signature, err := s.Signer.Sign(ctx, p.Account, append(findings, fmt.Sprintf(" %s/%d", no, v.Revision)...))
	if err != nil {
		return rx, fmt.Errorf("review prescription: %w", err)
	}
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		now, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		if now.Revision != v.Revision {
			return fmt.Errorf("%w: the doctor signed revision %d meanwhile", clinic.ErrState, now.Revision)
		}
		to := Rejected
		if v.Approve {
			to = Approved
		}
		why, err := s.Vault.Seal([]byte(v.Reason), "prescription why", no)
		if err != nil {
			return err
		}
		if err := s.move(ctx, tx, now, to, `why = $3`, why); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `insert into rx.review (no, revision, pharmacist, code, approved, findings, algorithm, signature, certificate, reviewed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())`,
			no, v.Revision, p.Account, p.Code(clinic.Pharmacist, hospital), v.Approve, sealed, signature.Algorithm, signature.Value, signature.Certificate); err != nil {
			return err
		}
		if !v.Approve {
			if err := s.notice(ctx, tx, now, now.author, "rejected"); err != nil {
				return err
			}
			return s.Cards.Card(ctx, tx, hospital, now.Consult, "prescription", no, "药师退回处方，待医生修改")
		}
		return s.approved(ctx, tx, outbox, now, lines)
	})
	if err != nil {
		return rx, fmt.Errorf("review prescription: %w", err)
	}
	return s.Get(ctx, hospital, no)
}

func values(m map[string]bool) (all []bool) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// approved makes the order that pays for it, tells the patient, and the HIS where that
// makes the bill.
func (s *Service) approved(ctx context.Context, tx pgx.Tx, outbox core.Outbox, rx Rx, lines []order.Line) error {
	within := time.Until(*rx.ValidUntil)
	if _, err := s.Orders.Create(ctx, tx, outbox, order.New{Hospital: rx.Hospital, Subject: rx.No, Patient: rx.Patient, Kind: order.Drugs, Account: rx.account, Lines: lines, Within: within}); err != nil {
		return err
	}
	at, err := s.tellAt(ctx, tx, rx.Hospital)
	if err != nil {
		return err
	}
	if at == tellApproved {
		if err := s.tell(ctx, tx, outbox, rx, lines); err != nil {
			return err
		}
	}
	if err := s.notice(ctx, tx, rx, rx.account, "approved"); err != nil {
		return err
	}
	return s.Cards.Card(ctx, tx, rx.Hospital, rx.Consult, "prescription", rx.No, "处方已审核通过，请在有效期内支付")
}

// notice tells an account what became of a prescription.
func (s *Service) notice(ctx context.Context, tx pgx.Tx, rx Rx, account int64, what string) error {
	return s.Notices.Send(ctx, tx, account, "prescription."+what, map[string]string{"hospital": rx.Hospital, "no": rx.No})
}

// reviewOf is the review of a revision, as a HIS and a regulator are told of it.
func (s *Service) reviewOf(ctx context.Context, tx pgx.Tx, no string, revision int) (code string, r *core.Review, err error) {
	var signature []byte
	r = &core.Review{}
	var account int64
	if err := tx.QueryRow(ctx, `select code, pharmacist, reviewed_at, signature from rx.review where no = $1 and revision = $2 and approved`, no, revision).Scan(&code, &account, &r.ReviewedAt, &signature); err != nil {
		return "", nil, err
	}
	r.Signature = base64.StdEncoding.EncodeToString(signature)
	who, err := s.People.Account(ctx, account)
	if err != nil || who.Title == "" {
		return code, nil, err // nobody knows the name: only the code is told
	}
	r.PharmacistName = who.Title
	r.PharmacistIDNo, err = s.idNoOf(ctx, tx, account)
	return code, r, err
}
