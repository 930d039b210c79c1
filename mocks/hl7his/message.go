package hl7his

import (
	"encoding/hex"
	"errors"
	"strings"
)

// message is HL7 v2 as it came. Segments end with CR, LF or both; the delimiters
// are those that its MSH names.
type message struct {
	field, component, repetition, escape, sub string
	segments                                  []segment
}

// segment is a name and its fields; [1] is the first, and of MSH the delimiter
// itself. Fields are escaped still.
type segment struct {
	of     *message
	fields []string
}

func parse(text string) (*message, error) {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "MSH") || len(lines[0]) < 9 {
		return nil, errors.New("no MSH")
	}
	head := lines[0]
	m := &message{field: head[3:4], component: head[4:5], repetition: head[5:6], escape: head[6:7], sub: head[7:8]}
	for _, line := range lines {
		fields := strings.Split(line, m.field)
		if fields[0] == "MSH" {
			fields = append([]string{"MSH", m.field}, fields[1:]...)
		}
		if len(fields[0]) != 3 {
			return nil, errors.New("a segment without a name")
		}
		m.segments = append(m.segments, segment{m, fields})
	}
	return m, nil
}

// first segment of a name; without fields if there is none.
func (m *message) first(name string) segment {
	for _, s := range m.segments {
		if s.fields[0] == name {
			return s
		}
	}
	return segment{of: m, fields: []string{""}}
}

// groups are the segments that follow each segment of that name, with it first.
func (m *message) groups(name string) (groups [][]segment) {
	for _, s := range m.segments {
		if s.fields[0] == name {
			groups = append(groups, nil)
		}
		if n := len(groups); n > 0 {
			groups[n-1] = append(groups[n-1], s)
		}
	}
	return groups
}

func within(group []segment, name string) segment {
	return (&message{segments: group}).first(name)
}

func (s segment) raw(n int) string {
	if n < len(s.fields) {
		return s.fields[n]
	}
	return ""
}

// text of a field's first repetition: the component, and of that the subcomponent.
func (s segment) text(n int, part ...int) string { return s.pick(s.raw(n), part...) }

func (s segment) pick(field string, part ...int) string {
	if s.of == nil || field == "" {
		return ""
	}
	field, _, _ = strings.Cut(field, s.of.repetition)
	nth := func(text, by string, n int) string {
		if all := strings.Split(text, by); n <= len(all) {
			return all[n-1]
		}
		return ""
	}
	part = append(part, 1, 1)
	return s.of.unescape(nth(nth(field, s.of.component, part[0]), s.of.sub, part[1]))
}

// each repetition of a field.
func (s segment) each(n int) []string {
	if s.raw(n) == "" {
		return nil
	}
	return strings.Split(s.raw(n), s.of.repetition)
}

// typed is the first component of the repetition whose fifth names that type, as
// identifiers of PID-3 have it.
func (s segment) typed(n int, kind string) string {
	for _, r := range s.each(n) {
		if s.pick(r, 5) == kind {
			return s.pick(r)
		}
	}
	return ""
}

func (m *message) unescape(text string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, m.escape)
		out.WriteString(before)
		word, after, closed := strings.Cut(rest, m.escape)
		if !found || !closed {
			out.WriteString(rest)
			return out.String()
		}
		switch {
		case word == "F":
			out.WriteString(m.field)
		case word == "S":
			out.WriteString(m.component)
		case word == "R":
			out.WriteString(m.repetition)
		case word == "E":
			out.WriteString(m.escape)
		case word == "T":
			out.WriteString(m.sub)
		case word == ".br":
			out.WriteByte('\n')
		case strings.HasPrefix(word, "X"):
			b, _ := hex.DecodeString(word[1:])
			out.Write(b)
		}
		text = after
	}
}

var escaping = strings.NewReplacer(`\`, `\E\`, `|`, `\F\`, `^`, `\S\`, `~`, `\R\`, `&`, `\T\`, "\r\n", `\.br\`, "\r", `\.br\`, "\n", `\.br\`)

// parts is a field that is written as it stands: its components are escaped
// already.
type parts string

func components(texts ...string) parts {
	for i := range texts {
		texts[i] = escaping.Replace(texts[i])
	}
	return parts(strings.Join(texts, "^"))
}

func repetitions(all ...parts) parts {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = string(p)
	}
	return parts(strings.Join(texts, "~"))
}

// line is a segment: texts are escaped, parts are not.
func line(name string, fields ...any) string {
	out := name
	for _, f := range fields {
		out += "|"
		switch f := f.(type) {
		case parts:
			out += string(f)
		case string:
			out += escaping.Replace(f)
		}
	}
	return strings.TrimRight(out, "|")
}
