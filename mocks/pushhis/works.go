package pushhis

import "sync"

// works are the payments that are being worked on, by the caller's number.
type works struct {
	mu sync.Mutex
	at map[string]chan struct{}
}

func newWorks() *works { return &works{at: map[string]chan struct{}{}} }

// begin waits until nobody works on no, and returns the end of the own work.
func (w *works) begin(no string) (end func()) {
	mine := make(chan struct{})
	for {
		w.mu.Lock()
		theirs := w.at[no]
		if theirs == nil {
			w.at[no] = mine
			w.mu.Unlock()
			break
		}
		w.mu.Unlock()
		<-theirs
	}
	return func() {
		w.mu.Lock()
		delete(w.at, no)
		w.mu.Unlock()
		close(mine)
	}
}

// on reports whether somebody works on no.
func (w *works) on(no string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at[no] != nil
}
