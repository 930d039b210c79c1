package mapping

import (
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"hishub/mapping/functions"
)

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
			h.hits++
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
			h.hits++
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
		h.hits++
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
