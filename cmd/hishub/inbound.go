package main

import (
	"context"
	"fmt"
	"net/http"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/platform/pay"
)

// withInbound serves HIS beside the API, at addresses of their own.
func (h *hub) withInbound(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/his/", h.tracing.inbound(h.inboundServer().Handler()))
	mux.Handle("/", h.withClinic(api))
	return mux
}

// withClinic serves the clinic's addresses that are no operations beside the API.
func (h *hub) withClinic(api http.Handler) http.Handler {
	if h.clinic == nil {
		return api
	}
	mux := http.NewServeMux()
	h.clinic.beside(mux)
	mux.Handle("/", api)
	return mux
}

// windowRefunds are decided by the clinic, if it took the payment or nobody did, else by
// the platform that handed it in.
func windowRefunds(s *pay.Service, store *postgres.Store) inbound.Decider {
	return func(ctx context.Context, hospital string, body core.Body) (core.Resolution, error) {
		r, ok := body.(*core.WindowRefund)
		if !ok {
			return core.Resolution{}, fmt.Errorf("not a window refund: %T", body)
		}
		mine, err := s.Takes(ctx, hospital, r)
		if err != nil {
			return core.Resolution{}, err
		}
		if !mine {
			switch told, err := store.TellsOf(ctx, hospital, r); {
			case err != nil:
				return core.Resolution{}, err
			case told:
				return core.Resolution{}, inbound.ErrElsewhere
			}
		}
		return s.WindowRefund(ctx, hospital, r)
	}
}
