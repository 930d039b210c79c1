package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// Unmasked is all that a message says of its patient.
type Unmasked struct {
	ID        int64           `json:"id"`
	Body      json.RawMessage `json:"body,omitempty" doc:"the canonical content; missing once it is past its retention"`
	Exchanges []Exchange      `json:"exchanges" doc:"what went over the wire, the last first, up to 50"`
}

type purposeOf struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Purpose string `json:"purpose" minLength:"1" maxLength:"200" doc:"why the patient must be seen; recorded with the message and in the audit"`
	}
}

func (a *api) unmask() {
	register(a, operation{
		id: "unmask-message", method: http.MethodPost, path: "/v1/messages/{id}/unmask", right: mayUnmask, tag: "Messages",
		title: "See a message with its patient",
		doc:   "That you looked, and why, is in the audit before you see it. The hospital's secrets stay masked.",
	}, func(ctx context.Context, rq *request, in *purposeOf) (*struct{ Body Unmasked }, error) {
		if _, _, err := a.message(ctx, rq.caller, in.ID); err != nil {
			return nil, err
		}
		u, err := a.Store.Unmask(ctx, in.ID, rq.who(), in.Body.Purpose)
		if err != nil {
			return nil, err
		}
		out := &struct{ Body Unmasked }{Unmasked{ID: in.ID, Exchanges: make([]Exchange, 0, len(u.Exchanges))}}
		if u.Body != nil {
			if out.Body.Body, err = json.Marshal(u.Body); err != nil {
				return nil, err
			}
		}
		for _, x := range u.Exchanges {
			shown, err := showExchange(x, nil, true)
			if err != nil {
				return nil, err
			}
			out.Body.Exchanges = append(out.Body.Exchanges, shown)
		}
		return out, nil
	})
}
