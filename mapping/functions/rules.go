package functions

import (
	"errors"
	"reflect"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker/nature"
	"github.com/expr-lang/expr/conf"

	"hishub/core"
)

// builtins of expr that stay. All others are off: they know clocks, floats and
// maps without order.
var builtins = []string{"map", "filter", "all", "any", "none", "count", "find", "concat", "uniq", "take", "reverse"}

// instead says what to write for a built-in that people know from elsewhere.
// expr cannot disable those that take a predicate, so they are refused here.
var instead = map[string]string{
	"groupBy": `groupBy loses the order; write group(list, "field")`,
	"sum":     "sum(list) takes a list of decimal text, total(list) one of money; map(...) makes it",
}

// operatorPrefix begins the name of the function behind an operator of money, a
// name that nobody can write.
const operatorPrefix = "money "

// moneyOperators is all the arithmetic money has. Equality needs none: values
// of one type are compared as they are.
func moneyOperators() []Function {
	var operators []Function
	operator := func(sign string, t any, call func(a, b core.Fen) (any, error)) {
		operators = append(operators, define(operatorPrefix+sign, "", func(in *arguments) (any, error) {
			return call(in.money(0), in.money(1))
		}, t))
	}
	amount, truth := new(func(core.Fen, core.Fen) core.Fen), new(func(core.Fen, core.Fen) bool)
	operator("+", amount, func(a, b core.Fen) (any, error) { return plus(a, b) })
	operator("-", amount, func(a, b core.Fen) (any, error) { return minus(a, b) })
	operator("<", truth, func(a, b core.Fen) (any, error) { return a < b, nil })
	operator("<=", truth, func(a, b core.Fen) (any, error) { return a <= b, nil })
	operator(">", truth, func(a, b core.Fen) (any, error) { return a > b, nil })
	operator(">=", truth, func(a, b core.Fen) (any, error) { return a >= b, nil })
	return operators
}

var errNoFraction = errors.New(`there are no numbers with a fraction here; quote it ("12.50") and use mul, sum, round`)

// ruled adds the rules that no type can say.
func ruled(all []Function) expr.Option {
	literals := map[string]func(int, string) error{}
	for _, f := range all {
		if f.literal != nil {
			literals[f.Name] = f.literal
		}
	}
	return func(c *conf.Config) {
		c.Visitors = append(c.Visitors, &rules{config: c, literals: literals})
	}
}

// rules walks one expression, innermost first, as often as it takes: expr knows
// the type of what stands around an operator of money only after the operator
// has become a call. Only then are the rules applied, in one last walk.
//
// Visitors that repeat run after those that don't, so that what the compiler of
// the mapping rewrites (the walk into trees) is rewritten already.
type rules struct {
	config   *conf.Config
	literals map[string]func(int, string) error
	calls    []*ast.CallNode // of this walk
	changed  bool            // in this walk
	fresh    bool            // the types are of the tree as it is
	settled  bool            // this walk is the last
}

// Reset and ShouldRepeat are expr's words for a visitor that repeats.
func (r *rules) Reset() { r.changed, r.calls = false, nil }

// ShouldRepeat makes expr forget the type of every call. Once it knows that type
// it does not look into the call again, and what is wrong with an argument, even
// an unknown name, would be lost after the first look.
func (r *rules) ShouldRepeat() bool {
	for _, call := range r.calls {
		call.SetNature(nature.Nature{})
	}
	again := !r.settled
	r.settled = r.fresh && !r.changed
	r.fresh = true
	return again
}

func (r *rules) Visit(node *ast.Node) {
	if call, ok := (*node).(*ast.CallNode); ok {
		r.calls = append(r.calls, call)
	}
	if !r.settled {
		if n, ok := (*node).(*ast.BinaryNode); ok && n.Left.Type() == moneyType && n.Right.Type() == moneyType {
			r.overload(node, n)
		}
		return
	}
	switch n := (*node).(type) {
	case *ast.FloatNode:
		r.refuse(node, errNoFraction)
	case *ast.UnaryNode:
		if n.Node.Type() == moneyType {
			r.refuse(node, errors.New("write neg(...) for money the other way"))
		}
	case *ast.BinaryNode:
		if err := operands(n); err != nil {
			r.refuse(node, err)
		}
	case *ast.BuiltinNode:
		r.builtin(node, n)
	case *ast.CallNode:
		r.call(n)
	}
}

func (r *rules) overload(node *ast.Node, n *ast.BinaryNode) {
	name := operatorPrefix + n.Operator
	if _, ok := r.config.Functions[name]; !ok {
		return
	}
	ast.Patch(node, &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: name},
		Arguments: []ast.Node{n.Left, n.Right},
	})
	r.changed = true
}

// operands keeps money and times among themselves also where the other side is
// a leaf, which expr takes for anything and would find unequal without a word.
func operands(n *ast.BinaryNode) error {
	switch n.Operator {
	case "/", "**", "^":
		return errNoFraction
	case "??":
		return nil
	}
	left, right := n.Left.Type(), n.Right.Type()
	equality := n.Operator == "==" || n.Operator == "!="
	if equality && (isNil(n.Left) || isNil(n.Right)) {
		return nil
	}
	order := equality || n.Operator == "<" || n.Operator == "<=" || n.Operator == ">" || n.Operator == ">="
	if left == moneyType || right == moneyType {
		if left == right && equality { // the others are calls by now
			return nil
		}
		return errors.New("money can only be added to, subtracted from and compared with money; write from_yuan(...), from_fen(...) or yuan(...)")
	}
	if left == timeType || right == timeType {
		if left == right && order {
			return nil
		}
		return errors.New(`a time can only be compared with a time; write from_time(...), time(...) or add(..., "72h")`)
	}
	return nil
}

func isNil(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}

func (r *rules) builtin(node *ast.Node, n *ast.BuiltinNode) {
	if !slices.Contains(builtins, n.Name) {
		if words, ok := instead[n.Name]; ok {
			r.refuse(node, errors.New(words))
		} else {
			r.refuse(node, errors.New(n.Name+" is not a function of this language"))
		}
		return
	}
	// A name that occurs once is read as one, not as a list of one, and a tree
	// would be taken for the list of its fields.
	lists := 1
	if n.Name == "concat" {
		lists = len(n.Arguments)
	}
	for i := 0; i < lists && i < len(n.Arguments); i++ {
		if t := n.Arguments[i].Type(); t == anyType || t == treeType {
			ast.Patch(&n.Arguments[i], &ast.CallNode{
				Callee:    &ast.IdentifierNode{Value: "list"},
				Arguments: []ast.Node{n.Arguments[i]},
			})
		}
	}
}

func (r *rules) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || r.literals[callee.Value] == nil {
		return
	}
	for i, argument := range n.Arguments {
		if text, ok := argument.(*ast.StringNode); ok {
			if err := r.literals[callee.Value](i, text.Value); err != nil {
				r.refuse(&n.Arguments[i], errors.New(callee.Value+": "+err.Error()))
			}
		}
	}
}

// refuse makes the expression fail at this node. A visitor of expr cannot report
// an error, so the node becomes a call that does not pass the check.
func (r *rules) refuse(node *ast.Node, err error) {
	name := err.Error()
	r.config.Functions[name] = &builtin.Function{
		Name:     name,
		Func:     func(...any) (any, error) { return nil, err },
		Validate: func([]reflect.Type) (reflect.Type, error) { return nil, err },
	}
	ast.Patch(node, &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}})
}
