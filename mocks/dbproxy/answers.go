package dbproxy

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// answers carries the database's side of a connection to the caller, unless an
// answer is intercepted.
type answers struct {
	to net.Conn

	mu         sync.Mutex
	caught     *interception
	preparing  string // SQL whose statement number comes next
	statements map[uint32]string
}

func (a *answers) copy(from net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !a.pass(buffer[:n]) || err != nil {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.caught != nil {
		a.caught.end()
	}
}

func (a *answers) pass(chunk []byte) bool {
	a.mu.Lock()
	a.learn(chunk)
	caught := a.caught
	a.mu.Unlock()
	if caught != nil {
		caught.add(chunk)
		return true
	}
	_, err := a.to.Write(chunk)
	return err == nil
}

// prepare announces that the next answer numbers this statement.
func (a *answers) prepare(sql string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.preparing = sql
}

// learn reads that number: COM_STMT_PREPARE_OK is 0x00 and four bytes after the head.
func (a *answers) learn(chunk []byte) {
	if a.preparing == "" {
		return
	}
	if len(chunk) >= 9 && chunk[4] == 0 {
		if a.statements == nil {
			a.statements = map[uint32]string{}
		}
		a.statements[binary.LittleEndian.Uint32(chunk[5:])] = a.preparing
	}
	a.preparing = ""
}

func (a *answers) statement(number uint32) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.statements[number]
}

// intercept keeps the next answer from the caller, and all that follow.
func (a *answers) intercept(mysql bool) *interception {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.caught = &interception{mysql: mysql, whole: make(chan struct{})}
	return a.caught
}

// interception gathers one answer.
type interception struct {
	mysql bool

	mu    sync.Mutex
	bytes []byte
	done  bool
	quiet *time.Timer
	whole chan struct{}
}

func (i *interception) add(chunk []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bytes = append(i.bytes, chunk...)
	switch {
	case !i.mysql:
		if ready(i.bytes) {
			i.finish()
		}
	case len(i.bytes) > 4 && (i.bytes[4] == 0x00 || i.bytes[4] == 0xff): // OK or error: one packet
		i.finish()
	case i.quiet == nil: // a result set: its end looks different with each server, so wait for silence
		i.quiet = time.AfterFunc(50*time.Millisecond, i.end)
	}
}

// ready reports whether PostgreSQL's frames end with ReadyForQuery.
func ready(b []byte) bool {
	for len(b) >= 5 {
		size := 1 + int(binary.BigEndian.Uint32(b[1:]))
		if size > len(b) {
			return false
		}
		if b[0] == 'Z' {
			return true
		}
		b = b[size:]
	}
	return false
}

// end finishes with what is there: the database is silent, or has left.
func (i *interception) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.finish()
}

func (i *interception) finish() {
	if !i.done {
		i.done = true
		close(i.whole)
	}
}

func (i *interception) wait() []byte {
	<-i.whole
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.bytes
}
