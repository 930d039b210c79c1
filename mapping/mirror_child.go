package mapping

import (
	"strconv"
	"strings"

	"hishub/core"
	"hishub/mapping/functions"
)

// withChild is a tree with another value under a name, or a list at a position.
func withChild(now any, key, v any) core.Value {
	if i, ok := key.(int); ok {
		if t, isTree := now.(core.Tree); isTree && t.Has(strconv.Itoa(i)) || now == nil && i > 0 {
			return withChild(now, strconv.Itoa(i), v)
		}
		if t, isTree := now.(core.Tree); isTree && i > 0 && numbered(t) {
			return withChild(t, strconv.Itoa(i), v)
		}
		list := append(core.List{}, asList(now)...)
		for len(list) <= i && i < 1000 {
			list = append(list, nil)
		}
		if i >= 0 && i < len(list) {
			list[i] = v
		}
		if len(list) == 1 {
			return list[0]
		}
		return list
	}
	name, err := functions.Text(key)
	if err != nil {
		return now
	}
	switch t := now.(type) {
	case core.List:
		if len(t) > 0 {
			out := append(core.List{}, t...)
			out[0] = withChild(t[0], name, v)
			return out
		}
	case core.Tree:
		out := append(core.Tree{}, t...)
		for _, wanted := range []string{name, "." + name} {
			for i := range out {
				if out[i].Name == wanted {
					// An element with attributes keeps them.
					if was, isTree := out[i].Value.(core.Tree); isTree && was.Has(core.TextName) {
						if _, text := v.(string); text {
							v = withChild(was, core.TextName, v)
						}
					}
					out[i].Value = v
					return out
				}
			}
		}
		return append(out, core.Field{Name: name, Value: v})
	}
	return core.Tree{{Name: name, Value: v}}
}

func numbered(t core.Tree) bool {
	for _, f := range t {
		if _, err := strconv.Atoi(f.Name); err != nil {
			return false
		}
	}
	return len(t) > 0
}

// withHL7 is a message with another value at "PID-5.1".
func withHL7(now any, form string, v any) (core.Value, error) {
	segment, rest := "", form
	if len(form) > 4 && (form[3] == '-' || form[3] == '.') && form[0] >= 'A' {
		segment, rest = form[:3], form[4:]
	}
	if strings.ContainsAny(form, "()") {
		return nil, errOneWay
	}
	var path []any
	if segment != "" {
		path = append(path, segment)
	}
	for part := range strings.SplitSeq(rest, ".") {
		path = append(path, part)
	}
	return withPath(now, path, v), nil
}

func withPath(now any, path []any, v any) core.Value {
	if len(path) == 0 {
		return v
	}
	var inner any
	switch t := now.(type) {
	case core.Tree:
		name, _ := path[0].(string)
		inner = t.Get(name)
	case core.List:
		if len(t) > 0 {
			out := append(core.List{}, t...)
			out[0] = withPath(t[0], path, v)
			return out
		}
	case string: // text is its own first component
		if path[0] == "1" {
			return withPath(nil, path[1:], v)
		}
		now = core.Tree{{Name: "1", Value: t}}
	}
	if len(path) == 2 && path[1] == "1" {
		if _, isTree := inner.(core.Tree); !isTree {
			return withChild(now, path[0], v)
		}
	}
	return withChild(now, path[0], withPath(inner, path[1:], v))
}
