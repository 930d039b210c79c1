package inbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"hishub/core"
)

// Port is an address at which one listener of a hospital is called over bare
// connections.
type Port struct {
	Address, Hospital, Listener string
}

// Ports keeps ports open. On one connection a request is answered before the
// next is read, so answers come in the order of the requests.
type Ports struct {
	Server *Server
	// Listen opens an address; net.Listen unless it is set.
	Listen func(network, address string) (net.Listener, error)

	mu     sync.Mutex
	open   map[string]*entry // by address
	failed map[Port]string   // what the log was told
}

const (
	// idlePort is how long a connection may say nothing. HL7 v2 senders keep theirs.
	idlePort = 10 * time.Minute
	// writePort is how long a HIS may take to take its answer.
	writePort = 10 * time.Second
)

// Set makes the open ports those. One that cannot be opened is logged once and
// tried again by the next call; of two that want one address the first has it.
func (p *Ports) Set(wanted []Port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open, p.failed = map[string]*entry{}, map[Port]string{}
	}
	for address, e := range p.open {
		if !slices.Contains(wanted, e.Port) {
			e.end()
			delete(p.open, address)
		}
	}
	for w := range p.failed {
		if !slices.Contains(wanted, w) {
			delete(p.failed, w)
		}
	}
	for _, w := range wanted {
		switch e := p.open[w.Address]; {
		case e == nil:
			p.begin(w)
		case e.Port != w:
			p.fails(w, fmt.Errorf("%s has the address already", e.Hospital+"/"+e.Listener))
		}
	}
}

func (p *Ports) begin(w Port) {
	listen := p.Listen
	if listen == nil {
		listen = net.Listen
	}
	l, err := listen("tcp", w.Address)
	if err != nil {
		p.fails(w, err)
		return
	}
	delete(p.failed, w)
	e := &entry{Port: w, server: p.Server, socket: l, connections: map[net.Conn]bool{}}
	p.open[w.Address] = e
	p.Server.Log.Info("a HIS may call", "hospital", w.Hospital, "listener", w.Listener, "address", l.Addr().String())
	e.work.Go(e.accept)
}

func (p *Ports) fails(w Port, err error) {
	if p.failed[w] != err.Error() {
		p.failed[w] = err.Error()
		p.Server.Log.Error("open the port of a listener", "hospital", w.Hospital, "listener", w.Listener, "address", w.Address, "error", err)
	}
}

// Close closes all ports. Requests that are under way are answered, until ctx ends.
func (p *Ports) Close(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.open {
		e.end()
	}
	for address, e := range p.open {
		ended := make(chan struct{})
		go func() { e.work.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-ctx.Done():
			e.cut()
			<-ended
		}
		delete(p.open, address)
	}
}

// entry is an open port.
type entry struct {
	Port
	server *Server
	socket net.Listener
	work   sync.WaitGroup

	mu          sync.Mutex
	ended       bool
	connections map[net.Conn]bool // true while a request is under way
}

// end takes no more requests and closes the connections on which none is under way.
func (e *entry) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	e.socket.Close()
	for c, busy := range e.connections {
		if !busy {
			c.Close()
		}
	}
}

func (e *entry) cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.connections {
		c.Close()
	}
}

// busy notes whether a request is under way; false if there shall be none.
func (e *entry) busy(c net.Conn, busy bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return false
	}
	e.connections[c] = busy
	return true
}

func (e *entry) forget(c net.Conn) {
	c.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.connections, c)
}

func (e *entry) accept() {
	for {
		c, err := e.socket.Accept()
		if err != nil {
			e.mu.Lock()
			ended := e.ended
			e.mu.Unlock()
			if ended {
				return
			}
			// Out of files, most likely; that may pass.
			e.server.Log.Error("accept a connection", "hospital", e.Hospital, "listener", e.Listener, "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if !e.busy(c, false) {
			c.Close()
			return
		}
		e.work.Go(func() {
			defer e.forget(c)
			e.serve(c)
		})
	}
}

// crowded: each connection carries one request at a time, so more of them than
// may be served at once are of no use to anybody.
func (e *entry) crowded(l *core.Listener) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.connections) > l.Concurrency
}

// serve is the way of one connection.
func (e *entry) serve(raw net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			e.server.Log.Error("serve a HIS", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	c, ok := e.call()
	if !ok {
		return
	}
	if e.crowded(c.listener) {
		e.refused(c, "busy")
		return
	}
	conn, secured := raw, (*tls.ConnectionState)(nil)
	if config := c.listener.TLS; config != nil {
		under := tls.Server(raw, config)
		_ = raw.SetDeadline(c.began.Add(c.listener.Timeout))
		if err := under.Handshake(); err != nil {
			e.refused(c, "stranger")
			return
		}
		state := under.ConnectionState()
		conn, secured = under, &state
	}
	if !knows(c.listener, raw.RemoteAddr().String(), secured) {
		e.refused(c, "stranger")
		return
	}
	r := bufio.NewReaderSize(conn, 16<<10)
	for {
		_ = raw.SetDeadline(time.Now().Add(idlePort))
		if _, err := r.Peek(1); err != nil {
			return
		}
		if !e.busy(raw, true) || !e.one(raw, conn, r, secured) || !e.busy(raw, false) {
			return
		}
	}
}

// call begins a request with the revision that is active now.
func (e *entry) call() (*call, bool) {
	c := &call{began: time.Now()}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var err error
	if c.hospital, err = e.server.Hospital(ctx, e.Hospital); err != nil {
		e.server.Log.Error("open hospital", "hospital", e.Hospital, "error", err)
		return nil, false
	}
	c.listener = c.hospital.Listeners[e.Listener]
	if c.listener == nil || c.listener.Address != e.Address {
		return nil, false
	}
	_, ok := c.listener.Wire.(core.Stream)
	return c, ok
}

func (e *entry) refused(c *call, why string) {
	e.server.count(c, c.refuse(why, http.StatusForbidden, ""))
}

// one serves a request of which the first byte is there; false ends the connection.
func (e *entry) one(raw, conn net.Conn, r *bufio.Reader, secured *tls.ConnectionState) bool {
	c, ok := e.call()
	if !ok {
		return false
	}
	l := c.listener
	if !knows(l, raw.RemoteAddr().String(), secured) {
		e.refused(c, "stranger")
		return false
	}
	leave, why := e.server.gate(c).wait(l, c.began.Add(l.Timeout/2))
	if why != "" {
		e.refused(c, why)
		return false
	}
	defer leave()
	_ = raw.SetReadDeadline(c.began.Add(l.Timeout))
	body, err := l.Wire.(core.Stream).Next(r, l.MaxRequest)
	if err == io.EOF {
		return false
	}
	if err != nil {
		if timeout, ok := err.(net.Error); ok {
			err = fmt.Errorf("it did not come whole (timeout: %t)", timeout.Timeout()) // without addresses
		}
		e.server.Log.Warn("inbound: not readable", "hospital", e.Hospital, "listener", e.Listener, "error", err)
		e.refused(c, "broken")
		return false
	}
	out := e.server.hear(context.Background(), c, core.Incoming{Body: body})
	e.server.count(c, out)
	if len(out.Body) == 0 {
		return out.Status == http.StatusOK // there is nothing to say, as a sender may wish
	}
	_ = raw.SetWriteDeadline(time.Now().Add(writePort))
	_, err = conn.Write(out.Body)
	return err == nil
}

// wait lets one in when there is room, and says why not if there is none in
// time. On a connection the HIS waits anyhow, so a burst is slowed down, not
// refused.
func (g *gate) wait(l *core.Listener, until time.Time) (leave func(), why string) {
	for {
		now := time.Now()
		leave, why = g.enter(l, now)
		if why == "" || now.After(until) {
			return leave, why
		}
		time.Sleep(min(max(time.Duration(float64(time.Second)/l.Rate), time.Millisecond), 50*time.Millisecond))
	}
}
