package mapping

import (
	"maps"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
)

// Fragments are documents that several operations have in common: the patient of
// every HL7 message. hospital.yaml holds them by name, and $use puts one where it
// is wanted, as if it had been written there; this is the message, whatever it is.
const (
	useWord     = "$use"
	thisMessage = "this"
)

// readFragments takes the fragments apart, each with those that it uses itself.
func (l *loader) readFragments() {
	l.fragments = map[string]*fragment{}
	n := l.hospital["fragments"]
	if n == nil {
		return
	}
	for _, f := range n.fields {
		if l.memberName(f.key) {
			l.fragments[f.key.text] = &fragment{at: f.key.pos, document: f.value}
		}
	}
	for _, f := range n.fields {
		if x := l.fragments[f.key.text]; x != nil {
			l.unfold(x)
		}
	}
	for _, section := range []string{"envelopes", "sessions"} {
		if s := l.hospital[section]; s != nil {
			l.use(s)
		}
	}
}

type fragment struct {
	at       pos
	document *node
	state    int // unfolding, unfolded
	size     int // in nodes, once it is unfolded
	used     bool
}

// mostInFragments bounds the nodes that $use puts into a folder: fragments that use
// others twice, and those others twice, grow without end.
const mostInFragments = 200_000

const (
	unfolding = iota + 1
	unfolded
)

func (l *loader) unfold(f *fragment) {
	if f.state == 0 {
		f.state = unfolding
		l.use(f.document)
		f.state, f.size = unfolded, f.document.size()
	}
}

func (n *node) size() int {
	size := 1
	for _, item := range n.items {
		size += item.size()
	}
	for _, f := range n.fields {
		size += f.value.size()
	}
	return size
}

// use puts fragments in the places of all $use below a node.
func (l *loader) use(n *node) {
	for _, item := range n.items {
		l.use(item)
	}
	for i := 0; i < len(n.fields); i++ {
		if n.fields[i].key.text != useWord {
			l.use(n.fields[i].value)
			continue
		}
		at, named := n.fields[i].key.pos, n.fields[i].value
		var children []field
		if named.kind == listNode {
			children = l.several(n, named)
			n.fields = slices.Replace(slices.Clone(n.fields), i, i+1, children...)
			i += len(children) - 1
			continue
		}
		switch f := l.fragmentOf(named); {
		case f == nil:
			n.broken = true
		case f.kind != mapNode && len(n.fields) == 1:
			*n = *f // a list or a cell stands for the whole
			return
		case f.kind != mapNode:
			l.mistake(at, "give "+useWord+" a map of its own", "the fragment is no map, so nothing can stand beside it")
		default:
			children = f.fields
		}
		n.fields = slices.Replace(slices.Clone(n.fields), i, i+1, children...)
		i += len(children) - 1
	}
}

// several are the children of all fragments that a list names, one after the other.
func (l *loader) several(n, names *node) (children []field) {
	if len(names.items) == 0 {
		l.mistake(names.pos, "name fragments: "+useWord+": [first, second]", "the list names no fragment")
	}
	for _, name := range names.items {
		switch f := l.fragmentOf(name); {
		case f == nil:
			n.broken = true
		case f.kind != mapNode:
			l.mistake(name.pos, "give it a "+useWord+" of its own, in a map of its own", "the fragment %q is no map, so nothing can stand beside it", name.text)
		default:
			children = append(children, f.fields...)
		}
	}
	return children
}

func (l *loader) fragmentOf(n *node) *node {
	f := l.fragments[n.text]
	if f == nil || n.kind != scalarNode {
		l.mistake(n.pos, didYouMean(n.text, slices.Collect(maps.Keys(l.fragments))), "there is no fragment %q; they are written as fragments: in hospital.yaml", n.text)
		return nil
	}
	if f.state == unfolding {
		l.mistake(n.pos, "write it out here", "the fragment %q uses itself", n.text)
		return nil
	}
	f.used = true
	l.unfold(f)
	if l.inFragments > mostInFragments {
		return nil // said
	}
	if l.inFragments += f.size; l.inFragments > mostInFragments {
		l.mistake(n.pos, "write them flatter", "the fragments make more than %d cells of this folder", mostInFragments)
		return nil
	}
	return f.document
}

// unusedFragments warns of those that nothing uses: a typing error, most often.
func (l *loader) unusedFragments() {
	for _, name := range slices.Sorted(maps.Keys(l.fragments)) {
		if f := l.fragments[name]; !f.used {
			l.warn(f.at, "write {"+useWord+": "+name+"} where it belongs", "nothing uses the fragment %q", name)
		}
	}
}

// parse reads an expression, in which this is the message under its own name.
func (s *scope) parse(src string, c *conf.Config) (*parser.Tree, error) {
	tree, err := parser.ParseWithConfig(src, c)
	if err == nil && s.unit.noun != "" {
		ast.Walk(&tree.Node, naming(s.unit.noun))
	}
	return tree, err
}

// naming is the noun that this stands for.
type naming string

// Visit implements ast.Visitor.
func (noun naming) Visit(n *ast.Node) {
	if name, ok := (*n).(*ast.IdentifierNode); ok && name.Value == thisMessage {
		name.Value = string(noun)
	}
}
