package bench

import (
	"io"
	"net"
	"sync"
)

// gate stands before a service: it lets connections through, or accepts them, reads
// what comes and never answers.
type gate struct {
	net.Listener
	to string

	mu      sync.Mutex
	hanging bool
	open    map[net.Conn]bool
}

func openGate(to string) (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{Listener: l, to: to, open: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(c)
		}
	}()
	return g, nil
}

func (g *gate) pass(c net.Conn) {
	g.mu.Lock()
	hanging := g.hanging
	g.open[c] = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.open, c)
		g.mu.Unlock()
		c.Close()
	}()
	if hanging {
		_, _ = io.Copy(io.Discard, c) // until the hub gives up
		return
	}
	on, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer on.Close()
	go func() {
		_, _ = io.Copy(c, on)
		c.Close()
	}()
	_, _ = io.Copy(on, c)
}

// hang changes what the gate does; connections that are open are cut.
func (g *gate) hang(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hanging = yes
	for c := range g.open {
		c.Close()
	}
}

// held is how many connections are open.
func (g *gate) held() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

func (g *gate) close() {
	g.Close()
	g.hang(false)
}
