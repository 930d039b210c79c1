package mapping

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

// call reads want as what a function gave.
func (h *hearing) call(n *ast.CallNode, want any) bool {
	name := calledName(n)
	args := n.Arguments
	if name == absentCall {
		return want == gone
	}
	if want == gone {
		h.misses++
		return true
	}
	text, isText := core.Text(want)
	switch name {
	case leafCall, wordCall:
		return h.invert(args[0], want)
	case nothing:
		return isText && text == ""
	case codeCall:
		return h.coded(n, want)
	case readCall: // a document that is read again before it is written
		if f := n.Arguments[1].(*ast.ConstantNode).Value.(*namedFormat); want != nil {
			written, err := f.Write(want)
			return err == nil && h.invert(args[2], written)
		}
		return true
	case getCall:
		return h.member(n, want)
	case "time":
		return h.timed(n, want)
	case "text", "number", "trim", "list", "trim_zeros", "round":
		if isText && (name == "trim_zeros" || name == "round") {
			return h.weakly(args[0], want)
		}
		return h.invert(args[0], want)
	case "upper", "lower":
		if isText && (name == "upper" && text != strings.ToUpper(text) || name == "lower" && text != strings.ToLower(text)) {
			return false
		}
		if h.width(args[0]) > 0 { // a digest, which is checked in its own spelling
			return h.compare(n, want)
		}
		return h.weakly(args[0], want)
	case "left", "right", "cut", "mask":
		return h.cutOff(n, name, want)
	case "pad":
		return h.padded(n, text, isText)
	case "replace":
		return h.replaced(n, text, isText)
	case "join":
		return h.split(n, text, isText)
	case "split":
		parts := make([]string, 0)
		for _, item := range asList(want) {
			t, _ := core.Text(item)
			parts = append(parts, t)
		}
		if sep, ok := h.textOf(args[1]); ok {
			return h.invert(args[0], strings.Join(parts, sep))
		}
	case "without":
		if tree, ok := want.(core.Tree); ok {
			if i := slotOf(bare(args[0])); i >= 0 {
				if f := h.fragment(slotPart(i)); f != nil {
					c := &children{tree: tree, used: map[string]bool{}, skip: map[string]bool{}}
					for _, a := range args[1:] {
						skipped, _ := literal(a)
						c.skip[skipped] = true
					}
					return h.children(f.fields, c)
				}
			}
		}
	case "query", "sorted_query":
		return h.query(n, text, isText)
	case "wrap":
		tree, ok := want.(core.Tree)
		if !ok || len(tree) == 0 {
			return false
		}
		return h.invert(args[0], tree[0].Name) && h.invert(args[1], tree[0].Value)
	case "first", "last":
		return h.invert(args[0], core.List{want})
	case "neg":
		if m, ok := want.(core.Fen); ok {
			return h.invert(args[0], -m)
		}
	case "add":
		if d, ok := literal(args[1]); ok {
			if by, err := time.ParseDuration(d); err == nil {
				if t, ok := want.(time.Time); ok {
					return h.invert(args[0], t.Add(-by))
				}
				if t, ok := want.(pieces); ok {
					return h.invert(args[0], pieces{t.at.Add(-by), t.parts})
				}
			}
		}
	case "money +", "money -":
		return h.sum(n, name, want)
	case "mul":
		return h.divided(n, want)
	default:
		return h.backwards(n, name, want)
	}
	return h.compare(n, want)
}

// backwards goes through f by from_f, and through from_f by f.
func (h *hearing) backwards(n *ast.CallNode, name string, want any) bool {
	other, reads := strings.CutPrefix(name, "from_")
	if !reads {
		other = "from_" + name
	}
	f, ok := h.mirror.functions[other]
	if !ok {
		return h.compare(n, want)
	}
	text, isText := core.Text(want)
	if isText && text == "" {
		if name == "yuan" || name == "fen" {
			return h.invert(n.Arguments[0], nil)
		}
		return true
	}
	if t, ok := want.(pieces); ok && name == "from_time" { // a text of ours that is spelled anew
		if layout, isLiteral := literal(n.Arguments[1]); !isLiteral || !t.tell(layout) {
			return h.lose(n, want)
		}
		want = t.at
	}
	arguments := []any{want}
	for _, a := range n.Arguments[1:] {
		if !h.known(a) {
			return h.lose(n, want)
		}
		v, err := h.eval(a)
		if err != nil {
			return h.lose(n, want)
		}
		arguments = append(arguments, v)
	}
	v, err := f(arguments...)
	if err != nil {
		switch name {
		case "rsa", "sm2": // only who has the private key can open it
			return h.lose(n, want)
		}
		return false
	}
	if b, ok := v.([]byte); ok && !isBytes(n.Arguments[0]) && utf8.Valid(b) {
		v = string(b)
	}
	return h.invert(n.Arguments[0], v)
}

// isBytes reports whether a node gives bytes that another function wants as bytes.
func isBytes(n ast.Node) bool {
	switch name := calledName(bare(n)); name {
	case "gb18030", "encode", "gzip", "from_base64", "from_base64url", "from_hex":
		return true
	default:
		for _, cipher := range []string{"aes_", "des_", "des3_", "sm4_"} {
			if strings.HasPrefix(name, cipher) {
				return true
			}
		}
		return name == "rsa" || name == "sm2" || name == "rsa_sign" || name == "sm2_sign"
	}
}

// weakly reads want as the whole, although something was lost on the way.
func (h *hearing) weakly(n ast.Node, want any) bool {
	if path, ok := h.path(n); ok {
		return h.bind(path, want, true)
	}
	return h.invert(n, want)
}

// coded goes through a code table the other way. A code that stands for several of
// ours is one of them, and nobody can say which.
func (h *hearing) coded(n *ast.CallNode, want any) bool {
	l, of := tableOf(n)
	text, ok := core.Text(want)
	if !ok || l == nil {
		return h.compare(n, want)
	}
	if text == "" {
		return h.invert(of, nil)
	}
	found := h.mirror.codesFor(h.r, l, text)
	switch {
	case len(found) == 0 && h.known(of):
		return h.compare(n, want)
	case len(found) == 0:
		return false
	case len(found) == 1:
		return h.invert(of, found[0])
	}
	if path, ok := h.path(of); ok {
		if v, known := h.values[path].(string); known && !h.weak[path] {
			for _, f := range found {
				if f == v {
					return true
				}
			}
			return false
		}
		return h.bind(path, found[0], true)
	}
	return h.lose(n, want)
}

// member reads want as one child of a tree that the folder writes.
func (h *hearing) member(n *ast.CallNode, want any) bool {
	name, ok := literal(n.Arguments[1])
	i := slotOf(bare(n.Arguments[0]))
	if !ok || i < 0 {
		return h.compare(n, want)
	}
	if f := h.fragment(slotPart(i)); f != nil {
		for _, child := range f.fields {
			if child.name == name {
				return h.document(child.value, want)
			}
		}
	}
	return h.compare(n, want)
}

var timeParts = []string{"yyyy", "MM", "dd", "HH", "mm", "SSS", "ss"}

// timed reads a time in a layout, which may tell only a part of it.
func (h *hearing) timed(n *ast.CallNode, want any) bool {
	text, ok := core.Text(want)
	layout, isLiteral := literal(n.Arguments[1])
	if !ok || !isLiteral {
		return h.compare(n, want)
	}
	if text == "" {
		return true
	}
	// A reader wants a date; what the layout leaves out is told by another cell.
	whole, inWhole := layout, text
	for _, part := range [][2]string{{"dd", "01"}, {"MM", "01"}, {"yyyy", "2000"}} {
		if !strings.Contains(layout, part[0]) && !strings.Contains(layout, "unix") {
			whole, inWhole = part[0]+"|"+whole, part[1]+"|"+inWhole
		}
	}
	v, err := h.mirror.functions["from_time"](inWhole, whole)
	t, isTime := v.(time.Time)
	if err != nil || !isTime {
		return false
	}
	if strings.Contains(layout, "XXX") || strings.Contains(layout, "unix") {
		return h.invert(n.Arguments[0], t)
	}
	return h.invert(n.Arguments[0], pieces{at: t, parts: partsOf(layout)})
}

// partsOf are the parts of a time that a layout tells.
func partsOf(layout string) (parts []string) {
	for _, part := range timeParts {
		if strings.Contains(layout, part) {
			parts = append(parts, part)
			layout = strings.ReplaceAll(layout, part, "")
		}
	}
	for _, short := range [][2]string{{"yy", "yyyy"}, {"M", "MM"}, {"d", "dd"}, {"H", "HH"}} {
		if strings.Contains(layout, short[0]) && !slices.Contains(parts, short[1]) {
			parts = append(parts, short[1])
		}
	}
	return parts
}

// tell reports whether all that a layout writes is known.
func (p pieces) tell(layout string) bool {
	for _, part := range partsOf(layout) {
		if !slices.Contains(p.parts, part) {
			return false
		}
	}
	return !strings.Contains(layout, "XXX") && !strings.Contains(layout, "unix")
}

// cutOff reads a beginning or an end: what is longer was lost.
func (h *hearing) cutOff(n *ast.CallNode, name string, want any) bool {
	text, ok := core.Text(want)
	if !ok {
		return false
	}
	if h.known(n) {
		if got, ok := h.textOf(n); ok {
			if got == text {
				h.hits++
			}
			return got == text
		}
	}
	if name == "mask" {
		return h.lose(n, want)
	}
	if limit, ok := n.Arguments[1].(*ast.IntegerNode); ok && utf8.RuneCountInString(text) < limit.Value && name != "cut" {
		return h.invert(n.Arguments[0], want) // nothing was cut off
	}
	if i := slotOf(bare(n.Arguments[0])); i >= 0 && h.slotTemplate(i) != nil {
		return h.lose(n, want) // it is compared when the name is known
	}
	return h.weakly(n.Arguments[0], want)
}

func (h *hearing) padded(n *ast.CallNode, text string, ok bool) bool {
	fill, known := h.textOf(n.Arguments[2])
	if !ok || !known || fill == "" {
		return h.lose(n, text)
	}
	bareText := strings.TrimLeft(text, fill)
	if bareText == "" && text != "" && fill == "0" {
		bareText = "0"
	}
	if bareText == text { // as long as it is without
		return h.invert(n.Arguments[0], text)
	}
	return h.weakly(n.Arguments[0], bareText)
}

// replaced goes back where that can be told, as for yyyy-MM-dd without its dashes.
func (h *hearing) replaced(n *ast.CallNode, text string, ok bool) bool {
	from, known := h.textOf(n.Arguments[1])
	to, knownTo := h.textOf(n.Arguments[2])
	if !ok || !known || !knownTo {
		return h.lose(n, text)
	}
	if to != "" {
		if strings.Contains(text, to) {
			return h.weakly(n.Arguments[0], strings.ReplaceAll(text, to, from))
		}
		return h.invert(n.Arguments[0], text)
	}
	path, isPath := h.path(n.Arguments[0])
	if isPath && from == "-" && len(text) == 8 && dated(path) && strings.Trim(text, "0123456789") == "" {
		return h.bind(path, text[:4]+"-"+text[4:6]+"-"+text[6:], false)
	}
	return h.weakly(n.Arguments[0], text)
}

// dated reports whether a field of the catalogue is a date, yyyy-MM-dd.
func dated(path string) bool {
	name := path[strings.LastIndexByte(path, '.')+1:]
	switch name {
	case "date", "day", "from", "to":
		return true
	}
	return strings.HasSuffix(name, "_date")
}

func (h *hearing) split(n *ast.CallNode, text string, ok bool) bool {
	sep, known := h.textOf(n.Arguments[1])
	if !ok || !known {
		return h.lose(n, text)
	}
	list := core.List{}
	switch {
	case text == "":
	case sep == "":
		return h.lose(n, text)
	default:
		for part := range strings.SplitSeq(text, sep) {
			list = append(list, part)
		}
	}
	return h.invert(n.Arguments[0], list)
}

// query reads a=1&b=2, which is not escaped.
func (h *hearing) query(n *ast.CallNode, text string, ok bool) bool {
	i := slotOf(bare(n.Arguments[0]))
	if !ok || i < 0 {
		return h.compare(n, text)
	}
	f := h.fragment(slotPart(i))
	if f == nil {
		return h.compare(n, text)
	}
	c := &children{used: map[string]bool{}, fold: true}
	for part := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(part, "=")
		c.tree = append(c.tree, core.Field{Name: name, Value: value})
	}
	return h.children(f.fields, c)
}

// sum takes what is known from a sum of money.
func (h *hearing) sum(n *ast.CallNode, name string, want any) bool {
	total, ok := want.(core.Fen)
	if !ok {
		return h.compare(n, want)
	}
	for i, other := range []int{1, 0} {
		if !h.known(n.Arguments[other]) {
			continue
		}
		v, err := h.eval(n.Arguments[other])
		part, isMoney := v.(core.Fen)
		if err != nil || !isMoney {
			break
		}
		switch {
		case name == "money +":
			return h.invert(n.Arguments[i], total-part)
		case i == 0:
			return h.invert(n.Arguments[0], total+part)
		default:
			return h.invert(n.Arguments[1], part-total)
		}
	}
	return h.lose(n, want)
}
