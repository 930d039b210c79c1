package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Account as it is shown.
func (s *Service) Account(ctx context.Context, id int64) (Account, error) {
	r, err := s.find(ctx, s.Database, "id = $1", id)
	return r.Account, err
}

// Full is what names a person, unmasked.
type Full struct {
	Phone    string `json:"phone,omitempty"`
	RealName string `json:"real_name,omitempty"`
	IDNo     string `json:"id_no,omitempty"`
}

// Unmasked is an account's own in full: for the person himself through other modules
// (a message to his phone), and for those who say why.
func (s *Service) Unmasked(ctx context.Context, id int64) (Full, error) {
	r, err := s.find(ctx, s.Database, "id = $1", id)
	return Full{r.phone, r.realName, r.idNo}, err
}

// Search finds accounts by a phone, a member of staff's name, or an identity card
// number; the first that is given counts.
func (s *Service) Search(ctx context.Context, phone, name, idNo string) ([]Account, error) {
	var where string
	var value any
	switch {
	case phone != "":
		number, err := phoneOf(phone)
		if err != nil {
			return nil, err
		}
		where, value = "phone_index = $1", s.index(number, "phone")
	case name != "":
		where, value = "name = $1", strings.ToLower(name)
	case idNo != "":
		where, value = "id_no_index = $1", s.index(strings.ToUpper(idNo), "id number")
	default:
		return nil, core.Problems{{Field: "phone", What: "missing: search by phone, name or id_no"}}
	}
	rows, err := s.Database.Query(ctx, `select id from identity.account where `+where+` order by id limit 20`, value)
	if err != nil {
		return nil, fmt.Errorf("search accounts: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	out := []Account{}
	for _, id := range ids {
		a, err := s.Account(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, err
}

// Staff lists the accounts of staff for the administrator of the machine.
func (s *Service) Staff(ctx context.Context) ([]Account, error) {
	rows, err := s.Database.Query(ctx, `select id from identity.account where kind = 'staff' order by id`)
	if err != nil {
		return nil, fmt.Errorf("list staff: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	out := []Account{}
	for _, id := range ids {
		a, err := s.Account(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, err
}

// Named is the account of a member of staff. ErrNotFound.
func (s *Service) Named(ctx context.Context, name string) (Account, error) {
	r, err := s.find(ctx, s.Database, "name = $1", strings.ToLower(name))
	return r.Account, err
}

// Disable keeps an account from being used, and ends its sessions; Enable lets it be
// used again. Nobody does so to himself.
func (s *Service) Disable(ctx context.Context, by clinic.Person, account int64, note string) error {
	return s.able(ctx, by, account, "disable account", note, `update identity.account set disabled_at = clock_timestamp() where id = $1 and disabled_at is null`)
}

// Enable is the reverse of Disable.
func (s *Service) Enable(ctx context.Context, by clinic.Person, account int64, note string) error {
	return s.able(ctx, by, account, "enable account", note, `update identity.account set disabled_at = null where id = $1 and disabled_at is not null`)
}

func (s *Service) able(ctx context.Context, by clinic.Person, account int64, verb, note, sql string) error {
	if by.Account == account {
		return fmt.Errorf("%w: nobody does that to himself", clinic.ErrRule)
	}
	if _, err := s.find(ctx, s.Database, "id = $1", account); err != nil {
		return err
	}
	err := s.change(ctx, account, clinic.Act{Person: by, Verb: verb, Note: note}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, account)
		if err == nil && tag.RowsAffected() == 0 {
			return errAlready
		}
		if err != nil {
			return err
		}
		return s.nextGeneration(ctx, tx, account)
	})
	if errors.Is(err, errAlready) {
		return fmt.Errorf("%w: it is so already", clinic.ErrState)
	}
	return err
}

// ResetSecondFactor takes a member of staff's second factor away: he sets up another at
// his next sign-in.
func (s *Service) ResetSecondFactor(ctx context.Context, by clinic.Person, account int64, note string) error {
	if by.Account == account {
		return fmt.Errorf("%w: nobody resets himself", clinic.ErrRule)
	}
	if err := s.Proved(ctx, by); err != nil {
		return err
	}
	return s.change(ctx, account, clinic.Act{Person: by, Verb: "reset second factor", Note: note}, func(tx pgx.Tx) error {
		if err := staffOnly(ctx, tx, account); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update identity.account set second = null, second_offer = null where id = $1`, account); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from identity.recovery_code where account = $1`, account); err != nil {
			return err
		}
		return s.nextGeneration(ctx, tx, account)
	})
}
