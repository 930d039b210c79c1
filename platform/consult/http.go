package consult

import (
	"context"
	"fmt"
	"net/http"

	"hishub/platform/clinic"
)

// Path names a consultation at a hospital. Embedded, it must be exported for huma to fill it.
type Path struct {
	clinic.Hospital
	No string `path:"no" maxLength:"64" doc:"consultation number"`
}

// OwnPath names one of one's own.
type OwnPath struct {
	No string `path:"no" maxLength:"64" doc:"consultation number"`
}

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	s.patients(api)
	s.doctorsRoutes(api)
}

func (s *Service) patients(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-offer-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/offers", Right: clinic.Anyone,
		Title: "which doctors take consultations online, and for how much"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[[]Offer], error) {
			return clinic.Reply(s.Offers(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-open", Method: http.MethodPost, Path: "/hospitals/{hospital}/consults", Right: clinic.OwnRecords, Shows: true, Status: http.StatusCreated,
		Title: "open a consultation", Doc: "For a follow-up only: `proof` says where the disease was diagnosed. Its order is to be paid within 15 minutes."},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Body struct {
				Doctor  string `json:"doctor" minLength:"1" maxLength:"64" doc:"code"`
				Patient string `json:"patient" minLength:"1" maxLength:"64" doc:"our number"`
				Details
			}
		}) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.Open(ctx, p, in.Hospital.Hospital, in.Body.Doctor, in.Body.Patient, in.Body.Details))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-own", Method: http.MethodGet, Path: "/consults", Right: clinic.OwnRecords, Shows: true,
		Title: "one's own consultations, newest first", Doc: "`before` is the last number of the page before."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Before string `query:"before" maxLength:"64"`
			Limit  int    `query:"limit" default:"20" minimum:"1" maximum:"100"`
		}) (*clinic.Out[[]Consult], error) {
			all, err := s.OfAccount(ctx, p.Account, in.Before, in.Limit)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-own-get", Method: http.MethodGet, Path: "/consults/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "one of them"},
		func(ctx context.Context, p clinic.Person, in *OwnPath) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.Own(ctx, p.Account, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-cancel", Method: http.MethodPost, Path: "/consults/{no}/cancel", Right: clinic.OwnRecords, Shows: true,
		Title: "take it back before the doctor accepts; what was paid goes back"},
		func(ctx context.Context, p clinic.Person, in *OwnPath) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.Cancel(ctx, p, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-rate", Method: http.MethodPost, Path: "/consults/{no}/rating", Right: clinic.OwnRecords, Shows: true,
		Title: "rate a consultation that is over, once"},
		func(ctx context.Context, p clinic.Person, in *struct {
			OwnPath
			Body struct {
				Stars int `json:"stars" minimum:"1" maximum:"5"`
			}
		}) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.Rate(ctx, p, in.No, in.Body.Stars))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-video", Method: http.MethodPost, Path: "/consults/{no}/video", Right: clinic.OwnRecords, Shows: true,
		Title: "join the call of one's consultation that is going on"},
		func(ctx context.Context, p clinic.Person, in *OwnPath) (*clinic.Out[Call], error) {
			k, err := s.Own(ctx, p.Account, in.No)
			return s.join(ctx, p, k, err)
		})
}

// Call is where a video call is joined.
type Call struct {
	URL string `json:"url" format:"uri"`
}

func (s *Service) join(ctx context.Context, p clinic.Person, k Consult, err error) (*clinic.Out[Call], error) {
	clinic.About(ctx, "consultation "+k.No, k.Patient)
	switch {
	case err != nil:
		return clinic.Reply(Call{}, err)
	case k.State != Active:
		return clinic.Reply(Call{}, fmt.Errorf("join the call: %w: the consultation is %s", clinic.ErrState, k.State))
	case s.Video == nil:
		return clinic.Reply(Call{}, fmt.Errorf("join the call: %w: this installation has no video", clinic.ErrState))
	}
	url, err := s.Video.Join(ctx, k.No, p)
	return clinic.Reply(Call{url}, err)
}

func (s *Service) doctorsRoutes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-offer-set", Method: http.MethodPut, Path: "/hospitals/{hospital}/offers/own", Right: clinic.Treat,
		Title: "say what one offers online, as a doctor"},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Body Offer
		}) (*clinic.Out[Offer], error) {
			in.Body.Doctor = p.Code(clinic.Doctor, in.Hospital.Hospital)
			return clinic.Reply(s.SetOffer(ctx, in.Hospital.Hospital, p.Account, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/consults", Right: clinic.Treat, Shows: true,
		Title: "one's own consultations, as a doctor"},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			State State `query:"state" default:"waiting" enum:"waiting,active,ended,archived"`
			Limit int   `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[[]Consult], error) {
			all, err := s.OfDoctor(ctx, in.Hospital.Hospital, p.Account, in.State, in.Limit)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/consults/{no}", Right: clinic.Treat, Shows: true,
		Title: "one of them, with whom one treats"},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.OwnOfDoctor(ctx, in.Hospital.Hospital, p.Account, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-accept", Method: http.MethodPost, Path: "/hospitals/{hospital}/consults/{no}/accept", Right: clinic.Treat, Shows: true,
		Title: "accept it: the conversation begins"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				FollowUp bool `json:"follow_up" doc:"one has looked at the proof, and it is a follow-up"`
			}
		}) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.Accept(ctx, p, in.Hospital.Hospital, in.No, in.Body.FollowUp))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-refuse", Method: http.MethodPost, Path: "/hospitals/{hospital}/consults/{no}/refuse", Right: clinic.Treat, Shows: true,
		Title: "refuse it; the money goes back"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				Reason string `json:"reason" minLength:"1" maxLength:"200" doc:"the patient reads it"`
			}
		}) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.Refuse(ctx, p, in.Hospital.Hospital, in.No, in.Body.Reason))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-end", Method: http.MethodPost, Path: "/hospitals/{hospital}/consults/{no}/end", Right: clinic.Treat, Shows: true,
		Title: "end it with a summary, or write the summary of one that has ended"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body Summary
		}) (*clinic.Out[Consult], error) {
			return reply(ctx)(s.End(ctx, p, in.Hospital.Hospital, in.No, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-consult-call", Method: http.MethodPost, Path: "/hospitals/{hospital}/consults/{no}/video", Right: clinic.Treat, Shows: true,
		Title: "join the call, as the doctor"},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Call], error) {
			k, err := s.OwnOfDoctor(ctx, in.Hospital.Hospital, p.Account, in.No)
			return s.join(ctx, p, k, err)
		})
}

// reply names the consultation for the audit.
func reply(ctx context.Context) func(Consult, error) (*clinic.Out[Consult], error) {
	return func(k Consult, err error) (*clinic.Out[Consult], error) {
		clinic.About(ctx, "consultation "+k.No, k.Patient)
		return clinic.Reply(k, err)
	}
}

func about(ctx context.Context, all []Consult) {
	patients := make([]string, len(all))
	for i, k := range all {
		patients[i] = k.Patient
	}
	clinic.About(ctx, fmt.Sprintf("%d consultations", len(all)), patients...)
}
