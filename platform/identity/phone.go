package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

const (
	codeLasts = 5 * time.Minute
	codeEvery = time.Minute
	// Tries at a code from one address, and from all of them.
	triesOfCode, allTriesOfCode = 5, 15
)

var mobile = regexp.MustCompile(`^1[3-9][0-9]{9}$`)

// phoneOf is a phone number as it is kept: 11 digits.
func phoneOf(text string) (string, error) {
	text = strings.NewReplacer(" ", "", "-", "").Replace(text)
	text = strings.TrimPrefix(text, "+86")
	if !mobile.MatchString(text) {
		return "", core.Problems{{Field: "phone", What: "not a mobile phone number of 11 digits"}}
	}
	return text, nil
}

// index finds what is sealed; as text it is a key that tells nothing.
func (s *Service) index(text, purpose string) []byte {
	return s.Vault.Index(text, "identity "+purpose)
}

func (s *Service) keyOf(text, purpose string) string {
	return hex.EncodeToString(s.index(text, purpose))
}

// Uses of a code; one for another use does not hold.
const (
	useSignIn = "sign in"
	useProof  = "proof"
)

// asker is who wants a code for a phone: somebody signed in for himself, a device that
// signed in before, or a stranger, of whom there is the address alone.
type asker struct {
	session        int64 // the account; 0: not signed in
	known, address string
}

// slot is whose codes those of an asker are. Strangers share one; who is known has his
// own, which they can neither use up, nor replace, nor spoil by guessing.
func (s *Service) slot(phone string, a asker) (slot string, stranger bool) {
	slot = s.keyOf(phone, "code")
	if a.session != 0 {
		return slot + " signed in", false
	}
	if device := s.device("phone "+phone, a.known); device != "" {
		return slot + " " + device, false
	}
	return slot, true
}

// SendCode sends a code of six digits to who wants to sign in. It does the same for phones
// that have an account and for those that have none. *clinic.TooMany, ErrCannotSend.
func (s *Service) SendCode(ctx context.Context, phone, known, address string) error {
	phone, err := phoneOf(phone)
	if err != nil {
		return err
	}
	return s.sendCode(ctx, phone, useSignIn, asker{known: known, address: address})
}

func (s *Service) sendCode(ctx context.Context, phone, use string, a asker) error {
	if s.Sender == nil {
		return fmt.Errorf("%w: this installation has no sender of messages", ErrCannotSend)
	}
	who, stranger := s.slot(phone, a)
	if err := s.bounded(ctx, "codes from "+s.keyOf(a.address, "address"), s.Limits.AddressCodes, time.Hour, "too many codes for this address"); err != nil {
		return err
	}
	free, err := s.Memory.Swap(ctx, "code minute:"+who, nil, []byte("1"), codeEvery)
	if err != nil {
		return err
	}
	if !free {
		return &clinic.TooMany{After: codeEvery, What: "a code was sent less than a minute ago"}
	}
	if err := s.codesBounded(ctx, phone, who, stranger, a.address); err != nil {
		_, _ = s.Memory.Delete(ctx, "code minute:"+who)
		return err
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return err
	}
	code := fmt.Sprintf("%06d", n)
	// Tries are counted by code, so that those at an older one are not this one's.
	kept := []byte(fmt.Sprintf("%x %s", s.index(use+" "+phone+" "+code, "code"), rand.Text()))
	if err := s.Memory.Put(ctx, "code:"+who, kept, codeLasts); err != nil {
		return err
	}
	if err := s.Sender.Send(ctx, phone, "验证码 "+code+"，5 分钟内有效。任何人向您索要验证码都请勿提供。"); err != nil {
		s.Log.Error("send a code", "error", err)
		_, _ = s.Memory.Delete(ctx, "code:"+who, "code minute:"+who)
		return fmt.Errorf("%w: the sender of messages does not answer", ErrCannotSend)
	}
	return nil
}

// codesBounded counts a code that is about to be sent to a phone.
func (s *Service) codesBounded(ctx context.Context, phone, who string, stranger bool, address string) error {
	const what = "too many codes for this phone"
	if stranger {
		// One address alone does not use up what a phone has for all strangers.
		here := s.keyOf(phone+" "+address, "code address")
		if err := s.bounded(ctx, "codes here hour:"+here, max(1, s.Limits.CodesPerHour*3/5), time.Hour, what); err != nil {
			return err
		}
		if err := s.bounded(ctx, "codes here day:"+here, max(1, s.Limits.CodesPerDay*3/5), 24*time.Hour, what); err != nil {
			return err
		}
	}
	if err := s.bounded(ctx, "codes hour:"+who, s.Limits.CodesPerHour, time.Hour, what); err != nil {
		return err
	}
	return s.bounded(ctx, "codes day:"+who, s.Limits.CodesPerDay, 24*time.Hour, what)
}

// bounded counts an act; *clinic.TooMany beyond limit.
func (s *Service) bounded(ctx context.Context, key string, limit int, within time.Duration, what string) error {
	n, err := s.Memory.Count(ctx, key, within)
	if err != nil {
		return err
	}
	if n > limit {
		return &clinic.TooMany{After: within, What: what}
	}
	return nil
}

// tried counts a try to sign in from an address, of which Memory has a digest.
func (s *Service) tried(ctx context.Context, address string) error {
	return s.bounded(ctx, "tries from "+s.keyOf(address, "address"), s.Limits.AddressTries, time.Hour, "too many tries from this address")
}

// takeCode spends a code. ErrRefused for every reason there is: none was sent, it is
// over, another one, tried too often, or spent already.
func (s *Service) takeCode(ctx context.Context, phone, use, code string, a asker) error {
	if err := s.tried(ctx, a.address); err != nil {
		return err
	}
	who, _ := s.slot(phone, a)
	kept, _, err := s.Memory.Get(ctx, "code:"+who)
	if err != nil {
		return err
	}
	want, number, _ := strings.Cut(string(kept), " ")
	// Counted before it is looked at, so that tries side by side are no more than they may
	// be: a stranger who guesses leaves tries for those at other addresses.
	of := "code tries:" + who + " " + number
	here, err := s.Memory.Count(ctx, of+" "+s.keyOf(a.address, "address"), codeLasts)
	if err != nil || here > triesOfCode {
		return cmp.Or(err, ErrRefused)
	}
	all, err := s.Memory.Count(ctx, of, codeLasts)
	if err != nil {
		return err
	}
	right := subtle.ConstantTimeCompare([]byte(want), fmt.Appendf(nil, "%x", s.index(use+" "+phone+" "+code, "code"))) == 1
	if !right || all > allTriesOfCode {
		return ErrRefused
	}
	if n, err := s.Memory.Delete(ctx, "code:"+who); err != nil || n != 1 {
		return cmp.Or(err, ErrRefused) // somebody else spent it
	}
	return nil
}

// ByPhone signs a patient in, and makes his account the first time. bind is what
// ByWeChat gave for a WeChat that no account has; "" binds none.
func (s *Service) ByPhone(ctx context.Context, phone, code, bind string, v Visitor) (Opened, error) {
	phone, err := phoneOf(phone)
	if err != nil {
		return Opened{}, err
	}
	if err := s.takeCode(ctx, phone, useSignIn, code, asker{known: v.Known, address: v.Address}); err != nil {
		return Opened{}, err
	}
	r, err := s.patient(ctx, phone)
	if err != nil {
		return Opened{}, err
	}
	if bind != "" {
		if err := s.bindTicket(ctx, r, bind); err != nil {
			return Opened{}, err
		}
	}
	return s.begin(ctx, r, v)
}

// patient finds the account of a phone, or makes it.
func (s *Service) patient(ctx context.Context, phone string) (record, error) {
	index := s.index(phone, "phone")
	err := pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, `select exists (select from identity.account where phone_index = $1)`, index).Scan(&there); err != nil || there {
			return err
		}
		var id int64
		if err := tx.QueryRow(ctx, `select nextval(pg_get_serial_sequence('identity.account', 'id'))`).Scan(&id); err != nil {
			return err
		}
		sealed, err := s.seal(phone, "phone", id)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `insert into identity.account (id, kind, phone, phone_index) values ($1, 'patient', $2, $3) on conflict (phone_index) do nothing`, id, sealed, index)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return s.Trail(tx).Keep(ctx, clinic.Act{Person: clinic.Person{Account: id}, Verb: "make account", Subject: Subject(id)})
	})
	if err != nil {
		return record{}, fmt.Errorf("make an account: %w", err)
	}
	return s.find(ctx, s.Database, "phone_index = $1", index)
}
