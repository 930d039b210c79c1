package api

import (
	"context"
	"net/http"
	"time"

	"hishub/core/postgres"
)

// Revision is one applied state of a hospital's folder.
type Revision struct {
	Number     int       `json:"number"`
	Digest     string    `json:"digest" doc:"SHA-256 of the folder; two revisions with one digest are the same"`
	AppliedAt  time.Time `json:"applied_at"`
	AppliedBy  string    `json:"applied_by"`
	Note       string    `json:"note,omitempty"`
	Active     bool      `json:"active" doc:"what begins now is told with it"`
	Unfinished int       `json:"unfinished" doc:"messages that were begun with it, keep it, and have not ended"`
}

type revisionsOf struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
}

type revisionList struct {
	Body struct {
		Revisions []Revision `json:"revisions" doc:"newest first"`
	}
}

func (a *api) revisions() {
	register(a, operation{
		id: "list-revisions", method: http.MethodGet, path: "/v1/hospitals/{hospital}/revisions", right: mayRead, tag: "Hospitals",
		title: "See the revisions of a hospital's folder",
	}, func(ctx context.Context, rq *request, in *revisionsOf) (*revisionList, error) {
		if !rq.caller.Sees(in.Hospital) {
			return nil, postgres.ErrNotFound
		}
		all, err := a.Store.Revisions(ctx, in.Hospital)
		if err == nil && len(all) == 0 {
			err = postgres.ErrNotFound
		}
		out := &revisionList{}
		for _, r := range all {
			out.Body.Revisions = append(out.Body.Revisions, Revision{r.Number, r.Digest, r.AppliedAt, r.AppliedBy, r.Note, r.Active, r.Unfinished})
		}
		return out, err
	})
}
