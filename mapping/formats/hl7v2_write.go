package formats

import (
	"fmt"
	"strconv"
	"strings"

	"hishub/core"
)

type hl7v2Writer struct {
	format *hl7v2Format
	out    []byte
	d      delimiters
	begun  bool
}

func (w *hl7v2Writer) segments(tree core.Tree, depth int) *Error {
	for _, f := range tree {
		if _, err := w.segment(f, depth); err != nil {
			return err.under(strings.ToValidUTF8(f.Name, "\ufffd"))
		}
	}
	return nil
}

// segment writes a segment, or one for each item of a list, and the segments
// that each of them holds.
func (w *hl7v2Writer) segment(f core.Field, depth int) (int, *Error) {
	list, ok := f.Value.(core.List)
	if !ok {
		return 1, w.one(f.Name, f.Value, depth)
	}
	for i, item := range list {
		if err := w.one(f.Name, item, depth); err != nil {
			return 0, err.underItem(i)
		}
	}
	return len(list), nil
}

func (w *hl7v2Writer) one(name string, v core.Value, depth int) *Error {
	tree, ok := v.(core.Tree)
	switch {
	case !isSegment(name):
		return wrong("is not the name of a segment: three capitals, as PID or ZPA")
	case v != nil && !ok:
		return wrong("is a segment: it wants a map from position to field")
	case depth > MaxDepth:
		return wrong(fmt.Sprintf("is nested deeper than %d", MaxDepth))
	}
	fields, inner := core.Tree{}, core.Tree{}
	for _, f := range tree {
		if isSegment(f.Name) {
			inner = append(inner, f)
		} else {
			fields = append(fields, f)
		}
	}
	positions, err := positionsOf(fields)
	if err != nil {
		return err
	}
	w.out = append(w.out, name...)
	first := 1
	switch {
	case isHeader(name):
		if positions, err = w.header(positions); err != nil {
			return err
		}
		first = 3
	case !w.begun:
		return wrong("stands before MSH, which says what the delimiters are")
	}
	for i := first; i < len(positions); i++ {
		w.out = append(w.out, w.d.field)
		if err := w.field(positions[i]); err != nil {
			return err.under(strconv.Itoa(i))
		}
	}
	w.out = append(w.out, w.format.terminator...)
	return w.segments(inner, depth+1)
}

// header writes positions 1 and 2, and takes the delimiters from them.
func (w *hl7v2Writer) header(positions []core.Value) ([]core.Value, *Error) {
	for len(positions) < 3 {
		positions = append(positions, nil)
	}
	given := [...]string{1: "|", 2: `^~\&`}
	for i := 1; i < len(given); i++ {
		if positions[i] == nil || isWritten(positions[i]) {
			continue
		}
		text, err := leaf(positions[i], "")
		if err != nil {
			return nil, err.under(strconv.Itoa(i))
		}
		if text != "" {
			given[i] = text
		}
	}
	d, err := readDelimiters(given[1], given[2])
	if err != nil {
		return nil, err
	}
	w.d, w.begun = d, true
	w.out = append(append(w.out, given[1]...), given[2]...)
	return positions, nil
}

// positionsOf are the values of a map from number to value, by their number; 0 is
// not used.
func positionsOf(tree core.Tree) ([]core.Value, *Error) {
	positions := []core.Value{nil}
	var given []bool
	for _, f := range tree {
		n, err := strconv.Atoi(f.Name)
		if err != nil || strconv.Itoa(n) != f.Name || n < 1 || n > maxPosition {
			return nil, wrong(fmt.Sprintf("is not a position: a number from 1 to %d", maxPosition)).under(strings.ToValidUTF8(f.Name, "\ufffd"))
		}
		for len(positions) <= n {
			positions = append(positions, nil)
		}
		for len(given) <= n {
			given = append(given, false)
		}
		if given[n] {
			return nil, wrong("is a position that is given twice").under(f.Name)
		}
		positions[n], given[n] = f.Value, true
		if f.Value == nil {
			positions[n] = written{}
		}
	}
	return positions, nil
}

// written is a nil that was given, so that nil_as is written for it.
type written struct{}

func isWritten(v core.Value) bool { _, ok := v.(written); return ok }

func (w *hl7v2Writer) field(v core.Value) *Error {
	list, ok := v.(core.List)
	if !ok {
		return w.parts(v, w.d.component, true)
	}
	for i, item := range list {
		if i > 0 {
			if w.d.repetition == 0 {
				return wrong("repeats, but MSH-2 has no delimiter for that")
			}
			w.out = append(w.out, w.d.repetition)
		}
		if item == nil {
			item = written{}
		}
		if err := w.parts(item, w.d.component, true); err != nil {
			return err.underItem(i)
		}
	}
	return nil
}

// parts writes components, or the subcomponents of one.
func (w *hl7v2Writer) parts(v core.Value, delimiter byte, components bool) *Error {
	tree, ok := v.(core.Tree)
	if !ok || tree.Has(core.TextName) {
		return w.text(v)
	}
	if delimiter == 0 {
		return wrong("has subcomponents, but MSH-2 has no delimiter for them")
	}
	positions, err := positionsOf(tree)
	if err != nil {
		return err
	}
	for i := 1; i < len(positions); i++ {
		if i > 1 {
			w.out = append(w.out, delimiter)
		}
		if components {
			err = w.parts(positions[i], w.d.subcomponent, false)
		} else {
			err = w.text(positions[i])
		}
		if err != nil {
			return err.under(strconv.Itoa(i))
		}
	}
	return nil
}

func (w *hl7v2Writer) text(v core.Value) *Error {
	switch raw := v.(type) {
	case nil:
		return nil
	case written:
		v = nil
	case core.Raw:
		text, err := leaf(raw, "")
		if err == nil && strings.ContainsAny(text, "\r\n") {
			err = wrong("holds a line end, which would end the segment")
		}
		w.out = append(w.out, text...)
		return err
	}
	if tree, ok := v.(core.Tree); ok && tree.Has(core.TextName) {
		v = tree.Get(core.TextName)
	}
	text, err := leaf(v, w.format.nilAs)
	if err != nil {
		return err
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		letter := w.d.letter(c)
		if letter == 0 && c >= ' ' {
			w.out = append(w.out, c)
			continue
		}
		if w.d.escape == 0 {
			return wrong("holds a delimiter or a control character, but MSH-2 has no character to escape it")
		}
		var code string
		switch {
		case letter != 0:
			code = string(letter)
		case c == '\r' || c == '\n':
			code = ".br"
			if c == '\r' && strings.HasPrefix(text[i+1:], "\n") {
				i++
			}
		default:
			code = fmt.Sprintf("X%02X", c)
		}
		for j := range code {
			if w.d.letter(code[j]) != 0 {
				return wrong("needs the escape " + code + ", in which a delimiter of MSH-2 occurs")
			}
		}
		w.out = append(w.out, w.d.escape)
		w.out = append(w.out, code...)
		w.out = append(w.out, w.d.escape)
	}
	return nil
}
