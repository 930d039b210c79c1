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
	e.Doing = doing
	e.Line, e.Column = place(text, i)
	return e
}

// place is line and column of byte offset i. A CR without LF ends a line as well:
// HL7 has no others.
func place(text string, i int) (line, column int) {
	i = min(i, len(text))
	line, start := 1, 0
	for j := range i {
		if text[j] == '\n' || text[j] == '\r' && !strings.HasPrefix(text[j+1:], "\n") {
			line, start = line+1, j+1
		}
	}
	return line, utf8.RuneCountInString(text[start:i]) + 1
}

// forgiving notes what a lenient reader forgave.
type forgiving struct {
	text  string
	notes []string
}

// at notes what was wrong at byte offset i.
func (f *forgiving) at(i int, what string) {
	switch n := len(f.notes); {
	case n < MaxForgiven-1:
		line, column := place(f.text, i)
		f.notes = append(f.notes, fmt.Sprintf("%d:%d: %s", line, column, what))
	case n < MaxForgiven:
		f.notes = append(f.notes, "and more")
	}
}

// short bounds a name taken from a foreign document before it goes to a log.
func short(name string) string {
	const most = 60
	if utf8.RuneCountInString(name) <= most {
		return name
	}
	return string([]rune(name)[:most]) + "…"
}
