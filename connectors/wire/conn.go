// Package wire is the way of bytes to a HIS and back that all connectors share:
// connections that know whether anything of a request left, HTTP that never
// repeats a request by itself, and the classification of what went wrong.
package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrTooLarge says that an answer went over the bound.
var ErrTooLarge = errors.New("the answer is larger than max_answer")

var (
	errGone   = errors.New("the HIS had closed the connection")
	errBarred = errors.New("nothing more may be sent on this connection")
)

// Conn is a connection that knows whether bytes of the present request were
// handed to the kernel. From then on the HIS may act.
type Conn struct {
	net.Conn
	state  atomic.Int32
	reused atomic.Bool
	budget atomic.Int64
}

const (
	untouched int32 = iota
	left
	barred
)

// unbounded is the budget of a connection whose reader has its own bound.
const unbounded = 1 << 62

// Dial connects within the timeout, by the connector's own dialler if it has one.
func (o Options) Dial(ctx context.Context, timeout time.Duration, network, address string) (*Conn, error) {
	dial := o.Dialler
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	inner, err := dial(within, network, address)
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: inner}
	c.budget.Store(unbounded)
	return c, nil
}

// Under is the Conn below TLS; nil if there is none.
func Under(c net.Conn) *Conn {
	for {
		switch under := c.(type) {
		case *Conn:
			return under
		case *tls.Conn:
			c = under.NetConn()
		default:
			return nil
		}
	}
}

// Begin starts a new request, whose answer may have so many bytes (0: the
// reader bounds it). Its first write finds out whether a reused connection is
// still alive, because a HIS closes idle ones as it likes.
func (c *Conn) Begin(reused bool, most int64) {
	if most == 0 {
		most = unbounded
	}
	c.budget.Store(most)
	c.reused.Store(reused)
	c.state.Store(untouched)
}

// Bar ends the request: what did not leave so far never will. It reports
// whether something left.
func (c *Conn) Bar() bool {
	return !c.state.CompareAndSwap(untouched, barred) && c.state.Load() == left
}

func (c *Conn) Write(p []byte) (int, error) {
	if !c.state.CompareAndSwap(untouched, left) {
		if c.state.Load() == barred {
			return 0, errBarred
		}
		return c.Conn.Write(p)
	}
	if c.reused.Load() && c.Gone() {
		c.state.CompareAndSwap(left, untouched)
		return 0, errGone
	}
	n, err := c.Conn.Write(p)
	if n == 0 && err != nil {
		c.state.CompareAndSwap(left, untouched)
	}
	return n, err
}

func (c *Conn) Read(p []byte) (int, error) {
	if c.budget.Load() <= 0 {
		return 0, ErrTooLarge
	}
	n, err := c.Conn.Read(p)
	c.budget.Add(-int64(n))
	return n, err
}

// Expire gives what is under way so much longer. A connection that cannot take a
// deadline is closed already.
func (c *Conn) Expire(in time.Duration) { _ = c.SetDeadline(time.Now().Add(in)) }

// SyscallConn lets drivers look at the socket.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}
