package functions

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"hishub/core"
)

// hl7Form is how HL7 documents name a part of a message: segment and field, each
// with the number of its repetition from 1 where it repeats, then component and
// subcomponent.
var hl7Form = regexp.MustCompile(`^(?:([A-Z][A-Z0-9]{2})(?:\(([1-9][0-9]{0,4})\))?[-.])?([1-9][0-9]{0,3})(?:\(([1-9][0-9]{0,4})\))?(?:\.([1-9][0-9]{0,3})(?:\.([1-9][0-9]{0,3}))?)?$`)

var errHL7Form = errors.New(`names a part as "PID-5", "PID-5.1", "PID-3(2).4.1", or "5.1" of a segment`)

func hl7() Function {
	f := reader("hl7", `hl7(tree, "PID-5.1") value: a field, component or subcomponent of what from_hl7v2 read; text is its own first part; several repetitions without a number are an error; nil gives nil`, func(in *arguments) (any, error) {
		m := hl7Form.FindStringSubmatch(in.text(1))
		if m == nil {
			return nil, errHL7Form
		}
		var v core.Value = in.tree(0)
		var err error
		if m[1] != "" {
			if v, err = repetition(in.tree(0).Get(m[1]), m[2], m[1]); err != nil {
				return nil, err
			}
		}
		segment, _ := v.(core.Tree) // one without fields has none
		v = segment.Get(m[3])
		if m[4] == "" && m[5] == "" {
			return v, nil // a field is whatever it is, a list of repetitions too
		}
		if v, err = repetition(v, m[4], "field "+m[3]); err != nil {
			return nil, err
		}
		return part(part(v, m[5]), m[6]), nil
	}, new(func(core.Tree, string) any))
	f.literal = func(i int, text string) error {
		if i == 1 && !hl7Form.MatchString(text) {
			return errHL7Form
		}
		return nil
	}
	return f
}

// repetition is the one of that number, from 1; "" is the only one.
func repetition(v core.Value, number, of string) (core.Value, error) {
	list, ok := v.(core.List)
	if !ok {
		list = core.List{v}
	}
	n := 1
	if number == "" && len(list) > 1 {
		return nil, fmt.Errorf("%s occurs %d times; write %s(1), or list(...) and $each", of, len(list), of)
	}
	if number != "" {
		n, _ = strconv.Atoi(number)
	}
	if n > len(list) {
		return nil, nil
	}
	return list[n-1], nil
}

// part is a component or subcomponent; "" is the whole.
func part(v core.Value, number string) core.Value {
	if tree, ok := v.(core.Tree); ok && number != "" {
		return tree.Get(number)
	}
	if number == "" || number == "1" {
		return v
	}
	return nil
}
