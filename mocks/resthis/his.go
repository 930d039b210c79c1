// Package resthis is the fake hospital 西湖: JSON over HTTP, signed headers and a
// login whose token expires.
package resthis

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

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
	Repeats   books.Repeats // books.Same
	Inquiry   string        // "truthful", or "none": the status questions are not there
	User      string        // "inet_hub"
	Password  string        // "xihu-test"
	TokenLife time.Duration // 30 minutes
	Key       string        // "": nothing is signed with a key, and answers are not signed
}

func (o Options) filled() (Options, error) {
	for _, f := range []struct {
		value    *string
		standard string
	}{
		{&o.Listen, "127.0.0.1:0"}, {&o.Control, "127.0.0.1:0"}, {&o.Inquiry, "truthful"},
		{&o.User, "inet_hub"}, {&o.Password, "xihu-test"},
	} {
		if *f.value == "" {
			*f.value = f.standard
		}
	}
	if o.Repeats == "" {
		o.Repeats = books.Same
	}
	if o.TokenLife == 0 {
		o.TokenLife = 30 * time.Minute
	}
	if err := o.Repeats.Check(); err != nil {
		return o, err
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, nil
}

// HIS is the running hospital.
type HIS struct {
	*control.Site
	options Options
	books   *books.Books
	tokens  *tokens
	script  *fault.Script
	keys    keys
}

// Start opens the hospital and its control port. It runs until Close; the
// context only bounds the start.
func Start(_ context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("resthis: %w", err)
	}
	h := &HIS{
		options: options,
		books:   books.New(options.Repeats),
		tokens:  newTokens(options.TokenLife),
		script:  fault.NewScript(options.Seed, fault.HTTPKinds),
		keys:    keys{taken: options.Key, answers: options.Key},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth", h.auth)
	mux.HandleFunc("POST /api/process", h.process)
	door, err := fault.OpenDoor(options.Listen, mux, h.script)
	if err != nil {
		return nil, fmt.Errorf("resthis: %w", err)
	}
	h.Site, err = control.Join(door, options.Control, h.books, h.script, map[string]http.HandlerFunc{
		"DELETE /tokens": func(w http.ResponseWriter, _ *http.Request) {
			h.tokens.expire()
			w.WriteHeader(http.StatusNoContent)
		},
		"PUT /key": h.rekey,
	})
	if err != nil {
		return nil, fmt.Errorf("resthis: %w", err)
	}
	return h, nil
}

// URL of the hospital, without a slash at its end.
func (h *HIS) URL() string { return "http://" + h.Addr() }

// Options it runs with, those that were empty filled in.
func (h *HIS) Options() Options { return h.options }

// play answers one request through the fault script; act gives the answer and
// the journal's word for what it did.
func (h *HIS) play(w http.ResponseWriter, r *http.Request, operation, key string, act func(fault.Kind) (reply, string)) {
	msgid := r.Header.Get("msgid")
	note := func(effect string, kind fault.Kind) { h.books.Note(operation, key, effect, string(kind)) }
	h.script.Play(w, r, fault.Exchange{
		Operation: operation, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			a, effect := act(kind)
			note(effect, kind)
			return h.answer(a, msgid)
		},
		Busy:   func() fault.Answer { return h.answer(reply{code: 9999, words: "系统忙"}, msgid) },
		Reject: func() fault.Answer { return h.answer(reply{code: 2001, words: fault.RejectWords}, msgid) },
		Crash: func() fault.Answer {
			return fault.Answer{Status: 500, Type: jsonType, Body: []byte(`{"error":"internal","message":"系统异常"}`)}
		},
		Recode: func(b []byte) []byte {
			recoded, err := simplifiedchinese.GB18030.NewEncoder().Bytes(b)
			if err != nil {
				return b
			}
			return recoded
		},
		Idle: fault.Idle(note),
	})
}
