package mapping

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/mapping/functions"
)

// answerer makes the canonical answer of an ok.
type answerer interface {
	answer(r *run, captured map[string]string) (any, error)
}

// answer compiles returns against the type that the catalogue asks for. A write
// without returns makes its receipt of what it captured.
func (l *loader) answer(x *exchange, s *scope, m *mapper) {
	m.empty = x.t.Answer
	if x.returns == nil {
		if x.t.Mode == core.Write {
			m.answer = receiptOfCaptures{}
			return
		}
		l.mistake(x.at, "write returns: with "+joined(fieldNames(reflect.TypeOf(x.t.Answer()).Elem())), "the question %s returns nothing", x.name)
		return
	}
	t := reflect.TypeOf(x.t.Answer()).Elem()
	b := s.record(x.returns, t, "the answer of "+string(x.t.Kind))
	if b == nil {
		return
	}
	m.answer = typedAnswer{x.t.Answer, b}
	if t == reflect.TypeFor[core.Status]() {
		for _, f := range b.(recordBuilder) {
			if leaf, ok := f.of.(*leafBuilder); ok && leaf.name == "at" {
				m.reached = leaf.texts()
			}
		}
	}
}

type typedAnswer struct {
	empty func() any
	build builder
}

func (t typedAnswer) answer(r *run, _ map[string]string) (any, error) {
	a := t.empty()
	if err := t.build.build(r, reflect.ValueOf(a).Elem()); err != nil {
		return nil, fmt.Errorf("returns: %w", err)
	}
	return a, nil
}

// receiptOfCaptures fills the fields of a receipt from captured values of the
// same names, of this step or an earlier one. The amount is in yuan.
type receiptOfCaptures struct{}

func (receiptOfCaptures) answer(r *run, captured map[string]string) (any, error) {
	of := func(name string) string {
		if v, ok := captured[name]; ok {
			return v
		}
		return r.in.Captured[name]
	}
	out := &core.Receipt{HisNo: of("his_no"), InvoiceNo: of("invoice_no"), Number: of("number")}
	if amount := of("amount"); amount != "" {
		fen, err := core.ParseYuan(amount)
		if err != nil {
			return nil, errNoReceipt
		}
		out.Amount = &fen
	}
	return out, nil
}

// builder puts a value into a field of the answer.
type builder interface {
	build(r *run, into reflect.Value) error
}

type (
	recordBuilder []fieldBuilder
	fieldBuilder  struct {
		index []int
		of    builder
	}
	listBuilder []listItem
	listItem    struct {
		each *each
		when *program
		of   builder
	}
	leafBuilder struct {
		name     string
		at       pos
		value    template
		raw      *program // where the value is not text
		required bool
		values   []string // of an enumeration
	}
)

// answerField is a field of an answer by its JSON name; embedded records are
// spread.
type answerField struct {
	index    []int
	typ      reflect.Type
	required bool
}

func answerFields(t reflect.Type) map[string]answerField {
	out := map[string]answerField{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for name, inner := range answerFields(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				out[name] = inner
			}
			continue
		}
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = answerField{[]int{i}, f.Type, !strings.Contains(rest, "omit")}
	}
	return out
}

func fieldNames(t reflect.Type) []string { return slices.Collect(maps.Keys(answerFields(t))) }

// record compiles a map against a struct of the catalogue.
func (s *scope) record(n *node, t reflect.Type, of string) builder {
	found := s.unit.folder
	if n.kind != mapNode {
		found.mistake(n.pos, "its fields are "+joined(fieldNames(t)), "%s must be a map, not %s", of, n.describe())
		return nil
	}
	fields := answerFields(t)
	var out recordBuilder
	for _, f := range n.fields {
		name := f.key.text
		if name == "$when" {
			continue // of the item, which looks at it itself
		}
		to, ok := fields[name]
		if !ok {
			found.mistake(f.key.pos, didYouMean(name, fieldNames(t)), "%s has no field %q", of, name)
			continue
		}
		if b := s.answerValue(f.value, to, name); b != nil {
			out = append(out, fieldBuilder{to.index, b})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name].required && n.get(name) == nil && !n.broken {
			found.mistake(n.pos, "write "+name+":", "%s needs the field %q", of, name)
		}
	}
	return out
}

func (s *scope) answerValue(n *node, to answerField, name string) builder {
	if to.typ.Kind() == reflect.Slice {
		return s.answerList(n, to.typ.Elem(), name)
	}
	return s.answerLeaf(n, to, name)
}

func (s *scope) answerList(n *node, elem reflect.Type, name string) builder {
	found := s.unit.folder
	if n.kind != listNode {
		found.mistake(n.pos, fmt.Sprintf("write %s: [{$each: x in list(...), ...}]", name), "%s must be a list, not %s", name, n.describe())
		return nil
	}
	var out listBuilder
	for _, i := range n.items {
		inner, rest, item := s, i, listItem{}
		if i.kind == mapNode && i.get("$each") != nil {
			inner, rest, item.each = s.each(i)
		}
		if w := rest.get("$when"); w != nil {
			item.when = inner.condition(w)
		}
		if item.of = inner.record(rest, elem, "an entry of "+name); item.of != nil {
			out = append(out, item)
		}
	}
	return out
}

// answerLeaf compiles a cell for a field, whose type decides what it may give.
func (s *scope) answerLeaf(n *node, to answerField, name string) builder {
	found := s.unit.folder
	if n.kind != scalarNode {
		found.mistake(n.pos, "write one cell", "%s is one value, not %s", name, n.describe())
		return nil
	}
	out := &leafBuilder{name: name, at: n.pos, required: to.required}
	t := to.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	enumeration, closed := reflect.Zero(t).Interface().(core.Enumeration)
	if closed {
		out.values = enumeration.Values()
	}
	if t.Kind() == reflect.String {
		var p *program
		out.value, _ = s.cell(n)
		if c, ok := out.value.(cellPart); ok {
			p = c.program
		}
		if closed {
			s.closed(n, out.value, p, enumeration, name)
		}
		return out
	}
	skip, ok := isExpression(n)
	if !ok {
		if t == boolType && (n.text == "true" || n.text == "false") {
			out.value = fixed{n.text == "true"}
			return out
		}
		found.mistake(n.pos, cureOf(t, n.text), "%s is %s, not literal text", name, typeName(t))
		return nil
	}
	out.raw = s.expression(n, skip)
	if out.raw == nil {
		return nil
	}
	source := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(n.text), "="))
	if got := out.raw.typ; got != nil && got != t || out.raw.read && t != boolType || got == nil && t == boolType {
		found.mistake(out.raw.at, cureOf(t, source), "%s is %s, %s is %s", name, typeName(t), source, typeName(orText(got)))
		return nil
	}
	return out
}

// closed checks what a field with a fixed set of values can be given.
func (s *scope) closed(n *node, t template, p *program, e core.Enumeration, name string) {
	at, texts := n.pos, []string(nil)
	if f, ok := t.(fixed); ok {
		text, _ := core.Text(f.v)
		texts = append(texts, text)
	}
	if p != nil {
		at, texts = p.at, p.texts
		for _, table := range p.tables {
			table.checkValues(e, name, s.unit.folder.findings)
		}
	}
	for _, text := range texts {
		if !slices.Contains(e.Values(), text) {
			s.unit.folder.mistake(at, didYouMean(text, e.Values()), "%q is not a value of %s", text, name)
		}
	}
}

// texts are those that a leaf can be, as far as the cell says so.
func (b *leafBuilder) texts() []string {
	switch v := b.value.(type) {
	case fixed:
		if text, _ := core.Text(v.v); text != "" {
			return []string{text}
		}
	case cellPart:
		return slices.DeleteFunc(slices.Clone(v.texts), func(t string) bool { return t == "" })
	}
	return nil
}

func orText(t reflect.Type) reflect.Type {
	if t == nil {
		return textType
	}
	return t
}

func cureOf(t reflect.Type, source string) string {
	switch t {
	case moneyType:
		return fmt.Sprintf("write from_yuan(%[1]s) or from_fen(%[1]s)", source)
	case timeType:
		return fmt.Sprintf(`write from_time(%s, "yyyy-MM-dd HH:mm:ss")`, source)
	case boolType:
		return fmt.Sprintf(`write %s == "1"`, source)
	}
	return ""
}

func (b recordBuilder) build(r *run, into reflect.Value) error {
	for _, f := range b {
		if err := f.of.build(r, into.FieldByIndex(f.index)); err != nil {
			return err
		}
	}
	return nil
}

func (b listBuilder) build(r *run, into reflect.Value) error {
	for _, item := range b {
		one := func() error {
			if item.when != nil {
				if ok, err := item.when.holds(r); err != nil || !ok {
					return err
				}
			}
			into.Grow(1)
			into.SetLen(into.Len() + 1)
			return item.of.build(r, into.Index(into.Len()-1))
		}
		var err error
		if item.each == nil {
			err = one()
		} else {
			err = item.each.run(r, one)
		}
		if err != nil {
			return err
		}
	}
	if into.IsNil() {
		into.Set(reflect.MakeSlice(into.Type(), 0, 0)) // an empty list is an answer, not nothing
	}
	return nil
}

func (b *leafBuilder) build(r *run, into reflect.Value) error {
	err := b.put(r, into)
	if err != nil {
		return failedAt(b.at, fmt.Errorf("%s: %w", b.name, err))
	}
	return nil
}

func (b *leafBuilder) put(r *run, into reflect.Value) error {
	if b.raw == nil {
		v, err := b.value.value(r)
		if err != nil {
			return err
		}
		if truth, ok := v.(bool); ok {
			into.SetBool(truth)
			return nil
		}
		text, err := functions.Text(plain(v))
		if err != nil {
			return err
		}
		if b.values != nil && !slices.Contains(b.values, text) && (b.required || text != "") {
			return fmt.Errorf("is none of %s", strings.Join(b.values, ", "))
		}
		into.SetString(text)
		return nil
	}
	v, err := b.raw.value(r)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		if b.required {
			return errors.New("is missing")
		}
	case core.Fen:
		if into.Kind() == reflect.Pointer {
			into.Set(reflect.ValueOf(&v))
			return nil
		}
		if into.Type() != moneyType {
			return fmt.Errorf("is money, not %s", typeName(into.Type()))
		}
		into.SetInt(int64(v))
	case time.Time:
		if into.Type() != timeType {
			return fmt.Errorf("is a time, not %s", typeName(into.Type()))
		}
		into.Set(reflect.ValueOf(v))
	case bool:
		if into.Kind() != reflect.Bool {
			return fmt.Errorf("is true or false, not %s", typeName(into.Type()))
		}
		into.SetBool(v)
	default:
		return fmt.Errorf("must be %s", typeName(into.Type()))
	}
	return nil
}
