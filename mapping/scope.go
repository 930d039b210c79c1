package mapping

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/checker/nature"
	"github.com/expr-lang/expr/conf"

	"hishub/core"
	"hishub/mapping/functions"
)

// scope is the names that are visible in a cell.
type scope struct {
	unit  *unit
	names map[string]binding
	// hidden names exist, but not here; the text says why.
	hidden map[string]string
}

// binding is what a name stands for.
type binding struct {
	typ  reflect.Type // nil: a tree or a leaf, known only at run time
	slot int          // where its value is computed; -1: a variable of the environment
	// members make it a group of names, as const: only its members have values.
	members map[string]member
	hidden  map[string]string // members that exist, but not here
}

// member of a group of names.
type member struct {
	typ      reflect.Type
	constant string // its value, where typ is text and eval is nil
	eval     func(*run) (any, error)
}

const runName = "·run" // nobody can write this name

func newScope(u *unit) *scope {
	return &scope{unit: u, names: map[string]binding{}, hidden: map[string]string{}}
}

// with is the scope with one more name.
func (s *scope) with(name string, b binding) *scope {
	out := &scope{unit: s.unit, names: maps.Clone(s.names), hidden: s.hidden}
	out.names[name] = b
	return out
}

// hiding is the scope without a name, and why.
func (s *scope) hiding(name, why string) *scope {
	out := &scope{unit: s.unit, names: maps.Clone(s.names), hidden: maps.Clone(s.hidden)}
	delete(out.names, name)
	out.hidden[name] = why
	return out
}

func (s *scope) visible() []string { return slices.Collect(maps.Keys(s.names)) }

var identifier = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)

// define checks the name of a let or of a list's item.
func (s *scope) definable(n *node, name string) bool {
	found := s.unit.folder
	if !identifier.MatchString(name) {
		found.mistake(n.pos, "use letters, digits and _", "%q cannot be a name", name)
		return false
	}
	if _, ok := s.names[name]; ok {
		found.mistake(n.pos, "choose another", "the name %q is taken", name)
		return false
	}
	if slices.Contains(reserved, name) || s.unit.folder.words[name] {
		found.mistake(n.pos, "choose another name", "%q is a word of the expression language", name)
		return false
	}
	return true
}

var reserved = []string{"absent", "nil", "true", "false", "if", "else", "let", "in", "not", "and", "or", "contains", "startsWith", "endsWith", "matches",
	"map", "filter", "all", "any", "none", "one", "count", "find", "concat", "uniq", "take", "reverse", "sum", "groupBy", "sortBy", "reduce", "len",
	"answer", "body", "wire", "call", "with", "page", "result", "const", "secret", "session", "captured", "message", "attempt", thisMessage}

// conf is the closed environment of the scope for the compiler of one
// expression; what walks the expression keeps state in it.
func (s *scope) conf() *conf.Config {
	c := conf.CreateNew()
	for _, option := range s.unit.folder.language {
		option(c)
	}
	for name := range c.Disabled {
		delete(c.Builtins, name)
	}
	env := c.NtCache.FromType(reflect.TypeFor[map[string]any]())
	env.TypeData = &nature.TypeData{Fields: map[string]nature.Nature{runName: {}}}
	env.Strict = true
	for name, b := range s.names {
		env.TypeData.Fields[name] = c.NtCache.FromType(b.typ)
	}
	c.Env, c.Strict = env, true
	return c
}

// The names of the functions that the rewriting of an expression puts in.
const (
	slotName   = "·"
	slotCall   = "·slot"
	getCall    = "·get"
	leafCall   = "·leaf"
	wordCall   = "·word"
	nothing    = "·nil"
	absentCall = "·absent"
	codeCall   = "·code"
	readCall   = "·read"
)

var machinery = []expr.Option{
	expr.Function(slotCall, func(args ...any) (any, error) { return args[0].(*run).slot(args[1].(int)) }),
	expr.Function(getCall, func(args ...any) (any, error) { return get(args[0], args[1]) }),
	expr.Function(leafCall, func(args ...any) (any, error) { return leaf(args[0]), nil }),
	expr.Function(wordCall, func(args ...any) (any, error) { return word(args[0]) }, new(func(any) string)),
	expr.Function(nothing, func(...any) (any, error) { return nil, nil }),
	expr.Function(absentCall, func(...any) (any, error) { return absent, nil }),
	// Resolved while rewriting; they are here so that their arguments get types.
	expr.Function("code", func(...any) (any, error) { return nil, nil }),
	expr.Function("from_code", func(...any) (any, error) { return nil, nil }),
	expr.Function(readCall, func(args ...any) (any, error) {
		f := args[1].(*namedFormat)
		return args[0].(*run).read(f.name, f.textFormat, args[2])
	}),
	expr.Function(codeCall, func(args ...any) (any, error) { return args[0].(*run).code(args[1].(*lookup), args[2], args[3]) }),
}

// get walks into a tree: nil-safe, and strict only where a name is asked of
// several repetitions, which is always a thinking error.
func get(v, key any) (any, error) {
	if i, ok := key.(int); ok {
		// A position of HL7, or of a record without names; anything else has none
		// and counts repetitions.
		if t, ok := v.(core.Tree); ok && i > 0 && t.Has(strconv.Itoa(i)) {
			return t.Get(strconv.Itoa(i)), nil
		}
		return item(v, i), nil
	}
	name, err := functions.Text(key)
	if err != nil {
		return nil, fmt.Errorf("a name in [...]: %w", err)
	}
	for {
		switch t := v.(type) {
		case core.Tree:
			return t.Get(name), nil
		case core.List:
			if len(t) > 1 {
				return nil, fmt.Errorf("%q is asked of %d repetitions; use list(...), first(...) or $each", name, len(t))
			}
			if len(t) == 0 {
				return nil, nil
			}
			v = t[0]
			continue
		case []any:
			v = core.List(t)
			continue
		}
		return ofRecord(v, name)
	}
}

// ofRecord reads a record that lost its type on the way, as the items of group(...)
// do: nil of a name that it has not would be data lost in silence.
func ofRecord(v any, name string) (any, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if rv.Kind() != reflect.Struct || rv.Type() == timeType {
		return nil, nil
	}
	for i := range rv.NumField() {
		tag := rv.Type().Field(i).Tag
		if known, _, _ := strings.Cut(tag.Get("json"), ","); known == name || tag.Get("expr") == name {
			return rv.Field(i).Interface(), nil
		}
	}
	return nil, fmt.Errorf("a record has no %q", name)
}

// item is the i-th repetition; what occurs once is its own first.
func item(v any, i int) any {
	var list []any
	switch t := v.(type) {
	case core.List:
		list = t
	case []any:
		list = t
	case []string:
		list = make([]any, len(t))
		for j := range t {
			list[j] = t[j]
		}
	case nil:
		return nil
	default:
		if i == 0 || i == -1 {
			return v
		}
		return nil
	}
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

// leaf is the text of an element that also has attributes, and of what was made
// for writing; anything else is itself.
func leaf(v any) any {
	switch t := v.(type) {
	case core.Tree:
		if text, ok := core.Text(t); ok && t.Has(core.TextName) {
			return text
		}
	case core.Token, core.CData, core.Raw:
		text, _ := core.Text(t)
		return text
	}
	return v
}

// word is the text of a leaf for contains, startsWith, endsWith and matches: ""
// for nil.
func word(v any) (string, error) {
	text, ok := core.Text(v)
	if ok {
		return text, nil
	}
	if _, isList := v.(core.List); isList {
		return "", fmt.Errorf("text is asked of several repetitions; use first(...) or any(...)")
	}
	return "", fmt.Errorf("text is asked of a tree")
}
