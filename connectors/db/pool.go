package db

import (
	"context"
	"errors"
	"sync"
	"time"

	"hishub/connectors/wire"
)

// session is one connection to a database.
type session interface {
	// run executes one statement and returns the rows of its last result that has
	// columns.
	run(ctx context.Context, st statement) (rows, error)
	conn() *wire.Conn
	// inTransaction reports whether one is open, where that is known.
	inTransaction() bool
	close()
}

var errClosed = errors.New("the connector is closed")

const (
	// sessionsDefault is how many connections a HIS's database is bothered with.
	sessionsDefault = 8
	// idleTimeout is how long an unused one is kept.
	idleTimeout = time.Minute
)

// pool keeps connections between calls. Its size bounds the calls in flight.
type pool struct {
	connect func(ctx context.Context) (session, error)
	slots   chan struct{}

	mu     sync.Mutex
	idle   []*kept
	closed bool
}

type kept struct {
	session
	timer *time.Timer
}

func newPool(size int, connect func(context.Context) (session, error)) *pool {
	if size == 0 {
		size = sessionsDefault
	}
	return &pool{connect: connect, slots: make(chan struct{}, size)}
}

// get gives a connection that was alive a moment ago. Each needs one put or drop.
func (p *pool) get(ctx context.Context) (session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		s, err := p.take()
		if err != nil {
			<-p.slots
			return nil, err
		}
		if s == nil {
			break
		}
		if !s.conn().Gone() {
			return s, nil
		}
		s.close()
	}
	s, err := p.connect(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return s, nil
}

// take is the connection used last, nil if none is idle.
func (p *pool) take() (session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if len(p.idle) == 0 {
		return nil, nil
	}
	k := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	k.timer.Stop()
	return k.session, nil
}

// put gives back a connection that is in order.
func (p *pool) put(s session) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.close()
		return
	}
	k := &kept{session: s}
	k.timer = time.AfterFunc(idleTimeout, func() { p.expire(k) })
	p.idle = append(p.idle, k)
}

// drop gives back a connection that is of no more use.
func (p *pool) drop(s session) {
	s.close()
	<-p.slots
}

func (p *pool) expire(k *kept) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.idle {
		if p.idle[i] == k {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			k.close()
			return
		}
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, k := range p.idle {
		k.timer.Stop()
		k.close()
	}
	p.idle = nil
}
