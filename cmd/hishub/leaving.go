package main

import (
	"encoding/json"
	"net/http"
	"time"
)

// leaving is how a process goes without anybody noticing. Told to stop, it says at
// /readyz that it is going and ends each connection with its next answer, but still
// answers everything for a while: until then those who share out requests send them
// elsewhere.
type leaving struct {
	linger time.Duration
	begun  chan struct{} // closed at the start of the stop
}

func (l *leaving) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-l.begun:
			w.Header().Set("Connection", "close")
			if r.URL.Path == "/readyz" {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusServiceUnavailable)
				_ = json.NewEncoder(w).Encode(map[string]string{"process": "stopping"})
				return
			}
		default:
		}
		next.ServeHTTP(w, r)
	})
}

// begin waits until nobody sends requests here any more, or the server failed.
func (l *leaving) begin(failed bool) {
	close(l.begun)
	if l.linger > 0 && !failed {
		time.Sleep(l.linger)
	}
}
