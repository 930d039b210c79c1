package resthis

import (
	"encoding/json"
	"net/http"
	"sync"
)

// keys of a hospital that signs with one: what it takes, and what it answers with,
// which may change on another day. Empty: it signs without a key.
type keys struct {
	mu             sync.Mutex
	taken, answers string
}

func (k *keys) now() (taken, answers string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.taken, k.answers
}

// Rekey changes the key that requests must be signed with, and the one that
// answers are.
func (h *HIS) Rekey(taken, answers string) {
	h.keys.mu.Lock()
	defer h.keys.mu.Unlock()
	h.keys.taken, h.keys.answers = taken, answers
}

func (h *HIS) rekey(w http.ResponseWriter, r *http.Request) {
	var in struct{ Taken, Answers string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&in); err != nil {
		http.Error(w, `want {"taken": "…", "answers": "…"}`, http.StatusBadRequest)
		return
	}
	h.Rekey(in.Taken, in.Answers)
	w.WriteHeader(http.StatusNoContent)
}
