package soap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// header is the constant header of every envelope: blocks as the folder wrote
// them. A block that the WSDL binds to an operation is written by the WSDL's
// order and namespace there, and left out of operations that do not have it.
type header struct {
	blocks core.Tree
	bound  []string // the names of blocks that some operation binds
}

func readHeader(v any) (header, error) {
	if v == nil {
		return header{}, nil
	}
	tree, ok := plainTree(v).(core.Tree)
	if !ok {
		return header{}, errors.New("not a document")
	}
	h := header{blocks: tree}
	_, err := h.write(style{}, soap11, nil) // what cannot be written is a mistake of the folder
	return h, err
}

// of notes which blocks a WSDL binds.
func (h *header) of(c *contract) error {
	for _, o := range c.operations {
		for _, e := range o.headers {
			if !slices.Contains(h.bound, e.name) {
				h.bound = append(h.bound, e.name)
			}
		}
	}
	for _, o := range c.operations {
		if _, err := h.write(style{}, c.version, o); err != nil {
			return fmt.Errorf("of operation %s: %w", o.name, err)
		}
	}
	return nil
}

// headerName is where the folder's send has blocks of this message alone.
const headerName = ".soap:Header"

// with takes the blocks that a message brings itself, in the place of the
// constant ones of the same name.
func (h header) with(body core.Value) (header, core.Value, error) {
	t, ok := body.(core.Tree)
	if !ok {
		return h, body, nil
	}
	i := slices.IndexFunc(t, func(f core.Field) bool { return f.Name == headerName })
	if i < 0 {
		return h, body, nil
	}
	own, ok := t[i].Value.(core.Tree)
	if !ok && t[i].Value != nil {
		return h, body, errors.New(headerName + ": not a document")
	}
	merged := slices.DeleteFunc(slices.Clone(h.blocks), func(f core.Field) bool { return own.Has(f.Name) })
	return header{append(merged, own...), h.bound}, slices.Delete(slices.Clone(t), i, i+1), nil
}

// write gives the blocks of one operation; nil is one that no WSDL describes.
func (h header) write(s style, v version, o *operation) (string, error) {
	w := writer{style: s, version: v}
	for _, block := range h.blocks {
		var described *element
		if o != nil {
			if i := slices.IndexFunc(o.headers, func(e *element) bool { return e.name == block.Name }); i >= 0 {
				described = o.headers[i]
			} else if slices.Contains(h.bound, block.Name) {
				continue
			}
		}
		if err := w.block(block, described); err != nil {
			return "", err
		}
	}
	return string(w.b), nil
}

func (w *writer) block(f core.Field, described *element) error {
	if strings.HasPrefix(f.Name, ".") {
		return fmt.Errorf("the header itself has no attributes (%s)", f.Name)
	}
	outer := w.style
	defer func() { w.style = outer }()
	if described == nil {
		w.style = style{}
		return w.free(core.Tree{f}, "", "")
	}
	w.style.namespace = described.namespace
	t, ok := f.Value.(core.Tree)
	if !ok || !described.typ.complex {
		return w.element(described, f.Value, "", "")
	}
	return w.wrapped(described.name, described.namespace, described, t)
}
