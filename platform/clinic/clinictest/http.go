package clinictest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hishub/platform/clinic"
)

// API is a module's endpoints, called by people who are signed in with their names.
type API struct {
	mux    *http.ServeMux
	people map[string]clinic.Person
	mu     sync.Mutex
	acts   []clinic.Act
}

// NewAPI registers a module's routes for these people.
func NewAPI(routes func(*clinic.API), people map[string]clinic.Person) *API {
	a := &API{mux: http.NewServeMux(), people: people}
	routes(&clinic.API{Huma: humago.New(a.mux, huma.DefaultConfig("t", "1")), People: a, Trail: a})
	return a
}

// Person implements clinic.People: a token is a name.
func (a *API) Person(_ context.Context, token string) (clinic.Person, error) {
	p, ok := a.people[token]
	if !ok {
		return p, clinic.ErrSignedOut
	}
	return p, nil
}

// Keep implements clinic.Trail.
func (a *API) Keep(_ context.Context, act clinic.Act) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acts = append(a.acts, act)
	return nil
}

// Acts that the audit was given so far.
func (a *API) Acts() []clinic.Act {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]clinic.Act(nil), a.acts...)
}

// Call makes a request as somebody and fails the test unless it is answered with that
// status. It reads the answer into out, unless that is nil, and returns its text.
func (a *API) Call(t *testing.T, as, method, path string, body, out any, status int) string {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, clinic.Prefix+path, bytes.NewReader(text))
	r.Header.Set("Authorization", "Bearer "+as)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	a.mux.ServeHTTP(rec, r)
	if rec.Code != status {
		t.Fatalf("%s %s as %s: %d, must be %d: %s", method, path, as, rec.Code, status, rec.Body)
	}
	if out != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
			t.Fatal(err)
		}
	}
	return rec.Body.String()
}
