package formats

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"hishub/core"
)

const bom = "\ufeff"

// leaf is the text of a value that cannot have children.
func leaf(v core.Value, nilAs string) (string, *Error) {
	var text string
	switch v := v.(type) {
	case nil:
		return nilAs, nil
	case string:
		text = v
	case core.Token:
		text = string(v)
	case core.CData:
		text = string(v)
	case core.Raw:
		text = string(v)
	case core.List:
		return "", wrong("is a list, but only one text can stand here")
	case core.Tree:
		return "", wrong("has children, but only text can stand here")
	default:
		return "", wrong(fmt.Sprintf("is a %T, which no document can hold", v))
	}
	return text, sound(text)
}

// sound refuses what no format carries: PostgreSQL cannot keep a NUL, and
// invalid UTF-8 would reach the HIS as something nobody wrote.
func sound(text string) *Error {
	if !utf8.ValidString(text) {
		return wrong("is not valid UTF-8")
	}
	if strings.IndexByte(text, 0) >= 0 {
		return wrong("holds a NUL character")
	}
	return nil
}

// readable is sound for a whole text that is about to be read.
func readable(doing, text string) *Error {
	if len(text) > MaxText {
		e := wrong(fmt.Sprintf("the document has %d bytes, the limit is %d", len(text), MaxText))
		e.Doing = doing
		return e
	}
	if !utf8.ValidString(text) {
		i := 0
		for i < len(text) {
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			i += size
		}
		return wrong("the text is not valid UTF-8").at(doing, text, i)
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return wrong("the text holds a NUL character").at(doing, text, i)
	}
	return nil
}

// nulls are the texts that mean nil.
type nulls []string

// value is a text that was read, or nil when it means nil.
func (n nulls) value(text string) core.Value {
	if len(n) > 0 && slices.Contains(n, text) {
		return nil
	}
	return text
}

// isEmpty reports whether drop_empty leaves v out. What cannot be written is not
// empty, so that it is still reported.
func isEmpty(v core.Value) bool {
	text, err := leaf(v, "")
	return err == nil && text == ""
}

// gather puts repeated names into one core.List at the place of the first. It
// works in place and returns the front of fields; no value of them is a list.
func gather(fields []core.Field) []core.Field {
	const few = 16 // up to here looking through the names is faster than a map
	kept := fields[:0]
	var places map[string]int
	for _, f := range fields {
		place := -1
		switch {
		case len(kept) > 0 && kept[len(kept)-1].Name == f.Name:
			place = len(kept) - 1
		case places != nil:
			if p, ok := places[f.Name]; ok {
				place = p
			}
		default:
			place = slices.IndexFunc(kept, func(k core.Field) bool { return k.Name == f.Name })
		}
		if place < 0 {
			kept = append(kept, f)
			if places != nil {
				places[f.Name] = len(kept) - 1
			} else if len(kept) > few {
				places = make(map[string]int, 2*few)
				for i := range kept {
					places[kept[i].Name] = i
				}
			}
			continue
		}
		first := &kept[place]
		if list, ok := first.Value.(core.List); ok {
			first.Value = append(list, f.Value)
		} else {
			first.Value = core.List{first.Value, f.Value}
		}
	}
	return kept
}
