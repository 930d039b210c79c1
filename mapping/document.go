package mapping

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"hishub/core"
)

// absence stands for a child that is not written.
type absence struct{}

var absent = absence{}

// template is a compiled document: the constant parts are ready, the rest is
// computed for each message.
type template interface {
	// value is a core.Value, or absent.
	value(r *run) (any, error)
}

type (
	fixed    struct{ v core.Value }
	cellPart struct{ *program }
	treePart struct {
		when   *program
		fields []fieldPart
	}
	fieldPart struct {
		name  string // "" puts the value's own children here
		at    pos
		value template
	}
	listPart struct{ items []itemPart }
	itemPart struct {
		each *each // nil: once
		body template
		at   pos
	}
	each struct {
		list        *program
		item, index string
	}
	textPart struct { // a document as text of a format
		name string
		at   pos
		as   textFormat
		of   template
	}
	markPart struct { // $cdata, $raw
		raw bool
		at  pos
		of  template
	}
	whenPart struct {
		when *program
		of   template
	}
)

type textFormat interface {
	Write(core.Value) (string, error)
	Read(string) (core.Value, error)
	ReadForgiving(string) (core.Value, []string, error)
}

// document compiles a value: a cell, a map or a list. typ is what expressions
// may take it for.
func (s *scope) document(n *node) (t template, typ reflect.Type) {
	switch n.kind {
	case mapNode:
		return s.mapDocument(n)
	case listNode:
		return s.listDocument(n), listType
	}
	return s.cell(n)
}

// cell compiles a scalar for use in a document.
func (s *scope) cell(n *node) (template, reflect.Type) {
	t, typ := s.anyCell(n)
	if p, ok := t.(cellPart); ok {
		s.writable(n, p.program)
	}
	return t, typ
}

// anyCell compiles a scalar whose value need not be writable, as in a let.
func (s *scope) anyCell(n *node) (template, reflect.Type) {
	if skip, ok := isExpression(n); ok {
		p := s.expression(n, skip)
		if p == nil {
			return fixed{}, nil
		}
		if p.fixed {
			return fixed{p.text}, textType
		}
		return cellPart{p}, p.typ
	}
	return s.literal(n), textType
}

// isExpression tells a cell from literal text.
func isExpression(n *node) (skip int, ok bool) {
	if n.kind != scalarNode || n.isEmpty() || n.style == plainWord {
		return 0, false
	}
	text := strings.TrimLeft(n.text, " \t\n")
	if !strings.HasPrefix(text, "=") {
		return 0, false
	}
	return len([]rune(n.text)) - len([]rune(text)) + 1, true
}

var looksLikeName = regexp.MustCompile(`^([\pL_][\pL\pN_]*)\.[\pL_]`)

func (s *scope) literal(n *node) template {
	if n.isEmpty() {
		return fixed{nil}
	}
	found := s.unit.folder
	if m := looksLikeName.FindStringSubmatch(n.text); m != nil && n.style == plainText {
		if _, visible := s.names[m[1]]; visible {
			found.mistake(n.pos, fmt.Sprintf(`write "= %s" (or quote it if you mean the words)`, n.text), "%q is literal text here", n.text)
			return fixed{nil}
		}
	}
	if n.style == plainWord && jsonWord.MatchString(n.text) {
		return fixed{core.Token(n.text)}
	}
	return fixed{n.text}
}

// jsonWord is what may stand in JSON without quotes.
var jsonWord = regexp.MustCompile(`^(true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)$`)

// writable reports what has no spelling of its own on a wire.
func (s *scope) writable(n *node, p *program) bool {
	found := s.unit.folder
	source := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(n.text), "="))
	switch t := p.typ; {
	case t == nil || t == treeType:
	case t == moneyType || t == reflect.PointerTo(moneyType):
		found.mistake(p.at, fmt.Sprintf("write yuan(%[1]s) or fen(%[1]s)", source), "%s is money", source)
	case t == timeType:
		found.mistake(p.at, fmt.Sprintf(`write time(%s, "yyyy-MM-dd HH:mm:ss")`, source), "%s is a time", source)
	case t == bytesType:
		found.mistake(p.at, fmt.Sprintf("write base64(%[1]s) or hex(%[1]s)", source), "%s is bytes", source)
	case viewFields(t) != nil:
		found.mistake(p.at, "name one of its fields: "+joined(viewFields(t)), "%s is a record", source)
	case t.Kind() == reflect.Slice && viewFields(t.Elem()) != nil:
		found.mistake(p.at, fmt.Sprintf("write [{$each: x in %s, ...}]", source), "%s is a list of records", source)
	default:
		return true
	}
	return p.typ == nil || p.typ == treeType
}

func (s *scope) mapDocument(n *node) (template, reflect.Type) {
	found := s.unit.folder
	if len(n.fields) == 1 {
		if t, typ, ok := s.onlyKey(n); ok {
			return t, typ
		}
	}
	out := treePart{}
	typ := treeType
	for i, f := range n.fields {
		name := f.key.text
		switch {
		case name == "$when":
			out.when = s.condition(f.value)
			typ = nil
		case name == "$group":
			out.fields = append(out.fields, fieldPart{at: f.value.pos, value: s.group(f.value)})
		case name == "$value":
			if len(n.fields) > 2 || len(n.fields) == 2 && n.get("$when") == nil {
				found.mistake(f.key.pos, "leave the others out", "$value is the whole item, no other child can stand beside it")
			}
			t, _ := s.document(f.value)
			return whenPart{s.condition(n.get("$when")), t}, nil
		case name == "$each":
			cure := "write - {$each: ..., ...}"
			if i > 0 {
				cure = "put it first in a list item"
			}
			found.mistake(f.key.pos, cure, "$each repeats a list item, here it is in a map")
		case name == "$text":
			t, _ := s.document(f.value)
			out.fields = append(out.fields, fieldPart{core.TextName, f.value.pos, t})
		case strings.HasPrefix(name, "$$"):
			t, _ := s.document(f.value)
			out.fields = append(out.fields, fieldPart{name[1:], f.value.pos, t})
		case strings.HasPrefix(name, "$"):
			if s.isOnlyKey(name[1:]) {
				found.mistake(f.key.pos, "give it a map of its own", "%s must be the only key of its map", name)
			} else {
				found.mistake(f.key.pos, cureWord(name, s.unit.folder.formatNames()), "there is no word %s", name)
			}
		default:
			t, _ := s.document(f.value)
			out.fields = append(out.fields, fieldPart{name, f.value.pos, t})
		}
	}
	if v, ok := out.constant(); ok {
		return fixed{v}, treeType
	}
	return out, typ
}

func cureWord(name string, formats []string) string {
	words := []string{useWord, "$each", "$when", "$value", "$group", "$cdata", "$raw", "$text"}
	for _, f := range formats {
		words = append(words, "$"+f)
	}
	if near := nearest(name, words); near != "" {
		return fmt.Sprintf("did you mean %q? A wire name that starts with $ is written $%s", near, name)
	}
	return "there are " + joined(words) + "; a wire name that starts with $ is written $" + name
}

func (s *scope) isOnlyKey(word string) bool {
	return word == "cdata" || word == "raw" || slices.Contains(s.unit.folder.formatNames(), word)
}

// onlyKey compiles the words that stand alone in their map.
func (s *scope) onlyKey(n *node) (template, reflect.Type, bool) {
	f := n.fields[0]
	word, ok := strings.CutPrefix(f.key.text, "$")
	if !ok || !s.isOnlyKey(word) {
		return nil, nil, false
	}
	t, _ := s.document(f.value)
	switch word {
	case "cdata", "raw":
		return markPart{word == "raw", f.value.pos, t}, nil, true
	}
	if f := s.unit.folder.format(word); f != nil {
		return textPart{word, n.fields[0].key.pos, f, t}, textType, true
	}
	return fixed{""}, textType, true
}

// group compiles $group: a list of fragments, or a cell that is a tree.
func (s *scope) group(n *node) template {
	if n.kind == scalarNode {
		if _, ok := isExpression(n); !ok {
			s.unit.folder.mistake(n.pos, fmt.Sprintf("write = %s for a let of that name, or a list of maps", n.text), "$group takes a list or a cell, not text")
			return fixed{}
		}
		t, typ := s.anyCell(n)
		if typ != nil && typ != treeType && typ != listType {
			s.unit.folder.mistake(n.pos, "it takes a tree", "$group cannot take %s", typeName(typ))
		}
		return t
	}
	t, _ := s.document(n)
	return t
}

func (t treePart) constant() (core.Tree, bool) {
	if t.when != nil {
		return nil, false
	}
	out := make(core.Tree, 0, len(t.fields))
	for _, f := range t.fields {
		v, ok := f.value.(fixed)
		if !ok || f.name == "" {
			return nil, false
		}
		out = append(out, core.Field{Name: f.name, Value: v.v})
	}
	return out, true
}

func (s *scope) listDocument(n *node) template {
	out := listPart{}
	constant := core.List{}
	for _, i := range n.items {
		item := s.item(i)
		out.items = append(out.items, item)
		if f, ok := item.body.(fixed); ok && item.each == nil && constant != nil {
			constant = append(constant, f.v)
		} else {
			constant = nil
		}
	}
	if constant != nil {
		return fixed{constant}
	}
	return out
}

var eachForm = regexp.MustCompile(`^\s*([\pL_][\pL\pN_]*)\s*(?:,\s*([\pL_][\pL\pN_]*)\s*)?\sin\s+`)

// item compiles one item of a list, with its $each.
func (s *scope) item(n *node) itemPart {
	out := itemPart{at: n.pos}
	if n.kind != mapNode || n.get("$each") == nil {
		out.body, _ = s.document(n)
		return out
	}
	inner, rest, e := s.each(n)
	out.each = e
	if len(rest.fields) == 1 && rest.fields[0].key.text == "$value" {
		out.body, _ = inner.document(rest.fields[0].value)
		return out
	}
	out.body, _ = inner.mapDocument(rest)
	return out
}

// each compiles the $each of an item, and gives the scope inside and the item's
// other keys.
func (s *scope) each(n *node) (*scope, *node, *each) {
	found := s.unit.folder
	if n.fields[0].key.text != "$each" {
		found.mistake(n.fields[0].key.pos, "put it first", "$each must be the first key of its item")
	}
	rest := *n
	rest.fields = slices.DeleteFunc(slices.Clone(n.fields), func(f field) bool { return f.key.text == "$each" })
	e := n.get("$each")
	m := eachForm.FindStringSubmatch(e.text)
	if e.kind != scalarNode || m == nil {
		found.mistake(e.pos, "write $each: x in LIST, or x, n in LIST", "$each cannot be %q", e.text)
		return s, &rest, &each{list: &program{fixed: true}}
	}
	list := s.expression(e, len([]rune(m[0])))
	if list == nil {
		list = &program{fixed: true}
	}
	out := &each{list: list, item: m[1], index: m[2]}
	var elem reflect.Type
	if t := list.typ; t != nil && t != treeType {
		if t.Kind() != reflect.Slice || t == bytesType {
			found.mistake(list.at, "", "$each needs a list, this is %s", typeName(t))
		} else if t.Elem().Kind() == reflect.Struct && t.Elem() != timeType {
			elem = reflect.PointerTo(t.Elem())
		} else if t.Elem().Kind() != reflect.Interface {
			elem = t.Elem()
		}
	}
	inner := s
	if s.definable(e, out.item) {
		inner = inner.with(out.item, binding{typ: elem, slot: -1})
	}
	if out.index != "" && inner.definable(e, out.index) {
		inner = inner.with(out.index, binding{typ: intType, slot: -1})
	}
	return inner, &rest, out
}

// condition compiles an expression that must be true or false; nil for nil.
func (s *scope) condition(n *node) *program {
	if n == nil {
		return nil
	}
	found := s.unit.folder
	if n.kind != scalarNode || n.isEmpty() {
		found.mistake(n.pos, "", "a condition is needed, not %s", n.describe())
		return nil
	}
	if _, ok := isExpression(n); ok {
		found.mistake(n.pos, "leave the = out", "a condition is an expression by itself")
		return nil
	}
	p := s.expression(n, 0)
	switch {
	case p == nil:
		return nil
	case p.typ == nil:
		found.mistake(p.at, `compare it, as == "1"`, "a condition must be true or false, %s is text", strings.TrimSpace(n.text))
		return nil
	case p.typ != boolType:
		found.mistake(p.at, "", "a condition must be true or false, not %s", typeName(p.typ))
		return nil
	}
	return p
}
