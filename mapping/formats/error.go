package formats

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Error says where in a document something is wrong. It never quotes a value.
type Error struct {
	Doing  string // "read xml", "write json"
	Path   string // Request/Items/Item[2]/Name: repetitions count from 1; "" is the document itself
	Line   int    // when reading, from 1; 0 when writing
	Column int    // in characters, from 1
	Reason string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Doing)
	if e.Line > 0 {
		fmt.Fprintf(&b, ": %d:%d", e.Line, e.Column)
	}
	if e.Path != "" {
		b.WriteString(": " + e.Path)
	}
	return b.String() + ": " + e.Reason
}

func wrong(reason string) *Error { return &Error{Reason: reason} }

// under adds one step to the front of the path while the error travels up, so
// that a document without mistakes pays nothing for its paths.
func (e *Error) under(step string) *Error {
	switch {
	case e == nil:
		return nil
	case e.Path == "" || e.Path[0] == '[':
		e.Path = short(step) + e.Path
	default:
		e.Path = short(step) + "/" + e.Path
	}
	return e
}

// underItem is under for the item of a list; i counts from 0.
func (e *Error) underItem(i int) *Error {
	return e.under("[" + strconv.Itoa(i+1) + "]")
}

// at completes an error met while reading text at byte offset i.
func (e *Error) at(doing, text string, i int) *Error {
	i = min(i, len(text))
	e.Doing = doing
	start := strings.LastIndexByte(text[:i], '\n') + 1
	e.Line = strings.Count(text[:start], "\n") + 1
	e.Column = utf8.RuneCountInString(text[start:i]) + 1
	return e
}

// short bounds a name taken from a foreign document before it goes to a log.
func short(name string) string {
	const most = 60
	if utf8.RuneCountInString(name) <= most {
		return name
	}
	return string([]rune(name)[:most]) + "…"
}
