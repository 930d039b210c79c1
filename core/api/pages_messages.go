package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// search is the form of the list, and what it found.
type search struct {
	Hospital, Kind, State, Class, Number string
	Since, Until                         string // days
	Hospitals                            []Hospital
	Kinds                                []core.Kind
	States                               []delivery.State
	Classes                              []core.Class
	Found                                []Message
	Next                                 string // address of the next page
}

func (p *pages) messages(ctx context.Context, c Caller, r *http.Request) (any, error) {
	q := r.URL.Query()
	s := search{
		Hospital: q.Get("hospital"), Kind: q.Get("kind"), State: q.Get("state"), Class: q.Get("class"), Number: strings.TrimSpace(q.Get("number")),
		Since: q.Get("since"), Until: q.Get("until"),
		States:  []delivery.State{delivery.Queued, delivery.Sending, delivery.Delivered, delivery.Parked, delivery.Cancelled},
		Classes: []core.Class{core.Unavailable, core.InDoubt, core.Rejected, core.Invalid},
	}
	for _, t := range core.Catalogue {
		if t.Mode == core.Write {
			s.Kinds = append(s.Kinds, t.Kind)
		}
	}
	var err error
	if s.Hospitals, err = p.lights(ctx, c); err != nil {
		return nil, err
	}
	since, until, err := days(s.Since, s.Until)
	if err != nil {
		return nil, err
	}
	f, err := MessageFilter{
		Hospital: s.Hospital, Kind: core.Kind(s.Kind), State: delivery.State(s.State), Class: core.Class(s.Class), Number: s.Number, Since: since, Until: until,
	}.of(c)
	if err != nil {
		return nil, err
	}
	found, next, err := p.Store.List(ctx, f, q.Get("cursor"), 50)
	if err != nil {
		return nil, err
	}
	if s.Found, err = p.shownAll(ctx, c, found); err != nil {
		return nil, err
	}
	if next != "" {
		q.Set("cursor", next)
		s.Next = "?" + q.Encode()
	}
	return s, nil
}

// days are whole ones by this machine's clock, the last included; "" is no bound.
func days(first, last string) (since, until time.Time, err error) {
	if first != "" {
		since, err = time.ParseInLocation(time.DateOnly, first, time.Local)
	}
	if err == nil && last != "" {
		until, err = time.ParseInLocation(time.DateOnly, last, time.Local)
		until = until.AddDate(0, 0, 1)
	}
	if err != nil {
		return since, until, core.Problems{{Field: "day", What: "not a date like 2026-01-05"}}
	}
	return since, until, nil
}

// messageTrace is all that is known of one message.
type messageTrace struct {
	MessageDetail
	Body      string // canonical JSON, masked
	Exchanges []Exchange
	More      int // exchanges before those
	// Proposed is the correction that waits for a second person, if there is one.
	Proposed   *ProposalDetail
	Correction string // canonical JSON, masked
}

// exchangesShown is how many of the last exchanges a trace shows.
const exchangesShown = 10

func (p *pages) message(ctx context.Context, c Caller, r *http.Request) (any, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, problem("not-found", "")
	}
	t := messageTrace{}
	if t.MessageDetail, err = p.detail(ctx, c, id); err != nil {
		return nil, err
	}
	_, masked, err := p.maskedBody(ctx, id)
	if err != nil && !errors.Is(err, postgres.ErrNotFound) {
		return nil, err
	}
	t.Body = indented(masked)
	if len(t.Proposals) > 0 { // never more than one is open
		d, err := p.proposal(ctx, c, id, t.Proposals[0].ID)
		if err != nil {
			return nil, err
		}
		t.Proposed, t.Correction = &d, indented(d.Correction)
	}
	seen := map[int]bool{}
	for i := len(t.History) - 1; i >= 0; i-- {
		n := t.History[i].Number
		if seen[n] {
			continue
		}
		if len(seen) == exchangesShown {
			t.More = i + 1
			break
		}
		seen[n] = true
		all, err := p.wires(ctx, id, n, false)
		if err != nil && !errors.Is(err, postgres.ErrNotFound) {
			return nil, err
		}
		t.Exchanges = append(t.Exchanges, all...)
	}
	return t, nil
}
