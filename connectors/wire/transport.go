package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

var (
	errClosed = errors.New("the connector is closed")
	errPacked = errors.New("the answer is packed by gzip and cannot be unpacked")
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is shorter than that of the servers met (Apache and Node close
	// after 5 s), so that a request seldom meets a connection that is about to close.
	idleTimeout = 4 * time.Second
	// idleMost is no bound in practice: as many are idle as were in use at once, and
	// that is the hospital's own limit. With fewer, a busy one connects anew each time.
	idleMost = 1024
)

// Transport carries HTTP requests of one connector. Unlike http.Transport alone
// it never sends a request a second time once a byte of it left, whatever its
// method or headers say: the HIS may have acted. Its errors are *Error.
type Transport struct {
	Options
	http   *http.Transport
	closed atomic.Bool
}

// NewTransport opens nothing yet.
func NewTransport(o Options) *Transport {
	if o.TLS == nil {
		o.TLS = o.watched(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	t := &Transport{Options: o}
	t.http = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return o.Dial(ctx, dialTimeout, network, address)
		},
		OnProxyConnectResponse: refusedByProxy,
		TLSClientConfig:        o.TLS,
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConns:           idleMost,
		MaxIdleConnsPerHost:    idleMost,
		MaxConnsPerHost:        o.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // what comes packed all the same is unpacked within MaxAnswer
	}
	if o.Proxy != nil {
		t.http.Proxy = http.ProxyURL(o.Proxy)
	}
	return t
}

// errProxy says that the proxy did not let us through: the HIS knows nothing.
type errProxy struct{ status int }

func (e errProxy) Error() string {
	return fmt.Sprintf("the proxy refused the way with HTTP %d", e.status)
}

func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return errProxy{answer.StatusCode}
	}
	return nil
}

// Close lets go of idle connections; those in use follow when they are done.
func (t *Transport) Close() error {
	t.closed.Store(true)
	t.http.CloseIdleConnections()
	return nil
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(q *http.Request) (*http.Response, error) {
	if t.closed.Load() {
		return nil, &Error{Err: errClosed}
	}
	var j journey
	trace := &httptrace.ClientTrace{GotConn: j.got}
	r, err := t.http.RoundTrip(q.WithContext(httptrace.WithClientTrace(q.Context(), trace)))
	if err != nil {
		// After a redirect, q.Response is the answer of the server that was asked first.
		left := j.end() && !(j.first && RefusedHandshake(err)) || q.Response != nil
		if ctx := q.Context().Err(); ctx != nil {
			err = ctx
		}
		return nil, &Error{Left: left, Err: Plain(err)}
	}
	return r, nil
}

// journey is the way of one request over one or, when idle ones turn out to be
// closed, several connections.
type journey struct {
	conn  *Conn
	left  bool
	first bool // nothing went over the connection before
}

// got is called with each connection before anything is written to it.
// http.Transport tries another one also after bytes left (GET, or a header
// Idempotency-Key); that one is barred.
func (j *journey) got(info httptrace.GotConnInfo) {
	j.left = j.end()
	j.conn, j.first = Under(info.Conn), !info.Reused && !j.left
	j.conn.Begin(info.Reused, 0)
	if j.left {
		j.conn.Bar()
	}
}

func (j *journey) end() bool {
	return j.conn != nil && j.conn.Bar() || j.left
}

// Body reads the whole answer, up to MaxAnswer.
func (t *Transport) Body(r *http.Response) ([]byte, error) {
	defer r.Body.Close()
	if r.ContentLength > t.MaxAnswer {
		return nil, &Error{Left: true, Err: ErrTooLarge}
	}
	var b []byte
	var err error
	if r.ContentLength > 0 {
		b = make([]byte, r.ContentLength)
		var n int
		n, err = io.ReadFull(r.Body, b)
		b = b[:n]
		if err == nil {
			// Reading the end gives the connection back.
			_, err = r.Body.Read(make([]byte, 1))
			if err == io.EOF {
				err = nil
			}
		}
	} else {
		b, err = io.ReadAll(io.LimitReader(r.Body, t.MaxAnswer+1))
	}
	switch {
	case err != nil:
		if ctx := r.Request.Context().Err(); ctx != nil {
			err = ctx
		}
		return b, &Error{Left: true, Err: Plain(err)}
	case int64(len(b)) > t.MaxAnswer:
		return b[:t.MaxAnswer], &Error{Left: true, Err: ErrTooLarge}
	}
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") && bytes.HasPrefix(b, gzipMark) {
		return t.unpack(b)
	}
	return b, nil
}

var gzipMark = []byte{0x1f, 0x8b}

// unpack reads an answer that came packed, which we do not ask for.
func (t *Transport) unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return packed, &Error{Left: true, Err: errPacked}
	}
	b, err := io.ReadAll(io.LimitReader(z, t.MaxAnswer+1))
	switch {
	case err != nil:
		return packed, &Error{Left: true, Err: errPacked}
	case int64(len(b)) > t.MaxAnswer:
		return packed, &Error{Left: true, Err: ErrTooLarge}
	}
	return b, nil
}

// CheckField tells whether a header can be written at all.
func CheckField(name, value string) error {
	if name == "" || strings.ContainsFunc(name, notToken) {
		return errors.New("the header name is not one that HTTP allows")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errors.New("header " + name + ": a line break or control character cannot be sent")
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Expect", "Upgrade":
		return errors.New("header " + name + " is the transport's own")
	}
	return nil
}

func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}
