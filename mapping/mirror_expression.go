package mapping

import (
	"fmt"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

// invert asks of what the value of a node can have been computed, given that it is
// want. What it learns it binds; what cannot be told is noted as lost. False is a
// contradiction.
func (h *hearing) invert(n ast.Node, want any) bool {
	if h.depth++; h.depth > 200 {
		return h.lose(n, want)
	}
	defer func() { h.depth-- }()
	if path, ok := h.path(n); ok {
		return h.bindPath(path, n, want)
	}
	switch n := n.(type) {
	case *ast.NilNode:
		text, ok := core.Text(want)
		return want == gone || ok && text == ""
	case *ast.StringNode:
		return h.literalDocument(n.Value, want)
	case *ast.IntegerNode:
		return h.literalDocument(fmt.Sprint(n.Value), want)
	case *ast.BoolNode:
		return h.literalDocument(fmt.Sprint(n.Value), want)
	case *ast.ChainNode:
		return h.invert(n.Node, want)
	case *ast.IdentifierNode:
		if of, ok := h.local[n.Value]; ok {
			return h.invert(of, want)
		}
	case *ast.VariableDeclaratorNode:
		before, had := h.local[n.Name]
		h.local[n.Name] = n.Value
		ok := h.invert(n.Expr, want)
		if delete(h.local, n.Name); had {
			h.local[n.Name] = before
		}
		return ok
	case *ast.ConditionalNode:
		return h.conditional(n, want)
	case *ast.UnaryNode:
		if b, ok := truthOf(want); ok && (n.Operator == "not" || n.Operator == "!") {
			return h.assume(n.Node, !b)
		}
	case *ast.BinaryNode:
		return h.binary(n, want)
	case *ast.ArrayNode:
		list := asList(want)
		if len(list) != len(n.Nodes) {
			return false
		}
		for i := range list {
			if !h.invert(n.Nodes[i], list[i]) {
				return false
			}
		}
		return true
	case *ast.BuiltinNode:
		return h.builtin(n, want)
	case *ast.CallNode:
		if i := slotOf(n); i >= 0 {
			return h.slot(i, want)
		}
		return h.call(n, want)
	}
	return h.compare(n, want)
}

func truthOf(want any) (value, ok bool) {
	if b, ok := want.(bool); ok {
		return b, true
	}
	switch text, _ := core.Text(want); text {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// conditional takes the branch whose value this can be.
func (h *hearing) conditional(n *ast.ConditionalNode, want any) bool {
	if h.known(n.Cond) {
		if v, err := h.eval(n.Cond); err == nil {
			if v == true {
				return h.invert(n.Exp1, want)
			}
			return h.invert(n.Exp2, want)
		}
	}
	try := func(branch ast.Node, truth bool) (memory, bool) {
		before := h.remember()
		ok := h.invert(branch, want) && h.assume(n.Cond, truth)
		after := h.remember()
		after.lost = len(h.lost)
		h.backTo(before)
		return after, ok
	}
	one, first := try(n.Exp1, true)
	two, second := try(n.Exp2, false)
	switch {
	case first && second:
		// What stands there to the letter decides, else nobody can tell.
		_, literal1 := literal(n.Exp1)
		_, literal2 := literal(n.Exp2)
		if absentNode(n.Exp1) && want == gone || literal1 && !literal2 {
			return h.invert(n.Exp1, want) && h.assume(n.Cond, true)
		}
		if absentNode(n.Exp2) && want == gone || literal2 && !literal1 {
			return h.invert(n.Exp2, want) && h.assume(n.Cond, false)
		}
		switch {
		case want == gone:
			return true
		case one.hits > two.hits: // what explains more of it
			return h.invert(n.Exp1, want) && h.assume(n.Cond, true)
		case two.hits > one.hits:
			return h.invert(n.Exp2, want) && h.assume(n.Cond, false)
		}
		return h.lose(n, want)
	case first:
		return h.invert(n.Exp1, want) && h.assume(n.Cond, true)
	case second:
		return h.invert(n.Exp2, want) && h.assume(n.Cond, false)
	}
	return false
}

func absentNode(n ast.Node) bool { return calledName(bare(n)) == absentCall }

// assume takes a condition for true or false, and learns what follows.
func (h *hearing) assume(n ast.Node, truth bool) bool {
	n = bare(n)
	if h.known(n) {
		v, err := h.eval(n)
		b, ok := v.(bool)
		return err != nil || !ok || b == truth
	}
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return h.assume(n.Node, !truth)
		}
	case *ast.MemberNode:
		if path, ok := h.path(n); ok {
			return h.bind(path, truth, false)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			if truth {
				return h.assume(n.Left, true) && h.assume(n.Right, true)
			}
		case "or", "||":
			if !truth {
				return h.assume(n.Left, false) && h.assume(n.Right, false)
			}
		case "==", "!=":
			if truth == (n.Operator == "==") {
				for _, sides := range [][2]ast.Node{{n.Left, n.Right}, {n.Right, n.Left}} {
					path, ok := h.path(sides[0])
					if text, isText := literal(sides[1]); ok && isText {
						return h.bind(path, text, false)
					}
				}
			}
		case "in":
			if list, ok := n.Right.(*ast.ArrayNode); ok && truth && len(list.Nodes) == 1 {
				path, ok := h.path(n.Left)
				if text, isText := literal(list.Nodes[0]); ok && isText {
					return h.bind(path, text, false)
				}
			}
		}
	}
	return true
}

func (h *hearing) binary(n *ast.BinaryNode, want any) bool {
	switch n.Operator {
	case "+":
		if text, ok := core.Text(want); ok {
			return h.joined(n, summands(n), text)
		}
	case "??":
		if want == gone {
			return true
		}
		before := h.remember()
		if _, isLiteral := literal(n.Right); isLiteral && h.invert(n.Right, want) {
			h.backTo(before)
			return h.lose(n, want) // absent, or the same by chance
		}
		h.backTo(before)
		if h.invert(n.Left, want) {
			return true
		}
		h.backTo(before)
		return h.invert(n.Right, want)
	case "==", "!=", "and", "or", "&&", "||", "in":
		if b, ok := truthOf(want); ok {
			return h.assume(n, b)
		}
	}
	return h.compare(n, want)
}

// builtin reads map(list, .field), which is read as the list again, and its length.
func (h *hearing) builtin(n *ast.BuiltinNode, want any) bool {
	if n.Name == "len" && len(n.Arguments) == 1 {
		return h.counted(n, want)
	}
	if n.Name == "map" && len(n.Arguments) == 2 {
		path, ok := h.path(n.Arguments[0])
		predicate, isPredicate := n.Arguments[1].(*ast.PredicateNode)
		if ok && isPredicate {
			list := asList(want)
			if !h.bind(path, len(list), false) {
				return false
			}
			before, had := h.alias["#"]
			defer func() {
				if delete(h.alias, "#"); had {
					h.alias["#"] = before
				}
			}()
			for i, item := range list {
				h.alias["#"] = fmt.Sprintf("%s[%d]", path, i)
				if !h.invert(predicate.Node, item) {
					return false
				}
			}
			return true
		}
	}
	return h.compare(n, want)
}

// compare is what remains: where the value can be computed, it must be what came.
func (h *hearing) compare(n ast.Node, want any) bool {
	if want == gone {
		return true
	}
	if wanted, ok := core.Text(want); ok && h.known(n) {
		if text, ok := h.textOf(n); ok {
			if text == wanted {
				h.hits++
				if h.tree != nil {
					h.right = append(h.right, h.tree.at.String())
				}
				return true
			}
		}
	}
	return h.lose(n, want)
}
