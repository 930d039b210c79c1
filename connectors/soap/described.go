package soap

import (
	"fmt"
	"slices"
	"strings"

	"hishub/connectors/option"
	"hishub/core"
)

// described writes the children of a type in the type's own order.
func (w *writer) described(t *typ, given core.Tree, inherited, path string) error {
	if t.unknown != "" {
		return fmt.Errorf("%sthe WSDL uses %s here, which is not known yet", at(path), t.unknown)
	}
	if t.text {
		for _, f := range given {
			if f.Name == core.TextName {
				return w.text(f.Value)
			}
			if !strings.HasPrefix(f.Name, ".") {
				return fmt.Errorf("the WSDL has text with attributes in %s, not %s", strings.TrimSuffix(path, "."), f.Name)
			}
		}
		return nil
	}
	for _, f := range given {
		if !strings.HasPrefix(f.Name, ".") && !t.anyElse && !slices.Contains(t.known, f.Name) {
			return fmt.Errorf("the WSDL has no parameter %s", noSuch(path, f.Name, t.known))
		}
	}
	return w.particles(t.content, given, t.known, inherited, path)
}

func (w *writer) particles(ps []particle, given core.Tree, known []string, inherited, path string) error {
	for _, p := range ps {
		if err := w.particle(p, given, known, inherited, path); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) particle(p particle, given core.Tree, known []string, inherited, path string) error {
	switch {
	case p.kind == oneElement:
		return w.occurrences(p.element, given, inherited, path)
	case p.kind == anything:
		for _, f := range given {
			if !strings.HasPrefix(f.Name, ".") && !slices.Contains(known, f.Name) {
				if err := w.anything(f, inherited, path); err != nil {
					return err
				}
			}
		}
		return nil
	case p.repeated:
		return w.asGiven(p, given, inherited, path)
	case p.kind == choice:
		return w.oneOf(p, given, known, inherited, path)
	case !p.required && !p.given(given, known):
		return nil
	}
	return w.particles(p.parts, given, known, inherited, path)
}

// oneOf writes the branch that is given.
func (w *writer) oneOf(p particle, given core.Tree, known []string, inherited, path string) error {
	var branch *particle
	optional := !p.required
	for i := range p.parts {
		q := &p.parts[i]
		optional = optional || !q.required
		if !q.given(given, known) {
			continue
		}
		if branch != nil {
			return fmt.Errorf("the WSDL allows one of %s%s only", path, names(p.parts))
		}
		branch = q
	}
	switch {
	case branch != nil:
		return w.particle(*branch, given, known, inherited, path)
	case optional:
		return nil
	}
	return p.wanted(path)
}

// asGiven writes the elements of a repeated group one behind the other.
func (w *writer) asGiven(p particle, given core.Tree, inherited, path string) error {
	found := false
	for _, f := range given {
		for _, q := range p.parts {
			if q.element.name != f.Name {
				continue
			}
			found = true
			e := *q.element
			e.list = true
			if err := w.occurrences(&e, core.Tree{f}, inherited, path); err != nil {
				return err
			}
		}
	}
	if p.required && !found && !p.mayBeEmpty() {
		return p.wanted(path)
	}
	return nil
}

func (p particle) mayBeEmpty() bool {
	return len(p.parts) == 0 || slices.ContainsFunc(p.parts, func(q particle) bool { return !q.required })
}

// given tells whether anything of a particle is there.
func (p particle) given(given core.Tree, known []string) bool {
	switch p.kind {
	case oneElement:
		return given.Has(p.element.name)
	case anything:
		return slices.ContainsFunc(given, func(f core.Field) bool {
			return !strings.HasPrefix(f.Name, ".") && !slices.Contains(known, f.Name)
		})
	}
	return slices.ContainsFunc(p.parts, func(q particle) bool { return q.given(given, known) })
}

// occurrences writes every value that is given for an element.
func (w *writer) occurrences(e *element, given core.Tree, inherited, path string) error {
	found := 0
	for i := range given {
		if given[i].Name != e.name {
			continue
		}
		values, ok := given[i].Value.(core.List)
		if !ok {
			values = core.List{given[i].Value}
		}
		for _, v := range values {
			if found++; found > 1 && !e.list {
				return fmt.Errorf("the WSDL allows one %s%s only", path, e.name)
			}
			if err := w.element(e, v, inherited, path); err != nil {
				return err
			}
		}
	}
	if found == 0 && e.required {
		return fmt.Errorf("the WSDL wants parameter %s%s; write it, empty if need be", path, e.name)
	}
	return nil
}

func (w *writer) element(e *element, v core.Value, inherited, path string) error {
	tag, inherited := w.open(e.name, e.namespace, inherited)
	given, isTree := v.(core.Tree)
	if err := w.declaredAttributes(e.typ, given, path+e.name); err != nil {
		return err
	}
	w.add(">")
	var err error
	switch {
	case isTree && !e.typ.complex:
		return fmt.Errorf("the WSDL has text in %s%s, not a document; nest it with $xml or $json", path, e.name)
	case isTree:
		err = w.described(e.typ, given, inherited, path+e.name+".")
	case v == nil:
	case e.typ.complex && !e.typ.text:
		return fmt.Errorf("the WSDL has a document in %s%s, not text", path, e.name)
	default:
		err = w.text(v)
	}
	if err != nil {
		return fmt.Errorf("%s%w", at(path+e.name), err)
	}
	w.add("</", tag, ">")
	return nil
}

// declaredAttributes writes the attributes that are given and checks them.
func (w *writer) declaredAttributes(t *typ, given core.Tree, path string) error {
	if t.unknown != "" {
		return nil // described says so
	}
	known := make([]string, len(t.attributes))
	for i, a := range t.attributes {
		known[i] = a.name
		if a.required && !given.Has("."+a.name) {
			return fmt.Errorf("the WSDL wants attribute %s of %s; write .%s:", a.name, strings.TrimSuffix(path, "."), a.name)
		}
	}
	for _, f := range given {
		name, ok := strings.CutPrefix(f.Name, ".")
		if ok && !t.anyAttribute && !slices.Contains(known, name) {
			return fmt.Errorf("%sthe WSDL has no attribute %s", at(path), noSuch("", name, known))
		}
	}
	return w.attributes(given, path)
}

// anything writes children for which the WSDL has no names. They have no
// namespace unless they bring one.
func (w *writer) anything(f core.Field, inherited, path string) error {
	if !isName(f.Name) {
		return fmt.Errorf("%s%s is not a name that XML allows", path, f.Name)
	}
	values, ok := f.Value.(core.List)
	if !ok {
		values = core.List{f.Value}
	}
	outer := w.style
	w.style = style{}
	defer func() { w.style = outer }()
	for _, v := range values {
		var inside string
		if t, ok := v.(core.Tree); ok && t.Has(".xmlns") {
			inside, _ = core.Text(t.Get(".xmlns"))
			w.add("<", f.Name)
		} else {
			_, inside = w.open(f.Name, "", inherited)
		}
		w.style.qualified, w.style.namespace = true, inside
		if err := w.inside(v, inside, path+f.Name); err != nil {
			return err
		}
		w.add("</", f.Name, ">")
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
	return path + name + "; there are " + strings.Join(names, ", ")
}
