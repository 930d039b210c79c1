// Package proxy stands between a connector and a real server and misbehaves on
// the level of TCP: tests and certifications bring about with it what a network
// does to a HIS once a year.
package proxy

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
)

// Mode is how the proxy treats what comes from now on, on open connections too.
type Mode int

const (
	// Through passes everything.
	Through Mode = iota
	// Down closes open connections and refuses new ones.
	Down
	// CutAfter passes the request and, when the answer begins, closes both sides.
	CutAfter
	// Hang passes the request and keeps the answer, until Release.
	Hang
	// Garbled passes the request and answers with bytes of no meaning.
	Garbled
	// Truncated passes the request and the first half of the answer, then closes.
	Truncated
	// CutBefore passes the first half of a request, then closes both sides.
	CutBefore
	// BlackHole takes the request and passes nothing.
	BlackHole
)

// Garbage is what a garbled answer holds. No error may repeat it: a real one
// holds patients.
const Garbage = "\x00\xff\x13garbage 张三测试\r\n\r\n\x7f\xfe"

// Proxy stands between a connector and a real server and misbehaves on the
// level of TCP, so that it serves for every protocol.
type Proxy struct {
	network string
	target  string
	address string
	// Held is told about each request or answer that is kept back or spoilt.
	Held     chan struct{}
	returned atomic.Int64

	mu       sync.Mutex
	mode     Mode
	trigger  []byte
	then     Mode
	listener net.Listener
	open     map[net.Conn]bool
	kept     []late
	wait     sync.WaitGroup
}

// late is an answer that is kept back, and whom it is for.
type late struct {
	to     net.Conn
	answer []byte
}

// New listens on a free port of this machine for what goes to the target, an
// address of that network ("tcp", "unix").
func New(network, target string) (*Proxy, error) {
	p := &Proxy{network: network, target: target, Held: make(chan struct{}, 1000), open: map[net.Conn]bool{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.address = l.Addr().String()
	p.listen(l)
	return p, nil
}

// Address is where the proxy listens, also after it was down.
func (p *Proxy) Address() string { return p.address }

// Returned is how many bytes of answers went through.
func (p *Proxy) Returned() int64 { return p.returned.Load() }

// Set changes the mode, and forgets what At waits for.
func (p *Proxy) Set(m Mode) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.trigger = m, nil
	switch {
	case m == Down && p.listener != nil:
		p.listener.Close()
		p.listener = nil
		p.closeOpen()
	case m != Down && p.listener == nil:
		l, err := net.Listen("tcp", p.address)
		if err != nil {
			return err
		}
		p.listen(l)
	}
	return nil
}

// At sets the mode when a request holds the text, in any case of letters.
func (p *Proxy) At(text string, m Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trigger, p.then = bytes.ToLower([]byte(text)), m
}

func (p *Proxy) watch(request []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trigger != nil && bytes.Contains(bytes.ToLower(request), p.trigger) {
		p.mode, p.trigger = p.then, nil
	}
}

// Release delivers the answers that Hang kept, late, to whoever still listens.
func (p *Proxy) Release() {
	p.mu.Lock()
	kept := p.kept
	p.kept = nil
	p.mu.Unlock()
	for _, l := range kept {
		_, _ = l.to.Write(l.answer) // most have hung up meanwhile
	}
}

// Cut closes the open connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeOpen()
}

// Close ends the proxy and all that goes through it.
func (p *Proxy) Close() {
	_ = p.Set(Down) // to go down never fails
	p.wait.Wait()
}

func (p *Proxy) closeOpen() {
	for c := range p.open {
		c.Close()
		delete(p.open, c)
	}
}

// listen is called with the lock held, or before anybody else knows of p.
func (p *Proxy) listen(l net.Listener) {
	p.listener = l
	p.wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wait.Go(func() { p.serve(c) })
		}
	})
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *Proxy) drop(cs ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range cs {
		c.Close()
		delete(p.open, c)
	}
}

func (p *Proxy) now() Mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial(p.network, p.target)
	if err != nil {
		client.Close()
		return
	}
	if !p.keep(client) || !p.keep(server) {
		client.Close()
		server.Close()
		return
	}
	p.wait.Go(func() {
		defer p.drop(client, server)
		b := make([]byte, 64<<10)
		for {
			n, err := client.Read(b)
			if err != nil {
				return
			}
			p.watch(b[:n])
			request, more := p.hinder(b[:n])
			if _, err := server.Write(request); err != nil || !more {
				return
			}
		}
	})
	defer p.drop(client, server)
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		answer, more := p.spoil(client, b[:n])
		if _, err := client.Write(answer); err != nil || !more {
			return
		}
		p.returned.Add(int64(len(answer)))
	}
}

// hinder makes of a request what the mode wants, and says whether to go on.
func (p *Proxy) hinder(request []byte) ([]byte, bool) {
	switch p.now() {
	case CutBefore:
		p.tell()
		return request[:len(request)/2], false
	case BlackHole:
		p.tell()
		return nil, true
	}
	return request, true
}

// spoil makes of an answer what the mode wants, and says whether to go on.
func (p *Proxy) spoil(client net.Conn, answer []byte) ([]byte, bool) {
	switch p.now() {
	case Hang:
		p.mu.Lock()
		p.kept = append(p.kept, late{client, bytes.Clone(answer)})
		p.mu.Unlock()
		p.tell()
		return nil, true
	case Garbled:
		p.tell()
		return []byte(Garbage), false
	case Truncated:
		p.tell()
		return answer[:len(answer)/2], false
	case CutAfter:
		p.tell()
		return nil, false
	}
	return answer, true
}

// tell never waits: whoever does not listen does not want to know.
func (p *Proxy) tell() {
	select {
	case p.Held <- struct{}{}:
	default:
	}
}
