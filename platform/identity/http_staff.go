package identity

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hishub/platform/clinic"
)

// Paths of what belongs to a hospital's staff.
type (
	AtAccount struct {
		clinic.Hospital
		Account int64 `path:"account" minimum:"1"`
	}
	AtGrant struct {
		clinic.Hospital
		Grant int64 `path:"grant" minimum:"1"`
	}
	AtLicence struct {
		clinic.Hospital
		Licence int64 `path:"licence" minimum:"1"`
	}
)

type (
	invitation struct {
		Name  string `json:"name" minLength:"2" maxLength:"40" doc:"to sign in by: a-z, 0-9, dot, - and _"`
		Title string `json:"title" minLength:"1" maxLength:"60" doc:"as others see the person" example:"李医生"`
		RoleField
	}
	RoleField struct {
		Role clinic.Role `json:"role" enum:"doctor,pharmacist,nurse,cashier,finance,hospital_admin,ops,release_approver,security_admin,auditor"`
		Code string      `json:"code,omitempty" maxLength:"64" doc:"the person's own at the hospital's HIS; doctors and pharmacists need one"`
		Note string      `json:"note,omitempty" maxLength:"200"`
	}
	// Invited is a new member of staff, or one who gets another invitation.
	Invited struct {
		Account    int64     `json:"account"`
		Invitation string    `json:"invitation" doc:"for the person alone: sets the first password, for 72 hours; shown this once"`
		Grant      *Granted  `json:"grant,omitempty"`
		EndsAt     time.Time `json:"ends_at"`
	}
	grantList struct {
		Grants []Granted `json:"grants"`
	}
	newLicence struct {
		Account int64       `json:"account" minimum:"1"`
		Kind    LicenceKind `json:"kind" enum:"physician,pharmacist,nurse"`
		Number  string      `json:"number" minLength:"5" maxLength:"64"`
		From    string      `json:"valid_from" format:"date"`
		Until   string      `json:"valid_until" format:"date" doc:"its last day"`
	}
	licenceList struct {
		Licences []Licence `json:"licences"`
	}
)

func (s *Service) hospitalStaff(a *clinic.API) {
	const at = "/hospitals/{hospital}"
	staffing := func(id, method, path, title, doc string, status int) clinic.Endpoint {
		return clinic.Endpoint{ID: id, Method: method, Path: at + path, Title: title, Doc: doc, Right: clinic.Staffing, Status: status}
	}
	clinic.Register(a, staffing("list-staff", http.MethodGet, "/staff", "Roles at a hospital, and those that wait for a second person", "", 0),
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[grantList], error) {
			all, err := s.Grants(ctx, in.Hospital, false)
			return reply(grantList{all}, err)
		})
	clinic.Register(a, staffing("invite-staff", http.MethodPost, "/staff", "Invite a member of staff with a role", "The invitation sets the first password; the second factor is set up at the first sign-in. Needs a step-up.", http.StatusCreated),
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Body invitation
		}) (*clinic.Out[Invited], error) {
			g := clinic.Grant{Role: in.Body.Role, Hospital: in.Hospital.Hospital, Code: in.Body.Code}
			return reply(s.inviteWith(ctx, p, in.Body.Name, in.Body.Title, g, in.Body.Note))
		})
	clinic.Register(a, staffing("grant-role", http.MethodPost, "/staff/{account}/grants", "Give a role at the hospital", "finance and hospital_admin are proposed only: a second person approves them. Nobody grants to himself. Needs a step-up.", http.StatusCreated),
		func(ctx context.Context, p clinic.Person, in *struct {
			AtAccount
			Body RoleField
		}) (*clinic.Out[Granted], error) {
			return reply(s.Grant(ctx, p, in.Account, clinic.Grant{Role: in.Body.Role, Hospital: in.Hospital.Hospital, Code: in.Body.Code}, in.Body.Note))
		})
	clinic.Register(a, staffing("approve-role", http.MethodPost, "/grants/{grant}/approve", "Approve, as the second person", "Needs a step-up.", 0),
		func(ctx context.Context, p clinic.Person, in *AtGrant) (*clinic.Out[Granted], error) {
			if err := s.grantOf(ctx, in); err != nil {
				return nil, err
			}
			return reply(s.Approve(ctx, p, in.Grant))
		})
	clinic.Register(a, staffing("revoke-role", http.MethodPost, "/grants/{grant}/revoke", "Take a role away, or a proposal back", "It is gone within five seconds everywhere.", 0),
		func(ctx context.Context, p clinic.Person, in *struct {
			AtGrant
			Body NoteField
		}) (*clinic.Out[Granted], error) {
			if err := s.grantOf(ctx, &in.AtGrant); err != nil {
				return nil, err
			}
			return reply(s.Revoke(ctx, p, in.Grant, in.Body.Note))
		})
	clinic.Register(a, staffing("list-licences", http.MethodGet, "/licences", "Licences of a hospital's staff, those that end first at the top", "", 0),
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Within int `query:"within_days" minimum:"0" maximum:"3660" doc:"only those that end within so many days, or are over, and that no later one follows"`
		}) (*clinic.Out[licenceList], error) {
			all, err := s.Licences(ctx, in.Hospital.Hospital, time.Duration(in.Within)*24*time.Hour)
			return reply(licenceList{all}, err)
		})
	clinic.Register(a, staffing("add-licence", http.MethodPost, "/licences", "Keep a licence", "Without one that is valid its owner may not act at that hospital.", http.StatusCreated),
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Body newLicence
		}) (*clinic.Out[Licence], error) {
			b := in.Body
			return reply(s.AddLicence(ctx, p, in.Hospital.Hospital, Licence{Account: b.Account, Kind: b.Kind, Number: b.Number, From: b.From, Until: b.Until}))
		})
	clinic.Register(a, staffing("revoke-licence", http.MethodPost, "/licences/{licence}/revoke", "End a licence at once", "", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, in *struct {
			AtLicence
			Body NoteField
		}) (*struct{}, error) {
			return done(s.RevokeLicence(ctx, p, in.Hospital.Hospital, in.Licence, in.Body.Note))
		})
}

// grantOf returns ErrNotFound for a grant of another hospital.
func (s *Service) grantOf(ctx context.Context, in *AtGrant) error {
	g, err := s.granted(ctx, s.Database, in.Grant)
	if err == nil && g.Hospital != in.Hospital.Hospital {
		err = clinic.ErrNotFound
	}
	return err
}

// inviteWith invites a person and gives, or proposes, the role.
func (s *Service) inviteWith(ctx context.Context, p clinic.Person, name, title string, g clinic.Grant, note string) (Invited, error) {
	if err := checkGrant(&g); err != nil {
		return Invited{}, err
	}
	if !mayGive(p, g.Role, g.Hospital) {
		return Invited{}, notYours(g.Role)
	}
	invited, err := s.Named(ctx, name) // 0: a new one
	if err != nil && !errors.Is(err, clinic.ErrNotFound) {
		return Invited{}, err
	}
	if err := s.codeFree(ctx, invited.ID, g); err != nil {
		return Invited{}, err
	}
	account, code, err := s.Invite(ctx, p, name, title, false)
	if err != nil {
		return Invited{}, err
	}
	in := Invited{Account: account, Invitation: code, EndsAt: s.now().Add(invitationLasts)}
	granted, err := s.Grant(ctx, p, account, g, note)
	if errors.Is(err, clinic.ErrState) {
		return in, nil // he has it: only the invitation is another one
	}
	in.Grant = &granted
	return in, err
}
