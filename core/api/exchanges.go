package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// Exchange is what went over the wire in one attempt, for people to read.
type Exchange struct {
	Number   int             `json:"number"`
	At       time.Time       `json:"at"`
	Late     bool            `json:"late,omitempty"`
	Masked   bool            `json:"masked" doc:"what names the patient is hidden"`
	Body     json.RawMessage `json:"body,omitempty" doc:"the canonical content of the message"`
	Request  Wire            `json:"request"`
	Head     string          `json:"head,omitempty" doc:"status line and content type of an answer over HTTP that was more than a plain 200"`
	Response Wire            `json:"response"`
}

// Wire is one direction. The hospital's secrets are masked in any case.
type Wire struct {
	Bytes   int    `json:"bytes"`
	Charset string `json:"charset,omitempty" enum:"utf-8,gb18030" doc:"in which it could be read; missing when it is no text"`
	Text    string `json:"text,omitempty"`
	Base64  []byte `json:"base64,omitempty" doc:"of what is no text; only when nothing is masked"`
}

type exchangeOf struct {
	ID      int64  `path:"id" minimum:"1"`
	Number  int    `path:"n" minimum:"1" doc:"the attempt's number"`
	Purpose string `header:"Hishub-Purpose" maxLength:"200" doc:"why the patient must be seen: shows everything, and is recorded with the message"`
}

type exchangeList struct {
	Body struct {
		Exchanges []Exchange `json:"exchanges" doc:"one, and more where late attempts have the same number"`
	}
}

func (a *api) exchanges() {
	register(a, operation{
		id: "get-exchange", method: http.MethodGet, path: "/v1/messages/{id}/attempts/{n}/exchange", right: mayRead, tag: "Messages",
		title: "See what went over the wire",
		doc:   "Identity numbers, telephones and the patient's name are masked. With the header `Hishub-Purpose` operators see all of it, and that they did is recorded as a decision.",
	}, func(ctx context.Context, rq *request, in *exchangeOf) (*exchangeList, error) {
		m, _, err := a.message(ctx, rq.caller, in.ID)
		if err != nil {
			return nil, err
		}
		full := in.Purpose != ""
		if full {
			if !rq.caller.MayAt(mayUnmask, m.Hospital) {
				return nil, problem("forbidden", "the header Hishub-Purpose needs the right \"unmask\"")
			}
			// Recorded first: what was seen without a record cannot be unseen.
			if err := a.Store.Record(ctx, m.Hospital, m.ID, rq.who(), "unmask", in.Purpose); err != nil {
				return nil, err
			}
		}
		all, err := a.wires(ctx, in.ID, in.Number, full)
		out := &exchangeList{}
		out.Body.Exchanges = all
		return out, err
	})
}

func (a *api) wires(ctx context.Context, id int64, number int, full bool) ([]Exchange, error) {
	raw, err := a.Store.Exchange(ctx, id, number)
	if err != nil {
		return nil, err
	}
	body, err := a.Store.Body(ctx, id)
	if err != nil && !errors.Is(err, postgres.ErrNotFound) {
		return nil, err
	}
	all := make([]Exchange, 0, len(raw))
	for _, x := range raw {
		shown, err := showExchange(x, body, full)
		if err != nil {
			return nil, err
		}
		all = append(all, shown)
	}
	return all, nil
}

// showExchange writes an exchange for people; body is nil once it is past its
// retention.
func showExchange(x postgres.ExchangeBytes, body core.Body, full bool) (e Exchange, err error) {
	m := maskFor(body)
	e = Exchange{Number: x.Number, At: x.At, Late: x.Late, Masked: !full, Request: wire(x.Request, m, full), Head: x.Head, Response: wire(x.Response, m, full)}
	switch {
	case body == nil:
	case full:
		e.Body, err = json.Marshal(body)
	default:
		e.Body, err = maskBody(body)
	}
	return e, err
}

func wire(b []byte, m mask, full bool) Wire {
	w := Wire{Bytes: len(b)}
	w.Text, w.Charset = decode(b)
	switch {
	case !full:
		w.Text = m.text(w.Text)
	case w.Charset == "":
		w.Base64 = b
	}
	return w
}
