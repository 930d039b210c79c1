package mapping

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

// rows makes the answer's list of one record for each of the wish, after the recorded
// one that is most like it. What a record's cells cannot be brought to say stays as it
// was recorded, but a record of another kind is none.
func (w *wording) rows(wish Wish) error {
	t, ok := w.m.answer.(typedAnswer)
	record, isRecord := t.build.(recordBuilder)
	if !ok || !isRecord || len(record) != 1 {
		return errors.New("the answer is more than a list")
	}
	list, ok := record[0].of.(listBuilder)
	if !ok || len(list) != 1 || list[0].each == nil || list[0].when != nil {
		return errors.New("the list is written in parts")
	}
	fields, ok := list[0].of.(recordBuilder)
	if !ok {
		return errors.New("the list is no list of records")
	}
	each := list[0].each
	now, err := each.list.value(w.r)
	if err != nil {
		return err
	}
	recorded := asList(now)
	if len(recorded) == 0 {
		return errors.New("no record was recorded")
	}
	var out core.List
	for _, values := range wish.Rows {
		row, err := w.row(each.item, recorded, fields, values)
		if err != nil {
			return err
		}
		out = append(out, row)
	}
	return w.within(each.list, func(n ast.Node) error { return w.put(n, out) })
}

// row is one record with its values.
func (w *wording) row(name string, recorded core.List, fields recordBuilder, values map[string]any) (any, error) {
	defer func() { w.item, w.itemName = nil, ""; w.restart() }()
	w.itemName = name
	best, kept := -1, any(nil)
	for _, row := range recorded {
		w.item = row
		w.restart()
		alike := 0
		for _, f := range fields {
			leaf, ok := f.of.(*leafBuilder)
			if v, given := values[leafName(leaf)]; ok && given && w.says(leaf, v) {
				if alike++; leaf.name == "type" {
					alike += 100
				}
			}
		}
		if alike > best {
			best, kept = alike, row
		}
	}
	w.item = kept
	w.restart()
	for _, f := range fields {
		leaf, ok := f.of.(*leafBuilder)
		if !ok {
			continue
		}
		v, given := values[leaf.name]
		if !given || w.says(leaf, v) {
			continue
		}
		before := w.item
		if err := w.putLeaf(leaf, v); err != nil {
			w.item = before
			w.restart()
			if leaf.required {
				return nil, fmt.Errorf("%s: %w", leaf.name, err)
			}
		}
	}
	return w.item, nil
}

func leafName(leaf *leafBuilder) string {
	if leaf == nil {
		return ""
	}
	return leaf.name
}

// says reports whether a cell gives a value already.
func (w *wording) says(leaf *leafBuilder, v any) bool {
	if leaf.raw != nil {
		now, err := leaf.raw.value(w.r)
		return err == nil && same(now, v)
	}
	now, err := leaf.value.value(w.r)
	return err == nil && now != nil && equalValue(now, v)
}
