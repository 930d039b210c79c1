package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// health tells the outside whether this process is up, ready for work, and how
// it does. The texts of errors go to the log only: they may name addresses.
func (a *api) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "up", "version": a.Version})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		status, states := http.StatusOK, map[string]string{}
		for _, d := range a.Ready {
			err := d.Check(ctx)
			switch {
			case err == nil:
				states[d.Name] = "up"
				continue
			case d.Degraded:
				states[d.Name] = "degraded"
			default:
				states[d.Name], status = "down", http.StatusServiceUnavailable
			}
			requestOf(r.Context()).log.Warn("not ready", "dependency", d.Name, "error", err)
		}
		writeJSON(w, status, states)
	})
	if a.Metrics != nil {
		mux.Handle("GET /metrics", a.Metrics)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
