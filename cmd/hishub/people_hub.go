package main

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"hishub/core/api"
	"hishub/platform/clinic"
	"hishub/platform/console"
)

// hubRoles is what people are at the hub by what they are at the clinic: at the same
// hospitals, and by the hub's policy what a key of that role may do, but for what is only
// for programs.
var hubRoles = map[clinic.Role]api.Role{
	clinic.Ops:           api.Operator,
	clinic.HospitalAdmin: api.Operator, // hospital IT looks after its own hospital
	clinic.Finance:       api.Finance,
	clinic.Auditor:       api.Auditor,
}

// person is who a session's token belongs to, as the hub's API sees him.
func (h *hub) person(ctx context.Context, token string) (api.Caller, error) {
	p, err := h.clinic.identity.Person(ctx, token)
	if errors.Is(err, clinic.ErrSignedOut) {
		return api.Caller{}, api.ErrUnknownCaller
	}
	if err != nil {
		return api.Caller{}, err
	}
	return callerOf(p), nil
}

func callerOf(p clinic.Person) api.Caller {
	c := api.Caller{Account: p.Account, Name: p.Name}
	for _, g := range p.Grants {
		if role, ok := hubRoles[g.Role]; ok {
			at := api.Grant{Role: role}
			if g.Hospital != "" {
				at.Hospitals = []string{g.Hospital}
			}
			c.Grants = append(c.Grants, at)
		}
	}
	return c
}

// withConsole serves the console beside the API, which people's browsers call with their
// cookie.
func (h *hub) withConsole(api http.Handler) http.Handler {
	if h.clinic == nil {
		return api // there is nobody to sign in
	}
	mux := http.NewServeMux()
	mux.Handle(console.Prefix, console.Handler())
	mux.Handle("/", console.Browsers{Secure: h.tls != nil}.Around(api))
	return mux
}

// console is the module that serves people's browsers.
func (h *hub) console() *console.Service {
	return &console.Service{
		Rights: rightsOf,
		Hospitals: func(ctx context.Context) ([]console.Hospital, error) {
			records, err := h.store.Hospitals(ctx)
			all := make([]console.Hospital, 0, len(records))
			for _, r := range records {
				all = append(all, console.Hospital{ID: r.ID, Name: r.Name})
			}
			return all, err
		},
	}
}

// rightsOf are a grant's rights by the names that the console knows.
func rightsOf(g clinic.Grant) (all []string) {
	for _, r := range clinic.RightsOf(g.Role) {
		all = append(all, "clinic:"+string(r))
	}
	for _, r := range api.RightsOf(hubRoles[g.Role]) {
		all = append(all, "hub:"+string(r))
	}
	slices.Sort(all)
	return all
}
