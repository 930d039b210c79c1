package wechatpay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	sdk "github.com/wechatpay-apiv3/wechatpay-go/core"

	"hishub/connectors/wire"
	"hishub/core"
)

// wholeAnswers reads an answer to its end, within max_answer, before the SDK sees it:
// the SDK would read without a bound, and forget why reading failed.
type wholeAnswers struct{ way *wire.Transport }

// RoundTrip implements http.RoundTripper. Errors are *wire.Error.
func (w wholeAnswers) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := w.way.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	body, err := w.way.Body(r)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
}

// said is an answer that can be believed: it came whole and, if it decides
// anything, with the platform's signature.
type said struct {
	status int
	// code and message are WeChat's words when it refuses.
	code, message string
	body          []byte
}

// refused reports whether the platform understood and said no.
func (s said) refused() bool { return s.code != "" }

// ask sends one request; body is JSON, or empty for a GET. What WeChat refuses is
// no error. The error is a *core.Fault:
//   - Unavailable: nothing left; or WeChat turned it away unread (429);
//   - Invalid: it does not accept our signature, so that nothing can be asked at all;
//   - InDoubt: all else, among it an answer of 5xx ("SYSTEM_ERROR: use the same number
//     again") and one that is not signed by the platform.
func (c *Connector) ask(ctx context.Context, op, method, path string, body []byte) (core.Response, said, error) {
	r := core.Response{Sent: body}
	ctx, cancel := context.WithTimeout(ctx, c.way.Timeout)
	defer cancel()
	var result *sdk.APIResult
	var err error
	if method == http.MethodPost {
		result, err = c.client.Post(ctx, c.base+path, string(body))
	} else {
		result, err = c.client.Get(ctx, c.base+path)
	}
	if result == nil || result.Response == nil {
		var failure *wire.Error
		if err == nil || !errors.As(err, &failure) {
			return r, said{}, wire.Invalid(op, errors.New("the request cannot be signed"))
		}
		return r, said{}, wire.Fault(op, err)
	}
	answer := result.Response
	r.Status, r.Headers = strconv.Itoa(answer.StatusCode), wire.Headers(answer.Header)
	if r.Received, err = restored(answer); err != nil {
		return r, said{}, wire.InDoubt(op, errNotSigned)
	}
	// The SDK has verified a 2xx when it gave no error, and never verifies others.
	s := said{status: answer.StatusCode, body: r.Received}
	verified := answer.Header.Get("Wechatpay-Signature") != "" && c.validator.Validate(ctx, answer) == nil
	if s.status/100 == 2 {
		if !verified {
			return r, said{}, wire.InDoubt(op, errNotSigned)
		}
		return r, s, nil
	}
	return r, s, c.judge(op, &s, answer.Header, verified)
}

var errNotSigned = errors.New("the answer is not signed by the platform's key (are public_key and public_key_id, or platform_certificate, those of today, and is our clock right?)")

func restored(r *http.Response) ([]byte, error) {
	b, err := io.ReadAll(r.Body) // it is in memory already
	r.Body = io.NopCloser(bytes.NewReader(b))
	return b, err
}

// judge reads an answer that is not 2xx. nil: the platform said no, in words of its own.
func (c *Connector) judge(op string, s *said, header http.Header, verified bool) error {
	var words struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(s.body, &words) == nil {
		s.code, s.message = words.Code, words.Message
	}
	where := fmt.Errorf("WeChat answered HTTP %d %s", s.status, plainCode(s.code))
	fault := &core.Fault{Class: core.InDoubt, Op: op, Err: where, RetryAfter: wire.RetryAfter(header)}
	switch {
	case s.status == http.StatusTooManyRequests:
		fault.Class = core.Unavailable
	case s.status == http.StatusUnauthorized:
		fault.Class = core.Invalid
		fault.Err = fmt.Errorf("%w: it does not accept our signature; compare merchant, serial and key, and our clock", where)
	case s.status/100 != 4, s.code == "":
	case header.Get("Wechatpay-Signature") != "" && !verified:
		// A refusal without any signature is believed over TLS, since not all of them have one;
		// one with a false signature is somebody else's.
		fault.Err = errNotSigned
	default:
		return nil
	}
	return fault
}

// plainCode keeps only what a code is made of.
func plainCode(code string) string {
	for _, c := range code {
		if (c < 'A' || c > 'Z') && c != '_' && (c < '0' || c > '9') || len(code) > 64 {
			return "with a code that is none"
		}
	}
	return code
}
