package identity

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"hishub/platform/clinic"
)

// told turns this module's own errors into answers.
func told(err error) error {
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, clinic.ErrSignedOut):
		after := http.Header{"WWW-Authenticate": {`Bearer realm="clinic"`}}
		return huma.ErrorWithHeaders(huma.NewError(http.StatusUnauthorized, err.Error()), after)
	case errors.Is(err, ErrCannotSend):
		return huma.NewError(http.StatusServiceUnavailable, err.Error())
	}
	return err
}

func reply[T any](v T, err error) (*clinic.Out[T], error) {
	if err != nil {
		return nil, told(err)
	}
	return &clinic.Out[T]{Body: v}, nil
}

func done(err error) (*struct{}, error) { return nil, told(err) }

// Fields of requests; embedded, they must be exported for huma to fill them.
type (
	CodeField struct {
		Code string `json:"code" minLength:"6" maxLength:"6" pattern:"^[0-9]{6}$" patternDescription:"six digits"`
	}
	NoteField struct {
		Note string `json:"note" minLength:"1" maxLength:"200" doc:"why"`
	}
	TicketField struct {
		Ticket string `json:"ticket" minLength:"1" maxLength:"60" doc:"given for the password"`
	}
)

// Inputs that several endpoints share.
type (
	nothing     struct{}
	inTo[T any] struct {
		clinic.From
		Body T
	}
	SessionPath struct {
		Session string `path:"session" maxLength:"40" doc:"a session's number"`
	}
	KindPath struct {
		Kind ConsentKind `path:"kind" enum:"privacy,internet_diagnosis,sensitive_data"`
	}
)

// Routes registers what everybody does with his own account, what administrators do
// at their hospital, and what security does with any.
func (s *Service) Routes(a *clinic.API) {
	s.signIns(a)
	s.staffSignIns(a)
	s.own(a)
	s.agreements(a)
	s.hospitalStaff(a)
	s.security(a)
}

type (
	// KnownField is embedded: it must be exported for huma to fill it.
	KnownField struct {
		Known string `json:"device_token,omitempty" maxLength:"120" doc:"that an earlier sign-in gave this device"`
	}
	wish struct {
		Phone string `json:"phone" minLength:"11" maxLength:"20"`
		KnownField
	}
	byPhone struct {
		Phone  string `json:"phone" minLength:"11" maxLength:"20"`
		Code   string `json:"code" minLength:"6" maxLength:"6" pattern:"^[0-9]{6}$" patternDescription:"six digits"`
		Bind   string `json:"bind,omitempty" maxLength:"60" doc:"the ticket of a WeChat that no account has"`
		Device Device `json:"device"`
		KnownField
	}
	byWeChat struct {
		Code   string `json:"code" minLength:"1" maxLength:"128" doc:"of WeChat's login"`
		Device Device `json:"device"`
	}
	// WeChatAnswer is a session, or a ticket.
	WeChatAnswer struct {
		Opened *Opened `json:"opened,omitempty"`
		Bind   string  `json:"bind,omitempty" doc:"no account has this WeChat: sign in by phone with this ticket, within ten minutes, to bind it"`
	}
)

func (s *Service) signIns(a *clinic.API) {
	clinic.Register(a, clinic.Endpoint{ID: "send-code", Method: http.MethodPost, Path: "/codes", Title: "Have a code sent to a phone", Status: http.StatusNoContent,
		Doc: "Six digits, good for five minutes and five tries; one a minute. The answer is the same for phones with and without an account. Where a device token is sent along, the sign-in sends it, too."},
		func(ctx context.Context, _ clinic.Person, in *inTo[wish]) (*struct{}, error) {
			return done(s.SendCode(ctx, in.Body.Phone, in.Body.Known, in.Address()))
		})
	clinic.Register(a, clinic.Endpoint{ID: "sign-in-by-phone", Method: http.MethodPost, Path: "/sessions/phone", Title: "Sign in as a patient by phone and code",
		Doc: "The first time makes the account. A session that was sent along is over afterwards."},
		func(ctx context.Context, p clinic.Person, in *inTo[byPhone]) (*clinic.Out[Opened], error) {
			return reply(s.ByPhone(ctx, in.Body.Phone, in.Body.Code, in.Body.Bind, Visitor{Address: in.Address(), Device: in.Body.Device, Before: p, Known: in.Body.Known}))
		})
	clinic.Register(a, clinic.Endpoint{ID: "sign-in-by-wechat", Method: http.MethodPost, Path: "/sessions/wechat", Title: "Sign in as a patient by WeChat"},
		func(ctx context.Context, p clinic.Person, in *inTo[byWeChat]) (*clinic.Out[WeChatAnswer], error) {
			o, bind, err := s.ByWeChat(ctx, in.Body.Code, Visitor{Address: in.Address(), Device: in.Body.Device, Before: p})
			if err != nil || bind != "" {
				return reply(WeChatAnswer{Bind: bind}, err)
			}
			return reply(WeChatAnswer{Opened: &o}, nil)
		})
}

type (
	byPassword struct {
		Name     string `json:"name" minLength:"1" maxLength:"40"`
		Password string `json:"password" minLength:"1" maxLength:"128"`
		KnownField
	}
	// Ticket leads to the second factor.
	Ticket struct {
		Ticket string `json:"ticket" doc:"good for five minutes"`
		Enrol  bool   `json:"enrol" doc:"there is no second factor yet: enrol, then confirm"`
	}
	secondFactor struct {
		TicketField
		Code     string `json:"code,omitempty" maxLength:"6" doc:"of the app"`
		Recovery string `json:"recovery,omitempty" maxLength:"40" doc:"or a recovery code"`
		Device   Device `json:"device"`
	}
	confirmation struct {
		TicketField
		CodeField
		Device Device `json:"device"`
	}
	acceptance struct {
		Invitation string `json:"invitation" minLength:"1" maxLength:"60"`
		Password   string `json:"password" minLength:"1" maxLength:"128" doc:"at least 12 characters"`
	}
)

func (s *Service) staffSignIns(a *clinic.API) {
	clinic.Register(a, clinic.Endpoint{ID: "accept-invitation", Method: http.MethodPost, Path: "/invitations/accept", Title: "Set one's first password", Status: http.StatusNoContent},
		func(ctx context.Context, _ clinic.Person, in *inTo[acceptance]) (*struct{}, error) {
			return done(s.Accept(ctx, in.Body.Invitation, in.Body.Password, in.Address()))
		})
	clinic.Register(a, clinic.Endpoint{ID: "sign-in-by-password", Method: http.MethodPost, Path: "/sessions/password", Title: "Sign in as staff: name and password",
		Doc: "The first half; the second factor follows. From the fifth wrong try of an address on there are waits that grow, for names that nobody has, too; a device that signed in before is counted by itself."},
		func(ctx context.Context, _ clinic.Person, in *inTo[byPassword]) (*clinic.Out[Ticket], error) {
			ticket, enrol, err := s.ByPassword(ctx, in.Body.Name, in.Body.Password, in.Body.Known, in.Address())
			return reply(Ticket{ticket, enrol}, err)
		})
	clinic.Register(a, clinic.Endpoint{ID: "sign-in-by-second-factor", Method: http.MethodPost, Path: "/sessions/second-factor", Title: "Sign in as staff: the second factor"},
		func(ctx context.Context, p clinic.Person, in *inTo[secondFactor]) (*clinic.Out[Opened], error) {
			return reply(s.SecondFactor(ctx, in.Body.Ticket, in.Body.Code, in.Body.Recovery, Visitor{Address: in.Address(), Device: in.Body.Device, Before: p}))
		})
	clinic.Register(a, clinic.Endpoint{ID: "enrol-second-factor", Method: http.MethodPost, Path: "/sessions/second-factor/enrol", Title: "Get a second factor to set up"},
		func(ctx context.Context, _ clinic.Person, in *inTo[TicketField]) (*clinic.Out[Offer], error) {
			return reply(s.Enrol(ctx, in.Body.Ticket))
		})
	clinic.Register(a, clinic.Endpoint{ID: "confirm-second-factor", Method: http.MethodPost, Path: "/sessions/second-factor/confirm", Title: "Set the second factor up by its first code, and sign in"},
		func(ctx context.Context, p clinic.Person, in *inTo[confirmation]) (*clinic.Out[Opened], error) {
			return reply(s.Confirm(ctx, in.Body.Ticket, in.Body.Code, Visitor{Address: in.Address(), Device: in.Body.Device, Before: p}))
		})
}

type (
	sessionList struct {
		Sessions []Session `json:"sessions"`
	}
	newPassword struct {
		Old      string `json:"old" minLength:"1" maxLength:"128"`
		Password string `json:"password" minLength:"1" maxLength:"128" doc:"at least 12 characters"`
	}
	wechatCode struct {
		Code string `json:"code" minLength:"1" maxLength:"128"`
	}
	codeList struct {
		Codes []string `json:"recovery_codes"`
	}
	realName struct {
		Name string `json:"name" minLength:"1" maxLength:"100"`
		IDNo string `json:"id_no" minLength:"1" maxLength:"20"`
	}
)

func (s *Service) own(a *clinic.API) {
	own := func(id, method, path, title, doc string, status int) clinic.Endpoint {
		return clinic.Endpoint{ID: id, Method: method, Path: path, Title: title, Doc: doc, Right: clinic.SignedIn, Status: status}
	}
	clinic.Register(a, own("get-account", http.MethodGet, "/account", "One's own account", "", 0),
		func(ctx context.Context, p clinic.Person, _ *nothing) (*clinic.Out[Account], error) {
			return reply(s.Account(ctx, p.Account))
		})
	clinic.Register(a, own("list-sessions", http.MethodGet, "/sessions", "Devices that are signed in", "", 0),
		func(ctx context.Context, p clinic.Person, _ *nothing) (*clinic.Out[sessionList], error) {
			all, err := s.Sessions(ctx, p.Account, p.Session)
			return reply(sessionList{all}, err)
		})
	clinic.Register(a, own("sign-out", http.MethodDelete, "/session", "Sign out here", "", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, _ *nothing) (*struct{}, error) {
			return done(s.End(ctx, p, p.Account, p.Session))
		})
	clinic.Register(a, own("sign-out-device", http.MethodDelete, "/sessions/{session}", "Sign a device out", "", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, in *SessionPath) (*struct{}, error) {
			return done(s.End(ctx, p, p.Account, in.Session))
		})
	clinic.Register(a, own("sign-out-everywhere", http.MethodDelete, "/sessions", "Sign out everywhere, here too", "", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, _ *nothing) (*struct{}, error) {
			return done(s.EndAll(ctx, p, p.Account, ""))
		})
	clinic.Register(a, own("send-proof-code", http.MethodPost, "/session/code", "Have a code sent for step-up", "To the phone of the account.", http.StatusNoContent),
		func(ctx context.Context, p clinic.Person, in *clinic.From) (*struct{}, error) {
			return done(s.SendProof(ctx, p, in.Address()))
		})
	clinic.Register(a, own("step-up", http.MethodPost, "/session/step-up", "Prove once more that it is oneself",
		"Staff by a code of the second factor, patients by a code to their phone. The session gets a new token; what needs the proof may be done for ten minutes.", 0),
		func(ctx context.Context, p clinic.Person, in *inTo[CodeField]) (*clinic.Out[Opened], error) {
			return reply(s.StepUp(ctx, p, in.Body.Code, in.Address()))
		})
	clinic.Register(a, own("change-password", http.MethodPost, "/account/password", "Change one's password", "All other sessions end; this one gets a new token.", 0),
		func(ctx context.Context, p clinic.Person, in *inTo[newPassword]) (*clinic.Out[Opened], error) {
			return reply(s.ChangePassword(ctx, p, in.Body.Old, in.Body.Password))
		})
	clinic.Register(a, own("make-recovery-codes", http.MethodPost, "/account/recovery-codes", "Get other recovery codes", "Needs a step-up.", 0),
		func(ctx context.Context, p clinic.Person, _ *nothing) (*clinic.Out[codeList], error) {
			codes, err := s.NewRecovery(ctx, p)
			return reply(codeList{codes}, err)
		})
	patient := func(id, method, path, title, doc string) clinic.Endpoint {
		return clinic.Endpoint{ID: id, Method: method, Path: path, Title: title, Doc: doc, Right: clinic.OwnRecords, Status: http.StatusNoContent}
	}
	clinic.Register(a, patient("bind-wechat", http.MethodPost, "/account/wechat", "Bind one's WeChat", "Needs a step-up."),
		func(ctx context.Context, p clinic.Person, in *inTo[wechatCode]) (*struct{}, error) {
			return done(s.BindWeChat(ctx, p, in.Body.Code, in.Address()))
		})
	clinic.Register(a, patient("unbind-wechat", http.MethodDelete, "/account/wechat", "Unbind one's WeChat", ""),
		func(ctx context.Context, p clinic.Person, _ *nothing) (*struct{}, error) {
			return done(s.UnbindWeChat(ctx, p))
		})
	verify := patient("verify-real-name", http.MethodPost, "/account/real-name", "Have one's real name verified", "Needs the consent sensitive_data. Once and for all.")
	verify.Shows = true
	clinic.Register(a, verify, func(ctx context.Context, p clinic.Person, in *inTo[realName]) (*struct{}, error) {
		clinic.About(ctx, Subject(p.Account))
		return done(s.Verify(ctx, p, in.Body.Name, in.Body.IDNo, in.Address()))
	})
}

type (
	textList struct {
		Texts []ConsentText `json:"texts"`
	}
	consentList struct {
		Consents []Consent `json:"consents"`
	}
	agreement struct {
		KindPath
		Body struct {
			Version int `json:"version" minimum:"1" maximum:"2147483647" doc:"the current one, which was read"`
		}
	}
)

func (s *Service) agreements(a *clinic.API) {
	clinic.Register(a, clinic.Endpoint{ID: "list-consent-texts", Method: http.MethodGet, Path: "/consent-texts", Title: "What people agree to"},
		func(ctx context.Context, _ clinic.Person, _ *nothing) (*clinic.Out[textList], error) {
			all, err := s.ConsentTexts(ctx)
			return reply(textList{all}, err)
		})
	clinic.Register(a, clinic.Endpoint{ID: "list-consents", Method: http.MethodGet, Path: "/consents", Title: "What one agreed to", Right: clinic.OwnRecords},
		func(ctx context.Context, p clinic.Person, _ *nothing) (*clinic.Out[consentList], error) {
			all, err := s.Consents(ctx, p.Account)
			return reply(consentList{all}, err)
		})
	clinic.Register(a, clinic.Endpoint{ID: "agree", Method: http.MethodPut, Path: "/consents/{kind}", Title: "Agree to a version", Right: clinic.OwnRecords, Status: http.StatusNoContent},
		func(ctx context.Context, p clinic.Person, in *agreement) (*struct{}, error) {
			return done(s.Agree(ctx, p, in.Kind, in.Body.Version))
		})
	clinic.Register(a, clinic.Endpoint{ID: "withdraw-consent", Method: http.MethodDelete, Path: "/consents/{kind}", Title: "Take a consent back", Right: clinic.OwnRecords, Status: http.StatusNoContent},
		func(ctx context.Context, p clinic.Person, in *KindPath) (*struct{}, error) {
			return done(s.Withdraw(ctx, p, in.Kind))
		})
}
