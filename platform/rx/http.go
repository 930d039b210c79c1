package rx

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"hishub/platform/clinic"
)

// Path names a prescription. Embedded, it must be exported for huma to fill it.
type Path struct {
	clinic.Hospital
	No string `path:"no" maxLength:"64" doc:"prescription number"`
}

// ConsultPath names a consultation.
type ConsultPath struct {
	clinic.Hospital
	Consult string `path:"consult" maxLength:"64" doc:"consultation number"`
}

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	s.doctors(api)
	s.pharmacists(api)
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-own", Method: http.MethodGet, Path: "/prescriptions", Right: clinic.OwnRecords, Shows: true,
		Title: "the prescriptions of one's own family, newest first", Doc: "`before` is the last number of the page before."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Before string `query:"before" maxLength:"64"`
			Limit  int    `query:"limit" default:"20" minimum:"1" maximum:"100"`
		}) (*clinic.Out[[]Rx], error) {
			all, err := s.OfAccount(ctx, p.Account, in.Before, in.Limit)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-own-get", Method: http.MethodGet, Path: "/own/hospitals/{hospital}/prescriptions/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "one of them"},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Rx], error) {
			rx, err := s.Get(ctx, in.Hospital.Hospital, in.No)
			if err == nil && (rx.account != p.Account || rx.Revision == 0) {
				err = clinic.ErrNotFound
			}
			clinic.About(ctx, "prescription "+in.No, rx.Patient)
			return clinic.Reply(rx, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-setting", Method: http.MethodPut, Path: "/hospitals/{hospital}/prescription-setting", Right: clinic.Directory, Status: http.StatusNoContent,
		Title: "when the HIS is told of a prescription"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Body struct {
				TellAt string `json:"tell_at" enum:"paid,approved" doc:"approved: the HIS makes the bill and has its own price"`
			}
		}) (*struct{}, error) {
			return nil, s.TellWhen(ctx, in.Hospital.Hospital, in.Body.TellAt)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-signatory", Method: http.MethodPut, Path: "/hospitals/{hospital}/signatories/{account}", Right: clinic.Staffing, Status: http.StatusNoContent,
		Title: "say the identity card number of a doctor or pharmacist", Doc: "Regulators want it beside each signature. Nobody says his own, and nobody is shown it."},
		func(ctx context.Context, p clinic.Person, in *signatory) (*struct{}, error) {
			return nil, s.Identify(ctx, p, in.Hospital.Hospital, in.Account, in.Body.IDNo)
		})
}

// signatory of a hospital.
type signatory struct {
	clinic.Hospital
	Account int64 `path:"account" minimum:"1"`
	Body    struct {
		IDNo string `json:"id_no" minLength:"15" maxLength:"18" doc:"number of the identity card"`
	}
}

func (s *Service) doctors(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-write", Method: http.MethodPost, Path: "/hospitals/{hospital}/consults/{consult}/prescriptions", Right: clinic.Prescribe, Shows: true, Status: http.StatusCreated,
		Title: "write a prescription in a consultation", Doc: "A draft: `hits` say which rules it meets. What stops must be mended; a warning may be answered."},
		func(ctx context.Context, p clinic.Person, in *struct {
			ConsultPath
			Body Writing
		}) (*clinic.Out[Rx], error) {
			return s.reply(ctx)(s.Write(ctx, p, in.Hospital.Hospital, in.Consult, "", in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-rewrite", Method: http.MethodPut, Path: "/hospitals/{hospital}/consults/{consult}/prescriptions/{no}", Right: clinic.Prescribe, Shows: true,
		Title: "write a draft, or a rejected prescription, anew"},
		func(ctx context.Context, p clinic.Person, in *struct {
			ConsultPath
			No   string `path:"no" maxLength:"64"`
			Body Writing
		}) (*clinic.Out[Rx], error) {
			return s.reply(ctx)(s.Write(ctx, p, in.Hospital.Hospital, in.Consult, in.No, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/consults/{consult}/prescriptions", Right: clinic.Treat, Shows: true,
		Title: "the prescriptions of a consultation of one's own"},
		func(ctx context.Context, p clinic.Person, in *ConsultPath) (*clinic.Out[[]Rx], error) {
			k, err := s.Consults.Get(ctx, in.Hospital.Hospital, in.Consult)
			if err == nil && (k.DoctorCode != p.Code(clinic.Doctor, in.Hospital.Hospital) || k.DoctorAccount != p.Account) {
				err = clinic.ErrNotFound
			}
			if err != nil {
				return clinic.Reply[[]Rx](nil, err)
			}
			all, err := s.OfConsult(ctx, in.Hospital.Hospital, in.Consult)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-sign", Method: http.MethodPost, Path: "/hospitals/{hospital}/prescriptions/{no}/sign", Right: clinic.Prescribe, Shows: true,
		Title: "sign it: it goes to review, and never changes", Doc: "422 with the hits while rules keep it from being signed."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				Version int `json:"version" minimum:"1" maximum:"2147483647" doc:"of the draft that was read"`
			}
		}) (*clinic.Out[Rx], error) {
			return s.reply(ctx)(s.Sign(ctx, p, in.Hospital.Hospital, in.No, in.Body.Version))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-prescription-void", Method: http.MethodPost, Path: "/hospitals/{hospital}/prescriptions/{no}/void", Right: clinic.Prescribe, Shows: true,
		Title: "take a prescription back", Doc: "At the HIS too, and what was paid goes back."}, s.void)
}

func (s *Service) pharmacists(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-review-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/reviews", Right: clinic.Review, Shows: true,
		Title: "prescriptions that wait for a pharmacist, the oldest first"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Limit int `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[[]Rx], error) {
			all, err := s.Reviewing(ctx, in.Hospital.Hospital, in.Limit)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-review-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/reviews/{no}", Right: clinic.Review, Shows: true,
		Title: "a signed prescription with what rules say of it"},
		func(ctx context.Context, _ clinic.Person, in *Path) (*clinic.Out[Rx], error) {
			rx, err := s.Get(ctx, in.Hospital.Hospital, in.No)
			if err == nil && rx.Revision == 0 {
				err = clinic.ErrNotFound
			}
			return s.reply(ctx)(rx, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-review-decide", Method: http.MethodPost, Path: "/hospitals/{hospital}/reviews/{no}", Right: clinic.Review, Shows: true,
		Title: "approve or reject, with all seven checks"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body Verdict
		}) (*clinic.Out[Rx], error) {
			return s.reply(ctx)(s.Review(ctx, p, in.Hospital.Hospital, in.No, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-review-void", Method: http.MethodPost, Path: "/hospitals/{hospital}/reviews/{no}/void", Right: clinic.Review, Shows: true,
		Title: "take an approved prescription back, as a pharmacist"}, s.void)
}

// voiding is why.
type voiding struct {
	Path
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"200"`
	}
}

func (s *Service) void(ctx context.Context, p clinic.Person, in *voiding) (*clinic.Out[Rx], error) {
	return s.reply(ctx)(s.Void(ctx, p, in.Hospital.Hospital, in.No, in.Body.Reason))
}

// reply names the prescription for the audit, and tells refused hits by their lines.
func (s *Service) reply(ctx context.Context) func(Rx, error) (*clinic.Out[Rx], error) {
	return func(rx Rx, err error) (*clinic.Out[Rx], error) {
		clinic.About(ctx, "prescription "+rx.No, rx.Patient)
		var refused *Refused
		if errors.As(err, &refused) {
			return nil, refused.problems()
		}
		return clinic.Reply(rx, err)
	}
}

func about(ctx context.Context, all []Rx) {
	patients := make([]string, len(all))
	for i, rx := range all {
		patients[i] = rx.Patient
	}
	clinic.About(ctx, fmt.Sprintf("%d prescriptions", len(all)), patients...)
}
