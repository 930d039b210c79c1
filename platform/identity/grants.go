package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// GrantState of a grant; a revoked one is kept as what it was.
type GrantState string

const (
	Proposed GrantState = "proposed" // a second person must approve
	Active   GrantState = "active"
	Revoked  GrantState = "revoked"
)

// GrantStates is the machine.
var GrantStates = clinic.States[GrantState]{
	Proposed: {Active, Revoked},
	Active:   {Revoked},
}

// Granted is a role that somebody has, or shall have.
type Granted struct {
	ID         int64      `json:"grant"`
	Account    int64      `json:"account"`
	Title      string     `json:"title,omitempty"`
	Role       string     `json:"role"`
	Hospital   string     `json:"hospital,omitempty" doc:"empty is every hospital"`
	Code       string     `json:"code,omitempty" doc:"the person's own at that HIS"`
	State      GrantState `json:"state"`
	ProposedBy int64      `json:"proposed_by" doc:"account; 0 is the administrator of the machine"`
	ApprovedBy *int64     `json:"approved_by,omitempty"`
	Note       string     `json:"note,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
}

var (
	// ofHospital are the roles that hospital's own administrators give.
	ofHospital = []clinic.Role{clinic.Doctor, clinic.Pharmacist, clinic.Nurse, clinic.Cashier, clinic.Finance, clinic.HospitalAdmin}
	// everywhere are the roles that may be good for all hospitals.
	everywhere = []clinic.Role{clinic.Ops, clinic.ReleaseApprover, clinic.SecurityAdmin, clinic.Auditor}
	// twoPersons give these roles.
	twoPersons = []clinic.Role{clinic.SecurityAdmin, clinic.Auditor, clinic.Finance, clinic.HospitalAdmin}
	// withCode are the roles that act at a HIS under a code of its own.
	withCode = []clinic.Role{clinic.Doctor, clinic.Pharmacist}
)

// mayGive reports whether a person may give or take a role there.
func mayGive(p clinic.Person, role clinic.Role, hospital string) bool {
	if slices.Contains(ofHospital, role) {
		return hospital != "" && (p.May(clinic.Staffing, hospital) || p.May(clinic.Security, hospital))
	}
	return p.May(clinic.Security, "")
}

func notYours(role clinic.Role) error {
	return fmt.Errorf("%w: the role %s is not yours to give there", clinic.ErrRule, role)
}

// checkGrant trims the code and returns what is wrong with a grant.
func checkGrant(g *clinic.Grant) error {
	var c core.Problems
	g.Code = strings.TrimSpace(g.Code)
	switch {
	case !g.Role.Staff() || !slices.Contains(clinic.Roles, g.Role):
		c = append(c, core.Problem{Field: "role", What: "not a role of staff"})
	case g.Hospital == "" && !slices.Contains(everywhere, g.Role):
		c = append(c, core.Problem{Field: "hospital", What: "missing: this role is one at a hospital"})
	case g.Hospital != "" && g.Role == clinic.SecurityAdmin:
		c = append(c, core.Problem{Field: "hospital", What: "must be empty: a security_admin looks after the accounts of all hospitals"})
	case g.Code == "" && slices.Contains(withCode, g.Role):
		c = append(c, core.Problem{Field: "code", What: "missing: the person's own code at that hospital's HIS"})
	}
	if len(c) > 0 {
		return c
	}
	return nil
}

// Grant gives a role to a member of staff, or proposes it where two persons must.
// ErrRule for a role that by may not give, for oneself, and without a step-up.
func (s *Service) Grant(ctx context.Context, by clinic.Person, account int64, g clinic.Grant, note string) (Granted, error) {
	if !mayGive(by, g.Role, g.Hospital) {
		return Granted{}, notYours(g.Role)
	}
	if err := s.Proved(ctx, by); err != nil {
		return Granted{}, err
	}
	state := Active
	if slices.Contains(twoPersons, g.Role) {
		state = Proposed
	}
	return s.grant(ctx, by, account, g, state, note)
}

// GrantAtDatabase is the first grant, by the administrator of the machine, whom the
// context names: it takes no second person.
func (s *Service) GrantAtDatabase(ctx context.Context, account int64, g clinic.Grant, note string) (Granted, error) {
	return s.grant(ctx, clinic.Person{}, account, g, Active, note)
}

func (s *Service) grant(ctx context.Context, by clinic.Person, account int64, g clinic.Grant, state GrantState, note string) (Granted, error) {
	if account == by.Account {
		return Granted{}, fmt.Errorf("%w: nobody grants to himself", clinic.ErrRule)
	}
	if err := checkGrant(&g); err != nil {
		return Granted{}, err
	}
	if err := s.codeFree(ctx, account, g); err != nil {
		return Granted{}, err
	}
	var id int64
	verb := "grant"
	if state == Proposed {
		verb = "propose grant"
	}
	act := clinic.Act{Person: by, Verb: verb, Hospital: g.Hospital, Note: note, Data: map[string]any{"role": g.Role, "code": g.Code}}
	err := s.change(ctx, account, act, func(tx pgx.Tx) error {
		if err := staffOnly(ctx, tx, account); err != nil {
			return err
		}
		if state == Active && slices.Contains(twoPersons, g.Role) {
			if err := s.voidInvitations(ctx, tx, account); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `insert into identity.role_grant (account, role, hospital, code, state, proposed_by, note) values ($1, $2, $3, $4, $5, $6, $7) returning id`,
			account, g.Role, g.Hospital, g.Code, state, by.Account, note).Scan(&id)
	})
	if clinic.Duplicate(err) {
		if taken := s.codeFree(ctx, account, g); taken != nil {
			return Granted{}, taken // meanwhile
		}
		return Granted{}, fmt.Errorf("%w: the person has that role there, or it is proposed", clinic.ErrState)
	}
	if err != nil {
		return Granted{}, err
	}
	return s.granted(ctx, s.Database, id)
}

// codeFree returns core.Problems of field code when another account has the code in that
// role there: whatever either did under it could not be told apart. account 0 is a new one.
func (s *Service) codeFree(ctx context.Context, account int64, g clinic.Grant) error {
	if g.Code == "" {
		return nil
	}
	var holder int64
	err := s.Database.QueryRow(ctx, `select account from identity.role_grant where hospital = $1 and role = $2 and code = $3 and state <> 'revoked' and account <> $4`,
		g.Hospital, g.Role, g.Code, account).Scan(&holder)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for the holder of a code: %w", err)
	}
	return core.Problems{{Field: "code", What: fmt.Sprintf("account %d has it in that role at that hospital; revoke that role first", holder)}}
}

// staffOnly holds the account until the transaction ends. ErrNotFound when it is none of staff.
func staffOnly(ctx context.Context, tx pgx.Tx, account int64) error {
	var kind Kind
	err := tx.QueryRow(ctx, `select kind from identity.account where id = $1 for share`, account).Scan(&kind)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && kind != StaffAccount {
		return clinic.ErrNotFound
	}
	return err
}

// MakeGuardian gives an account the role of a guardian, in the caller's transaction.
// That he is one is for the caller to know; again is harmless.
func (s *Service) MakeGuardian(ctx context.Context, tx pgx.Tx, account int64) error {
	_, err := tx.Exec(ctx, `insert into identity.role_grant (account, role, hospital, state, proposed_by, note)
		select id, $2, '', 'active', 0, 'has a ward' from identity.account where id = $1 and kind = 'patient' on conflict do nothing`, account, clinic.Guardian)
	s.forget(account)
	return err
}

// Approve makes a proposed grant active. It takes another person than the one who
// proposed it, and than the one who gets it; neither of the two deciders may have made
// the other.
func (s *Service) Approve(ctx context.Context, by clinic.Person, grant int64) (Granted, error) {
	return s.decide(ctx, by, grant, Active, "approve grant", "")
}

// Revoke takes a role away, or a proposal back.
func (s *Service) Revoke(ctx context.Context, by clinic.Person, grant int64, note string) (Granted, error) {
	return s.decide(ctx, by, grant, Revoked, "revoke grant", note)
}

// RevokeAtDatabase is Revoke by the administrator of the machine.
func (s *Service) RevokeAtDatabase(ctx context.Context, grant int64, note string) (Granted, error) {
	return s.decide(ctx, clinic.Person{}, grant, Revoked, "revoke grant", note)
}

func (s *Service) decide(ctx context.Context, by clinic.Person, grant int64, to GrantState, verb, note string) (Granted, error) {
	g, err := s.granted(ctx, s.Database, grant)
	if err != nil {
		return g, err
	}
	if by.Account != 0 && !mayGive(by, clinic.Role(g.Role), g.Hospital) {
		return Granted{}, fmt.Errorf("%w: the role %s is not yours to decide about there", clinic.ErrRule, g.Role)
	}
	if to == Active {
		switch by.Account {
		case g.Account:
			return Granted{}, fmt.Errorf("%w: nobody grants to himself", clinic.ErrRule)
		case g.ProposedBy:
			return Granted{}, fmt.Errorf("%w: a second person must approve", clinic.ErrRule)
		}
		if err := s.Proved(ctx, by); err != nil {
			return Granted{}, err
		}
	}
	act := clinic.Act{Person: by, Verb: verb, Hospital: g.Hospital, Note: note, Data: map[string]any{"grant": g.ID, "role": g.Role}}
	err = s.change(ctx, g.Account, act, func(tx pgx.Tx) error {
		if err := staffOnly(ctx, tx, g.Account); err != nil && to == Active {
			return err
		}
		locked, err := s.granted(ctx, tx, grant)
		if err != nil {
			return err
		}
		if _, err := GrantStates.Move(locked.State, to); err != nil {
			return err
		}
		if to == Active {
			if err := independent(ctx, tx, by.Account, locked.ProposedBy); err != nil {
				return err
			}
			if err := s.voidInvitations(ctx, tx, g.Account); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `update identity.role_grant set state = $2, approved_by = case when $2 = 'active' then $3 else approved_by end, version = version + 1, updated_at = clock_timestamp() where id = $1`,
			grant, string(to), by.Account)
		return err
	})
	if err != nil {
		return Granted{}, err
	}
	return s.granted(ctx, s.Database, grant)
}

// independent returns ErrRule when one of two people invited the other, or gave him a
// role that he has: one person alone could be both.
func independent(ctx context.Context, tx pgx.Tx, one, other int64) error {
	var made bool
	err := tx.QueryRow(ctx, `select exists (select from identity.invitation where (account, made_by) in (($1, $2), ($2, $1)))
		or exists (select from identity.role_grant where state = 'active' and (account, proposed_by) in (($1, $2), ($2, $1)))`, one, other).Scan(&made)
	if err == nil && made {
		err = fmt.Errorf("%w: one of you invited the other or gave him a role; another person must approve", clinic.ErrRule)
	}
	return err
}

const grantColumns = `g.id, g.account, a.title, g.role, g.hospital, g.code, g.state, g.proposed_by, g.approved_by, g.note, g.created_at`

// granted reads a grant; in a transaction it is held until that ends.
func (s *Service) granted(ctx context.Context, q querier, id int64) (Granted, error) {
	held := ""
	if _, ok := q.(pgx.Tx); ok {
		held = " for update of g"
	}
	rows, err := q.Query(ctx, `select `+grantColumns+` from identity.role_grant g join identity.account a on a.id = g.account where g.id = $1`+held, id)
	if err != nil {
		return Granted{}, fmt.Errorf("read a grant: %w", err)
	}
	g, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Granted])
	if errors.Is(err, pgx.ErrNoRows) {
		return g, clinic.ErrNotFound
	}
	return g, err
}

// Grants that are not revoked: of a hospital, "" for all; only those that wait for a
// second person with proposed.
func (s *Service) Grants(ctx context.Context, hospital string, proposed bool) ([]Granted, error) {
	where, args := []string{"g.state <> 'revoked'", "a.kind = 'staff'"}, []any{}
	if hospital != "" {
		where, args = append(where, "g.hospital = $1"), append(args, hospital)
	}
	if proposed {
		where = append(where, "g.state = 'proposed'")
	}
	rows, err := s.Database.Query(ctx, `select `+grantColumns+` from identity.role_grant g join identity.account a on a.id = g.account where `+strings.Join(where, " and ")+` order by g.id limit 1000`, args...)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Granted])
}
