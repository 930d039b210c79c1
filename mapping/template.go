package mapping

import (
	"errors"
	"fmt"
	"reflect"

	"hishub/core"
	"hishub/mapping/functions"
)

func (f fixed) value(*run) (any, error) { return f.v, nil }

func (c cellPart) value(r *run) (any, error) {
	v, err := c.program.value(r)
	if err != nil {
		return nil, err
	}
	switch v.(type) {
	case nil, string, core.Tree, core.List:
		return v, nil
	}
	v, err = written(v)
	if err != nil {
		return nil, &cellError{c.at, err}
	}
	return v, nil
}

// written is the value of an expression as a part of a document.
func written(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, core.Token, core.CData, core.Raw, core.Tree, core.List, absence:
		return v, nil
	case int, bool:
		text, _ := functions.Text(v)
		return core.Token(text), nil
	case []any:
		list := make(core.List, 0, len(v))
		for _, e := range v {
			w, err := written(e)
			if err != nil {
				return nil, err
			}
			if w != absent {
				list = append(list, w)
			}
		}
		return list, nil
	case []string:
		list := make(core.List, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list, nil
	case core.Fen, *core.Fen:
		return nil, errors.New("money has no spelling of its own; write yuan(...) or fen(...)")
	case []byte:
		return nil, errors.New("bytes have no spelling of their own; write base64(...) or hex(...)")
	}
	return nil, fmt.Errorf("%s cannot be written", typeName(reflect.TypeOf(v)))
}

func (w whenPart) value(r *run) (any, error) {
	if w.when != nil {
		if ok, err := w.when.holds(r); err != nil || !ok {
			return absent, err
		}
	}
	return w.of.value(r)
}

func (t treePart) value(r *run) (any, error) {
	if t.when != nil {
		if ok, err := t.when.holds(r); err != nil || !ok {
			return absent, err
		}
	}
	out := make(core.Tree, 0, len(t.fields))
	for i := range t.fields {
		f := &t.fields[i]
		v, err := f.value.value(r)
		if err != nil {
			return nil, err
		}
		switch {
		case f.name == "":
			if out, err = spread(out, v); err != nil {
				return nil, failedAt(f.at, err)
			}
		case v != absent:
			out = append(out, core.Field{Name: f.name, Value: v})
		}
	}
	return out, nil
}

// spread puts the children of fragments into a tree.
func spread(out core.Tree, v any) (core.Tree, error) {
	switch v := v.(type) {
	case nil, absence:
		return out, nil
	case core.Tree:
		return append(out, v...), nil
	case core.List:
		for _, e := range v {
			var err error
			if out, err = spread(out, e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		return spread(out, core.List(v))
	}
	return nil, errors.New("$group takes trees, this is text")
}

func (l listPart) value(r *run) (any, error) {
	out := make(core.List, 0, len(l.items))
	for i := range l.items {
		item := &l.items[i]
		if item.each == nil {
			v, err := item.body.value(r)
			if err != nil {
				return nil, err
			}
			if v != absent {
				out = append(out, v)
			}
			continue
		}
		err := item.each.run(r, func() error {
			v, err := item.body.value(r)
			if err == nil && v != absent {
				out = append(out, v)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// run calls do once for each item of the list, with its names set.
func (e *each) run(r *run, do func() error) error {
	v, err := e.list.value(r)
	if err != nil {
		return err
	}
	n := 0
	one := func(item any) error {
		n++
		r.env[e.item] = item
		if e.index != "" {
			r.env[e.index] = n
		}
		return do()
	}
	// A let may be computed inside of another list's item of the same name.
	defer func(item, index any) {
		r.env[e.item] = item
		if e.index != "" {
			r.env[e.index] = index
		}
	}(r.env[e.item], r.env[e.index])
	switch v := v.(type) {
	case nil:
		return nil
	case core.List:
		for _, item := range v {
			if err := one(item); err != nil {
				return err
			}
		}
		return nil
	case []any:
		for _, item := range v {
			if err := one(item); err != nil {
				return err
			}
		}
		return nil
	case core.Tree, string:
		return one(v) // what occurs once is a list of one
	}
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return &cellError{e.list.at, errors.New("$each needs a list")}
	}
	for i := range list.Len() {
		item := list.Index(i)
		if item.Kind() == reflect.Struct && item.CanAddr() {
			item = item.Addr()
		}
		if err := one(item.Interface()); err != nil {
			return err
		}
	}
	return nil
}

func (t textPart) value(r *run) (any, error) {
	v, err := t.of.value(r)
	if err != nil || v == absent {
		return v, err
	}
	text, err := t.as.Write(v)
	if err != nil {
		return nil, &cellError{t.at, err}
	}
	return text, nil
}

func (m markPart) value(r *run) (any, error) {
	v, err := m.of.value(r)
	if err != nil || v == absent || v == nil {
		return v, err
	}
	text, ok := core.Text(v)
	if !ok {
		return nil, &cellError{m.at, errors.New("$cdata and $raw take text")}
	}
	if m.raw {
		return core.Raw(text), nil
	}
	return core.CData(text), nil
}
