package audit

import (
	"context"
	"net/http"

	"hishub/platform/clinic"
)

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-audit-search", Method: http.MethodPost, Path: "/audit/search", Right: clinic.ReadAudit, Shows: true,
		Title: "what people did and looked at, newest first", Doc: "Of the auditor's hospitals. The search itself is in the audit."},
		func(ctx context.Context, p clinic.Person, in *struct{ Body Search }) (*clinic.Out[[]Entry], error) {
			clinic.About(ctx, "audit", in.Body.Patient)
			return clinic.Reply(s.Find(ctx, hospitalsOf(p), in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-audit-state", Method: http.MethodGet, Path: "/audit/state", Right: clinic.ReadAudit,
		Title: "when the whole audit was verified last, and what was found"},
		func(ctx context.Context, _ clinic.Person, _ *struct{}) (*clinic.Out[Checked], error) {
			return clinic.Reply(s.Last(ctx))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-looked-at-me", Method: http.MethodGet, Path: "/looked-at-me", Right: clinic.OwnRecords, Shows: true,
		Title: "who has looked at one's own family, newest first", Doc: "`before` is the smallest number of the page before."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Before int64 `query:"before" minimum:"0"`
			Limit  int   `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[[]Look], error) {
			looks, family, err := s.LookedAt(ctx, p.Account, in.Before, in.Limit)
			clinic.About(ctx, "who looked", family...)
			return clinic.Reply(looks, err)
		})
}

// hospitalsOf an auditor; nil is all of them, and what is of none.
func hospitalsOf(p clinic.Person) []string {
	hospitals := []string{}
	for _, g := range p.Grants {
		if g.Role != clinic.Auditor {
			continue
		}
		if g.Hospital == "" {
			return nil
		}
		hospitals = append(hospitals, g.Hospital)
	}
	return hospitals
}
