package mapping

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// expressionTree is an expression as it was rewritten, kept where the folder is also read
// backwards. The optimizer has not touched it.
type expressionTree struct {
	at     pos
	node   ast.Node
	config *conf.Config
	// parts are those of its nodes that were asked for alone.
	parts map[ast.Node]*program
}

// tree makes the tree of an expression that compiled. Nothing is reported: it
// would have been before.
func (s *scope) tree(src string, at pos) *expressionTree {
	c := s.conf()
	tree, err := s.parse(src, c)
	if err != nil {
		return nil
	}
	_, _ = new(checker.Checker).Check(tree, c)
	w := &rewriter{scope: s, config: c, variables: map[string]bool{}}
	w.walk(&tree.Node)
	if len(w.wrong) > 0 {
		return nil
	}
	if _, err = new(checker.Checker).PatchAndCheck(tree, c); err != nil {
		return nil
	}
	ast.Walk(&tree.Node, loading{s.unit.folder.readers})
	return &expressionTree{at: at, node: tree.Node, config: c, parts: map[ast.Node]*program{}}
}

var errNotAlone = errors.New("this part of an expression cannot be computed alone")

// part is one node of the expression, compiled for itself.
func (s *expressionTree) part(n ast.Node) (*program, error) {
	if p, ok := s.parts[n]; ok {
		if p == nil {
			return nil, errNotAlone
		}
		return p, nil
	}
	run, err := compileNode(n, s.config)
	if err != nil {
		s.parts[n] = nil
		return nil, errNotAlone
	}
	p := &program{at: s.at, run: run}
	s.parts[n] = p
	return p, nil
}

func compileNode(n ast.Node, c *conf.Config) (p *vm.Program, err error) {
	defer func() {
		if recover() != nil {
			err = errNotAlone
		}
	}()
	return compiler.Compile(&parser.Tree{Node: n, Source: file.NewSource("")}, c)
}

// calledName is the function that a node calls, "" if it calls none.
func calledName(n ast.Node) string {
	if c, ok := n.(*ast.CallNode); ok {
		if f, ok := c.Callee.(*ast.IdentifierNode); ok {
			return f.Value
		}
	}
	return ""
}

// slotOf is the slot that a node reads, -1 if it reads none.
func slotOf(n ast.Node) int {
	if calledName(n) == slotCall {
		if i, ok := n.(*ast.CallNode).Arguments[1].(*ast.IntegerNode); ok {
			return i.Value
		}
	}
	return -1
}

// bare takes off what only the machinery put around a node.
func bare(n ast.Node) ast.Node {
	for {
		switch x := n.(type) {
		case *ast.ChainNode:
			n = x.Node
			continue
		case *ast.CallNode:
			if name := calledName(x); name == leafCall || name == wordCall {
				n = x.Arguments[0]
				continue
			}
		}
		return n
	}
}

// literal is the text of a node that is written out.
func literal(n ast.Node) (string, bool) {
	switch n := bare(n).(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.NilNode:
		return "", true
	}
	return "", false
}

// tableOf is the lookup and the value of a code(...) or from_code(...).
func tableOf(n *ast.CallNode) (*lookup, ast.Node) {
	for i, a := range n.Arguments {
		if c, ok := a.(*ast.ConstantNode); ok && i+1 < len(n.Arguments) {
			if l, ok := c.Value.(*lookup); ok {
				return l, n.Arguments[i+1]
			}
		}
	}
	return nil, nil
}

// member of what a slot reads: "captured.", "invoice".
func (s slot) member() (root, name string) {
	root, name, ok := strings.Cut(s.name, ".")
	if !ok {
		return "", ""
	}
	return root, name
}
