package identity

import (
	"context"
	"net/http"

	"hishub/platform/clinic"
)

type (
	AnAccount struct {
		Account int64 `path:"account" minimum:"1"`
	}
	AGrant struct {
		Grant int64 `path:"grant" minimum:"1"`
	}
	accountAndNote struct {
		AnAccount
		Body NoteField
	}
	search struct {
		Phone string `json:"phone,omitempty" maxLength:"20"`
		Name  string `json:"name,omitempty" maxLength:"40"`
		IDNo  string `json:"id_no,omitempty" maxLength:"20"`
	}
	accountList struct {
		Accounts []Account `json:"accounts"`
	}
	anyRole struct {
		RoleField
		Hospital string `json:"hospital,omitempty" maxLength:"64" doc:"empty is every hospital, which ops, release_approver, security_admin and auditor may have"`
	}
)

func (s *Service) security(a *clinic.API) {
	security := func(id, method, path, title, doc string, status int) clinic.Endpoint {
		return clinic.Endpoint{ID: id, Method: method, Path: path, Title: title, Doc: doc, Right: clinic.Security, Status: status}
	}
	shows := func(e clinic.Endpoint) clinic.Endpoint { e.Shows = true; return e }

	clinic.Register(a, shows(security("search-accounts", http.MethodPost, "/accounts/search", "Find accounts by phone, name or identity card number", "Masked.", 0)),
		func(ctx context.Context, _ clinic.Person, in *struct{ Body search }) (*clinic.Out[accountList], error) {
			all, err := s.Search(ctx, in.Body.Phone, in.Body.Name, in.Body.IDNo)
			subjects := []string{}
			for _, found := range all {
				subjects = append(subjects, Subject(found.ID))
			}
			clinic.About(ctx, "accounts", subjects...)
			return reply(accountList{all}, err)
		})
	clinic.Register(a, shows(security("get-any-account", http.MethodGet, "/accounts/{account}", "An account, masked", "", 0)),
		func(ctx context.Context, _ clinic.Person, in *AnAccount) (*clinic.Out[Account], error) {
			clinic.About(ctx, Subject(in.Account), Subject(in.Account))
			return reply(s.Account(ctx, in.Account))
		})
	clinic.Register(a, shows(security("unmask-account", http.MethodPost, "/accounts/{account}/unmask", "See what names a person, for a purpose", "Needs a step-up.", 0)),
		func(ctx context.Context, p clinic.Person, in *accountAndNote) (*clinic.Out[Full], error) {
			clinic.About(ctx, Subject(in.Account), Subject(in.Account))
			clinic.Because(ctx, in.Body.Note)
			if err := s.Proved(ctx, p); err != nil {
				return reply(Full{}, err)
			}
			return reply(s.Unmasked(ctx, in.Account))
		})
	clinic.Register(a, security("disable-account", http.MethodPost, "/accounts/{account}/disable", "Keep an account from being used, at once", "", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, in *accountAndNote) (*struct{}, error) {
			return done(s.Disable(ctx, p, in.Account, in.Body.Note))
		})
	clinic.Register(a, security("enable-account", http.MethodPost, "/accounts/{account}/enable", "Let an account be used again", "", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, in *accountAndNote) (*struct{}, error) {
			return done(s.Enable(ctx, p, in.Account, in.Body.Note))
		})
	clinic.Register(a, security("list-any-sessions", http.MethodGet, "/accounts/{account}/sessions", "Devices of an account", "", 0),
		func(ctx context.Context, p clinic.Person, in *AnAccount) (*clinic.Out[sessionList], error) {
			if _, err := s.Account(ctx, in.Account); err != nil {
				return nil, err
			}
			all, err := s.Sessions(ctx, in.Account, p.Session)
			return reply(sessionList{all}, err)
		})
	clinic.Register(a, security("end-any-sessions", http.MethodPost, "/accounts/{account}/sign-out", "Sign an account out everywhere", "", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, in *accountAndNote) (*struct{}, error) {
			return done(s.EndAll(ctx, p, in.Account, in.Body.Note))
		})
	clinic.Register(a, security("reset-second-factor", http.MethodPost, "/accounts/{account}/reset-second-factor", "Take a second factor away", "Its owner sets up another at the next sign-in. Needs a step-up.", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, in *accountAndNote) (*struct{}, error) {
			return done(s.ResetSecondFactor(ctx, p, in.Account, in.Body.Note))
		})
	clinic.Register(a, security("reset-password", http.MethodPost, "/accounts/{account}/reset-password", "Take password and second factor away, and invite again", "Needs a step-up.", http.StatusCreated),
		func(ctx context.Context, p clinic.Person, in *accountAndNote) (*clinic.Out[Invited], error) {
			if err := s.Proved(ctx, p); err != nil {
				return reply(Invited{}, err)
			}
			r, err := s.Account(ctx, in.Account)
			if err != nil || r.Kind != StaffAccount {
				return reply(Invited{}, clinic.ErrNotFound)
			}
			account, code, err := s.Invite(ctx, p, r.Name, r.Title, true)
			return reply(Invited{Account: account, Invitation: code, EndsAt: s.now().Add(invitationLasts)}, err)
		})
	clinic.Register(a, security("grant-any-role", http.MethodPost, "/accounts/{account}/grants", "Give a role", "security_admin, auditor, finance and hospital_admin are proposed only: a second person approves them. Nobody grants to himself. Needs a step-up.", http.StatusCreated),
		func(ctx context.Context, p clinic.Person, in *struct {
			AnAccount
			Body anyRole
		}) (*clinic.Out[Granted], error) {
			return reply(s.Grant(ctx, p, in.Account, clinic.Grant{Role: in.Body.Role, Hospital: in.Body.Hospital, Code: in.Body.Code}, in.Body.Note))
		})
	clinic.Register(a, security("list-proposed-grants", http.MethodGet, "/grants", "Roles that wait for a second person", "", 0),
		func(ctx context.Context, p clinic.Person, _ *nothing) (*clinic.Out[grantList], error) {
			all, err := s.Grants(ctx, "", true)
			seen := []Granted{}
			for _, g := range all {
				if g.Hospital == "" || p.May(clinic.Security, g.Hospital) {
					seen = append(seen, g)
				}
			}
			return reply(grantList{seen}, err)
		})
	clinic.Register(a, security("approve-any-role", http.MethodPost, "/grants/{grant}/approve", "Approve, as the second person", "Needs a step-up.", 0),
		func(ctx context.Context, p clinic.Person, in *AGrant) (*clinic.Out[Granted], error) {
			return reply(s.Approve(ctx, p, in.Grant))
		})
	clinic.Register(a, security("revoke-any-role", http.MethodPost, "/grants/{grant}/revoke", "Take a role away, or a proposal back", "It is gone within five seconds everywhere.", 0),
		func(ctx context.Context, p clinic.Person, in *struct {
			AGrant
			Body NoteField
		}) (*clinic.Out[Granted], error) {
			return reply(s.Revoke(ctx, p, in.Grant, in.Body.Note))
		})
}
