// Package soap carries SOAP 1.1 calls, document/literal wrapped. Parameters
// stand in the order of the WSDL, whatever order the folder gives them in.
package soap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Connector is one SOAP entrance.
type Connector struct {
	way      *wire.Transport
	endpoint *url.URL
	style    style
	header   string // written once, the same in every envelope
	unquoted bool
	unwrap   bool
	contract *contract // nil without a WSDL
}

// described is a Connector with a WSDL: only that one can describe.
type described struct{ *Connector }

// Open reads the options and the WSDL of the folder; it touches no network.
// Errors are core.Problems.
func Open(spec core.ConnectorSpec) (core.Connector, error) {
	s := option.New(spec.Options)
	c := &Connector{}
	c.endpoint = readEndpoint(s)
	file := s.Text("wsdl", "")
	s.OneOf("version", "1.1")
	c.style.namespace = s.Text("namespace", "")
	c.style.prefix = s.Text("prefix", "")
	c.style.qualified = s.Bool("qualified", true)
	c.unquoted = s.OneOf("action", "quoted", "unquoted") == "unquoted"
	c.unwrap = s.Bool("unwrap", true)
	options := wire.ReadOptions(s, spec.Files)
	options.ReadCharset(s)

	if c.style.prefix != "" && (!isName(c.style.prefix) || c.style.prefix == envelopePrefix) {
		s.Problem("prefix", "not a name, or the one that the envelope has")
	}
	var err error
	if c.header, err = writeHeader(s.Value("header")); err != nil {
		s.Problem("header", err.Error())
	}
	switch {
	case file == "" && c.style.namespace == "":
		s.Problem("namespace", "missing; it is needed where there is no wsdl")
	case file == "" && !c.style.qualified && c.style.prefix == "":
		// With a default namespace every parameter would need xmlns="".
		c.style.prefix = "m"
	case file != "":
		if _, ok := spec.Options["qualified"]; ok {
			s.Problem("qualified", "leave it out: the wsdl decides")
		}
		if spec.Files == nil {
			s.Problem("wsdl", "names a file, but there is no folder")
		} else if c.contract, err = readContract(spec.Files, file); err != nil {
			s.Problem("wsdl", err.Error())
		} else if ns := c.style.namespace; ns != "" && !c.contract.uses(ns) {
			s.Problem("namespace", "no operation of the wsdl has it; leave it out")
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	c.way = wire.NewTransport(options)
	if c.contract != nil {
		return described{c}, nil
	}
	return c, nil
}

func readEndpoint(s *option.Set) *url.URL {
	text := s.Needed("endpoint")
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// The text may hold credentials, so it is not repeated.
		s.Problem("endpoint", "not an address like http://host:port/path")
		return nil
	}
	return u
}

// Close implements core.Connector.
func (c *Connector) Close() error { return c.way.Close() }

// Call implements core.Connector.
func (c *Connector) Call(ctx context.Context, q core.Request) (core.Response, error) {
	op := "soap " + q.Operation
	m, err := c.write(q)
	if err != nil {
		return core.Response{}, wire.Invalid(op, err)
	}
	r := core.Response{Sent: m.body}
	ctx, cancel := context.WithTimeout(ctx, c.way.Timeout)
	defer cancel()
	answer, err := c.way.RoundTrip(m.request(ctx))
	if err != nil {
		return r, wire.Fault(op, err)
	}
	r.Status = strconv.Itoa(answer.StatusCode)
	r.Headers = wire.Headers(answer.Header)
	r.Received, err = c.way.Body(answer)
	if err != nil {
		return r, wire.Fault(op, err)
	}
	if err := c.read(&r); err != nil {
		f := wire.InDoubt(op, err)
		f.RetryAfter = wire.RetryAfter(answer.Header)
		return r, f
	}
	return r, nil
}

// message is a request ready for the wire.
type message struct {
	url     *url.URL
	headers []core.Field
	body    []byte
}

func (m *message) request(ctx context.Context) *http.Request {
	q := &http.Request{
		Method: http.MethodPost, URL: m.url, Host: m.url.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, len(m.headers)+2), ContentLength: int64(len(m.body)),
	}
	// Not Header.Set: some HIS know SOAPAction in this spelling only.
	for _, h := range m.headers {
		text, _ := core.Text(h.Value)
		q.Header[h.Name] = append(q.Header[h.Name], text)
	}
	q.Header["User-Agent"] = []string{"hishub"}
	if user := m.url.User; user != nil && !m.has("Authorization") {
		password, _ := user.Password()
		q.SetBasicAuth(user.Username(), password)
	}
	q.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.body)), nil }
	q.Body, _ = q.GetBody()
	return q.WithContext(ctx)
}

func (c *Connector) write(q core.Request) (*message, error) {
	m := &message{url: c.endpoint}
	action, wrapper, err := c.resolve(q.Operation)
	if err != nil {
		return nil, err
	}
	if !c.unquoted {
		action = `"` + action + `"`
	}
	m.headers = []core.Field{
		{Name: "Content-Type", Value: "text/xml; charset=" + c.way.Charset.Name()},
		{Name: "SOAPAction", Value: action},
	}
	for _, h := range q.Headers {
		if err := m.set(h); err != nil {
			return nil, err
		}
	}
	if len(q.Query) > 0 {
		if m.url, err = c.withQuery(q.Query); err != nil {
			return nil, err
		}
	}
	w := writer{style: c.style}
	w.begin(c.way.Charset.Name(), c.header)
	if err := w.call(q.Operation, wrapper, q.Body); err != nil {
		return nil, err
	}
	w.end()
	m.body, err = c.way.Charset.Encode(nil, string(w.b))
	return m, err
}

// resolve finds the action and, with a WSDL, the element that wraps the parameters.
func (c *Connector) resolve(operation string) (action string, wrapper *element, err error) {
	if c.contract != nil {
		o, err := c.contract.find(operation)
		if err != nil {
			return "", nil, err
		}
		return o.action, o.input, nil
	}
	if !isName(operation) {
		return "", nil, errors.New("the operation is not a name that XML allows")
	}
	return strings.TrimSuffix(c.style.namespace, "/") + "/" + operation, nil, nil
}

func (m *message) has(name string) bool {
	return slices.ContainsFunc(m.headers, func(h core.Field) bool { return strings.EqualFold(h.Name, name) })
}

// set adds a header of the request, in the place of our own of that name.
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

func (c *Connector) withQuery(query []core.Field) (*url.URL, error) {
	text, err := wire.Query(c.way.Charset, query)
	if err != nil {
		return nil, err
	}
	u := *c.endpoint
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += text
	return &u, nil
}

// read opens the envelope in r.Received.
func (c *Connector) read(r *core.Response) error {
	text, err := c.way.Charset.Decode(r.Received)
	if err != nil {
		return err
	}
	name, content, err := readEnvelope(text)
	switch {
	case err != nil:
		return fmt.Errorf("HTTP %s without a SOAP envelope: %w", r.Status, err)
	case name == "Fault":
		r.Error, r.Body = "fault", content
	default:
		r.Body = c.result(content)
	}
	return nil
}

// result takes the children of the answer's wrapper; a lone text may stand for
// them. Attributes say nothing here: some stacks put types and styles there.
func (c *Connector) result(content core.Value) core.Value {
	t, ok := content.(core.Tree)
	if !ok {
		return content
	}
	children := slices.DeleteFunc(t, func(f core.Field) bool { return strings.HasPrefix(f.Name, ".") })
	if c.unwrap && len(children) == 1 {
		if text, ok := core.Text(children[0].Value); ok {
			return orNil(text)
		}
	}
	return children
}

// Describe implements core.Describer.
func (c described) Describe(operation string) (core.Shape, error) {
	o, err := c.contract.find(operation)
	if err != nil {
		return core.Shape{}, err
	}
	return o.shape(), nil
}

// Write implements core.Offline.
func (c *Connector) Write(q core.Request) ([]byte, error) {
	m, err := c.write(q)
	if err != nil {
		return nil, wire.Invalid("soap "+q.Operation, err)
	}
	return append(wire.Head(http.MethodPost, m.url.RequestURI(), m.headers), m.body...), nil
}

// Read implements core.Offline.
func (c *Connector) Read(q core.Request, answer []byte) (core.Response, error) {
	op := "soap " + q.Operation
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
