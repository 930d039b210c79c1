package fulfilment

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// maxTries is how many wrong codes kill a code.
const maxTries = 5

// Code is a pick-up code, told once.
type Code struct {
	Code       string     `json:"code" doc:"eight digits; told once, kept nowhere"`
	Fulfilment Fulfilment `json:"fulfilment"`
}

// digest by which a code is known; bound to the prescription, so that it opens no other.
func (s *Service) digest(hospital, no, code string) []byte {
	return s.Vault.Index(hospital+"/"+no+"/"+code, "pick-up code")
}

// NewCode makes a pick-up code, which ends the one before. It holds for one handing out,
// until the prescription's last moment, and not after five wrong tries.
func (s *Service) NewCode(ctx context.Context, account int64, hospital, no string) (c Code, err error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return c, err
	}
	c.Code = fmt.Sprintf("%08d", n)
	c.Fulfilment, err = s.change(ctx, account, hospital, no, func(tx pgx.Tx, f Fulfilment) error {
		if f.State != Ready {
			return fmt.Errorf("%w: it is %s, and not to be picked up", clinic.ErrState, f.State)
		}
		_, err := tx.Exec(ctx, `update fulfilment.fulfilment set code = $3, tries = 0 where hospital = $1 and no = $2`, hospital, no, s.digest(hospital, no, c.Code))
		return err
	})
	if err != nil {
		return Code{}, fmt.Errorf("make a pick-up code: %w", err)
	}
	return c, nil
}

// Deliver has it brought; possible until it was handed out.
func (s *Service) Deliver(ctx context.Context, account int64, hospital, no string, to Address) (Fulfilment, error) {
	text, err := json.Marshal(to)
	if err != nil {
		return Fulfilment{}, err
	}
	sealed, err := s.Vault.Seal(text, "fulfilment address", hospital+"/"+no)
	if err != nil {
		return Fulfilment{}, err
	}
	f, err := s.change(ctx, account, hospital, no, func(tx pgx.Tx, f Fulfilment) error {
		if f.State != Preparing {
			if err := s.move(ctx, tx, f, Preparing, step{account: account}); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `update fulfilment.fulfilment set address = $3 where hospital = $1 and no = $2`, hospital, no, sealed)
		return err
	})
	if err != nil {
		return f, fmt.Errorf("have it delivered: %w", err)
	}
	return f, nil
}

// PickUp takes a delivery back before the carrier has it: the patient fetches it himself.
func (s *Service) PickUp(ctx context.Context, account int64, hospital, no string) (Fulfilment, error) {
	f, err := s.change(ctx, account, hospital, no, func(tx pgx.Tx, f Fulfilment) error {
		if err := s.move(ctx, tx, f, Ready, step{account: account}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update fulfilment.fulfilment set address = null where hospital = $1 and no = $2`, hospital, no)
		return err
	})
	if err != nil {
		return f, fmt.Errorf("fetch it oneself: %w", err)
	}
	return f, nil
}

// Receive is the patient's word that a delivery is in his hands.
func (s *Service) Receive(ctx context.Context, account int64, hospital, no string) (Fulfilment, error) {
	if _, err := s.Own(ctx, account, hospital, no); err != nil {
		return Fulfilment{}, fmt.Errorf("receive: %w", err)
	}
	return s.travel(ctx, hospital, no, Signed, step{account: account})
}

// change is one act of a patient on what is his own.
func (s *Service) change(ctx context.Context, account int64, hospital, no string, f func(tx pgx.Tx, f Fulfilment) error) (Fulfilment, error) {
	err := s.Transact(ctx, hospital, func(tx pgx.Tx, _ core.Outbox) error {
		own, err := s.lock(ctx, tx, hospital, no)
		if err == nil && own.account != account {
			err = clinic.ErrNotFound
		}
		if err != nil {
			return err
		}
		return f(tx, own)
	})
	if err != nil {
		return Fulfilment{}, err
	}
	return s.Own(ctx, account, hospital, no)
}
