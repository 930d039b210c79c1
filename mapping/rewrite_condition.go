package mapping

import (
	"cmp"
	"fmt"
	"reflect"
	"strconv"

	"github.com/expr-lang/expr/ast"
)

// condition refuses text where true or false is needed.
func (w *rewriter) condition(n ast.Node) {
	if t, ok := w.known(n); !ok {
		w.refuse(n, `compare it, as == "1"`, "a condition must be true or false, this is text")
	} else if t != boolType {
		w.refuse(n, "", "a condition must be true or false, not %s", typeName(t))
	}
}

func (w *rewriter) conditional(n *ast.ConditionalNode) {
	w.walk(&n.Cond)
	w.condition(n.Cond)
	w.walk(&n.Exp1)
	w.walk(&n.Exp2)
	// expr takes text-or-nil for text, which would trip at run time.
	_, nil1 := n.Exp1.(*ast.NilNode)
	_, nil2 := n.Exp2.(*ast.NilNode)
	t1, ok1 := w.known(n.Exp1)
	t2, ok2 := w.known(n.Exp2)
	if nil1 && t2 == textType {
		w.replace(&n.Exp1, nothing)
	}
	if nil2 && t1 == textType {
		w.replace(&n.Exp2, nothing)
	}
	// Likewise it takes text-or-a-leaf for text.
	if t1 != nil && !ok2 && !nil2 {
		n.Exp1 = w.wrapped(leafCall, n.Exp1)
	}
	if t2 != nil && !ok1 && !nil1 {
		n.Exp2 = w.wrapped(leafCall, n.Exp2)
	}
}

// settle gives an operator its type where expr could not: it knows the operators
// of money only once they have become calls.
func (w *rewriter) settle(n *ast.BinaryNode) {
	switch n.Operator {
	case "+", "-":
		l, _ := w.known(n.Left)
		r, _ := w.known(n.Right)
		if l == moneyType && r == moneyType {
			n.SetNature(w.config.NtCache.FromType(moneyType))
		}
	case "*", "/", "%", "**", "^", "..", "??":
	default:
		n.SetNature(w.config.NtCache.FromType(boolType))
	}
}

func (w *rewriter) binary(n *ast.BinaryNode) {
	left, right := n.Left.String(), n.Right.String()
	w.walk(&n.Left)
	w.walk(&n.Right)
	tl, lok := w.known(n.Left)
	tr, rok := w.known(n.Right)
	switch n.Operator {
	case "and", "&&", "or", "||":
		w.condition(n.Left)
		w.condition(n.Right)
	case "contains", "startsWith", "endsWith", "matches":
		if !lok {
			n.Left = w.wrapped(wordCall, n.Left)
		}
		if !rok {
			n.Right = w.wrapped(wordCall, n.Right)
		}
	case "==", "!=", "<", "<=", ">", ">=":
		if !w.textAgainst(n, lok, left, n.Right, tr) || !w.textAgainst(n, rok, right, n.Left, tl) {
			return
		}
		w.leaves(n, lok, rok)
	case "in":
		if t, ok := w.known(n.Right); ok && !lok && t != nil && t.Kind() == reflect.Slice {
			if nt := n.Right.Nature(); nt.Ref != nil && nt.Ref.IsNumber() {
				w.refuse(n.Left, `write the numbers in quotes, as in ["0", "1"]`, "%s is text", left)
				return
			}
		}
		w.leaves(n, lok, true)
		if !rok {
			n.Right = w.wrapped("list", n.Right)
		}
	case "+":
		if !w.textAgainst(n, lok, left, n.Right, tr) || !w.textAgainst(n, rok, right, n.Left, tl) {
			return
		}
		w.leaves(n, lok, rok)
	case "-", "*", "%", "..":
		if !lok || !rok {
			w.refuse(n, "write mul, sum or round for decimal text, from_yuan(...) for money", "%s cannot be calculated with: what was read is text", cmp.Or(pick(!lok, left), right))
		}
	}
}

func pick(ok bool, s string) string {
	if ok {
		return s
	}
	return ""
}

// textAgainst refuses a number or truth beside what was read, which is text.
func (w *rewriter) textAgainst(n *ast.BinaryNode, known bool, leaf string, other ast.Node, t reflect.Type) bool {
	if known || t != intType && t != boolType {
		return true
	}
	cure := "write text(...) for the other side"
	switch o := other.(type) {
	case *ast.IntegerNode:
		cure = fmt.Sprintf("write %s %q", n.Operator, strconv.Itoa(o.Value))
	case *ast.BoolNode:
		cure = fmt.Sprintf("write %s %q", n.Operator, strconv.FormatBool(o.Value))
	}
	at := n.Left
	if other == n.Left {
		at = n.Right
	}
	w.wrong = append(w.wrong, wrongAt{start(at, w), leaf + " is text", cure})
	return false
}

// start is where a written operand begins, as far as the tree still tells.
func start(n ast.Node, w *rewriter) int {
	switch n := n.(type) {
	case *ast.CallNode:
		if c, ok := n.Callee.(*ast.IdentifierNode); ok && c.Value == getCall {
			return start(n.Arguments[0], w)
		}
	case *ast.MemberNode:
		return start(n.Node, w)
	}
	return n.Location().From
}

// leaves makes text of elements that also have attributes, so that they compare.
func (w *rewriter) leaves(n *ast.BinaryNode, lok, rok bool) {
	if !lok {
		n.Left = w.wrapped(leafCall, n.Left)
	}
	if !rok {
		n.Right = w.wrapped(leafCall, n.Right)
	}
}

func (w *rewriter) wrapped(name string, n ast.Node) ast.Node {
	out := call(name, n)
	out.SetLocation(n.Location())
	return out
}
