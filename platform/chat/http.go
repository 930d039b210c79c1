package chat

import (
	"context"
	"net/http"
	"time"

	"hishub/platform/clinic"
)

// Path names a conversation. Embedded, it must be exported for huma to fill it.
type Path struct {
	No string `path:"no" maxLength:"64" doc:"number of the conversation"`
}

// Routes registers the module's endpoints, for patients and doctors alike. Signed in is
// enough: what counts is being in the conversation, and, of a doctor, that he treats at its
// hospital.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-conversation-list", Method: http.MethodGet, Path: "/conversations", Right: clinic.SignedIn,
		Title: "one's own conversations, newest first"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Limit int `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[[]Conversation], error) {
			return clinic.Reply(s.Conversations(ctx, p, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-message-sync", Method: http.MethodGet, Path: "/conversations/{no}/messages", Right: clinic.SignedIn, Shows: true,
		Title: "what came after a message, in order"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			After int64 `query:"after" default:"0" minimum:"0" doc:"seq of the last message that one has"`
			Limit int   `query:"limit" default:"200" minimum:"1" maximum:"500"`
		}) (*clinic.Out[[]Message], error) {
			return clinic.Reply(s.Sync(ctx, p, in.No, in.After, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-message-send", Method: http.MethodPost, Path: "/conversations/{no}/messages", Right: clinic.SignedIn, Shows: true, Status: http.StatusCreated,
		Title: "send a message"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body New
		}) (*clinic.Out[Message], error) {
			return clinic.Reply(s.Send(ctx, p, in.No, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-message-read", Method: http.MethodPost, Path: "/conversations/{no}/read", Right: clinic.SignedIn, Status: http.StatusNoContent,
		Title: "say up to where one has read"},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body struct {
				Seq int64 `json:"seq" minimum:"0"`
			}
		}) (*struct{}, error) {
			return nil, s.Seen(ctx, p, in.No, in.Body.Seq)
		})
	s.pictureRoutes(api)
}

// uploadTime is how long a picture may take to come: ten megabytes over a bad line.
const uploadTime = 45 * time.Second

func (s *Service) pictureRoutes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-picture-upload", Method: http.MethodPost, Path: "/conversations/{no}/pictures", Right: clinic.SignedIn, Shows: true, Status: http.StatusCreated,
		MaxBody: maxUpload, BodyTime: uploadTime,
		Title: "put a picture into a conversation, to be sent",
		Doc: "The body is the file: JPEG, PNG or WebP, told by its content, of up to 10 MB, 12,000 pixels a side and 24 million in all. It is drawn anew, upright: place, camera and comments are not kept. " +
			"The other sees it once a message of kind image sends it; what is not sent within a day is taken away."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			ClientID string `query:"client_id" required:"true" minLength:"1" maxLength:"64" doc:"one's own number of the picture: uploaded again, it is the same picture"`
			RawBody  []byte `contentType:"image/*"`
		}) (*clinic.Out[Picture], error) {
			return clinic.Reply(s.Upload(ctx, p, in.No, in.ClientID, in.RawBody))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-picture", Method: http.MethodGet, Path: "/conversations/{no}/pictures/{picture}", Right: clinic.SignedIn, Shows: true, Types: []string{typeJPEG, typePNG},
		Title: "a picture of a conversation", Doc: "For those who are in the conversation, never stored on the way. Each look is in the audit."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Picture string `path:"picture" maxLength:"64" doc:"number of the picture"`
			Part    string `query:"part" enum:"whole,small" default:"whole" doc:"small: a JPEG of at most 480 pixels a side"`
		}) (*Shown, error) {
			v, err := s.Look(ctx, p, in.No, in.Picture, in.Part)
			return &Shown{v.Type, "private, no-store", "nosniff", "default-src 'none'; sandbox", "inline", v.Content}, err
		})
}

// Shown is the answer with a picture.
type Shown struct {
	Type         string `header:"Content-Type"`
	CacheControl string `header:"Cache-Control"`
	Sniff        string `header:"X-Content-Type-Options"`
	Policy       string `header:"Content-Security-Policy"`
	Disposition  string `header:"Content-Disposition"`
	Body         []byte
}
