package soap

import (
	"errors"
	"strconv"
	"strings"

	"hishub/core"
)

// The rules of SOAP's own encoding (SOAP 1.1, section 5; SOAP 1.2, part 2,
// section 3): every value says its type, and an array says of what and how many.

// encoding declares on the wrapper what its values are told by.
func (w *writer) encoding() {
	w.add(" ", envelopePrefix, `:encodingStyle="`, w.version.encoding, `" xmlns:xsi="`, instance, `" xmlns:xsd="`, schemaNamespace, `" xmlns:enc="`, w.version.encoding, `"`)
}

// encodedType writes the type of one value.
func (w *writer) encodedType(t *typ, given core.Tree, v core.Value) {
	switch {
	case v == nil && len(given) == 0, isNil(given):
		return // nothing has no type
	case t.array != nil:
		w.arrayType(t, given)
	case t.free && len(given) == 0:
		w.typeAttribute(qname{schemaNamespace, "string"})
	case t.free && t.qname.space == schemaNamespace:
		return // a document of a type that nobody named
	case t.simple != nil && t.qname.space == "":
		w.typeAttribute(qname{schemaNamespace, t.simple.base})
	case t.qname.local != "":
		w.typeAttribute(t.qname)
	}
}

func (w *writer) arrayType(t *typ, given core.Tree) {
	a, n := t.array, 0
	for _, f := range given {
		if l, ok := f.Value.(core.List); ok && f.Name == a.item.name {
			n += len(l)
		} else if f.Name == a.item.name {
			n++
		}
	}
	of, prefix := a.of.qname, "xsd"
	if a.of.array != nil {
		of, prefix = qname{w.version.encoding, "Array"}, "enc"
	}
	switch {
	case of.local == "" && a.of.simple != nil:
		of = qname{schemaNamespace, a.of.simple.base}
	case of.space == w.version.encoding:
		prefix = "enc"
	case of.space != schemaNamespace:
		prefix = "i"
		w.add(` xmlns:i="`)
		w.attribute(of.space)
		w.add(`"`)
	}
	name := t.qname
	if name.local == "" {
		name = qname{w.version.encoding, "Array"}
	}
	w.typeAttribute(name)
	size := strconv.Itoa(n)
	if w.version == soap12 {
		w.add(` enc:itemType="`, prefix, ":", of.local, `" enc:arraySize="`, size, `"`)
		return
	}
	outer := ""
	if last := strings.LastIndexByte(a.dimensions, '['); last > 0 {
		outer = a.dimensions[:last]
	}
	w.add(` enc:arrayType="`, prefix, ":", of.local, outer, "[", size, `]"`)
}

// items writes an array; it has nothing but items, all called the same.
func (w *writer) items(t *typ, given core.Tree, inherited, path string) error {
	a := t.array
	for _, f := range given {
		if len(f.Name) > 0 && f.Name[0] == '.' {
			continue
		}
		if f.Name != a.item.name {
			return errors.New("the WSDL has an array in " + at(path) + "no parameter " + noSuch("", f.Name, []string{a.item.name}))
		}
		values, ok := f.Value.(core.List)
		if !ok {
			values = core.List{f.Value}
		}
		for _, v := range values {
			if err := w.element(a.item, v, inherited, path); err != nil {
				return err
			}
		}
	}
	return nil
}
