package core

import (
	"context"
	"testing"
	"time"
)

// dated answers as a web server does.
type dated struct{ headers Tree }

func (d dated) Call(context.Context, Request) (Response, error) {
	return Response{Status: "200", Headers: d.headers}, nil
}
func (dated) Close() error { return nil }

type silent struct{}

func (silent) Encode(Input) (Request, error)  { return Request{}, nil }
func (silent) Decode(Input, Response) Verdict { return Verdict{Outcome: OutcomeOK} }

// An exchange tells the clock in the head of its answer, and of no earlier one.
func TestDateOfAnExchange(t *testing.T) {
	const date = "Mon, 05 Jan 2026 08:30:00 GMT"
	for want, headers := range map[string]Tree{date: {{Name: "date", Value: date}}, "": nil} {
		h := NewHospital(&Dialect{Hospital: "h", Zone: time.UTC}, 1, map[string]Connector{"default": dated{headers}}, nil, nil)
		if x := h.Ask(t.Context(), &Call{Connector: "default", Mapper: silent{}}, Input{}, nil); x.Date != want || x.Verdict.Outcome != OutcomeOK {
			t.Errorf("date %q, want %q: %+v", x.Date, want, x.Verdict)
		}
	}
}
