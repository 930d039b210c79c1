package formats

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"hishub/core"
)

// hl7v2Reader reads one message or batch. An error leaves i where it was met.
type hl7v2Reader struct {
	forgiving
	format *hl7v2Format
	text   string
	i      int
	d      delimiters
	// open are the groups that are being read, the outermost first; the message
	// itself is open[0].
	open []hl7v2Group
}

// hl7v2Group is a segment with those that belong to it.
type hl7v2Group struct {
	level  int // its place in option groups, from 1
	name   string
	fields []core.Field
}

func (r *hl7v2Reader) message() (core.Value, *Error) {
	r.open = []hl7v2Group{{}}
	if r.format.lenient {
		r.start()
	}
	if r.i == len(r.text) {
		return nil, wrong("the document is empty")
	}
	for r.i < len(r.text) {
		if r.text[r.i] == '\r' || r.text[r.i] == '\n' {
			r.i++
			continue
		}
		if err := r.segment(r.i + r.line(r.text[r.i:])); err != nil {
			return nil, err
		}
	}
	for len(r.open) > 1 {
		r.closeGroup()
	}
	if r.open[0].fields == nil {
		return nil, wrong("the document is empty")
	}
	return core.Tree(gather(r.open[0].fields)), nil
}

// start forgives what stands before the first segment.
func (r *hl7v2Reader) start() {
	if strings.HasPrefix(r.text, bom) {
		r.at(0, "a byte order mark")
		r.i = len(bom)
	}
	rest := strings.TrimLeft(r.text[r.i:], " \t\r\n")
	if begin := len(r.text) - len(rest); strings.Trim(r.text[r.i:begin], "\r\n") != "" {
		r.at(r.i, "blanks before the first segment")
		r.i = begin
	}
}

// line is the length of the segment at the start of text. Lenient, lines that do
// not begin like a segment belong to it.
func (r *hl7v2Reader) line(text string) int {
	field := r.d.field
	if len(text) > 3 && isHeader(strings.ToUpper(text[:3])) {
		field = text[3] // it gives its own
	}
	for begin := 0; ; {
		n := strings.IndexAny(text[begin:], "\r\n")
		if n < 0 {
			return len(text)
		}
		n += begin
		next := n
		for next < len(text) && (text[next] == '\r' || text[next] == '\n') {
			next++
		}
		if !r.format.lenient || next == len(text) || beginsSegment(text[next:], field) {
			return n
		}
		begin = next
	}
}

func beginsSegment(text string, field byte) bool {
	if len(text) < 3 {
		return false
	}
	name := text[:3]
	if isSegment(name) && (isHeader(name) || len(text) == 3 || text[3] == '\r' || text[3] == '\n') {
		return true
	}
	return isSegment(strings.ToUpper(name)) && len(text) > 3 && text[3] == field
}

// segment reads up to the byte offset end and puts the segment where it belongs.
func (r *hl7v2Reader) segment(end int) *Error {
	begin := r.i
	if end-begin < 3 {
		return wrong("a segment must stand here: three capitals, then its fields")
	}
	name := r.text[begin : begin+3]
	if upper := strings.ToUpper(name); r.format.lenient && upper != name && isSegment(upper) {
		r.at(begin, "the name of a segment in lower case")
		name = upper
	}
	switch {
	case !isSegment(name):
		return wrong("a segment must stand here: three capitals, then its fields")
	case !isHeader(name) && r.d.field == 0:
		return wrong("the first segment must be MSH, which says what the delimiters are")
	}
	r.i += 3
	var fields []core.Field
	first := 1
	if isHeader(name) {
		var err *Error
		if fields, err = r.header(end); err != nil {
			return err.under(name)
		}
		first = 3
	}
	switch {
	case r.i == end:
	case r.text[r.i] != r.d.field:
		return wrong("the delimiter of fields must follow the name of a segment").under(name)
	default:
		r.i++
		more, err := r.parts(end, 0, first)
		if err != nil {
			return err.under(name)
		}
		fields = append(fields, more...)
	}
	r.i = end
	r.put(name, fields)
	return nil
}

// header reads positions 1 and 2.
func (r *hl7v2Reader) header(end int) ([]core.Field, *Error) {
	if r.i == end {
		return nil, wrong("the delimiters are missing")
	}
	_, size := utf8.DecodeRuneInString(r.text[r.i:])
	field := r.text[r.i : r.i+size]
	encoding, _, _ := strings.Cut(r.text[r.i+size:end], field)
	d, err := readDelimiters(field, encoding)
	if err != nil {
		return nil, err
	}
	r.d = d
	r.i += size + len(encoding)
	return []core.Field{{Name: "1", Value: field}, {Name: "2", Value: encoding}}, nil
}

// put adds the segment to the group it belongs to, and opens its own.
func (r *hl7v2Reader) put(name string, fields []core.Field) {
	level := 0
	for i, group := range r.format.groups {
		if group == name {
			level = i + 1
		}
	}
	if level > 0 {
		for r.open[len(r.open)-1].level >= level {
			r.closeGroup()
		}
		r.open = append(r.open, hl7v2Group{level, name, fields})
		return
	}
	if isHeader(name) || name == "BTS" || name == "FTS" {
		// A message or batch ends the groups of the one before.
		for batch := r.open[len(r.open)-1].name; len(r.open) > 1 && batch != "BHS" && batch != "FHS"; batch = r.open[len(r.open)-1].name {
			r.closeGroup()
		}
	}
	into := &r.open[len(r.open)-1].fields
	*into = append(*into, core.Field{Name: name, Value: segmentValue(fields)})
}

func segmentValue(fields []core.Field) core.Value {
	if len(fields) == 0 {
		return nil
	}
	return core.Tree(fields)
}

func (r *hl7v2Reader) closeGroup() {
	last := len(r.open) - 1
	g := r.open[last]
	r.open = r.open[:last]
	into := &r.open[last-1].fields
	*into = append(*into, core.Field{Name: g.name, Value: segmentValue(gather(g.fields))})
}

// parts reads the fields of a segment (level 0), the components of a field (1) or
// the subcomponents of a component (2) up to end. Those that are empty are left
// out, but for the last.
func (r *hl7v2Reader) parts(end, level, number int) ([]core.Field, *Error) {
	delimiter := [...]byte{r.d.field, r.d.component, r.d.subcomponent}[level]
	var fields []core.Field
	for ; ; number++ {
		stop := r.until(end, delimiter)
		if number > maxPosition {
			return nil, wrong(fmt.Sprintf("there are more than %d positions", maxPosition))
		}
		var v core.Value
		var err *Error
		last := stop == end
		switch {
		case r.i == stop:
		case level == 0:
			v, err = r.repetitions(stop)
		case level == 1:
			v, err = r.part(stop, 2)
		default:
			v, err = r.leaf(stop)
		}
		if err != nil {
			return nil, err.under(strconv.Itoa(number))
		}
		if v != nil || last {
			fields = append(fields, core.Field{Name: strconv.Itoa(number), Value: v})
		}
		if last {
			return fields, nil
		}
		r.i = stop + 1
	}
}

func (r *hl7v2Reader) until(end int, delimiter byte) int {
	if delimiter == 0 {
		return end
	}
	if n := strings.IndexByte(r.text[r.i:end], delimiter); n >= 0 {
		return r.i + n
	}
	return end
}

func (r *hl7v2Reader) repetitions(end int) (core.Value, *Error) {
	var list core.List
	for {
		stop := r.until(end, r.d.repetition)
		v, err := r.part(stop, 1)
		if err != nil && (list != nil || stop < end) {
			err = err.underItem(len(list))
		}
		if err != nil {
			return nil, err
		}
		if stop == end && list == nil {
			return v, nil
		}
		list = append(list, v)
		if stop == end {
			return list, nil
		}
		r.i = stop + 1
	}
}

// part is the map of components or subcomponents, or the text where there is only
// one of them.
func (r *hl7v2Reader) part(end, level int) (core.Value, *Error) {
	piece := r.text[r.i:end]
	has := func(delimiter byte) bool { return delimiter != 0 && strings.IndexByte(piece, delimiter) >= 0 }
	if !has(r.d.subcomponent) && (level == 2 || !has(r.d.component)) {
		return r.leaf(end)
	}
	fields, err := r.parts(end, level, 1)
	return core.Tree(fields), err
}

// leaf is a text without its escapes; most have none and stay a part of the
// document.
func (r *hl7v2Reader) leaf(end int) (core.Value, *Error) {
	raw := r.text[r.i:end]
	special := "\r\n"
	if r.d.escape != 0 {
		special += string(rune(r.d.escape))
	}
	if !strings.ContainsAny(raw, special) {
		if raw == "" {
			return nil, nil
		}
		return r.format.nulls.value(raw), nil
	}
	var out []byte
	for r.i < end {
		switch c := r.text[r.i]; {
		case c == '\r' || c == '\n':
			r.at(r.i, "a line end in a field")
			if c == '\r' && strings.HasPrefix(r.text[r.i+1:end], "\n") {
				r.i++
			}
			r.i++
			out = append(out, '\n')
		case c == r.d.escape && c != 0:
			n := strings.IndexByte(r.text[r.i+1:end], c)
			known := false
			if n >= 0 {
				out, known = r.escape(out, r.text[r.i+1:r.i+1+n])
			}
			if known {
				r.i += n + 2
				continue
			}
			if !r.format.lenient {
				return nil, wrong("an escape that is not known or does not end; lenient takes it as it stands")
			}
			r.at(r.i, "an escape that is not known or does not end, taken as it stands")
			out = append(out, c)
			r.i++
		default:
			out = append(out, c)
			r.i++
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return r.format.nulls.value(string(out)), nil
}

// escape appends what stands between two escape characters means.
func (r *hl7v2Reader) escape(out []byte, code string) (_ []byte, known bool) {
	if len(code) == 1 {
		if c := r.d.of(code[0]); c != 0 {
			return append(out, c), true
		}
		return out, code == "H" || code == "N"
	}
	if digits, ok := strings.CutPrefix(code, "X"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil || sound(string(b)) != nil {
			return out, false
		}
		return append(out, b...), true
	}
	if len(code) < 3 || code[0] != '.' {
		return out, false
	}
	count := 1
	if number := strings.TrimLeft(code[3:], " +"); number != "" {
		n, err := strconv.Atoi(number)
		if count = n; err != nil || n < -maxPosition || n > maxPosition {
			return out, false
		}
	}
	repeat := func(c string) ([]byte, bool) { return append(out, strings.Repeat(c, max(count, 0))...), true }
	switch code[1:3] {
	case "br", "ce":
		return append(out, '\n'), true
	case "sp":
		return repeat("\n")
	case "sk":
		return repeat(" ")
	case "in", "ti", "fi", "nf":
		return out, true
	}
	return out, false
}
