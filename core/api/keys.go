package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// Keys keeps the API keys, hashed.
type Keys interface {
	AddKey(ctx context.Context, k postgres.Key) (id int64, err error)
	Key(ctx context.Context, prefix string) (postgres.Key, error)
	Keys(ctx context.Context) ([]postgres.Key, error)
	RevokeKey(ctx context.Context, id int64) error
	KeyUsed(ctx context.Context, ids []int64) error
}

// Key is an API key as it is listed.
type Key struct {
	ID         int64      `json:"id"`
	Prefix     string     `json:"prefix" doc:"the part of the key that finds it; no secret"`
	Name       string     `json:"name"`
	Role       Role       `json:"role" enum:"submitter,operator,finance,auditor,admin"`
	Hospitals  []string   `json:"hospitals,omitempty" doc:"that it is good for; missing: all"`
	CreatedAt  time.Time  `json:"created_at"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// NewKeyAnswer holds a key's secret, which is shown this once.
type NewKeyAnswer struct {
	ID  int64  `json:"id"`
	Key string `json:"key" doc:"shown this once; only its hash is kept"`
}

type newKey struct {
	Body struct {
		Name      string   `json:"name" minLength:"1" maxLength:"64" doc:"who holds it; recorded with every decision"`
		Role      Role     `json:"role" enum:"submitter,operator,finance,auditor,admin"`
		Hospitals []string `json:"hospitals,omitempty" maxItems:"1000" doc:"that it is good for; missing: all. An admin's key is good for all"`
	}
}

type keyList struct {
	Body struct {
		Keys []Key `json:"keys"`
	}
}

type oneKey struct {
	ID int64 `path:"id" minimum:"1"`
}

func (a *api) keys() {
	register(a, operation{
		id: "create-key", method: http.MethodPost, path: "/v1/keys", right: mayKeys, tag: "Keys",
		title: "Make an API key", status: http.StatusCreated,
	}, func(ctx context.Context, rq *request, in *newKey) (*struct{ Body NewKeyAnswer }, error) {
		if err := a.known(ctx, in.Body.Hospitals); err != nil {
			return nil, err
		}
		if in.Body.Role == Admin && in.Body.Hospitals != nil {
			return nil, invalid(core.Problems{{Field: "hospitals", What: "an admin's key is good for all; leave it out"}})
		}
		text, prefix, hash := NewKey()
		id, err := a.Store.AddKey(ctx, postgres.Key{Prefix: prefix, Hash: hash, Name: in.Body.Name, Role: string(in.Body.Role), Hospitals: in.Body.Hospitals})
		return &struct{ Body NewKeyAnswer }{NewKeyAnswer{id, text}}, err
	})
	register(a, operation{
		id: "list-keys", method: http.MethodGet, path: "/v1/keys", right: mayKeys, tag: "Keys", title: "List the API keys",
	}, func(ctx context.Context, rq *request, _ *struct{}) (*keyList, error) {
		all, err := a.Store.Keys(ctx)
		out := &keyList{}
		out.Body.Keys = make([]Key, 0, len(all))
		for _, k := range all {
			out.Body.Keys = append(out.Body.Keys, Key{k.ID, k.Prefix, k.Name, Role(k.Role), k.Hospitals, k.CreatedAt, k.RevokedAt, k.LastUsedAt})
		}
		return out, err
	})
	register(a, operation{
		id: "revoke-key", method: http.MethodDelete, path: "/v1/keys/{id}", right: mayKeys, tag: "Keys",
		title: "Revoke an API key", doc: "Other processes may believe it for " + remembered.String() + " more.", status: http.StatusNoContent,
	}, func(ctx context.Context, rq *request, in *oneKey) (*struct{}, error) {
		err := a.Store.RevokeKey(ctx, in.ID)
		a.callers.forget()
		return nil, err
	})
}

// known refuses hospitals that do not exist, by their place in the list.
func (a *api) known(ctx context.Context, hospitals []string) error {
	if len(hospitals) == 0 {
		return nil
	}
	records, err := a.Store.Hospitals(ctx)
	if err != nil {
		return err
	}
	exists := map[string]bool{}
	for _, r := range records {
		exists[r.ID] = true
	}
	var wrong core.Problems
	for i, h := range hospitals {
		if !exists[h] {
			wrong = append(wrong, core.Problem{Field: fmt.Sprintf("hospitals[%d]", i), What: "no such hospital"})
		}
	}
	return wrong.OrNil()
}
