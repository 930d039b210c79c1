package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/platform/clinic"
)

// clinicPlace is a hospital as the clinic knows it. One that is none is clinic.ErrNotFound;
// one that does not open now is an error, and nobody guesses what its HIS can.
func (h *hub) clinicPlace(ctx context.Context, id string) (clinic.Place, error) {
	d, err := h.dialect(ctx, id)
	if errors.Is(err, core.ErrUnknownHospital) {
		return clinic.Place{}, clinic.ErrNotFound
	} else if err != nil {
		return clinic.Place{}, err
	}
	return clinic.Place{ID: id, Name: d.Name, Zone: d.Zone, Can: func(k core.Kind) bool { return d.Operations[k] != nil }}, nil
}

// dialect of a hospital, to look at.
func (h *hub) dialect(ctx context.Context, id string) (*core.Dialect, error) {
	if h.looks != nil {
		return h.looks.of(ctx, id)
	}
	opened, err := h.hospitals.Hospital(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	return opened.Dialect, nil
}

// clinicPlaces are the hospitals that are active, by id. One that does not open now is left
// out: it can be told and asked nothing.
func (h *hub) clinicPlaces(ctx context.Context) ([]clinic.Place, error) {
	all, err := h.store.Hospitals(ctx)
	if err != nil {
		return nil, err
	}
	places := make([]clinic.Place, 0, len(all))
	for _, r := range all {
		p, err := h.clinicPlace(ctx, r.ID)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			h.log.Warn("the clinic leaves out a hospital", "hospital", r.ID, "error", err)
			continue
		}
		places = append(places, p)
	}
	return places, nil
}

// askHIS asks a hospital's HIS now.
func (h *hub) askHIS(ctx context.Context, hospital string, kind core.Kind, body core.Body) (any, error) {
	if h.apart != nil {
		answer, _, err := h.apart.ask(ctx, hospital, kind, body, true)
		return answer, clinicsWords(err)
	}
	answer, err := h.questions.Question(ctx, hospital, kind, body)
	return answer, clinicsWords(err)
}

// recentOfHIS asks it, unless it was asked the same just now.
func (h *hub) recentOfHIS(ctx context.Context, hospital string, kind core.Kind, body core.Body) (any, time.Time, error) {
	if h.apart != nil {
		answer, asOf, err := h.apart.ask(ctx, hospital, kind, body, false)
		return answer, asOf, clinicsWords(err)
	}
	text, asOf, err := h.questions.Fresh(ctx, hospital, kind, body)
	if err != nil {
		return nil, asOf, clinicsWords(err)
	}
	t, ok := core.Lookup(kind)
	if !ok || t.Answer == nil {
		return nil, asOf, core.ErrCannot
	}
	answer := t.Answer()
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, asOf, fmt.Errorf("read the answer to %s that was kept: %w", kind, err)
	}
	return answer, asOf, nil
}

// clinicsWords makes of what a question fails with what the clinic's modules know.
func clinicsWords(err error) error {
	var refused *delivery.Refusal
	switch {
	case errors.Is(err, core.ErrUnknownHospital):
		return clinic.ErrNotFound
	case errors.As(err, &refused):
		words := "the hospital's system refuses it"
		if refused.ShowPatient {
			words += ": " + strings.TrimSpace(refused.Words)
		}
		return fmt.Errorf("%w: %s", clinic.ErrState, words)
	}
	return err
}

// heardOf is what a HIS told us, while it is kept.
func (h *hub) heardOf(ctx context.Context, inbound int64) (core.Body, error) {
	_, body, err := h.store.InboundByID(ctx, inbound)
	if errors.Is(err, postgres.ErrNotFound) || err == nil && body == nil {
		return nil, clinic.ErrNotFound
	}
	return body, err
}
