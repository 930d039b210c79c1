package identity

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Register is the service that knows everybody's name and number.
type Register interface {
	// Verify returns ErrMismatch when a name and an identity card's number do not belong
	// together; any other error means that it cannot be said now. No error holds the name
	// or the number.
	Verify(ctx context.Context, name, idNo string) error
}

// RealName asks a Register for somebody, within bounds: a register of all people must not
// be searched through us. Make it with Bounded.
type RealName interface {
	// Verify returns ErrMismatch, *clinic.TooMany or clinic.ErrNoService.
	Verify(ctx context.Context, account int64, address, name, idNo string) error
}

// Bounded lets an account ask a register five times a day, whichever module asks for it,
// and an address be wrong twenty times. One that was right takes none of those back.
func (s *Service) Bounded(r Register) RealName { return bounded{s, r} }

type bounded struct {
	s *Service
	r Register
}

const (
	namesADay      = 5
	mismatchesADay = 20
)

// Verify implements RealName.
func (b bounded) Verify(ctx context.Context, account int64, address, name, idNo string) error {
	key := "real names wrong:" + b.s.keyOf(address, "address")
	if n, _, err := b.s.mismatches(ctx, key); err != nil {
		return err
	} else if n >= mismatchesADay {
		return &clinic.TooMany{After: 24 * time.Hour, What: "too many names and numbers from this address that do not belong together"}
	}
	if err := b.s.bounded(ctx, fmt.Sprintf("real name:%d", account), namesADay, 24*time.Hour, "too many tries at a real name today"); err != nil {
		return err
	}
	err := b.r.Verify(ctx, name, idNo)
	switch {
	case errors.Is(err, clinic.ErrRule):
		return errors.Join(err, b.s.mismatched(ctx, key))
	case err != nil:
		b.s.Log.Error("verify a real name", "account", account, "error", err)
		return fmt.Errorf("%w: the service for real names does not answer", clinic.ErrNoService)
	}
	return nil
}

func (s *Service) mismatches(ctx context.Context, key string) (n int, kept []byte, err error) {
	kept, _, err = s.Memory.Get(ctx, key)
	if err == nil && kept != nil {
		n, _ = strconv.Atoi(string(kept)) // written by something else: 0
	}
	return n, kept, err
}

// mismatched counts one, until a day without any.
func (s *Service) mismatched(ctx context.Context, key string) error {
	for {
		n, kept, err := s.mismatches(ctx, key)
		if err != nil {
			return err
		}
		if swapped, err := s.Memory.Swap(ctx, key, kept, []byte(strconv.Itoa(n+1)), 24*time.Hour); err != nil || swapped {
			return err
		}
	}
}

// ErrMismatch is a name and a number that do not belong together.
var ErrMismatch = fmt.Errorf("%w: name and identity card number do not belong together", clinic.ErrRule)

// RealNameStandIn looks at the number alone, see checkIDNo. It knows nobody: for
// trying out only.
type RealNameStandIn struct{ Now func() time.Time }

// Verify implements Register.
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
		return fmt.Errorf("%w: real names cannot be verified", clinic.ErrNoService)
	}
	if err := s.Consented(ctx, p.Account, SensitiveData); err != nil {
		return err
	}
	if err := s.RealName.Verify(ctx, p.Account, address, name, idNo); err != nil {
		return err
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
