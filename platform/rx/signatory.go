package rx

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/order"
)

// Identify says the number of the identity card of somebody who signs prescriptions or
// reviews at a hospital: regulators want it beside the signature. Who has no licence there
// that is valid now signs nothing, and nothing is kept of him.
func (s *Service) Identify(ctx context.Context, by clinic.Person, hospital string, account int64, idNo string) error {
	if _, _, err := core.ParseIDCard(idNo); err != nil {
		return core.Problems{{Field: "id_no", What: err.Error()}}
	}
	if by.Account == account {
		return fmt.Errorf("identify a signatory: %w: nobody says his own number", clinic.ErrRule)
	}
	err := s.Licences.Licensed(ctx, account, hospital, identity.Physician, time.Now())
	if errors.Is(err, clinic.ErrRule) {
		err = s.Licences.Licensed(ctx, account, hospital, identity.PharmacistLicence, time.Now())
	}
	if err != nil {
		return fmt.Errorf("identify a signatory: %w", err)
	}
	sealed, err := s.Vault.Seal([]byte(idNo), "signatory", strconv.FormatInt(account, 10))
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into rx.signatory (account, id_no, set_by) values ($1, $2, $3)
			on conflict (account) do update set id_no = excluded.id_no, set_by = excluded.set_by, updated_at = clock_timestamp()`, account, sealed, by.Account); err != nil {
			return err
		}
		return s.Trail(tx).Keep(ctx, clinic.Act{Person: by, Verb: "identify signatory", Hospital: hospital, Subject: identity.Subject(account)})
	})
	if err != nil {
		return fmt.Errorf("identify a signatory: %w", err)
	}
	return nil
}

// idNoOf a signatory; "" when nobody said it.
func (s *Service) idNoOf(ctx context.Context, q order.Querier, account int64) (string, error) {
	rows, err := q.Query(ctx, `select id_no from rx.signatory where account = $1`, account)
	if err != nil {
		return "", err
	}
	sealed, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	text, err := s.Vault.Open(sealed, "signatory", strconv.FormatInt(account, 10))
	if err != nil {
		return "", fmt.Errorf("read a signatory's number: %w", err)
	}
	return string(text), nil
}
