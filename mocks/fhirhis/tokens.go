package fhirhis

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"hishub/mocks/fault"
)

// tokens that were issued and until when they are good. A refresh token is good once.
type tokens struct {
	life time.Duration

	mu      sync.Mutex
	access  map[string]time.Time
	refresh map[string]bool
}

func (t *tokens) issue() resource {
	t.mu.Lock()
	defer t.mu.Unlock()
	access, refresh := newID(), newID()
	t.access[access], t.refresh[refresh] = time.Now().Add(t.life), true
	return resource{"access_token": access, "token_type": "bearer", "expires_in": int(t.life / time.Second), "refresh_token": refresh, "scope": "system/*.*"}
}

func newID() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

func (t *tokens) good(access string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.access[access])
}

func (t *tokens) renewable(refresh string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	good := t.refresh[refresh]
	delete(t.refresh, refresh)
	return good
}

func (t *tokens) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.access)
}

// token logs in by client credentials, or renews.
func (h *HIS) token(w http.ResponseWriter, r *http.Request) {
	wrong := r.ParseForm() != nil
	grant := r.PostForm.Get("grant_type")
	h.play(w, r, "token", grant, func(fault.Kind) reply {
		known := r.PostForm.Get("client_id") == h.options.Client
		switch {
		case wrong || !known:
		case grant == "client_credentials" && r.PostForm.Get("client_secret") == h.options.Secret,
			grant == "refresh_token" && h.tokens.renewable(r.PostForm.Get("refresh_token")):
			return reply{http.StatusOK, h.tokens.issue(), "done"}
		}
		return reply{http.StatusUnauthorized, resource{"error": "invalid_client", "error_description": "登录失败"}, "refused: login"}
	})
}
