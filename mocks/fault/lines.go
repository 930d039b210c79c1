package fault

import (
	"context"
	"net"
	"sync"
	"time"
)

// StreamKinds are the faults that a hospital on bare connections can play.
var StreamKinds = []Kind{Down, Slow, Hang, CutBefore, CommitThenHang, CutAfterCommit, CutThenCommitLater,
	Garbled, Truncated, WrongCharset, Busy, Reject, DuplicateAnswer, LateVerdict}

// Lines serves bare connections behind a Port.
type Lines struct {
	port   *Port
	script *Script
	work   sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// OpenLines listens on addr and serves each connection until serve returns, or
// until a total down or Close cuts it.
func OpenLines(addr string, serve func(net.Conn), script *Script) (*Lines, error) {
	port, err := Listen(addr, script)
	if err != nil {
		return nil, err
	}
	l := &Lines{port: port, script: script, open: map[net.Conn]bool{}}
	script.OnChange(func() {
		if script.Shut() {
			l.cut()
		}
	})
	l.work.Go(func() {
		for {
			conn, err := port.Accept()
			if err != nil {
				return
			}
			l.keep(conn, true)
			l.work.Go(func() {
				defer l.keep(conn, false)
				serve(conn)
			})
		}
	})
	return l, nil
}

func (l *Lines) keep(conn net.Conn, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if open {
		l.open[conn] = true
		if l.closed {
			Reset(conn)
		}
		return
	}
	delete(l.open, conn)
	_ = conn.Close()
}

func (l *Lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.open {
		Reset(conn)
	}
}

// Addr is host:port; it stays the same over downs.
func (l *Lines) Addr() string { return l.port.Addr().String() }

// Close cuts all connections and waits until nobody serves any more.
func (l *Lines) Close() error {
	err := l.port.Close()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cut()
	l.work.Wait()
	return err
}

// Speak ends an exchange on a connection as the script wants it, and reports
// whether the connection goes on. Body of an Answer is what is written.
// LateVerdict answers by x.Crash, the acknowledgement of the dialect that says
// "received", and acts later.
func (s *Script) Speak(conn net.Conn, x Exchange) bool {
	if !s.Wait(x.Latency) {
		return false
	}
	say := func(a Answer) bool {
		_, err := conn.Write(a.Body)
		return err == nil
	}
	silent := func(strike Strike) bool {
		ctx, left := context.WithCancel(context.Background())
		defer left()
		go func() {
			_, _ = conn.Read(make([]byte, 1)) // until the caller leaves, or we do
			left()
		}()
		s.Hold(ctx, strike)
		Reset(conn)
		return false
	}
	cut := func() bool {
		Reset(conn)
		return false
	}
	strike := s.Strike(x.Key, x.Operation)
	later := strike.Delay.Or(10 * time.Second)
	switch kind := strike.Kind; kind {
	case "", DuplicateAnswer:
		return say(x.Act(kind))
	case Slow:
		return s.Wait(later) && say(x.Act(kind))
	case Hang:
		x.Idle(kind)
		return silent(strike)
	case CutBefore:
		x.Idle(kind)
		return cut()
	case CommitThenHang:
		x.Act(kind)
		return silent(strike)
	case CutAfterCommit:
		x.Act(kind)
		return cut()
	case CutThenCommitLater:
		s.Later(later, func() { x.Act(kind) })
		return cut()
	case Garbled:
		a := x.Act(kind)
		a.Body = s.Scramble(len(a.Body))
		return say(a)
	case Truncated:
		a := x.Act(kind)
		a.Body = a.Body[:len(a.Body)/2]
		say(a)
		return false
	case WrongCharset:
		a := x.Act(kind)
		a.Body = x.Recode(a.Body)
		return say(a)
	case Busy:
		x.Idle(kind)
		return say(x.Busy())
	case Reject:
		x.Idle(kind)
		return say(x.Reject())
	case LateVerdict:
		s.Later(later, func() { x.Act(kind) })
		return say(x.Crash())
	}
	return false
}
