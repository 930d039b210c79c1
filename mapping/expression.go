package mapping

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/vm"

	"hishub/core"
)

// program is a compiled expression.
type program struct {
	at  pos
	run *vm.Program
	typ reflect.Type // nil: known only at run time
	// text is the value of an expression that is a constant text.
	text  string
	fixed bool
	// read is true where the value is a leaf or branch of a tree as it was read.
	read bool
	// texts and tables are what the expression can give, as far as it says so.
	texts  []string
	tables []*codeTable
	// tree is kept where the folder is also read backwards.
	tree *expressionTree
}

// maxExpression bounds one expression, in bytes.
const maxExpression = 4096

// expression compiles the text of a scalar from its skip-th character on. It
// reports at most one mistake and then returns nil.
func (s *scope) expression(n *node, skip int) *program {
	src := string([]rune(n.text)[skip:])
	found := s.unit.folder
	trimmed := strings.TrimLeft(src, " \t\n")
	skip += len([]rune(src)) - len([]rune(trimmed))
	src = strings.TrimRight(trimmed, " \t\n")
	if src == "" {
		found.mistake(n.pos, "", "an expression is missing")
		return nil
	}
	if len(src) > maxExpression {
		found.mistake(n.pos, "divide it with let", "the expression is longer than %d bytes", maxExpression)
		return nil
	}
	s.unit.folder.cell = n.pos
	c := s.conf()
	tree, err := s.parse(src, c)
	if err != nil {
		s.syntax(n, skip, src, err)
		return nil
	}
	_, first := new(checker.Checker).Check(tree, c)
	w := &rewriter{scope: s, config: c, variables: map[string]bool{}}
	w.walk(&tree.Node)
	if len(w.wrong) > 0 {
		m := slices.MinFunc(w.wrong, func(a, b wrongAt) int { return a.at - b.at })
		found.mistake(n.place(skip+m.at), m.cure, "%s", m.what)
		return nil
	}
	if _, err = new(checker.Checker).PatchAndCheck(tree, c); err != nil {
		if first != nil && strings.Contains(err.Error(), slotName) {
			err = first // in the words of what was written
		}
		s.unfit(n, skip, err)
		return nil
	}
	out := &program{at: n.place(skip), read: w.read}
	out.gives(tree.Node, s.unit.folder.codes)
	if nt := tree.Node.Nature(); !nt.IsUnknown(&c.NtCache) && !nt.Nil {
		out.typ = nt.Type
	}
	if text, ok := tree.Node.(*ast.StringNode); ok {
		out.text, out.fixed = text.Value, true
	}
	ast.Walk(&tree.Node, loading{s.unit.folder.readers})
	if err = optimizer.Optimize(&tree.Node, c); err == nil {
		out.run, err = compiler.Compile(tree, c)
	}
	if err != nil {
		s.unfit(n, skip, err)
		return nil
	}
	if s.unit.folder.options.Backwards {
		out.tree = s.tree(src, out.at)
	}
	return out
}

// gives gathers the texts and code tables at the ends of a condition's branches.
func (p *program) gives(n ast.Node, codes map[string]*codeTable) {
	switch n := n.(type) {
	case *ast.StringNode:
		p.texts = append(p.texts, n.Value)
	case *ast.ConditionalNode:
		p.gives(n.Exp1, codes)
		p.gives(n.Exp2, codes)
	case *ast.BinaryNode:
		if n.Operator == "??" {
			p.gives(n.Left, codes)
			p.gives(n.Right, codes)
		}
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if ok && callee.Value == leafCall {
			p.gives(n.Arguments[0], codes)
		}
		if ok && callee.Value == codeCall {
			if c, ok := n.Arguments[1].(*ast.ConstantNode); ok {
				if l, ok := c.Value.(*lookup); ok && l.Direction() == core.CodeIn {
					p.tables = append(p.tables, codes[l.Table()])
				}
			}
		}
	}
}

// syntax reports an expression that cannot be parsed. Most often it is not the
// expression but YAML that ended it too early.
func (s *scope) syntax(n *node, skip int, src string, err error) {
	found := s.unit.folder
	if unfinished(src) && n.style == plainText {
		if n.flow {
			found.mistake(n.pos, cureFlow, "%q ends inside the brackets", n.text)
			return
		}
		if n.comment() {
			found.mistake(n.pos, "quote the cell", `the cell ends at " #", YAML takes the rest as a comment`)
			return
		}
	}
	at, what := n.place(skip), err.Error()
	var e *file.Error
	if errors.As(err, &e) {
		at, what = n.place(skip+e.From), e.Message
	}
	what = strings.NewReplacer("unexpected token EOF", "the expression ends too early", "unexpected token", "unexpected").Replace(what)
	found.mistake(at, "", "%s", what)
}

// unfinished reports whether brackets or quotes are left open.
func unfinished(src string) bool {
	depth, quote := 0, rune(0)
	escaped := false
	for _, r := range src {
		switch {
		case escaped:
			escaped = false
		case quote != 0 && r == '\\':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'' || r == '`':
			quote = r
		case r == '(' || r == '[' || r == '{':
			depth++
		case r == ')' || r == ']' || r == '}':
			depth--
		}
	}
	return depth != 0 || quote != 0
}

var (
	structNames = regexp.MustCompile(`\*?struct \{.*\}`)
	typeNames   = strings.NewReplacer("core.Fen", "money", "time.Time", "a time", "core.Tree", "a tree", "core.List", "a list",
		"[]interface {}", "a list", "[]uint8", "bytes", "interface {}", "a value", "[]string", "a list of text", "string", "text", "*money", "money")
)

// unfit reports an expression that does not pass the check of types.
func (s *scope) unfit(n *node, skip int, err error) {
	at, what := n.place(skip), err.Error()
	var e *file.Error
	if errors.As(err, &e) {
		at, what = n.place(skip+e.From), e.Message
	}
	what, cure := strings.TrimSpace(what), ""
	if strings.Contains(what, "mismatched type") {
		what = strings.TrimPrefix(typeNames.Replace(structNames.ReplaceAllString(what, "a record")), "invalid operation: ")
		if strings.Contains(what, "int") && strings.Contains(what, "text") {
			cure = "write text(...) for the number"
		}
	} else if strings.Contains(what, "struct {") || strings.HasPrefix(what, "cannot use") {
		what = typeNames.Replace(structNames.ReplaceAllString(what, "a record"))
	}
	s.unit.folder.mistake(at, cure, "%s", what)
}
