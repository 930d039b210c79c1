package mapping

import (
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/shopspring/decimal"

	"hishub/core"
)

// divided goes through mul(x, "10") by dividing. A number that is no exact multiple
// tells nothing of x; so does one that mul would have spelled in another way.
func (h *hearing) divided(n *ast.CallNode, want any) bool {
	text, isText := core.Text(want)
	if !isText || h.known(n) {
		return h.compare(n, want)
	}
	for i, other := range []int{1, 0} {
		by, ok := factor(n.Arguments[other])
		if !ok {
			continue
		}
		x, ok := quotient(text, by)
		if !ok {
			return h.lose(n, want)
		}
		if again, err := h.mirror.functions["mul"](x, by); err != nil || again != text {
			return h.lose(n, want)
		}
		return h.invert(n.Arguments[i], x)
	}
	return h.compare(n, want)
}

// factor is a number that is written out in a cell.
func factor(n ast.Node) (string, bool) {
	if i, ok := bare(n).(*ast.IntegerNode); ok {
		return strconv.Itoa(i.Value), true
	}
	text, ok := literal(n)
	return text, ok && text != ""
}

// quotient is the decimal that was multiplied: a product has the decimals of both of
// its factors, so digits are divided by digits and decimals are taken from decimals.
func quotient(product, by string) (string, bool) {
	const longest = 100 // digits, far more than mul writes; no exponents
	if len(product) > longest || len(by) > longest || strings.ContainsAny(product+by, "eE") {
		return "", false
	}
	p, err1 := decimal.NewFromString(product)
	f, err2 := decimal.NewFromString(by)
	decimals := f.Exponent() - p.Exponent()
	if err1 != nil || err2 != nil || f.IsZero() || decimals < 0 {
		return "", false
	}
	digits, rest := new(big.Int).QuoRem(p.Coefficient(), f.Coefficient(), new(big.Int))
	if rest.Sign() != 0 {
		return "", false
	}
	return decimal.NewFromBigInt(digits, -decimals).StringFixed(decimals), true
}

// counted reads len(list) as how many records or texts there are.
func (h *hearing) counted(n *ast.BuiltinNode, want any) bool {
	path, ok := h.path(n.Arguments[0])
	if v, isField := h.place(path); ok && isField && v.Kind() == reflect.Slice && want != gone {
		text, isText := core.Text(want)
		count, err := strconv.Atoi(text)
		return isText && err == nil && count >= 0 && h.bind(path, count, false)
	}
	return h.compare(n, want)
}

// numbered reads A1 A2 A3, the names that wrap makes of the numbers of the items.
// known is false where the names cannot be told without the items.
func (h *hearing) numbered(e *each, fields []fieldPart, c *children) (ok, known bool) {
	if e.index == "" || len(fields) == 0 {
		return true, false
	}
	// An item's number is the only name that is set while they are counted.
	number, alias := h.r.env[e.index], h.alias
	h.alias = map[string]string{}
	count, known := 0, true
	for count <= len(c.tree) {
		h.r.env[e.index] = count + 1
		h.forget()
		came := false
		for _, f := range fields {
			name, told := h.wrapped(f)
			if known = known && told; !known {
				break
			}
			_, here := c.get(name)
			came = came || here
		}
		if !known || !came {
			break
		}
		count++
	}
	h.r.env[e.index], h.alias = number, alias
	h.point()
	if !known || count > len(c.tree) { // the same name for all of them
		return true, false
	}
	return h.repeat(e, count, func(int) bool { return h.children(fields, c) }), true
}

// wrapped is the name that the wrap of a $group makes, if it can be told.
func (h *hearing) wrapped(f fieldPart) (string, bool) {
	c, ok := f.value.(cellPart)
	if f.name != "" || !ok || c.tree == nil || calledName(bare(c.tree.node)) != "wrap" {
		return "", false
	}
	before := h.tree
	h.tree = c.tree
	defer func() { h.tree = before }()
	return h.textOf(bare(c.tree.node).(*ast.CallNode).Arguments[0])
}

// toldFor reports whether all parts of a time that a cell writes are known. Of a time
// that only a date told, no digest of its seconds can be computed.
func (h *hearing) toldFor(n *ast.CallNode) bool {
	of := n.Arguments[0]
	for calledName(bare(of)) == "add" {
		of = bare(of).(*ast.CallNode).Arguments[0]
	}
	path, ok := h.path(of)
	have, inPieces := h.layout[path]
	if !ok || !inPieces {
		return true
	}
	layout, _ := literal(n.Arguments[1])
	if strings.Contains(layout, "unix") {
		layout = "yyyyMMddHHmmss"
	}
	return pieces{parts: have}.tell(strings.ReplaceAll(layout, "XXX", ""))
}
