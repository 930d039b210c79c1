package soap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// envelope is what was read: the blocks of its header and what is in its body.
type envelope struct {
	header, body core.Tree
}

// maxResolved bounds what references make of an answer, in values.
const maxResolved = 1_000_000

// openEnvelope reads an envelope. Prefixes and namespaces are not looked at; HIS
// write them as they like. Entities other than XML's own five, and document type
// declarations, are refused.
func openEnvelope(text string) (envelope, error) {
	r := reader{s: strings.TrimPrefix(text, "\uFEFF")}
	if err := r.skipMisc(); err != nil {
		return envelope{}, err
	}
	root, err := r.element(0)
	if err != nil {
		return envelope{}, err
	}
	if err := r.skipMisc(); err != nil {
		return envelope{}, err
	}
	if r.i < len(r.s) {
		return envelope{}, r.fail("something follows the document")
	}
	tree, _ := root.Value.(core.Tree)
	if root.Name != "Envelope" || !tree.Has("Body") {
		return envelope{}, errors.New("the document is no envelope with a body")
	}
	var e envelope
	e.body, _ = tree.Get("Body").(core.Tree)
	e.header, _ = tree.Get("Header").(core.Tree)
	return e, nil
}

// first is the element of the body that the others hang on.
func (e envelope) first() (name string, content core.Value, err error) {
	for _, f := range e.children() {
		v := f.Value
		if l, ok := v.(core.List); ok {
			v = l[0]
		}
		if t, ok := v.(core.Tree); ok {
			if root, _ := reference(t, ".root"); root == "0" {
				continue // SOAP's encoding says so itself: this is no root
			}
		}
		return f.Name, f.Value, nil
	}
	return "", nil, errors.New("the envelope's body is empty")
}

func (e envelope) children() core.Tree {
	var found core.Tree
	for _, f := range e.body {
		if !strings.HasPrefix(f.Name, ".") && f.Name != core.TextName {
			found = append(found, f)
		}
	}
	return found
}

// readEnvelope opens an envelope: the local name and the content of the first
// element in its body, with what it refers to put in its place.
func readEnvelope(text string) (name string, content core.Value, err error) {
	e, err := openEnvelope(text)
	if err != nil {
		return "", nil, err
	}
	return e.call(nil)
}

// call is the first element of the body for an operation; nil is one that no
// WSDL describes.
func (e envelope) call(o *operation) (name string, content core.Value, err error) {
	name, content, err = e.first()
	if err != nil || name == "Fault" {
		return name, content, err
	}
	switch {
	case o != nil && o.encoded:
		r := references{ids: map[string]core.Value{}, encoded: true}
		r.collect(e.body)
		if content, err = r.resolve(content, 0); err == nil {
			content = withoutName(content)
		}
	case o == nil && e.refers(content):
		r := references{ids: map[string]core.Value{}}
		r.collect(e.body)
		content, err = r.resolve(content, 0)
	case o != nil && o.several:
		content = e.children()
	}
	return name, content, err
}

// withoutName leaves out rpc:result, by which SOAP 1.2's encoding says which of
// the children is the result.
func withoutName(content core.Value) core.Value {
	t, ok := content.(core.Tree)
	if !ok || !t.Has("result") {
		return content
	}
	named, _ := t.Get("result").(string)
	if !t.Has(local(named)) || local(named) == "result" {
		return content
	}
	return slices.DeleteFunc(slices.Clone(t), func(f core.Field) bool { return f.Name == "result" })
}

// refers tells, where no WSDL says so, that an answer is encoded: its values
// stand beside it, and it points at them.
func (e envelope) refers(content core.Value) bool {
	beside := false
	for i, f := range e.children() {
		l, ok := f.Value.(core.List)
		if !ok {
			l = core.List{f.Value}
		}
		for _, v := range l {
			t, _ := v.(core.Tree)
			_, has := reference(t, ".id")
			beside = beside || i > 0 && has
		}
	}
	return beside
}

// references resolves href="#id" of SOAP 1.1's encoding, and ref="id" of 1.2's.
type references struct {
	ids     map[string]core.Value
	encoded bool
	count   int
}

func reference(t core.Tree, name string) (string, bool) {
	for _, f := range t {
		if f.Name == name {
			text, ok := f.Value.(string)
			return text, ok
		}
	}
	return "", false
}

func (r *references) collect(v core.Value) {
	switch v := v.(type) {
	case core.List:
		for _, x := range v {
			r.collect(x)
		}
	case core.Tree:
		if id, ok := reference(v, ".id"); ok {
			if _, twice := r.ids[id]; !twice {
				r.ids[id] = v
			}
		}
		for _, f := range v {
			r.collect(f.Value)
		}
	}
}

func (r *references) resolve(v core.Value, depth int) (core.Value, error) {
	if r.count++; r.count > maxResolved {
		return nil, errors.New("the answer refers to more values than can be read")
	}
	if depth > 2*maxDepth {
		return nil, errors.New("the answer refers to itself")
	}
	switch v := v.(type) {
	case core.List:
		list := make(core.List, len(v))
		for i := range v {
			var err error
			if list[i], err = r.resolve(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case core.Tree:
		if id, ok := r.points(v); ok {
			target, known := r.ids[id]
			if !known {
				return nil, fmt.Errorf("the answer refers to %q, which is not in it", bounded(id))
			}
			return r.resolve(target, depth+1)
		}
		return r.plain(v, depth)
	}
	return v, nil
}

// points is the id that an element without children refers to.
func (r *references) points(t core.Tree) (string, bool) {
	for _, f := range t {
		if !strings.HasPrefix(f.Name, ".") {
			return "", false
		}
	}
	if href, ok := reference(t, ".href"); ok && strings.HasPrefix(href, "#") {
		return href[1:], true
	}
	ref, ok := reference(t, ".ref")
	ref = strings.TrimPrefix(ref, "#") // PHP writes it like an href
	if _, known := r.ids[ref]; ok && known {
		return ref, true
	}
	return "", false
}

// plain leaves out what only the encoding wanted to say.
func (r *references) plain(t core.Tree, depth int) (core.Value, error) {
	out := make(core.Tree, 0, len(t))
	leaf := true
	for _, f := range t {
		switch f.Name {
		case ".id", ".root", ".encodingStyle", ".arrayType", ".itemType", ".arraySize", ".position", ".offset":
			continue
		}
		v, err := r.resolve(f.Value, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, core.Field{Name: f.Name, Value: v})
		leaf = leaf && (f.Name == ".type" || f.Name == core.TextName)
	}
	if leaf { // a text needs no word on its type
		return orNilValue(out.Get(core.TextName)), nil
	}
	return out, nil
}

func orNilValue(v core.Value) core.Value {
	if text, ok := v.(string); ok {
		return orNil(text)
	}
	return nil
}
