// Package control is the second port of a fake hospital: its books, its faults
// and its health, out of reach of the faults themselves.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// Hospital is what the port controls.
type Hospital interface {
	Books(context.Context) (books.Export, error)
	Edit(context.Context, books.Edit) error
	Faults(context.Context) ([]fault.Rule, error)
	AddFaults(context.Context, []fault.Rule) error
	ClearFaults(context.Context) error
}

// Port is the open control port.
type Port struct {
	server *http.Server
	addr   string
}

// Open listens on addr. more holds further patterns of a hospital's own.
func Open(addr string, hospital Hospital, more map[string]http.HandlerFunc) (*Port, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /books", func(w http.ResponseWriter, r *http.Request) { reply(w)(hospital.Books(r.Context())) })
	mux.HandleFunc("POST /books/edit", func(w http.ResponseWriter, r *http.Request) {
		var edit books.Edit
		if err := read(r, &edit); err != nil {
			reply(w)(nil, err)
			return
		}
		reply(w)(map[string]bool{"ok": true}, hospital.Edit(r.Context(), edit))
	})
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, r *http.Request) { reply(w)(hospital.Faults(r.Context())) })
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		rules, err := readRules(r)
		if err == nil {
			err = hospital.AddFaults(r.Context(), rules)
		}
		if err != nil {
			reply(w)(nil, err)
			return
		}
		reply(w)(hospital.Faults(r.Context()))
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) {
		reply(w)([]fault.Rule{}, hospital.ClearFaults(r.Context()))
	})
	for pattern, handle := range more {
		mux.HandleFunc(pattern, handle)
	}
	p := &Port{server: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}, addr: listener.Addr().String()}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

// URL of the port, without a slash at its end.
func (p *Port) URL() string { return "http://" + p.addr }

func (p *Port) Close() error { return p.server.Close() }

func reply(w http.ResponseWriter) func(any, error) {
	return func(answer any, err error) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			answer = map[string]string{"error": err.Error()}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func read(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return decode(body, into)
}

func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields() // a rule with a typing error would silently never strike
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if decoder.More() {
		return errors.New("read body: more than one document")
	}
	return nil
}

// readRules takes one rule or a list of them.
func readRules(r *http.Request) ([]fault.Rule, error) {
	var raw json.RawMessage
	if err := read(r, &raw); err != nil {
		return nil, err
	}
	if len(raw) > 0 && raw[0] == '[' {
		var rules []fault.Rule
		return rules, decode(raw, &rules)
	}
	var rule fault.Rule
	if err := decode(raw, &rule); err != nil {
		return nil, err
	}
	return []fault.Rule{rule}, nil
}
