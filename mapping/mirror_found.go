package mapping

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
	"hishub/mapping/functions"
)

// hearing is one attempt to read a request as what one exchange of the folder
// would have written. What it finds goes into the message as it is found, so that
// parts of cells can be computed from what is known already.
type hearing struct {
	mirror *Mirror
	m      *mapper
	r      *run
	tree   *expressionTree // of the cell that is read now

	// values by path: "payment.order_id", "prescription.items[0].code", "session.token",
	// "attempt.id"; the length of a list under the list's own path.
	values map[string]any
	weak   map[string]bool     // a form of the value that lost something, or one of several
	layout map[string][]string // which parts of a time are known
	bound  map[int]any         // slots whose value stands on the wire
	alias  map[string]string   // names of list items: their paths
	local  map[string]ast.Node // names within an expression
	lost   []lostCell
	right  []string // places of cells that were computed and are what came

	// How well the request fits: literals that are there, children that are
	// missing, children that nobody writes.
	hits, misses, extras int
	depth                int
}

// lostCell is a cell, or a part of one, from which nothing could be learned.
type lostCell struct {
	tree  *expressionTree
	node  ast.Node
	want  any
	alias map[string]string
	local map[string]ast.Node
}

// missing is the value of a child that is not there.
type missing struct{}

var gone = missing{}

// pieces is a time of which only some parts are known.
type pieces struct {
	at    time.Time
	parts []string
}

func (mi *Mirror) listen(m *mapper) *hearing {
	h := &hearing{mirror: mi, m: m, values: map[string]any{}, weak: map[string]bool{}, layout: map[string][]string{},
		bound: map[int]any{}, alias: map[string]string{}, local: map[string]ast.Node{}}
	h.restart()
	return h
}

// restart gives the run a message of what is known, and nothing computed.
func (h *hearing) restart() {
	in := core.Input{Kind: h.m.kind, Captured: map[string]string{}, Session: map[string]string{}}
	if t, ok := core.Lookup(h.m.kind); ok {
		in.Body = t.Body()
	}
	h.r = h.m.start(in)
	for path, v := range h.values {
		h.put(path, v)
	}
	h.forget()
}

// forget drops what was computed, but not what stands on the wire.
func (h *hearing) forget() {
	clear(h.r.slots)
	for i, v := range h.bound {
		h.r.set(i, v)
	}
	h.point()
}

// point lets the names of list items be the items as they are now.
func (h *hearing) point() {
	for name, path := range h.alias {
		if name == "#" {
			continue
		}
		v, ok := h.place(path)
		switch {
		case !ok:
			h.r.env[name] = nil
		case v.Kind() == reflect.Struct && v.CanAddr() && v.Type() != timeType:
			h.r.env[name] = v.Addr().Interface()
		default:
			h.r.env[name] = v.Interface()
		}
	}
}

type memory struct {
	values               map[string]any
	weak                 map[string]bool
	layout               map[string][]string
	bound                map[int]any
	lost, right          int
	hits, misses, extras int
}

func (h *hearing) remember() memory {
	return memory{maps.Clone(h.values), maps.Clone(h.weak), maps.Clone(h.layout), maps.Clone(h.bound), len(h.lost), len(h.right), h.hits, h.misses, h.extras}
}

func (h *hearing) backTo(m memory) {
	h.values, h.weak, h.layout, h.bound = maps.Clone(m.values), maps.Clone(m.weak), maps.Clone(m.layout), maps.Clone(m.bound)
	h.lost, h.right = h.lost[:m.lost], h.right[:m.right]
	h.hits, h.misses, h.extras = m.hits, m.misses, m.extras
	alias, env := h.alias, h.r.env
	h.restart()
	h.alias = alias
	for name := range alias { // the numbers of items are no paths
		if _, ok := h.r.env[name]; !ok {
			h.r.env[name] = env[name]
		}
	}
	for name, v := range env {
		if _, isNumber := v.(int); isNumber {
			h.r.env[name] = v
		}
	}
	h.point()
}

// lose notes that nothing was learned of a node.
func (h *hearing) lose(n ast.Node, want any) bool {
	if h.tree != nil && len(h.lost) < 500 {
		h.lost = append(h.lost, lostCell{h.tree, n, want, maps.Clone(h.alias), maps.Clone(h.local)})
	}
	return true
}

// bind says that the value at a path is want, which may be text for a field of
// text, money, a time, or pieces of one. False is a contradiction.
func (h *hearing) bind(path string, want any, weak bool) bool {
	if strings.HasPrefix(path, "?") {
		return true
	}
	if _, ok := want.(missing); ok {
		h.misses++
		return true
	}
	v, ok := h.typed(path, want)
	if !ok {
		return false
	}
	before, known := h.values[path]
	switch {
	case known && h.weak[path] && !weak:
	case known && weak:
		return true
	case known:
		if p, ok := v.(pieces); ok {
			return h.bindPieces(path, before, p)
		}
		return same(before, v)
	}
	if p, ok := v.(pieces); ok {
		h.layout[path] = p.parts
		v = p.at
	}
	h.values[path] = v
	if weak {
		h.weak[path] = true
	} else {
		delete(h.weak, path)
	}
	if !h.put(path, v) {
		return false
	}
	h.forget()
	return true
}

func same(a, b any) bool {
	if x, ok := a.(time.Time); ok {
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	}
	return reflect.DeepEqual(a, b)
}

// bindPieces joins what two layouts tell of one time.
func (h *hearing) bindPieces(path string, before any, p pieces) bool {
	known, ok := before.(time.Time)
	if !ok {
		return false
	}
	zone := h.mirror.zone
	a, b := known.In(zone), p.at.In(zone)
	have := h.layout[path]
	numbers := func(t time.Time) map[string]int {
		return map[string]int{"yyyy": t.Year(), "MM": int(t.Month()), "dd": t.Day(), "HH": t.Hour(), "mm": t.Minute(), "ss": t.Second(), "SSS": t.Nanosecond() / 1e6}
	}
	x, y := numbers(a), numbers(b)
	for _, part := range p.parts {
		if slices.Contains(have, part) {
			if x[part] != y[part] {
				return false
			}
			continue
		}
		x[part] = y[part]
		have = append(slices.Clone(have), part)
	}
	t := time.Date(x["yyyy"], time.Month(x["MM"]), x["dd"], x["HH"], x["mm"], x["ss"], x["SSS"]*1e6, zone)
	h.values[path], h.layout[path] = t, have
	ok = h.put(path, t)
	h.forget()
	return ok
}

// typed is want as the kind of value that is at the path.
func (h *hearing) typed(path string, want any) (any, bool) {
	root, name, _ := strings.Cut(path, ".")
	text, isText := core.Text(want)
	switch root {
	case "session", "captured":
		return text, isText
	case "attempt", "message":
		switch name {
		case "time":
			return want, isTime(want)
		case "serial", "number":
			if n, ok := want.(int); ok {
				return n, true
			}
			n, err := strconv.Atoi(text)
			return n, isText && err == nil
		}
		return text, isText
	case "page":
		return text, isText
	}
	v, ok := h.place(path)
	if !ok {
		return nil, false
	}
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		if want == nil {
			return nil, true
		}
		t = t.Elem()
	}
	switch {
	case t == moneyType:
		m, ok := want.(core.Fen)
		return m, ok
	case t == timeType:
		return want, isTime(want)
	case t.Kind() == reflect.String:
		return text, isText
	case t.Kind() == reflect.Bool:
		b, ok := want.(bool)
		return b, ok
	case t.Kind() == reflect.Int:
		if n, ok := want.(int); ok {
			return n, true
		}
		n, err := strconv.Atoi(text)
		return n, isText && err == nil
	case t.Kind() == reflect.Slice:
		n, ok := want.(int)
		return n, ok
	case t.Kind() == reflect.Struct && isText && text == "": // a record that is not there
		return nil, true
	}
	return nil, false
}

func isTime(v any) bool {
	switch v.(type) {
	case time.Time, pieces:
		return true
	}
	return false
}

var pathStep = regexp.MustCompile(`^([^.\[\]]+)|^\.([^.\[\]]+)|^\[([0-9]+)\]`)

// place is the field at a path of the message. Lists grow to what is asked of them;
// of a record that is not there it is a field that nobody sees.
func (h *hearing) place(path string) (reflect.Value, bool) { return h.placed(path, false) }

func (h *hearing) placed(path string, grow bool) (reflect.Value, bool) {
	rest, ok := strings.CutPrefix(path, h.m.noun)
	if !ok || h.m.noun == "" || h.r == nil || h.r.env[h.m.noun] == nil {
		return reflect.Value{}, false
	}
	v := reflect.ValueOf(h.r.env[h.m.noun]).Elem()
	for rest != "" {
		m := pathStep.FindStringSubmatch(rest)
		if m == nil {
			return v, false
		}
		rest = rest[len(m[0]):]
		if v.Kind() == reflect.Pointer {
			if v.IsNil() && grow {
				v.Set(reflect.New(v.Type().Elem()))
			}
			if v.IsNil() {
				v = reflect.New(v.Type().Elem())
			}
			v = v.Elem()
		}
		switch {
		case m[3] != "":
			i, err := strconv.Atoi(m[3])
			if err != nil || v.Kind() != reflect.Slice || i > 10_000 {
				return v, false
			}
			if i >= v.Len() {
				grown := reflect.MakeSlice(v.Type(), i+1, i+1)
				reflect.Copy(grown, v)
				v.Set(grown)
			}
			v = v.Index(i)
		default:
			if v.Kind() != reflect.Struct {
				return v, false
			}
			f, ok := fieldNamed(v, m[1]+m[2])
			if !ok {
				return v, false
			}
			v = f
		}
	}
	return v, true
}

func fieldNamed(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if jsonName(v.Type().Field(i)) == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// put writes a value where the expressions of the folder read it.
func (h *hearing) put(path string, v any) bool {
	root, name, _ := strings.Cut(path, ".")
	text, _ := v.(string)
	at, _ := v.(time.Time)
	n, _ := v.(int)
	in := &h.r.in
	switch path {
	case "attempt.id":
		in.Stamp.ID = text
		return true
	case "attempt.time":
		in.Stamp.At = at
		return true
	case "attempt.serial":
		in.Stamp.Serial = int64(n)
		return true
	case "attempt.number":
		in.Stamp.Number = n
		return true
	case "message.key":
		in.Stamp.Key = text
		return true
	case "message.time":
		in.Stamp.Time = at
		return true
	case "message.kind":
		in.Kind = core.Kind(text)
		return true
	case "page":
		in.Page = &text
		return true
	}
	switch root {
	case "session":
		in.Session[name] = text
		return true
	case "captured":
		in.Captured[name] = text
		return true
	}
	f, ok := h.placed(path, v != nil && v != "")
	if !ok {
		return false
	}
	if f.Kind() == reflect.Pointer {
		if v == nil {
			return true
		}
		f.Set(reflect.New(f.Type().Elem()))
		f = f.Elem()
	}
	if f.Kind() == reflect.Slice {
		if n > 0 {
			_, ok = h.place(fmt.Sprintf("%s[%d]", path, n-1))
		}
		return ok
	}
	value := reflect.ValueOf(v)
	if !value.IsValid() || !value.CanConvert(f.Type()) {
		return false
	}
	f.Set(value.Convert(f.Type()))
	return true
}

// show spells a recovered value for people.
func spelled(v any) string {
	switch v := v.(type) {
	case core.Fen:
		return v.String()
	case time.Time:
		return v.Format(time.RFC3339)
	case bool:
		return strconv.FormatBool(v)
	}
	text, err := functions.Text(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return text
}
