// Package rest carries text over HTTP: a method, a path, headers, a query and a
// body that the folder wrote. Only forms it writes by itself, of a document.
package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-resty/resty/v2"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Connector is one HTTP entrance.
type Connector struct {
	way    *wire.Transport
	client *resty.Client
	base   *url.URL
	// knownAs is how the HIS names its base in the links that it gives, where that is
	// another address than ours; nil where it is not.
	knownAs     *url.URL
	contentType string
}

const mostRedirects = 5

// Open reads the options; it touches no network. Errors are core.Problems.
func Open(spec core.ConnectorSpec) (core.Connector, error) {
	s := option.New(spec.Options)
	c := &Connector{base: readBase("base", s.Needed("base"), s)}
	c.knownAs = readBase("known_as", s.Text("known_as", ""), s)
	c.contentType = s.Text("content_type", "")
	follow := s.Bool("follow", false)
	options := wire.ReadOptions(s, spec)
	options.ReadHTTP(s)
	if err := s.Err(); err != nil {
		return nil, err
	}
	if c.contentType == "" {
		c.contentType = "application/json; charset=" + strings.ToLower(options.Charset.Name())
	}
	c.way = wire.NewTransport(options)
	c.client = resty.NewWithClient(&http.Client{Transport: c.way, CheckRedirect: redirect(follow)}).
		SetLogger(silence{}).
		SetRetryCount(0).
		SetAllowGetMethodPayload(true)
	return c, nil
}

func readBase(name, text string, s *option.Set) *url.URL {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		s.Problem(name, "not an address like http://host:port/path, without a query")
		return nil
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawPath = strings.TrimSuffix(u.RawPath, "/")
	return u
}

// redirect follows within the same host only: the headers carry our signature
// and token, which are nobody else's business.
func redirect(follow bool) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		if !follow || next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme || len(via) > mostRedirects {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

// silence is resty's log: it would write addresses with their secrets.
type silence struct{}

func (silence) Errorf(string, ...any) {}
func (silence) Warnf(string, ...any)  {}
func (silence) Debugf(string, ...any) {}

// Close implements core.Connector.
func (c *Connector) Close() error { return c.way.Close() }

// Call implements core.Connector.
func (c *Connector) Call(ctx context.Context, q core.Request) (core.Response, error) {
	op := "rest " + plainOperation(q.Operation)
	m, err := c.write(q)
	if err != nil {
		return core.Response{}, wire.Invalid(op, err)
	}
	r := core.Response{Sent: m.body}
	ctx, cancel := context.WithTimeout(ctx, c.way.Timeout)
	defer cancel()
	// Without an Accept, resty would make one of the content type.
	request := c.client.R().SetContext(ctx).SetDoNotParseResponse(true).SetHeader("User-Agent", "hishub").SetHeader("Accept", "*/*")
	for _, h := range m.headers {
		text, _ := core.Text(h.Value)
		request.Header.Del(h.Name)
		request.SetHeaderVerbatim(h.Name, text)
	}
	if len(m.body) > 0 {
		request.SetBody(m.body)
	}
	answer, err := request.Execute(m.method, m.url.String())
	if err != nil {
		return r, wire.Fault(op, err)
	}
	raw := answer.RawResponse
	r.Status = strconv.Itoa(raw.StatusCode)
	r.Headers = wire.Headers(raw.Header)
	if r.Received, err = c.way.Body(raw); err != nil {
		return r, wire.Fault(op, err)
	}
	if err := c.read(&r); err != nil {
		f := wire.InDoubt(op, err)
		f.RetryAfter = wire.RetryAfter(raw.Header)
		return r, f
	}
	return r, nil
}

// message is a request ready for the wire.
type message struct {
	method  string
	url     *url.URL
	headers []core.Field
	body    []byte
}

var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

func (c *Connector) write(q core.Request) (*message, error) {
	method, path, _ := strings.Cut(q.Operation, " ")
	path, err := c.within(path)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(methods, method) || !strings.HasPrefix(path, "/") {
		return nil, errors.New(`call is a method and a path, like "POST /api/process"`)
	}
	m := &message{method: method}
	if m.url, err = c.address(path, q.Query); err != nil {
		return nil, err
	}
	contentType := c.contentType
	for _, h := range q.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			contentType, _ = core.Text(h.Value)
		}
	}
	if m.body, contentType, err = write(c.way.Charset, q.Body, contentType); err != nil {
		return nil, err
	}
	if len(m.body) > 0 {
		if method == "HEAD" || method == "OPTIONS" {
			return nil, fmt.Errorf("%s has no body", method)
		}
		m.headers = append(m.headers, core.Field{Name: "Content-Type", Value: contentType})
	}
	for _, h := range q.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			h.Name = "Content-Type" // resty would not find it, and add one of its own
			if len(m.body) > 0 {
				h.Value = contentType // a boundary may have come to it
			}
		}
		if err := m.set(h); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (c *Connector) address(path string, query []core.Field) (*url.URL, error) {
	// A path with a colon in its first part would read as a scheme: it begins with /.
	relative, err := url.Parse(path)
	if err != nil || relative.Host != "" || relative.Fragment != "" {
		return nil, errors.New("the path is not one that a URL can have")
	}
	u := *c.base
	u.Path = c.base.Path + relative.Path
	u.RawPath = ""
	if c.base.RawPath != "" || relative.RawPath != "" {
		u.RawPath = c.base.EscapedPath() + relative.EscapedPath()
	}
	u.RawQuery = relative.RawQuery
	if len(query) > 0 {
		text, err := wire.Query(c.way.Charset, query)
		if err != nil {
			return nil, err
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += text
	}
	return &u, nil
}

func (m *message) set(h core.Field) error {
	value, ok := core.Text(h.Value)
	if !ok {
		return fmt.Errorf("header %s is not text", h.Name)
	}
	if err := wire.CheckField(h.Name, value); err != nil {
		return err
	}
	for i := range m.headers {
		if strings.EqualFold(m.headers[i].Name, h.Name) {
			m.headers[i] = core.Field{Name: h.Name, Value: value}
			return nil
		}
	}
	m.headers = append(m.headers, core.Field{Name: h.Name, Value: value})
	return nil
}

func (c *Connector) read(r *core.Response) error {
	if len(r.Received) == 0 {
		return nil
	}
	text, err := c.way.Charset.Decode(r.Received)
	if err != nil {
		return fmt.Errorf("HTTP %s: %w", r.Status, err)
	}
	r.Body = text
	return nil
}

// plainOperation leaves out a query, which may hold a key, and what a HIS gave as a link.
func plainOperation(operation string) string {
	operation, _, _ = strings.Cut(operation, "?")
	if method, path, _ := strings.Cut(operation, " "); !strings.HasPrefix(path, "/") {
		return method + " a link"
	}
	return operation
}

// Write implements core.Offline.
func (c *Connector) Write(q core.Request) ([]byte, error) {
	m, err := c.write(q)
	if err != nil {
		return nil, wire.Invalid("rest "+plainOperation(q.Operation), err)
	}
	return append(wire.Head(m.method, m.url.RequestURI(), m.headers), m.body...), nil
}

// Read implements core.Offline.
func (c *Connector) Read(q core.Request, answer []byte) (core.Response, error) {
	op := "rest " + plainOperation(q.Operation)
	recorded, err := wire.ReadRecorded(answer)
	if err != nil {
		return core.Response{}, wire.InDoubt(op, err)
	}
	r := core.Response{Status: strconv.Itoa(recorded.Status), Headers: recorded.Headers, Received: recorded.Body}
	if err := c.read(&r); err != nil {
		return r, wire.InDoubt(op, err)
	}
	return r, nil
}
