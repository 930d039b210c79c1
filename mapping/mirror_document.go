package mapping

import (
	"fmt"
	"strings"

	"hishub/core"
)

// document reads want as what the template would have written. False is a
// contradiction: the template cannot have written it.
func (h *hearing) document(t template, want any) bool {
	if h.depth++; h.depth > 200 {
		return false
	}
	defer func() { h.depth-- }()
	switch t := t.(type) {
	case fixed:
		return h.literalDocument(t.v, want)
	case cellPart:
		return h.cell(t.program, want)
	case slotPart:
		return h.slot(int(t), want)
	case markPart:
		return h.document(t.of, want)
	case whenPart:
		if want == gone {
			return true
		}
		if t.when != nil && !h.assumeCell(t.when, true) {
			return false
		}
		return h.document(t.of, want)
	case textPart:
		return h.text(t, want)
	case treePart:
		return h.treeDocument(t, want)
	case listPart:
		return h.listDocument(t, want)
	}
	return true
}

// cell reads want as the value of an expression.
func (h *hearing) cell(p *program, want any) bool {
	if p.fixed {
		return h.literalDocument(p.text, want)
	}
	if p.tree == nil {
		return true
	}
	before := h.tree
	h.tree = p.tree
	defer func() { h.tree = before }()
	if !h.invert(p.tree.node, want) {
		h.mirror.contradicted(h, p)
		return false
	}
	return true
}

func (h *hearing) assumeCell(p *program, truth bool) bool {
	if p == nil || p.tree == nil {
		return true
	}
	before := h.tree
	h.tree = p.tree
	defer func() { h.tree = before }()
	return h.assume(p.tree.node, truth)
}

// literalDocument compares what stands in the folder with what came.
func (h *hearing) literalDocument(v core.Value, want any) bool {
	switch v := v.(type) {
	case core.Tree:
		t := treePart{}
		for _, f := range v {
			t.fields = append(t.fields, fieldPart{name: f.Name, value: fixed{f.Value}})
		}
		return h.treeDocument(t, want)
	case core.List:
		t := listPart{}
		for _, item := range v {
			t.items = append(t.items, itemPart{body: fixed{item}})
		}
		return h.listDocument(t, want)
	}
	text, _ := core.Text(v)
	if want == gone {
		if text == "" {
			return true
		}
		h.misses++
		return false
	}
	if b, ok := want.(bool); ok {
		want = fmt.Sprint(b)
	}
	got, ok := core.Text(want)
	if !ok || got != text {
		return false
	}
	if text != "" {
		h.hits++
	}
	return true
}

// text reads want as text of a format.
func (h *hearing) text(t textPart, want any) bool {
	if want == gone {
		return h.document(t.of, gone)
	}
	text, ok := core.Text(want)
	if !ok {
		return false
	}
	if positional := h.mirror.positional[t.name]; positional != nil {
		v, err := positional.Read(text)
		return err == nil && h.positions(t.of, v)
	}
	v, err := t.as.Read(text)
	return err == nil && h.document(t.of, v)
}

// positions reads records whose values have no names on the wire: the first value
// is that of the first key.
func (h *hearing) positions(t template, v core.Value) bool {
	record, ok := v.(core.Tree)
	if list, isList := v.(core.List); isList && len(list) == 1 {
		record, ok = list[0].(core.Tree)
	}
	if tree, isTree := t.(treePart); ok && isTree {
		names := h.writtenNames(tree.fields)
		for i, name := range names {
			if i < len(record) {
				record[i].Name = name
			}
		}
		return h.treeDocument(tree, record)
	}
	list, isList := t.(listPart)
	if !isList {
		return h.document(t, v)
	}
	records, _ := v.(core.List)
	if records == nil && v != nil {
		records = core.List{v}
	}
	for _, r := range records {
		record, _ := r.(core.Tree)
		if len(list.items) == 0 {
			break
		}
		if tree, ok := list.items[len(list.items)-1].body.(treePart); ok {
			for i, name := range h.writtenNames(tree.fields) {
				if i < len(record) {
					record[i].Name = name
				}
			}
		}
	}
	return h.listDocument(list, records)
}

// writtenNames are the names of children in their order, through groups.
func (h *hearing) writtenNames(fields []fieldPart) []string {
	var names []string
	for _, f := range fields {
		if f.name != "" {
			names = append(names, f.name)
			continue
		}
		if t := h.fragment(f.value); t != nil {
			names = append(names, h.writtenNames(t.fields)...)
		}
	}
	return names
}

// fragment is the map behind a $group, through names of let; nil if it is none.
func (h *hearing) fragment(t template) *treePart {
	for range 20 {
		switch x := t.(type) {
		case treePart:
			return &x
		case fixed:
			tree, ok := x.v.(core.Tree)
			if !ok {
				return nil
			}
			out := treePart{}
			for _, f := range tree {
				out.fields = append(out.fields, fieldPart{name: f.Name, value: fixed{f.Value}})
			}
			return &out
		case slotPart:
			t = h.slotTemplate(int(x))
		case cellPart:
			if x.tree == nil {
				return nil
			}
			i := slotOf(bare(x.tree.node))
			if i < 0 {
				return nil
			}
			t = h.slotTemplate(i)
		default:
			return nil
		}
	}
	return nil
}

func (h *hearing) treeDocument(t treePart, want any) bool {
	if t.when != nil {
		if want == gone {
			return h.assumeCell(t.when, false)
		}
		if !h.assumeCell(t.when, true) {
			return false
		}
	}
	tree, ok := asTree(t, want)
	if !ok {
		return false
	}
	seen := &children{tree: tree, used: map[string]bool{}}
	if !h.children(t.fields, seen) {
		return false
	}
	if !seen.open {
		for _, f := range tree {
			if !seen.used[f.Name] && !strings.HasPrefix(f.Name, ".") {
				h.extras++
			}
		}
	}
	return true
}

// asTree takes text for the tree that a format makes text of.
func asTree(t treePart, want any) (core.Tree, bool) {
	switch v := want.(type) {
	case missing:
		return nil, true
	case nil:
		return nil, true
	case core.Tree:
		return v, true
	case core.List:
		if len(v) == 1 {
			return asTree(t, v[0])
		}
		return nil, false
	}
	text, ok := core.Text(want)
	if !ok {
		return nil, false
	}
	if text == "" {
		return nil, true
	}
	for _, f := range t.fields {
		switch f.name {
		case core.TextName: // attributes that were empty are not there
			return core.Tree{{Name: core.TextName, Value: text}}, true
		case "1": // a field of HL7 with one component
			return core.Tree{{Name: "1", Value: text}}, true
		}
	}
	return nil, strings.TrimSpace(text) == ""
}

func (h *hearing) listDocument(t listPart, want any) bool {
	list := asList(want)
	for k, item := range t.items {
		if item.each == nil {
			one := any(gone)
			if len(list) > 0 {
				one, list = list[0], list[1:]
			}
			if !h.document(item.body, one) {
				return false
			}
			continue
		}
		after := 0
		for _, later := range t.items[k+1:] {
			if later.each == nil {
				after++
			}
		}
		n := max(0, len(list)-after)
		mine := list[:n]
		list = list[n:]
		if !h.repeat(item.each, n, func(i int) bool { return h.document(item.body, mine[i]) }) {
			return false
		}
	}
	return len(list) == 0
}

// repeat reads n items, each with its names.
func (h *hearing) repeat(e *each, n int, do func(i int) bool) bool {
	before := h.tree
	path := ""
	if e.list.tree != nil {
		h.tree = e.list.tree
		path, _ = h.path(e.list.tree.node)
	}
	if path == "" {
		path = fmt.Sprintf("?%s%d", e.item, h.depth)
	}
	ok := h.bind(path, n, false)
	h.tree = before
	if !ok {
		return false
	}
	earlier, had := h.alias[e.item]
	number := h.r.env[e.index]
	defer func() {
		if had {
			h.alias[e.item] = earlier
		} else {
			delete(h.alias, e.item)
		}
		if e.index != "" {
			h.r.env[e.index] = number
		}
		h.point()
	}()
	for i := range n {
		h.alias[e.item] = fmt.Sprintf("%s[%d]", path, i)
		if e.index != "" {
			h.r.env[e.index] = i + 1
		}
		h.forget()
		if !do(i) {
			return false
		}
	}
	return true
}
