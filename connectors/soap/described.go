package soap

import (
	"fmt"
	"slices"
	"strings"

	"hishub/connectors/option"
	"hishub/core"
)

// typeName is the attribute by which a folder says which of several types an
// element has, and nilName the one that says it has nothing in it.
const (
	typeName = ".xsi:type"
	nilName  = ".xsi:nil"
)

// described writes the children of a type in the type's own order.
func (w *writer) described(t *typ, given core.Tree, inherited, path string) error {
	switch {
	case t.unknown != "":
		return fmt.Errorf("%sthe WSDL uses %s here, which is not supported", at(path), t.unknown)
	case t.free:
		return w.anyContent(given, inherited, path)
	case t.text:
		for _, f := range given {
			if f.Name == core.TextName {
				return w.simple(t.simple, f.Value)
			}
			if !strings.HasPrefix(f.Name, ".") {
				return fmt.Errorf("the WSDL has text with attributes in %s, not %s", strings.TrimSuffix(path, "."), f.Name)
			}
		}
		return nil
	case t.array != nil:
		return w.items(t, given, inherited, path)
	}
	if given.Has(core.TextName) {
		return w.mixed(t, given, path)
	}
	for _, f := range given {
		if !strings.HasPrefix(f.Name, ".") && !t.anyElse && !t.knows(f.Name) {
			return fmt.Errorf("the WSDL has no parameter %s", noSuch(path, f.Name, t.names()))
		}
	}
	m := match{of: t, path: path, items: t.items(given), out: make([]placed, 0, len(given))}
	if err := m.all(t.content); err != nil {
		return err
	}
	if i := m.left(); i >= 0 {
		return m.unplaced(i)
	}
	for _, p := range m.out {
		var err error
		if p.e == nil {
			err = w.anything(p.name, p.value, inherited, path)
		} else {
			err = w.element(p.e, p.value, inherited, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *typ) names() []string {
	names := make([]string, len(t.all))
	for i, e := range t.all {
		names[i] = e.name
	}
	return names
}

// mixed writes the text of an element that may have text or children. Which
// stands before which a map cannot say, so both together are refused.
func (w *writer) mixed(t *typ, given core.Tree, path string) error {
	for _, f := range given {
		if f.Name != core.TextName && !strings.HasPrefix(f.Name, ".") {
			return fmt.Errorf("%stext beside %s: their order cannot be told; write the whole content by $raw", at(path), f.Name)
		}
	}
	return w.contentText(t, given.Get(core.TextName), path)
}

// contentText writes text where the WSDL has mixed content, or raw XML anywhere.
func (w *writer) contentText(t *typ, v core.Value, path string) error {
	if _, raw := v.(core.Raw); !raw && !t.mixed && !t.free {
		return fmt.Errorf("the WSDL has a document in %s, not text", strings.TrimSuffix(path, "."))
	}
	return w.text(v)
}

func (w *writer) element(e *element, v core.Value, inherited, path string) error {
	here := path + e.name
	given, isTree := v.(core.Tree)
	t, err := w.actual(e, given, here)
	if err != nil {
		return err
	}
	if l, ok := v.(core.List); ok {
		switch {
		case t.array != nil && t.array.item != nil:
			given, isTree = core.Tree{{Name: t.array.item.name, Value: l}}, true
		case t.simple != nil && t.simple.list:
			if v, ok = words(l); !ok {
				return fmt.Errorf("%s: the WSDL has a list of words here", here)
			}
		}
	}
	if e.fixed != nil {
		if text, ok := core.Text(v); ok && text != "" && text != *e.fixed {
			return fmt.Errorf("%s: the WSDL allows %s only", here, *e.fixed)
		}
		if !isTree {
			v = *e.fixed
		}
	}
	tag, inside := w.open(e.name, e.namespace, inherited)
	empty := (v == nil || isNil(given)) && (e.nillable || w.encoded) && e.fixed == nil
	w.typed(e, t, given, v)
	if empty {
		w.add(w.instance(), ` xsi:nil="true"`)
	}
	if err := w.declaredAttributes(t, given, here, empty); err != nil {
		return err
	}
	w.add(">")
	switch {
	case empty:
	case isTree && !t.complex:
		if err = w.leaf(t, given); err != nil {
			err = fmt.Errorf("the WSDL has text in %s, not a document; nest it with $xml or $json", here)
		}
	case isTree:
		err = w.described(t, given, inside, here+".")
	case v == nil:
	case t.complex && !t.text:
		err = w.contentText(t, v, here)
	default:
		err = w.simple(t.simple, v)
	}
	if err != nil {
		return fmt.Errorf("%s%w", at(here), err)
	}
	w.add("</", tag, ">")
	return nil
}

// leaf writes the text of a tree that has nothing but text and our own attributes.
func (w *writer) leaf(t *typ, given core.Tree) error {
	for _, f := range given {
		if f.Name != core.TextName && f.Name != typeName && f.Name != nilName {
			return errNotText
		}
	}
	return w.simple(t.simple, given.Get(core.TextName))
}

func isNil(given core.Tree) bool {
	for _, f := range given {
		if f.Name == nilName {
			text, _ := core.Text(f.Value)
			return isTrue(text)
		}
	}
	return false
}

// actual is the type that an element has: the one of the WSDL, or one that is
// derived from it, which xsi:type names.
func (w *writer) actual(e *element, given core.Tree, path string) (*typ, error) {
	if e.abstract {
		return nil, fmt.Errorf("%s is abstract and has nothing that may stand in for it (%s)", path, e.at)
	}
	t := e.typ
	asked := ""
	for _, f := range given {
		if f.Name == typeName {
			asked, _ = core.Text(f.Value)
		}
	}
	if asked != "" {
		return t.standIn(asked, path)
	}
	if t.unknown != "" {
		return nil, fmt.Errorf("%s: the WSDL uses %s here, which is not supported", path, t.unknown)
	}
	if t.abstract {
		return nil, fmt.Errorf("%s: the type %s is abstract; write %s: with one of %s", path, t.name, typeName, joinedValues(locals(t.derivations())))
	}
	return t, nil
}

func locals(names []qname) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = n.local
	}
	return all
}

// standIn finds a type by the name that a folder writes: local, {namespace}local,
// or xsd:string where anything goes.
func (t *typ) standIn(asked, path string) (*typ, error) {
	if name, ok := strings.CutPrefix(asked, "xsd:"); ok && t.free {
		if b := builtin(qname{schemaNamespace, name}); b != nil {
			return b, nil
		}
	}
	if asked == t.name || asked == t.qname.String() {
		return t, nil
	}
	candidates := t.derivations()
	if t.free && t.schemas != nil {
		for q := range t.schemas.types {
			candidates = append(candidates, q)
		}
	}
	var found []qname
	for _, q := range candidates {
		if q.String() == asked || q.local == asked {
			found = append(found, q)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%s: no type %s", path, noSuch("", bounded(asked), locals(candidates)))
	case 1:
		return t.schemas.again(found[0])
	}
	return nil, fmt.Errorf("%s: several types are called %s; write {namespace}%s", path, asked, asked)
}

// again builds a type while messages are being written.
func (s *schemas) again(name qname) (*typ, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.particles = 0 // a bound for what the WSDL has, not for how often it is asked
	t := s.named(name, &node{})
	s.finish()
	if t.unknown != "" {
		return nil, fmt.Errorf("the type %s uses %s, which is not supported", name.local, t.unknown)
	}
	if t.abstract {
		return nil, fmt.Errorf("the type %s is abstract, too; there are %s", name.local, joinedValues(locals(t.derivations())))
	}
	return t, nil
}

// instance declares the prefix of XML Schema's own attributes, once an element.
func (w *writer) instance() string {
	if w.encoded || w.declared {
		return ""
	}
	w.declared = true
	return ` xmlns:xsi="` + instance + `"`
}

// typed writes xsi:type where it is needed: always in the encoded use, and where
// the folder chose another type than the WSDL's.
func (w *writer) typed(e *element, t *typ, given core.Tree, v core.Value) {
	w.declared = false
	if w.encoded {
		w.encodedType(t, given, v)
		return
	}
	if t != e.typ {
		w.add(w.instance())
		w.typeAttribute(t.qname)
	}
}

// typeAttribute writes xsi:type and declares its prefix where that is not known.
func (w *writer) typeAttribute(name qname) {
	switch {
	case name.space == "":
		w.add(` xsi:type="`, name.local, `"`)
	case w.encoded && name.space == schemaNamespace:
		w.add(` xsi:type="xsd:`, name.local, `"`)
	case w.encoded && name.space == w.version.encoding:
		w.add(` xsi:type="enc:`, name.local, `"`)
	default:
		w.add(` xmlns:q="`)
		w.attribute(name.space)
		w.add(`" xsi:type="q:`, name.local, `"`)
	}
}

// declaredAttributes writes the attributes that are given and checks them, and
// those whose value the WSDL fixes.
func (w *writer) declaredAttributes(t *typ, given core.Tree, path string, empty bool) error {
	if t.unknown != "" || t.free && len(given) == 0 {
		return nil // described says so
	}
	given = attributesOf(given)
	prefixes := 0
	for _, a := range t.attributes {
		i := slices.IndexFunc(given, func(f core.Field) bool { return f.Name[1:] == a.name || f.Name == "."+prefixed(a) })
		var v core.Value
		switch {
		case i >= 0:
			v = given[i].Value
			given = slices.Delete(given, i, i+1)
		case a.required && a.fixed == nil && !empty:
			return fmt.Errorf("the WSDL wants attribute %s of %s; write .%s:", a.name, strings.TrimSuffix(path, "."), a.name)
		case a.required && a.fixed != nil:
			v = *a.fixed
		default:
			continue
		}
		text, ok := core.Text(v)
		if l, isList := v.(core.List); isList && a.simple != nil && a.simple.list {
			if joined, fine := words(l); fine {
				text, ok = joined.(string), true
			}
		}
		if !ok || forbidden(text) {
			return fmt.Errorf("%sattribute %s cannot be written", at(path), a.name)
		}
		if a.fixed != nil && text != *a.fixed {
			return fmt.Errorf("%sattribute %s: the WSDL allows %s only", at(path), a.name, *a.fixed)
		}
		if err := a.simple.check(text); err != nil {
			return fmt.Errorf("%sattribute %s: %w", at(path), a.name, err)
		}
		name := a.name
		if a.namespace != "" {
			name = prefixed(a)
			if name == a.name {
				prefixes++
				name = fmt.Sprintf("a%d:%s", prefixes, a.name)
				w.add(fmt.Sprintf(` xmlns:a%d="`, prefixes))
				w.attribute(a.namespace)
				w.add(`"`)
			}
		}
		w.add(" ", name, `="`)
		w.attribute(text)
		w.add(`"`)
	}
	if len(given) > 0 && !t.anyAttribute && !t.free {
		known := make([]string, len(t.attributes))
		for i, a := range t.attributes {
			known[i] = a.name
		}
		return fmt.Errorf("%sthe WSDL has no attribute %s", at(path), noSuch("", given[0].Name[1:], known))
	}
	return w.attributes(given, path)
}

// prefixed is the name of an attribute of XML's own, which needs no declaration.
func prefixed(a attribute) string {
	if a.namespace == "http://www.w3.org/XML/1998/namespace" {
		return "xml:" + a.name
	}
	return a.name
}

// attributesOf are the attributes of an element that are not ours.
func attributesOf(t core.Tree) core.Tree {
	var found core.Tree
	for _, f := range t {
		if len(f.Name) > 1 && f.Name[0] == '.' && f.Name != typeName && f.Name != nilName {
			found = append(found, f)
		}
	}
	return found
}

// anything writes a child for which the type has no name. It has no namespace
// unless it brings one (.xmlns), and its children have the same.
func (w *writer) anything(name string, v core.Value, inherited, path string) error {
	if !isName(name) {
		return fmt.Errorf("%s%s is not a name that XML allows", path, name)
	}
	outer := w.style
	w.style = style{}
	defer func() { w.style = outer }()
	var inside string
	if t, ok := v.(core.Tree); ok && bringsNamespace(t) {
		inside, _ = core.Text(t.Get(".xmlns"))
		w.add("<", name)
	} else {
		_, inside = w.open(name, "", inherited)
	}
	w.qualified, w.namespace = true, inside
	if err := w.inside(v, inside, path+name); err != nil {
		return err
	}
	w.add("</", name, ">")
	return nil
}

func bringsNamespace(t core.Tree) bool {
	return slices.ContainsFunc(t, func(f core.Field) bool { return f.Name == ".xmlns" })
}

// anyContent writes what stands in an element of xs:anyType.
func (w *writer) anyContent(given core.Tree, inherited, path string) error {
	if given.Has(core.TextName) {
		return w.mixed(anyType(), given, path)
	}
	for _, f := range given {
		if strings.HasPrefix(f.Name, ".") {
			continue
		}
		values, ok := f.Value.(core.List)
		if !ok {
			values = core.List{f.Value}
		}
		for _, v := range values {
			if err := w.anything(f.Name, v, inherited, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func noSuch(path, name string, names []string) string {
	if near := option.Near(name, names); len(near) > 0 {
		return path + name + "; did you mean " + near[0] + "?"
	}
	if len(names) == 0 {
		return path + name + "; there is none"
	}
	return path + name + "; there are " + joinedValues(names)
}
