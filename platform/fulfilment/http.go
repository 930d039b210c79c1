package fulfilment

import (
	"context"
	"fmt"
	"net/http"

	"hishub/platform/clinic"
	"hishub/platform/rx"
)

// Path names a prescription whose drugs are handed out. Embedded, it must be exported for
// huma to fill it.
type Path struct {
	clinic.Hospital
	No string `path:"no" maxLength:"64" doc:"prescription number"`
}

// Whole is what a pharmacist sees before he hands out.
type Whole struct {
	Fulfilment
	Content rx.Content `json:"content" doc:"as the doctor signed it"`
	To      *Address   `json:"to,omitempty"`
}

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	s.patients(api)
	s.pharmacists(api)
}

func (s *Service) patients(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-own", Method: http.MethodGet, Path: "/fulfilments", Right: clinic.OwnRecords, Shows: true,
		Title: "drugs of one's own family that are or were to be handed out, newest first"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Limit int `query:"limit" default:"20" minimum:"1" maximum:"100"`
		}) (*clinic.Out[[]Fulfilment], error) {
			all, err := s.OfAccount(ctx, p.Account, in.Limit)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	own := func(id, path, title, doc string, f func(context.Context, int64, string, string) (Fulfilment, error)) {
		clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-" + id, Method: http.MethodPost, Path: "/own/hospitals/{hospital}/fulfilments/{no}/" + path, Right: clinic.OwnRecords, Shows: true,
			Title: title, Doc: doc},
			func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Fulfilment], error) {
				return reply(ctx)(f(ctx, p.Account, in.Hospital.Hospital, in.No))
			})
	}
	own("pick-up", "pick-up", "fetch it oneself, in place of a delivery that the carrier has not got yet", "", s.PickUp)
	own("receive", "received", "say that a delivery was received", "", s.Receive)
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-code", Method: http.MethodPost, Path: "/own/hospitals/{hospital}/fulfilments/{no}/code", Right: clinic.OwnRecords, Shows: true,
		Title: "a new pick-up code", Doc: "It is told once, holds for one handing out and not after five wrong tries, and ends the one before."},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Code], error) {
			c, err := s.NewCode(ctx, p.Account, in.Hospital.Hospital, in.No)
			clinic.About(ctx, "prescription "+in.No, c.Fulfilment.Patient)
			return clinic.Reply(c, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-deliver", Method: http.MethodPost, Path: "/own/hospitals/{hospital}/fulfilments/{no}/delivery", Right: clinic.OwnRecords, Shows: true,
		Title: "have it delivered, or say another address"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body Address
		}) (*clinic.Out[Fulfilment], error) {
			return reply(ctx)(s.Deliver(ctx, p.Account, in.Hospital.Hospital, in.No, in.Body))
		})
}

func (s *Service) pharmacists(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/fulfilments", Right: clinic.Dispense, Shows: true,
		Title: "what is to be handed out or on its way, the longest unmoved first"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Limit int `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[[]Fulfilment], error) {
			all, err := s.Open(ctx, in.Hospital.Hospital, in.Limit)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/fulfilments/{no}", Right: clinic.Dispense, Shows: true,
		Title: "one with its prescription, for the four checks"},
		func(ctx context.Context, _ clinic.Person, in *Path) (*clinic.Out[Whole], error) {
			f, err := s.Get(ctx, in.Hospital.Hospital, in.No)
			if err != nil {
				return clinic.Reply(Whole{}, err)
			}
			clinic.About(ctx, "prescription "+in.No, f.Patient)
			p, err := s.Prescriptions.Get(ctx, in.Hospital.Hospital, in.No)
			whole := Whole{Fulfilment: f, Content: p.Content}
			if err == nil && f.address != nil {
				var to Address
				to, err = s.addressOf(f)
				whole.To = &to
			}
			return clinic.Reply(whole, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-hand-out", Method: http.MethodPost, Path: "/hospitals/{hospital}/fulfilments/{no}/hand-out", Right: clinic.Dispense, Shows: true,
		Title: "hand out to the patient, with his code and all four checks"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				Code   string `json:"code" pattern:"^[0-9]{8}$" doc:"the patient's"`
				Checks Checks `json:"checks"`
			}
		}) (*clinic.Out[Fulfilment], error) {
			return reply(ctx)(s.HandOut(ctx, p, in.Hospital.Hospital, in.No, in.Body.Code, in.Body.Checks))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-ship", Method: http.MethodPost, Path: "/hospitals/{hospital}/fulfilments/{no}/ship", Right: clinic.Dispense, Shows: true,
		Title: "hand to a carrier, with all four checks"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				Carrier  string `json:"carrier" minLength:"1" maxLength:"64"`
				Tracking string `json:"tracking,omitempty" maxLength:"64" doc:"missing for a carrier that tells it itself"`
				Checks   Checks `json:"checks"`
			}
		}) (*clinic.Out[Fulfilment], error) {
			return reply(ctx)(s.Ship(ctx, p, in.Hospital.Hospital, in.No, in.Body.Carrier, in.Body.Tracking, in.Body.Checks))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-travel", Method: http.MethodPost, Path: "/hospitals/{hospital}/fulfilments/{no}/travel", Right: clinic.Dispense, Shows: true,
		Title: "say where a parcel is, for a carrier that does not"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				State State `json:"state" enum:"arrived,signed"`
			}
		}) (*clinic.Out[Fulfilment], error) {
			return reply(ctx)(s.Arrive(ctx, p, in.Hospital.Hospital, in.No, in.Body.State))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-fulfilment-return", Method: http.MethodPost, Path: "/hospitals/{hospital}/fulfilments/{no}/return", Right: clinic.Dispense, Shows: true,
		Title: "take handed out drugs back"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				Reason string `json:"reason" minLength:"1" maxLength:"200"`
			}
		}) (*clinic.Out[Fulfilment], error) {
			return reply(ctx)(s.Return(ctx, p, in.Hospital.Hospital, in.No, in.Body.Reason))
		})
}

// reply names the prescription for the audit.
func reply(ctx context.Context) func(Fulfilment, error) (*clinic.Out[Fulfilment], error) {
	return func(f Fulfilment, err error) (*clinic.Out[Fulfilment], error) {
		clinic.About(ctx, "prescription "+f.No, f.Patient)
		return clinic.Reply(f, err)
	}
}

func about(ctx context.Context, all []Fulfilment) {
	patients := make([]string, len(all))
	for i, f := range all {
		patients[i] = f.Patient
	}
	clinic.About(ctx, fmt.Sprintf("%d fulfilments", len(all)), patients...)
}
