package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// RealName says whether a name and an identity card's number belong together.
type RealName interface {
	// Verify returns ErrMismatch when they do not; any other error means that it cannot
	// be said now. No error holds the name or the number.
	Verify(ctx context.Context, name, idNo string) error
}

// ErrMismatch is a name and a number that do not belong together.
var ErrMismatch = fmt.Errorf("%w: name and identity card number do not belong together", clinic.ErrRule)

// RealNameStandIn looks at the number alone, see checkIDNo. It knows nobody: for
// trying out only.
type RealNameStandIn struct{ Now func() time.Time }

// Verify implements RealName.
func (r RealNameStandIn) Verify(_ context.Context, _, idNo string) error {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	return checkIDNo(idNo, now())
}

// checkIDNo returns core.Problems of field id_no for what is no identity card number of
// somebody who is born.
func checkIDNo(idNo string, now time.Time) error {
	born, _, err := core.ParseIDCard(idNo)
	if err == nil && born > now.In(licenceZone).Format(time.DateOnly) {
		err = errors.New("its date of birth is in the future")
	}
	if err != nil {
		return core.Problems{{Field: "id_no", What: err.Error()}}
	}
	return nil
}

// Verify has a patient's real name verified and keeps it, once and for all. It needs
// the consent sensitive_data.
func (s *Service) Verify(ctx context.Context, p clinic.Person, name, idNo, address string) error {
	name, idNo = strings.TrimSpace(name), strings.ToUpper(strings.TrimSpace(idNo))
	if n := utf8.RuneCountInString(name); n < 2 || n > 50 {
		return core.Problems{{Field: "name", What: "not 2 to 50 characters"}}
	}
	if err := checkIDNo(idNo, s.now()); err != nil {
		return err
	}
	if s.RealName == nil {
		return fmt.Errorf("%w: real names cannot be verified", ErrNoService)
	}
	if err := s.Consented(ctx, p.Account, SensitiveData); err != nil {
		return err
	}
	// A register of all people must not be asked through us.
	if err := s.bounded(ctx, fmt.Sprintf("real name:%d", p.Account), 5, 24*time.Hour, "too many tries at a real name today"); err != nil {
		return err
	}
	if err := s.RealName.Verify(ctx, name, idNo); err != nil {
		if errors.Is(err, clinic.ErrRule) {
			return err
		}
		s.Log.Error("verify a real name", "account", p.Account, "error", err)
		return fmt.Errorf("%w: the service for real names does not answer", ErrNoService)
	}
	sealedName, err1 := s.seal(name, "real name", p.Account)
	sealedID, err2 := s.seal(idNo, "id number", p.Account)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return s.change(ctx, p.Account, clinic.Act{Person: p, Verb: "verify real name"}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update identity.account set real_name = $2, id_no = $3, id_no_index = $4, verified_at = $5, version = version + 1, updated_at = clock_timestamp()
			where id = $1 and verified_at is null and kind = 'patient'`, p.Account, sealedName, sealedID, s.index(idNo, "id number"), s.now())
		if err == nil && tag.RowsAffected() == 0 {
			return fmt.Errorf("%w: the account has a real name", clinic.ErrState)
		}
		return err
	})
}

// Verified is an account's verified real name and number, in full, for the module that
// makes the patient of it. ErrRule when there is none.
func (s *Service) Verified(ctx context.Context, account int64) (name, idNo string, err error) {
	r, err := s.find(ctx, s.Database, "id = $1", account)
	if err == nil && r.VerifiedAt.IsZero() {
		err = fmt.Errorf("%w: the account's real name is not verified", clinic.ErrRule)
	}
	return r.realName, r.idNo, err
}
