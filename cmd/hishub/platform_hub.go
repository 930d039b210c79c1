package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/delivery"
)

// hubAPI asks HISs over the API of a hub, for a process that works no hospitals: their
// limits, and what their folders say of them, are kept where they are worked.
type hubAPI struct {
	base, key string
	client    *http.Client
}

func newHubAPI(base, key string) (*hubAPI, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, core.Problems{{Field: "--hub", What: "not an address as http://hub:8080"}}
	}
	if !strings.HasPrefix(key, "hk_") {
		return nil, core.Problems{{Field: "--hub-key", What: "not a key as hk_…; make one with hishub key new --name platform --role submitter"}}
	}
	return &hubAPI{base: u.String(), key: key, client: &http.Client{Timeout: 2 * time.Minute}}, nil
}

// mostAnswer bounds an answer: a whole list of a big hospital's drugs.
const mostAnswer = 64 << 20

// ask a HIS; now leaves no answer of before. Errors are those of delivery.Questions, as far
// as the API tells them: *delivery.Refusal, *core.Fault, core.Problems, core.ErrCannot,
// core.ErrUnknownHospital.
func (c *hubAPI) ask(ctx context.Context, hospital string, kind core.Kind, body core.Body, now bool) (any, time.Time, error) {
	t, ok := core.Lookup(kind)
	if !ok || t.Answer == nil {
		return nil, time.Time{}, core.ErrCannot
	}
	if err := body.Validate(); err != nil {
		return nil, time.Time{}, err
	}
	question, err := json.Marshal(body)
	if err != nil {
		return nil, time.Time{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/hospitals/"+url.PathEscape(hospital)+"/questions/"+string(kind)+"?now="+strconv.FormatBool(now), bytes.NewReader(question))
	if err != nil {
		return nil, time.Time{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.key)
	a, err := c.client.Do(r)
	if err != nil {
		return nil, time.Time{}, &core.Fault{Class: core.Unavailable, Op: string(kind), Err: fmt.Errorf("ask the hub: %w", withoutAddress(err))}
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, mostAnswer))
	if err != nil {
		return nil, time.Time{}, &core.Fault{Class: core.Unavailable, Op: string(kind), Err: errors.New("the hub's answer broke off")}
	}
	if a.StatusCode != http.StatusOK {
		return nil, time.Time{}, refusedByHub(kind, a, text)
	}
	var said struct {
		Answer json.RawMessage `json:"answer"`
		AsOf   time.Time       `json:"as_of"`
	}
	answer := t.Answer()
	if err = json.Unmarshal(text, &said); err == nil {
		err = json.Unmarshal(said.Answer, answer)
	}
	if err != nil {
		return nil, time.Time{}, &core.Fault{Class: core.Unavailable, Op: string(kind), Err: errors.New("the hub's answer cannot be read")}
	}
	return answer, said.AsOf, nil
}

// refusedByHub is the error that a problem of the hub stands for.
func refusedByHub(kind core.Kind, a *http.Response, text []byte) error {
	var p api.Problem
	_ = json.Unmarshal(text, &p)
	seconds, _ := strconv.Atoi(a.Header.Get("Retry-After"))
	fault := &core.Fault{Class: core.Unavailable, Op: string(kind), Err: fmt.Errorf("the hub answers %d %s", a.StatusCode, p.Title), RetryAfter: time.Duration(seconds) * time.Second}
	switch strings.TrimPrefix(p.Type, "/problems/") {
	case "his-refused":
		return &delivery.Refusal{Words: p.Words, ShowPatient: p.Words != ""}
	case "his-invalid":
		fault.Class = core.Invalid
	case "cannot":
		return core.ErrCannot
	case "not-found":
		return core.ErrUnknownHospital
	case "validation":
		if len(p.Errors) > 0 {
			return core.Problems(p.Errors)
		}
	}
	return fault
}

// withoutAddress is the cause of a failed request, which the client's error hides behind
// the whole address.
func withoutAddress(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
