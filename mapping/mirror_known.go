package mapping

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// known reports whether a node can be computed from what was recovered so far.
func (h *hearing) known(n ast.Node) bool {
	if h.depth++; h.depth > 200 {
		return false
	}
	defer func() { h.depth-- }()
	if path, ok := h.path(n); ok {
		_, ok := h.values[path]
		return ok && !h.weak[path] && h.elements(path)
	}
	switch n := n.(type) {
	case nil:
		return true
	case *ast.NilNode, *ast.StringNode, *ast.IntegerNode, *ast.BoolNode, *ast.ConstantNode:
		return true
	case *ast.IdentifierNode:
		if n.Value == runName {
			return true
		}
		if _, ok := h.local[n.Value]; ok {
			return false // it cannot be computed outside of its expression
		}
		_, number := h.r.env[n.Value].(int) // of an item
		return number
	case *ast.ChainNode:
		return h.known(n.Node)
	case *ast.MemberNode:
		return h.known(n.Node) && h.known(n.Property)
	case *ast.UnaryNode:
		return h.known(n.Node)
	case *ast.BinaryNode:
		return h.known(n.Left) && h.known(n.Right)
	case *ast.ConditionalNode:
		return h.known(n.Cond) && h.known(n.Exp1) && h.known(n.Exp2)
	case *ast.ArrayNode:
		return !slices.ContainsFunc(n.Nodes, func(x ast.Node) bool { return !h.known(x) })
	case *ast.CallNode:
		if i := slotOf(n); i >= 0 {
			return h.slotKnown(i)
		}
		if calledName(n) == "time" && !h.toldFor(n) {
			return false
		}
		return !slices.ContainsFunc(n.Arguments, func(x ast.Node) bool { return !h.known(x) })
	case *ast.BuiltinNode:
		return h.builtinKnown(n)
	}
	return false
}

// elements reports whether all texts of a list are known; other values have none.
func (h *hearing) elements(path string) bool {
	n, ok := h.values[path].(int)
	if !ok {
		return true
	}
	v, ok := h.place(path)
	if !ok || v.Kind() != listType.Kind() {
		return true
	}
	if v.Type().Elem().Kind() != textType.Kind() {
		return true
	}
	for i := range n {
		if _, ok := h.values[fmt.Sprintf("%s[%d]", path, i)]; !ok {
			return false
		}
	}
	return true
}

func (h *hearing) builtinKnown(n *ast.BuiltinNode) bool {
	if len(n.Arguments) == 0 || !h.known(n.Arguments[0]) {
		return false
	}
	path, isPath := h.path(n.Arguments[0])
	for _, a := range n.Arguments[1:] {
		predicate, ok := a.(*ast.PredicateNode)
		if !ok {
			if !h.known(a) {
				return false
			}
			continue
		}
		if !isPath {
			return false
		}
		count, _ := h.values[path].(int)
		before, had := h.alias["#"]
		all := true
		for i := range count {
			h.alias["#"] = fmt.Sprintf("%s[%d]", path, i)
			all = all && h.known(predicate.Node)
		}
		if delete(h.alias, "#"); had {
			h.alias["#"] = before
		}
		if !all {
			return false
		}
	}
	return true
}

func (h *hearing) slotKnown(i int) bool {
	if _, ok := h.bound[i]; ok {
		return true
	}
	s := h.m.unit.slots[i]
	if s.name == "page" && i == h.m.page {
		_, ok := h.values["page"]
		return ok
	}
	switch root, _ := s.member(); {
	case s.of != nil:
	case root == "secret" || root == "const":
		return true
	case root == "session" || root == "captured" || root == "attempt" || root == "message":
		_, ok := h.values[s.name]
		return ok && !h.weak[s.name]
	}
	of := h.slotTemplate(i)
	return of != nil && h.templateKnown(of)
}

func (h *hearing) templateKnown(t template) bool {
	switch t := t.(type) {
	case nil:
		return true
	case fixed:
		return true
	case cellPart:
		return h.cellKnown(t.program)
	case slotPart:
		return h.slotKnown(int(t))
	case textPart:
		return h.templateKnown(t.of)
	case markPart:
		return h.templateKnown(t.of)
	case whenPart:
		return h.cellKnown(t.when) && h.templateKnown(t.of)
	case treePart:
		if !h.cellKnown(t.when) {
			return false
		}
		for _, f := range t.fields {
			if !h.templateKnown(f.value) {
				return false
			}
		}
		return true
	case listPart:
		for _, item := range t.items {
			if item.each == nil {
				if !h.templateKnown(item.body) {
					return false
				}
				continue
			}
			if !h.cellKnown(item.each.list) || item.each.list.tree == nil {
				return false
			}
			before := h.tree
			h.tree = item.each.list.tree
			path, ok := h.path(item.each.list.tree.node)
			h.tree = before
			count, counted := h.values[path].(int)
			if !ok || !counted {
				return false
			}
			all := true
			h.repeat(item.each, count, func(int) bool { all = all && h.templateKnown(item.body); return all })
			if !all {
				return false
			}
		}
		return true
	}
	return false
}

func (h *hearing) cellKnown(p *program) bool {
	if p == nil || p.fixed {
		return true
	}
	if p.tree == nil {
		return false
	}
	before := h.tree
	h.tree = p.tree
	defer func() { h.tree = before }()
	return h.known(p.tree.node)
}
