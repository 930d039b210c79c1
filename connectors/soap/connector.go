// Package soap carries SOAP 1.1 and 1.2 calls: document style, wrapped and bare,
// and rpc style, literal and encoded. Parameters stand in the order of the WSDL,
// whatever order the folder gives them in. docs/soap.md lists what a WSDL may hold.
//
// A construct that is not supported is an error that names its file and line, and
// only where something is to be written in it. Nothing is read from the network.
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
	version  version
	header   header
	security *security // nil is none
	address  *addressing
	mtom     bool
	action   action
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
	c.version = soap11
	if s.OneOf("version", soap11.name, soap12.name) == soap12.name {
		c.version = soap12
	}
	port := s.Text("port", "")
	c.style.namespace = s.Text("namespace", "")
	c.style.prefix = s.Text("prefix", "")
	c.style.qualified = s.Bool("qualified", true)
	c.action = readAction(s, c.version)
	c.security = readSecurity(s)
	c.address = readAddressing(s)
	c.mtom = s.Bool("mtom", false)
	c.unwrap = s.Bool("unwrap", true)
	options := wire.ReadOptions(s, spec)
	options.ReadHTTP(s)

	if c.style.prefix != "" && (!isName(c.style.prefix) || c.style.prefix == envelopePrefix) {
		s.Problem("prefix", "not a name, or the one that the envelope has")
	}
	var err error
	if c.header, err = readHeader(s.Value("header")); err != nil {
		s.Problem("header", err.Error())
	}
	switch {
	case file == "" && c.mtom:
		s.Problem("mtom", "leave it out: only a wsdl says which values are binary")
	case file == "" && port != "":
		s.Problem("port", "leave it out: only a wsdl has several")
	case file == "" && c.style.namespace == "":
		s.Problem("namespace", "missing; it is needed where there is no wsdl")
	case file == "" && !c.style.qualified && c.style.prefix == "":
		// With a default namespace every parameter would need xmlns="".
		c.style.prefix = spare
	case file != "":
		if _, ok := spec.Options["qualified"]; ok {
			s.Problem("qualified", "leave it out: the wsdl decides")
		}
		if spec.Files == nil {
			s.Problem("wsdl", "names a file, but there is no folder")
		} else if c.contract, err = readContract(spec.Files, file, c.version, port); err != nil {
			wrong(s, err)
		} else if err := c.header.of(c.contract); err != nil {
			s.Problem("header", err.Error())
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

// wrong notes all that is wrong with a WSDL, each with its place.
func wrong(s *option.Set, err error) {
	var all mistakes
	switch {
	case errors.As(err, &errPort{}):
		s.Problem("port", err.Error())
	case errors.As(err, &all):
		for _, what := range all {
			s.Problem("wsdl", what)
		}
	default:
		s.Problem("wsdl", err.Error())
	}
}

// action is how the action of an operation is told.
type action struct {
	none, unquoted bool
	explicit       *string // for every operation
}

// readAction: quoted, unquoted, none, or the action itself.
func readAction(s *option.Set, v version) (a action) {
	switch text := s.Text("action", "quoted"); text {
	case "quoted":
	case "unquoted":
		a.unquoted = true
		if v == soap12 {
			s.Problem("action", "SOAP 1.2 has it in quotes only")
		}
	case "none":
		a.none = true
	default:
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' }) {
			s.Problem("action", "not quoted, unquoted, none, or the text of an action")
		}
		a.explicit = &text
	}
	return a
}

// write gives the action as it stands in the header; nil is none.
func (a action) write(of string) *string {
	if a.none {
		return nil
	}
	if a.explicit != nil {
		of = *a.explicit
	}
	if !a.unquoted {
		of = `"` + of + `"`
	}
	return &of
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
	m, err := c.write(q, fresh())
	if err != nil {
		return core.Response{}, wire.Invalid(op, err)
	}
	r := core.Response{Sent: m.shown}
	ctx, cancel := context.WithTimeout(ctx, c.way.Timeout)
	defer cancel()
	answer, err := c.way.RoundTrip(m.request(ctx)) //nolint:bodyclose // Body closes it
	if err != nil {
		return r, wire.Fault(op, err)
	}
	r.Status = strconv.Itoa(answer.StatusCode)
	r.Headers = wire.Headers(answer.Header)
	r.Received, err = c.way.Body(answer)
	if err != nil {
		return r, wire.Fault(op, err)
	}
	if err := c.read(m.operation, &r); err != nil {
		f := wire.InDoubt(op, err)
		f.RetryAfter = wire.RetryAfter(answer.Header)
		return r, f
	}
	return r, nil
}

// message is a request ready for the wire.
type message struct {
	operation *operation
	url       *url.URL
	headers   []core.Field
	body      []byte
	shown     []byte // the body without passwords
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

func (c *Connector) write(q core.Request, at stamp) (*message, error) {
	m := &message{url: c.endpoint}
	o, err := c.resolve(q.Operation)
	if err != nil {
		return nil, err
	}
	m.operation = o
	w := writer{style: c.style}
	root := ""
	if c.mtom {
		w.packed = &attachments{}
		m.headers, root = c.version.packedHeaders(c.way.Charset.Name(), c.action.write(o.action), at.boundary())
	} else {
		m.headers = c.version.headers(c.way.Charset.Name(), c.action.write(o.action))
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
	header, body, err := c.header.with(q.Body)
	if err != nil {
		return nil, err
	}
	blocks, err := header.write(c.style, c.version, o)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	secret, masked := c.blocks(o, at)
	w.begin(c.version, c.way.Charset.Name(), secret+blocks)
	if err := w.call(q.Operation, o, o.input, body); err != nil {
		return nil, err
	}
	w.end()
	if m.body, err = c.way.Charset.Encode(nil, string(w.b)); err != nil {
		return nil, err
	}
	m.shown = m.body
	if masked != secret {
		// The header is the first place where that text can stand.
		if m.shown, err = c.way.Charset.Encode(nil, strings.Replace(string(w.b), secret, masked, 1)); err != nil {
			return nil, err
		}
	}
	if c.mtom {
		m.body = w.packed.pack(m.body, root, at.boundary())
		m.shown = w.packed.pack(m.shown, root, at.boundary())
	}
	return m, nil
}

// blocks are the headers that the options make, and how they may be shown.
func (c *Connector) blocks(o *operation, at stamp) (secret, masked string) {
	if c.security != nil {
		secret, masked = c.security.write(at)
	}
	address := c.address
	if address == nil && o.mustAddress {
		address = newAddressing("2005")
	}
	if address != nil && address.namespace != "" {
		to := *c.endpoint
		to.User = nil
		secret += address.write(o, to.String(), at)
		masked += address.write(o, to.Scheme+"://"+to.Host+wire.Shown(&to), at)
	}
	return secret, masked
}

// resolve finds what the WSDL says of an operation; without one, its name and action.
func (c *Connector) resolve(name string) (*operation, error) {
	if c.contract != nil {
		return c.contract.find(name)
	}
	if !isName(name) {
		return nil, errors.New("the operation is not a name that XML allows")
	}
	return &operation{name: name, action: strings.TrimSuffix(c.style.namespace, "/") + "/" + name}, nil
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
func (c *Connector) read(o *operation, r *core.Response) error {
	done := strings.HasPrefix(r.Status, "2") && len(strings.TrimSpace(string(r.Received))) == 0
	if done && (r.Status == "202" && c.contract == nil || o != nil && o.oneWay) {
		return nil
	}
	contentType, _ := core.Text(r.Headers.Get("content-type"))
	received, parts, err := unpack(contentType, r.Received)
	if err != nil {
		return err
	}
	text, err := c.way.Charset.Decode(received)
	if err != nil {
		return err
	}
	e, err := openEnvelope(text)
	if err != nil {
		return fmt.Errorf("HTTP %s without a SOAP envelope: %w", r.Status, err)
	}
	if c.contract == nil {
		o = nil // what was sent by the names of the folder says nothing about the answer
	}
	name, content, err := e.call(o)
	if err == nil && len(parts) > 0 {
		content, err = included(content, parts)
	}
	if len(e.header) > 0 {
		r.Headers = append(r.Headers, core.Field{Name: "soap_header", Value: e.header})
	}
	switch {
	case err != nil && o != nil && o.oneWay && len(e.children()) == 0 && strings.HasPrefix(r.Status, "2"):
		return nil
	case err != nil:
		return fmt.Errorf("HTTP %s without a SOAP envelope: %w", r.Status, err)
	case name == "Fault":
		r.Error, r.Body = "fault", fault(content)
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
	m, err := c.write(q, still)
	if err != nil {
		return nil, wire.Invalid("soap "+q.Operation, err)
	}
	return append(wire.Head(http.MethodPost, wire.Shown(m.url), m.headers), m.shown...), nil
}

// Read implements core.Offline.
func (c *Connector) Read(q core.Request, answer []byte) (core.Response, error) {
	op := "soap " + q.Operation
	recorded, err := wire.ReadRecorded(answer)
	if err != nil {
		return core.Response{}, wire.InDoubt(op, err)
	}
	r := core.Response{Status: strconv.Itoa(recorded.Status), Headers: recorded.Headers, Received: recorded.Body}
	o, _ := c.resolve(q.Operation)
	if err := c.read(o, &r); err != nil {
		return r, wire.InDoubt(op, err)
	}
	return r, nil
}
