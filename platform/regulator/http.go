package regulator

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"hishub/platform/clinic"
)

// Routes registers the module's endpoints. Reports have numbers of prescriptions, and
// nothing that says whose they are.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-regulator-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/regulator", Right: clinic.Reports,
		Title: "which regulator the hospital's facts are told to"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[Setting], error) {
			return clinic.Reply(s.Setting(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-regulator-set", Method: http.MethodPut, Path: "/hospitals/{hospital}/regulator", Right: clinic.Directory,
		Title: "say which regulator hears what happens from now on", Doc: "Prescriptions of before stay with the one that heard of them."},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Body struct {
				Regulator string `json:"regulator" maxLength:"64" doc:"his id at the hub; empty: none"`
			}
		}) (*clinic.Out[Setting], error) {
			return clinic.Reply(s.Serve(ctx, p, in.Hospital.Hospital, in.Body.Regulator))
		})
	type ofDay struct {
		clinic.Hospital
		Day string `query:"day" maxLength:"10" example:"2026-01-05" doc:"in the hospital's zone; today if missing"`
	}
	clinic.Register(api, clinic.Endpoint{ID: "clinic-regulator-gaps", Method: http.MethodGet, Path: "/hospitals/{hospital}/regulator/gaps", Right: clinic.Reports,
		Title: "what the regulator must have heard of a day, and has not"},
		func(ctx context.Context, _ clinic.Person, in *ofDay) (*clinic.Out[Report], error) {
			return clinic.Reply(s.Report(ctx, in.Hospital.Hospital, in.Day))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-regulator-gaps-csv", Method: http.MethodGet, Path: "/hospitals/{hospital}/regulator/gaps.csv", Right: clinic.Reports,
		Title: "the gaps of a day as CSV"},
		func(ctx context.Context, _ clinic.Person, in *ofDay) (*huma.StreamResponse, error) {
			r, err := s.Report(ctx, in.Hospital.Hospital, in.Day)
			if err != nil {
				return nil, err
			}
			text, err := r.CSV()
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				hc.SetHeader("Content-Type", "text/csv; charset=utf-8")
				hc.SetHeader("Content-Disposition", `attachment; filename="gaps-`+r.Day+`.csv"`)
				_, _ = hc.BodyWriter().Write(text)
			}}, nil
		})
}
