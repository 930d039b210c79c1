package schedule

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
)

// Path names a session. Embedded, it must be exported for huma to fill it.
type Path struct {
	clinic.Hospital
	No string `path:"no" maxLength:"100" doc:"our number of the session"`
}

// Listing is the calendar of a hospital.
type Listing struct {
	Sessions []Session `json:"sessions"`
	// Now is the server's time, for countdowns to release_at.
	Now time.Time `json:"now"`
	// Old is true when the HIS did not answer: the places are those of as_of.
	Old bool `json:"old,omitempty"`
}

// Routes registers the module's endpoints. Stopping a session is the appointment
// module's, because what was sold of it is.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-session-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/sessions", Right: clinic.Anyone,
		Title: "clinic sessions with their free places", Doc: "Live from the HIS where it counts them; at most 31 days."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Department string `query:"department" maxLength:"64"`
			Doctor     string `query:"doctor" maxLength:"64"`
			From       string `query:"from" maxLength:"10" doc:"yyyy-MM-dd; missing: today"`
			To         string `query:"to" maxLength:"10" doc:"yyyy-MM-dd, included; missing: a week from then"`
		}) (*clinic.Out[Listing], error) {
			f := Filter{Department: in.Department, Doctor: in.Doctor, From: in.From, To: in.To}
			return clinic.Reply(s.listing(ctx, in.Hospital.Hospital, f))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-template-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/templates", Right: clinic.PlanClinics,
		Title: "the weekly templates that hold"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[[]Template], error) {
			return clinic.Reply(s.Templates(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-template-add", Method: http.MethodPost, Path: "/hospitals/{hospital}/templates", Right: clinic.PlanClinics, Status: http.StatusCreated,
		Title: "plan a weekly session"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Body Template
		}) (*clinic.Out[Template], error) {
			return clinic.Reply(s.Plan(ctx, in.Hospital.Hospital, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-template-end", Method: http.MethodDelete, Path: "/hospitals/{hospital}/templates/{id}", Right: clinic.PlanClinics, Status: http.StatusNoContent,
		Title: "end a template", Doc: "Its sessions of which nothing is sold go; the others stay until they are stopped."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			ID int64 `path:"id"`
		}) (*struct{}, error) {
			return nil, s.End(ctx, in.Hospital.Hospital, in.ID)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-session-extra", Method: http.MethodPost, Path: "/hospitals/{hospital}/sessions/{no}/places", Right: clinic.PlanClinics,
		Title: "add places to a session"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			Path
			Body struct {
				Places int `json:"places" minimum:"1" maximum:"100"`
			}
		}) (*clinic.Out[Session], error) {
			return clinic.Reply(s.Extra(ctx, in.Hospital.Hospital, in.No, in.Body.Places))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-schedule-source", Method: http.MethodPut, Path: "/hospitals/{hospital}/schedule-source", Right: clinic.PlanClinics, Status: http.StatusNoContent,
		Title: "choose where the sessions come from"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Body struct {
				Source Source `json:"source" enum:"platform,his"`
			}
		}) (*struct{}, error) {
			return nil, s.Choose(ctx, in.Hospital.Hospital, in.Body.Source)
		})
}

func (s *Service) listing(ctx context.Context, hospital string, f Filter) (Listing, error) {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return Listing{}, err
	}
	l := Listing{Now: time.Now()}
	today := l.Now.In(place.Zone).Format(time.DateOnly)
	if f.From == "" || f.From < today {
		f.From = today
	}
	from, err := time.Parse(time.DateOnly, f.From)
	if err != nil {
		return l, core.Problems{{Field: "from", What: "is no date, as 2026-01-05"}}
	}
	if f.To == "" {
		f.To = from.AddDate(0, 0, 7).Format(time.DateOnly)
	}
	to, err := time.Parse(time.DateOnly, f.To)
	switch {
	case err != nil:
		return l, core.Problems{{Field: "to", What: "is no date, as 2026-01-05"}}
	case to.Before(from), to.Sub(from) > 31*24*time.Hour:
		return l, core.Problems{{Field: "to", What: "not within 31 days from `from`"}}
	}
	var fault *core.Fault
	if l.Sessions, err = s.Sessions(ctx, hospital, f); errors.As(err, &fault) {
		l.Old, err = true, nil
	}
	return l, err
}
