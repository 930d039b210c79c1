package functions

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"hishub/core"
)

func queries() []Function {
	sorted := define("sorted_query", `sorted_query(tree[, option...]) text: a=1&b=2 by the byte order of the names, not escaped, as signatures want it; options: "drop_empty", "lower_names", "upper_names", "any_case" (order), "values" (without names and &), "url" (values escaped)`, func(in *arguments) (any, error) {
		pairs, err := in.pairs(0)
		if err != nil {
			return nil, err
		}
		options := in.texts(1)
		for _, o := range options {
			if _, err := queryOption(o); err != nil {
				return nil, err
			}
		}
		return sortedQuery(pairs, options), nil
	}, new(func(core.Tree, ...string) string))
	sorted.literal = func(i int, text string) error { return knownBy(i >= 1, text, queryOption) }

	return []Function{
		sorted,
		define("query", "query(tree) text: a=1&b=2 in written order, not escaped", func(in *arguments) (any, error) {
			pairs, err := in.pairs(0)
			return joined(pairs), err
		}, new(func(core.Tree) string)),

		define("url", `url(data[, "GB18030"]) text: the text, in UTF-8 or in that charset, or the bytes, percent-escaped (RFC 3986); a space is %20`, func(in *arguments) (any, error) {
			b := in.data(0)
			if len(in.values) > 1 {
				var err error
				if b, err = encodeText(in.text(0), in.text(1)); err != nil {
					return nil, err
				}
			}
			return strings.ReplaceAll(url.QueryEscape(string(b)), "+", "%20"), nil
		}, new(func(Data) string), new(func(string, string) string)),

		reader("from_url", `from_url(text[, "GB18030"]) text: the text that was percent-escaped in UTF-8 or in that charset; + is a space; nil gives nil`, func(in *arguments) (any, error) {
			text, err := url.QueryUnescape(in.text(0))
			if err != nil {
				return nil, errors.New("the text is not percent-escaped")
			}
			if len(in.values) > 1 {
				return decodeText([]byte(text), in.text(1))
			}
			if !utf8.ValidString(text) {
				return nil, errors.New(`the text is not UTF-8; write from_url(..., "GB18030")`)
			}
			return text, nil
		}, new(func(string) string), new(func(string, string) string)),
	}
}

// queryOption knows the options of sorted_query.
func queryOption(name string) (string, error) {
	switch name {
	case "drop_empty", "lower_names", "upper_names", "any_case", "values", "url":
		return name, nil
	}
	return "", errors.New(`the options are "drop_empty", "lower_names", "upper_names", "any_case", "values", "url"`)
}

func sortedQuery(pairs []pair, options []string) string {
	is := func(name string) bool { return slices.Contains(options, name) }
	for i := range pairs {
		p := &pairs[i]
		switch {
		case is("lower_names"):
			p.name = strings.ToLower(p.name)
		case is("upper_names"):
			p.name = strings.ToUpper(p.name)
		}
	}
	if is("drop_empty") {
		pairs = slices.DeleteFunc(pairs, func(p pair) bool { return p.value == "" })
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		if is("any_case") {
			return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name))
		}
		return strings.Compare(a.name, b.name)
	})
	if is("url") {
		for i := range pairs {
			pairs[i].value = strings.ReplaceAll(url.QueryEscape(pairs[i].value), "+", "%20")
		}
	}
	if is("values") {
		var b strings.Builder
		for _, p := range pairs {
			b.WriteString(p.value)
		}
		return b.String()
	}
	return joined(pairs)
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
