package chat

import (
	"context"
	"net/http"

	"hishub/platform/clinic"
)

// Path names a conversation. Embedded, it must be exported for huma to fill it.
type Path struct {
	No string `path:"no" maxLength:"64" doc:"number of the conversation"`
}

// Routes registers the module's endpoints, for patients and doctors alike: whoever is in a
// conversation. Signed in is enough, being in it is what counts.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-conversation-list", Method: http.MethodGet, Path: "/conversations", Right: clinic.SignedIn,
		Title: "one's own conversations, newest first"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Limit int `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[[]Conversation], error) {
			return clinic.Reply(s.Conversations(ctx, p.Account, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-message-sync", Method: http.MethodGet, Path: "/conversations/{no}/messages", Right: clinic.SignedIn, Shows: true,
		Title: "what came after a message, in order"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			After int64 `query:"after" default:"0" minimum:"0" doc:"seq of the last message that one has"`
			Limit int   `query:"limit" default:"200" minimum:"1" maximum:"500"`
		}) (*clinic.Out[[]Message], error) {
			clinic.About(ctx, "conversation "+in.No)
			return clinic.Reply(s.Sync(ctx, p.Account, in.No, in.After, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-message-send", Method: http.MethodPost, Path: "/conversations/{no}/messages", Right: clinic.SignedIn, Shows: true, Status: http.StatusCreated,
		Title: "send a message"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body New
		}) (*clinic.Out[Message], error) {
			clinic.About(ctx, "conversation "+in.No)
			return clinic.Reply(s.Send(ctx, p.Account, in.No, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-message-read", Method: http.MethodPost, Path: "/conversations/{no}/read", Right: clinic.SignedIn, Status: http.StatusNoContent,
		Title: "say up to where one has read"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				Seq int64 `json:"seq" minimum:"0"`
			}
		}) (*struct{}, error) {
			return nil, s.Seen(ctx, p.Account, in.No, in.Body.Seq)
		})
}
