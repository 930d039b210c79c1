package catalog

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"hishub/platform/clinic"
)

// DrugPath names a drug. Embedded, it must be exported for huma to fill it.
type DrugPath struct {
	clinic.Hospital
	Code string `path:"code" maxLength:"64" doc:"the drug's code in the HIS"`
}

// Words narrows a list. Embedded, it must be exported for huma to fill it.
type Words struct {
	clinic.Hospital
	Words string `query:"words" maxLength:"64" doc:"in the name, or the beginning of the code"`
	After string `query:"after" maxLength:"64" doc:"the last code of the page before"`
	Limit int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
}

// Terms of the platform.
type Terms struct {
	Frequencies []Frequency `json:"frequencies"`
	Routes      []Route     `json:"routes"`
}

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-drug-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/drugs", Right: clinic.Look,
		Title: "drugs that can be prescribed"},
		func(ctx context.Context, _ clinic.Person, in *Words) (*clinic.Out[[]Drug], error) {
			return clinic.Reply(s.Search(ctx, in.Hospital.Hospital, in.Words, in.After, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-drug-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/drugs/{code}", Right: clinic.Look,
		Title: "one drug"},
		func(ctx context.Context, _ clinic.Person, in *DrugPath) (*clinic.Out[Drug], error) {
			return clinic.Reply(s.Drug(ctx, in.Hospital.Hospital, in.Code))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-drug-describe", Method: http.MethodPut, Path: "/hospitals/{hospital}/drugs/{code}", Right: clinic.Directory,
		Title: "say what a drug works by and whether it is of a class that is not prescribed online"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			DrugPath
			Body Addition
		}) (*clinic.Out[Drug], error) {
			return clinic.Reply(s.Say(ctx, in.Hospital.Hospital, in.Code, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-diagnosis-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/diagnoses", Right: clinic.Look,
		Title: "the hospital's list of diagnoses"},
		func(ctx context.Context, _ clinic.Person, in *Words) (*clinic.Out[[]Term], error) {
			return clinic.Reply(s.Diagnoses(ctx, in.Hospital.Hospital, in.Words, in.After, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-term-list", Method: http.MethodGet, Path: "/terms", Right: clinic.Look,
		Title: "the platform's frequencies and routes"},
		func(context.Context, clinic.Person, *struct{}) (*clinic.Out[Terms], error) {
			return clinic.Reply(Terms{Frequencies, Routes}, nil)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-catalog-lists", Method: http.MethodGet, Path: "/hospitals/{hospital}/catalog", Right: clinic.Watch,
		Title: "when the lists were last had from the HIS"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[[]clinic.List], error) {
			return clinic.Reply(s.Lists(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-catalog-sync", Method: http.MethodPost, Path: "/hospitals/{hospital}/catalog/sync", Right: clinic.Directory,
		Title: "have the lists from the HIS now"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Sure bool `query:"sure" doc:"take a list that is empty, or closes more than half of what is open"`
		}) (*clinic.Out[[]clinic.List], error) {
			return clinic.Reply(s.Sync(ctx, in.Hospital.Hospital, in.Sure))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-knowledge-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/knowledge", Right: clinic.Look,
		Title: "which knowledge of substances holds"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[Knowledge], error) {
			return clinic.Reply(s.Knowledge(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-knowledge-import", Method: http.MethodPost, Path: "/hospitals/{hospital}/knowledge", Right: clinic.Directory, Status: http.StatusCreated, MaxBody: 4 << 20,
		Title: "put new knowledge of substances in place", Doc: "`csv` has the columns kind, substance, other, limit, dose_unit, age_from, age_to, stops, text."},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Body struct {
				Source string `json:"source" minLength:"1" maxLength:"200" doc:"whose knowledge it is, and of when"`
				CSV    string `json:"csv" minLength:"1"`
			}
		}) (*clinic.Out[Knowledge], error) {
			facts, err := ReadFacts(strings.NewReader(in.Body.CSV))
			if err != nil {
				return clinic.Reply(Knowledge{}, err)
			}
			return clinic.Reply(s.Import(ctx, in.Hospital.Hospital, in.Body.Source, "account "+strconv.FormatInt(p.Account, 10), facts))
		})
}
