// Package fhirhis is the fake hospital 星光: a FHIR R4 server with transactions,
// conditional creates, searches in pages and OperationOutcomes, behind a login of
// OAuth's kind. It also tells the platform what its pharmacy handed out.
package fhirhis

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/control"
	"hishub/mocks/fault"
)

// Options of the hospital; the zero value is its original behaviour on free ports.
type Options struct {
	Listen    string        // "127.0.0.1:0"
	Control   string        // "127.0.0.1:0"
	Latency   time.Duration // how long each request takes to be served
	Seed      uint64
	Repeats   books.Repeats // books.Refuse: a conditional create gives what is there, whatever was sent
	Inquiry   string        // "truthful", or "none": searches by our numbers are not there
	Client    string        // "inet_hub"
	Secret    string        // "xingguang-test"
	TokenLife time.Duration // 30 minutes
	PageSize  int           // most entries of a page: 50
	// Links is the address that links to further pages begin with, as a server behind
	// a proxy has another; "": that of the request.
	Links string
	Hub   string // where the platform listens
	Token string // the bearer token of what is told there: "xingguang-notice"
}

func (o Options) filled() (Options, error) {
	for _, f := range []struct {
		value    *string
		standard string
	}{
		{&o.Listen, "127.0.0.1:0"}, {&o.Control, "127.0.0.1:0"}, {&o.Inquiry, "truthful"},
		{&o.Client, "inet_hub"}, {&o.Secret, "xingguang-test"}, {&o.Token, "xingguang-notice"},
	} {
		if *f.value == "" {
			*f.value = f.standard
		}
	}
	if o.Repeats == "" {
		o.Repeats = books.Refuse
	}
	if o.TokenLife == 0 {
		o.TokenLife = 30 * time.Minute
	}
	if o.PageSize == 0 {
		o.PageSize = 50
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, o.Repeats.Check()
}

// HIS is the running server.
type HIS struct {
	*control.Site
	options Options
	books   *books.Books
	tokens  *tokens
	pages   *pages
	pushes  *pushes
	script  *fault.Script
}

// Start opens the server and its control port. It runs until Close; the context
// only bounds the start.
func Start(_ context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("fhirhis: %w", err)
	}
	h := &HIS{
		options: options,
		books:   books.New(options.Repeats),
		tokens:  &tokens{life: options.TokenLife, access: map[string]time.Time{}, refresh: map[string]bool{}},
		pages:   &pages{results: map[string][]resource{}},
		script:  fault.NewScript(options.Seed, fault.HTTPKinds),
	}
	h.books.Admit(books.Known)
	h.pushes = newPushes(h)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", h.token)
	mux.HandleFunc("POST /fhir", h.bundle)
	mux.HandleFunc("POST /fhir/Patient", h.createPatient)
	mux.HandleFunc("GET /fhir", h.page)
	mux.HandleFunc("GET /fhir/{$}", h.page)
	mux.HandleFunc("GET /fhir/{type}", h.search)
	door, err := fault.OpenDoor(options.Listen, mux, h.script)
	if err != nil {
		return nil, fmt.Errorf("fhirhis: %w", err)
	}
	h.Site, err = control.Join(door, options.Control, h.books, h.script, map[string]http.HandlerFunc{
		"POST /push": h.pushes.serve,
		"DELETE /tokens": func(w http.ResponseWriter, _ *http.Request) {
			h.tokens.expire()
			w.WriteHeader(http.StatusNoContent)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("fhirhis: %w", err)
	}
	return h, nil
}

// URL of the server, without /fhir and without a slash at its end.
func (h *HIS) URL() string { return "http://" + h.Addr() }

// Options it runs with, those that were empty filled in.
func (h *HIS) Options() Options { return h.options }

// ExpireTokens ends all access tokens; refresh tokens stay.
func (h *HIS) ExpireTokens() { h.tokens.expire() }

// Close cuts what is in flight, in both directions.
func (h *HIS) Close() error {
	h.pushes.close()
	return h.Site.Close()
}
