package api

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// quick reads JSON into a value and checks it against the value's schema in one
// pass. It gives up at whatever is not plainly right, or not plainly written: an
// escape in a text, a null, a name twice. What it gives up is read the long way, by
// encoding/json and huma, which say what is wrong or find that nothing is. So it
// must only never take what they would refuse or read otherwise (FuzzQuick).
type quick func(c *cursor, to reflect.Value) bool

// cursor is a place in a text.
type cursor struct {
	text string
	at   int
}

// read reads all of data. After false, the value holds anything.
func (q quick) read(data []byte, to reflect.Value) bool {
	if !utf8.Valid(data) { // encoding/json would mend it
		return false
	}
	c := cursor{text: string(data)} // one copy, of which all texts are parts
	return q(&c, to) && c.end()
}

// compile makes the reader of a type from its schema; nil when something in it is
// not among what quick knows.
func compile(t reflect.Type, s *huma.Schema, r huma.Registry) quick {
	for s.Ref != "" {
		s = r.SchemaFromRef(s.Ref)
	}
	if s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil || s.Default != nil || s.Pattern != "" || s.MultipleOf != nil ||
		s.ExclusiveMinimum != nil || s.ExclusiveMaximum != nil || s.UniqueItems || s.ContentEncoding != "" || s.MinProperties != nil ||
		s.MaxProperties != nil || len(s.DependentRequired) > 0 || s.Discriminator != nil {
		return nil
	}
	if t == reflect.TypeFor[time.Time]() {
		if s.Type != huma.TypeString || s.Format != "date-time" || s.Enum != nil || s.MinLength != nil || s.MaxLength != nil {
			return nil
		}
		return instant
	}
	if p := reflect.PointerTo(t); p.Implements(reflect.TypeFor[interface{ UnmarshalJSON([]byte) error }]()) || p.Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
		return nil
	}
	if s.Enum != nil && t.Kind() != reflect.String {
		return nil
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return pointer(compile(t.Elem(), s, r))
	case t.Kind() == reflect.String && s.Type == huma.TypeString && s.Format == "":
		return text(s)
	case (t.Kind() == reflect.Int || t.Kind() == reflect.Int64) && s.Type == huma.TypeInteger:
		return integer(s)
	case t.Kind() == reflect.Bool && s.Type == huma.TypeBoolean:
		return boolean
	case t.Kind() == reflect.Slice && s.Type == huma.TypeArray:
		return array(s, compile(t.Elem(), s.Items, r))
	case t.Kind() == reflect.Struct && s.Type == huma.TypeObject && s.AdditionalProperties == false:
		return object(t, s, r)
	}
	return nil
}

// field of an object.
type field struct {
	index int
	read  quick
}

func object(t reflect.Type, s *huma.Schema, r huma.Registry) quick {
	fields := map[string]field{}
	var required uint64
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := s.Properties[name]
		if f.Anonymous || !f.IsExported() || p == nil || p.ReadOnly || options != "" && options != "omitempty" && options != "omitzero" || i >= 64 {
			return nil
		}
		read := compile(f.Type, p, r)
		if read == nil {
			return nil
		}
		if slices.Contains(s.Required, name) {
			required |= 1 << i
		}
		fields[name] = field{i, read}
	}
	if len(fields) != t.NumField() || len(fields) != len(s.Properties) {
		return nil
	}
	return func(c *cursor, to reflect.Value) bool {
		var seen uint64
		if !c.take('{') {
			return false
		}
		for first := true; ; first = false {
			if first && c.take('}') {
				break
			}
			name, ok := c.word()
			if !ok || !c.take(':') {
				return false
			}
			f, known := fields[name]
			if bit := uint64(1) << f.index; !known || seen&bit != 0 || !f.read(c, to.Field(f.index)) {
				return false
			} else {
				seen |= bit
			}
			if c.take('}') {
				break
			}
			if !c.take(',') {
				return false
			}
		}
		return seen&required == required
	}
}

func array(s *huma.Schema, read quick) quick {
	if read == nil {
		return nil
	}
	least, most := bounds(s.MinItems, s.MaxItems)
	return func(c *cursor, to reflect.Value) bool {
		if !c.take('[') {
			return false
		}
		to.Set(reflect.MakeSlice(to.Type(), 0, 4)) // an empty one is not nil
		n := 0
		for ; ; n++ {
			if n == 0 && c.take(']') {
				break
			}
			if n == most {
				return false
			}
			if n == to.Cap() {
				to.Grow(1)
			}
			to.SetLen(n + 1)
			if !read(c, to.Index(n)) {
				return false
			}
			if c.take(']') {
				n++
				break
			}
			if !c.take(',') {
				return false
			}
		}
		return n >= least
	}
}

func pointer(read quick) quick {
	if read == nil {
		return nil
	}
	return func(c *cursor, to reflect.Value) bool {
		to.Set(reflect.New(to.Type().Elem()))
		return read(c, to.Elem())
	}
}

func text(s *huma.Schema) quick {
	least, most := bounds(s.MinLength, s.MaxLength)
	var of []string
	for _, e := range s.Enum {
		word, ok := e.(string)
		if !ok {
			return nil
		}
		of = append(of, word)
	}
	return func(c *cursor, to reflect.Value) bool {
		word, ok := c.word()
		if !ok || len(word) > most && utf8.RuneCountInString(word) > most || least > 0 && utf8.RuneCountInString(word) < least {
			return false
		}
		if of != nil && !slices.Contains(of, word) {
			return false
		}
		to.SetString(word)
		return true
	}
}

func integer(s *huma.Schema) quick {
	least, most := math.Inf(-1), math.Inf(1)
	if s.Minimum != nil {
		least = *s.Minimum
	}
	if s.Maximum != nil {
		most = *s.Maximum
	}
	return func(c *cursor, to reflect.Value) bool {
		n, ok := c.integer()
		if !ok || float64(n) < least || float64(n) > most {
			return false
		}
		to.SetInt(n)
		return true
	}
}

func boolean(c *cursor, to reflect.Value) bool {
	c.skip()
	for word, value := range map[string]bool{"true": true, "false": false} {
		if strings.HasPrefix(c.text[c.at:], word) {
			c.at += len(word)
			to.SetBool(value)
			return true
		}
	}
	return false
}

func instant(c *cursor, to reflect.Value) bool {
	word, ok := c.word()
	if !ok {
		return false
	}
	t, _ := to.Addr().Interface().(*time.Time)
	return t.UnmarshalText([]byte(word)) == nil
}

func bounds(least, most *int) (int, int) {
	a, b := 0, math.MaxInt
	if least != nil {
		a = *least
	}
	if most != nil {
		b = *most
	}
	return a, b
}

func (c *cursor) skip() {
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return
		}
	}
}

func (c *cursor) end() bool {
	c.skip()
	return c.at == len(c.text)
}

func (c *cursor) take(sign byte) bool {
	if c.skip(); c.at == len(c.text) || c.text[c.at] != sign {
		return false
	}
	c.at++
	return true
}

// word is a text without escapes.
func (c *cursor) word() (string, bool) {
	if !c.take('"') {
		return "", false
	}
	for i := c.at; i < len(c.text); i++ {
		switch b := c.text[i]; {
		case b == '"':
			word := c.text[c.at:i]
			c.at = i + 1
			return word, true
		case b == '\\' || b < ' ':
			return "", false
		}
	}
	return "", false
}

// integer has up to 15 digits, which a float64 holds exactly.
func (c *cursor) integer() (n int64, ok bool) {
	c.skip()
	i, sign := c.at, int64(1)
	if i < len(c.text) && c.text[i] == '-' {
		sign, i = -1, i+1
	}
	from := i
	for ; i < len(c.text) && c.text[i] >= '0' && c.text[i] <= '9'; i++ {
		n = 10*n + int64(c.text[i]-'0')
		if i-from == 15 {
			return 0, false
		}
	}
	if i == from || c.text[from] == '0' && i > from+1 {
		return 0, false
	}
	// A fraction or an exponent is no sign that may follow, so it ends the reading.
	c.at = i
	return sign * n, true
}
