package functions

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"hishub/core"
)

func lists() []Function {
	first := define("first", "first(list) value: the first of a list, nil of an empty one", func(in *arguments) (any, error) {
		if list := in.list(0); len(list) > 0 {
			return list[0], nil
		}
		return nil, nil
	}, new(func([]any) any))
	last := define("last", "last(list) value: the last of a list, nil of an empty one", func(in *arguments) (any, error) {
		if list := in.list(0); len(list) > 0 {
			return list[len(list)-1], nil
		}
		return nil, nil
	}, new(func([]any) any))
	first.element, last.element = true, true

	return []Function{
		define("list", "list(value) list: one, none or many as a list; nil gives an empty one", func(in *arguments) (any, error) {
			return in.list(0), nil
		}, new(func(any) []any)),
		first,
		last,

		define("group", `group(list, "field") list: of trees {key, items} in the order in which the keys are first seen`, func(in *arguments) (any, error) {
			return grouped(in.list(0), in.text(1))
		}, new(func([]any, string) []any)),

		define("len", "len(list or text) number: how many items, how many characters; nil has none", func(in *arguments) (any, error) {
			switch v := in.at(0).(type) {
			case core.Tree:
				return nil, errors.New("takes a list or text, not a tree; write len(list(...)) or len(keys(...))")
			case []any, core.List, nil:
				return len(listed(v)), nil
			case []byte:
				return nil, unfit("a list or text", v)
			}
			if v := in.at(0); reflect.TypeOf(v).Kind() == reflect.Slice {
				return reflect.ValueOf(v).Len(), nil
			}
			return utf8.RuneCountInString(in.text(0)), nil
		}, new(func([]any) int), new(func(string) int)),
	}
}

// grouped keeps the order in which keys are first seen, because a HIS's answer
// is shown to people in its order.
func grouped(list []any, field string) ([]any, error) {
	type group struct {
		key   core.Value
		items core.List
	}
	var groups []*group
	byKey := map[string]*group{}
	for _, item := range list {
		key, err := member(item, field)
		if err != nil {
			return nil, err
		}
		text, err := Text(key)
		if err != nil {
			return nil, fmt.Errorf("the field to group by: %w", err)
		}
		g := byKey[text]
		if g == nil {
			g = &group{key: key}
			byKey[text] = g
			groups = append(groups, g)
		}
		g.items = append(g.items, item)
	}
	trees := make([]any, len(groups))
	for i, g := range groups {
		trees[i] = core.Tree{{Name: "key", Value: g.key}, {Name: "items", Value: g.items}}
	}
	return trees, nil
}

// member is a field of a tree, of a map, or of a canonical body by its JSON name.
func member(item any, field string) (any, error) {
	switch item := item.(type) {
	case core.Tree:
		return item.Get(field), nil
	case map[string]any:
		return item[field], nil
	}
	rv := reflect.Indirect(reflect.ValueOf(item))
	if rv.Kind() != reflect.Struct {
		return nil, errors.New("takes a list of trees")
	}
	for i := range rv.NumField() {
		if name, _, _ := strings.Cut(rv.Type().Field(i).Tag.Get("json"), ","); name == field && name != "" {
			return rv.Field(i).Interface(), nil
		}
	}
	return nil, errors.New("the items have no such field")
}
