package notify

import (
	"context"
	"net/http"

	"hishub/platform/clinic"
)

// Routes registers the module's endpoints. None shows a patient: notices say nothing of
// one.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-inbox", Method: http.MethodGet, Path: "/inbox", Right: clinic.SignedIn,
		Title: "one's own notices in the app, newest first", Doc: "`before` is the smallest id of the page before."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Before int64 `query:"before" minimum:"0"`
			Limit  int   `query:"limit" default:"20" minimum:"1" maximum:"100"`
		}) (*clinic.Out[Inbox], error) {
			return clinic.Reply(s.Inbox(ctx, p.Account, in.Before, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-inbox-read", Method: http.MethodPost, Path: "/inbox/read", Right: clinic.SignedIn, Status: http.StatusNoContent,
		Title: "mark one's notices up to an id as read"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Body struct {
				UpTo int64 `json:"up_to" minimum:"1"`
			}
		}) (*struct{}, error) {
			return nil, s.Read(ctx, p.Account, in.Body.UpTo)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-notice-preferences", Method: http.MethodGet, Path: "/notice-preferences", Right: clinic.SignedIn,
		Title: "what one is told, where, when and in which language"},
		func(ctx context.Context, p clinic.Person, _ *struct{}) (*clinic.Out[Preferences], error) {
			return clinic.Reply(s.Preferences(ctx, p.Account))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-notice-prefer", Method: http.MethodPut, Path: "/notice-preferences", Right: clinic.SignedIn,
		Title: "say what one wants to be told"},
		func(ctx context.Context, p clinic.Person, in *struct{ Body Preferences }) (*clinic.Out[Preferences], error) {
			return clinic.Reply(s.Prefer(ctx, p.Account, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-notice-templates", Method: http.MethodGet, Path: "/hospitals/{hospital}/notice-templates", Right: clinic.Directory,
		Title: "how the hospital's notices are worded"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[[]Template], error) {
			return clinic.Reply(s.Templates(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-notice-template", Method: http.MethodPut, Path: "/hospitals/{hospital}/notice-templates/{event}/{language}/{channel}", Right: clinic.Directory,
		Title: "word a notice", Doc: "It may name " + allowed() + " in braces, and nothing of a patient."},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Event    string  `path:"event" maxLength:"64"`
			Language string  `path:"language" enum:"zh,en"`
			Channel  Channel `path:"channel" enum:"inbox,sms,wechat"`
			Body     Words
		}) (*clinic.Out[Template], error) {
			return clinic.Reply(s.SetTemplate(ctx, p, in.Hospital.Hospital, Template{Event: in.Event, Language: in.Language, Channel: in.Channel, Words: in.Body}))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-notice-dead", Method: http.MethodGet, Path: "/notices/dead", Right: clinic.Watch,
		Title: "notices that nobody got, newest first", Doc: "Of one's hospitals; without text or person."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Limit int `query:"limit" default:"50" minimum:"1" maximum:"500"`
		}) (*clinic.Out[[]Dead], error) {
			hospitals := []string{}
			for _, g := range p.Grants {
				switch {
				case !p.May(clinic.Watch, g.Hospital):
				case g.Hospital != "":
					hospitals = append(hospitals, g.Hospital)
				}
			}
			if p.May(clinic.Watch, everywhere) {
				hospitals = nil
			}
			return clinic.Reply(s.Dead(ctx, hospitals, in.Limit))
		})
}

// everywhere is the id of no hospital: who may at it may at all.
const everywhere = "*"
