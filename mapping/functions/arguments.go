package functions

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"hishub/core"
)

// arguments reads what a function was called with. The first thing that is
// wrong stays in err and the readers go on with zero values, so that a function
// reads as one line; define reports err.
type arguments struct {
	values []any
	err    error
}

func (in *arguments) wrong(err error) {
	if in.err == nil {
		in.err = err
	}
}

func (in *arguments) at(i int) any {
	if i >= len(in.values) {
		in.wrong(errors.New("not enough arguments"))
		return nil
	}
	return in.values[i]
}

// text is "" for nil.
func (in *arguments) text(i int) string {
	text, err := plain(in.at(i))
	if err != nil {
		in.wrong(err)
	}
	return text
}

// texts are the arguments from i on.
func (in *arguments) texts(i int) []string {
	var texts []string
	for ; i < len(in.values); i++ {
		texts = append(texts, in.text(i))
	}
	return texts
}

func (in *arguments) int(i int) int {
	switch v := in.at(i).(type) {
	case int:
		return v
	case nil:
		in.wrong(errors.New("takes a whole number, but there is none"))
	default:
		in.wrong(unfit("a whole number", v))
	}
	return 0
}

func (in *arguments) money(i int) core.Fen {
	switch v := in.at(i).(type) {
	case core.Fen:
		return v
	case nil:
		in.wrong(errors.New("takes money, but there is none"))
	default:
		in.wrong(unfit("money", v))
	}
	return 0
}

// time refuses the zero time: it is an optional field that nobody set.
func (in *arguments) time(i int) time.Time {
	switch v := in.at(i).(type) {
	case time.Time:
		if v.IsZero() {
			in.wrong(errors.New("takes a time, but there is none"))
		}
		return v
	case nil:
		in.wrong(errors.New("takes a time, but there is none"))
	default:
		in.wrong(unfit("a time", v))
	}
	return time.Time{}
}

// data is bytes as they are and text in UTF-8.
func (in *arguments) data(i int) []byte {
	if b, ok := in.at(i).([]byte); ok {
		return b
	}
	return []byte(in.text(i))
}

// bytes refuses text: what was sealed is never text, somebody forgot to decode it.
func (in *arguments) bytes(i int) []byte {
	switch v := in.at(i).(type) {
	case []byte:
		return v
	default:
		in.wrong(fmt.Errorf("%w; write from_base64(...) or from_hex(...)", unfit("bytes", v)))
	}
	return nil
}

func (in *arguments) tree(i int) core.Tree {
	switch v := in.at(i).(type) {
	case core.Tree:
		return v
	case nil:
		return nil
	default:
		in.wrong(unfit("a tree", v))
	}
	return nil
}

func (in *arguments) list(i int) []any { return listed(in.at(i)) }

// listed makes one, none or many into a list.
func listed(v any) []any {
	switch v := v.(type) {
	case nil:
		return []any{}
	case []any:
		return v
	case core.List:
		return v
	case core.Tree, []byte:
		return []any{v}
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Slice {
		return []any{v}
	}
	list := make([]any, rv.Len())
	for i := range list {
		list[i] = rv.Index(i).Interface()
	}
	return list
}

// Text is the text of a value of an expression: "" for nil, the spelling of
// texts, of whole numbers and of true and false, bytes that are valid UTF-8, the
// text of a tree that has one. Money and time have no spelling of their own and
// are refused, so are lists and trees without text.
func Text(v any) (string, error) {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case []byte:
		if !utf8.Valid(v) {
			return "", errors.New("the bytes are not UTF-8 text; write from_gb18030(...), base64(...) or hex(...)")
		}
		return string(v), nil
	}
	return plain(v)
}

// plain is the text of what is text already.
func plain(v any) (string, error) {
	if text, ok := core.Text(v); ok {
		return text, nil
	}
	if _, isTree := v.(core.Tree); isTree {
		return "", errors.New("takes text, not a tree with children")
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.String { // enumerations
		return rv.String(), nil
	}
	return "", unfit("text", v)
}

// unfit names kinds, never values.
func unfit(wanted string, v any) error {
	if v == nil {
		return fmt.Errorf("takes %s, but there is none", wanted)
	}
	t := reflect.TypeOf(v)
	return fmt.Errorf("takes %s, not %s%s", wanted, kindName(t), cure(wanted, t))
}
