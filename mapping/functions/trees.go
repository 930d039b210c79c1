package functions

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

func trees() []Function {
	return []Function{
		hl7(),
		reader("root", "root(tree) value: the content of the one root; none or several is an error; nil gives nil", func(in *arguments) (any, error) {
			var roots []core.Value
			for _, f := range in.tree(0) {
				if isChild(f.Name) {
					roots = append(roots, f.Value)
				}
			}
			if len(roots) != 1 {
				return nil, fmt.Errorf("takes a tree with one root, not with %d", len(roots))
			}
			return roots[0], nil
		}, new(func(core.Tree) any)),

		reader("without", "without(tree, names...) tree: the tree without the children of those names; nil gives nil", func(in *arguments) (any, error) {
			names := in.texts(1)
			kept := core.Tree{}
			for _, f := range in.tree(0) {
				if !slices.Contains(names, f.Name) {
					kept = append(kept, f)
				}
			}
			return kept, nil
		}, new(func(core.Tree, ...string) core.Tree)),

		define("wrap", "wrap(name, value) tree: a tree whose one child, a tree or text, has that name, for names that data makes; an empty name is an error", func(in *arguments) (any, error) {
			if in.text(0) == "" {
				return nil, errors.New("wants a name for the child")
			}
			child := in.at(1)
			if _, isTree := child.(core.Tree); child != nil && !isTree {
				child = in.text(1)
			}
			return core.Tree{{Name: in.text(0), Value: child}}, nil
		}, new(func(string, core.Tree) core.Tree), new(func(string, string) core.Tree)),

		define("keys", "keys(tree) list: the names of the children in their order, each once, without attributes", func(in *arguments) (any, error) {
			names := []any{}
			for _, f := range in.tree(0) {
				if isChild(f.Name) && !slices.Contains(names, any(f.Name)) {
					names = append(names, f.Name)
				}
			}
			return names, nil
		}, new(func(core.Tree) []any)),
	}
}

// isChild tells children from attributes and the text beside them.
func isChild(name string) bool {
	return name != core.TextName && !strings.HasPrefix(name, ".")
}
