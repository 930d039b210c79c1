package dbproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// question is what a caller sends before it waits for an answer.
type question struct {
	bytes []byte
	sql   []string // the statements it executes
	data  []byte   // where the business key is to be looked for
}

// asking reads questions from a caller.
type asking interface{ next() (question, error) }

// maxFrame bounds one frame of either protocol.
const maxFrame = 32 << 20

// postgresAsking reads the frontend side of PostgreSQL's protocol, version 3.
type postgresAsking struct {
	in       *bufio.Reader
	started  bool
	prepared map[string]string // statement name -> SQL
}

func (a *postgresAsking) next() (question, error) {
	if !a.started {
		return a.startup()
	}
	var q question
	for {
		head, err := a.in.Peek(5)
		if err != nil {
			return q, err
		}
		kind, size := head[0], int(binary.BigEndian.Uint32(head[1:]))
		if size < 4 || size > maxFrame {
			return q, errors.New("frame out of bounds")
		}
		frame := make([]byte, 1+size)
		if _, err := io.ReadFull(a.in, frame); err != nil {
			return q, err
		}
		q.bytes = append(q.bytes, frame...)
		body := frame[5:]
		switch kind {
		case 'P': // Parse: name, SQL
			name, rest := cstring(body)
			a.prepared[name], _ = cstring(rest)
		case 'B': // Bind: portal, statement; what is bound is executed
			_, rest := cstring(body)
			name, values := cstring(rest)
			q.sql = append(q.sql, a.prepared[name])
			q.data = append(q.data, values...)
		case 'Q': // simple query
			text, _ := cstring(body)
			q.sql, q.data = append(q.sql, text), append(q.data, body...)
			return q, nil
		case 'E', 'D', 'C': // more of the same batch follows
		default: // Sync ends a batch; the rest stands alone
			return q, nil
		}
	}
}

// startup passes the frames that have no type: TLS request, cancel, startup.
func (a *postgresAsking) startup() (question, error) {
	head, err := a.in.Peek(8)
	if err != nil {
		return question{}, err
	}
	size, code := int(binary.BigEndian.Uint32(head)), binary.BigEndian.Uint32(head[4:])
	if size < 8 || size > 1<<16 {
		return question{}, errors.New("frame out of bounds")
	}
	frame := make([]byte, size)
	_, err = io.ReadFull(a.in, frame)
	const tls, gss = 80877103, 80877104 // requests, answered with one byte; startup comes again
	if code != tls && code != gss {
		a.started, a.prepared = true, map[string]string{}
	}
	return question{bytes: frame}, err
}

func cstring(b []byte) (string, []byte) {
	text, rest, _ := bytes.Cut(b, []byte{0})
	return string(text), rest
}

// mysqlAsking reads the client side of MariaDB's protocol.
type mysqlAsking struct {
	in      *bufio.Reader
	answers *answers // tells the numbers of prepared statements
}

func (a *mysqlAsking) next() (question, error) {
	head, err := a.in.Peek(4)
	if err != nil {
		return question{}, err
	}
	size, serial := int(head[0])|int(head[1])<<8|int(head[2])<<16, head[3]
	frame := make([]byte, 4+size)
	if _, err := io.ReadFull(a.in, frame); err != nil {
		return question{}, err
	}
	q := question{bytes: frame}
	body := frame[4:]
	if serial != 0 || len(body) == 0 { // the login
		return q, nil
	}
	const query, prepare, execute = 0x03, 0x16, 0x17
	switch body[0] {
	case query:
		q.sql, q.data = []string{string(body[1:])}, body[1:]
	case prepare:
		a.answers.prepare(string(body[1:]))
	case execute:
		if len(body) >= 5 {
			q.sql, q.data = []string{a.answers.statement(binary.LittleEndian.Uint32(body[1:]))}, body[5:]
		}
	}
	return q, nil
}

// unit of work: what a caller did since the last point where it became durable.
type unit struct {
	names       []string
	transaction bool
	operations  []string
	raw         []byte
}

// add takes a question in and reports whether it makes the unit durable: a COMMIT,
// or a statement on one of the hospital's names outside a transaction.
func (u *unit) add(q question) (point bool) {
	for _, statement := range q.sql {
		statement = strings.ToLower(strings.TrimSpace(statement))
		switch {
		case strings.HasPrefix(statement, "begin"), strings.HasPrefix(statement, "start transaction"):
			*u = unit{names: u.names, transaction: true}
		case strings.HasPrefix(statement, "rollback") && !strings.Contains(statement, " to "):
			*u = unit{names: u.names}
		case strings.HasPrefix(statement, "commit"):
			u.transaction = false
			point = len(u.operations) > 0
		default:
			found := u.name(statement)
			point = point || found && !u.transaction
		}
	}
	if len(u.operations) > 0 && len(u.raw) < 1<<20 {
		u.raw = append(u.raw, q.data...)
	}
	return point
}

func (u *unit) name(statement string) (found bool) {
	for _, name := range u.names {
		if mentions(statement, name) {
			u.operations = append(u.operations, name)
			found = true
		}
	}
	return found
}

// mentions reports whether name stands in the statement as a whole word.
func mentions(statement, name string) bool {
	for {
		before, after, found := strings.Cut(statement, name)
		if !found {
			return false
		}
		if !endsInWord(before) && !beginsWithWord(after) {
			return true
		}
		statement = after
	}
}

func beginsWithWord(s string) bool { return s != "" && wordByte(s[0]) }
func endsInWord(s string) bool     { return s != "" && wordByte(s[len(s)-1]) }

func wordByte(c byte) bool { return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' }

// take gives the finished unit and begins the next.
func (u *unit) take() unit {
	done := *u
	*u = unit{names: u.names}
	return done
}
