package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"

	"hishub/core"
)

// rewriter turns what somebody wrote into what runs: names into where their
// values are computed, member access on trees into nil-safe walking, code tables
// into lookups. On its way it refuses what no type can say, in the words of the
// grammar.
type rewriter struct {
	scope     *scope
	config    *conf.Config
	variables map[string]bool
	wrong     []wrongAt
	// read is true where the node walked last is a leaf or branch as it was read.
	read bool
}

// wrongAt is a mistake at a character of the expression.
type wrongAt struct {
	at         int
	what, cure string
}

func (w *rewriter) refuse(n ast.Node, cure, what string, args ...any) {
	w.wrong = append(w.wrong, wrongAt{n.Location().From, fmt.Sprintf(what, args...), cure})
}

// known is the static type of a node; ok is false where only the run can tell.
func (w *rewriter) known(n ast.Node) (t reflect.Type, ok bool) {
	nt := n.Nature()
	if nt.Nil || nt.IsUnknown(&w.config.NtCache) {
		return nil, nt.Nil
	}
	return nt.Type, true
}

func call(name string, args ...ast.Node) *ast.CallNode {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

func (w *rewriter) replace(p *ast.Node, name string, args ...ast.Node) {
	ast.Patch(p, call(name, args...))
}

// load replaces a name by the slot that holds its value: for now by a name of
// the environment, which keeps its type through all checks.
func (w *rewriter) load(p *ast.Node, slot int, typ reflect.Type) {
	name := slotName + strconv.Itoa(slot)
	w.config.Env.TypeData.Fields[name] = w.config.NtCache.FromType(typ)
	n := &ast.IdentifierNode{Value: name}
	n.SetNature(w.config.NtCache.FromType(typ))
	ast.Patch(p, n)
}

// loading turns those names into what computes the values, and the readers of
// formats into ones that know the run; nothing is checked after it.
type loading struct {
	readers map[string]*namedFormat
}

// namedFormat is a format and the function that reads it.
type namedFormat struct {
	name string
	textFormat
}

func (l loading) Visit(p *ast.Node) {
	if n, ok := (*p).(*ast.CallNode); ok {
		callee, _ := n.Callee.(*ast.IdentifierNode)
		if callee != nil && l.readers[callee.Value] != nil && len(n.Arguments) == 1 {
			out := call(readCall, &ast.IdentifierNode{Value: runName}, &ast.ConstantNode{Value: l.readers[callee.Value]}, n.Arguments[0])
			out.SetNature(*n.Nature())
			ast.Patch(p, out)
		}
		return
	}
	n, ok := (*p).(*ast.IdentifierNode)
	if !ok || !strings.HasPrefix(n.Value, slotName) {
		return
	}
	slot, err := strconv.Atoi(n.Value[len(slotName):])
	if err != nil {
		return
	}
	out := call(slotCall, &ast.IdentifierNode{Value: runName}, &ast.IntegerNode{Value: slot})
	out.Arguments[1].SetType(intType)
	out.SetNature(*n.Nature())
	ast.Patch(p, out)
}

func (w *rewriter) walk(p *ast.Node) {
	read := false
	switch n := (*p).(type) {
	case *ast.IdentifierNode:
		read = w.name(p, n)
	case *ast.MemberNode:
		read = w.member(p, n)
	case *ast.ChainNode:
		w.walk(&n.Node)
		read = w.read
	case *ast.CallNode:
		w.call(p, n)
	case *ast.BuiltinNode:
		w.builtin(n)
	case *ast.BinaryNode:
		w.binary(n)
		w.settle(n)
	case *ast.UnaryNode:
		w.walk(&n.Node)
		if n.Operator == "!" || n.Operator == "not" {
			w.condition(n.Node)
			n.SetNature(w.config.NtCache.FromType(boolType))
		} else if _, ok := w.known(n.Node); !ok {
			w.refuse(n, "write sum, mul or from_yuan", "%s is text, it has no sign", n.Node)
		}
	case *ast.ConditionalNode:
		w.conditional(n)
	case *ast.PredicateNode:
		w.walk(&n.Node)
	case *ast.VariableDeclaratorNode:
		w.walk(&n.Value)
		before := w.variables[n.Name]
		w.variables[n.Name] = true
		w.walk(&n.Expr)
		w.variables[n.Name] = before
	case *ast.ArrayNode:
		for i := range n.Nodes {
			w.walk(&n.Nodes[i])
		}
	case *ast.SliceNode:
		w.refuse(n, "write slice, left, right, cut or take", "[from:to] is not part of this language")
	case *ast.MapNode:
		w.refuse(n, "write it as YAML in a let", "maps are not part of this language, they have no order")
	case *ast.SequenceNode:
		w.refuse(n, "write one expression", "; is not part of this language")
	case *ast.BytesNode:
		w.refuse(n, "write text", "bytes cannot be written out")
	}
	w.read = read
}

func (w *rewriter) name(p *ast.Node, n *ast.IdentifierNode) (read bool) {
	if w.variables[n.Value] {
		return false
	}
	b, ok := w.scope.names[n.Value]
	switch {
	case !ok && n.Value == "absent":
		w.replace(p, absentCall)
	case !ok:
		w.unknown(n)
	case b.members != nil:
		w.refuse(n, fmt.Sprintf("write %s.<name>", n.Value), "%s is a group of names, not a value", n.Value)
	case b.slot >= 0:
		w.load(p, b.slot, b.typ)
		return b.typ == nil
	default:
		return b.typ == nil
	}
	return false
}

func (w *rewriter) unknown(n *ast.IdentifierNode) {
	name := n.Value
	if why, ok := w.scope.hidden[name]; ok {
		w.refuse(n, "", "%s is not visible here: %s", name, why)
		return
	}
	if _, ok := w.config.Functions[name]; ok {
		w.refuse(n, fmt.Sprintf("write %s(...)", name), "%s is a function", name)
		return
	}
	cure := `visible are ` + joined(w.scope.visible()) + `; text stands in quotes`
	if near := nearest(name, w.scope.visible()); near != "" {
		cure = fmt.Sprintf("did you mean %q?", near)
	}
	w.refuse(n, cure, "there is no name %q here", name)
}

func (w *rewriter) member(p *ast.Node, n *ast.MemberNode) (read bool) {
	name, literal := n.Property.(*ast.StringNode)
	if root, ok := n.Node.(*ast.IdentifierNode); ok && !w.variables[root.Value] {
		if b := w.scope.names[root.Value]; b.members != nil {
			if !literal {
				w.refuse(n.Property, fmt.Sprintf("write %s.<name>", root.Value), "the members of %s have fixed names", root.Value)
				return false
			}
			return w.groupMember(p, root.Value, b, name)
		}
	}
	written := n.Node.String()
	w.walk(&n.Node)
	if !literal {
		w.walk(&n.Property)
	}
	t, ok := w.known(n.Node)
	switch {
	case !ok || t == treeType:
		w.replace(p, getCall, n.Node, n.Property)
		return true
	case t == nil:
		w.refuse(n.Property, "", "nil has no fields")
	case viewFields(t) != nil && literal:
		if fields := viewFields(t); !slices.Contains(fields, name.Value) {
			w.refuse(n.Property, didYouMean(name.Value, fields), "%s has no field %q", written, name.Value)
		}
	case t.Kind() == reflect.Slice && literal && t != bytesType:
		w.refuse(n.Property, fmt.Sprintf("write map(%s, .%s), first(%s) or $each", written, name.Value, written), "%s is a list, it has no field %q", written, name.Value)
	case t.Kind() == reflect.Slice:
		if elem := t.Elem(); elem.Kind() == reflect.Interface || elem == textType {
			w.replace(p, getCall, n.Node, n.Property) // out of range is nil here too
			return elem != textType
		}
	default:
		w.refuse(n.Property, "", "%s is %s, it has no fields", written, typeName(t))
	}
	return false
}

func (w *rewriter) groupMember(p *ast.Node, root string, b binding, name *ast.StringNode) (read bool) {
	m, ok := b.members[name.Value]
	if !ok {
		if why, hidden := b.hidden[name.Value]; hidden {
			w.refuse(name, "", "%s.%s %s", root, name.Value, why)
			return false
		}
		w.refuse(name, didYouMean(name.Value, slices.Collect(maps.Keys(b.members))), "there is no %s.%s", root, name.Value)
		return false
	}
	if m.eval == nil {
		text := &ast.StringNode{Value: m.constant}
		text.SetType(textType)
		ast.Patch(p, text)
		return false
	}
	w.load(p, w.scope.unit.memberSlot(root, name.Value, m), m.typ)
	return m.typ == nil
}

func (w *rewriter) call(p *ast.Node, n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		w.refuse(n, "write a function, f(x)", "values have no methods")
		return
	}
	name := callee.Value
	if _, ok := w.config.Functions[name]; !ok {
		var names []string
		for f := range w.config.Functions {
			if identifier.MatchString(f) {
				names = append(names, f)
			}
		}
		names = append(names, "map", "filter", "all", "any", "none", "count", "find", "concat", "uniq", "take", "reverse")
		cure := ""
		if near := nearest(name, names); near != "" {
			cure = fmt.Sprintf("did you mean %q?", near)
		}
		w.refuse(n, cure, "there is no function %q", name)
		return
	}
	written := make([]ast.Node, len(n.Arguments))
	for i := range n.Arguments {
		written[i] = n.Arguments[i]
		w.walk(&n.Arguments[i])
	}
	if name == "code" || name == "from_code" {
		w.code(p, n, name, written)
	}
}

// code resolves the table of a code(...) or from_code(...) and checks that it
// has all values of the enumeration that it maps.
func (w *rewriter) code(p *ast.Node, n *ast.CallNode, name string, written []ast.Node) {
	most := 2
	if name == "code" {
		most = 3
	}
	if len(n.Arguments) < 2 || len(n.Arguments) > most {
		w.refuse(n, fmt.Sprintf(`write %s("table", value)`, name), "%s does not take %d arguments", name, len(n.Arguments))
		return
	}
	table, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		w.refuse(n.Arguments[0], fmt.Sprintf(`write %s("table", value)`, name), "the name of a code table is text in quotes")
		return
	}
	folder := w.scope.unit.folder
	t := folder.codes[table.Value]
	if t == nil {
		w.refuse(table, cmp.Or(didYouMean(table.Value, slices.Collect(maps.Keys(folder.codes))), "write codes/"+table.Value+".csv"), "there is no code table codes/%s.csv", table.Value)
		return
	}
	t.used = true
	if typ, known := w.known(n.Arguments[1]); known && typ != nil && typ.Kind() != reflect.String {
		w.refuse(n.Arguments[1], "", "%s takes text, not %s", name, typeName(typ))
		return
	}
	column := "theirs"
	if len(n.Arguments) == 3 {
		c, ok := n.Arguments[2].(*ast.StringNode)
		if !ok || !slices.Contains(t.Columns, c.Value) {
			w.refuse(n.Arguments[2], "the columns are "+joined(t.Columns), "the column of a code table is text in quotes")
			return
		}
		column = c.Value
	}
	if name == "code" {
		if e := w.enumeration(written[1]); e != nil {
			t.mustMap(e, written[1].String())
		}
	} else {
		t.usedBack = append(t.usedBack, w.scope.unit.folder.cell)
	}
	constant := &ast.ConstantNode{Value: t.lookup(name == "from_code", column)}
	constant.SetType(reflect.TypeOf(constant.Value))
	w.replace(p, codeCall, &ast.IdentifierNode{Value: runName}, constant, n.Arguments[1], w.nameOf(n.Arguments[1]))
}

// nameOf is the field in which a record of the message names the code that another
// of its fields has: x.name of x.code, x.department_name of x.department_code.
func (w *rewriter) nameOf(n ast.Node) ast.Node {
	nobody := &ast.NilNode{}
	m, ok := n.(*ast.MemberNode)
	if !ok {
		return nobody
	}
	field, ok := m.Property.(*ast.StringNode)
	if !ok || field.Value != "code" && !strings.HasSuffix(field.Value, "_code") {
		return nobody
	}
	var of ast.Node
	switch x := m.Node.(type) {
	case *ast.IdentifierNode:
		same := *x
		of = &same
	case *ast.PointerNode:
		same := *x
		of = &same
	default:
		return nobody // evaluating it twice would cost more than a name is worth
	}
	t, known := w.known(m.Node)
	name := strings.TrimSuffix(field.Value, "code") + "name"
	if !known || t == nil || !slices.Contains(viewFields(t), name) {
		return nobody
	}
	return &ast.MemberNode{Node: of, Property: &ast.StringNode{Value: name}}
}

// enumeration is the closed set of values that a field of the message has.
func (w *rewriter) enumeration(n ast.Node) core.Enumeration {
	m, ok := n.(*ast.MemberNode)
	if !ok {
		return nil
	}
	name, ok := m.Property.(*ast.StringNode)
	if !ok || m.Node.Type() == nil {
		return nil
	}
	t := m.Node.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	e, _ := enumerations.Load(enumKey{t, name.Value})
	out, _ := e.(core.Enumeration)
	return out
}

func (w *rewriter) builtin(n *ast.BuiltinNode) {
	for i := range n.Arguments {
		w.walk(&n.Arguments[i])
		if predicate, ok := n.Arguments[i].(*ast.PredicateNode); ok && n.Name != "map" {
			w.condition(predicate.Node)
		}
	}
}
