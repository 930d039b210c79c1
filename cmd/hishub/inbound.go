package main

import (
	"context"
	"fmt"
	"net/http"

	"hishub/core"
	"hishub/core/inbound"
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

// windowRefunds are decided by the clinic's payments.
func windowRefunds(s *pay.Service) inbound.Decider {
	return func(ctx context.Context, hospital string, body core.Body) (core.Resolution, error) {
		r, ok := body.(*core.WindowRefund)
		if !ok {
			return core.Resolution{}, fmt.Errorf("not a window refund: %T", body)
		}
		return s.WindowRefund(ctx, hospital, r)
	}
}
