package changes

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// useWord puts a fragment where it stands, see mapping/fragment.go.
const useWord = "$use"

// written is a part of a folder with its fragments in their places: what an
// operation says, wherever that is written.
func (f folder) written(v any) any { return f.put(v, map[string]bool{}) }

// put leaves a fragment that is not there, or that uses itself, as it is: the
// loader names such a mistake.
func (f folder) put(v any, within map[string]bool) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = f.put(item, within)
		}
		return out
	case map[string]any:
		names := named(v)
		for _, name := range names {
			if _, known := f.fragments()[name]; !known || within[name] {
				names = nil
			}
		}
		out := map[string]any{}
		for _, name := range names {
			within[name] = true
			used := f.put(f.fragments()[name], within)
			delete(within, name)
			children, ok := used.(map[string]any)
			if !ok {
				return used // a list or a cell stands for the whole
			}
			maps.Copy(out, children)
		}
		for k, child := range v {
			if k != useWord || names == nil {
				out[k] = f.put(child, within)
			}
		}
		return out
	}
	return v
}

// named are the fragments that a map uses.
func named(v map[string]any) (names []string) {
	switch used := v[useWord].(type) {
	case string:
		return []string{used}
	case []any:
		for _, name := range used {
			text, _ := name.(string)
			names = append(names, text)
		}
	}
	return names
}

func (f folder) fragments() map[string]any {
	all, _ := f.hospital["fragments"].(map[string]any)
	return all
}

// uses adds the names of the fragments in v, and of those in them.
func (f folder) uses(v any, into map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			f.uses(item, into)
		}
	case map[string]any:
		for _, name := range named(v) {
			if !into[name] {
				into[name] = true
				f.uses(f.fragments()[name], into)
			}
		}
		for _, child := range v {
			f.uses(child, into)
		}
	}
}

// changed says that an operation or an envelope is another, and names the
// fragments where nothing but them is.
func (m *meaning) changed(about string, old, new any) {
	if !reflect.DeepEqual(old, new) {
		m.note(about, "is changed")
		return
	}
	used := map[string]bool{}
	m.new.uses(new, used)
	maps.DeleteFunc(used, func(name string, _ bool) bool {
		return reflect.DeepEqual(m.old.fragments()[name], m.new.fragments()[name])
	})
	m.note(about, "is changed by what it uses: %s", strings.Join(slices.Sorted(maps.Keys(used)), ", "))
}
