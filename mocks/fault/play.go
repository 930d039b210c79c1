package fault

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// Answer of a hospital.
type Answer struct {
	Status int // 0: 200
	Type   string
	Body   []byte
}

// Exchange is one request that a hospital has read, and all the ways it may end.
type Exchange struct {
	Operation, Key string
	Latency        time.Duration
	// Act does the work, writes the journal (with the fault, if any) and gives
	// the answer; under DuplicateAnswer it answers as if it had been there.
	Act    func(Kind) Answer
	Busy   func() Answer       // understood, not done
	Reject func() Answer       // refused with RejectWords
	Crash  func() Answer       // the dialect's own fault document
	Recode func([]byte) []byte // into the charset the answer does not claim
	Idle   func(Kind)          // writes the journal: read, but a fault kept it from acting
}

// Play ends the exchange as the script wants it.
func (s *Script) Play(w http.ResponseWriter, r *http.Request, x Exchange) {
	if !s.Wait(x.Latency) {
		return
	}
	strike := s.Strike(x.Key, x.Operation)
	switch kind := strike.Kind; kind {
	case "", DuplicateAnswer:
		send(w, x.Act(kind))
	case Slow:
		if s.Wait(strike.Delay.Or(10 * time.Second)) {
			send(w, x.Act(kind))
		}
	case Hang:
		x.Idle(kind)
		s.Hold(r.Context(), strike)
		cut(w)
	case CutBefore:
		x.Idle(kind)
		cut(w)
	case CommitThenHang:
		x.Act(kind)
		s.Hold(r.Context(), strike)
		cut(w)
	case CutAfterCommit:
		x.Act(kind)
		cut(w)
	case CutThenCommitLater:
		cut(w)
		s.Later(strike.Delay.Or(10*time.Second), func() { x.Act(kind) })
	case HTTP500:
		x.Idle(kind)
		send(w, Answer{Status: 500, Type: "text/html; charset=utf-8",
			Body: []byte("<html><head><title>500</title></head><body><h1>500 Internal Server Error</h1></body></html>")})
	case SoapFault:
		x.Idle(kind)
		send(w, x.Crash())
	case Garbled:
		answer := x.Act(kind)
		answer.Body = s.Scramble(len(answer.Body))
		send(w, answer)
	case Truncated:
		half(w, x.Act(kind))
	case WrongCharset:
		answer := x.Act(kind)
		answer.Body = x.Recode(answer.Body)
		send(w, answer)
	case Busy:
		x.Idle(kind)
		if strike.Delay > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(time.Duration(strike.Delay).Round(time.Second)/time.Second)))
		}
		send(w, x.Busy())
	case Reject:
		x.Idle(kind)
		send(w, x.Reject())
	}
}

func send(w http.ResponseWriter, a Answer) {
	w.Header().Set("Content-Type", a.Type)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	_, _ = w.Write(a.Body)
}

// half promises the whole body and breaks off in the middle.
func half(w http.ResponseWriter, a Answer) {
	w.Header().Set("Content-Type", a.Type)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	_, _ = w.Write(a.Body[:len(a.Body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// cut ends the connection of a request without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	Reset(conn)
}

// ReadBody reads a request of at most 4 MiB.
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, 4<<20)
	if r.ContentLength > 0 && r.ContentLength <= 4<<20 { // one allocation for the common case
		whole := make([]byte, r.ContentLength)
		_, err := io.ReadFull(body, whole)
		return whole, err
	}
	return io.ReadAll(body)
}

// Idle is an Exchange's Idle for a journal whose notes are an effect and the fault.
func Idle(note func(effect string, kind Kind)) func(Kind) {
	return func(kind Kind) {
		switch kind {
		case Busy:
			note("busy", kind)
		case Reject:
			note("refused: "+RejectWords, kind)
		default:
			note("none", kind)
		}
	}
}
