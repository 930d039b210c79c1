package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"hishub/core"
	"hishub/platform/clinic"
)

// The second factor of staff is TOTP (RFC 6238) as the usual apps have it: SHA-1, six
// digits, 30 seconds, one step of grace either way. Each code works once.
const (
	stepLasts     = 30
	recoveryCodes = 10
	issuer        = "hishub"
)

// stepOf is the time step whose code this is; 0 for none.
func stepOf(secret, code string, now time.Time) int64 {
	var found int64
	for step := now.Unix()/stepLasts - 1; step <= now.Unix()/stepLasts+1; step++ {
		want, err := totp.GenerateCode(secret, time.Unix(step*stepLasts, 0))
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	return found
}

// Offer of a second factor, until it is confirmed.
type Offer struct {
	Secret string `json:"secret" doc:"base32, to type into an app"`
	URI    string `json:"uri" doc:"otpauth://…, as a picture to scan"`
}

// Enrol gives a new secret to whose password was right and who has no second factor.
func (s *Service) Enrol(ctx context.Context, ticket string) (Offer, error) {
	r, err := s.pendingOf(ctx, ticket)
	if err != nil {
		return Offer{}, err
	}
	if r.SecondFactor {
		return Offer{}, fmt.Errorf("%w: there is a second factor", clinic.ErrState)
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: r.Name, Rand: rand.Reader, Algorithm: otp.AlgorithmSHA1, Digits: otp.DigitsSix, Period: stepLasts})
	if err != nil {
		return Offer{}, fmt.Errorf("make a second factor: %w", err)
	}
	sealed, err := s.seal(key.Secret(), "second factor offer", r.ID)
	if err != nil {
		return Offer{}, err
	}
	if _, err := s.Database.Exec(ctx, `update identity.account set second_offer = $2 where id = $1 and second is null`, r.ID, sealed); err != nil {
		return Offer{}, fmt.Errorf("offer a second factor: %w", err)
	}
	return Offer{key.Secret(), key.URL()}, nil
}

// Confirm sets the offered second factor up with its first code, and signs in.
func (s *Service) Confirm(ctx context.Context, ticket, code string, v Visitor) (Opened, error) {
	r, err := s.pendingOf(ctx, ticket)
	if err != nil {
		return Opened{}, err
	}
	if r.SecondFactor || r.offer == "" {
		return Opened{}, fmt.Errorf("%w: no second factor is offered", clinic.ErrState)
	}
	subject := s.index(Subject(r.ID), "second factor tried")
	if err := s.attempt(ctx, s.Database, subject, ofOne); err != nil {
		return Opened{}, err
	}
	step := stepOf(r.offer, code, s.now())
	if step == 0 {
		return Opened{}, ErrRefused
	}
	if err := s.spendPending(ctx, ticket); err != nil {
		return Opened{}, err
	}
	sealed, err := s.seal(r.offer, "second factor", r.ID)
	if err != nil {
		return Opened{}, err
	}
	var codes []string
	err = s.change(ctx, r.ID, clinic.Act{Person: r.person(), Verb: "set up second factor"}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update identity.account set second = $2, second_step = $3, second_offer = null, updated_at = clock_timestamp() where id = $1 and second is null`, r.ID, sealed, step)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrRefused // somebody else was faster
		}
		codes, err = s.newRecovery(ctx, tx, r.ID)
		return err
	})
	if err != nil {
		return Opened{}, err
	}
	if err := s.attemptRight(ctx, subject); err != nil {
		return Opened{}, err
	}
	o, err := s.begin(ctx, r, v)
	o.Recovery = codes
	return o, err
}

// newRecovery replaces the recovery codes; only keyed digests of them stay.
func (s *Service) newRecovery(ctx context.Context, tx pgx.Tx, account int64) (codes []string, err error) {
	if _, err := tx.Exec(ctx, `delete from identity.recovery_code where account = $1`, account); err != nil {
		return nil, err
	}
	for range recoveryCodes {
		text := strings.ToLower(rand.Text()[:15])
		code := text[:5] + "-" + text[5:10] + "-" + text[10:]
		codes = append(codes, code)
		if _, err := tx.Exec(ctx, `insert into identity.recovery_code (account, digest) values ($1, $2)`, account, s.recoveryDigest(account, code)); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

func (s *Service) recoveryDigest(account int64, code string) []byte {
	return s.index(fmt.Sprintf("%d %s", account, strings.ToLower(strings.TrimSpace(code))), "recovery code")
}

// SecondFactor is the second half of the sign-in of staff: a code of the app, or a
// recovery code.
func (s *Service) SecondFactor(ctx context.Context, ticket, code, recovery string, v Visitor) (Opened, error) {
	r, err := s.pendingOf(ctx, ticket)
	if err != nil {
		return Opened{}, err
	}
	if !r.SecondFactor {
		return Opened{}, fmt.Errorf("%w: set up a second factor first", clinic.ErrState)
	}
	if err := s.prove(ctx, r, code, recovery); err != nil {
		return Opened{}, err
	}
	if err := s.spendPending(ctx, ticket); err != nil {
		return Opened{}, err
	}
	return s.begin(ctx, r, v)
}

// prove spends a code of the second factor, or a recovery code.
func (s *Service) prove(ctx context.Context, r record, code, recovery string) error {
	subject := s.index(Subject(r.ID), "second factor tried")
	if err := s.attempt(ctx, s.Database, subject, ofOne); err != nil {
		return err
	}
	if recovery != "" {
		tag, err := s.Database.Exec(ctx, `update identity.recovery_code set used_at = $3 where account = $1 and digest = $2 and used_at is null`, r.ID, s.recoveryDigest(r.ID, recovery), s.now())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrRefused
		}
		if err := s.note(ctx, clinic.Act{Person: r.person(), Verb: "use recovery code", Subject: Subject(r.ID)}); err != nil {
			return err
		}
		return s.attemptRight(ctx, subject)
	}
	step := stepOf(r.second, code, s.now())
	if step == 0 {
		return ErrRefused
	}
	// Only a later step than the last that was used: a code works once, also where two
	// look at it at once.
	tag, err := s.Database.Exec(ctx, `update identity.account set second_step = $2 where id = $1 and second_step < $2`, r.ID, step)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return ErrRefused
	}
	return s.attemptRight(ctx, subject)
}

// StepUp proves once more that it is the person: staff by the second factor, patients
// by a code to their phone. The session has a new token afterwards.
func (s *Service) StepUp(ctx context.Context, p clinic.Person, code, address string) (Opened, error) {
	r, err := s.find(ctx, s.Database, "id = $1", p.Account)
	if err != nil {
		return Opened{}, err
	}
	if r.Kind == StaffAccount {
		err = s.prove(ctx, r, code, "")
	} else {
		err = s.takeCode(ctx, r.phone, useProof, code, asker{session: r.ID, address: address})
	}
	if errors.Is(err, ErrRefused) { // who asks is signed in all the same
		return Opened{}, core.Problems{{Field: "code", What: "wrong, over, or used already"}}
	}
	if err != nil {
		return Opened{}, err
	}
	k, err := s.current(ctx, p)
	if err != nil {
		return Opened{}, err
	}
	return s.replace(ctx, k, k.Generation)
}

// SendProof sends the code for StepUp to the phone of who is signed in.
func (s *Service) SendProof(ctx context.Context, p clinic.Person, address string) error {
	r, err := s.find(ctx, s.Database, "id = $1", p.Account)
	if err != nil {
		return err
	}
	if r.phone == "" {
		return fmt.Errorf("%w: the account has no phone; use the second factor", clinic.ErrRule)
	}
	return s.sendCode(ctx, r.phone, useProof, asker{session: r.ID, address: address})
}

// NewRecovery replaces the recovery codes of who is signed in.
func (s *Service) NewRecovery(ctx context.Context, p clinic.Person) (codes []string, err error) {
	if err := s.Proved(ctx, p); err != nil {
		return nil, err
	}
	err = s.change(ctx, p.Account, clinic.Act{Person: p, Verb: "make recovery codes"}, func(tx pgx.Tx) error {
		r, err := s.find(ctx, tx, "id = $1", p.Account)
		if err == nil && !r.SecondFactor {
			err = fmt.Errorf("%w: there is no second factor", clinic.ErrState)
		}
		if err != nil {
			return err
		}
		codes, err = s.newRecovery(ctx, tx, p.Account)
		return err
	})
	return codes, err
}
