package tcp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"hishub/connectors/wire"
)

var errClosed = errors.New("the connector is closed")

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is how long an unused connection is kept. Firewalls in hospitals
	// forget silent ones after some minutes, and a request into one that is
	// forgotten is in doubt.
	idleTimeout = time.Minute
	// linesDefault: many a HIS serves one connection and lets the second wait.
	linesDefault = 1
)

// line is one connection.
type line struct {
	conn   net.Conn // TLS, or under
	under  *wire.Conn
	reader *bufio.Reader
	used   bool // it carried an exchange
	// late: the last byte of an MLLP frame may still come.
	late bool
	// overdue: the deadline passed, if only after the answer was there.
	overdue bool
	timer   *time.Timer
}

// exchange writes a request and reads its answer. Unless it succeeds the line
// is of no more use. left tells whether any byte left.
func (l *line) exchange(ctx context.Context, f *Framing, sent []byte, most int64, receipt []byte) (_ *frame, left bool, err error) {
	l.under.Begin(l.used, 0)
	stop := context.AfterFunc(ctx, func() { l.under.Expire(-time.Hour) })
	defer func() {
		left = l.under.Bar() && !(!l.used && wire.RefusedHandshake(err))
		// It may set the deadline at any moment, even that of the next exchange.
		l.overdue = !stop()
		if ctx.Err() != nil && err != nil {
			err = ctx.Err()
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if _, err := l.conn.Write(sent); err != nil {
		return nil, false, err
	}
	x, err := f.read(l.reader, most)
	if err == nil && x.holds(receipt) {
		said := x.raw
		x, err = f.read(l.reader, most)
		x.receipt = said
	}
	l.late = x.open
	if err == nil && l.reader.Buffered() > 0 {
		// A frame that ends too early is one that was cut, as by bytes that are counted
		// where the HIS counts characters.
		err = broken("more follows it; is its length right?")
	}
	return x, false, err
}

// alive reports whether a kept line can carry the next request: it is open, and
// nothing came that nobody asked for.
func (l *line) alive() bool {
	if l.late && l.under.Gone() {
		// It is closed, or the last byte of the frame came; neither takes time.
		l.under.Expire(time.Second)
		b, err := l.reader.ReadByte()
		if err != nil || b != blockLast {
			return false
		}
		l.late = false
		_ = l.under.SetDeadline(time.Time{})
	}
	return l.reader.Buffered() == 0 && !l.under.Gone()
}

// close does not take leave in TLS: the HIS may not read any more.
func (l *line) close() { l.under.Close() }

// lines are the connections of one connector.
type lines struct {
	options wire.Options
	address string
	tls     *tls.Config
	keep    bool
	slots   chan struct{}

	mu     sync.Mutex
	idle   []*line
	closed bool
}

func newLines(address string, o wire.Options, keep bool) *lines {
	size := o.Concurrency
	if size == 0 {
		size = linesDefault
	}
	// On Windows wire.Conn cannot tell whether a late byte waits on a kept line.
	ls := &lines{options: o, address: address, keep: keep && runtime.GOOS != "windows", slots: make(chan struct{}, size)}
	if o.TLS != nil {
		ls.tls = o.TLS.Clone()
		if ls.tls.ServerName == "" {
			ls.tls.ServerName, _, _ = net.SplitHostPort(address)
		}
	}
	return ls
}

// get waits for a free line. Each needs one put.
func (ls *lines) get(ctx context.Context) (*line, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case ls.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l, err := ls.open(ctx)
	if err != nil {
		<-ls.slots
	}
	return l, err
}

func (ls *lines) open(ctx context.Context) (*line, error) {
	for {
		l, err := ls.take()
		if l == nil && err == nil {
			return ls.dial(ctx)
		}
		if err != nil || l.alive() {
			return l, err
		}
		l.close()
	}
}

// take is the line used last, nil if none is idle.
func (ls *lines) take() (*line, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return nil, errClosed
	}
	if len(ls.idle) == 0 {
		return nil, nil
	}
	l := ls.idle[len(ls.idle)-1]
	ls.idle = ls.idle[:len(ls.idle)-1]
	l.timer.Stop()
	return l, nil
}

func (ls *lines) dial(ctx context.Context) (*line, error) {
	under, err := ls.options.Dial(ctx, dialTimeout, "tcp", ls.address)
	if err != nil {
		return nil, err
	}
	l := &line{conn: under, under: under}
	if ls.tls != nil {
		secured := tls.Client(under, ls.tls)
		within, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		if err := secured.HandshakeContext(within); err != nil {
			under.Close()
			return nil, err
		}
		l.conn = secured
	}
	l.reader = bufio.NewReader(l.conn)
	return l, nil
}

// renew puts a new line in the place of one that is of no more use. On failure
// there is none left to put.
func (ls *lines) renew(ctx context.Context, l *line) (*line, error) {
	l.close()
	ls.mu.Lock()
	closed := ls.closed
	ls.mu.Unlock()
	if closed {
		<-ls.slots
		return nil, errClosed
	}
	l, err := ls.dial(ctx)
	if err != nil {
		<-ls.slots
	}
	return l, err
}

// put gives a line back, and keeps it if it is in order.
func (ls *lines) put(l *line, inOrder bool) {
	defer func() { <-ls.slots }()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !inOrder || l.overdue || !ls.keep || ls.closed {
		l.close()
		return
	}
	l.used = true
	l.timer = time.AfterFunc(idleTimeout, func() { ls.expire(l) })
	ls.idle = append(ls.idle, l)
}

func (ls *lines) expire(l *line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i := range ls.idle {
		if ls.idle[i] == l {
			ls.idle = append(ls.idle[:i], ls.idle[i+1:]...)
			l.close()
			return
		}
	}
}

func (ls *lines) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for _, l := range ls.idle {
		l.timer.Stop()
		l.close()
	}
	ls.idle = nil
}
