package alipay

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"hishub/connectors/wire"
	"hishub/core"
)

// recording is the way of one exchange: it keeps both bodies for the exchange
// log, and reads the answer within the bound, which the SDK does not.
type recording struct {
	way            *wire.Transport
	sent, received []byte
	status         string
	headers        core.Tree
}

// RoundTrip implements http.RoundTripper; errors are *wire.Error.
func (r *recording) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.GetBody != nil {
		body, err := q.GetBody()
		if err != nil {
			return nil, &wire.Error{Err: err}
		}
		if r.sent, err = io.ReadAll(body); err != nil {
			return nil, &wire.Error{Err: err}
		}
	}
	q.Header.Set("User-Agent", "hishub")
	answer, err := r.way.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	r.status, r.headers = strconv.Itoa(answer.StatusCode), wire.Headers(answer.Header)
	if r.received, err = r.way.Body(answer); err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(r.received))
	return answer, nil
}
