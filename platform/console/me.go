package console

import (
	"context"
	"net/http"
	"slices"

	"hishub/platform/clinic"
)

// Service tells the console who is signed in.
type Service struct {
	// Rights of a grant: those of the clinic as "clinic:watch", those of the hub as
	// "hub:decide".
	Rights func(clinic.Grant) []string
	// Hospitals are all that there are.
	Hospitals func(context.Context) ([]Hospital, error)
}

// Hospital is one by name.
type Hospital struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Right of a person, and where.
type Right struct {
	Right      string   `json:"right" example:"hub:decide"`
	Everywhere bool     `json:"everywhere,omitempty"`
	Hospitals  []string `json:"hospitals,omitempty"`
}

// Me is who is signed in, for menus and buttons; what a request may do is decided by
// the operation itself.
type Me struct {
	Account   int64          `json:"account"`
	Name      string         `json:"name"`
	Grants    []clinic.Grant `json:"grants"`
	Rights    []Right        `json:"rights"`
	Hospitals []Hospital     `json:"hospitals" doc:"at which the person has any role"`
}

// Routes registers the console's own operation.
func (s *Service) Routes(a *clinic.API) {
	clinic.Register(a, clinic.Endpoint{ID: "get-console-person", Method: http.MethodGet, Path: "/console/me", Right: clinic.SignedIn,
		Title: "Who is signed in, with rights by hospital", Doc: "For a user interface to know what to offer."},
		func(ctx context.Context, p clinic.Person, _ *struct{}) (*clinic.Out[Me], error) {
			all, err := s.Hospitals(ctx)
			if err != nil {
				return nil, err
			}
			return &clinic.Out[Me]{Body: s.me(p, all)}, nil
		})
}

func (s *Service) me(p clinic.Person, all []Hospital) Me {
	me := Me{Account: p.Account, Name: p.Name, Grants: append([]clinic.Grant{}, p.Grants...), Rights: []Right{}, Hospitals: []Hospital{}}
	at := map[string]int{}
	for _, g := range p.Grants {
		for _, name := range s.Rights(g) {
			i, known := at[name]
			if !known {
				i = len(me.Rights)
				at[name] = i
				me.Rights = append(me.Rights, Right{Right: name})
			}
			r := &me.Rights[i]
			if g.Hospital == "" {
				r.Everywhere, r.Hospitals = true, nil
			} else if !r.Everywhere && !slices.Contains(r.Hospitals, g.Hospital) {
				r.Hospitals = append(r.Hospitals, g.Hospital)
			}
		}
	}
	for _, h := range all {
		if p.Sees(h.ID) {
			me.Hospitals = append(me.Hospitals, h)
		}
	}
	return me
}
