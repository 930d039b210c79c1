package redis

import (
	"net"
	"sync"
)

// waiting is a pipe whose writes never wait for the other end. The embedded Redis
// answers each command before it reads the next one, and the library sends all of a
// pipeline before it reads: over a pipe without room both would wait for ever.
type waiting struct {
	net.Conn
	mu     sync.Mutex
	more   sync.Cond
	unsent []byte
	closed bool
	failed error
}

func newWaiting(c net.Conn) *waiting {
	w := &waiting{Conn: c}
	w.more.L = &w.mu
	go w.send()
	return w
}

// Write takes all of b, or fails as an earlier one did.
func (w *waiting) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, net.ErrClosed
	}
	if w.failed != nil {
		return 0, w.failed
	}
	w.unsent = append(w.unsent, b...)
	w.more.Signal()
	return len(b), nil
}

// Close drops what is unsent.
func (w *waiting) Close() error {
	w.mu.Lock()
	w.closed = true
	w.more.Signal()
	w.mu.Unlock()
	return w.Conn.Close()
}

func (w *waiting) send() {
	for {
		w.mu.Lock()
		for len(w.unsent) == 0 && !w.closed {
			w.more.Wait()
		}
		b := w.unsent
		w.unsent = nil
		done := w.closed
		w.mu.Unlock()
		if done {
			return
		}
		if _, err := w.Conn.Write(b); err != nil {
			w.mu.Lock()
			w.failed = err
			w.mu.Unlock()
			return
		}
	}
}
