package postgres

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"hishub/core"
)

// differing names the fields in which two bodies of a kind differ, as paths like
// "items[1].amount". The same moment in another zone is no difference.
func differing(a, b core.Body) []string {
	var paths []string
	compare("", asJSON(a), asJSON(b), &paths)
	slices.Sort(paths)
	return paths
}

func asJSON(b core.Body) (v any) {
	text, err := json.Marshal(b)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		panic(fmt.Sprintf("a stored body is no JSON: %v", err)) // it was read from, or is about to be, JSON
	}
	return v
}

func compare(path string, a, b any, paths *[]string) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			for name := range x {
				compare(join(path, name), x[name], y[name], paths)
			}
			for name := range y {
				if _, both := x[name]; !both {
					*paths = append(*paths, join(path, name))
				}
			}
			return
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			for i := range x {
				compare(fmt.Sprintf("%s[%d]", path, i), x[i], y[i], paths)
			}
			return
		}
	case string:
		if y, ok := b.(string); ok && sameMoment(x, y) {
			return
		}
	}
	if !reflect.DeepEqual(a, b) {
		*paths = append(*paths, path)
	}
}

func sameMoment(a, b string) bool {
	x, err := time.Parse(time.RFC3339Nano, a)
	if err != nil {
		return false
	}
	y, err := time.Parse(time.RFC3339Nano, b)
	return err == nil && x.Equal(y)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
