package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// mostAnswer is how long an answer may be.
const mostAnswer = 1 << 20

// bounded reads answers whole, up to mostAnswer, before the SDK sees them: it would read
// without a bound.
type bounded struct{ way http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := b.way.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, mostAnswer+1))
	if err == nil && len(body) > mostAnswer {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
}

// answer is what WeChat said and signed: doubt is "" and either code is its refusal, or the
// body was read.
type answer struct {
	status        int
	code, message string
	doubt         string // why nothing of it can be believed
}

func (a answer) words() string {
	if a.doubt != "" {
		return a.doubt
	}
	return a.code
}

// ask sends one request. What cannot be believed, a 5xx among it ("SYSTEM_ERROR: ask
// again"), is a doubt; into is filled only from an answer of 2xx that the platform signed.
func (c *Channel) ask(ctx context.Context, method, path string, body, into any) answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	result, err := c.client.Request(ctx, method, c.base+path, nil, nil, body, "application/json")
	if result == nil || result.Response == nil {
		if ctx.Err() != nil {
			return answer{doubt: "WeChat did not answer in time"}
		}
		return answer{doubt: fmt.Sprintf("WeChat was not reached, or did not answer: %s", plain(err))}
	}
	r := result.Response
	text, _ := io.ReadAll(r.Body) // it is in memory already
	r.Body = io.NopCloser(bytes.NewReader(text))
	a := answer{status: r.StatusCode}
	if a.status/100 == 2 {
		switch {
		case c.validator.Validate(ctx, r) != nil:
			a.doubt = "an answer is not signed by WeChat's key of today"
		case a.status == http.StatusNoContent || into == nil:
		case json.Unmarshal(text, into) != nil:
			a.doubt = "an answer is not the document that was asked for"
		}
		return a
	}
	var said struct{ Code, Message string }
	_ = json.Unmarshal(text, &said)
	a.code, a.message = code(said.Code), said.Message
	switch {
	case a.status/100 != 4 || a.code == "":
		a.doubt = fmt.Sprintf("WeChat answered HTTP %d %s", a.status, a.code)
	case r.Header.Get("Wechatpay-Signature") != "" && !c.signed(ctx, r, text):
		// Not every refusal carries a signature; one with a false one is somebody else's.
		a.doubt = "an answer is not signed by WeChat's key of today"
	}
	return a
}

func (c *Channel) signed(ctx context.Context, r *http.Response, text []byte) bool {
	r.Body = io.NopCloser(bytes.NewReader(text))
	return c.validator.Validate(ctx, r) == nil
}

// code keeps only what a code of theirs is made of.
func code(text string) string {
	if len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '_' && (r < '0' || r > '9') }) {
		return ""
	}
	return text
}

// plain is an error of the way without what was sent.
func plain(err error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		err = e
	}
	text := fmt.Sprint(err)
	if strings.ContainsAny(text, "\n{") || len(text) > 120 {
		return "the request failed"
	}
	return text
}
