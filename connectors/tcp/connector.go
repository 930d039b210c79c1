// Package tcp carries texts over a bare connection, where only a framing tells
// where one ends: a length before it, an end behind it, or MLLP.
//
// A connection carries one request at a time and is kept for the next one only
// while nothing on it is owed: after a time-out, a broken frame or a byte that
// nobody asked for it is closed, so that a late answer never meets the wrong
// request.
package tcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Connector is one entrance.
type Connector struct {
	framing *Framing
	options wire.Options
	lines   *lines
	// receipt is what an answer holds that only says that ours came; the answer
	// proper follows it. nil: there is none.
	receipt []byte
}

// Open reads the options; it touches no network. Errors are core.Problems.
func Open(spec core.ConnectorSpec) (core.Connector, error) {
	s := option.New(spec.Options)
	address := readAddress(s)
	options := wire.ReadOptions(s, spec)
	options.ReadCharset(s)
	keep := s.Bool("keep", true)
	c := &Connector{options: options, framing: ReadFraming(s, options.Charset)}
	c.receipt = c.framing.bytes(s, "receipt")
	if err := s.Err(); err != nil {
		return nil, err
	}
	c.lines = newLines(address, options, keep)
	return c, nil
}

func readAddress(s *option.Set) string {
	address := s.Needed("address")
	if address == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(address)
	if n, bad := strconv.Atoi(port); err != nil || host == "" || bad != nil || n < 0 || n > 65535 {
		s.Problem("address", "not an address like 10.1.2.3:6661")
	}
	return address
}

// Close implements core.Connector.
func (c *Connector) Close() error {
	c.lines.close()
	return nil
}

// Call implements core.Connector. The operation is not sent: it only names what
// is being done.
func (c *Connector) Call(ctx context.Context, q core.Request) (core.Response, error) {
	op := opOf(q)
	sent, err := c.write(q)
	if err != nil {
		return core.Response{}, wire.Invalid(op, err)
	}
	r := core.Response{Sent: sent}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	f, left, err := c.exchange(ctx, sent)
	if f != nil {
		r.Received = append(f.receipt, f.raw...)
	}
	if err != nil {
		class := core.Unavailable
		if left {
			class = core.InDoubt
		}
		return r, &core.Fault{Class: class, Op: op, Err: plain(err)}
	}
	if r.Body, err = c.read(f.content()); err != nil {
		return r, wire.InDoubt(op, err)
	}
	return r, nil
}

func opOf(q core.Request) string { return strings.TrimSpace("tcp " + q.Operation) }

func plain(err error) error {
	var b broken
	if errors.As(err, &b) {
		return b
	}
	if errors.Is(err, errClosed) {
		return errClosed
	}
	return wire.Plain(err)
}

func (c *Connector) write(q core.Request) ([]byte, error) {
	if len(q.Headers) > 0 || len(q.Query) > 0 {
		return nil, errors.New("a connection has neither headers nor a query; put them into the text")
	}
	text, ok := core.Text(q.Body)
	if _, tree := q.Body.(core.Tree); !ok || tree {
		return nil, errors.New("a connection carries text, not a document; write send: {$xml: ...}, or another format")
	}
	return c.framing.Write(text)
}

func (c *Connector) read(content []byte) (core.Value, error) {
	text, err := c.options.Charset.Decode(content)
	if err != nil {
		return nil, err
	}
	return text, nil
}

// exchange says one text and hears one. left tells whether any byte of it left.
func (c *Connector) exchange(ctx context.Context, sent []byte) (f *frame, left bool, err error) {
	on, err := c.lines.get(ctx)
	if err != nil {
		return nil, false, err
	}
	f, left, err = on.exchange(ctx, c.framing, sent, c.options.MaxAnswer, c.receipt)
	if err != nil && !left && on.used && ctx.Err() == nil {
		// The HIS closed it after we last looked, and nothing left.
		if on, err = c.lines.renew(ctx, on); err != nil {
			return nil, false, err
		}
		f, left, err = on.exchange(ctx, c.framing, sent, c.options.MaxAnswer, c.receipt)
	}
	c.lines.put(on, err == nil)
	return f, left, err
}

// Write implements core.Offline.
func (c *Connector) Write(q core.Request) ([]byte, error) {
	b, err := c.write(q)
	if err != nil {
		return nil, wire.Invalid(opOf(q), err)
	}
	return b, nil
}

// Read implements core.Offline: a recorded frame, or the text that was in it.
func (c *Connector) Read(q core.Request, answer []byte) (core.Response, error) {
	r := core.Response{Received: answer}
	if x, err := c.framing.read(bufio.NewReader(bytes.NewReader(answer)), int64(len(answer))); err == nil && x.holds(c.receipt) {
		if answer = answer[len(x.raw):]; len(answer) == 0 {
			return r, wire.InDoubt(opOf(q), errors.New("only a receipt came, and no answer"))
		}
	}
	content, err := c.framing.unframe(answer)
	if err == nil {
		r.Body, err = c.read(content)
	}
	if err != nil {
		return r, wire.InDoubt(opOf(q), err)
	}
	return r, nil
}
