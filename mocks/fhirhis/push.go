package fhirhis

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"hishub/mocks/books"
)

// Handed is what the pharmacy tells: a MedicationDispense for a prescription.
type Handed struct {
	No       string `json:"no"`       // the platform's number of the prescription
	Returned bool   `json:"returned"` // the drugs were taken back
	Bare     bool   `json:"bare"`     // the resource alone, not in a Bundle
	Token    string `json:"token"`    // instead of the hospital's
	Hub      string `json:"hub"`      // instead of the option's
}

// Told is how the platform answered.
type Told struct {
	Status int    `json:"status"`
	Code   string `json:"code"` // of the first issue
	Body   string `json:"body"`
	Error  string `json:"error,omitempty"`
}

// pushes goes out to the platform.
type pushes struct {
	his    *HIS
	client *http.Client
	ctx    context.Context // ends with the hospital
	close  context.CancelFunc

	mu  sync.Mutex
	hub string
}

func newPushes(h *HIS) *pushes {
	ctx, cancel := context.WithCancel(context.Background())
	return &pushes{his: h, client: &http.Client{Timeout: 30 * time.Second}, ctx: ctx, close: cancel, hub: h.options.Hub}
}

// SetHub tells where the platform listens, for those who know it only later.
func (h *HIS) SetHub(url string) {
	h.pushes.mu.Lock()
	defer h.pushes.mu.Unlock()
	h.pushes.hub = url
}

// Push hands drugs out, or takes them back, and tells the platform once.
func (h *HIS) Push(ctx context.Context, what Handed) (Told, error) {
	p := h.pushes
	p.mu.Lock()
	hub := cmp.Or(what.Hub, p.hub)
	p.mu.Unlock()
	if hub == "" {
		return Told{}, errors.New("push: say where the platform listens, as hub")
	}
	state, status := books.Dispensed, "completed"
	if what.Returned {
		state, status = books.Returned, "stopped"
	}
	if err := h.books.Edit(books.Edit{Prescription: what.No, State: state}); err != nil {
		return Told{}, err
	}
	rx, _ := h.books.Prescription(what.No)
	now := time.Now().In(books.Zone)
	body := resource{
		"resourceType": "MedicationDispense", "id": h.books.Number("D"), "status": status, "whenHandedOver": now.Format(time.RFC3339),
		"authorizingPrescription": []resource{{"reference": "MedicationRequest/" + rx.HisNo + "-1", "identifier": resource{"system": rxSystem, "value": rx.No}}},
		"performer":               []resource{{"actor": resource{"identifier": resource{"value": "Y009"}}}},
	}
	if !what.Bare {
		body = resource{"resourceType": "Bundle", "type": "history", "timestamp": now.Format(time.RFC3339),
			"entry": []resource{{"resource": resource{"resourceType": "Parameters", "id": "subscription-status"}}, {"resource": body}}}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	t := p.tell(ctx, hub, cmp.Or(what.Token, h.options.Token), body)
	h.books.Note("MedicationDispense", what.No, "told: "+cmp.Or(t.Code, "no answer"), "")
	return t, nil
}

func (p *pushes) tell(ctx context.Context, hub, token string, body resource) Told {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, hub, bytes.NewReader(reply{body: body}.answer().Body))
	if err != nil {
		return Told{Error: err.Error()}
	}
	q.Header.Set("Content-Type", fhirType)
	q.Header.Set("Authorization", "Bearer "+token)
	answered, err := p.client.Do(q)
	if err != nil {
		return Told{Error: err.Error()}
	}
	defer answered.Body.Close()
	t := Told{Status: answered.StatusCode}
	whole, err := io.ReadAll(io.LimitReader(answered.Body, 4<<20))
	if err != nil {
		t.Error = err.Error()
		return t
	}
	t.Body = string(whole)
	if outcome, ok := read(whole); ok {
		t.Code = text(outcome, "issue", "0", "code")
	}
	return t
}

// serve is POST /push of the control port.
func (p *pushes) serve(w http.ResponseWriter, r *http.Request) {
	var what Handed
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&what)
	var t Told
	if err == nil {
		t, err = p.his.Push(r.Context(), what)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
		return
	}
	_ = json.NewEncoder(w).Encode(t)
}
