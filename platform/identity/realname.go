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

// RealNameStandIn looks at the number alone, see CheckIDNo. It knows nobody: for
// trying out only.
type RealNameStandIn struct{ Now func() time.Time }

// Verify implements RealName.
func (r RealNameStandIn) Verify(_ context.Context, _, idNo string) error {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	_, _, err := CheckIDNo(idNo, now())
	return err
}

// CheckIDNo reads an identity card number of 18 characters (GB 11643): its check
// character by ISO 7064 MOD 11-2, its date of birth, which is not after now, and the
// sex. core.Problems of field id_no when it is none.
func CheckIDNo(idNo string, now time.Time) (birth time.Time, sex string, err error) {
	wrong := func(what string) (time.Time, string, error) {
		return time.Time{}, "", core.Problems{{Field: "id_no", What: what}}
	}
	if len(idNo) != 18 {
		return wrong("not 18 characters")
	}
	sum := 0
	for i := range 17 {
		if idNo[i] < '0' || idNo[i] > '9' {
			return wrong("not 17 digits and a check character")
		}
		sum += int(idNo[i]-'0') * (1 << (17 - i) % 11)
	}
	if strings.ToUpper(idNo[17:]) != "10X98765432"[sum%11:sum%11+1] {
		return wrong("its check character does not fit")
	}
	birth, e := time.ParseInLocation("20060102", idNo[6:14], licenceZone)
	if e != nil || birth.After(now) || birth.Year() < 1880 {
		return wrong("its date of birth is none")
	}
	if idNo[16]%2 == 1 {
		return birth, "male", nil
	}
	return birth, "female", nil
}

// Verify has a patient's real name verified and keeps it, once and for all. It needs
// the consent sensitive_data.
func (s *Service) Verify(ctx context.Context, p clinic.Person, name, idNo, address string) error {
	name, idNo = strings.TrimSpace(name), strings.ToUpper(strings.TrimSpace(idNo))
	if n := utf8.RuneCountInString(name); n < 2 || n > 50 {
		return core.Problems{{Field: "name", What: "not 2 to 50 characters"}}
	}
	if _, _, err := CheckIDNo(idNo, s.now()); err != nil {
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
