package functions

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"hishub/core"
)

const dropEmpty = "drop_empty"

func queries() []Function {
	sorted := define("sorted_query", `sorted_query(tree[, "drop_empty"]) text: a=1&b=2 by the byte order of the names, not escaped, as signatures want it`, func(in *arguments) (any, error) {
		pairs, err := in.pairs(0)
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
		if len(in.values) > 1 {
			if err := onlyDropEmpty(1, in.text(1)); err != nil {
				return nil, err
			}
			pairs = slices.DeleteFunc(pairs, func(p pair) bool { return p.value == "" })
		}
		return joined(pairs), nil
	}, new(func(core.Tree) string), new(func(core.Tree, string) string))
	sorted.literal = onlyDropEmpty

	return []Function{
		sorted,
		define("query", "query(tree) text: a=1&b=2 in written order, not escaped", func(in *arguments) (any, error) {
			pairs, err := in.pairs(0)
			return joined(pairs), err
		}, new(func(core.Tree) string)),

		define("url", "url(text) text: percent-escaped (RFC 3986), a space is %20", func(in *arguments) (any, error) {
			return strings.ReplaceAll(url.QueryEscape(in.text(0)), "+", "%20"), nil
		}, new(func(string) string)),

		reader("from_url", "from_url(text) text: the text that was percent-escaped; + is a space; nil gives nil", func(in *arguments) (any, error) {
			text, err := url.QueryUnescape(in.text(0))
			if err != nil {
				return nil, errors.New("the text is not percent-escaped")
			}
			return text, nil
		}, new(func(string) string)),
	}
}

func onlyDropEmpty(i int, option string) error {
	if i == 1 && option != dropEmpty {
		return errors.New(`the only option is "drop_empty"`)
	}
	return nil
}

type pair struct{ name, value string }

// pairs are the children of a tree; a repeated name stays repeated, attributes
// (a namespace, say) are not part of a query.
func (in *arguments) pairs(i int) ([]pair, error) {
	var pairs []pair
	for _, f := range in.tree(i) {
		if !isChild(f.Name) {
			continue
		}
		values := []any{f.Value}
		if list, ok := f.Value.(core.List); ok {
			values = list
		}
		for _, v := range values {
			text, err := Text(v)
			if err != nil {
				return nil, fmt.Errorf("child %q: %w", f.Name, err)
			}
			pairs = append(pairs, pair{f.Name, text})
		}
	}
	return pairs, nil
}

func joined(pairs []pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}
