// Package dbproxy stands between callers and the database of a fake hospital and
// plays the network faults where work becomes durable.
package dbproxy

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"hishub/mocks/fault"
)

// Kinds of faults that a Proxy plays.
var Kinds = []fault.Kind{fault.Down, fault.Slow, fault.Hang, fault.CutBefore, fault.CommitThenHang,
	fault.CutAfterCommit, fault.CutThenCommitLater, fault.Garbled, fault.Truncated}

// Options of a Proxy; all are required.
type Options struct {
	Listen          string
	Network, Target string // where the database is
	MySQL           bool   // its protocol, else PostgreSQL's
	// Names of tables, views and procedures: the operations of the rules.
	Names  []string
	Script *fault.Script
	// Note writes the hospital's journal.
	Note func(operation, key, effect, kind string)
}

// Proxy understands just enough of the two protocols to see where work becomes
// durable: at COMMIT, at CALL, at a statement outside a transaction.
type Proxy struct {
	Options
	port *fault.Port

	mu      sync.Mutex
	links   map[*link]struct{}
	closed  bool
	serving sync.WaitGroup
}

// Open listens; the database may come later.
func Open(o Options) (*Proxy, error) {
	port, err := fault.Listen(o.Listen, o.Script)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Options: o, port: port, links: map[*link]struct{}{}}
	o.Script.OnChange(func() {
		if o.Script.Shut() {
			p.cutAll()
		}
	})
	p.serving.Go(p.serve)
	return p, nil
}

// Addr is host:port.
func (p *Proxy) Addr() string { return p.port.Addr().String() }

// Close cuts all connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.port.Close()
	p.cutAll()
	p.serving.Wait()
	return err
}

func (p *Proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

func (p *Proxy) serve() {
	for {
		client, err := p.port.Accept()
		if err != nil {
			return
		}
		server, err := net.DialTimeout(p.Network, p.Target, 5*time.Second)
		if err != nil {
			fault.Reset(client)
			continue
		}
		l := &link{proxy: p, client: client, server: server, answers: answers{to: client}}
		p.mu.Lock()
		if p.closed || p.Script.Shut() {
			p.mu.Unlock()
			l.cut()
			continue
		}
		p.links[l] = struct{}{}
		p.mu.Unlock()
		p.serving.Go(func() {
			l.run()
			p.mu.Lock()
			delete(p.links, l)
			p.mu.Unlock()
		})
	}
}

// link is one connection of a caller and its connection to the database.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	answers        answers
}

func (l *link) cut() {
	fault.Reset(l.client)
	_ = l.server.Close()
}

func (l *link) run() {
	defer l.cut()
	var back sync.WaitGroup
	back.Go(func() {
		l.answers.copy(l.server)
		_ = l.client.Close()
	})
	in := bufio.NewReaderSize(l.client, 64<<10)
	var ask asking = &postgresAsking{in: in}
	if l.proxy.MySQL {
		ask = &mysqlAsking{in: in, answers: &l.answers}
	}
	work := unit{names: l.proxy.Names}
	for {
		q, err := ask.next()
		if err != nil {
			break
		}
		if point := work.add(q); point && !l.play(in, q, work.take()) || !point && !l.forward(q) {
			break
		}
	}
	_ = l.server.Close()
	back.Wait()
}

func (l *link) forward(q question) bool {
	_, err := l.server.Write(q.bytes)
	return err == nil
}

// play passes a question on that makes work durable, or what the script wants
// instead. It reports whether the connection lives.
func (l *link) play(in *bufio.Reader, q question, work unit) bool {
	script := l.proxy.Script
	strike := script.Strike(string(work.raw), work.operations...)
	note := func(effect string) {
		l.proxy.Note(work.operations[0], strike.Key, effect, string(strike.Kind))
	}
	switch strike.Kind {
	case "":
		return l.forward(q)
	case fault.Slow:
		note("passed")
		return script.Wait(strike.Delay.Or(10*time.Second)) && l.forward(q)
	case fault.Hang:
		note("none")
		l.hold(in, strike)
		return false
	case fault.CutBefore:
		note("none")
		return false
	case fault.CutThenCommitLater:
		note("passed")
		answer := l.answers.intercept(l.proxy.MySQL)
		fault.Reset(l.client)
		if script.Wait(strike.Delay.Or(10*time.Second)) && l.forward(q) {
			answer.wait()
		}
		return false
	}
	// The others act first.
	note("passed")
	answer := l.answers.intercept(l.proxy.MySQL)
	if !l.forward(q) {
		return false
	}
	body := answer.wait()
	switch strike.Kind {
	case fault.CommitThenHang:
		l.hold(in, strike)
	case fault.Garbled:
		_, _ = l.client.Write(script.Scramble(len(body)))
		_ = l.client.Close()
	case fault.Truncated:
		_, _ = l.client.Write(body[:len(body)/2])
		_ = l.client.Close()
	}
	return false
}

// hold keeps the caller waiting until it leaves.
func (l *link) hold(in *bufio.Reader, strike fault.Strike) {
	here, left := context.WithCancel(context.Background())
	go func() { // ends at the latest when the link is cut
		defer left()
		_, _ = in.Peek(in.Buffered() + 1)
	}()
	l.proxy.Script.Hold(here, strike)
}
