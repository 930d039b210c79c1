package core

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A HIS, or a gateway before it, may ask for a day: no lane waits so long.
func TestRetryAfterOfAFaultIsBounded(t *testing.T) {
	h := NewHospital(&Dialect{Hospital: "h", Zone: time.UTC}, 1, map[string]Connector{"default": away{}}, nil, nil)
	if x := h.Ask(context.Background(), &Call{Name: "x", Connector: "default", Mapper: anything{}}, Input{}, nil); x.RetryAfter != maxRetryAfter {
		t.Errorf("the lane waits %s", x.RetryAfter)
	}
}

type away struct{}

func (away) Close() error { return nil }
func (away) Call(context.Context, Request) (Response, error) {
	return Response{}, &Fault{Class: Unavailable, Op: "x", Err: errors.New("503"), RetryAfter: 24 * time.Hour}
}

type anything struct{}

func (anything) Encode(Input) (Request, error)  { return Request{}, nil }
func (anything) Decode(Input, Response) Verdict { return Verdict{} }
