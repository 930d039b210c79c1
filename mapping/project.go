package mapping

import (
	"reflect"
	"sync"

	"hishub/core"
)

func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }

// Project fills the question of a kind from the fields of the same JSON name and
// type of another body. It is how a write in doubt is asked about.
func Project(from core.Body, kind core.Kind) core.Body {
	t, ok := core.Lookup(kind)
	if !ok || from == nil {
		return from
	}
	to := t.Body()
	if typeOf(to) == typeOf(from) {
		return from
	}
	src, dst := reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem()
	for _, p := range projection(src.Type(), dst.Type()) {
		dst.Field(p.to).Set(src.Field(p.from))
	}
	return to
}

type fieldPair struct{ from, to int }

var projections sync.Map // [2]reflect.Type -> []fieldPair

func projection(from, to reflect.Type) []fieldPair {
	key := [2]reflect.Type{from, to}
	if p, ok := projections.Load(key); ok {
		return p.([]fieldPair)
	}
	var pairs []fieldPair
	for i := range to.NumField() {
		for j := range from.NumField() {
			if jsonName(from.Field(j)) == jsonName(to.Field(i)) && from.Field(j).Type == to.Field(i).Type {
				pairs = append(pairs, fieldPair{j, i})
			}
		}
	}
	projections.Store(key, pairs)
	return pairs
}
