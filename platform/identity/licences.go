package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// LicenceKind is what a licence allows.
type LicenceKind string

const (
	Physician         LicenceKind = "physician" // 医师执业证书, registered at the hospital
	PharmacistLicence LicenceKind = "pharmacist"
	NurseLicence      LicenceKind = "nurse"
)

// Values of LicenceKind.
func (LicenceKind) Values() []string {
	return []string{string(Physician), string(PharmacistLicence), string(NurseLicence)}
}

// licenceZone is where the last day of a licence ends.
var licenceZone = time.FixedZone("CST", 8*3600)

// Licence of a member of staff at a hospital.
type Licence struct {
	ID      int64       `json:"licence"`
	Account int64       `json:"account"`
	Title   string      `json:"title,omitempty"`
	Kind    LicenceKind `json:"kind"`
	Number  string      `json:"number" doc:"masked"`
	From    string      `json:"valid_from" format:"date"`
	Until   string      `json:"valid_until" format:"date" doc:"its last day"`
	Revoked bool        `json:"revoked"`
}

// Licensed returns ErrRule, naming why, unless the person has a licence of that kind
// at the hospital that is valid at that moment. It is never answered from memory.
func (s *Service) Licensed(ctx context.Context, account int64, hospital string, kind LicenceKind, at time.Time) error {
	day := at.In(licenceZone).Format(time.DateOnly)
	var valid, revoked bool
	var from, until *time.Time
	err := s.Database.QueryRow(ctx, `
		select coalesce(bool_or(revoked_at is null and $4::date between valid_from and valid_until), false), coalesce(bool_or(revoked_at is not null), false),
			min(valid_from) filter (where revoked_at is null and valid_from > $4::date), max(valid_until) filter (where revoked_at is null and valid_until < $4::date)
		from identity.licence where account = $1 and hospital = $2 and kind = $3`, account, hospital, kind, day).Scan(&valid, &revoked, &from, &until)
	switch {
	case err != nil:
		return fmt.Errorf("read licences: %w", err)
	case valid:
		return nil
	case until != nil:
		return fmt.Errorf("%w: the %s licence at this hospital expired on %s", clinic.ErrRule, kind, until.Format(time.DateOnly))
	case from != nil:
		return fmt.Errorf("%w: the %s licence at this hospital begins on %s", clinic.ErrRule, kind, from.Format(time.DateOnly))
	case revoked:
		return fmt.Errorf("%w: the %s licence at this hospital is revoked", clinic.ErrRule, kind)
	}
	return fmt.Errorf("%w: there is no %s licence at this hospital", clinic.ErrRule, kind)
}

// AddLicence keeps a licence of a member of the hospital's staff. l.Number is in full.
func (s *Service) AddLicence(ctx context.Context, by clinic.Person, hospital string, l Licence) (Licence, error) {
	from, err1 := time.Parse(time.DateOnly, l.From)
	until, err2 := time.Parse(time.DateOnly, l.Until)
	switch {
	case !slices.Contains(l.Kind.Values(), string(l.Kind)):
		return l, core.Problems{{Field: "kind", What: "not a kind of licence"}}
	case err1 != nil:
		return l, core.Problems{{Field: "valid_from", What: "not a day as 2026-01-05"}}
	case err2 != nil || until.Before(from):
		return l, core.Problems{{Field: "valid_until", What: "not a day on or after the first"}}
	case len(l.Number) < 5 || len(l.Number) > 64:
		return l, core.Problems{{Field: "number", What: "not 5 to 64 characters"}}
	case by.Account != 0 && by.Account == l.Account:
		return l, fmt.Errorf("%w: nobody keeps his own licences", clinic.ErrRule)
	}
	act := clinic.Act{Person: by, Verb: "add licence", Hospital: hospital, Data: map[string]any{"kind": l.Kind, "from": l.From, "until": l.Until}}
	err := s.change(ctx, l.Account, act, func(tx pgx.Tx) error {
		if err := worksAt(ctx, tx, l.Account, hospital); err != nil {
			return err
		}
		sealed, err := s.seal(l.Number, "licence", l.Account)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `insert into identity.licence (account, hospital, kind, number, number_index, valid_from, valid_until) values ($1, $2, $3, $4, $5, $6, $7) returning id`,
			l.Account, hospital, l.Kind, sealed, s.index(l.Number, "licence"), from, until).Scan(&l.ID)
	})
	l.Number = core.MaskNumber(l.Number)
	return l, err
}

// worksAt holds the account. ErrNotFound unless it has, or shall have, a role there.
func worksAt(ctx context.Context, tx pgx.Tx, account int64, hospital string) error {
	if err := staffOnly(ctx, tx, account); err != nil {
		return err
	}
	var there bool
	err := tx.QueryRow(ctx, `select exists (select from identity.role_grant where account = $1 and hospital = $2 and state <> 'revoked')`, account, hospital).Scan(&there)
	if err == nil && !there {
		return clinic.ErrNotFound
	}
	return err
}

// RevokeLicence ends one at once.
func (s *Service) RevokeLicence(ctx context.Context, by clinic.Person, hospital string, licence int64, note string) error {
	var account int64
	err := s.Database.QueryRow(ctx, `select account from identity.licence where id = $1 and hospital = $2`, licence, hospital).Scan(&account)
	if errors.Is(err, pgx.ErrNoRows) {
		return clinic.ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.change(ctx, account, clinic.Act{Person: by, Verb: "revoke licence", Hospital: hospital, Note: note, Data: map[string]any{"licence": licence}}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update identity.licence set revoked_at = $2, version = version + 1, updated_at = clock_timestamp() where id = $1 and revoked_at is null`, licence, s.now())
		if err == nil && tag.RowsAffected() == 0 {
			return fmt.Errorf("%w: it is revoked", clinic.ErrState)
		}
		return err
	})
}

// Licences of a hospital, those that end first at the top; within: only those whose
// last day comes by then and that nothing follows, the ones that are over included.
// 0 is all.
func (s *Service) Licences(ctx context.Context, hospital string, within time.Duration) ([]Licence, error) {
	var by *time.Time
	if within > 0 {
		end := s.now().Add(within)
		by = &end
	}
	rows, err := s.Database.Query(ctx, `
		select l.id, l.account, a.title, l.kind, l.number, l.valid_from, l.valid_until, l.revoked_at is not null
		from identity.licence l join identity.account a on a.id = l.account
		where l.hospital = $1 and ($2::date is null or l.revoked_at is null and l.valid_until <= $2::date and not exists (
			select from identity.licence n where n.account = l.account and n.hospital = l.hospital and n.kind = l.kind and n.revoked_at is null and n.valid_until > l.valid_until))
		order by l.valid_until, l.id limit 1000`, hospital, by)
	if err != nil {
		return nil, fmt.Errorf("list licences: %w", err)
	}
	out := []Licence{}
	var l Licence
	var sealed []byte
	var from, until time.Time
	_, err = pgx.ForEachRow(rows, []any{&l.ID, &l.Account, &l.Title, &l.Kind, &sealed, &from, &until, &l.Revoked}, func() error {
		number, err := s.open(sealed, "licence", l.Account)
		l.Number, l.From, l.Until = core.MaskNumber(number), from.Format(time.DateOnly), until.Format(time.DateOnly)
		out = append(out, l)
		return err
	})
	return out, err
}
