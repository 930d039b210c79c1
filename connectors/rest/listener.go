package rest

import (
	"cmp"
	"errors"
	"fmt"

	"hishub/connectors/charset"
	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Listen makes a listener of its options, as core.Problems if they are wrong.
func Listen(spec core.ListenerSpec) (core.Listening, error) {
	s := option.New(spec.Options)
	l, text := wire.ReadListening(s)
	w := &listener{charset: text, contentType: s.Text("content_type", "application/json;charset="+text.Name())}
	l.Wire = w
	return l, s.Err()
}

// listener is core.Wire over plain HTTP: a call is "POST /path", a body text.
type listener struct {
	charset     *charset.Charset
	contentType string
}

// Read implements core.Wire.
func (l *listener) Read(q core.Incoming) (core.Arrival, error) {
	a := core.Arrival{Call: q.Method + " " + q.Path, Headers: q.Headers, Query: q.Query}
	text, err := l.charset.Decode(q.Body)
	if err != nil {
		return a, fmt.Errorf("read a request: %w", err)
	}
	if text != "" {
		a.Body = text
	}
	return a, nil
}

// Write implements core.Wire.
func (l *listener) Write(_ core.Arrival, r core.Reply) (core.Outgoing, error) {
	text, ok := core.Text(r.Body)
	if !ok {
		return core.Outgoing{}, errors.New("write a reply: it is no text; write reply: {$json: …} or $xml in the envelope's send")
	}
	body, err := l.charset.Encode(nil, text)
	if err != nil {
		return core.Outgoing{}, fmt.Errorf("write a reply: %w", err)
	}
	headers := append([]core.Field{{Name: "Content-Type", Value: l.contentType}}, r.Headers...)
	return core.Outgoing{Status: cmp.Or(r.Status, 200), Headers: headers, Body: body}, nil
}

// Refuse implements core.Wire.
func (l *listener) Refuse(status int, words string) core.Outgoing {
	return core.Outgoing{Status: status, Headers: []core.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}, Body: []byte(words + "\n")}
}

// Description implements core.Wire: there is none.
func (l *listener) Description(string) []byte { return nil }
