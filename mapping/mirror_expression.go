package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
	"hishub/mapping/functions"
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
	_, first := try(n.Exp1, true)
	_, second := try(n.Exp2, false)
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
		if want == gone {
			return true
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

// summands are the texts that + puts one after the other.
func summands(n ast.Node) []ast.Node {
	if b, ok := bare(n).(*ast.BinaryNode); ok && b.Operator == "+" {
		return append(summands(b.Left), summands(b.Right)...)
	}
	return []ast.Node{n}
}

// joined cuts a text where the known parts of a sum are.
func (h *hearing) joined(whole ast.Node, parts []ast.Node, text string) bool {
	for len(parts) > 0 {
		if known, ok := h.textOf(parts[0]); ok {
			rest, ok := strings.CutPrefix(text, known)
			if !ok {
				return false
			}
			text, parts = rest, parts[1:]
			continue
		}
		n := h.width(parts[0])
		if n <= 0 || len(parts) == 1 {
			break
		}
		runes := []rune(text)
		if len(runes) < n || !h.invert(parts[0], string(runes[:n])) {
			return false
		}
		text, parts = string(runes[n:]), parts[1:]
	}
	for len(parts) > 1 {
		last := parts[len(parts)-1]
		if known, ok := h.textOf(last); ok {
			rest, ok := strings.CutSuffix(text, known)
			if !ok {
				return false
			}
			text, parts = rest, parts[:len(parts)-1]
			continue
		}
		n := h.width(last)
		runes := []rune(text)
		if n <= 0 {
			break
		}
		if len(runes) < n || !h.invert(last, string(runes[len(runes)-n:])) {
			return false
		}
		text, parts = string(runes[:len(runes)-n]), parts[:len(parts)-1]
	}
	switch len(parts) {
	case 0:
		return text == ""
	case 1:
		return h.invert(parts[0], text)
	}
	if known, ok := h.textOf(parts[1]); ok && known != "" {
		mine, rest, found := strings.Cut(text, known)
		return found && h.invert(parts[0], mine) && h.joined(whole, parts[2:], rest)
	}
	for _, p := range parts {
		h.lose(p, nil)
	}
	return true
}

// textOf is the text of a node that is known.
func (h *hearing) textOf(n ast.Node) (string, bool) {
	if !h.known(n) {
		return "", false
	}
	v, err := h.eval(n)
	if err != nil {
		return "", false
	}
	text, err := functions.Text(plain(v))
	return text, err == nil
}

// width is how many characters a node always has; 0 where that differs.
func (h *hearing) width(n ast.Node) int {
	n = bare(n)
	if i := slotOf(n); i >= 0 {
		if h.m.unit.slots[i].name == "attempt.id" {
			return 32
		}
		if c, ok := h.slotTemplate(i).(cellPart); ok && c.tree != nil {
			return h.width(c.tree.node)
		}
		return 0
	}
	call, ok := n.(*ast.CallNode)
	if !ok {
		return 0
	}
	switch name := calledName(call); name {
	case "upper", "lower":
		return h.width(call.Arguments[0])
	case "time":
		if layout, ok := literal(call.Arguments[1]); ok && !strings.Contains(layout, "X") {
			return utf8.RuneCountInString(layout)
		}
	case "pad", "right":
		if n, ok := call.Arguments[1].(*ast.IntegerNode); ok {
			return n.Value
		}
	default:
		return digestWidths[name]
	}
	return 0
}

var digestWidths = map[string]int{"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128, "sm3": 64,
	"hmac_md5": 32, "hmac_sha1": 40, "hmac_sha256": 64, "hmac_sha512": 128, "hmac_sm3": 64}

// builtin reads map(list, .field), which is read as the list again.
func (h *hearing) builtin(n *ast.BuiltinNode, want any) bool {
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

// eval computes a node that is known.
func (h *hearing) eval(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.NilNode:
		return nil, nil
	}
	p, err := h.tree.part(n)
	if err != nil {
		return nil, err
	}
	return p.value(h.r)
}

// truth of a condition that is known.
func (h *hearing) truth(p *program) (value, known bool) {
	if p.tree == nil {
		return false, false
	}
	before := h.tree
	h.tree = p.tree
	defer func() { h.tree = before }()
	if !h.known(p.tree.node) {
		return false, false
	}
	v, err := h.eval(p.tree.node)
	b, ok := v.(bool)
	return b, err == nil && ok
}

// prefixed reports whether anything below a path is known.
func (h *hearing) prefixed(path string) bool {
	return slices.ContainsFunc(mapKeys(h.values), func(k string) bool { return k == path || strings.HasPrefix(k, path) })
}
