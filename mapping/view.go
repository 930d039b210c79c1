package mapping

import (
	"reflect"
	"strings"
	"sync"
	"time"

	"hishub/core"
)

var (
	moneyType = reflect.TypeFor[core.Fen]()
	timeType  = reflect.TypeFor[time.Time]()
	treeType  = reflect.TypeFor[core.Tree]()
	listType  = reflect.TypeFor[core.List]()
	textType  = reflect.TypeFor[string]()
	intType   = reflect.TypeFor[int]()
	boolType  = reflect.TypeFor[bool]()
	bytesType = reflect.TypeFor[[]byte]()
)

// A view shows a canonical struct to expressions: the same memory under another
// type, whose fields carry their JSON names, whose enumerations are plain text,
// and which has no methods. That closes the language: there is nothing to reach
// but the catalogue's own fields.
type view struct {
	of   reflect.Type // pointer to the view struct
	from reflect.Type // pointer to the canonical struct
}

var views sync.Map // reflect.Type of the canonical pointer -> view

// enumerations by view struct and JSON name; filled when views are made.
var enumerations sync.Map // enumKey -> core.Enumeration

type enumKey struct {
	view  reflect.Type
	field string
}

func viewOf(body any) view {
	from := reflect.TypeOf(body)
	if v, ok := views.Load(from); ok {
		return v.(view)
	}
	v := view{of: viewed(from), from: from}
	views.Store(from, v)
	return v
}

// show gives the body the view's type without copying it.
func (v view) show(body any) any {
	return reflect.NewAt(v.of.Elem(), reflect.ValueOf(body).UnsafePointer()).Interface()
}

func viewed(t reflect.Type) reflect.Type {
	switch {
	case t == timeType || t == moneyType:
		return t
	case t.Kind() == reflect.String:
		return textType
	case t.Kind() == reflect.Pointer:
		return reflect.PointerTo(viewed(t.Elem()))
	case t.Kind() == reflect.Slice:
		return reflect.SliceOf(viewed(t.Elem()))
	case t.Kind() != reflect.Struct:
		return t
	}
	fields := make([]reflect.StructField, t.NumField())
	for i := range fields {
		f := t.Field(i)
		name := jsonName(f)
		fields[i] = reflect.StructField{Name: f.Name, Type: viewed(f.Type), Tag: reflect.StructTag(`expr:"` + name + `" json:"` + name + `"`)}
	}
	out := reflect.StructOf(fields)
	if out.Size() != t.Size() {
		panic("mapping: the view of " + t.String() + " has another layout") // a test goes through the catalogue
	}
	for i := range fields {
		if out.Field(i).Offset != t.Field(i).Offset {
			panic("mapping: the view of " + t.String() + " has another layout")
		}
		if e, ok := reflect.Zero(t.Field(i).Type).Interface().(core.Enumeration); ok {
			enumerations.Store(enumKey{out, jsonName(t.Field(i))}, e)
		}
	}
	return out
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// viewFields are the JSON names of a view struct, nil for any other type.
func viewFields(t reflect.Type) []string {
	if t == nil {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == timeType {
		return nil
	}
	var names []string
	for i := range t.NumField() {
		names = append(names, jsonName(t.Field(i)))
	}
	return names
}

// typeName is what somebody who writes a folder calls a type.
func typeName(t reflect.Type) string {
	switch t {
	case nil:
		return "a value"
	case moneyType:
		return "money"
	case timeType:
		return "a time"
	case treeType:
		return "a tree"
	case bytesType:
		return "bytes"
	case boolType:
		return "true or false"
	case intType:
		return "a whole number"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list"
	case reflect.Pointer, reflect.Struct:
		return "a record"
	case reflect.Interface:
		return "a value"
	}
	return t.String()
}
