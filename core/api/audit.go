package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"hishub/core/postgres"
)

// Trail is what people did and looked at (see postgres.AuditEntry).
type Trail interface {
	Audit(ctx context.Context, a postgres.Act) error
	AuditEntries(ctx context.Context, f postgres.AuditFilter, limit int) ([]postgres.AuditEntry, error)
	AuditHead(ctx context.Context) (postgres.AuditHead, error)
	Unmask(ctx context.Context, id int64, who, purpose string) (postgres.Unmasked, error)
}

// AuditEntry is an act of a person in the chain.
type AuditEntry struct {
	Number   int64           `json:"number"`
	At       time.Time       `json:"at"`
	Actor    string          `json:"actor"`
	Role     string          `json:"role,omitempty" doc:"of the key; machine for commands at the database"`
	Verb     string          `json:"verb" example:"release"`
	Hospital string          `json:"hospital,omitempty"`
	Subject  string          `json:"subject,omitempty" example:"message 4711"`
	Purpose  string          `json:"purpose,omitempty" doc:"why, in the person's words"`
	Request  string          `json:"request,omitempty" doc:"its X-Request-Id"`
	Data     json.RawMessage `json:"data,omitempty"`
	Digest   string          `json:"digest" doc:"SHA-256 over the digest before it and this entry"`
}

// AuditHead is the end of the chain.
type AuditHead struct {
	Number int64  `json:"number"`
	Digest string `json:"digest" doc:"keep it elsewhere: hishub audit verify --head proves with it that nothing was cut off"`
}

type auditQuery struct {
	Hospital string    `query:"hospital" maxLength:"64" doc:"only this one's"`
	Actor    string    `query:"actor" maxLength:"100"`
	Verb     string    `query:"verb" maxLength:"40"`
	Subject  string    `query:"subject" maxLength:"100" doc:"as \"message 4711\""`
	Since    time.Time `query:"since" doc:"at or after"`
	Until    time.Time `query:"until" doc:"before"`
	Before   int64     `query:"before" minimum:"0" doc:"next of the page before"`
	Limit    int       `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

type auditList struct {
	Body struct {
		Entries []AuditEntry `json:"entries" doc:"newest first"`
		Next    int64        `json:"next,omitempty" doc:"before of the next page"`
		Head    *AuditHead   `json:"head,omitempty" doc:"for keys that are good for all hospitals"`
	}
}

func (a *api) audit() {
	register(a, operation{
		id: "list-audit", method: http.MethodGet, path: "/v1/audit", right: mayAudit, tag: "Audit",
		title: "See what people did, and looked at",
		doc:   "One chain of digests over all hospitals. A key that is good for some sees theirs; `hishub audit verify` checks the whole.",
	}, func(ctx context.Context, rq *request, in *auditQuery) (*auditList, error) {
		f := postgres.AuditFilter{Hospitals: rq.caller.scope(), Actor: in.Actor, Verb: in.Verb, Subject: in.Subject, Since: in.Since, Until: in.Until, Before: in.Before}
		if in.Hospital != "" {
			if !rq.caller.Sees(in.Hospital) {
				return nil, problem("not-found", "")
			}
			f.Hospitals = []string{in.Hospital}
		}
		out := &auditList{}
		out.Body.Entries = []AuditEntry{}
		if rq.caller.scope() == nil {
			h, err := a.Store.AuditHead(ctx)
			if err != nil {
				return nil, err
			}
			out.Body.Head = &AuditHead{h.Number, h.Digest.String()}
		}
		all, err := a.Store.AuditEntries(ctx, f, in.Limit)
		for _, e := range all {
			if !json.Valid([]byte(e.Data)) {
				e.Data = "" // there is none, or it was altered
			}
			out.Body.Entries = append(out.Body.Entries, AuditEntry{
				e.Number, e.At, e.Actor, e.Role, e.Verb, e.Hospital, e.Subject, e.Purpose, e.Request, json.RawMessage(e.Data), e.Digest.String(),
			})
			out.Body.Next = e.Number
		}
		if len(all) < in.Limit {
			out.Body.Next = 0
		}
		return out, err
	})
}
