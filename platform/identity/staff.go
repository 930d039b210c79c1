package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// invitationLasts is how long a new member of staff has to set a password.
const invitationLasts = 72 * time.Hour

var staffName = regexp.MustCompile(`^[a-z][a-z0-9._-]{1,39}$`)

// Invite makes an account of staff, or gives one another invitation, and returns the
// code with which its owner sets a password. With reset the old password and second
// factor are gone, and every session.
func (s *Service) Invite(ctx context.Context, by clinic.Person, name, title string, reset bool) (account int64, code string, err error) {
	name = strings.ToLower(name)
	if !staffName.MatchString(name) {
		return 0, "", core.Problems{{Field: "name", What: "not 2 to 40 of a-z, 0-9, dot, - and _, beginning with a letter"}}
	}
	if by.Account != 0 {
		if err := s.Proved(ctx, by); err != nil {
			return 0, "", err
		}
	}
	code = "ci_" + rand.Text()
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		r, err := s.find(ctx, tx, "name = $1", name)
		switch {
		case errors.Is(err, clinic.ErrNotFound):
			if title == "" {
				return core.Problems{{Field: "title", What: "missing: how others see a new member of staff"}}
			}
			err = tx.QueryRow(ctx, `insert into identity.account (kind, name, title) values ('staff', $1, $2) returning id`, name, title).Scan(&r.ID)
		case err == nil && r.ID == by.Account:
			err = fmt.Errorf("%w: nobody resets himself", clinic.ErrRule)
		case err == nil && r.HasPassword && !reset:
			err = fmt.Errorf("%w: account %d has that name and a password; give it the role", clinic.ErrState, r.ID)
		case err == nil:
			if err = s.mayHold(ctx, tx, by, r.ID, Proposed, Active); err == nil && reset {
				err = s.resetCredentials(ctx, tx, r.ID)
			}
		}
		if err != nil {
			return err
		}
		account = r.ID
		// One invitation at a time.
		if _, err := tx.Exec(ctx, `update identity.invitation set used_at = $2 where account = $1 and used_at is null`, account, s.now()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into identity.invitation (digest, account, ends_at, made_by) values ($1, $2, $3, $4)`, s.index(code, "invitation"), account, s.now().Add(invitationLasts), by.Account); err != nil {
			return err
		}
		return s.Trail(tx).Keep(ctx, clinic.Act{Person: by, Verb: "invite", Subject: Subject(account), Data: map[string]any{"name": name, "reset": reset}})
	})
	if clinic.Duplicate(err) {
		return 0, "", fmt.Errorf("%w: somebody else invites that name just now", clinic.ErrState)
	}
	s.forget(account)
	return account, code, err
}

// mayHold: whoever holds an invitation can become that person, so it takes the right to
// give every role that the person has. What takes two persons is left to the
// administrator of the machine: one alone could become both of them.
func (s *Service) mayHold(ctx context.Context, tx pgx.Tx, by clinic.Person, account int64, states ...GrantState) error {
	if by.Account == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `select role, hospital, code from identity.role_grant where account = $1 and state = any($2)`, account, states)
	if err != nil {
		return err
	}
	grants, err := pgx.CollectRows(rows, pgx.RowToStructByPos[clinic.Grant])
	for _, g := range grants {
		if !mayGive(by, g.Role, g.Hospital) || slices.Contains(twoPersons, g.Role) {
			return fmt.Errorf("%w: account %d has the role %s, so that its invitation is made at the database", clinic.ErrRule, account, g.Role)
		}
	}
	return err
}

// voidInvitations ends the open invitations of an account that gets a role of two
// persons: whoever made one could become that person alone. Those of the administrator
// of the machine stay.
func (s *Service) voidInvitations(ctx context.Context, tx pgx.Tx, account int64) error {
	_, err := tx.Exec(ctx, `update identity.invitation set used_at = $2 where account = $1 and used_at is null and made_by is distinct from 0`, account, s.now())
	return err
}

// stillGood holds the account until the transaction ends. ErrRefused when whoever made
// the invitation could not make it now.
func (s *Service) stillGood(ctx context.Context, tx pgx.Tx, account int64, digest []byte) error {
	var by *int64
	err := tx.QueryRow(ctx, `select i.made_by from identity.account a join identity.invitation i on i.account = a.id where a.id = $1 and i.digest = $2 for update of a`, account, digest).Scan(&by)
	if err != nil {
		return err
	}
	inviter := clinic.Person{Account: -1} // nobody knows who it was
	if by != nil && *by == 0 {
		return nil
	} else if by != nil {
		r, err := s.find(ctx, tx, "id = $1", *by)
		if err != nil {
			return err
		}
		if r.Disabled {
			return ErrRefused
		}
		inviter = r.person()
	}
	if err := s.mayHold(ctx, tx, inviter, account, Active); errors.Is(err, clinic.ErrRule) {
		return ErrRefused
	} else if err != nil {
		return err
	}
	return nil
}

func (s *Service) resetCredentials(ctx context.Context, tx pgx.Tx, account int64) error {
	if _, err := tx.Exec(ctx, `update identity.account set password = '', second = null, second_offer = null where id = $1`, account); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from identity.recovery_code where account = $1`, account); err != nil {
		return err
	}
	return s.nextGeneration(ctx, tx, account)
}

// nextGeneration ends all sessions and half-open sign-ins.
func (s *Service) nextGeneration(ctx context.Context, tx pgx.Tx, account int64) error {
	tag, err := tx.Exec(ctx, `update identity.account set generation = generation + 1, version = version + 1, updated_at = clock_timestamp() where id = $1`, account)
	if err == nil && tag.RowsAffected() == 0 {
		return clinic.ErrNotFound
	}
	return err
}

// Accept sets the password of whoever holds an invitation.
func (s *Service) Accept(ctx context.Context, code, password, address string) error {
	if err := s.tried(ctx, address); err != nil {
		return err
	}
	index := s.index(code, "invitation")
	r, err := s.find(ctx, s.Database, `id = (select account from identity.invitation where digest = $1 and used_at is null)`, index)
	if errors.Is(err, clinic.ErrNotFound) {
		return ErrRefused
	}
	if err != nil {
		return err
	}
	if err := checkPassword(password, r.Name); err != nil {
		return err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.change(ctx, r.ID, clinic.Act{Person: r.person(), Verb: "set password"}, func(tx pgx.Tx) error {
		if err := s.stillGood(ctx, tx, r.ID, index); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `update identity.invitation set used_at = $2 where digest = $1 and used_at is null and ends_at > $2`, index, s.now())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrRefused
		}
		if _, err := tx.Exec(ctx, `update identity.account set password = $2 where id = $1`, r.ID, hash); err != nil {
			return err
		}
		return s.nextGeneration(ctx, tx, r.ID)
	})
}

func (r record) person() clinic.Person {
	return clinic.Person{Account: r.ID, Name: r.shown(), Grants: r.Grants}
}

// Run tidies up until ctx ends.
func (s *Service) Run(ctx context.Context) {
	for {
		if err := s.Tidy(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("tidy the tries to sign in", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Hour):
		}
	}
}

// Tidy drops tries that are forgotten anyway, and invitations long over.
func (s *Service) Tidy(ctx context.Context) error {
	_, err := s.Database.Exec(ctx, `delete from identity.attempt where last_at < $1 and until < $2`, s.now().Add(-24*time.Hour), s.now())
	return err
}

// ByPassword is the first half of the sign-in of staff. ticket leads to the second:
// SecondFactor, or where enrol is told Enrol and Confirm.
// known is the token of a device that signed in before, "" for none.
func (s *Service) ByPassword(ctx context.Context, name, password, known, address string) (ticket string, enrol bool, err error) {
	if err := s.tried(ctx, address); err != nil {
		return "", false, err
	}
	name = strings.ToLower(name)
	subjects, err := s.attemptName(ctx, name, known, address)
	if err != nil {
		return "", false, err
	}
	r, err := s.find(ctx, s.Database, "name = $1", name)
	if err != nil && !errors.Is(err, clinic.ErrNotFound) {
		return "", false, err
	}
	right, err := s.holds(ctx, password, r.password)
	if err != nil {
		return "", false, err
	}
	if !right || r.Disabled {
		if r.ID != 0 {
			s.Log.Warn("sign-in refused", "account", r.ID)
		}
		return "", false, ErrRefused
	}
	if err := s.attemptRight(ctx, subjects...); err != nil {
		return "", false, err
	}
	ticket, err = s.keepPending(ctx, r)
	return ticket, !r.SecondFactor, err
}

// ChangePassword of who is signed in; all other sessions end, and this one has a new token.
func (s *Service) ChangePassword(ctx context.Context, p clinic.Person, old, next string) (Opened, error) {
	r, err := s.find(ctx, s.Database, "id = $1", p.Account)
	if err != nil {
		return Opened{}, err
	}
	if r.Kind != StaffAccount {
		return Opened{}, fmt.Errorf("%w: patients have no password", clinic.ErrRule)
	}
	// Who is signed in is not kept from it by those who try to sign in.
	subject := s.index(Subject(r.ID), "password change tried")
	if err := s.attempt(ctx, s.Database, subject, ofOne); err != nil {
		return Opened{}, err
	}
	right, err := s.holds(ctx, old, r.password)
	if err != nil {
		return Opened{}, err
	}
	if !right {
		return Opened{}, core.Problems{{Field: "old", What: "not the password"}}
	}
	if err := checkPassword(next, r.Name); err != nil {
		return Opened{}, err
	}
	if next == old {
		return Opened{}, core.Problems{{Field: "password", What: "the same as before"}}
	}
	hash, err := s.hash(ctx, next)
	if err != nil {
		return Opened{}, err
	}
	live, err := s.current(ctx, p)
	if err != nil {
		return Opened{}, err
	}
	err = s.change(ctx, p.Account, clinic.Act{Person: p, Verb: "change password"}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update identity.account set password = $2 where id = $1`, p.Account, hash); err != nil {
			return err
		}
		return s.nextGeneration(ctx, tx, p.Account)
	})
	if err != nil {
		return Opened{}, err
	}
	if err := s.attemptRight(ctx, subject); err != nil {
		return Opened{}, err
	}
	if r, err = s.find(ctx, s.Database, "id = $1", p.Account); err != nil {
		return Opened{}, err
	}
	return s.replace(ctx, live, r.generation)
}
