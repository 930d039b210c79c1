package formats

import (
	"strings"

	"hishub/core"
)

var hl7v2Options = []Option{
	{Name: "terminator", Type: TypeText, Values: []string{"cr", "lf", "crlf"}, Default: "cr", About: "what ends a segment when written; read are all three"},
	{Name: "groups", Type: TypeTexts, About: "segments that open a group, the outer before the inner, as [PID, OBR]: what follows one, up to the next, is read as its children"},
	nilAsOption, nullsOption, lenientOption,
}

// hl7v2Format writes a map of segments, each a map from position to field, in
// order; a list repeats its segment. A field is a text, a map from number to
// component, or a list of those, its repetitions; a component is a text or a map
// from number to subcomponent. A segment may also hold segments: they follow it.
//
//	PID: {3: [{1: "0001", 5: PN}, {1: "0002", 5: NI}], 5: 张三测试}
//
// Positions that are not given are empty; the last one given is written even if
// it is empty, and so is read. Empty ones before it are left out of what is read,
// as walking there gives nil anyway. Only what has more than one component is a
// map: a text is its own first component (see the function hl7).
//
// MSH-1 and MSH-2 are | and ^~\& unless they are given, and give the delimiters
// of what follows; BHS and FHS of a batch likewise. A fifth character of MSH-2 is
// the truncation of version 2.7. Texts are escaped: \F\ \S\ \T\ \R\ \E\ \P\,
// control characters as \Xhh\, any line end as \.br\, which reads as LF. Reading
// knows those, \.sp n\ and \.ce\ (line ends), \.sk n\ (blanks), and drops what
// only formats: \H\ \N\ \.in\ \.ti\ \.fi\ \.nf\. "" (delete, in HL7) is read as
// the text it is; option nulls makes nil of it.
//
// Source: HL7 2.5.1 chapter 2, sections 2.5 to 2.7; 2.7.1 for the truncation.
//
// Lenient takes blanks and a BOM before the first segment, line ends in a field
// (the line does not begin like a segment), escapes that are unknown or do not
// end, as they stand, and segment names in lower case.
type hl7v2Format struct {
	terminator string
	groups     []string
	nilAs      string
	nulls      nulls
	lenient    bool
}

// maxPosition is the highest number of a field, component or subcomponent. The
// standard's longest segment has some 130 fields.
const maxPosition = 1000

func newHL7v2(s settings) (Format, error) {
	f := &hl7v2Format{
		terminator: map[string]string{"cr": "\r", "lf": "\n", "crlf": "\r\n"}[s.text("terminator")],
		groups:     s.texts("groups"),
		nilAs:      s.text("nil_as"),
		nulls:      s.texts("nulls"),
		lenient:    s.flag("lenient"),
	}
	for i, name := range f.groups {
		switch {
		case !isSegment(name):
			return nil, &OptionError{"hl7v2", "groups", "names segments, as PID or ZPA"}
		case i == MaxDepth/2:
			return nil, &OptionError{"hl7v2", "groups", "names too many"}
		}
	}
	return f, nil
}

// isSegment reports whether name is one of a segment: three capitals or digits,
// the first a capital.
func isSegment(name string) bool {
	if len(name) != 3 {
		return false
	}
	for i := range 3 {
		c := name[i]
		if (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isHeader reports whether the segment's first position is the delimiter itself.
func isHeader(segment string) bool { return segment == "MSH" || segment == "BHS" || segment == "FHS" }

// delimiters of one message. A byte that it has not is 0.
type delimiters struct {
	field, component, repetition, escape, subcomponent, truncation byte
}

// readDelimiters takes position 1 and 2 of a header.
func readDelimiters(field, encoding string) (d delimiters, _ *Error) {
	all := field + encoding
	if len(field) != 1 || len(encoding) < 1 || len(encoding) > 5 {
		return d, wrong("1 is one character, 2 are the delimiters of component, repetition, escape and subcomponent, as ^~\\&")
	}
	for i := range len(all) {
		c := all[i]
		plain := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if c <= ' ' || c > '~' || plain || strings.IndexByte(all[:i], c) >= 0 {
			return d, wrong("a delimiter is a punctuation mark that is none of the others")
		}
	}
	all += "\x00\x00\x00\x00"
	return delimiters{all[0], all[1], all[2], all[3], all[4], all[5]}, nil
}

// letter is what stands in an escape for the byte; 0 if it needs none.
func (d *delimiters) letter(c byte) byte {
	switch c {
	case 0:
		return 0
	case d.field:
		return 'F'
	case d.component:
		return 'S'
	case d.repetition:
		return 'R'
	case d.escape:
		return 'E'
	case d.subcomponent:
		return 'T'
	case d.truncation:
		return 'P'
	}
	return 0
}

// of is the byte that the letter of an escape stands for; 0 for none.
func (d *delimiters) of(letter byte) byte {
	switch letter {
	case 'F':
		return d.field
	case 'S':
		return d.component
	case 'R':
		return d.repetition
	case 'E':
		return d.escape
	case 'T':
		return d.subcomponent
	case 'P':
		return d.truncation
	}
	return 0
}

// Write implements Format.
func (f *hl7v2Format) Write(v core.Value) (string, error) {
	tree, ok := v.(core.Tree)
	w := hl7v2Writer{format: f}
	err := wrong("wants a map of segments")
	if ok {
		err = w.segments(tree, 0)
	}
	if err != nil {
		err.Doing = "write hl7v2"
		return "", err
	}
	return string(w.out), nil
}

// Read implements Format.
func (f *hl7v2Format) Read(text string) (core.Value, error) {
	v, _, err := f.ReadForgiving(text)
	return v, err
}

// ReadForgiving implements Format.
func (f *hl7v2Format) ReadForgiving(text string) (core.Value, []string, error) {
	const doing = "read hl7v2"
	if err := readable(doing, text); err != nil {
		return nil, nil, err
	}
	r := hl7v2Reader{format: f, text: text, forgiving: forgiving{text: text}}
	v, err := r.message()
	if err != nil {
		return nil, nil, err.at(doing, text, r.i)
	}
	return v, r.notes, nil
}
