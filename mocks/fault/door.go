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

// Door is an HTTP server that can be down: while the script says so, its port
// is closed, so that a caller is refused before it has sent anything.
type Door struct {
	script *Script
	addr   string
	server *http.Server

	mu      sync.Mutex
	port    net.Listener // nil while shut
	closed  bool
	serving sync.WaitGroup
}

// OpenDoor listens on addr and serves until Close.
func OpenDoor(addr string, handler http.Handler, script *Script) (*Door, error) {
	port, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	d := &Door{script: script, addr: port.Addr().String()}
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
	d.serve(port)
	script.OnChange(d.follow)
	return d, nil
}

// Addr is host:port; it stays the same over downs.
func (d *Door) Addr() string { return d.addr }

func (d *Door) serve(port net.Listener) {
	d.port = port
	d.serving.Go(func() { _ = d.server.Serve(flaky{port, d.script}) })
}

// follow brings the port in line with the script.
func (d *Door) follow() {
	shut, keep := d.script.Shut(), !d.script.Flaky()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	// Without keep-alive every request meets the down rule anew.
	d.server.SetKeepAlivesEnabled(keep)
	switch {
	case shut && d.port != nil:
		_ = d.port.Close()
		d.port = nil
	case !shut && d.port == nil:
		port, err := net.Listen("tcp", d.addr)
		for try := 0; err != nil && try < 100; try++ { // somebody's outgoing connection may sit on the port for a moment
			time.Sleep(20 * time.Millisecond)
			port, err = net.Listen("tcp", d.addr)
		}
		if err == nil {
			d.serve(port)
		}
	}
}

// Close ends all connections; requests in flight are cut.
func (d *Door) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	err := d.server.Close()
	d.serving.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// flaky closes the connections that a limited down strikes.
type flaky struct {
	net.Listener
	script *Script
}

func (f flaky) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil || f.script.Shut() || !f.script.StrikeDown() {
			return conn, err
		}
		Reset(conn)
	}
}

// Reset closes a connection the hard way, so that the other side notices at once.
func Reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
