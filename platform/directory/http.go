package directory

import (
	"context"
	"net/http"

	"hishub/platform/clinic"
)

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-hospital-list", Method: http.MethodGet, Path: "/hospitals", Right: clinic.Anyone,
		Title: "the hospitals of the clinic"},
		func(ctx context.Context, _ clinic.Person, _ *struct{}) (*clinic.Out[[]Hospital], error) {
			return clinic.Reply(s.hospitals(ctx))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-department-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/departments", Right: clinic.Anyone,
		Title: "a hospital's departments, as its HIS lists them"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[[]Department], error) {
			if _, err := s.Place(ctx, in.Hospital); err != nil {
				return clinic.Reply[[]Department](nil, err)
			}
			return clinic.Reply(s.Departments(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-doctor-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/doctors", Right: clinic.Anyone,
		Title: "a hospital's doctors", Doc: "In the order of their codes; `after` is the last code of the page before."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Department string `query:"department" maxLength:"64" doc:"code of a department"`
			Words      string `query:"words" maxLength:"64" doc:"in the name, the title or what the doctor is good at"`
			After      string `query:"after" maxLength:"64"`
			Limit      int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[[]Doctor], error) {
			if _, err := s.Place(ctx, in.Hospital.Hospital); err != nil {
				return clinic.Reply[[]Doctor](nil, err)
			}
			return clinic.Reply(s.Doctors(ctx, in.Hospital.Hospital, Filter{Department: in.Department, Words: in.Words, After: in.After, Limit: in.Limit}))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-doctor-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/doctors/{code}", Right: clinic.Anyone,
		Title: "a doctor's page"},
		func(ctx context.Context, _ clinic.Person, in *DoctorPath) (*clinic.Out[Doctor], error) {
			return clinic.Reply(s.Doctor(ctx, in.Hospital.Hospital, in.Code))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-doctor-describe", Method: http.MethodPut, Path: "/hospitals/{hospital}/doctors/{code}/page", Right: clinic.Directory,
		Title: "write what a doctor's page says"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			DoctorPath
			Body Page
		}) (*clinic.Out[Doctor], error) {
			return clinic.Reply(s.Describe(ctx, in.Hospital.Hospital, in.Code, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-directory-lists", Method: http.MethodGet, Path: "/hospitals/{hospital}/directory", Right: clinic.Watch,
		Title: "when the lists were last had from the HIS"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[[]clinic.List], error) {
			return clinic.Reply(s.Lists(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-directory-sync", Method: http.MethodPost, Path: "/hospitals/{hospital}/directory/sync", Right: clinic.Directory,
		Title: "have the lists from the HIS now"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Sure bool `query:"sure" doc:"take a list that is empty, or closes more than half of what is open"`
		}) (*clinic.Out[[]clinic.List], error) {
			return clinic.Reply(s.Sync(ctx, in.Hospital.Hospital, in.Sure))
		})
}

// DoctorPath names a doctor. Embedded, it must be exported for huma to fill it.
type DoctorPath struct {
	clinic.Hospital
	Code string `path:"code" maxLength:"64" doc:"the doctor's code in the HIS"`
}

// Hospital of the clinic.
type Hospital struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Zone string `json:"zone" doc:"its time zone, as Asia/Shanghai"`
}

func (s *Service) hospitals(ctx context.Context) ([]Hospital, error) {
	places, err := s.Places(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Hospital, len(places))
	for i, p := range places {
		out[i] = Hospital{p.ID, p.Name, p.Zone.String()}
	}
	return out, nil
}
