package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

// hold changes the answer so that a condition is true, or false.
func (w *wording) hold(n ast.Node, truth bool) error {
	if w.depth++; w.depth > 100 {
		return errOneWay
	}
	defer func() { w.depth-- }()
	if v, err := w.eval(n); err == nil && v == truth {
		return nil
	}
	switch n := n.(type) {
	case *ast.ChainNode:
		return w.hold(n.Node, truth)
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return w.hold(n.Node, !truth)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			return w.several(n, truth)
		case "or", "||":
			return w.several(n, truth)
		case "==":
			return w.equal(n, truth)
		case "!=":
			return w.equal(n, !truth)
		case "in":
			if !truth {
				return w.other(n.Left, n, false)
			}
			list, err := w.eval(n.Right)
			items := asList(list)
			if texts, ok := list.([]string); ok && len(texts) > 0 {
				items = core.List{texts[0]}
			}
			if err != nil || len(items) == 0 {
				return errOneWay
			}
			return w.put(n.Left, items[0])
		case "contains", "startsWith", "endsWith":
			if !truth {
				return w.other(n.Left, n, false)
			}
			v, err := w.eval(n.Right)
			if err != nil {
				return err
			}
			return w.put(n.Left, v)
		case "matches":
			return w.other(n.Left, n, truth)
		}
	}
	return errOneWay
}

// several makes both sides so, or one of them.
func (w *wording) several(n *ast.BinaryNode, truth bool) error {
	and := n.Operator == "and" || n.Operator == "&&"
	if and == truth {
		if err := w.hold(n.Left, truth); err != nil {
			return err
		}
		if err := w.hold(n.Right, truth); err != nil {
			return err
		}
		return w.hold(n.Left, truth)
	}
	before := w.response
	if err := w.hold(n.Left, truth); err == nil {
		return nil
	}
	w.backTo(before)
	return w.hold(n.Right, truth)
}

func (w *wording) equal(n *ast.BinaryNode, truth bool) error {
	left, errLeft := w.eval(n.Left)
	right, errRight := w.eval(n.Right)
	if !truth {
		before := w.response
		if err := w.other(n.Left, n, n.Operator == "!="); err == nil {
			return nil
		}
		w.backTo(before)
		return w.other(n.Right, n, n.Operator == "!=")
	}
	before := w.response
	if errRight == nil {
		if err := w.put(n.Left, right); err == nil {
			return nil
		}
		w.backTo(before)
	}
	if errLeft == nil {
		return w.put(n.Right, left)
	}
	return errOneWay
}

// other looks for a value of a part with which the condition gives truth.
func (w *wording) other(part, condition ast.Node, truth bool) error {
	before := w.response
	for _, v := range []any{"0", "1", "ok", nil, "9"} {
		if w.put(part, v) == nil {
			if got, err := w.eval(condition); err == nil && got == truth {
				return nil
			}
		}
		w.backTo(before)
	}
	return errOneWay
}

// putDocument writes a document again where one was read.
func (w *wording) putDocument(n *ast.CallNode, v any) error {
	f, ok := n.Arguments[1].(*ast.ConstantNode)
	if !ok {
		return errOneWay
	}
	format, ok := f.Value.(*namedFormat)
	if !ok {
		return errOneWay
	}
	name := strings.TrimPrefix(format.name, "from_")
	was, _ := w.eval(n.Arguments[2])
	old, _ := core.Text(was)
	kind := w.mirror.kinds[name]
	switch kind {
	case "xml":
		if before, err := format.Read(old); err == nil && old != "" {
			if text, ok := patchedBy(old, before, v, format.Read); ok {
				return w.put(n.Arguments[2], text)
			}
		}
	case "json":
		v = spelledAs(old, v)
	case "delimited":
		v = inColumns(v, w.mirror.columns[name])
	case "hl7v2":
		v = withMSH(v)
	}
	text, err := format.Write(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if prolog, _, ok := strings.Cut(old, "?>"); kind == "xml" && ok && strings.HasPrefix(prolog, "<?xml") && !strings.HasPrefix(text, "<?") {
		text = prolog + "?>" + text
	}
	return w.put(n.Arguments[2], text)
}

// inColumns puts the values of one record at the positions that their names have.
func inColumns(v any, columns []string) core.Value {
	t, ok := v.(core.Tree)
	if !ok || len(columns) == 0 {
		return v
	}
	last := 0
	for i, c := range columns {
		if t.Has(c) {
			last = i + 1
		}
	}
	out := core.Tree{}
	for _, c := range columns[:last] {
		out = append(out, core.Field{Name: c, Value: t.Get(c)})
	}
	for _, f := range t {
		if !out.Has(f.Name) {
			out = append(out, f)
		}
	}
	return out
}

// withMSH gives a message that is made of nothing the segment it must begin with.
func withMSH(v any) core.Value {
	t, ok := v.(core.Tree)
	if !ok || t.Has("MSH") {
		return v
	}
	return append(core.Tree{{Name: "MSH", Value: core.Tree{{Name: "9", Value: "ACK"}, {Name: "12", Value: "2.4"}}}}, t...)
}

// spelledAs keeps numbers and truths of a JSON document without quotes where they
// had none.
func spelledAs(old string, v any) core.Value {
	if old == "" {
		return v
	}
	d := json.NewDecoder(bytes.NewReader([]byte(old)))
	d.UseNumber()
	var was any
	if d.Decode(&was) != nil {
		return v
	}
	return spelledLike(was, v)
}

func spelledLike(was, v any) core.Value {
	switch x := v.(type) {
	case core.Tree:
		names, _ := was.(map[string]any)
		out := make(core.Tree, len(x))
		for i, f := range x {
			out[i] = core.Field{Name: f.Name, Value: spelledLike(names[f.Name], f.Value)}
		}
		if list, isList := was.([]any); isList && len(list) == 1 {
			return core.List{spelledLike(list[0], v)}
		}
		return out
	case core.List:
		list, _ := was.([]any)
		out := make(core.List, len(x))
		for i := range x {
			var before any
			if len(list) > 0 {
				before = list[min(i, len(list)-1)]
			}
			out[i] = spelledLike(before, x[i])
		}
		return out
	case string:
		switch w := was.(type) {
		case json.Number, bool:
			if jsonWord.MatchString(x) {
				return core.Token(x)
			}
		case []any:
			if len(w) == 1 {
				return core.List{spelledLike(w[0], x)}
			}
		case string:
			return x
		}
	case nil:
		if text, isText := was.(string); isText && text == "" {
			return ""
		}
		if list, isList := was.([]any); isList && len(list) == 0 {
			return core.List{}
		}
	}
	return v
}
