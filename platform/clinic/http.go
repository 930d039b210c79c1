package clinic

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
)

// Answer turns an error of a module into the API's problem; what a caller cannot
// mend stays as it is and becomes a 500 that tells nothing.
func Answer(err error) error {
	var ps core.Problems
	var conflict *core.Conflict
	var fault *core.Fault
	var many *TooMany
	var changed interface {
		error
		Changed() core.AmountChange
	}
	switch {
	case errors.As(err, &ps):
		details := make([]error, len(ps))
		for i, p := range ps {
			details[i] = detail(p)
		}
		return huma.NewError(http.StatusUnprocessableEntity, "the request has mistakes", details...)
	case errors.As(err, &conflict):
		return huma.NewError(http.StatusConflict, conflict.Error())
	case errors.As(err, &changed):
		return huma.NewError(http.StatusConflict, changed.Error(), change(changed.Changed()))
	case errors.Is(err, ErrNotFound):
		return huma.NewError(http.StatusNotFound, ErrNotFound.Error())
	case errors.Is(err, ErrState):
		return huma.NewError(http.StatusConflict, err.Error())
	case errors.Is(err, ErrRule):
		return huma.NewError(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, ErrNoService):
		return huma.NewError(http.StatusServiceUnavailable, err.Error())
	case errors.As(err, &many):
		after := http.Header{"Retry-After": {strconv.Itoa(int(max(1, (many.After+time.Second-1)/time.Second)))}}
		return huma.ErrorWithHeaders(huma.NewError(http.StatusTooManyRequests, many.What), after)
	}
	if errors.As(err, &fault) || errors.Is(err, core.ErrCannot) {
		return huma.NewError(http.StatusServiceUnavailable, "the hospital's own system does not answer this now")
	}
	return err
}

// detail is a problem in a module's own words, which quote nothing; the API says them as
// they are.
type detail core.Problem

// Error implements error.
func (d detail) Error() string { return d.What }

// Problem is what the API shows.
func (d detail) Problem() core.Problem { return core.Problem(d) }

// change is what is not as the caller saw it: the API says it beside the words.
type change core.AmountChange

// Error implements error.
func (c change) Error() string { return c.Field + " changed" }

// Changed is what the API shows.
func (c change) Changed() core.AmountChange { return core.AmountChange(c) }

// Hospital is the path parameter that every endpoint has.
type Hospital struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
}

// Out is an answer with a body.
type Out[T any] struct{ Body T }

// Reply makes an endpoint's answer.
func Reply[T any](v T, err error) (*Out[T], error) {
	if err != nil {
		return nil, Answer(err)
	}
	return &Out[T]{v}, nil
}
