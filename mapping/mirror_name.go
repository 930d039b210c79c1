package mapping

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

func (h *hearing) bindPath(path string, n ast.Node, want any) bool {
	if list, ok := want.(core.List); ok {
		return h.bindList(path, list)
	}
	if v, ok := h.place(path); ok && v.Kind() == listType.Kind() { // a list that occurs once, or is empty
		if want == gone {
			return true
		}
		return h.bindList(path, asList(want))
	}
	if b, ok := truthOf(want); ok {
		if v, isField := h.place(path); isField && v.Type() == boolType {
			want = b
		}
	}
	if t, ok := want.(pieces); ok {
		return h.bind(path, t, false)
	}
	return h.bind(path, want, false)
}

// bindList says what a list of texts is.
func (h *hearing) bindList(path string, list core.List) bool {
	if !h.bind(path, len(list), false) {
		return false
	}
	for i, item := range list {
		if _, isTree := item.(core.Tree); isTree {
			continue
		}
		if !h.bind(fmt.Sprintf("%s[%d]", path, i), item, false) {
			return false
		}
	}
	return true
}

// path is the place in the message that a node reads.
func (h *hearing) path(n ast.Node) (string, bool) {
	switch n := bare(n).(type) {
	case *ast.IdentifierNode:
		if path, ok := h.alias[n.Value]; ok {
			return path, true
		}
		if of, ok := h.local[n.Value]; ok {
			return h.path(of)
		}
		return n.Value, n.Value == h.m.noun && n.Value != ""
	case *ast.PointerNode:
		path, ok := h.alias["#"]
		return path, ok && n.Name == ""
	case *ast.MemberNode:
		base, ok := h.path(n.Node)
		if name, isName := n.Property.(*ast.StringNode); ok && isName {
			return base + "." + name.Value, true
		}
	case *ast.CallNode:
		switch calledName(n) {
		case getCall:
			base, ok := h.path(n.Arguments[0])
			if !ok {
				return "", false
			}
			switch key := n.Arguments[1].(type) {
			case *ast.IntegerNode:
				return fmt.Sprintf("%s[%d]", base, key.Value), key.Value >= 0
			case *ast.StringNode:
				return base + "." + key.Value, true
			}
		case "list":
			return h.path(n.Arguments[0])
		case "first":
			base, ok := h.path(n.Arguments[0])
			return base + "[0]", ok
		case slotCall:
			if c, ok := h.slotTemplate(slotOf(n)).(cellPart); ok && c.tree != nil {
				return h.path(c.tree.node)
			}
		}
	}
	return "", false
}

// slotTemplate is what the folder wrote for a name; nil where it is given.
func (h *hearing) slotTemplate(i int) template {
	s := h.m.unit.slots[i]
	if s.of == nil && strings.HasPrefix(s.name, "with.") {
		for k := len(h.m.unit.slots) - 1; k >= 0; k-- {
			if o := h.m.unit.slots[k]; o.name == s.name && o.of != nil {
				return o.of
			}
		}
		return fixed{nil} // another operation gives it, this one does not
	}
	return s.of
}

// slot reads want as the value of a name.
func (h *hearing) slot(i int, want any) bool {
	s := h.m.unit.slots[i]
	if before, ok := h.bound[i]; ok && want != gone {
		x, _ := core.Text(before)
		y, isText := core.Text(want)
		return !isText || x == y
	}
	if s.name == "page" && i == h.m.page {
		return h.bind("page", want, false)
	}
	switch root, _ := s.member(); root {
	case "session", "captured", "attempt", "message":
		if s.of == nil {
			return h.bind(s.name, want, false)
		}
	case "secret", "const":
		if v, err := h.r.slot(i); err == nil {
			return h.literalDocument(v, want)
		}
	}
	of := h.slotTemplate(i)
	if of == nil {
		return true
	}
	if !h.document(of, want) {
		return false
	}
	if text, ok := want.(string); ok {
		h.bound[i] = text
		h.r.set(i, text)
	} else if _, ok := want.(core.Fen); ok {
		h.bound[i] = want
		h.r.set(i, want)
	}
	return true
}

// groupCell reads a $group whose cell is more than a name; known is false where it
// is not.
func (h *hearing) groupCell(c cellPart, seen *children) (ok, known bool) {
	n := bare(c.tree.node)
	switch calledName(n) {
	case "without":
		call := n.(*ast.CallNode)
		inner := &children{tree: seen.tree, used: seen.used, skip: map[string]bool{}, fold: seen.fold}
		for _, a := range call.Arguments[1:] {
			name, _ := literal(a)
			inner.skip[name] = true
		}
		i := slotOf(bare(call.Arguments[0]))
		if i < 0 {
			return true, false
		}
		f := h.fragment(slotPart(i))
		if f == nil {
			return true, false
		}
		return h.children(f.fields, inner), true
	}
	if call, ok := n.(*ast.CallNode); ok && calledName(n) == "wrap" {
		name, known := h.textOf(call.Arguments[0])
		if !known { // whatever the one child is called
			for _, f := range seen.tree {
				if !strings.HasPrefix(f.Name, ".") {
					name = f.Name
				}
			}
			if !h.invert(call.Arguments[0], name) {
				return false, true
			}
		}
		want, _ := seen.get(name)
		return h.invert(call.Arguments[1], want), true
	}
	if cond, isCond := n.(*ast.ConditionalNode); isCond {
		for _, branch := range []ast.Node{cond.Exp1, cond.Exp2} {
			i := slotOf(bare(branch))
			if i < 0 {
				continue
			}
			f := h.fragment(slotPart(i))
			if f == nil {
				continue
			}
			before := h.remember()
			if h.assume(cond.Cond, branch == cond.Exp1) && h.children(f.fields, seen) && h.misses == before.misses {
				return true, true
			}
			h.backTo(before)
		}
		seen.open = true
		return true, true
	}
	return true, false
}
