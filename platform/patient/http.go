package patient

import (
	"context"
	"fmt"
	"net/http"

	"hishub/platform/clinic"
)

// Path names a patient. Embedded, it must be exported for huma to fill it.
type Path struct {
	No string `path:"no" maxLength:"64" doc:"our number of the patient"`
}

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-list", Method: http.MethodGet, Path: "/patients", Right: clinic.OwnRecords, Shows: true,
		Title: "one's own family"},
		func(ctx context.Context, p clinic.Person, _ *struct{}) (*clinic.Out[[]Record], error) {
			all, err := s.Family(ctx, p.Account)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-add", Method: http.MethodPost, Path: "/patients", Right: clinic.OwnRecords, Shows: true, Status: http.StatusCreated,
		Title: "enter oneself, or somebody of the family", Doc: "Oneself comes first. A child under 14 is entered by its guardian, who is verified; one without a document of its own goes by the guardian's."},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.From
			Body struct {
				Relation Relation `json:"relation" enum:"self,child,parent,spouse,other"`
				Details
			}
		}) (*clinic.Out[Record], error) {
			r, err := s.Add(ctx, p.Account, in.Address(), in.Body.Relation, in.Body.Details)
			clinic.About(ctx, "patient "+r.No, r.No)
			return clinic.Reply(r, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-get", Method: http.MethodGet, Path: "/patients/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "somebody of one's own family"},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Record], error) {
			clinic.About(ctx, "patient "+in.No, in.No)
			return clinic.Reply(s.Owned(ctx, p.Account, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-change", Method: http.MethodPatch, Path: "/patients/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "another telephone or address", Doc: "Another name or document is another person. A child who had no document gets its first identity card here."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			clinic.From
			Body Contact
		}) (*clinic.Out[Record], error) {
			clinic.About(ctx, "patient "+in.No, in.No)
			return clinic.Reply(s.Change(ctx, p.Account, in.No, in.Address(), in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-remove", Method: http.MethodDelete, Path: "/patients/{no}", Right: clinic.OwnRecords, Shows: true, Status: http.StatusNoContent,
		Title: "take somebody out of the family", Doc: "What was done for the patient stays where it is."},
		func(ctx context.Context, p clinic.Person, in *Path) (*struct{}, error) {
			clinic.About(ctx, "patient "+in.No, in.No)
			return nil, s.Remove(ctx, p.Account, in.No)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-link", Method: http.MethodPut, Path: "/hospitals/{hospital}/patients/{no}/identity", Right: clinic.OwnRecords, Shows: true,
		Title: "make a hospital and a patient known to one another", Doc: "Its HIS is asked for records of this person; where it has none it is told to register him, and `state` says how far that is. One that is linked stays as it is, unless the body wants it looked at again, or another of its records used."},
		func(ctx context.Context, p clinic.Person, in *struct {
			IdentityPath
			Body *Relink
		}) (*clinic.Out[Identity], error) {
			clinic.About(ctx, "patient "+in.No, in.No)
			r, err := s.Owned(ctx, p.Account, in.No)
			if err != nil {
				return clinic.Reply(Identity{}, err)
			}
			if in.Body == nil {
				in.Body = &Relink{}
			}
			return clinic.Reply(s.Relink(ctx, in.Hospital.Hospital, r, *in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-identity", Method: http.MethodGet, Path: "/hospitals/{hospital}/patients/{no}/identity", Right: clinic.OwnRecords, Shows: true,
		Title: "what a hospital calls a patient"},
		func(ctx context.Context, p clinic.Person, in *IdentityPath) (*clinic.Out[Identity], error) {
			clinic.About(ctx, "patient "+in.No, in.No)
			if _, err := s.Owned(ctx, p.Account, in.No); err != nil {
				return clinic.Reply(Identity{}, err)
			}
			return clinic.Reply(s.known(ctx, in.Hospital.Hospital, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-patient-find", Method: http.MethodPost, Path: "/hospitals/{hospital}/patients/search", Right: clinic.CheckIn, Shows: true,
		Title: "find patients whom the hospital knows", Doc: "By telephone, document number or whole name; masked, at most 50."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Body Search
		}) (*clinic.Out[[]Record], error) {
			all, err := s.Find(ctx, in.Hospital.Hospital, in.Body)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
}

// IdentityPath names a patient at a hospital. Embedded, it must be exported for huma to fill it.
type IdentityPath struct {
	clinic.Hospital
	Path
}

func about(ctx context.Context, all []Record) {
	nos := make([]string, len(all))
	for i, r := range all {
		nos[i] = r.No
	}
	clinic.About(ctx, fmt.Sprintf("%d patients", len(all)), nos...)
}
