package fault

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Port is a listener that can be down: while the script says so it is closed, so
// that a caller is refused before it has sent anything; Accept waits meanwhile.
type Port struct {
	script *Script
	addr   net.Addr

	mu     sync.Mutex
	now    net.Listener  // nil while shut
	opened chan struct{} // closed when now is there again
	closed bool
}

// Listen opens a port that follows the script.
func Listen(addr string, script *Script) (*Port, error) {
	now, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	p := &Port{script: script, addr: now.Addr(), now: now, opened: make(chan struct{})}
	script.OnChange(p.follow)
	return p, nil
}

// Addr stays the same over downs.
func (p *Port) Addr() net.Addr { return p.addr }

// Accept gives the next connection; those that a limited down strikes are closed unread.
func (p *Port) Accept() (net.Conn, error) {
	for {
		p.mu.Lock()
		now, opened, closed := p.now, p.opened, p.closed
		p.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		if now == nil {
			<-opened
			continue
		}
		conn, err := now.Accept()
		switch {
		case err != nil && p.current(now):
			return nil, err
		case err != nil: // shut meanwhile
		case p.script.Shut() || p.script.StrikeDown():
			Reset(conn)
		default:
			return conn, nil
		}
	}
}

func (p *Port) current(l net.Listener) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now == l && !p.closed
}

func (p *Port) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	shut := p.script.Shut()
	switch {
	case p.closed:
	case shut && p.now != nil:
		_ = p.now.Close()
		p.now, p.opened = nil, make(chan struct{})
	case !shut && p.now == nil:
		now, err := net.Listen("tcp", p.addr.String())
		for try := 0; err != nil && try < 100; try++ { // somebody's outgoing connection may sit on the port for a moment
			time.Sleep(20 * time.Millisecond)
			now, err = net.Listen("tcp", p.addr.String())
		}
		if err == nil {
			p.now = now
			close(p.opened)
		}
	}
}

// Close ends Accept.
func (p *Port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.now == nil {
		close(p.opened)
		return nil
	}
	return p.now.Close()
}

// Door is an HTTP server behind a Port.
type Door struct {
	port    *Port
	server  *http.Server
	serving sync.WaitGroup
}

// OpenDoor listens on addr and serves until Close.
func OpenDoor(addr string, handler http.Handler, script *Script) (*Door, error) {
	port, err := Listen(addr, script)
	if err != nil {
		return nil, err
	}
	d := &Door{port: port}
	d.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if script.Shut() { // a kept connection that was faster than its closing
				cut(w)
				return
			}
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: time.Minute,
		// What the server would log are the cuts that the script asked for.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	// Without keep-alive idle connections are closed, and every request meets a down rule anew.
	script.OnChange(func() { d.server.SetKeepAlivesEnabled(!script.Flaky()) })
	d.serving.Go(func() { _ = d.server.Serve(port) })
	return d, nil
}

// Addr is host:port; it stays the same over downs.
func (d *Door) Addr() string { return d.port.Addr().String() }

// Close ends all connections; requests in flight are cut.
func (d *Door) Close() error {
	err := d.server.Close()
	d.serving.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Reset closes a connection the hard way, so that the other side notices at once.
func Reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
