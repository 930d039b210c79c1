package fulfilment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// What is late is read as lapsed, also before the job has come to it.
const columns = `no, hospital, patient, case when state in ('ready', 'preparing') and valid_until <= clock_timestamp() then 'lapsed' else state end,
	valid_until, code is not null and tries < 5, carrier, tracking, updated_at, account, code, tries, address`

func scan(row pgx.CollectableRow) (f Fulfilment, err error) {
	err = row.Scan(&f.No, &f.Hospital, &f.Patient, &f.State, &f.ValidUntil, &f.HasCode, &f.Carrier, &f.Tracking, &f.UpdatedAt, &f.account, &f.code, &f.tries, &f.address)
	return f, err
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (s *Service) many(ctx context.Context, q querier, where string, args ...any) ([]Fulfilment, error) {
	rows, err := q.Query(ctx, `select `+columns+` from fulfilment.fulfilment where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read what is to be handed out: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

func (s *Service) one(ctx context.Context, q querier, where string, args ...any) (Fulfilment, error) {
	all, err := s.many(ctx, q, where, args...)
	if err == nil && len(all) == 0 {
		err = clinic.ErrNotFound
	}
	if err != nil {
		return Fulfilment{}, err
	}
	return all[0], nil
}

// Get one; clinic.ErrNotFound when the hospital has none for that prescription.
func (s *Service) Get(ctx context.Context, hospital, no string) (Fulfilment, error) {
	return s.one(ctx, s.Database, `hospital = $1 and no = $2`, hospital, no)
}

// Own is one of an account's patients; another's is clinic.ErrNotFound.
func (s *Service) Own(ctx context.Context, account int64, hospital, no string) (Fulfilment, error) {
	return s.one(ctx, s.Database, `hospital = $1 and no = $2 and account = $3`, hospital, no, account)
}

// OfAccount are those of an account's patients, newest first.
func (s *Service) OfAccount(ctx context.Context, account int64, limit int) ([]Fulfilment, error) {
	return s.many(ctx, s.Database, `account = $1 order by created_at desc, no limit $2`, account, limit)
}

// Open are a hospital's that are not over, the longest unmoved first.
func (s *Service) Open(ctx context.Context, hospital string, limit int) ([]Fulfilment, error) {
	return s.many(ctx, s.Database, `hospital = $1 and state in ('ready', 'preparing', 'shipped', 'arrived') order by updated_at limit $2`, hospital, limit)
}

func (s *Service) lock(ctx context.Context, tx pgx.Tx, hospital, no string) (Fulfilment, error) {
	return s.one(ctx, tx, `hospital = $1 and no = $2 for update`, hospital, no)
}

// step is who moved it, and what he says.
type step struct {
	account int64
	code    string
	checks  string
	reason  string
}

// move a fulfilment that is locked; a code holds for one state only.
func (s *Service) move(ctx context.Context, tx pgx.Tx, f Fulfilment, to State, by step) error {
	if _, err := States.Move(f.State, to); err != nil {
		return err
	}
	var reason []byte
	if by.reason != "" {
		var err error
		if reason, err = s.Vault.Seal([]byte(by.reason), "fulfilment reason", f.No); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `update fulfilment.fulfilment set state = $3, code = null, tries = 0, updated_at = clock_timestamp() where hospital = $1 and no = $2`, f.Hospital, f.No, to); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `insert into fulfilment.step (hospital, no, state, account, code, checks, reason) values ($1, $2, $3, $4, $5, $6, $7)`,
		f.Hospital, f.No, to, by.account, by.code, by.checks, reason)
	return err
}

// addressOf a delivery, as it was sealed.
func (s *Service) addressOf(f Fulfilment) (a Address, err error) {
	if f.address == nil {
		return a, errors.New("a delivery without an address")
	}
	text, err := s.Vault.Open(f.address, "fulfilment address", f.Hospital+"/"+f.No)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

// now is the database's.
func now(ctx context.Context, tx pgx.Tx) (at time.Time, err error) {
	err = tx.QueryRow(ctx, `select clock_timestamp()`).Scan(&at)
	return at, err
}
