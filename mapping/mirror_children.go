package mapping

import (
	"strings"

	"hishub/core"
)

// children are those of one tree while several fragments are read from it.
type children struct {
	tree core.Tree
	used map[string]bool
	skip map[string]bool
	fold bool // names of headers, in any case
	open bool // something else may stand here
}

func (c *children) get(name string) (any, bool) {
	for _, f := range c.tree {
		if f.Name == name || c.fold && strings.EqualFold(f.Name, name) {
			c.used[f.Name] = true
			return f.Value, true
		}
	}
	if local := localName(name); local != name { // prefixes are read away
		return c.get(local)
	}
	return gone, false
}

func localName(name string) string {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		if strings.HasPrefix(name, ".") {
			return "." + name[i+1:]
		}
		return name[i+1:]
	}
	return name
}

func (h *hearing) children(fields []fieldPart, c *children) bool {
	times := map[string]int{}
	for _, f := range fields {
		times[f.name]++
	}
	turn := map[string]int{}
	for _, f := range fields {
		if f.name == "" {
			if !h.group(f.value, c) {
				return false
			}
			continue
		}
		if c.skip[f.name] || strings.HasPrefix(f.name, ".soap:") || strings.HasPrefix(f.name, ".xmlns") {
			continue
		}
		want, _ := c.get(f.name)
		if times[f.name] > 1 {
			list := asList(want)
			i := turn[f.name]
			turn[f.name]++
			want = gone
			if i < len(list) {
				want = list[i]
			}
		}
		if !h.document(f.value, want) {
			return false
		}
	}
	return true
}

func asList(want any) core.List {
	switch v := want.(type) {
	case missing, nil:
		return nil
	case core.List:
		return v
	case []any:
		return v
	case string:
		if v == "" {
			return nil
		}
	}
	return core.List{want}
}

// group reads fragments out of the children beside them.
func (h *hearing) group(t template, c *children) bool {
	switch x := t.(type) {
	case listPart:
		for _, item := range x.items {
			f := h.fragment(item.body)
			if f == nil {
				c.open = true
				continue
			}
			if item.each == nil {
				if !h.children(f.fields, c) {
					return false
				}
				continue
			}
			if !h.interleaved(item.each, f.fields, c) {
				return false
			}
		}
		return true
	case cellPart:
		if x.tree != nil {
			before := h.tree
			h.tree = x.tree
			defer func() { h.tree = before }()
			if ok, known := h.groupCell(x, c); known {
				return ok
			}
		}
	}
	f := h.fragment(t)
	if f == nil {
		c.open = true
		return true
	}
	if f.when != nil {
		if truth, known := h.truth(f.when); known && !truth {
			return true
		}
	}
	return h.children(f.fields, c)
}

// interleaved reads A B A B, which was gathered into A A and B B: the n-th of each
// belong together.
func (h *hearing) interleaved(e *each, fields []fieldPart, c *children) bool {
	names := h.writtenNames(fields)
	if len(names) == 0 {
		ok, known := h.numbered(e, fields, c)
		if !known { // how many there are cannot be told either
			c.open = true
		}
		return ok
	}
	n := 0
	lists := map[string]core.List{}
	for _, name := range names {
		want, _ := c.get(name)
		lists[name] = asList(want)
		n = max(n, len(lists[name]))
	}
	return h.repeat(e, n, func(i int) bool {
		one := &children{used: map[string]bool{}}
		for _, name := range names {
			if i < len(lists[name]) {
				one.tree = append(one.tree, core.Field{Name: name, Value: lists[name][i]})
			}
		}
		return h.children(fields, one)
	})
}
