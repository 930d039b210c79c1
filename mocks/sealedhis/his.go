// Package sealedhis is the fake hospital 永安: one address, JSON in JSON that is
// sealed with SM4 and signed with SM3, in the manner of the medical insurance's
// interfaces: a number for each transaction, infcode 0 or -1, amounts in fen. It
// also calls the platform, sealed the same way.
package sealedhis

import (
	"context"
	"encoding/hex"
	"errors"
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
	Listen  string        // "127.0.0.1:0"
	Control string        // "127.0.0.1:0"
	Latency time.Duration // how long each request takes to be served
	Seed    uint64
	Repeats books.Repeats // books.Refuse
	Inquiry string        // "truthful", or "none": the status questions are not there
	SealKey string        // SM4, 32 hex digits: "00112233445566778899aabbccddeeff"
	SignKey string        // "yongan-test"
	Hub     string        // where the platform listens
	PreLife time.Duration // how long a pre-settlement is good for: 15 minutes
}

func (o Options) filled() (Options, error) {
	for _, f := range []struct {
		value    *string
		standard string
	}{
		{&o.Listen, "127.0.0.1:0"}, {&o.Control, "127.0.0.1:0"}, {&o.Inquiry, "truthful"},
		{&o.SealKey, "00112233445566778899aabbccddeeff"}, {&o.SignKey, "yongan-test"},
	} {
		if *f.value == "" {
			*f.value = f.standard
		}
	}
	if o.Repeats == "" {
		o.Repeats = books.Refuse
	}
	if o.PreLife == 0 {
		o.PreLife = 15 * time.Minute
	}
	if key, err := hex.DecodeString(o.SealKey); err != nil || len(key) != 16 {
		return o, errors.New("the seal key is 32 hex digits")
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, o.Repeats.Check()
}

// HIS is the running hospital.
type HIS struct {
	*control.Site
	options Options
	seal    seal
	books   *books.Books
	begun   *begun
	pushes  *pushes
	script  *fault.Script
}

// Start opens the hospital and its control port. It runs until Close; the
// context only bounds the start.
func Start(_ context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("sealedhis: %w", err)
	}
	h := &HIS{
		options: options,
		seal:    newSeal(options.SealKey, options.SignKey),
		books:   books.New(options.Repeats),
		begun:   &begun{byNo: map[string]*preSettlement{}, byOrder: map[string]*preSettlement{}},
		script:  fault.NewScript(options.Seed, fault.HTTPKinds),
	}
	h.books.Admit(books.Known)
	h.pushes = newPushes(h)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /gateway", h.gateway)
	door, err := fault.OpenDoor(options.Listen, mux, h.script)
	if err != nil {
		return nil, fmt.Errorf("sealedhis: %w", err)
	}
	h.Site, err = control.Join(door, options.Control, h.books, h.script, map[string]http.HandlerFunc{"POST /push": h.pushes.serve})
	if err != nil {
		return nil, fmt.Errorf("sealedhis: %w", err)
	}
	return h, nil
}

// URL of the hospital, without a slash at its end.
func (h *HIS) URL() string { return "http://" + h.Addr() }

// Options it runs with, those that were empty filled in.
func (h *HIS) Options() Options { return h.options }

// Close cuts what is in flight, in both directions.
func (h *HIS) Close() error {
	h.pushes.close()
	return h.Site.Close()
}

// gateway is the one entrance for all business.
func (h *HIS) gateway(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	q, words := h.seal.open(body)
	work, known := works[q.infno]
	if words == "" && !known {
		words = "交易编号不存在"
	}
	key := ""
	if words == "" {
		key = work.key(&q.data)
	}
	note := func(effect string, kind fault.Kind) { h.books.Note(q.infno, key, effect, string(kind)) }
	wire := func(a answer) fault.Answer { return h.seal.answer(q, a) }
	h.script.Play(w, r, fault.Exchange{
		Operation: q.infno, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			a := refuse(words)
			switch {
			case words != "":
			case work.inquiry && h.options.Inquiry == "none":
				a = refuse("未开通")
			default:
				a = work.act(h, &q.data, kind)
			}
			note(a.effect, kind)
			return wire(a)
		},
		Busy:   func() fault.Answer { return wire(answer{words: "[9999]系统繁忙，请稍后再试"}) },
		Reject: func() fault.Answer { return wire(refuse(fault.RejectWords)) },
		Crash: func() fault.Answer {
			return fault.Answer{Status: 500, Type: jsonType, Body: []byte(`{"timestamp":"2026-01-05T10:00:00","status":500,"error":"Internal Server Error"}`)}
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
