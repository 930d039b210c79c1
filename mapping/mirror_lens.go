package mapping

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

// wording is an answer in the making. The folder's cells say where in it a value
// is read: to change the value is to go the same way back.
type wording struct {
	mirror   *Mirror
	m        *mapper
	in       core.Input
	response core.Response
	r        *run
	tree     *expressionTree
	depth    int
	// item is the record of a list that is made now, under its name in the folder.
	item     any
	itemName string
}

var errOneWay = errors.New("this cell cannot be gone back")

func (mi *Mirror) word(m *mapper, in core.Input, from core.Response) *wording {
	w := &wording{mirror: mi, m: m, in: in, response: from}
	w.restart()
	return w
}

// restart forgets what was computed of the answer as it was.
func (w *wording) restart() {
	w.r = w.m.start(w.in)
	w.r.response = w.response
	w.r.set(w.m.came, w.response.Body)
	if w.itemName != "" {
		w.r.env[w.itemName] = w.item
	}
}

func (w *wording) eval(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.NilNode:
		return nil, nil
	}
	p, err := w.tree.part(n)
	if err != nil {
		return nil, err
	}
	return p.value(w.r)
}

// within does something with the cells of another expression.
func (w *wording) within(p *program, do func(ast.Node) error) error {
	if p == nil || p.tree == nil {
		return errOneWay
	}
	before := w.tree
	w.tree = p.tree
	defer func() { w.tree = before }()
	return do(p.tree.node)
}

// put makes the value of a cell v. On an error the answer may be half changed; the
// caller goes back to what it was.
func (w *wording) putTemplate(t template, v any) error {
	switch t := t.(type) {
	case fixed:
		if equalValue(t.v, v) {
			return nil
		}
	case cellPart:
		if t.fixed {
			return w.putTemplate(fixed{t.text}, v)
		}
		return w.within(t.program, func(n ast.Node) error { return w.put(n, v) })
	case slotPart:
		return w.putSlot(int(t), v)
	}
	return errOneWay
}

func equalValue(a, b any) bool {
	if isBranch(a) || isBranch(b) {
		return same(a, b)
	}
	x, ok1 := core.Text(a)
	y, ok2 := core.Text(b)
	if ok1 && ok2 {
		return x == y
	}
	return same(a, b)
}

func isBranch(v any) bool {
	switch v.(type) {
	case core.Tree, core.List:
		return true
	}
	return false
}

func (w *wording) put(n ast.Node, v any) error {
	if w.depth++; w.depth > 100 {
		return errOneWay
	}
	defer func() { w.depth-- }()
	if now, err := w.eval(n); err == nil && now != nil && equalValue(now, v) {
		return nil
	}
	switch n := n.(type) {
	case *ast.ChainNode:
		return w.put(n.Node, v)
	case *ast.ConditionalNode:
		return w.putBranch(n, v)
	case *ast.BinaryNode:
		switch n.Operator {
		case "??":
			before := w.response
			if err := w.put(n.Left, v); err == nil {
				return nil
			}
			w.backTo(before)
			return w.put(n.Right, v)
		case "+":
			return w.putSum(n, v)
		}
	case *ast.IdentifierNode:
		if n.Value == w.itemName && n.Value != "" {
			w.item = v
			w.restart()
			return nil
		}
	case *ast.BuiltinNode:
		if n.Name == "concat" && len(n.Arguments) > 0 {
			return w.put(n.Arguments[0], v)
		}
	case *ast.CallNode:
		if i := slotOf(n); i >= 0 {
			return w.putSlot(i, v)
		}
		return w.putCall(n, v)
	}
	return errOneWay
}

func (w *wording) backTo(r core.Response) {
	w.response = r
	w.restart()
}

func (w *wording) putSlot(i int, v any) error {
	s := w.m.unit.slots[i]
	switch {
	case i == w.m.came:
		w.response.Body = v
		w.restart()
		return nil
	case s.name == "wire.status":
		text, ok := core.Text(v)
		w.response.Status = text
		w.restart()
		if !ok {
			return errOneWay
		}
		return nil
	case s.name == "wire.error" && v == nil:
		w.response.Error = ""
		w.restart()
		return nil
	case s.name == "wire.headers":
		tree, ok := v.(core.Tree)
		if !ok {
			return errOneWay
		}
		w.response.Headers = tree
		w.restart()
		return nil
	case s.of != nil:
		return w.putTemplate(s.of, v)
	}
	return errOneWay // it is given by the request
}

// putBranch takes the branch that gives v, and makes its condition hold.
func (w *wording) putBranch(n *ast.ConditionalNode, v any) error {
	before := w.response
	now, _ := w.eval(n.Cond)
	order := []bool{true, false}
	if now == false {
		order = []bool{false, true}
	}
	// A branch that is v to the letter comes first.
	for i, truth := range order {
		branch := n.Exp2
		if truth {
			branch = n.Exp1
		}
		if text, ok := literal(branch); ok && equalValue(text, v) {
			order[0], order[i] = order[i], order[0]
		}
	}
	err := errOneWay
	for _, truth := range order {
		branch := n.Exp2
		if truth {
			branch = n.Exp1
		}
		if text, isLiteral := literal(branch); isLiteral && !equalValue(text, v) {
			continue
		}
		if err = w.hold(n.Cond, truth); err == nil {
			if err = w.put(branch, v); err == nil {
				return nil
			}
		}
		w.backTo(before)
	}
	return err
}

// putSum changes the one part of a sum of texts that the answer gives.
func (w *wording) putSum(n ast.Node, v any) error {
	text, ok := core.Text(v)
	if !ok {
		return errOneWay
	}
	parts := summands(n)
	for i, p := range parts {
		if _, isLiteral := literal(p); isLiteral {
			continue
		}
		around := func(some []ast.Node) string {
			var b strings.Builder
			for _, p := range some {
				v, _ := w.eval(p)
				t, _ := core.Text(v)
				b.WriteString(t)
			}
			return b.String()
		}
		rest, begins := strings.CutPrefix(text, around(parts[:i]))
		rest, ends := strings.CutSuffix(rest, around(parts[i+1:]))
		before := w.response
		if begins && ends {
			if err := w.put(p, rest); err == nil {
				return nil
			}
		}
		w.backTo(before)
	}
	return errOneWay
}

func (w *wording) putCall(n *ast.CallNode, v any) error {
	name, args := calledName(n), n.Arguments
	switch name {
	case leafCall, wordCall, "text", "trim", "number", "list", "trim_zeros", "round", "upper", "lower", "left", "right", "cut":
		return w.put(args[0], v)
	case getCall:
		key, err := w.eval(args[1])
		if err != nil {
			return err
		}
		now, err := w.eval(args[0])
		if err != nil {
			return err
		}
		return w.put(args[0], withChild(now, key, v))
	case readCall:
		return w.putDocument(n, v)
	case codeCall:
		l, of := tableOf(n)
		text, ok := core.Text(v)
		if l == nil || !ok {
			return errOneWay
		}
		found := w.mirror.codesFor(w.r, l, text)
		if len(found) == 0 {
			return fmt.Errorf("the code table %s gives no %q", l.Table(), text)
		}
		return w.put(of, found[0])
	case "root":
		now, _ := w.eval(args[0])
		tree, _ := now.(core.Tree)
		root := "ROOT"
		for _, f := range tree {
			if !strings.HasPrefix(f.Name, ".") {
				root = f.Name
			}
		}
		return w.put(args[0], core.Tree{{Name: root, Value: v}})
	case "first", "last":
		now, _ := w.eval(args[0])
		list := append(core.List{}, asList(now)...)
		switch {
		case len(list) == 0:
			list = core.List{v}
		case name == "first":
			list[0] = v
		default:
			list[len(list)-1] = v
		}
		return w.put(args[0], list)
	case "hl7":
		form, ok := literal(args[1])
		now, err := w.eval(args[0])
		if !ok || err != nil {
			return errOneWay
		}
		out, err := withHL7(now, form, v)
		if err != nil {
			return err
		}
		return w.put(args[0], out)
	case "from_time":
		t, ok := v.(time.Time)
		layout, isLiteral := literal(args[1])
		if !ok || !isLiteral {
			return errOneWay
		}
		if now, err := w.eval(args[0]); err == nil { // the layout that the answer is in
			text, _ := core.Text(now)
			for _, l := range args[2:] {
				other, _ := literal(l)
				if at, err := w.mirror.functions["from_time"](text, other); err == nil && at != nil && text != "" {
					if _, err := w.mirror.functions["from_time"](text, layout); err != nil {
						layout = other
					}
				}
			}
		}
		text, err := w.mirror.functions["time"](t, layout)
		if err != nil {
			return err
		}
		return w.put(args[0], text)
	case "add": // how long from then, in whole seconds
		t, ok := v.(time.Time)
		from, err := w.eval(args[0])
		begin, isTime := from.(time.Time)
		if !ok || err != nil || !isTime {
			return errOneWay
		}
		if _, isLiteral := literal(args[1]); isLiteral {
			return w.putBackwards(n, name, v)
		}
		return w.put(args[1], fmt.Sprintf("%ds", int(t.Sub(begin).Seconds())))
	case "split":
		sep, err := w.eval(args[1])
		by, _ := core.Text(sep)
		if err != nil {
			return err
		}
		var texts []string
		for _, item := range asList(v) {
			text, _ := core.Text(item)
			texts = append(texts, text)
		}
		return w.put(args[0], strings.Join(texts, by))
	case "neg":
		if m, ok := v.(core.Fen); ok {
			return w.put(args[0], -m)
		}
		return errOneWay
	}
	return w.putBackwards(n, name, v)
}

// putBackwards goes through from_f by f, and through f by from_f.
func (w *wording) putBackwards(n *ast.CallNode, name string, v any) error {
	other, reads := strings.CutPrefix(name, "from_")
	if !reads {
		other = "from_" + name
	}
	f, ok := w.mirror.functions[other]
	if !ok {
		return fmt.Errorf("%s has no way back", name)
	}
	arguments := []any{v}
	for _, a := range n.Arguments[1:] {
		x, err := w.eval(a)
		if err != nil {
			return err
		}
		arguments = append(arguments, x)
	}
	out, err := f(arguments...)
	if err != nil {
		return err
	}
	if b, ok := out.([]byte); ok && !isBytes(n.Arguments[0]) && utf8.Valid(b) {
		out = string(b)
	}
	return w.put(n.Arguments[0], out)
}
