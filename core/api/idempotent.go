package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// Requests are those that carry an Idempotency-Key.
type Requests interface {
	BeginRequest(ctx context.Context, apiKey int64, key string, digest []byte, hold time.Duration) (*postgres.Answer, error)
	EndRequest(ctx context.Context, apiKey int64, key string, a *postgres.Answer, keep time.Duration) error
}

const (
	// held is how long a request may take whose process died, before the same key
	// may begin again.
	held = time.Minute
	// kept is how long an answer is repeated.
	kept = 24 * time.Hour
)

// stored is an answer together with what it answered, so that another request
// under the same key can be told apart, and how.
type stored struct {
	Answer   Accepted  `json:"answer"`
	Hospital string    `json:"hospital"`
	Kind     core.Kind `json:"kind"`
	Lane     string    `json:"lane"`
	Content  []byte    `json:"content"` // canonical JSON; the store seals all of it
}

// anyRequest stands for the content of every request: what differs is found out
// here, where it can be named.
var anyRequest = []byte("submission")

// idempotent carries out a submission once for each Idempotency-Key of a caller.
// Only acceptances are kept: what was refused may be corrected and sent again.
func (a *api) idempotent(ctx context.Context, rq *request, key, hospital string, m core.Message, accept func() (Accepted, error)) (*accepted, error) {
	content, err := json.Marshal(m.Body)
	if err != nil {
		return nil, err
	}
	now := stored{Hospital: hospital, Kind: m.Kind, Lane: m.Lane, Content: content}
	old, err := a.Store.BeginRequest(ctx, rq.caller.number(), key, anyRequest, held)
	switch {
	case errors.Is(err, postgres.ErrInProgress):
		return nil, problem("in-progress", "").after(time.Second)
	case errors.Is(err, postgres.ErrOtherRequest):
		return nil, problem("idempotency", "")
	case err != nil:
		return nil, err
	case old != nil:
		return repeated(old, now)
	}
	now.Answer, err = accept()
	var keep *postgres.Answer
	if err == nil {
		text, _ := json.Marshal(now)
		keep = &postgres.Answer{Status: http.StatusAccepted, Body: text}
	}
	// The message is durable by now: the answer is given even if it can't be kept,
	// because the business key recognises a repetition too.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if endErr := a.Store.EndRequest(end, rq.caller.number(), key, keep, kept); endErr != nil {
		rq.log.Warn("the answer to a request with an Idempotency-Key could not be kept", "error", endErr)
	}
	if err != nil {
		return nil, err
	}
	return &accepted{Location: now.Answer.Address, Body: now.Answer}, nil
}

func repeated(old *postgres.Answer, now stored) (*accepted, error) {
	var before stored
	if err := json.Unmarshal(old.Body, &before); err != nil {
		return nil, fmt.Errorf("read the stored answer: %w", err)
	}
	if differs := before.differs(now); len(differs) > 0 {
		p := problem("idempotency", "")
		p.Message, p.Differs = before.Answer.ID, differs
		return nil, p
	}
	return &accepted{Location: before.Answer.Address, Replayed: "true", Body: before.Answer}, nil
}

// differs names what two requests have differently.
func (s stored) differs(o stored) (all []string) {
	if s.Hospital != o.Hospital {
		all = append(all, "path.hospital")
	}
	if s.Lane != o.Lane {
		all = append(all, "query.lane")
	}
	if s.Kind != o.Kind {
		return append(all, "path.kind")
	}
	return append(all, differing("", tree(s.Content), tree(o.Content))...)
}

func tree(content []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	_ = d.Decode(&v) // it was written by us
	return v
}

// differing lists the paths at which two JSON trees differ.
func differing(at string, a, b any) (all []string) {
	if x, ok := a.(map[string]any); ok {
		if y, ok := b.(map[string]any); ok {
			names := map[string]any{}
			maps.Copy(names, x)
			maps.Copy(names, y)
			for _, name := range slices.Sorted(maps.Keys(names)) {
				all = append(all, differing(join(at, name), x[name], y[name])...)
			}
			return all
		}
	}
	if x, ok := a.([]any); ok {
		if y, ok := b.([]any); ok && len(x) == len(y) {
			for i := range x {
				all = append(all, differing(fmt.Sprintf("%s[%d]", at, i), x[i], y[i])...)
			}
			return all
		}
	}
	if !reflect.DeepEqual(a, b) {
		return []string{at}
	}
	return nil
}
